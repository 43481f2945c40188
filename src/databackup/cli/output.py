"""Where text goes: reports and JSON to standard output, all other text to standard error.

No console interprets markup, and all that comes from files and stores goes through `text.visible`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO

from rich.console import Console

from databackup.archive.text import dump
from databackup.cli import render
from databackup.errors import FileError, reason_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from databackup.errors import DatabackupError

_UNWRAPPED: Final = 10_000
_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|-?[0-9][-+.0-9e]*+')  # or a string, passed over


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at a stream."""
    return stream is not None and not stream.closed and stream.isatty()


def console_of(stream: TextIO | None) -> Console:
    """A console that shows text as it is, and wraps lines on a terminal only."""
    width = None if is_terminal(stream) else _UNWRAPPED
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


class Output:
    """What one command prints. With `as_json` the report is one JSON object on one line.

    `archive_on_stdout` keeps standard output for the archive: the report goes to standard error.
    """

    def __init__(self, *, as_json: bool, archive_on_stdout: bool = False) -> None:
        self.as_json = as_json
        self._archive_on_stdout = archive_on_stdout

    @property
    def wants_progress(self) -> bool:
        """Whether standard error is free for a progress bar."""
        return not (self.as_json and self._archive_on_stdout)

    def say(self, text: RenderableType) -> None:
        """Tell people; that nobody can hear it is no failure."""
        with contextlib.suppress(OSError, ValueError):
            _write(sys.stderr, _printed(sys.stderr, text))

    def result(self, text: RenderableType, report: dict[str, Any]) -> None:
        """The answer to a question, on standard output. Raises `FileError`, BrokenPipeError."""
        try:
            self._put(sys.stdout, report if self.as_json else text)
        except BrokenPipeError:
            raise
        except OSError as error:
            abandon_stdout()
            message = f"standard output cannot be written: {reason_of(error)}"
            raise FileError(message, "-") from error

    def done(self, text: RenderableType, report: dict[str, Any]) -> None:
        """The report of work that is done, whether or not it can be printed."""
        if not self.as_json:
            self.say(text)
            return
        try:
            self._put(sys.stderr if self._archive_on_stdout else sys.stdout, report)
        except OSError as error:
            abandon_stdout()
            if not isinstance(error, BrokenPipeError):
                self.say(render.unprinted(error))

    def error(self, error: DatabackupError, place: str | None) -> None:
        """What went wrong, and where: for people, and as JSON where that is wanted."""
        self.failure(render.error(error, place), error.as_json())

    def failure(self, text: RenderableType, members: dict[str, Any]) -> None:
        """As `error`, for what is no error of the library."""
        if self.as_json:
            with contextlib.suppress(OSError):
                self._put(sys.stderr if self._archive_on_stdout else sys.stdout, {"error": members})
        if not (self.as_json and self._archive_on_stdout):
            self.say(text)

    def _put(self, stream: TextIO | None, what: RenderableType | dict[str, Any]) -> None:
        if isinstance(what, dict):
            # Printable ASCII: no name or value can steer a terminal, whatever its encoding.
            text = _NUMBER.sub(_as_archived, json.dumps(what, ensure_ascii=True, allow_nan=False))
            _write(stream, text.replace("\x7f", "\\u007f") + "\n")
        else:
            _write(stream, _printed(stream, what))


def _as_archived(found: re.Match[str]) -> str:
    """A number in the layout of archives: `0.00001`, not Python's own `1e-05`."""
    digits = found[0]
    return dump(float(digits)).decode() if digits[0] != '"' and "e" in digits else digits


def _printed(stream: TextIO | None, text: RenderableType) -> str:
    console = console_of(stream)
    with console.capture() as capture:
        console.print(text)
    lines = capture.get().split("\n")
    return "\n".join(line.rstrip(" ") for line in lines)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return  # closed by whoever started us
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def abandon_stdout() -> None:
    """See that what is left in the buffer of standard output fails nobody at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
