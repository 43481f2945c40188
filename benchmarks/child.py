"""A command in a process of its own: how long it took, and how much memory."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[1]
_BYTES_OF_RSS = 1 if sys.platform == "darwin" else 1024


class CommandFailed(Exception):
    """A command that is measured did not succeed."""


@attrs.frozen
class Usage:
    """What a process used: seconds by the clock and of the processors, and bytes of memory.

    A process takes over its parent's peak when it starts, so `peak` is at least `floor`, and says
    something only above it.
    """

    seconds: float
    cpu: float
    peak: int
    floor: int

    @property
    def peak_is_its_own(self) -> bool:
        """Whether the peak is the process's, and not that of its parent."""
        return self.peak > self.floor


def measure(
    command: Sequence[str | Path],
    *,
    reads: Path | None = None,
    writes: Path | None = None,
    env: dict[str, str] | None = None,
) -> Usage:
    """Run a command from the root of the project, and wait for it.

    `reads` and `writes` are the files that its standard input and output are connected to, `env`
    what is added to the environment. Raises `CommandFailed` with what it said.
    """
    with (
        (reads or Path(os.devnull)).open("rb") as stdin,
        (writes or Path(os.devnull)).open("wb") as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:  # Ctrl-C: what it works on will be gone
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            stderr.seek(0)
            said = stderr.read().decode(errors="replace")
            line = " ".join(map(str, command))
            raise CommandFailed(f"exit status {process.returncode}: {line}\n{said}")
    floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Usage(
        seconds=seconds,
        cpu=used.ru_utime + used.ru_stime,
        peak=used.ru_maxrss * _BYTES_OF_RSS,
        floor=floor * _BYTES_OF_RSS,
    )
