import contextlib
import datetime
import io
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import FileError, SchemaError, StoreError, StoreFailed, StoreLocked
from databackup.repository import Repository, Snapshot, Transaction
from databackup.schema import Collection, Schema
from tests.adapters.sqlite.helpers import Undo, failing, insert, read, undone
from tests.support import sqlite

SCHEMA = Schema(collections=[Collection("notes", key="id", fields={"id": int, "text": str})])
TABLE = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"
NOTES = SCHEMA["notes"]

Make = Callable[..., Path]


def test_it_is_a_repository(database: Make) -> None:
    """The repository, its snapshots and its transactions have all that the protocol asks for."""
    repository = SQLiteRepository(database(TABLE), SCHEMA)
    assert isinstance(repository, Repository)
    with repository.snapshot() as snapshot:
        assert isinstance(snapshot, Snapshot)
    with undone(repository) as transaction:
        assert isinstance(transaction, Transaction)
    assert "sqlite" == repository.capabilities.name
    assert repr(repository).startswith("SQLiteRepository(")


def test_a_missing_file_is_named_and_not_created(path: Path) -> None:
    """A path without a file is a FileError, and no empty database appears there."""
    repository = SQLiteRepository(path, SCHEMA)
    for use in (repository.snapshot, repository.transaction):
        with pytest.raises(FileError, match="does not exist") as caught, use():
            pass
        assert str(path) == caught.value.path
    assert not path.exists()


def test_a_file_that_vanishes_is_not_created(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself, too, is told to create no file."""
    monkeypatch.setattr(Path, "open", lambda *_: io.BytesIO())
    with pytest.raises(StoreFailed, match="unable to open"):
        SQLiteRepository.reflect(path)
    assert not path.exists()


@pytest.mark.parametrize("name", ["pipe", "nul\0.db"])
def test_what_cannot_be_a_database_is_named(tmp_path: Path, name: str) -> None:
    """A pipe, which nobody may ever write to, is not waited for; no path holds a NUL."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError) as caught, SQLiteRepository(tmp_path / name, SCHEMA).snapshot():
        pass
    assert str(tmp_path / name) == caught.value.path


def test_a_folder_is_named(tmp_path: Path) -> None:
    """A folder is a FileError."""
    with pytest.raises(FileError, match="is a folder"):
        SQLiteRepository.reflect(tmp_path)


def test_a_file_that_cannot_be_read_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without permission to read is a FileError that says so."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path.touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FileError, match="cannot be read: Permission denied"):
        SQLiteRepository.reflect(path)


def test_a_file_of_another_kind_is_refused(path: Path) -> None:
    """A file that is no SQLite database is refused with the engine's own words."""
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(StoreFailed, match="file is not a database") as caught:
        SQLiteRepository.reflect(path)
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)


def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    """Characters that mean something in a URI are part of the name."""
    path = tmp_path / "a?mode=memory#ü %41.db"
    sqlite.run(path, TABLE)
    repository = SQLiteRepository(str(path), SCHEMA)
    insert(repository, "notes", (1, "a"))
    assert [(1, "a")] == read(repository, "notes")
    assert [(1, "a")] == sqlite.query(path, "SELECT * FROM notes")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="lists open files in /proc")
def test_connections_to_a_path_are_closed(database: Make) -> None:
    """After a snapshot, a transaction and a failure no file is open that was not before."""
    repository = SQLiteRepository(database(TABLE), SCHEMA)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    read(repository, "notes")
    insert(repository, "notes", (1, "a"))
    with contextlib.suppress(Undo), repository.snapshot() as snapshot:
        next(snapshot.rows(NOTES))
        raise Undo
    assert before == len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_a_callable_gives_a_fresh_connection_each_time(database: Make) -> None:
    """A callable is asked for every snapshot and transaction; what it gives is closed."""
    path = database(TABLE)
    given: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        given.append(sqlite3.connect(path))
        return given[-1]

    repository = SQLiteRepository(connect, SCHEMA)
    insert(repository, "notes", (1, "a"))
    assert [(1, "a")] == read(repository, "notes")
    assert len(given) > 1
    for connection in given:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_what_a_callable_gives_is_checked(path: Path) -> None:
    """A callable that gives something else, or fails, is refused as a store that cannot open."""
    with pytest.raises(StoreError, match="returned int"):
        SQLiteRepository.reflect(lambda: 1)  # type: ignore[arg-type, return-value]
    with pytest.raises(StoreFailed, match="unable to open"):
        SQLiteRepository.reflect(lambda: sqlite3.connect(path / "nowhere"))


def test_what_is_no_database_is_a_type_error() -> None:
    """Neither a path nor a connection nor a callable is a mistake in the host's code."""
    with pytest.raises(TypeError, match="not int"):
        SQLiteRepository(1, SCHEMA)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"datetimes": "iso"}, {"types": "guess"}])
def test_unknown_options_are_refused(path: Path, options: dict[str, str]) -> None:
    """An option's value that there is not is a SchemaError listing those there are."""
    with pytest.raises(SchemaError, match="expected one of"):
        SQLiteRepository.reflect(path, **options)  # type: ignore[arg-type]


@contextlib.contextmanager
def host() -> Iterator[sqlite3.Connection]:
    """A connection of the host's own."""
    with contextlib.closing(sqlite3.connect(":memory:", timeout=3)) as connection:
        connection.execute(TABLE)
        connection.commit()
        yield connection


def test_a_connection_of_the_host_is_used_as_it_is() -> None:
    """Records go into the host's own in-memory database, and come from it."""
    with host() as connection:
        repository = SQLiteRepository(connection, SCHEMA)
        insert(repository, "notes", (1, "a"))
        assert [(1, "a")] == connection.execute("SELECT * FROM notes").fetchall()
        assert [(1, "a")] == read(repository, "notes")


def test_a_connection_of_the_host_gets_its_settings_back() -> None:
    """After use, and after a failure, all settings are what the host made them."""

    def settings() -> tuple[object, ...]:
        pragmas = ("foreign_keys", "busy_timeout", "query_only", "cache_size")
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
        return (connection.isolation_level, connection.row_factory, connection.text_factory, *found)

    with host() as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.row_factory = sqlite3.Row
        connection.text_factory = bytes
        connection.isolation_level = "EXCLUSIVE"
        before = settings()
        repository = SQLiteRepository(connection, SCHEMA)
        insert(repository, "notes", (1, "a"))
        assert [(1, "a")] == read(repository, "notes")
        with undone(repository, wait=0.5):
            pass
        assert before == settings()
        assert ("EXCLUSIVE", sqlite3.Row, bytes, 1, 3000, 0, -2000) == before


def test_a_connection_in_a_transaction_is_refused() -> None:
    """What the host has not committed is neither kept nor lost by us."""
    with host() as connection:
        repository = SQLiteRepository(connection, SCHEMA)
        connection.execute("INSERT INTO notes VALUES (1, 'mine')")
        for use in (repository.snapshot, repository.transaction):
            with pytest.raises(StoreError, match="in a transaction"), use():
                pass
        assert connection.in_transaction
        connection.rollback()
        assert [] == read(repository, "notes")


def test_an_abandoned_iterator_does_not_hold_the_hosts_connection() -> None:
    """A reader that stops half-way leaves no open statement, which would keep the file locked."""
    with host() as connection:
        repository = SQLiteRepository(connection, SCHEMA)
        insert(repository, "notes", *((n, "a") for n in range(10)))
        with repository.snapshot() as snapshot:
            batches = snapshot.rows(NOTES, batch_size=2)
            next(batches)
        connection.execute("DROP TABLE notes")
        with pytest.raises(StoreError, match="has ended"):
            next(batches)


def test_one_connection_is_lent_to_one_writer_at_a_time() -> None:
    """On the host's one connection a second transaction waits, and then is refused."""
    with contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        connection.execute(TABLE)
        repository = SQLiteRepository(connection, SCHEMA)
        with repository.transaction() as transaction:
            transaction.insert(NOTES, [(1, "a")])
            with pytest.raises(StoreLocked, match="in use"), repository.transaction(wait=0.01):
                pass
        assert [(1, "a")] == read(repository, "notes")


def test_snapshots_on_one_connection_share_it() -> None:
    """Readers on the host's one connection share a transaction until the last one has ended."""
    with host() as connection:
        repository = SQLiteRepository(connection, SCHEMA)
        insert(repository, "notes", (1, "a"), (2, "b"))
        with repository.snapshot() as second:
            with repository.snapshot() as first:
                reading = first.rows(NOTES, batch_size=1)
                assert [(1, "a")] == next(reading)
                assert 2 == second.count(NOTES)
                assert [(2, "b")] == next(reading)
            assert connection.in_transaction
            assert 2 == second.count(NOTES)
        assert not connection.in_transaction


# The standard library's own converters, deprecated from Python 3.12 on, are the example.
@pytest.mark.filterwarnings("ignore:The default date converter:DeprecationWarning")
def test_the_hosts_converters_are_not_applied() -> None:
    """Values come as stored, though the host's connection converts declared types and names."""
    detect = sqlite3.PARSE_DECLTYPES | sqlite3.PARSE_COLNAMES
    with contextlib.closing(sqlite3.connect(":memory:", detect_types=detect)) as connection:
        connection.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, d date, "n [date]" TEXT)')
        connection.execute("INSERT INTO t VALUES (1, '2026-11-22', '2026-11-22')")
        connection.commit()
        assert isinstance(connection.execute("SELECT d FROM t").fetchone()[0], datetime.date)
        repository = SQLiteRepository.reflect(connection)
        assert [(1, "2026-11-22", "2026-11-22")] == read(repository, "t")


def test_a_closed_connection_is_a_store_that_failed() -> None:
    """A connection that the host has closed is an error of this library."""
    with host() as connection:
        repository = SQLiteRepository(connection, SCHEMA)
    with pytest.raises(StoreFailed, match="closed"), repository.snapshot():
        pass


def test_a_snapshot_may_be_pulled_by_another_thread(database: Make) -> None:
    """A web server may send an export from other threads than the one that opened it."""
    repository = SQLiteRepository(database(TABLE, "INSERT INTO notes VALUES (1, 'a')"), SCHEMA)
    found: list[Any] = []
    with repository.snapshot() as snapshot:
        thread = threading.Thread(target=lambda: found.extend(snapshot.rows(NOTES)))
        thread.start()
        thread.join()
    assert [[(1, "a")]] == found


def test_a_read_only_database_can_be_exported_but_not_imported_into(database: Make) -> None:
    """What cannot be written is read all the same; the first write says why it cannot be."""
    path = database(TABLE, "INSERT INTO notes VALUES (1, 'a')")
    repository = SQLiteRepository(
        lambda: sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True), SCHEMA
    )
    assert [(1, "a")] == read(repository, "notes")
    with failing(repository, StoreFailed, "readonly") as transaction:
        transaction.insert(NOTES, [(2, "b")])


def test_a_snapshot_cannot_write(database: Make) -> None:
    """The connection of a snapshot refuses every write."""
    repository = SQLiteRepository(database(TABLE), SCHEMA)
    with repository.snapshot() as snapshot:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            snapshot._connection.execute("DELETE FROM notes")
        unknown = Collection("others", fields={"id": int})
        with pytest.raises(StoreError, match="others is no collection"):
            snapshot.count(unknown)
