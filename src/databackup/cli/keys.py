"""The options that encrypt and decrypt, each with the name of a file: no secret is an argument.

Arguments are seen by everybody in the list of processes, and stay in the shell's history.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import attrs
import click

from databackup.archive.decrypting import way_of
from databackup.archive.encryption import (
    SUFFIX,
    Decryption,
    Encryption,
    Identity,
    Passphrase,
    Recipients,
)
from databackup.cli.confirm import can_ask
from databackup.cli.text import visible
from databackup.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    _Command = Callable[..., Any]

_LONGEST: Final = 1024 * 1024  # bytes of a passphrase
_IDENTITY: Final = click.option(
    "--identity",
    "identities",
    multiple=True,
    metavar="FILE",
    help="A file with the private key, of age or SSH, that opens an encrypted archive. Repeatable.",
)
_ENCRYPT_TO: Final = click.option(
    "--encrypt-to",
    "recipients",
    multiple=True,
    metavar="KEY",
    help="Encrypt to whoever has the private half of this public key: age1…, or one of SSH. "
    "Repeatable.",
)


def _passphrase_file(does: str) -> Callable[[_Command], _Command]:
    return click.option(
        "--passphrase-file",
        metavar="FILE",
        help=f"A file whose one line is the passphrase that {does}; - is standard input.",
    )


@attrs.frozen(kw_only=True)
class Keys:
    """What the options name, read."""

    identity: Identity | None
    passphrase: Passphrase | None
    recipients: Recipients | None

    @property
    def given(self) -> Decryption | None:
        """What opens archives, as far as options name it."""
        return self.identity or self.passphrase

    def of_new(self) -> Encryption | None:
        """What encrypts the archive of a command that reads none."""
        if self.recipients and self.passphrase:
            raise click.UsageError("--encrypt-to and --passphrase-file exclude each other.")
        return self.recipients or self.passphrase

    def of_rewritten(self, file: str) -> Encryption | None:
        """What encrypts an archive where the passphrase may be that of the one that is read."""
        return self.recipients or (self.passphrase if file.endswith(SUFFIX) else None)

    def opening(self, *sources: tuple[object, str]) -> Decryption | None:
        """What opens the first that is encrypted of some sources, which are paths or open files.

        Each has the name that it is called by where a passphrase has to be asked for.
        """
        for source, name in sources:
            with _read(source) as file:
                way = None if file is None else way_of(file)
            if way == "passphrase":
                return self.passphrase or self.identity or _asked_for(name)
            if way == "recipients":
                break
        return self.given


@contextlib.contextmanager
def _read(source: object) -> Iterator[IO[bytes] | None]:
    """A source to look into; None for what is no file, or can be read only once."""
    if isinstance(source, str):
        with contextlib.ExitStack() as stack:
            file = None
            with contextlib.suppress(OSError, ValueError):  # opening the archive says why
                if Path(source).is_file():
                    file = stack.enter_context(Path(source).open("rb"))
            yield file
    else:
        yield source if hasattr(source, "read") else None  # type: ignore[misc]


def _asked_for(name: str) -> Passphrase | None:
    """The passphrase that somebody types, None where nobody is there."""
    if not can_ask():
        return None
    try:
        text = getpass.getpass(f"Passphrase of {visible(name)}: ")
    except EOFError:
        return None
    return Passphrase(text)


def reading_keys(command: _Command) -> _Command:
    """Adds the options that open an archive; the command is given `keys`."""
    return _IDENTITY(
        _passphrase_file("opens an encrypted archive")(_with_keys(command, "file", "a", "b"))
    )


def writing_keys(command: _Command) -> _Command:
    """Adds the options that encrypt an archive; the command is given `keys`."""
    return _ENCRYPT_TO(_passphrase_file("encrypts the archive")(_with_keys(command)))


def rewriting_keys(command: _Command) -> _Command:
    """Adds both, for a command that makes an archive of one; the command is given `keys`."""
    does = "opens what is read, and encrypts what is written where its name ends with .age"
    return _IDENTITY(_ENCRYPT_TO(_passphrase_file(does)(_with_keys(command, "edited", "old"))))


def _with_keys(command: _Command, *read: str) -> _Command:
    """The command with its keys; the arguments that name what it reads may be standard input."""

    @functools.wraps(command)
    def with_keys(
        *arguments: Any,
        passphrase_file: str | None,
        identities: tuple[str, ...] = (),
        recipients: tuple[str, ...] = (),
        **options: Any,
    ) -> Any:
        is_given = passphrase_file == "-"  # noqa: S105 - the name of a file
        if is_given and "-" in map(options.get, read):
            raise click.UsageError("Standard input is the passphrase or the archive, not both.")
        keys = Keys(
            identity=Identity.of_files(*identities) if identities else None,
            passphrase=None if passphrase_file is None else _passphrase_of(passphrase_file),
            recipients=Recipients(recipients) if recipients else None,
        )
        return command(*arguments, keys=keys, **options)

    return with_keys


def _passphrase_of(file: str) -> Passphrase:
    if file != "-":
        return Passphrase.of_file(file)
    if sys.stdin is None:
        raise FileError("standard input is closed", file)
    return Passphrase.of_line(sys.stdin.buffer.read(_LONGEST), "standard input")
