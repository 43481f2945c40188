"""Two collections record by record, in constant memory: what is added, changed, deleted, equal.

By merge-join where both sides come in key order, by an index on disk otherwise. Whether records are
equal is asked of their canonical form, and of the scale of their decimals, which it leaves out.
"""

from __future__ import annotations

import itertools
import pickle
from typing import TYPE_CHECKING, Any

import attrs

from databackup.archive.records import RecordCodec
from databackup.errors import InvalidRecords
from databackup.operations.keys import key_bytes, key_fields
from databackup.schema import KindError
from databackup.schema.kinds import Decimal
from databackup.spill import KeyIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from databackup.schema import Collection, Field

Row = tuple[Any, ...]
Key = tuple[Any, ...]


@attrs.frozen
class Side:
    """One record of one side: its form for comparison and its row.

    `form` is None for a record that the schema does not allow: it equals no other.
    """

    form: bytes | None
    row: Row


@attrs.frozen
class Difference:
    """A record that only the new side has, only the old side has, or both have differently."""

    new: Row | None
    old: Row | None


@attrs.define
class Comparison:
    """Compares the records an archive has (new) with those a store has (old)."""

    collection: Collection
    unchanged: int = 0

    def sides(self, rows: list[Row], canonical: list[bytes]) -> list[Side]:
        """Rows with the forms they are compared by."""
        scaled = [
            position
            for position, field in enumerate(self.collection.fields)
            if isinstance(field.value_kind, Decimal)
        ]
        if not scaled:
            return list(map(Side, canonical, rows))
        return [
            Side(form + repr([str(row[i]) for i in scaled]).encode(), row)
            for form, row in zip(canonical, rows, strict=True)
        ]

    def stored(self, rows: list[Row]) -> list[Side]:
        """Rows of a store, which may hold what its schema does not allow."""
        codec = RecordCodec(self.collection)
        try:
            return self.sides(rows, codec.canonical(rows))
        except InvalidRecords:
            if len(rows) == 1:
                return [Side(None, rows[0])]
            return [side for row in rows for side in self.stored([row])]

    def by_merging(
        self, new: Iterable[list[Side]], old: Iterable[list[Side]]
    ) -> Iterator[Difference]:
        """The differences of two sides that are both in key order.

        The new side's records have keys that are sound, unique and in order.
        """
        theirs = self._keyed(new)
        foreign: list[Row] = []
        ours = self._keyed(self._comparable(old, foreign))
        one, other = next(theirs, None), next(ours, None)
        while one is not None or other is not None:
            if other is None or (one is not None and one[0] < other[0]):
                yield Difference(one[1].row, None)  # type: ignore[index]
                one = next(theirs, None)
            elif one is None or other[0] < one[0]:
                yield Difference(None, other[1].row)
                other = next(ours, None)
            else:
                yield from self._both(one[1], other[1])
                one, other = next(theirs, None), next(ours, None)
        for row in foreign:
            yield Difference(None, row)

    def by_index(
        self, new: Iterable[list[Side]], old: Iterable[list[Side]]
    ) -> Iterator[Difference]:
        """The differences of two sides in any order.

        The new side's records have keys that are sound and unique.
        """
        foreign: list[Row] = []
        fields = key_fields(self.collection)
        key = self.collection.codec.key
        with KeyIndex() as index:
            for sides in self._comparable(old, foreign):
                index.add((key_bytes(fields, key(side.row)), pickle.dumps(side)) for side in sides)
            for side in itertools.chain.from_iterable(new):
                found = index.pop(key_bytes(fields, key(side.row)))
                if found is None:
                    yield Difference(side.row, None)
                else:
                    yield from self._both(side, _unpickle(found))
            for _key, left in index.items():  # noqa: PERF102 - not a dict
                yield Difference(None, _unpickle(left).row)
        for row in foreign:
            yield Difference(None, row)

    def _comparable(self, old: Iterable[list[Side]], foreign: list[Row]) -> Iterator[list[Side]]:
        """The records whose keys the schema allows; the others are put aside in `foreign`."""
        fields = key_fields(self.collection)
        for sides in old:
            kept = []
            for side in sides:
                if side.form is None and not _key_allowed(self.collection, fields, side.row):
                    foreign.append(side.row)
                else:
                    kept.append(side)
            yield kept

    def _keyed(self, batches: Iterable[list[Side]]) -> Iterator[tuple[Any, Side]]:
        sort_keys = self.collection.codec.sort_keys
        return itertools.chain.from_iterable(
            zip(sort_keys([side.row for side in sides]), sides, strict=True) for sides in batches
        )

    def _both(self, new: Side, old: Side) -> Iterator[Difference]:
        if new.form == old.form:
            self.unchanged += 1
        else:
            yield Difference(new.row, old.row)


def _key_allowed(collection: Collection, fields: list[Field], row: Row) -> bool:
    try:
        key_bytes(fields, collection.codec.key(row))
    except KindError:
        return False
    return True


def _unpickle(data: bytes) -> Side:
    side: Side = pickle.loads(data)  # noqa: S301 - written a moment ago to this process's own index
    return side
