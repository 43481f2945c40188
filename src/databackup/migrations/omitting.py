"""Ways of records that lack fields: what is done to these fields is left out.

Their values come from the store, which has them as today's schema wants them. So a field that is
renamed on the way, is given another kind, or is removed, needs no values; what would have to look
at them is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from databackup.errors import Problem, SecretsMissing
from databackup.migrations.way import Way
from databackup.schema import evolution
from databackup.schema.across import JoinCollection, MoveField, SplitCollection
from databackup.schema.linking import AddReference, ChangeKey
from databackup.schema.narrowed import without_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from databackup.schema.evolution import Operation
    from databackup.schema.narrowed import Omitted
    from databackup.schema.recording import Migration


def omitting(way: Way, omitted: Omitted) -> tuple[Way, Omitted]:
    """The way of records that lack these fields of its start, and what they lack at its end.

    Raises `SecretsMissing` for an operation that needs the values.
    """
    if not omitted:
        return way, omitted
    left = _Left(omitted)
    steps = [attrs.evolve(s, operations=tuple(left.operations(s))) for s in way.steps]
    before = {
        name: without_fields(collection, omitted.get(name, frozenset()))
        for name, collection in way.before.items()
    }
    return Way.of(before, steps), left.omitted


class _Left:
    """The fields that records lack, as they are called at one point of a way."""

    def __init__(self, omitted: Omitted) -> None:
        self._fields = {(name, field) for name, fields in omitted.items() for field in fields}

    @property
    def omitted(self) -> Omitted:
        """The fields by collection."""
        names = sorted({name for name, _ in self._fields})
        return {name: frozenset(f for c, f in self._fields if c == name) for name in names}

    def operations(self, step: Migration) -> Iterator[Operation]:
        """The operations of a step that are left, as records without the fields need them."""
        for operation in step.operations:
            if needed := self._needed(operation):
                why = f"the migration {step}, {operation}, needs its value, which is left out"
                problems = [
                    Problem(code="secret-omitted", message=why, collection=name, field=field)
                    for name, field in sorted(needed)
                ]
                raise SecretsMissing.of("secrets are left out that a migration needs", problems)
            match operation:
                case evolution.RenameCollection(old, new):
                    self._fields = {(new if c == old else c, f) for c, f in self._fields}
                case evolution.RemoveCollection(name):
                    self._fields = {(c, f) for c, f in self._fields if c != name}
                case evolution.RenameField(name, old, new) if (name, old) in self._fields:
                    self._fields = self._fields - {(name, old)} | {(name, new)}
                    continue
                case evolution.RemoveField(name, field) if (name, field) in self._fields:
                    self._fields.discard((name, field))
                    continue
                case evolution.ChangeKind(name, field) if (name, field) in self._fields:
                    continue
                case JoinCollection(_, into, order):
                    left = tuple(name for name in order if (into, name) not in self._fields)
                    yield attrs.evolve(operation, order=left)
                    continue
            yield operation

    def _needed(self, operation: Operation) -> set[tuple[str, str]]:
        """The fields whose values an operation looks at, or takes elsewhere."""
        found: Iterable[tuple[str, str]] = ()
        match operation:
            case evolution.MapRecords(name) | JoinCollection(name):
                found = (place for place in self._fields if place[0] == name)
            case SplitCollection(name, _, fields) | ChangeKey(name, fields):
                found = ((name, field) for field in fields)
            case MoveField(name, field):
                found = [(name, field)]
            case AddReference(name, reference):
                found = [
                    *((name, field) for field in reference.fields),
                    *((reference.collection, field) for field in reference.to),
                ]
        return self._fields.intersection(found)
