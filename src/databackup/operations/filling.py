"""Filling in what records lack: from the store's records of the same keys, or by default."""

from __future__ import annotations

import contextlib
import functools
import itertools
import operator
import pickle
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.archive.records import Batch
from databackup.errors import InvalidRecords, Problem
from databackup.operations.keys import key_bytes, key_bytes_or_none, key_fields
from databackup.schema import Collection, KindError, classes
from databackup.schema.compiled import json_pointer
from databackup.schema.defaults import NO_DEFAULT
from databackup.spill import KeyIndex, RowQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from databackup.archive.records import RecordCodec
    from databackup.repository import Row, Transaction

    Values = tuple[Any, ...]
    """What one record lacks, in the order of its fields."""
    Find = Callable[[Batch], list[Values | None]]
    """What the records of a batch lack; None for those that nothing is known of."""
    Finder = AbstractContextManager[Find]


class Filling:
    """What the records of one collection lack, and where it is found.

    `recorded` is the collection as the archive has its records. With `in_order` both sides come in
    key order. `kept` and `defaulted` count records, once all were read.
    """

    def __init__(self, collection: Collection, recorded: Collection, *, in_order: bool) -> None:
        self.collection = collection
        self.recorded = recorded
        self.names = tuple(n for n in collection.field_names if not recorded.has_field(n))
        self.kept = self.defaulted = 0
        self._in_order = in_order
        self._keys = _picker(collection.key_positions)
        self._lacking = _picker(collection.positions(self.names))
        self._defaults = [(name, _default_maker(collection, name)) for name in self.names]
        together = (*recorded.field_names, *self.names)
        self._in_place = operator.itemgetter(*map(together.index, collection.field_names))
        self._remembered: RowQueue | None = None

    def close(self) -> None:
        """Forget what was filled in."""
        if self._remembered is not None:
            self._remembered.close()

    # -- finding -------------------------------------------------------------------------------

    def finder(self, transaction: Transaction) -> Finder:
        """What finds values for one pass: in the store, or among what was filled in before."""
        if self._remembered is not None:
            return contextlib.nullcontext(_recalling(self._remembered))
        if not self.collection.key or transaction.count(self.collection) == 0:
            return contextlib.nullcontext(_finding_nothing)
        return self._merging(transaction) if self._in_order else self._looking_up(transaction)

    @contextlib.contextmanager
    def _merging(self, transaction: Transaction) -> Iterator[Find]:
        """Finds what a store has for records that come in key order on both sides."""
        keys_of, left = self.collection.codec.sort_keys, self._stored(transaction)
        pairs = itertools.chain.from_iterable(
            zip(keys_of(rows), self._lacking(rows), strict=True) for rows in left
        )
        at = next(pairs, None)

        def find(batch: Batch) -> list[Values | None]:
            nonlocal at
            found: list[Values | None] = []
            for key in self.recorded.codec.sort_keys(batch.rows):
                while at is not None and at[0] < key:
                    at = next(pairs, None)
                found.append(at[1] if at is not None and at[0] == key else None)
            return found

        with contextlib.closing(left):
            yield find

    @contextlib.contextmanager
    def _looking_up(self, transaction: Transaction) -> Iterator[Find]:
        """Finds what a store has for records in any order, by an index on disk."""
        fields = key_fields(self.collection)

        def form(collection: Collection, row: Row) -> bytes:
            return key_bytes(fields, collection.codec.key(row))

        def find(batch: Batch) -> list[Values | None]:
            found = (index.get(form(self.recorded, row)) for row in batch.rows)
            # Pickled below, into a private file.
            return [None if data is None else pickle.loads(data) for data in found]  # noqa: S301

        with KeyIndex() as index:
            for rows in self._stored(transaction):
                index.add(
                    (form(self.collection, row), pickle.dumps(values))
                    for row, values in zip(rows, self._lacking(rows), strict=True)
                )
            yield find

    def _stored(self, transaction: Transaction) -> Generator[list[Row]]:
        """The store's records that have a key; some may have what no schema allows."""
        batches = transaction.rows(self.collection)
        with contextlib.ExitStack() as opened:
            # A server changes no table that is being read.
            opened.callback(getattr(batches, "close", lambda: None))
            yield from map(self._identified, batches)

    def _identified(self, rows: list[Row]) -> list[Row]:
        fields, key = key_fields(self.collection), self.collection.codec.key
        if not any(field.nullable for field in fields):
            with contextlib.suppress(KindError):
                self._keyed.codec.canonical(self._keys(rows))
                return rows
        return [
            row
            for row in rows
            if None not in key(row) and key_bytes_or_none(fields, key(row)) is not None
        ]

    @functools.cached_property
    def _keyed(self) -> Collection:
        """The collection with its key alone."""
        name, fields = self.collection.name, key_fields(self.collection)
        return Collection(name, fields=fields, key=self.collection.key)

    # -- filling in ----------------------------------------------------------------------------

    def completed(
        self, batches: Iterable[Batch], codec: RecordCodec, finder: Finder
    ) -> Iterator[Batch]:
        """The batches with what their records lack; what nothing is found for is a problem."""
        with finder as find, contextlib.ExitStack() as opened:
            queue = RowQueue()
            opened.callback(queue.close)
            kept = defaulted = 0
            for batch in batches:
                known, problems = find(batch), list(batch.problems)
                values = [
                    self._default(row, number, problems) if found is None else found
                    for found, row, number in zip(known, batch.rows, batch.numbers, strict=True)
                ]
                if self._remembered is None:
                    pairs = zip(batch.numbers, values, strict=True)
                    queue.put([pair for pair in pairs if pair[1] is not None])
                kept += len(known) - known.count(None)
                defaulted += known.count(None) - values.count(None)
                yield from self._whole(batch, values, problems, codec)
            if self._remembered is None:
                self._remembered, self.kept, self.defaulted = queue, kept, defaulted
                opened.pop_all()

    def _default(self, row: Row, number: int, problems: list[Problem]) -> Values | None:
        """What a new record gets; None, and problems, where a field has no default."""
        values = []
        for name, make in self._defaults:
            try:
                values.append(make() if make else None)
                wrong = "" if make else _NEITHER
            except Exception as error:  # noqa: BLE001 - a host's function raises what it likes
                wrong = f"its default cannot be made: {type(error).__name__}"
            if wrong:
                problems.append(self._problem(wrong, row, number, name))
                return None
        return tuple(values)

    def _problem(self, message: str, row: Row, number: int, name: str) -> Problem:
        return Problem(
            code="secret-omitted",
            message=message,
            collection=self.collection.name,
            record=number,
            key=self.recorded.codec.key(row) or None,
            field=name,
            pointer=json_pointer(("data", self.collection.name, number - 1)),
            expected="a record of this key in the store, or a default of the field",
        )

    def _whole(
        self, batch: Batch, values: list[Values | None], problems: list[Problem], codec: RecordCodec
    ) -> Iterator[Batch]:
        """The records for which there are values."""
        rows, numbers = [], []
        for row, number, found in zip(batch.rows, batch.numbers, values, strict=True):
            if found is not None:
                rows.append(self._in_place(row + found))
                numbers.append(number)
        if problems:
            yield Batch([], [], problems)
        start = 0
        for part in codec.parts_held(rows):
            yield from _sound(part, numbers[start : start + len(part)], codec)
            start += len(part)


def _picker(places: Sequence[int]) -> Callable[[list[Row]], list[Values]]:
    """A function that takes the values at some places out of rows."""
    if len(places) == 1:
        place = places[0]
        return lambda rows: [(row[place],) for row in rows]
    if not places:
        return lambda rows: [()] * len(rows)
    pick = operator.itemgetter(*places)
    return lambda rows: list(map(pick, rows))


def _default_maker(collection: Collection, name: str) -> Callable[[], Any] | None:
    """What makes the value that a field of a new record has, None where it has no default.

    It raises what a function of the host's raises.
    """
    field, model = collection.field(name), collection.model
    if field.default is not NO_DEFAULT:
        return lambda: field.default
    make = None if model is None else classes.default_maker(model, name)
    return None if make is None else lambda: collection.structurer.plain(name, make())


_NEITHER: Final = (
    "the archive omits it, the store has no record of this key to keep it of, and the field has no "
    "default"
)


def _recalling(remembered: RowQueue) -> Find:
    """Finds what was filled in before, by the numbers of records, which only rise."""
    pairs = itertools.chain.from_iterable(remembered.batches())
    at = next(pairs, None)

    def find(batch: Batch) -> list[Values | None]:
        nonlocal at
        found: list[Values | None] = []
        for number in batch.numbers:
            while at is not None and at[0] < number:
                at = next(pairs, None)
            found.append(at[1] if at is not None and at[0] == number else None)
        return found

    return find


def _finding_nothing(batch: Batch) -> list[Values | None]:
    return [None] * len(batch)


def _sound(rows: list[Row], numbers: list[int], codec: RecordCodec) -> Iterator[Batch]:
    """The records whose values are of their kinds; what is wrong with others is told."""
    try:
        canonical = codec.canonical(rows)
    except InvalidRecords:
        if len(rows) > 1:
            for row, number in zip(rows, numbers, strict=True):
                yield from _sound([row], [number], codec)
        else:
            found = codec.codec.explain_rows(rows, numbers[0])
            said = "what it would keep, or get by default, is not valid"
            yield Batch([], [], [attrs.evolve(p, message=f"{said}: {p.message}") for p in found])
    else:
        yield Batch(rows, numbers, make_canonical=lambda: canonical)
