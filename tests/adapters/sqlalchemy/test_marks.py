"""The marks that imports leave on request, and what they say of a commit whose answer was lost."""

import contextlib
import io
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from click.testing import CliRunner
from sqlalchemy.pool import NullPool, QueuePool

from databackup import (
    Progress,
    Schema,
    export_all,
    import_all,
    import_status,
    inspect_archive,
    marked_imports,
)
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlite import SQLiteRepository
from databackup.cli.commands import cli
from databackup.errors import CommitUnknown, RecordsNotTaken, StoreError, StoreFailed, StoreLocked
from databackup.repository import MarkingRepository, Repository
from databackup.schema import Collection
from databackup.testing.harness import RollBack
from tests.support import engines, sqlite
from tests.support.archives import exported
from tests.support.club import memory
from tests.support.proxy import Loss, Proxy, proxied

T = Collection("t", key="id", fields={"id": int, "v": str | None})
SCHEMA = Schema(app="marks", collections=[T])
MADE = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))"
OLD = [(1, "old")]
NEW = [(1, "new"), (2, None)]
ARCHIVE = exported(memory({"t": NEW}, SCHEMA))
SEAL = inspect_archive(io.BytesIO(ARCHIVE)).seal
NEVER = str(uuid.UUID(int=0))


def archive() -> io.BytesIO:
    """What is imported."""
    return io.BytesIO(ARCHIVE)


@pytest.fixture
def filled(database: engines.Database) -> engines.Database:
    """A database with a record in it."""
    database.run(MADE, "INSERT INTO t VALUES (1, 'old')")
    return database


def rows(database: engines.Database) -> list[tuple[Any, ...]]:
    """What the table holds, through a new connection."""
    return database.query("SELECT id, v FROM t ORDER BY id")


# -- marks -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _stores(name: str, folder: Path) -> Iterator[MarkingRepository]:
    path = sqlite.create(folder / "t.db", SCHEMA)
    if name == "sqlite":
        yield SQLiteRepository(path, SCHEMA)
    elif name == "a lent connection of sqlite3":
        connection = sqlite3.connect(path)
        yield SQLiteRepository(connection, SCHEMA)
        connection.close()
    elif name == "sqlalchemy on sqlite":
        engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=NullPool)
        yield SQLAlchemyRepository(engine, SCHEMA)
    else:
        with engines.database(name) as database:
            database.run(MADE)
            yield SQLAlchemyRepository(database.engine, SCHEMA)


STORES = ("sqlite", "a lent connection of sqlite3", "sqlalchemy on sqlite", *engines.NAMES)


@pytest.mark.parametrize("name", STORES)
def test_an_import_with_a_marker_is_found_again(name: str, tmp_path: Path) -> None:
    """The mark has the report's id and the archive's seal; the newest of several comes first."""
    with _stores(name, tmp_path) as repository:
        assert isinstance(repository, MarkingRepository)
        assert () == marked_imports(repository)
        assert not import_status(repository, NEVER).committed
        ids = [import_all(repository, archive(), marker=True).import_id for _ in range(3)]
        assert import_all(repository, archive()).import_id is None
        found = marked_imports(repository)
        assert ids[::-1] == [status.import_id for status in found]
        assert 3 == len(set(ids))
        for status in found:
            assert (True, SEAL) == (status.committed, status.seal)
            assert status == import_status(repository, status.import_id)
        assert not import_status(repository, NEVER).committed


@pytest.mark.parametrize("name", STORES)
def test_an_import_that_fails_leaves_no_mark(name: str, tmp_path: Path) -> None:
    """Neither a refusal nor what comes out of a callback lets a mark be kept."""
    too_large = exported(memory({"t": [(2**70, None)]}, SCHEMA))
    with _stores(name, tmp_path) as repository:
        first = import_all(repository, archive(), marker=True).import_id

        def cancel(progress: Progress) -> None:
            if progress.stage == "reading back":
                raise RollBack

        with pytest.raises(RollBack):
            import_all(repository, archive(), marker=True, progress=cancel)
        with pytest.raises(RecordsNotTaken):
            import_all(repository, io.BytesIO(too_large), marker=True)
        assert [first] == [status.import_id for status in marked_imports(repository)]


@pytest.mark.parametrize("name", STORES)
def test_the_marks_are_no_data(name: str, tmp_path: Path) -> None:
    """Their table is left out of exports, with the reason, and no import changes it."""
    with _stores(name, tmp_path) as repository:
        before = import_all(repository, archive(), marker=True).import_id
        again = tmp_path / "again.json"
        report = export_all(repository, again)
        assert {"t": 2} == report.collections
        assert {"databackup_imports": "the marks that imports have left"} == {
            item.name: item.reason for item in report.excluded
        }
        import_all(repository, again)
        assert [before] == [status.import_id for status in marked_imports(repository)]


def test_an_adapter_without_marks_says_so() -> None:
    """Before anything is written."""
    repository = memory({}, SCHEMA)
    for use in (
        lambda: import_all(repository, archive(), marker=True),
        lambda: import_status(repository, NEVER),
        lambda: marked_imports(repository),
    ):
        with pytest.raises(StoreError, match="'memory' keeps no marks"):
            use()
    with repository.snapshot() as snapshot:
        assert 0 == snapshot.count(T)


@pytest.mark.parametrize("wrong", ["", "7", "x" * 36, str(uuid.UUID(int=10)).upper()])
def test_what_is_no_id_is_an_error(wrong: str) -> None:
    """And not an import that was not committed."""
    with pytest.raises(ValueError):  # noqa: PT011
        import_status(memory({}, SCHEMA), wrong)


# -- the host's transaction ------------------------------------------------------------------------


def test_a_mark_is_kept_with_the_hosts_transaction(filled: engines.Database) -> None:
    """On a lent connection it stands and falls with what the host commits."""
    asked = SQLAlchemyRepository(filled.engine, SCHEMA)
    import_all(asked, archive(), marker=True)  # which makes the table
    ids = []
    for end in ("rollback", "commit"):
        with filled.engine.connect() as connection:
            host = connection.begin()
            within = SQLAlchemyRepository(connection, SCHEMA)
            ids.append(str(import_all(within, archive(), marker=True).import_id))
            with pytest.raises(StoreError, match="give the engine"):
                import_status(within, ids[-1])
            assert connection.in_transaction()
            getattr(host, end)()
    assert [False, True] == [import_status(asked, id_).committed for id_ in ids]


def test_a_mark_of_a_connection_that_is_lent_idle(filled: engines.Database) -> None:
    """Such an import commits by itself, its table included, and leaves no transaction begun."""
    asked = SQLAlchemyRepository(filled.engine, SCHEMA)
    with filled.engine.connect() as connection:
        idle = SQLAlchemyRepository(connection, SCHEMA)
        import_id = str(import_all(idle, archive(), marker=True).import_id)
        assert not connection.in_transaction()
        assert import_status(asked, import_id).committed


def test_the_table_of_marks_is_made_in_no_transaction_of_the_host(
    filled: engines.Database,
) -> None:
    """MariaDB would commit it, and says how to make it; elsewhere a rollback takes it along."""
    with filled.engine.connect() as connection:
        host = connection.begin()
        connection.exec_driver_sql("INSERT INTO t VALUES (9, 'host')")
        within = SQLAlchemyRepository(connection, SCHEMA)
        if filled.name == "mysql":
            with pytest.raises(StoreError, match="CREATE TABLE databackup_imports") as caught:
                import_all(within, archive(), mode="add", marker=True)
            ddl = caught.value.message.partition("make it first: ")[2]
        else:
            import_all(within, archive(), mode="add", marker=True)
            ddl = ""
        host.rollback()
    assert OLD == rows(filled)
    assert not sqlalchemy.inspect(filled.engine).has_table("databackup_imports")
    if ddl:
        filled.run(ddl)
        with filled.engine.begin() as connection:
            import_all(SQLAlchemyRepository(connection, SCHEMA), archive(), marker=True)
        assert NEW == rows(filled)


def test_marks_of_sqlite_within_the_hosts_transaction(tmp_path: Path) -> None:
    """A lent connection's mark is the host's to commit, and the host's engine is asked for it."""
    path = sqlite.create(tmp_path / "t.db", SCHEMA)
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM t")
        within = SQLAlchemyRepository(connection, SCHEMA)
        found = str(import_all(within, archive(), marker=True).import_id)
        with pytest.raises(StoreError, match="give the engine"):
            import_status(within, found)
    assert import_status(SQLAlchemyRepository(engine, SCHEMA), found).committed


# -- an import under way ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in STORES if "lent" not in name])
def test_an_import_under_way_is_waited_for(name: str, tmp_path: Path) -> None:
    """While an import may still commit nothing is said about it."""
    with (
        _stores(name, tmp_path) as repository,
        repository.transaction(),
        pytest.raises(StoreLocked),
    ):
        import_status(repository, NEVER, wait=0.1)


def test_asking_gives_a_pooled_connection_back_as_it_was(filled: engines.Database) -> None:
    """Neither the lock of imports nor a setting stays on it."""
    pooled = sqlalchemy.create_engine(filled.url, poolclass=QueuePool, pool_size=1)
    shown = {"postgresql": "current_setting('timezone')", "mysql": "@@sql_mode"}
    show = f"SELECT {shown[filled.name]}"
    with pooled.connect() as connection:
        before = connection.exec_driver_sql(show).scalar()
    assert () == marked_imports(SQLAlchemyRepository(pooled, SCHEMA))
    import_all(SQLAlchemyRepository(filled.engine, SCHEMA), archive(), wait=0)
    with pooled.connect() as connection:
        assert before == connection.exec_driver_sql(show).scalar()
    pooled.dispose()


# -- a commit whose answer is lost -----------------------------------------------------------------


def _through(proxy: Proxy) -> SQLAlchemyRepository:
    return SQLAlchemyRepository(sqlalchemy.create_engine(proxy.url, poolclass=NullPool), SCHEMA)


def _lost(repository: Repository, proxy: Proxy, loss: Loss) -> CommitUnknown:
    """The error of an import whose COMMIT is lost in some way."""

    def arm(progress: Progress) -> None:
        if progress.stage == "reading back":
            proxy.lose(loss)

    with pytest.raises(CommitUnknown, match="the connection was lost during the commit") as caught:
        import_all(repository, archive(), marker=True, progress=arm)
    return caught.value


@pytest.mark.parametrize("loss, committed", [(Loss.ANSWER, True), (Loss.REQUEST, False)])
def test_a_lost_commit_is_settled(filled: engines.Database, loss: Loss, committed: bool) -> None:
    """Whether it arrived or not nobody can know at once; the mark tells truly, and stays so."""
    with proxied(filled.url) as proxy:
        error = _lost(_through(proxy), proxy, loss)
        assert f"databackup status TARGET --id {error.import_id}" in error.message
        status = import_status(_through(proxy), str(error.import_id))
    assert committed == status.committed
    assert (NEW if committed else OLD) == rows(filled)
    assert 0 == filled.sessions()
    import_all(SQLAlchemyRepository(filled.engine, SCHEMA), archive(), wait=5)
    assert NEW == rows(filled)


def test_a_commit_that_comes_late_is_waited_for(filled: engines.Database) -> None:
    """While the server still has the session, a COMMIT may come: no answer is given before."""
    direct = SQLAlchemyRepository(filled.engine, SCHEMA)
    with proxied(filled.url) as proxy:
        import_id = str(_lost(_through(proxy), proxy, Loss.DELAY).import_id)
        with pytest.raises(StoreLocked, match="under way"):
            import_status(direct, import_id, wait=0.3)
        assert OLD == rows(filled)
        proxy.deliver()
        if filled.name == "postgresql":
            assert import_status(direct, import_id, wait=10).committed
    # MariaDB's lock is the session's, which ends with the proxy.
    assert import_status(direct, import_id, wait=10).committed
    assert NEW == rows(filled)


@pytest.mark.parametrize("loss, code", [(Loss.ANSWER, 0), (Loss.REQUEST, 1)])
def test_the_command_line_settles_a_lost_commit(
    filled: engines.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: Loss, code: int
) -> None:
    """The exit code is 3, the message names the command, and its exit code is the answer."""
    (tmp_path / "new.json").write_bytes(ARCHIVE)
    direct = filled.engine.url.render_as_string(hide_password=False)
    run = CliRunner().invoke
    with proxied(filled.url) as proxy:
        losing = _LosesCommits(proxy, loss)
        monkeypatch.setattr("databackup.cli.imports.progress_bar", losing.progress_bar)
        target = proxy.url.render_as_string(hide_password=False)
        options = ["--yes", "--marker", "--wrong-app", "allow"]
        result = run(cli, ["import", str(tmp_path / "new.json"), target, *options])
    assert 3 == result.exit_code, result.output
    asked = result.stderr.partition("databackup status TARGET ")[2].split()[:2]
    assert "--id" == asked[0]
    answer = run(cli, ["status", direct, *asked])
    assert (code, "") == (answer.exit_code, answer.stderr)
    said = "was not committed, and will not be" if code else "was committed"
    assert f"the import {asked[1]} {said}" in answer.stdout
    secret = filled.engine.url.password
    assert not secret or secret not in answer.output + result.output


class _LosesCommits:
    """Progress that arms a proxy once everything is written."""

    def __init__(self, proxy: Proxy, loss: Loss) -> None:
        self._proxy = proxy
        self._loss = loss

    @contextlib.contextmanager
    def progress_bar(self, *_: Any, **__: Any) -> Iterator[Any]:
        """In the place of the command line's bar."""
        yield self._progress

    def _progress(self, progress: Progress) -> None:
        if progress.stage == "reading back":
            self._proxy.lose(self._loss)


def test_a_connection_lost_within_the_hosts_transaction_is_no_unknown_commit(
    filled: engines.Database,
) -> None:
    """Its savepoint is gone with the host's transaction: nothing was kept."""
    with filled.engine.connect() as connection:
        connection.begin()
        within = SQLAlchemyRepository(connection, SCHEMA)
        with pytest.raises(StoreFailed), within.transaction() as transaction:  # noqa: PT012
            transaction.insert(T, [(5, "x")])
            transaction.finish({})
            filled.kill(connection)
    assert OLD == rows(filled)
