"""Adapters that read wrongly."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from databackup.repository import Key, Row, Transaction
from databackup.schema import Collection
from tests.testing.broken import Broken, Cases, View, broken_view, with_view


def _loses_the_last_row(self: View, collection: Collection, *, batch_size: int = 1000) -> Any:
    batches = list(self.inner.rows(collection, batch_size=batch_size))
    if batches and len(batches[-1]) == batch_size:
        batches[-1] = batches[-1][:-1]
    return iter([batch for batch in batches if batch])


def _all_at_once(self: View, collection: Collection, *, batch_size: int = 1000) -> Any:
    for batch in self.inner.rows(collection, batch_size=10**9):
        assert batch_size
        yield batch


def _with_an_empty_batch(self: View, collection: Collection, *, batch_size: int = 1000) -> Any:
    yield from self.inner.rows(collection, batch_size=batch_size)
    yield []


def _read_at_once(self: View, collection: Collection, *, batch_size: int = 1000) -> Any:
    return iter(list(self.inner.rows(collection, batch_size=batch_size)))


def _held_as_copies(self: View, collection: Collection, *, batch_size: int = 1000) -> Any:
    copied = [
        [tuple(str(v + " ")[:-1] if type(v) is str else v for v in row) for row in batch]
        for batch in self.inner.rows(collection, batch_size=batch_size)
    ]
    yield from copied


def _ordered_by_text(self: View, collection: Collection, *, batch_size: int = 1000) -> Any:
    rows = [row for batch in self.inner.rows(collection) for row in batch]
    if collection.key:
        rows.sort(key=lambda row: [str(part) for part in collection.codec.key(row)])
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]


class _OneIterator(View):
    """Two iterators share one place, as two result sets of one cursor do."""

    place: Iterator[list[Row]] | None = None

    def rows(self, collection: Collection, *, batch_size: int = 1000) -> Iterator[list[Row]]:
        self.place = self.inner.rows(collection, batch_size=batch_size)
        while True:
            batch = next(self.place, None)
            if batch is None:
                return
            yield batch


def _case_insensitive_get(self: View, collection: Collection, keys: Iterable[Key]) -> Any:
    wanted = {tuple(str(part).casefold() for part in key) for key in keys}
    rows = [row for batch in self.inner.rows(collection) for row in batch]
    own = collection.codec.key
    return [r for r in rows if tuple(str(part).casefold() for part in own(r)) in wanted]


def _get_of_many_keys_fails(self: View, collection: Collection, keys: Iterable[Key]) -> Any:
    wanted = list(keys)
    if len(wanted) > 999:
        raise OSError("too many SQL variables")
    return self.inner.get(collection, wanted)


def _a_batch_always(self: View, collection: Collection, *, batch_size: int = 1000) -> Any:
    batches = self.inner.rows(collection, batch_size=batch_size)
    yield next(batches, [])
    yield from batches


class _ChangesWhatItReads(Broken):
    @contextlib.contextmanager
    def transaction(self, *, wait: float = 5.0) -> Iterator[Transaction]:
        with self.inner.transaction(wait=wait) as transaction:
            yield transaction
            for row in transaction.get(self.schema.collections[1], [(3,)]):
                transaction.update(self.schema.collections[1], [(*row[:-1], None)])


BROKEN: Cases = {
    "loses the last row": (broken_view("B", rows=_loses_the_last_row), "every_record_comes_once"),
    "one batch": (broken_view("B", rows=_all_at_once), "batches_are_lists_of_the_size_asked_for"),
    "empty batches": (
        broken_view("B", rows=_with_an_empty_batch),
        "batches_are_lists_of_the_size_asked_for",
    ),
    "eager reads": (broken_view("B", rows=_read_at_once), "rows_are_read_when_pulled"),
    "holds all": (broken_view("B", rows=_held_as_copies), "few_rows_are_held"),
    "wrong order": (broken_view("B", rows=_ordered_by_text), "rows_come_in_key_order"),
    "one iterator": (with_view(_OneIterator), "two_iterators_may_be_open"),
    "get folds case": (
        broken_view("B", get=_case_insensitive_get),
        "keys_are_compared_to_the_byte",
    ),
    "get of few keys": (
        broken_view("B", get=_get_of_many_keys_fails),
        "get_gives_the_records_of_keys",
    ),
    "count of a cache": (broken_view("B", count=lambda _s, _c: 0), "count_counts_the_records"),
    "a batch of nothing": (broken_view("B", rows=_a_batch_always), "an_empty_store_is_empty"),
    "counters below the keys": (
        broken_view("B", counters=lambda _self: {"people": 1}),
        "counters_are_numbers_by_collection",
    ),
    "reading writes": (_ChangesWhatItReads, "reading_changes_nothing"),
}
