"""Adapters that write wrongly."""

import contextlib
from collections.abc import Iterable
from typing import Any

from databackup.errors import RecordsRefused
from databackup.repository import Key, Row
from databackup.schema import Collection
from tests.testing.broken import Cases, View, broken_view, with_view


def _insert_or_replace(self: View, collection: Collection, rows: list[Row]) -> None:
    for row in rows:
        key = collection.codec.key(row)
        there = bool(key) and bool(self.inner.get(collection, [key]))
        (self.inner.update if there else self.inner.insert)(collection, [row])


def _insert_or_ignore(self: View, collection: Collection, rows: list[Row]) -> None:
    for row in rows:
        with contextlib.suppress(RecordsRefused):
            self.inner.insert(collection, [row])


def _update_or_insert(self: View, collection: Collection, rows: list[Row]) -> None:
    for row in rows:
        there = self.inner.get(collection, [collection.codec.key(row)])
        (self.inner.update if there else self.inner.insert)(collection, [row])


def _update_without_nulls(self: View, collection: Collection, rows: list[Row]) -> None:
    for row in rows:
        old = self.inner.get(collection, [collection.codec.key(row)])
        new = tuple(o if n is None else n for n, o in zip(row, old[0], strict=True)) if old else row
        self.inner.update(collection, [new])


def _silent_delete(self: View, collection: Collection, keys: list[Key]) -> None:
    for key in keys:
        with contextlib.suppress(RecordsRefused):
            self.inner.delete(collection, [key])


def _cascading_delete(self: View, collection: Collection, keys: list[Key]) -> None:
    self.inner.delete(collection, keys)
    schema = self.inner._tables
    for table in schema.values():
        for reference in table.collection.references:
            if reference.collection == collection.name and table.collection.key:
                lost = self.inner.dangling(table.collection, reference, 1000)
                names = table.collection.field_names
                at = [names.index(name) for name in reference.fields]
                rows = [row for batch in self.inner.rows(table.collection) for row in batch]
                gone = [row for row in rows if tuple(row[i] for i in at) in lost]
                own = [table.collection.codec.key(row) for row in gone]
                self.inner.delete(table.collection, own)


def _no_clear_without_a_key(self: View, collection: Collection) -> None:
    if collection.key:
        self.inner.clear(collection)


def _distinct_records(self: View, collection: Collection, rows: list[Row]) -> None:
    self.inner.insert(collection, list(dict.fromkeys(rows)) if not collection.key else rows)


def _eager_references(self: View, collection: Collection, rows: list[Row]) -> None:
    self.inner.insert(collection, rows)
    for reference in collection.references:
        if self.inner.dangling(collection, reference, 1):
            raise RecordsRefused("FOREIGN KEY constraint failed")


def _insert_into_an_empty_collection(self: View, collection: Collection, rows: list[Row]) -> None:
    if rows:
        self.inner.clear(collection)
    self.inner.insert(collection, rows)


def _insert_few(self: View, collection: Collection, rows: list[Row]) -> None:
    if len(rows) > 999:
        raise OSError("too many SQL variables")
    self.inner.insert(collection, rows)


def _insert_something(self: View, collection: Collection, rows: list[Row]) -> None:
    if not rows:
        raise OSError("syntax error near )")
    self.inner.insert(collection, rows)


def _delete_by_the_first_part(self: View, collection: Collection, keys: list[Key]) -> None:
    rows = [row for batch in self.inner.rows(collection) for row in batch]
    own = collection.codec.key
    firsts = {key[0] for key in keys}
    self.inner.delete(collection, keys)
    also = [own(row) for row in rows if own(row)[0] in firsts and own(row) not in keys]
    self.inner.delete(collection, also)


class _SeesOnlyTheCommitted(View):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.before = {n: list(t.entries.items()) for n, t in inner._tables.items()}

    def get(self, collection: Collection, keys: Iterable[Key]) -> list[Row]:
        there = dict(self.before[collection.name])
        return [there[key].row for key in keys if key in there]


BROKEN: Cases = {
    "replaces duplicates": (
        broken_view("B", insert=_insert_or_replace),
        "inserting_a_taken_key_is_refused",
    ),
    "ignores duplicates": (
        broken_view("B", insert=_insert_or_ignore),
        "inserting_a_taken_key_is_refused",
    ),
    "update inserts": (
        broken_view("B", update=_update_or_insert),
        "updating_a_missing_key_is_refused",
    ),
    "update keeps nulls": (
        broken_view("B", update=_update_without_nulls),
        "updated_records_have_the_new_values",
    ),
    "update does nothing": (
        broken_view("B", update=lambda *_: None),
        "updated_records_have_the_new_values",
    ),
    "silent delete": (broken_view("B", delete=_silent_delete), "deleting_a_missing_key_is_refused"),
    "cascades": (
        broken_view("B", delete=_cascading_delete),
        "nothing_else_goes_with_what_is_removed",
    ),
    "clear needs a key": (
        broken_view("B", clear=_no_clear_without_a_key),
        "cleared_collections_are_empty",
    ),
    "distinct records": (
        broken_view("B", insert=_distinct_records),
        "equal_records_without_a_key_are_kept",
    ),
    "references at once": (
        broken_view("B", insert=_eager_references),
        "references_may_be_broken_in_the_middle",
    ),
    "insert replaces all": (
        broken_view("B", insert=_insert_into_an_empty_collection),
        "inserted_records_are_there",
    ),
    "insert of few": (broken_view("B", insert=_insert_few), "a_call_takes_many_records"),
    "insert of nothing": (broken_view("B", insert=_insert_something), "a_call_takes_no_records"),
    "deletes too much": (
        broken_view("B", delete=_delete_by_the_first_part),
        "deleted_records_are_gone",
    ),
    "sees the committed": (with_view(_SeesOnlyTheCommitted), "a_transaction_sees_what_it_wrote"),
}
