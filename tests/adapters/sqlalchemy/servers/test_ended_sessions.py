"""Sessions that are killed, and limits on their time."""

import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from databackup import Progress, export_all
from databackup.errors import (
    StoreFailed,
)
from tests.adapters.sqlalchemy.servers.tables import (
    MADE,
    NEW,
    SIZE,
    fill,
    import_,
    on,
    rows,
)
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


def test_time_limits_of_the_host(database: engines.Database) -> None:
    """What a role or a session sets for its own queries does not end an import."""
    database.run(*MADE)
    fill(database)
    if database.name == "postgresql":
        limits = ["statement_timeout=300", "idle_in_transaction_session_timeout=300"]
        if database.query("SHOW server_version_num")[0][0] >= "170000":
            limits.append("transaction_timeout=300")
        given: Any = {"options": " ".join(f"-c {limit}" for limit in limits)}
        pause = 0.5
    else:
        limits = ["max_statement_time=0.3", "idle_transaction_timeout=1"]
        given = {"init_command": f"SET {', '.join(limits)}"}
        pause = 1.5
    engine = sqlalchemy.create_engine(database.engine.url, poolclass=NullPool, connect_args=given)
    paused: list[Progress] = []

    def work(progress: Progress) -> None:
        if progress.stage == "writing" and not paused:
            paused.append(progress)
            time.sleep(pause)

    import_(on(engine), progress=work)
    assert NEW == rows(database)
    assert paused
