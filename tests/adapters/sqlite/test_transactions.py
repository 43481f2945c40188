import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import (
    CommitUnknown,
    RecordsRefused,
    StoreError,
    StoreFailed,
    StoreLocked,
)
from databackup.schema import Collection, Reference, Schema
from tests.adapters.sqlite.helpers import Undo, failing, insert, read, rows_of, undone
from tests.support import sqlite

SCHEMA = Schema(collections=[Collection("notes", key="id", fields={"id": int, "text": str})])
TABLE = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"
NOTES = SCHEMA["notes"]

Make = Callable[..., Path]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_snapshot_stands_from_its_start(database: Make, mode: str) -> None:
    """What others commit after a snapshot began is not in it, even before its first record is read.

    A rollback journal lets them commit only when it has ended.
    """
    path = database(TABLE, "INSERT INTO notes VALUES (1, 'a')")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        other.execute(f"PRAGMA journal_mode = {mode}")
        repository = SQLiteRepository(path, SCHEMA)
        with repository.snapshot() as snapshot:
            refused = pytest.raises(sqlite3.OperationalError, match="locked")
            with refused if mode == "delete" else contextlib.nullcontext():
                other.execute("INSERT INTO notes VALUES (2, 'b')")
            assert [(1, "a")] == rows_of(repository, snapshot, "notes")


def test_a_snapshot_is_one_transaction(database: Make) -> None:
    """Reading is in a transaction of its own, which the module's legacy mode does not begin."""
    repository = SQLiteRepository(database(TABLE), SCHEMA)
    with repository.snapshot() as snapshot:
        assert snapshot._connection.in_transaction
        assert snapshot._connection.isolation_level is None


def test_the_block_commits_and_an_exception_rolls_back(database: Make) -> None:
    """The end of the block keeps everything; an exception keeps nothing and comes out unchanged."""
    path = database(TABLE)
    repository = SQLiteRepository(path, SCHEMA)
    insert(repository, "notes", (1, "a"))
    error = Undo()

    def fail() -> None:
        with repository.transaction() as transaction:
            transaction.insert(NOTES, [(2, "b")])
            transaction.delete(NOTES, [(1,)])
            raise error

    with pytest.raises(Undo) as caught:
        fail()
    assert error is caught.value
    assert [(1, "a")] == sqlite.query(path, "SELECT * FROM notes")


def test_an_outermost_savepoint_does_not_commit(database: Make) -> None:
    """Releasing a savepoint keeps nothing: SQLite's RELEASE commits where no BEGIN came before."""
    path = database(TABLE)
    repository = SQLiteRepository(path, SCHEMA)
    with undone(repository) as transaction, transaction.savepoint():
        transaction.insert(NOTES, [(1, "a")])
    assert [] == sqlite.query(path, "SELECT * FROM notes")


def test_a_savepoint_undoes_its_part(database: Make) -> None:
    """What an exception leaves a savepoint with is undone, the rest stays; they nest."""
    repository = SQLiteRepository(database(TABLE), SCHEMA)
    with repository.transaction() as transaction:
        transaction.insert(NOTES, [(1, "a")])
        with transaction.savepoint():
            transaction.insert(NOTES, [(2, "b")])
            with contextlib.suppress(Undo), transaction.savepoint():
                transaction.insert(NOTES, [(3, "c")])
                raise Undo
        with pytest.raises(RecordsRefused), transaction.savepoint():
            transaction.insert(NOTES, [(4, "d"), (1, "again")])
    assert [(1, "a"), (2, "b")] == read(repository, "notes")


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_second_writer_waits_and_is_refused(database: Make, mode: str) -> None:
    """While one transaction is open, another is refused after its wait, and a reader is not."""
    path = database(TABLE, "INSERT INTO notes VALUES (1, 'a')")
    sqlite.query(path, f"PRAGMA journal_mode = {mode}")
    repository = SQLiteRepository(path, SCHEMA)
    with repository.transaction() as transaction:
        transaction.insert(NOTES, [(2, "b")])
        with pytest.raises(StoreLocked, match="locked"), repository.transaction(wait=0.05):
            pass
        assert [(1, "a")] == read(repository, "notes")
    with repository.transaction(wait=0):
        pass


def test_the_lock_is_taken_at_once(database: Make) -> None:
    """In WAL mode a transaction that has read fails to write after others have: BEGIN IMMEDIATE."""
    path = database(TABLE)
    sqlite.query(path, "PRAGMA journal_mode = wal")
    repository = SQLiteRepository(path, SCHEMA)
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
        with repository.transaction() as transaction:
            assert 0 == transaction.count(NOTES)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("INSERT INTO notes VALUES (2, 'b')")
            transaction.insert(NOTES, [(1, "a")])
        other.rollback()
        other.execute("INSERT INTO notes VALUES (2, 'b')")
        other.commit()
    assert [(1, "a"), (2, "b")] == read(repository, "notes")


def test_a_locked_database_is_named(database: Make) -> None:
    """A database that another holds for itself alone is locked for readers, too."""
    path = database(TABLE)
    repository = SQLiteRepository(lambda: sqlite3.connect(path, timeout=0), SCHEMA)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreLocked), repository.transaction(wait=0):
            pass
        other.execute("ROLLBACK")


def test_a_writer_waits_for_the_other_one(database: Make) -> None:
    """The wait is the transaction's own, whatever the host's connection was opened with."""
    path = database(TABLE)
    repository = SQLiteRepository(lambda: sqlite3.connect(path, timeout=0), SCHEMA)
    assert 0 == len(read(repository, "notes"))
    held = threading.Event()

    def hold() -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            held.set()
            time.sleep(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with repository.transaction(wait=20) as transaction:
        transaction.insert(NOTES, [(1, "a")])
    thread.join()
    assert [(1, "a")] == read(repository, "notes")


def test_a_commit_that_readers_block_is_rolled_back(database: Make) -> None:
    """A COMMIT that has to wait for a reader too long leaves the transaction open: it is undone."""
    path = database(TABLE)
    repository = SQLiteRepository(path, SCHEMA)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM notes").fetchall()
        with failing(repository, StoreLocked, "nothing was committed", wait=0.01) as transaction:
            transaction.insert(NOTES, [(1, "a")])
        reader.execute("COMMIT")
    assert [] == sqlite.query(path, "SELECT * FROM notes")


class Scripted(sqlite3.Connection):
    """A connection that does something of its own for some statements."""

    scripts: dict[str, Callable[["Scripted"], None]]

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        """Do what the script says, then execute."""
        if sql in self.scripts:
            self.scripts[sql](self)
        return super().execute(sql, *arguments)


def scripted(path: Path, **scripts: Callable[[Scripted], None]) -> SQLiteRepository:
    """A repository whose connections have scripts by statement."""
    factory = type("_Scripted", (Scripted,), {"scripts": scripts})
    return SQLiteRepository(lambda: sqlite3.connect(path, factory=factory), SCHEMA)


def test_a_lost_commit_is_unknown(database: Make) -> None:
    """A COMMIT that fails and leaves no transaction behind has an unknown outcome, and says so."""

    def fail(connection: Scripted) -> None:
        connection.rollback()
        raise sqlite3.OperationalError("disk I/O error")

    repository = scripted(database(TABLE), COMMIT=fail)
    with failing(repository, CommitUnknown, "disk I/O error") as transaction:
        transaction.insert(NOTES, [(1, "a")])


def test_a_full_disk_leaves_everything_as_it_was(database: Make) -> None:
    """A database that may not grow refuses the import and is as before."""
    path = database(TABLE, "INSERT INTO notes VALUES (1, 'a')")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA max_page_count = 3")
        return connection

    before = sqlite.dump(path)
    repository = SQLiteRepository(connect, SCHEMA)
    with failing(repository, StoreFailed, "full") as transaction:
        transaction.insert(NOTES, [(n, "x" * 1000) for n in range(2, 100)])
    assert before == sqlite.dump(path)


@pytest.mark.parametrize("write", ["insert", "update", "delete", "clear", "savepoint", "finish"])
def test_nothing_is_written_after_sqlite_has_ended_the_transaction(
    database: Make, write: str
) -> None:
    """Once SQLite has rolled back by itself, no later write may commit on its own."""
    path = database(TABLE, "INSERT INTO notes VALUES (1, 'a')")
    before = sqlite.dump(path)
    repository = SQLiteRepository(path, SCHEMA)
    writes: dict[str, Callable[[Any], Any]] = {
        "insert": lambda transaction: transaction.insert(NOTES, [(3, "c")]),
        "update": lambda transaction: transaction.update(NOTES, [(1, "c")]),
        "delete": lambda transaction: transaction.delete(NOTES, [(1,)]),
        "clear": lambda transaction: transaction.clear(NOTES),
        "savepoint": lambda transaction: transaction.savepoint().__enter__(),
        "finish": lambda transaction: transaction.finish({}),
    }
    with failing(repository, StoreFailed, "ended the transaction") as t:
        t.insert(NOTES, [(2, "b")])
        t._connection.execute("ROLLBACK")
        writes[write](t)
    assert before == sqlite.dump(path)


def test_a_transaction_that_sqlite_has_ended_is_not_committed(database: Make) -> None:
    """The end of the block, too, sees that there is no transaction any more."""
    repository = SQLiteRepository(database(TABLE), SCHEMA)
    with failing(repository, StoreFailed, "ended the transaction") as t:
        t.insert(NOTES, [(2, "b")])
        t.finish({})
        t._connection.execute("ROLLBACK")


def test_a_batch_that_ends_the_transaction_is_noticed_at_once(database: Make) -> None:
    """A trigger of the host's can end the transaction; the batch that made it do so fails."""
    path = database(
        TABLE,
        "CREATE TABLE log (id INTEGER PRIMARY KEY)",
        "CREATE TRIGGER stop BEFORE INSERT ON notes BEGIN SELECT RAISE(ROLLBACK, 'no more'); END",
    )
    repository = SQLiteRepository.reflect(path)
    with failing(repository, StoreFailed, "transaction was ended") as t:
        for trigger in t._suspended:
            t._connection.execute(str(trigger.sql))
        t.insert(repository.schema["notes"], [(1, "a")])


def test_foreign_keys_are_switched_off_outside_the_transaction(database: Make) -> None:
    """The pragma does nothing within a transaction: it is set before, and read back."""
    path = database(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
        "CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL"
        " REFERENCES parents ON DELETE CASCADE)",
        "INSERT INTO parents VALUES (1)",
        "INSERT INTO children VALUES (1, 1)",
    )

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    repository = SQLiteRepository.reflect(connect)
    parents = repository.schema["parents"]
    with repository.transaction() as transaction:
        transaction.delete(parents, [(1,)])
        transaction.insert(repository.schema["children"], [(2, 7)])
        assert [(1, 1), (2, 7)] == rows_of(repository, transaction, "children")
        transaction.insert(parents, [(1,), (7,)])
    assert [(1, 1), (2, 7)] == sqlite.query(path, "SELECT * FROM children")


def test_a_connection_that_goes_on_enforcing_is_refused(
    database: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the pragma did not take, no transaction begins."""
    from databackup.adapters.sqlite import lease as module  # noqa: PLC0415

    monkeypatch.setattr(module, "pragma", lambda *_: 1)
    repository = SQLiteRepository(database(TABLE), SCHEMA)
    with pytest.raises(StoreFailed, match="enforcing foreign keys"), repository.transaction():
        pass


CYCLE = Schema(
    collections=[
        Collection(
            "a",
            key="id",
            fields={"id": int, "b": int | None},
            references=[Reference("b", "b")],
        ),
        Collection("b", key="id", fields={"id": int, "a": int}, references=[Reference("a", "a")]),
    ]
)


def test_cycles_are_written_in_any_order(path: Path) -> None:
    """References need to hold only at the end, whatever the order of writes."""
    repository = sqlite.repository(path, CYCLE)
    with repository.transaction() as transaction:
        transaction.insert(CYCLE["b"], [(1, 1), (2, 9)])
        transaction.insert(CYCLE["a"], [(1, 2), (3, None)])
        found = transaction.dangling(CYCLE["b"], CYCLE["b"].references[0], 5)
        assert [(9,)] == found
        transaction.update(CYCLE["b"], [(2, 3)])
        assert [] == transaction.dangling(CYCLE["b"], CYCLE["b"].references[0], 5)
        assert [] == transaction.dangling(CYCLE["a"], CYCLE["a"].references[0], 5)


@pytest.mark.parametrize("trigger", [True, False])
def test_an_open_iterator_survives_a_rollback_to_a_savepoint(database: Make, trigger: bool) -> None:
    """Reading goes on where it was, in key order, when a savepoint is rolled back.

    In a transaction that has dropped a trigger, SQLite itself ends open queries then.
    """
    audit = "CREATE TRIGGER audit AFTER INSERT ON notes BEGIN SELECT 1; END"
    path = database(
        TABLE,
        *([audit] if trigger else []),
        "INSERT INTO notes SELECT value, 'a' FROM (WITH RECURSIVE n(value) AS "
        "(SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 50) SELECT value FROM n)",
    )
    repository = SQLiteRepository(path, SCHEMA)
    with undone(repository) as transaction:
        batches = transaction.rows(NOTES, batch_size=7)
        found = []
        for number in range(8):
            found += next(batches)
            with contextlib.suppress(Undo), transaction.savepoint():
                transaction.insert(NOTES, [(100 + number, "new")])
                transaction.update(NOTES, [(50, "changed")])
                raise Undo
        assert [] == list(batches)
        assert [(n, "a") for n in range(1, 51)] == found


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE t (x)",
        "CREATE TABLE t (x, rowid)",
        "CREATE TABLE t (x TEXT PRIMARY KEY COLLATE NOCASE, y)",
        "CREATE TABLE t (x, y INTEGER, PRIMARY KEY (y, x)) WITHOUT ROWID",
    ],
)
def test_any_table_is_read_on_after_a_rollback(database: Make, table: str) -> None:
    """Reading goes on with and without a key, with text that is no UTF-8 in it, too."""
    path = database(table, "CREATE TRIGGER audit AFTER DELETE ON t BEGIN SELECT 1; END")
    columns = len(sqlite.query(path, "PRAGMA table_info(t)"))
    for n, value in enumerate(["'a'", "'B'", "CAST(x'ff' AS TEXT)", "'ä'", "x'ff'", "7", "'z'"]):
        values = [value, str(n)][:columns]
        sqlite.run(path, f"INSERT INTO t VALUES ({', '.join(values)})")
    repository = SQLiteRepository.reflect(path)
    collection = repository.schema["t"]
    expected = read(repository, "t")
    with undone(repository) as transaction:
        found = []
        for rows in transaction.rows(collection, batch_size=1):
            found += rows
            with contextlib.suppress(Undo), transaction.savepoint():
                transaction.clear(collection)
                raise Undo
        assert expected == found
        assert 7 == len(found)


def test_what_cannot_be_read_on_says_so(database: Make) -> None:
    """Without a key and without a name for the row's number reading ends with an error."""
    path = database(
        "CREATE TABLE t (rowid, oid, _rowid_)",
        "INSERT INTO t VALUES (1, 2, 3), (4, 5, 6)",
    )
    repository = SQLiteRepository.reflect(path)
    assert [("1", "2", "3")] != read(repository, "t")
    with undone(repository) as transaction:
        batches = transaction.rows(repository.schema["t"], batch_size=1)
        next(batches)
        with contextlib.suppress(Undo), transaction.savepoint():
            raise Undo
        with pytest.raises(StoreError, match="cannot be read on"):
            next(batches)


def test_reading_goes_on_while_other_records_are_written(database: Make) -> None:
    """Records changed, added and deleted behind the reader do not disturb it."""
    path = database(
        TABLE,
        "INSERT INTO notes SELECT value, 'a' FROM (WITH RECURSIVE n(value) AS "
        "(SELECT 10 UNION ALL SELECT value + 10 FROM n WHERE value < 500) SELECT value FROM n)",
    )
    repository = SQLiteRepository(path, SCHEMA)
    with repository.transaction() as transaction:
        found = []
        for rows in transaction.rows(NOTES, batch_size=3):
            found += rows
            transaction.update(NOTES, [(n, "b") for n, _ in rows])
            transaction.delete(NOTES, [rows[0][:1]])
            transaction.insert(NOTES, [(n - 5, "new") for n, _ in rows])
        assert [(n, "a") for n in range(10, 501, 10)] == found
    assert 50 + 33 == len(read(repository, "notes"))


def test_the_store_survives_a_repository_that_forgets_to_finish(database: Make) -> None:
    """Triggers are restored though `finish` is never called."""
    trigger = "CREATE TRIGGER audit AFTER INSERT ON notes BEGIN SELECT 1; END"
    path = database(TABLE, trigger)
    repository = SQLiteRepository(path, SCHEMA)
    with repository.transaction() as transaction:
        transaction.insert(NOTES, [(1, "a")])
    found = sqlite.query(path, "SELECT sql FROM sqlite_master WHERE type = 'trigger'")
    assert [(trigger,)] == found
