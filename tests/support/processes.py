"""Child processes that do a piece of work, and may be killed at it."""

import os
import signal
import sqlite3
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

KILLED = -int(signal.SIGKILL)
DONE = 0


def start(work: Callable[[], object]) -> int:
    """Do work in a child process; its number is returned. It ends with 1 where the work raises."""
    with warnings.catch_warnings():
        # The test runner may have threads; the child uses none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = DONE
    except BaseException:  # noqa: BLE001 - whatever it is, the child must end here
        traceback.print_exc()
    finally:
        os._exit(status)


def wait_for(child: int) -> int:
    """Wait for a child's end: 0 for work that was done, minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(work: Callable[[], object]) -> int:
    """Do work in a child process and wait for its end."""
    return wait_for(start(work))


def kill_self() -> None:
    """End this process at once, as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


class Statements:
    """Counts the SQL statements of the connections it makes, and ends the process at one."""

    def __init__(self, path: Path, deadly: int | None = None) -> None:
        self.count = 0
        self._path = path
        self._deadly = deadly

    def connect(self) -> sqlite3.Connection:
        """A new connection."""
        connection = sqlite3.connect(self._path)
        connection.set_trace_callback(self._next)
        return connection

    def _next(self, _sql: str) -> None:
        self.count += 1
        if self.count == self._deadly:
            kill_self()
