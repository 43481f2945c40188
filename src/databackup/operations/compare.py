"""Two collections record by record, in constant memory: what is added, changed, deleted, equal.

By merge-join where both sides come in key order, by an index on disk otherwise. Whether records are
equal is asked of their canonical form, and of the scale of their decimals, which it leaves out.
"""

from __future__ import annotations

import decimal
import functools
import itertools
import operator
import pickle
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import attrs

from databackup.archive.records import RecordCodec
from databackup.errors import InvalidRecords
from databackup.operations.keys import key_bytes, key_bytes_or_none, key_fields
from databackup.repository import Row
from databackup.schema.columns import Forms as ColumnForms
from databackup.schema.composite import has_decimals
from databackup.spill import KeyIndex, RowQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from databackup.archive.records import Batch
    from databackup.schema import Collection
    from databackup.schema.compiled import Codec


_STEP: Final = 8  # records that are compared at once, to begin with
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


class Sides:
    """Records of one side, some at a time. Rows are made when they are asked for."""

    def __init__(
        self, forms: Sequence[bytes | None], rows: list[Row] | Callable[[], list[Row]]
    ) -> None:
        self.forms = forms
        self._rows = rows

    @functools.cached_property
    def rows(self) -> list[Row]:
        """The rows, one for each form."""
        return self._rows() if callable(self._rows) else self._rows

    @functools.cached_property
    def are_sound(self) -> bool:
        """Whether the schema allows all of them."""
        return None not in self.forms

    def __len__(self) -> int:
        return len(self.forms)

    def __iter__(self) -> Iterator[Side]:
        return map(Side, self.forms, self.rows)

    @classmethod
    def of(cls, sides: Iterable[Side]) -> Sides:
        """The sides of single records."""
        found = list(sides)
        return cls([side.form for side in found], [side.row for side in found])


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

    def sides(self, rows: list[Row] | Callable[[], list[Row]], canonical: list[bytes]) -> Sides:
        """Rows, or what makes them, with the forms they are compared by."""
        if self._forms is None or self._forms.are_canonical:
            return Sides(canonical, rows)
        made = rows() if callable(rows) else rows
        return Sides(self._forms.of(made, canonical), made)

    def archived(self, batch: Batch) -> Sides:
        """The records of an archive's batch."""
        return self.sides(lambda: batch.rows, batch.canonical)

    def stored(self, rows: ColumnForms | list[Row]) -> Sides:
        """Records of a store, which may hold what its schema does not allow."""
        if isinstance(rows, ColumnForms):
            return self.sides(lambda: rows.rows, self._codec.canonical(rows))
        try:
            return self.sides(rows, self._codec.canonical(rows))
        except InvalidRecords:
            if len(rows) == 1:
                return Sides([None], rows)
            return Sides.of(side for row in rows for side in self.stored([row]))

    def all_stored(self, batches: Iterable[ColumnForms | list[Row]]) -> Iterator[Sides]:
        """As `stored`, of as many rows at a time as can be held."""
        parts = itertools.chain.from_iterable(map(self._codec.parts_held, batches))
        return map(self.stored, parts)

    def by_merging(self, new: Iterable[Sides], old: Iterable[Sides]) -> Iterator[Difference]:
        """The differences of two sides that are both in key order.

        The new side's records have keys that are sound, unique and in order.
        """
        sort_keys = self._codec.codec.sort_keys
        with RowQueue() as foreign:
            ours = _Cursor(self._comparable(old, foreign), sort_keys)
            theirs = _Cursor(new, sort_keys)
            while True:
                self.unchanged += _pass_equal(theirs, ours)
                if theirs.is_at_end and ours.is_at_end:
                    break
                if ours.is_at_end or (not theirs.is_at_end and theirs.key < ours.key):
                    yield Difference(theirs.take(), None)
                elif theirs.is_at_end or ours.key < theirs.key:
                    yield Difference(None, ours.take())
                else:
                    yield from self._changed(theirs.take(), ours.take())
            yield from _left(foreign)

    def by_index(self, new: Iterable[Sides], old: Iterable[Sides]) -> Iterator[Difference]:
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

    def _comparable(self, old: Iterable[Sides], foreign: RowQueue) -> Iterator[Sides]:
        """The records whose keys the schema allows; the others are put aside in `foreign`."""
        for sides in old:
            if sides.are_sound:
                yield sides
                continue
            known = [side.form is not None or self._has_key(side.row) for side in sides]
            foreign.put(list(itertools.compress(sides.rows, map(operator.not_, known))))
            yield Sides.of(itertools.compress(sides, known))

    def _has_key(self, row: Row) -> bool:
        key = self._codec.codec.key(row)
        return key_bytes_or_none(self._key_fields, key) is not None

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


class _Cursor:
    """Goes through the records of one side, by themselves or as long as they equal another's."""

    def __init__(
        self, batches: Iterable[Sides], sort_keys: Callable[[list[Row]], list[Any]]
    ) -> None:
        self._batches = (sides for sides in batches if len(sides))
        self._sort_keys = sort_keys
        self._next()

    def _next(self) -> None:
        self._sides = next(self._batches, None)
        self._keys: list[Any] | None = None
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._sides is None

    @property
    def key(self) -> Any:
        """What the record is ordered by."""
        if self._keys is None:
            self._keys = self._sort_keys(self._here.rows)
        return self._keys[self._at]

    @property
    def _here(self) -> Sides:
        if self._sides is None:
            raise LookupError("there is no record left")
        return self._sides

    def take(self) -> Row:
        """The record's row; go on to the next one."""
        row = self._here.rows[self._at]
        self.skip(1)
        return row

    def skip(self, records: int) -> None:
        """Go on by no more records than are left of the batch."""
        self._at += records
        if self._at == len(self._here):
            self._next()

    def forms(self, most: int) -> Sequence[bytes | None]:
        """The forms of up to as many records of the batch as are asked for."""
        return () if self._sides is None else self._sides.forms[self._at : self._at + most]


def _pass_equal(one: _Cursor, other: _Cursor) -> int:
    """Go on to where the records of two sides differ; how many were equal.

    Many at once where many were equal, few after a difference.
    """
    passed, most = 0, _STEP
    while True:
        ours, theirs = one.forms(most), other.forms(most)
        size = min(len(ours), len(theirs))
        if not size:
            return passed
        ours, theirs = ours[:size], theirs[:size]
        is_equal = ours == theirs and None not in ours
        same = size if is_equal else _first_difference(ours, theirs)
        if same:
            one.skip(same)
            other.skip(same)
            passed += same
        if not is_equal:
            return passed
        most *= 2


def _first_difference(ours: Sequence[bytes | None], theirs: Sequence[bytes | None]) -> int:
    pairs = enumerate(zip(ours, theirs, strict=True))
    return next(n for n, (one, other) in pairs if one is None or one != other)


def _equal(one: Side, other: Side) -> bool:
    return one.form is not None and one.form == other.form


def _left(foreign: RowQueue) -> Iterator[Difference]:
    for rows in foreign.batches():
        for row in rows:
            yield Difference(None, row)


def _unpickle(data: bytes) -> Side:
    side: Side = pickle.loads(data)  # noqa: S301 - written a moment ago to this process's own index
    return side
