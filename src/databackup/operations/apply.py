"""Writing batches into a transaction, and naming the record that a store refuses.

Updates and inserts may stand in each other's way for a while: a unique value moves from one record
to another. What is refused is put off until the rest is written and tried again; records that pass
unique values around among themselves are taken out and put in anew.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from databackup.errors import Problem, RecordsRefused
from databackup.operations.locate import Unlocated
from databackup.repository import Row
from databackup.schema.secrets import WITHHELD, has_secrets
from databackup.spill import RowQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from databackup.repository import Transaction
    from databackup.schema import Collection

Refused = list[tuple[Row, RecordsRefused]]


class Writer:
    """Writes to one collection of a transaction.

    With `outside_columns` the store's records hold more than the schema says: then none of them is
    taken out to be put in anew.
    """

    def __init__(
        self, transaction: Transaction, collection: Collection, *, outside_columns: bool = False
    ) -> None:
        self._transaction = transaction
        self._collection = collection
        self._outside_columns = outside_columns
        self._insert = functools.partial(transaction.insert, collection)
        self._update = functools.partial(transaction.update, collection)
        self._delete = functools.partial(transaction.delete, collection)

    def insert(self, rows: list[Row]) -> list[Unlocated]:
        """Insert a batch; the problems of what the store refuses, row by row."""
        return self._problems(self._refused(self._insert, rows))

    def apply(
        self, deleted: Iterable[list[Row]], changed: Iterable[list[Row]], added: Iterable[list[Row]]
    ) -> list[Unlocated]:
        """Delete, update and insert; the problems of what the store refuses.

        `deleted` has keys, the others rows.
        """
        for keys in deleted:
            if refused := self._refused(self._delete, keys):
                key = self._collection.key
                return [_refusal(self._collection, k, key, k, why) for k, why in refused]
        with RowQueue() as updates, RowQueue() as inserts:
            self._put_off(self._update, changed, updates)
            self._put_off(self._insert, added, inserts)
            refused = self._update_again(updates)
            for rows in inserts.batches():
                refused += self._refused(self._insert, rows)
        return self._problems(refused)

    def _put_off(
        self, write: Callable[[list[Row]], None], batches: Iterable[list[Row]], later: RowQueue
    ) -> None:
        for rows in batches:
            try:
                with self._transaction.savepoint():
                    write(rows)
            except RecordsRefused:
                later.put(rows)

    def _update_again(self, waiting: RowQueue) -> Refused:
        """Update what is free by now, as long as that frees more; then take the rest by force.

        Last rows first: where each of many records takes over the next one's value, the last one is
        the one that is free.
        """
        before = waiting.count
        refused: Refused = []
        with RowQueue() as stuck:
            for rows in waiting.batches(backwards=True):
                refused = self._refused(self._update, rows[::-1])
                stuck.put([row for row, _ in refused])
            if not stuck.count:
                return []
            if stuck.count <= before // 2 or (self._outside_columns and stuck.count < before):
                return self._update_again(stuck)
            if self._outside_columns:
                return [
                    item for rows in stuck.batches() for item in self._refused(self._update, rows)
                ]
            return self._put_in_anew(stuck)

    def _put_in_anew(self, stuck: RowQueue) -> Refused:
        for rows in stuck.batches():
            self._transaction.delete(self._collection, list(map(self._collection.codec.key, rows)))
        return [item for rows in stuck.batches() for item in self._refused(self._insert, rows)]

    def _refused(self, write: Callable[[list[Row]], None], rows: list[Row]) -> Refused:
        """Write rows, by halves where the store refuses them, down to the single row.

        What is refused is returned with the store's reason.
        """
        try:
            with self._transaction.savepoint():
                write(rows)
        except RecordsRefused as error:
            if len(rows) == 1:
                return [(rows[0], error)]
            half = len(rows) // 2
            return self._refused(write, rows[:half]) + self._refused(write, rows[half:])
        return []

    def _problems(self, refused: Refused) -> list[Unlocated]:
        collection = self._collection
        names = collection.key or collection.field_names
        key = collection.codec.key if collection.key else tuple
        return [
            _refusal(collection, collection.codec.key(row), names, key(row), why)
            for row, why in refused
        ]


def _refusal(
    collection: Collection, key: Row, names: tuple[str, ...], values: Row, error: RecordsRefused
) -> Unlocated:
    problem = Problem(
        code="store-refuses",
        message=f"the store refuses the record: {_words(collection, error)}",
        collection=collection.name,
        key=key or None,
        field=error.field,
        expected=f"a {'value' if error.field else 'record'} that the store takes",
    )
    return Unlocated(problem, names, values)


def _words(collection: Collection, error: RecordsRefused) -> str:
    """Why a store refuses a record; a server's words may show all of it."""
    return WITHHELD if has_secrets(collection) else error.message
