"""What a comparison found: counts, differences in structure, and a bounded sample of records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

What = Literal["added", "changed", "removed", "deleted"]


@attrs.frozen(kw_only=True)
class RecordDiff:
    """One record that differs: "removed" from the other side, or "deleted" by an import.

    `key` names the fields of the key, and is empty where records have none. `old` and `new` are the
    record's other fields on either side: of a changed record those that differ, of an added or
    removed one all, with None for the side that does not have it. Values are in the JSON forms of
    an archive; `{"$shortened": "…"}` stands for a long one, with the text of its JSON around the
    first difference, `{"$invalid": "…"}` for one that its schema does not allow, and
    `{"$secret": true}` for that of a secret field.
    """

    what: What
    key: Mapping[str, Any]
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """The difference as a JSON object."""
        return {
            "what": self.what,
            "key": dict(self.key),
            "old": None if self.old is None else dict(self.old),
            "new": None if self.new is None else dict(self.new),
        }


@attrs.frozen(kw_only=True)
class CollectionDiff:
    """How one collection differs: numbers of records, structure, and a sample of each change."""

    added: int
    changed: int
    removed: int
    unchanged: int
    structure: tuple[str, ...] = ()
    sample: tuple[RecordDiff, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether both sides have the same records, in the same structure."""
        return not (self.added or self.changed or self.removed or self.structure)

    def as_json(self) -> dict[str, Any]:
        """The differences as a JSON object."""
        return {
            "added": self.added,
            "changed": self.changed,
            "removed": self.removed,
            "unchanged": self.unchanged,
            "structure": list(self.structure),
            "sample": [record.as_json() for record in self.sample],
        }


@attrs.frozen(kw_only=True)
class Diff:
    """How `b`, the new side, differs from `a`, the old one.

    `a` and `b` are what the sides are called; `notes` is what else was noticed, and makes no
    difference.
    """

    a: str
    b: str
    collections: Mapping[str, CollectionDiff]
    notes: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether all that was compared is the same, records and structure."""
        return all(found.identical for found in self.collections.values())

    @property
    def added(self) -> int:
        """How many records only `b` has."""
        return sum(found.added for found in self.collections.values())

    @property
    def changed(self) -> int:
        """How many records both have differently."""
        return sum(found.changed for found in self.collections.values())

    @property
    def removed(self) -> int:
        """How many records only `a` has."""
        return sum(found.removed for found in self.collections.values())

    @property
    def unchanged(self) -> int:
        """How many records both have alike."""
        return sum(found.unchanged for found in self.collections.values())

    def as_json(self) -> dict[str, Any]:
        """The differences as a JSON object."""
        return {
            "a": self.a,
            "b": self.b,
            "identical": self.identical,
            "added": self.added,
            "changed": self.changed,
            "removed": self.removed,
            "unchanged": self.unchanged,
            "notes": list(self.notes),
            "collections": {name: found.as_json() for name, found in self.collections.items()},
        }
