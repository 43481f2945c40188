"""Writing batches into a transaction, and naming the record that a store refuses.

Updates and inserts may stand in each other's way for a while: a unique value moves from one record
to another. What is refused is put off until the rest is written and tried again; two records that
exchange a unique value are taken out and put in anew.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from databackup.errors import Problem, RecordsRefused
from databackup.operations.locate import Unlocated
from databackup.spill import RowQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from databackup.repository import Transaction
    from databackup.schema import Collection

Row = tuple[Any, ...]


class Writer:
    """Writes to one collection of a transaction."""

    def __init__(
        self, transaction: Transaction, collection: Collection, *, outside_columns: bool = False
    ) -> None:
        self._transaction = transaction
        self._collection = collection
        self._outside_columns = outside_columns
        self._insert = functools.partial(transaction.insert, collection)
        self._update = functools.partial(transaction.update, collection)

    def insert(self, rows: list[Row]) -> list[tuple[Row, str]]:
        """Insert a batch. What the store refuses is returned with its reason, row by row."""
        return self._refused(self._insert, rows)

    def apply(
        self, deleted: Iterable[list[Row]], changed: Iterable[list[Row]], added: Iterable[list[Row]]
    ) -> list[tuple[Row, str]]:
        """Delete, update and insert; what the store refuses is returned with its reason.

        `deleted` has keys, the others rows.
        """
        delete = functools.partial(self._transaction.delete, self._collection)
        refused = [item for keys in deleted for item in self._refused(delete, keys)]
        with RowQueue() as updates, RowQueue() as inserts:
            self._put_off(self._update, changed, updates)
            self._put_off(self._insert, added, inserts)
            left = self._retry(updates.batches(), inserts.batches())
        return refused + left

    def _put_off(
        self, write: Callable[[list[Row]], None], batches: Iterable[list[Row]], later: RowQueue
    ) -> None:
        for rows in batches:
            if not self._try(write, rows):
                later.put(rows)

    def _retry(
        self, updates: Iterable[list[Row]], inserts: Iterable[list[Row]]
    ) -> list[tuple[Row, str]]:
        stuck = [item for rows in updates for item in self._refused(self._update, rows)]
        while stuck:
            again = self._refused(self._update, [row for row, _ in stuck])
            if len(again) == len(stuck):
                break
            stuck = again
        if stuck and not self._outside_columns and self._exchange([row for row, _ in stuck]):
            stuck = []
        return stuck + [item for rows in inserts for item in self._refused(self._insert, rows)]

    def _exchange(self, rows: list[Row]) -> bool:
        keys = [self._collection.codec.key(row) for row in rows]

        def write(rows: list[Row]) -> None:
            self._transaction.delete(self._collection, keys)
            self._transaction.insert(self._collection, rows)

        return self._try(write, rows)

    def _try(self, write: Callable[[list[Row]], None], rows: list[Row]) -> bool:
        try:
            with self._transaction.savepoint():
                write(rows)
        except RecordsRefused:
            return False
        return True

    def _refused(
        self, write: Callable[[list[Row]], None], rows: list[Row]
    ) -> list[tuple[Row, str]]:
        """Write rows, by halves where the store refuses them, down to the single row."""
        try:
            with self._transaction.savepoint():
                write(rows)
        except RecordsRefused as error:
            if len(rows) == 1:
                return [(rows[0], error.message)]
            half = len(rows) // 2
            return self._refused(write, rows[:half]) + self._refused(write, rows[half:])
        return []


def refusal(collection: Collection, row: Row, reason: str) -> Unlocated:
    """The problem of a record, or of a key to delete, that the store refuses."""
    whole = len(row) == len(collection.fields)
    key = collection.codec.key(row) if whole else row
    problem = Problem(
        code="store-refuses",
        message=f"the store refuses the record: {reason}",
        collection=collection.name,
        key=key or None,
        expected="a record that the store takes",
    )
    if collection.key:
        return Unlocated(problem, collection.key, key)
    return Unlocated(problem, collection.field_names, row)
