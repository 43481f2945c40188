"""Short ways to what most of these tests do."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from databackup.adapters.sqlite import SQLiteRepository
from databackup.adapters.sqlite.transaction import SQLiteTransaction
from databackup.repository import Row, Snapshot


def read(repository: SQLiteRepository, name: str) -> list[Row]:
    """All records of a collection in a snapshot of their own."""
    with repository.snapshot() as snapshot:
        return rows_of(repository, snapshot, name)


def rows_of(repository: SQLiteRepository, view: Snapshot, name: str) -> list[Row]:
    """All records of a collection that a snapshot or transaction sees."""
    return [row for rows in view.rows(repository.schema[name]) for row in rows]


def insert(repository: SQLiteRepository, name: str, *rows: Row) -> None:
    """Insert records in a transaction of their own."""
    with repository.transaction() as transaction:
        transaction.insert(repository.schema[name], list(rows))
        transaction.finish({})


@contextlib.contextmanager
def failing(
    repository: SQLiteRepository, error: type[Exception], match: str | None = None, **options: Any
) -> Iterator[SQLiteTransaction]:
    """A transaction that must end in an error."""
    with pytest.raises(error, match=match), repository.transaction(**options) as transaction:
        yield transaction


class Undo(Exception):
    """Raised to leave a transaction."""


@contextlib.contextmanager
def undone(repository: SQLiteRepository, **options: Any) -> Iterator[SQLiteTransaction]:
    """A transaction that is rolled back."""
    with contextlib.suppress(Undo), repository.transaction(**options) as transaction:
        yield transaction
        raise Undo
