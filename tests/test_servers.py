"""Real servers for tests: what a test gets, and what becomes of them."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import attrs
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from servers.sessions import FOLDER, SERVERS, NotThere
from tests.support import databases

ROOT = Path(__file__).parents[1]

MAKE: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "postgresql": databases.postgresql,
    "postgresql-icu": lambda: databases.postgresql(icu=True),
    "mysql": databases.mysql,
}

MISSING = attrs.evolve(SERVERS["mysql"], name="mysql-none", version=lambda: None)

pytestmark = pytest.mark.unmeasured

OWNER = """
import os, signal, sys, time
from servers.sessions import FOLDER, SERVERS, session

signal.signal(signal.SIGINT, signal.default_int_handler)  # may have been ignored
with session():
    print(SERVERS[sys.argv[1]].url())
    print(os.environ[FOLDER], flush=True)
    {then}
"""


@pytest.mark.parametrize("name", MAKE)
def test_databases_are_apart(name: str) -> None:
    """Two new databases of a server are empty, and share no table."""
    with MAKE[name]() as one, MAKE[name]() as two:
        _run(one, "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)")
        _run(two, "CREATE TABLE t (id INT)")
        assert 1 == _value(one, "SELECT count(*) FROM t")
        assert 0 == _value(two, "SELECT count(*) FROM t")


@pytest.mark.parametrize("name", MAKE)
def test_database_is_dropped(name: str) -> None:
    """A database goes with its block, even where a transaction in it is still open."""
    with MAKE[name]() as url:
        _run(url, "CREATE TABLE t (id INT)")
        left = create_engine(url, poolclass=NullPool).connect()
        left.execute(text("INSERT INTO t VALUES (1)"))
    left.invalidate()
    left.close()
    with pytest.raises(OperationalError, match=str(make_url(url).database)):
        _value(url, "SELECT 1")


@pytest.mark.parametrize("name", MAKE)
def test_connections_are_counted(name: str) -> None:
    """A test can tell that a connection to its database is still open."""
    with MAKE[name]() as url:
        assert 0 == databases.connections(url)
        with create_engine(url, poolclass=NullPool).connect():
            assert 1 == databases.connections(url)


def test_fixtures_give_drivers(postgresql_url: str, mysql_url: str) -> None:
    """The URLs are SQLAlchemy's, with the drivers of the extras, and any text fits."""
    assert postgresql_url.startswith("postgresql+psycopg://")
    assert mysql_url.startswith("mysql+pymysql://")
    assert "utf8mb4" == make_url(mysql_url).query["charset"]
    for url in (postgresql_url, mysql_url):
        _run(url, "CREATE TABLE t (v VARCHAR(9))", "INSERT INTO t VALUES ('\N{OTTER}ж')")
        assert "\N{OTTER}ж" == _value(url, "SELECT v FROM t")


def test_collations(postgresql_url: str, postgresql_icu_url: str) -> None:
    """Text is in the order of code points, and under ICU in that of a dictionary."""
    query = "SELECT string_agg(v, '' ORDER BY v) FROM (VALUES ('b'), ('B'), ('a'), ('Z')) AS t (v)"
    assert "BZab" == _value(postgresql_url, query)
    assert "abBZ" == _value(postgresql_icu_url, query)


def test_server_is_started_once() -> None:
    """Each database of a session is on the same server."""
    with databases.mysql() as one, databases.mysql() as two:
        assert make_url(one).port == make_url(two).port


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A session in which a server is missing, and may be."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.delenv(MISSING.variable, raising=False)
    monkeypatch.delenv(databases.REQUIRE, raising=False)


@pytest.mark.usefixtures("no_server")
def test_missing_server_skips() -> None:
    """A test whose server is missing is skipped, and says what to do."""
    reason = "MariaDB was not tested: install mariadb-server or set DATABACKUP_TEST_MYSQL_URL"
    with pytest.raises(pytest.skip.Exception, match=f"^{reason}$"):
        databases.url_of(MISSING)


@pytest.mark.usefixtures("no_server")
@pytest.mark.parametrize("names", ["mysql", "postgresql, mysql,"])
def test_missing_server_fails_where_required(names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under DATABACKUP_REQUIRE the same is a failure."""
    monkeypatch.setenv(databases.REQUIRE, names)
    missing = attrs.evolve(MISSING, name="mysql")
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception)) as raised:
        databases.url_of(missing)
    assert pytest.fail.Exception is raised.type
    assert str(raised.value).startswith("MariaDB was not tested: install")


def test_required_names_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that DATABACKUP_REQUIRE misspells would be required of nobody: it is refused."""
    monkeypatch.setenv(databases.REQUIRE, "postgresql,mariadb")
    with pytest.raises(pytest.UsageError, match="names mariadb; there are postgresql, "):
        databases.required()


def test_missing_command_skips_or_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A command that is not installed is left out like a server, and may be required like one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(databases.REQUIRE, "mysql")
    reason = "the command age was not tested: it is not on the PATH"
    with pytest.raises(pytest.skip.Exception, match=f"^{reason}$"):
        databases.command("age")
    monkeypatch.setenv(databases.REQUIRE, "mysql,age")
    with pytest.raises(pytest.fail.Exception, match=f"^{reason}$"):
        databases.command("age")


@pytest.mark.usefixtures("no_server")
def test_given_server_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL in the environment stands for the server, with our driver, and nothing is started."""
    monkeypatch.setenv(MISSING.variable, "mariadb://me:secret@db.example:3307/")
    url = databases.url_of(MISSING)
    assert ("mysql+pymysql", "db.example", 3307) == (url.drivername, url.host, url.port)


def test_given_server_must_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL at which nobody answers fails tests, and the header says so without the password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv(MISSING.variable, f"mysql://me:secret@127.0.0.1:{port}/")
    with pytest.raises(OperationalError, match="Can't connect"), databases.mysql():
        pass
    assert "MariaDB at 127.0.0.1 (does not answer: " in databases.versions()
    assert "secret" not in databases.versions()


@pytest.mark.parametrize("name", SERVERS)
def test_header_has_versions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header says the version that the server itself states."""
    url = databases.url_of(SERVERS[name])
    says = str(_value(url.render_as_string(hide_password=False), "SELECT version()"))
    found = re.search(
        rf"{SERVERS[name].title} (?:at [^(]*\()?(?:PostgreSQL )?(\d[\w.]*)", databases.versions()
    )
    assert found
    assert found[1] in says


@pytest.mark.slow
@pytest.mark.parametrize("name", ["postgresql", "mysql"])
@pytest.mark.parametrize("then", ["pass", "os.kill(os.getpid(), 9)", "time.sleep(60)"])
def test_nothing_is_left(name: str, then: str) -> None:
    """A server ends with its session: at the end, when the owner is killed, and at Ctrl-C."""
    if SERVERS[name].version() is None:
        pytest.skip("nothing to start")
    with _owner(name, then) as owner:
        assert owner.stdout
        url, path = (owner.stdout.readline().strip() for _ in range(2))
        assert url
        folder = Path(path)
        if "sleep" in then:
            assert folder.is_dir()
            owner.send_signal(signal.SIGINT)
        owner.wait(30)
    _wait_until(lambda: not folder.exists())
    assert [] == _processes(str(folder))
    with pytest.raises(OperationalError):
        _value(databases.with_driver(url).render_as_string(hide_password=False), "SELECT 1")


@contextlib.contextmanager
def _owner(name: str, then: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that owns a session, and writes a server's URL and the session's folder."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith("DATABACKUP_TEST")
    }
    with subprocess.Popen(
        [sys.executable, "-c", OWNER.format(then=then), name],
        cwd=ROOT,
        env=kept | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        yield process


def _processes(folder: str) -> list[str]:
    """The command lines of running processes that name a folder."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_text("utf-8", "replace"))
    return [line for line in lines if folder in line]


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def broken_mariadb(tmp_path: Path) -> dict[str, str]:
    """An environment in which MariaDB is there, but does not start."""
    for name, script in {
        "mariadbd": "echo 'mariadbd  Ver 99.1'",
        "mariadb-install-db": "echo 'no space left' >&2; exit 1",
    }.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


@pytest.mark.slow
def test_server_that_does_not_start(broken_mariadb: dict[str, str]) -> None:
    """Why a server did not start is said to every test that asks, and it is tried once."""
    with _owner("mysql", "pass", **broken_mariadb) as owner:
        said = owner.communicate(timeout=60)[1]
    assert f"{NotThere.__name__}: 99.1 did not start, mend it or set DATABACKUP_TEST_MYSQL" in said
    assert "mariadb-install-db failed: no space left" in said


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("require, code", [("postgresql", 0), ("mysql", 1), ("sybase", 4)])
def test_run_says_what_was_left_out(
    workers: str, require: str, code: int, broken_mariadb: dict[str, str]
) -> None:
    """The last lines of a run name the server that was not tested; a required one fails it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DATABACKUP_")}
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", workers),
            "tests/test_servers.py::test_connections_are_counted[mysql]",
        ],
        cwd=ROOT,
        env=kept | broken_mariadb | {databases.REQUIRE: require},
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert code == run.returncode, run.stdout
    if code == 4:
        assert "DATABACKUP_REQUIRE names sybase" in run.stderr
        return
    last = run.stdout.splitlines()[-2]
    assert last.startswith("MariaDB was not tested: 99.1 did not start") is (code == 0)
    assert ("1 failed" if code else "1 skipped") in run.stdout


def _run(url: str, *statements: str) -> None:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _value(url: str, query: str) -> object:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return connection.execute(text(query)).scalar_one()
