"""Many rows in one statement: the same rows are stored, and the same row is blamed."""

import contextlib
import io
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from databackup import Collection, Schema, import_all
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import RecordsNotTaken, RecordsRefused
from tests.adapters.sqlite.helpers import insert, read, undone
from tests.archive.support import archive_of

Make = Callable[..., Path]

NUMBERS = Schema(
    collections=[Collection("t", key="id", fields={"id": int, "n": int | None, "s": str})]
)
TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER UNIQUE CHECK (n <> 7), s TEXT NOT NULL)"


def statements_of(repository: SQLiteRepository, rows: list[Any]) -> list[str]:
    """The INSERT statements that storing rows takes."""
    found: list[str] = []
    with undone(repository) as transaction:
        transaction._connection.set_trace_callback(found.append)
        transaction.insert(repository.schema["t"], rows)
        transaction._connection.set_trace_callback(None)
    return [sql for sql in found if sql.startswith("INSERT")]


@pytest.mark.parametrize(
    "rows, statements", [(1, 1), (31, 31), (32, 1), (33, 2), (64, 2), (70, 8), (1000, 39)]
)
def test_rows_go_into_statements_by_the_score(database: Make, rows: int, statements: int) -> None:
    """As many whole groups of 32 as there are, and the others one by one."""
    repository = SQLiteRepository(database(TABLE), NUMBERS)
    given_rows = [(n, None if n % 3 else n + 10, str(n)) for n in range(rows)]
    assert statements == len(statements_of(repository, given_rows))
    insert(repository, "t", *given_rows)
    assert given_rows == read(repository, "t")


@pytest.mark.parametrize("limit, statements", [(96, 2), (95, 4), (6, 32), (5, 64), (3, 64)])
def test_a_limit_on_parameters(database: Make, limit: int, statements: int) -> None:
    """A connection may allow fewer parameters than 32 rows have."""
    path = database(TABLE)

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, limit)
        return connection

    repository = SQLiteRepository(connect, NUMBERS)
    rows = [(n, n + 10, "x") for n in range(64)]
    assert statements == len(statements_of(repository, rows))


def test_a_table_wider_than_a_statement(database: Make) -> None:
    """A table may have so many columns that a statement holds few rows."""
    columns = ", ".join(f"c{n} INTEGER" for n in range(1500))
    repository = SQLiteRepository.reflect(
        database(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns})")
    )
    rows = [tuple(range(n, n + 1501)) for n in range(50)]
    insert(repository, "t", *rows)
    assert rows == read(repository, "t")


@pytest.mark.parametrize("place", [0, 1, 31, 32, 63, 64, 95, 96, 98])
@pytest.mark.parametrize(
    "wrong", [(None, None), (7, "s"), (1050, "s"), (2**63, "s"), (5, "\ud800")], ids=str
)
def test_a_record_among_many_is_refused(database: Make, place: int, wrong: tuple[Any, Any]) -> None:
    """One of a hundred records is refused, wherever it stands."""
    repository = SQLiteRepository(database(TABLE), NUMBERS)
    rows: list[Any] = [(n, n + 1000, "s") for n in range(99)]
    rows.insert(place, (10_000, *wrong))
    with undone(repository) as transaction, pytest.raises(RecordsRefused):
        transaction.insert(repository.schema["t"], rows)
    assert [] == read(repository, "t")


@pytest.mark.parametrize("place", [0, 31, 32, 63, 64, 98])
def test_an_import_names_the_record(database: Make, place: int) -> None:
    """By its number and key, wherever in a statement it stands."""
    path = database(TABLE)
    repository = SQLiteRepository(path, NUMBERS)
    rows = [(n, 7 if n == place else n + 100, "s") for n in range(99)]
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(repository, io.BytesIO(archive_of(NUMBERS, {"t": rows})))
    (problem,) = caught.value.problems
    assert ("store-refuses", place + 1, (place,)) == (problem.code, problem.record, problem.key)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert (0,) == connection.execute("SELECT count(*) FROM t").fetchone()
