"""What an engine's pool and a host's own connection mean for SQLite."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from databackup import Schema, export_all, import_all
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import FileError, InvalidRecords, StoreError, StoreFailed, StoreLocked
from databackup.schema import Collection, Reference
from tests.support import sqlite

SCHEMA = Schema(
    collections=[
        Collection("parents", key="id", fields={"id": int, "best": int | None}),
        Collection(
            "children",
            key="id",
            fields={"id": int, "parent": int},
            references=[Reference("parent", "parents")],
        ),
    ]
)
TABLES = (
    "CREATE TABLE parents (id INTEGER PRIMARY KEY, best INTEGER REFERENCES children)",
    "CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parents)",
)
ROWS = (
    "INSERT INTO parents VALUES (1, NULL), (2, NULL)",
    "INSERT INTO children VALUES (10, 1), (20, 2)",
    "UPDATE parents SET best = 10 * id",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with two tables that refer to each other."""
    path = tmp_path / "app.db"
    sqlite.run(path, *TABLES, *ROWS)
    return path


@pytest.fixture
def archive(path: Path) -> Path:
    """What is in the file."""
    engine = sa.create_engine(f"sqlite:///{path}")
    export_all(SQLAlchemyRepository(engine, SCHEMA), path.with_suffix(".json"))
    engine.dispose()
    return path.with_suffix(".json")


@pytest.fixture
def engine(path: Path) -> Iterator[sa.Engine]:
    """An engine whose host wants foreign keys enforced, as SQLAlchemy's documents show it."""
    engine = sa.create_engine(f"sqlite:///{path}")

    @sa.event.listens_for(engine, "connect")
    def enforce(connection: sqlite3.Connection, _: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA busy_timeout = 1234")

    yield engine
    engine.dispose()


def _settings(connection: sa.Connection) -> list[Any]:
    names = ("foreign_keys", "busy_timeout", "query_only", "defer_foreign_keys")
    pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
    raw: Any = connection.connection.driver_connection
    return [*pragmas, raw.isolation_level, raw.row_factory, raw.text_factory]


def _count(path: Path) -> int:
    return int(sqlite.query(path, "SELECT count(*) FROM children")[0][0])


# -- an engine ---------------------------------------------------------------------------------


def test_connections_go_back_as_they_were(engine: sa.Engine, archive: Path) -> None:
    """The pool's one connection has the host's settings again, and is in no transaction."""
    with engine.connect() as connection:
        before = _settings(connection)
    repository = SQLAlchemyRepository(engine, SCHEMA)
    export_all(repository, archive)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM parents WHERE id = 99")
    import_all(repository, archive)
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    with engine.connect() as connection:
        assert _settings(connection) == before
        assert before[:2] == [1, 1234]


def test_replaces_both_sides_of_a_circle(engine: sa.Engine, archive: Path, path: Path) -> None:
    """Foreign keys that the host enforces do not get in the way."""
    before = sqlite.dump(path)
    sqlite.run(
        path, "UPDATE parents SET best = NULL", "DELETE FROM children", "DELETE FROM parents"
    )
    assert import_all(SQLAlchemyRepository(engine, SCHEMA), archive).added == 4
    assert sqlite.dump(path) == before


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """SQLite itself would make an empty one."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(FileError, match="does not exist"):
        export_all(SQLAlchemyRepository(engine, SCHEMA), tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def test_what_is_no_database(tmp_path: Path) -> None:
    """The error is one of the library's."""
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(StoreFailed, match="not a database"):
        export_all(SQLAlchemyRepository(engine, SCHEMA), tmp_path / "a.json")
    engine.dispose()


def test_a_host_whose_event_fails(path: Path) -> None:
    """A connection that cannot be made is named with its engine."""
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"factory": _Broken})
    with pytest.raises(StoreFailed, match=r"app\.db cannot be opened: broken"):
        _ = SQLAlchemyRepository(engine, SCHEMA).schema


class _Broken(sqlite3.Connection):
    def __init__(self, *_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("broken")


def test_a_pool_without_connections(path: Path) -> None:
    """Waiting for the pool ends in an error that says so."""
    engine = sa.create_engine(f"sqlite:///{path}", pool_size=1, max_overflow=0, pool_timeout=0.01)
    with engine.connect(), pytest.raises(StoreLocked, match="all connections of the pool"):
        _ = SQLAlchemyRepository(engine, SCHEMA).schema
    engine.dispose()


def test_the_one_connection_in_use(path: Path) -> None:
    """What the host has begun on its engine's one connection is not rolled back."""
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=StaticPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE children SET parent = 2")
        with pytest.raises(StoreError, match="give the Connection that began it"):
            _ = SQLAlchemyRepository(engine, SCHEMA).schema
        connection.commit()
    assert sqlite.query(path, "SELECT DISTINCT parent FROM children") == [(2,)]
    engine.dispose()


def test_a_database_in_the_threads_memory(archive: Path) -> None:
    """SQLAlchemy's own pool for `:memory:` has one connection for each thread."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        for statement in TABLES:
            connection.exec_driver_sql(statement)
    repository = SQLAlchemyRepository(engine, SCHEMA)
    assert import_all(repository, archive).added == 4
    with repository.snapshot() as one, repository.snapshot() as two:
        assert one.count(SCHEMA["parents"]) == two.count(SCHEMA["parents"]) == 2
    engine.dispose()


@pytest.mark.parametrize("bind", ["sqlite://", None, object()])
def test_what_is_no_engine(bind: Any) -> None:
    """A URL is none, and its password is in no message."""
    with pytest.raises(StoreError, match="an Engine or a Connection of SQLAlchemy is needed"):
        SQLAlchemyRepository(bind, SCHEMA)


# -- a connection of the host's ----------------------------------------------------------------


@contextlib.contextmanager
def _unchanged(connection: sa.Connection) -> Iterator[None]:
    before = _settings(connection)
    yield
    assert _settings(connection) == before


@pytest.mark.parametrize("first", ["SELECT 1", "INSERT INTO parents VALUES (3, NULL)"])
@pytest.mark.parametrize("commit", [True, False])
def test_the_host_ends_its_transaction(
    engine: sa.Engine, archive: Path, path: Path, first: str, *, commit: bool
) -> None:
    """An import is kept with the host's transaction, or goes with it.

    The driver has not told SQLite of a transaction that has only read.
    """
    sqlite.run(path, "UPDATE parents SET best = NULL", "DELETE FROM children")
    with engine.connect() as connection:
        connection.exec_driver_sql(first)
        with _unchanged(connection):
            repository = SQLAlchemyRepository(connection, SCHEMA)
            import_all(repository, archive)
            export_all(repository, path.with_suffix(".again"))
        assert connection.in_transaction()
        assert _count(path) == 0
        if commit:
            connection.commit()
        else:
            connection.rollback()
    assert _count(path) == (2 if commit else 0)


@pytest.mark.parametrize("first", ["SELECT 1", "INSERT INTO parents VALUES (3, NULL)"])
def test_a_failed_import_leaves_what_the_host_did(
    engine: sa.Engine, archive: Path, path: Path, first: str
) -> None:
    """Only the import is undone, and nothing of it is left to be committed."""

    def cancel(progress: Any) -> None:
        if progress.stage == "reading back":
            raise KeyError

    sqlite.run(path, "UPDATE parents SET best = NULL", "DELETE FROM children")
    with engine.connect() as connection:
        connection.exec_driver_sql(first)
        with _unchanged(connection), pytest.raises(KeyError):
            import_all(SQLAlchemyRepository(connection, SCHEMA), archive, progress=cancel)
        raw: Any = connection.connection.driver_connection
        assert raw.in_transaction is first.startswith("INSERT")
        connection.commit()
    assert _count(path) == 0
    assert sqlite.query(path, "SELECT max(id) FROM parents") == [(3 if "3" in first else 2,)]


def test_a_host_that_is_in_no_transaction(engine: sa.Engine, archive: Path, path: Path) -> None:
    """Then an import is committed."""
    sqlite.run(path, "UPDATE parents SET best = NULL", "DELETE FROM children")
    with engine.connect() as connection:
        import_all(SQLAlchemyRepository(connection, SCHEMA), archive)
        assert not connection.in_transaction()
        assert _count(path) == 2


def test_a_host_that_commits_by_itself(engine: sa.Engine, archive: Path, path: Path) -> None:
    """AUTOCOMMIT is no transaction either, whatever SQLAlchemy calls it."""
    sqlite.run(path, "UPDATE parents SET best = NULL", "DELETE FROM children")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SELECT 1")
        import_all(SQLAlchemyRepository(connection, SCHEMA), archive)
        assert _count(path) == 2


def test_a_host_that_begins_by_itself(path: Path, archive: Path) -> None:
    """SQLAlchemy's remedy for its driver: BEGIN is emitted when SQLAlchemy begins."""
    engine = sa.create_engine(f"sqlite:///{path}")

    @sa.event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    sqlite.run(path, "UPDATE parents SET best = NULL", "DELETE FROM children")
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        import_all(SQLAlchemyRepository(connection, SCHEMA), archive)
        assert _count(path) == 0
        connection.commit()
    assert _count(path) == 2
    engine.dispose()


@pytest.mark.parametrize(
    "action", ["ON DELETE CASCADE", "ON UPDATE SET NULL", "ON DELETE RESTRICT"]
)
def test_foreign_keys_that_act_within_a_transaction(
    path: Path, engine: sa.Engine, archive: Path, action: str
) -> None:
    """They cannot be switched off there, so nothing is begun; outside of one they can."""
    sqlite.run(
        path,
        "DROP TABLE children",
        f"CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL "
        f"REFERENCES parents {action})",
    )
    before = sqlite.dump(path)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        repository = SQLAlchemyRepository(connection, SCHEMA)
        with pytest.raises(StoreError, match=r"act when other rows change.*: children \(parent\)"):
            import_all(repository, archive)
        connection.commit()
    assert sqlite.dump(path) == before
    import_all(SQLAlchemyRepository(engine, SCHEMA), archive)
    assert _count(path) == 2


def test_foreign_keys_that_act_elsewhere(engine: sa.Engine, archive: Path, path: Path) -> None:
    """Nothing is written to what they point at."""
    sqlite.run(
        path,
        "CREATE TABLE others (id INTEGER PRIMARY KEY REFERENCES others ON DELETE CASCADE)",
        "DELETE FROM children",
    )
    schema = Schema(collections=SCHEMA.collections, exclude={"others": "-"})
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
        assert import_all(SQLAlchemyRepository(connection, schema), archive).added == 2


def test_foreign_keys_that_do_not_act(engine: sa.Engine, archive: Path, path: Path) -> None:
    """They are checked by the host's commit, so that a circle comes in."""
    before = sqlite.dump(path)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE parents SET best = NULL")
        connection.exec_driver_sql("DELETE FROM children")
        connection.exec_driver_sql("DELETE FROM parents")
        import_all(SQLAlchemyRepository(connection, SCHEMA), archive)
    assert sqlite.dump(path) == before


def test_a_refused_import_within_a_transaction(
    engine: sa.Engine, archive: Path, path: Path
) -> None:
    """What dangles is named, and the host goes on."""
    sqlite.run(path, "UPDATE parents SET best = NULL", "DELETE FROM children")
    text = archive.read_bytes().replace(b'{"id":20,"parent":2}', b'{"id":20,"parent":9}')
    from databackup import seal_archive  # noqa: PLC0415

    edited = path.with_suffix(".edited")
    edited.write_bytes(text)
    seal_archive(edited, archive)
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
        with pytest.raises(InvalidRecords):
            import_all(SQLAlchemyRepository(connection, SCHEMA), archive)
        connection.exec_driver_sql("INSERT INTO parents VALUES (3, NULL)")
    assert (_count(path), sqlite.query(path, "SELECT max(id) FROM parents")) == (0, [(3,)])
