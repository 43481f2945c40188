"""The rows of another flow by their keys, in an index on disk."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Final

import msgspec

from databackup.schema.adopting import null_is_value
from databackup.schema.kind import KindError
from databackup.spill import KeyIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from databackup.migrations.flows import LookUp
    from databackup.schema import Field
    from databackup.schema.compiled import Row

_ENCODER: Final = msgspec.json.Encoder(order="sorted")


class Index:
    """The rows of one lookup by key, and which of them were found."""

    def __init__(self, stage: LookUp) -> None:
        self._stage = stage
        self._size = len(stage.key)
        self._entries, self._used = KeyIndex(), KeyIndex()
        self._without_key = 0

    def close(self) -> None:
        """Delete the index."""
        self._entries.close()
        self._used.close()

    def add(self, row: Row) -> str | None:
        """Add a row of the other flow: its key, and then its values.

        Says what is wrong with it, if so.
        """
        key, values = row[: self._size], row[self._size :]
        if None in key:
            self._without_key += not self._is_nothing(values)
            return None
        try:
            form = _form(self._stage.key_fields, key)
            if not self._entries.add([(form, pickle.dumps(values))]):
                return None
            if not self._stage.agree:
                return "another record has the same key"
            before = pickle.loads(self._entries.get(form) or b"")  # noqa: S301 - written above
            fields = self._stage.fields
            if _form(fields, before) == _form(fields, values):
                return None
        except (KindError, UnicodeEncodeError) as error:
            return str(error)
        return "records that refer to one have other values"

    def find(self, key: Row) -> Row | None:
        """The values of a key, None where no row has it."""
        if None in key:
            return None
        try:
            form = _form(self._stage.key_fields, key)
        except (KindError, UnicodeEncodeError):
            return None  # what is wrong with it is told of the record at its end
        found = self._entries.get(form)
        if found is None:
            return None
        self._used.add([(form, b"")])
        values: Row = pickle.loads(found)  # noqa: S301 - written by `add`
        return values

    def unused(self, again: Callable[[], Iterable[Row]]) -> int:
        """How many rows have values and were never found; `again` gives all rows once more."""
        lost = sum(
            form not in self._used
            for form, values in self._entries.items()
            if not self._is_nothing(pickle.loads(values))  # noqa: S301 - the same
        )
        if lost and self._stage.agree:  # each may stand for several
            lost = sum(map(self._is_lost, again()))
        return lost + self._without_key

    def _is_nothing(self, values: Row) -> bool:
        pairs = zip(self._stage.fields, values, strict=True)
        return all(value is None and not null_is_value(field.kind) for field, value in pairs)

    def _is_lost(self, row: Row) -> bool:
        key, values = row[: self._size], row[self._size :]
        if None in key or self._is_nothing(values):
            return False
        try:
            return _form(self._stage.key_fields, key) not in self._used
        except (KindError, UnicodeEncodeError):
            return False  # a problem of its own, as in `add`


def _form(fields: Sequence[Field], values: Row) -> bytes:
    """Values in their canonical form, as bytes."""
    return _ENCODER.encode([f.form.canonical(v) for f, v in zip(fields, values, strict=True)])
