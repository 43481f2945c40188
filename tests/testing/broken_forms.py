"""Adapters whose forms and bulks are wrong."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from databackup.archive.records import RecordCodec
from databackup.errors import RecordsRefused
from databackup.repository import Row
from databackup.schema import Collection
from databackup.schema.columns import Forms
from tests.testing.broken import Cases, View, with_view


class _Reads(View):
    """Has forms, all of them rows."""

    def forms(self, collection: Collection, *, batch_size: int = 1000) -> Iterator[Any]:
        yield from self.inner.rows(collection, batch_size=batch_size)


class _Backwards(_Reads):
    def forms(self, collection: Collection, *, batch_size: int = 1000) -> Iterator[Any]:
        for rows in self.inner.rows(collection, batch_size=batch_size):
            yield rows[::-1]


class _OtherForms(_Reads):
    def forms(self, collection: Collection, *, batch_size: int = 1000) -> Iterator[Any]:
        codec = RecordCodec(collection)
        for rows in self.inner.rows(collection, batch_size=batch_size):
            batch = codec.batch(codec.lines(rows)[0][:-1].replace(b"\n", b",\n"), 1)
            assert batch is not None
            assert batch.forms is not None
            columns = [["" if form is None else form for form in c] for c in batch.forms.columns]
            yield Forms(columns, functools.partial(list, rows))


class _LosesTheRest(_Reads):
    readers = 0

    def forms(self, collection: Collection, *, batch_size: int = 1000) -> Iterator[Any]:
        self.readers += 1
        own = self.readers
        for rows in self.inner.rows(collection, batch_size=batch_size):
            if own != self.readers:
                return
            yield rows


class _Bulks(View):
    """Has bulks, row by row."""

    @contextlib.contextmanager
    def bulk(self, collection: Collection, count: int) -> Iterator[Callable[[Any], None]]:
        assert count
        yield lambda batch: self.inner.insert(collection, _rows(batch))


class _BulkOfForms(_Bulks):
    @contextlib.contextmanager
    def bulk(self, collection: Collection, count: int) -> Iterator[Callable[[Any], None]]:
        assert count
        yield (
            lambda batch: (
                self.inner.insert(collection, batch.rows) if isinstance(batch, Forms) else None
            )
        )


class _BulkThatIgnores(_Bulks):
    @contextlib.contextmanager
    def bulk(self, collection: Collection, count: int) -> Iterator[Callable[[Any], None]]:
        assert count

        def insert(batch: Any) -> None:
            with contextlib.suppress(RecordsRefused):
                self.inner.insert(collection, _rows(batch))

        yield insert


def _rows(batch: Any) -> list[Row]:
    return batch.rows if isinstance(batch, Forms) else batch


BROKEN: Cases = {
    "forms backwards": (with_view(_Backwards), "forms_are_the_records"),
    "forms of others": (with_view(_OtherForms), "forms_are_the_records"),
    "forms that end": (with_view(_LosesTheRest), "other_calls_may_come_between_forms"),
    "bulks of forms": (with_view(_BulkOfForms), "a_bulk_is_what_was_given"),
    "bulks of anything": (with_view(_BulkThatIgnores), "a_bulk_is_refused_as_a_whole"),
}
