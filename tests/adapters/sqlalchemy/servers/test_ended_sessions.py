"""Sessions that are killed, and limits on their time."""

import threading
import time
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from databackup import Progress, export_all
from databackup.errors import StoreFailed
from tests.adapters.sqlalchemy.servers.tables import MADE, NEW, SIZE, fill, import_, on, rows
from tests.support import engines


@pytest.mark.parametrize("stage", ["writing", "reading back"])
def test_killed_in_an_import(filled: engines.Database, stage: str) -> None:
    """KILL, pg_terminate_backend: all is undone, and nothing is tried again."""

    def kill(progress: Progress) -> None:
        if (progress.stage, progress.collection) == (stage, "a"):
            filled.kill_all()

    with pytest.raises(StoreFailed, match="the connection was lost"):
        import_(on(filled.engine), progress=kill)


def test_killed_in_an_export(filled: engines.Database, tmp_path: Path) -> None:
    """No archive is left, and no part of one."""
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.collection == "b" and not killed:
            killed.append(progress.done)
            filled.kill_all()

    with pytest.raises(StoreFailed, match="the connection was lost"):
        export_all(on(filled.engine), tmp_path / "new.json", progress=kill)
    assert killed
    assert killed[0] < SIZE
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("pause", ["waiting for a lock", "reading the archive"])
def test_time_limits_of_the_host(database: engines.Database, pause: str) -> None:
    """What a user or a session has for its own queries ends no import, however long they take."""
    database.run(*MADE)
    fill(database)
    paused: list[Progress] = []

    def work(progress: Progress) -> None:
        if pause == "reading the archive" and not paused:
            time.sleep(1.5)
        paused.append(progress)

    with database.engine.connect() as other:
        if pause == "waiting for a lock":
            other.exec_driver_sql("UPDATE b SET v = 'other' WHERE id = 5")
        end = threading.Timer(1, other.rollback)
        end.start()
        import_(on(_limited(database)), progress=work, wait=30)
        end.join()
    assert paused
    assert NEW == rows(database)
    assert 0 == database.sessions()


def _limited(database: engines.Database) -> sqlalchemy.Engine:
    """An engine whose sessions have less time than a test takes."""
    if database.name == "mysql":
        given = {"init_command": "SET max_statement_time=0.3, idle_transaction_timeout=1"}
    else:
        limits = ["statement_timeout", "idle_in_transaction_session_timeout"]
        if int(database.query("SHOW server_version_num")[0][0]) >= 170_000:
            limits.append("transaction_timeout")
        given = {"options": " ".join(f"-c {limit}=300" for limit in limits)}
    return sqlalchemy.create_engine(database.engine.url, poolclass=NullPool, connect_args=given)
