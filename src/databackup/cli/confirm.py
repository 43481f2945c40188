"""What is overwritten: by an export only an archive, by an import what somebody agrees to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from databackup.archive import compression
from databackup.archive.encryption import SUFFIX, is_encrypted
from databackup.archive.reader import begins_an_archive
from databackup.cli.output import is_terminal
from databackup.cli.text import visible
from databackup.errors import DatabackupError, FileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from databackup.cli.output import Output
    from databackup.operations.options import Mode


@attrs.frozen
class _Words:
    """How one is asked about a mode, and what was not agreed to."""

    question: str
    refused: str


_WORDS: Final[Mapping[Mode, _Words]] = {
    "replace": _Words(
        "Overwrite {}?",
        "the import would overwrite data",
    ),
    "merge": _Words(
        "Merge into {}, and overwrite records of the same key?",
        "the import would overwrite records of the same keys",
    ),
    "add": _Words(
        "Add to {}, and change nothing that is there?",
        "the import would add records",
    ),
}


_NEW: Final = _Words(
    "Make them in {}?",
    "the import would make tables",
)


@attrs.define(slots=False, eq=False)
class NotConfirmed(DatabackupError):
    """What would change data or remove archives, and nobody has agreed to."""

    code: ClassVar[str] = "not-confirmed"
    remedy: ClassVar[str] = "To go on without being asked, say --yes"


def require_replaceable(file: str) -> None:
    """See that an export replaces nothing but an archive: not the database, not somebody's notes.

    Raises `FileError`.
    """
    try:
        if Path(file).is_symlink() or not Path(file).is_file():
            return
        with Path(file).open("rb") as opened:
            start = opened.read(compression.CHUNK)
    except (OSError, ValueError):
        return  # the export says what is wrong with it
    if start and not _may_be_an_archive(file, start):
        raise FileError(f"{file} exists and is no archive: name another file, or remove it", file)


def _may_be_an_archive(file: str, start: bytes) -> bool:
    """Whether a file begins as one; what is encrypted has to be called so, and shows no more."""
    if is_encrypted(start):
        return file.endswith(SUFFIX)
    return begins_an_archive(start)


def can_ask() -> bool:
    """Whether somebody is there to read the question and to answer it."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def require_terminal(mode: Mode, *, new: bool = False) -> None:
    """See that somebody can be asked. Raises `NotConfirmed`."""
    _require_terminal((_NEW if new else _WORDS[mode]).refused)


def require_consent(output: Output, target: str, mode: Mode, *, new: bool = False) -> None:
    """Ask, and go on only for a yes. Raises `NotConfirmed`."""
    words = _NEW if new else _WORDS[mode]
    ask(output, words.question.format(visible(target)), words.refused)


def _require_terminal(refused: str) -> None:
    if not can_ask():
        raise NotConfirmed(f"{refused}, and there is no terminal to ask on; nothing was changed")


def ask(output: Output, question: str, refused: str) -> None:
    """Ask a question, and go on only for a yes; `refused` is what is not done otherwise.

    Raises `NotConfirmed`.
    """
    _require_terminal(refused)
    answer = ""
    try:
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
    finally:
        if not answer.endswith("\n"):
            output.say("")  # the end of the question's line, after Ctrl-C and Ctrl-D
    if answer.strip().lower() not in {"y", "yes"}:
        raise NotConfirmed("the answer was not yes; nothing was changed")
