"""Two collections record by record, in constant memory: what is added, changed, deleted, equal.

By merge-join where both sides come in key order, by an index on disk otherwise. Whether records are
equal is asked of their canonical form, and of the scale of their decimals, which it leaves out.
"""

from __future__ import annotations

import decimal
import itertools
import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from databackup.archive.records import RecordCodec
from databackup.errors import InvalidRecords
from databackup.operations.keys import key_bytes, key_bytes_or_none, key_fields
from databackup.repository import Row
from databackup.schema.composite import has_decimals
from databackup.spill import KeyIndex, RowQueue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from databackup.schema import Collection
    from databackup.schema.compiled import Codec


_SCALES_FOLLOW = b"\n"  # no canonical form has a line feed in it


class Side(NamedTuple):
    """One record of one side: its form for comparison and its row.

    `form` is None for a record that the schema does not allow: it equals no other.
    """

    form: bytes | None
    row: Row

    @property
    def canonical(self) -> bytes | None:
        """The canonical form alone, which digests are taken over."""
        return None if self.form is None else self.form.partition(_SCALES_FOLLOW)[0]


@attrs.frozen
class Difference:
    """A record that only the new side has, only the old side has, or both have differently."""

    new: Row | None
    old: Row | None


class Forms:
    """What the records of a collection are compared by."""

    def __init__(self, collection: Collection) -> None:
        self._scaled = [
            position
            for position, field in enumerate(collection.fields)
            if has_decimals(field.value_kind)
        ]

    @property
    def are_canonical(self) -> bool:
        """Whether they are the canonical forms, and so what digests are taken over."""
        return not self._scaled

    def of(self, rows: list[Row], canonical: list[bytes]) -> list[bytes]:
        """The forms of rows, whose canonical forms are given."""
        if not self._scaled:
            return canonical
        return [
            form + _SCALES_FOLLOW + repr([_scales(row[at]) for at in self._scaled]).encode()
            for form, row in zip(canonical, rows, strict=True)
        ]


def _scales(value: Any) -> Any:
    """The decimals in a value as they are written."""
    if type(value) is decimal.Decimal:
        return str(value)
    if type(value) is list:
        return [_scales(item) for item in value]
    if type(value) is dict:
        return [_scales(value[key]) for key in sorted(value)]
    return None


class Comparison:
    """Compares the records an archive has (new) with those a store has (old).

    `exact` tells decimals of one value and another scale apart. `in_place` never has a record taken
    out and put in anew under a key of the same value. `codec` is the collection's own unless given.
    """

    def __init__(
        self,
        collection: Collection,
        *,
        exact: bool = True,
        in_place: bool = False,
        codec: Codec | None = None,
    ) -> None:
        self.unchanged = 0
        self._in_place = in_place
        self._codec = RecordCodec(collection, codec)
        self._key_fields = key_fields(collection)
        self._forms = Forms(collection) if exact else None

    def sides(self, rows: list[Row], canonical: list[bytes]) -> list[Side]:
        """Rows with the forms they are compared by."""
        forms = self._forms.of(rows, canonical) if self._forms else canonical
        return list(map(Side, forms, rows))

    def stored(self, rows: list[Row]) -> list[Side]:
        """Rows of a store, which may hold what its schema does not allow."""
        try:
            return self.sides(rows, self._codec.canonical(rows))
        except InvalidRecords:
            if len(rows) == 1:
                return [Side(None, rows[0])]
            return [side for row in rows for side in self.stored([row])]

    def all_stored(self, batches: Iterable[list[Row]]) -> Iterator[list[Side]]:
        """As `stored`, of as many rows at a time as can be held."""
        parts = itertools.chain.from_iterable(map(self._codec.parts_held, batches))
        return map(self.stored, parts)

    def by_merging(
        self, new: Iterable[list[Side]], old: Iterable[list[Side]]
    ) -> Iterator[Difference]:
        """The differences of two sides that are both in key order.

        The new side's records have keys that are sound, unique and in order.
        """
        with RowQueue() as foreign:
            theirs, ours = self._keyed(new), self._keyed(self._comparable(old, foreign))
            one, other = next(theirs, None), next(ours, None)
            while one is not None or other is not None:
                if other is None or (one is not None and one[0] < other[0]):
                    yield Difference(one[1].row, None)  # type: ignore[index]
                    one = next(theirs, None)
                elif one is None or other[0] < one[0]:
                    yield Difference(None, other[1].row)
                    other = next(ours, None)
                else:
                    if _equal(one[1], other[1]):
                        self.unchanged += 1
                    else:
                        yield from self._changed(one[1].row, other[1].row)
                    one, other = next(theirs, None), next(ours, None)
            yield from _left(foreign)

    def by_index(
        self, new: Iterable[list[Side]], old: Iterable[list[Side]]
    ) -> Iterator[Difference]:
        """The differences of two sides in any order.

        The new side's records have keys that are sound and unique.
        """
        key = self._codec.codec.key
        with KeyIndex() as index, RowQueue() as foreign:
            for sides in self._comparable(old, foreign):
                index.add(
                    (key_bytes(self._key_fields, key(side.row)), pickle.dumps(side))
                    for side in sides
                )
            for side in itertools.chain.from_iterable(new):
                found = index.pop(key_bytes(self._key_fields, key(side.row)))
                if found is None:
                    yield Difference(side.row, None)
                    continue
                old_side = _unpickle(found)
                if _equal(side, old_side):
                    self.unchanged += 1
                else:
                    yield from self._changed(side.row, old_side.row)
            for _key, left in index.items():  # noqa: PERF102 - not a dict
                yield Difference(None, _unpickle(left).row)
            yield from _left(foreign)

    def _comparable(self, old: Iterable[list[Side]], foreign: RowQueue) -> Iterator[list[Side]]:
        """The records whose keys the schema allows; the others are put aside in `foreign`."""
        for sides in old:
            refused = [
                side.row for side in sides if side.form is None and not self._has_key(side.row)
            ]
            foreign.put(refused)
            if refused:
                yield [side for side in sides if side.form is not None or self._has_key(side.row)]
            else:
                yield sides

    def _has_key(self, row: Row) -> bool:
        key = self._codec.codec.key(row)
        return key_bytes_or_none(self._key_fields, key) is not None

    def _keyed(self, batches: Iterable[list[Side]]) -> Iterator[tuple[Any, Side]]:
        sort_keys = self._codec.codec.sort_keys
        return itertools.chain.from_iterable(
            zip(sort_keys([side.row for side in sides]), sides, strict=True) for sides in batches
        )

    def same_key_as_written(self, new: Row, old: Row) -> bool:
        """Whether two records of one key have it written alike, not as 1.1 and as 1.10.

        A store may tell the two apart.
        """
        return self._key_as_written(new) == self._key_as_written(old)

    def _changed(self, new: Row, old: Row) -> Iterator[Difference]:
        same = self._has_same_key if self._in_place else self.same_key_as_written
        if same(new, old):
            yield Difference(new, old)
        else:
            yield Difference(None, old)
            yield Difference(new, None)

    def _has_same_key(self, new: Row, old: Row) -> bool:
        # 0.0 and -0.0 are two keys, and yet at one place in the order.
        keys = [key_bytes(self._key_fields, self._codec.codec.key(row)) for row in (new, old)]
        return keys[0] == keys[1]

    def _key_as_written(self, row: Row) -> list[Any]:
        key = self._codec.codec.key(row)
        return [
            repr(field.form.encode(part)) for field, part in zip(self._key_fields, key, strict=True)
        ]


def _equal(one: Side, other: Side) -> bool:
    return one.form is not None and one.form == other.form


def _left(foreign: RowQueue) -> Iterator[Difference]:
    for rows in foreign.batches():
        for row in rows:
            yield Difference(None, row)


def _unpickle(data: bytes) -> Side:
    side: Side = pickle.loads(data)  # noqa: S301 - written a moment ago to this process's own index
    return side
