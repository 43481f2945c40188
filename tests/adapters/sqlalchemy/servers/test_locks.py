"""What others hold: a second import, records, one half of a deadlock."""

import threading
import time

import pytest
import sqlalchemy

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import DatabackupError, StoreLocked
from tests.adapters.sqlalchemy.servers.tables import MADE, NEW, OLD, SCHEMA, fill, import_, on, rows
from tests.support import engines

_WAITING = {
    "postgresql": "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
    "AND wait_event_type = 'Lock'",
    "mysql": "SELECT 1 FROM information_schema.innodb_trx JOIN information_schema.processlist "
    "ON id = trx_mysql_thread_id WHERE trx_state = 'LOCK WAIT' AND db = database()",
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
