"""Throwaway MariaDB servers, where MariaDB is installed."""

import contextlib
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

_PATIENCE = 60.0  # seconds


def version() -> str | None:
    """What the server says it is, such as 10.11.19-MariaDB; None where it is not installed."""
    programs = [_program("mariadb-install-db"), _program("mariadbd")]
    if None in programs:
        return None
    said = subprocess.run(
        [str(programs[-1]), "--version"], capture_output=True, text=True, check=True
    ).stdout
    (found,) = re.findall(r"Ver (\S+)", said)
    return str(found)


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


@contextlib.contextmanager
def started(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """The URL of a new server with its files in an empty folder, until the block ends.

    It listens on a free port of 127.0.0.1, and root has a password. Only a `durable` one
    waits for the disk, as its settings are by default.
    """
    owner = pwd.getpwuid(os.geteuid())
    if owner.pw_uid == 0:  # as whom it does not run
        owner = pwd.getpwnam("mysql")
        os.chown(folder, owner.pw_uid, -1)
    files = ["--no-defaults", f"--datadir={folder / 'data'}", f"--user={owner.pw_name}"]
    environment = os.environ | {"TMPDIR": str(folder)}  # root's may be closed to others
    _install(files, environment)
    password = secrets.token_hex(8)
    first = folder / "first.sql"
    first.write_text(f"ALTER USER root@'127.0.0.1' IDENTIFIED BY '{password}';\n", "ascii")
    port = _free_port()
    listening = folder / "socket"
    with subprocess.Popen(
        [
            str(_program("mariadbd")),
            *files,
            f"--init-file={first}",
            f"--socket={listening}",
            f"--pid-file={folder / 'pid'}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--max-allowed-packet=64M",
            *([] if durable else ["--innodb-flush-log-at-trx-commit=0"]),
        ],
        env=environment,
        stdout=sys.stderr,
    ) as process:
        try:
            _wait_for(process, listening)
            yield f"mysql://root:{password}@127.0.0.1:{port}/"
        finally:
            process.kill()  # nothing of it is kept


def _install(files: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [
            str(_program("mariadb-install-db")),
            *files,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"mariadb-install-db failed: {' '.join(done.stdout.split())}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(process: subprocess.Popen[bytes], listening: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while not _answers(listening):
        if process.poll() is not None:
            raise RuntimeError(f"mariadbd ended with {process.returncode}")
        if time.monotonic() > end:
            raise TimeoutError(f"mariadbd did not listen after {_PATIENCE:.0f} seconds")
        time.sleep(0.02)


def _answers(listening: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.connect(str(listening))
        return True
    return False
