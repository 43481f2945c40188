"""What others hold: a second import, records, one half of a deadlock."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.cli import main
from databackup.errors import DatabackupError, StoreLocked
from tests.adapters.sqlalchemy.servers.tables import (
    MADE,
    NEW,
    OLD,
    SCHEMA,
    Work,
    export,
    fill,
    import_,
    on,
    rows,
)
from tests.support import engines

_WAITING = {
    "postgresql": "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
    "AND wait_event_type = 'Lock'",
    # InnoDB does not tell of a transaction that waits before it has written anything.
    "mysql": "SELECT 1 FROM information_schema.processlist "
    "WHERE db = database() AND id <> connection_id() AND command = 'Query' AND time_ms > 500",
}


def _until_waiting(database: engines.Database) -> None:
    end = time.monotonic() + 20
    while not database.query(_WAITING[database.name]):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_second_import_is_told_who_holds_the_lock(filled: engines.Database) -> None:
    """It waits for its time, and then names the session that imports."""
    own = "pg_backend_pid" if filled.name == "postgresql" else "connection_id"
    with on(filled.engine).transaction() as transaction:
        connection: sqlalchemy.Connection = transaction._connection  # type: ignore[attr-defined]
        number = connection.exec_driver_sql(f"SELECT {own}()").scalar_one()
        start = time.monotonic()
        with pytest.raises(StoreLocked) as caught:
            import_(on(filled.engine), wait=0.3)
        assert 0.3 <= time.monotonic() - start < 15
    assert f" {number} of {filled.engine.url.username}" in caught.value.message
    assert "another import into this database is under way" in caught.value.message
    assert "waited 0.3 s" in caught.value.message


def test_a_second_import_waits_for_the_first(database: engines.Database) -> None:
    """It goes ahead once the first one has ended, within the time to wait."""
    database.run(*MADE)
    fill(database)
    first = on(database.engine).transaction()
    first.__enter__()
    thread = threading.Thread(target=import_, args=[on(database.engine)], kwargs={"wait": 30})
    thread.start()
    time.sleep(0.3)
    assert OLD == rows(database)
    first.__exit__(None, None, None)
    thread.join()
    assert NEW == rows(database)
    assert 0 == database.sessions()


def test_a_record_that_others_lock(filled: engines.Database) -> None:
    """Is waited for as long as was said."""
    with filled.engine.connect() as other:
        other.exec_driver_sql("UPDATE b SET v = 'other' WHERE id = 5")
        start = time.monotonic()
        with pytest.raises(StoreLocked, match=r"(?i)lock"):
            import_(on(filled.engine), wait=0.5)
        assert 0.5 <= time.monotonic() - start < 15
        other.rollback()


_KEEPING_READERS_OUT = {
    "postgresql": "ALTER TABLE b ALTER v SET NOT NULL",
    "mysql": "LOCK TABLES b WRITE",
}


@contextlib.contextmanager
def _altered(database: engines.Database) -> Iterator[int]:
    """While another session has the table b for itself alone; that session's number."""
    own = "pg_backend_pid" if database.name == "postgresql" else "connection_id"
    with database.engine.connect() as other:
        number = other.exec_driver_sql(f"SELECT {own}()").scalar_one()
        other.exec_driver_sql(_KEEPING_READERS_OUT[database.name])
        yield number
        other.rollback()
        if database.name == "mysql":
            other.exec_driver_sql("UNLOCK TABLES")


def test_an_export_waits_for_readers_to_be_let_in(filled: engines.Database) -> None:
    """As long as the repository says, however many tables there are."""
    waiting = SQLAlchemyRepository(filled.engine, SCHEMA, wait=1)
    with _altered(filled) as number:
        start = time.monotonic()
        with pytest.raises(StoreLocked) as caught:
            export(waiting)
        assert 0.9 <= time.monotonic() - start < 15
        if filled.name == "postgresql":
            schema = filled.query("SELECT current_schema()")[0][0]
            begun = f"the table {schema}.b is locked, in the process {number} of "
            assert caught.value.message.startswith(begun)
    export(waiting)


def test_an_export_goes_ahead_in_time(filled: engines.Database) -> None:
    """Once readers are let in."""
    repository = SQLAlchemyRepository(filled.engine, SCHEMA, wait=30)
    with _altered(filled):
        thread = threading.Thread(target=export, args=[repository])
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive()
    thread.join()


def test_the_command_line_waits(
    filled: engines.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it is told."""
    url = filled.engine.url.render_as_string(hide_password=False)
    given = ["databackup", "export", url, str(tmp_path / "b.json"), "--wait", "1"]
    monkeypatch.setattr("sys.argv", given)
    with _altered(filled):
        start = time.monotonic()
        code = main()
        assert 0.9 <= time.monotonic() - start < 4.5
    assert (1, []) == (code, list(tmp_path.iterdir()))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_who_waits_is_in_the_way_of_those_behind(filled: engines.Database) -> None:
    """A change of a table that waits for a long query."""
    with filled.engine.connect() as reader:
        reader.exec_driver_sql("SELECT * FROM b LIMIT 1")
        change = _KEEPING_READERS_OUT["postgresql"]
        thread = threading.Thread(target=filled.run, args=[change])
        thread.start()
        _until_waiting(filled)
        with pytest.raises(StoreLocked, match=r"b is about to be locked, in the process \d+ of "):
            export(SQLAlchemyRepository(filled.engine, SCHEMA, wait=0.1))
        reader.rollback()
        thread.join()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_import_is_told_who_writes(filled: engines.Database) -> None:
    """To a table that it has to have for itself."""
    with filled.engine.connect() as other:
        other.exec_driver_sql("UPDATE b SET v = 'other' WHERE id = 5")
        number = other.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with pytest.raises(StoreLocked, match=f"b is locked, in the process {number} of "):
            import_(on(filled.engine), wait=0.2)
        other.rollback()


@pytest.mark.parametrize("work", [export, import_])
def test_a_lent_connection_gets_its_own_patience_back(filled: engines.Database, work: Work) -> None:
    """Within a transaction of the host the limit of its own statements is what it was."""
    setting = "lock_timeout" if filled.name == "postgresql" else "lock_wait_timeout"
    asked = "SHOW {}" if filled.name == "postgresql" else "SELECT @@session.{}"
    engine = filled.engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET {setting} = 77")
        before = connection.exec_driver_sql(asked.format(setting)).scalar_one()
        work(on(connection))
        assert before == connection.exec_driver_sql(asked.format(setting)).scalar_one()
        connection.rollback()


def test_a_deadlock(filled: engines.Database) -> None:
    """The server ends one of the two; if that is the import, all of it is undone."""
    filled.run("CREATE TABLE big (v INT)")
    filled.run(f"INSERT INTO big VALUES {', '.join(['(1)'] * 10_000)}")
    schema = SCHEMA.excluding({"big": "what the other one writes"})
    raised: list[BaseException] = []

    def work() -> None:
        try:
            import_(SQLAlchemyRepository(filled.engine, schema), wait=30)
        except DatabackupError as error:
            raised.append(error)

    with filled.engine.connect() as other:
        if filled.name == "postgresql":
            other.exec_driver_sql("SET deadlock_timeout = '1min'")  # the import sees it first
        other.exec_driver_sql("UPDATE big SET v = 2")  # whoever has written more is spared
        other.exec_driver_sql("UPDATE b SET v = 'other' WHERE id = 0")
        thread = threading.Thread(target=work)
        thread.start()
        _until_waiting(filled)
        other.exec_driver_sql("UPDATE a SET v = 'other' WHERE id = 1")
        thread.join()
        other.rollback()
    (error,) = raised
    assert isinstance(error, StoreLocked)
    assert "deadlock" in error.message.lower()
