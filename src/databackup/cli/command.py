"""What the commands share: how they answer errors, what they read, options that several have."""

from __future__ import annotations

import contextlib
import math
import sys
import traceback
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final, get_args

import attrs
import click

from databackup.adapters.registry import without_password
from databackup.adapters.sqlite.reflect import Types
from databackup.archive.files import open_source
from databackup.cli import render
from databackup.cli.interrupt import InterruptGuard
from databackup.cli.output import Output, abandon_stdout
from databackup.errors import ArchiveError, CommitUnknown, DatabackupError, FileError, StoreError
from databackup.operations.options import LONGEST_WAIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from databackup.archive.limits import Limits

FAILED: Final = 1
TROUBLE: Final = 2
OUTCOME_UNKNOWN: Final = 3
INTERRUPTED: Final = 130
_WRITTEN: Final = {"export": "file", "seal": "sealed", "migrate": "new"}
"""The argument that names the archive that a command writes."""
_READ: Final = {
    "import": "file",
    "preview": "file",
    "inspect": "file",
    "verify": "file",
    "seal": "edited",
    "migrate": "old",
}
"""The argument that names the archive that a command reads, and that its errors are of."""


@attrs.frozen
class Run:
    """One run of a command: what it prints with, and what keeps Ctrl-C off its last step."""

    output: Output
    guard: InterruptGuard


class Command(click.Command):
    """A command whose errors are answered with a text and an exit code, never with a traceback."""

    failed: ClassVar[int] = FAILED
    """The exit code of whatever goes wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and answer what goes wrong."""
        output = Output(
            as_json=ctx.params.pop("as_json"),
            archive_on_stdout=ctx.params.get(_WRITTEN.get(ctx.command.name or "", "")) == "-",
        )
        # The group's object, where the process runs nothing but this command.
        given = ctx.obj if isinstance(ctx.obj, InterruptGuard) else InterruptGuard()
        with given as guard:
            ctx.obj = Run(output, guard)
            try:
                return super().invoke(ctx)
            except DatabackupError as error:
                code = self._answer(output, error, ctx)
            except KeyboardInterrupt:
                guard.hold()  # pressed again, it would keep the answer back
                cancelled = {"code": "cancelled", "message": "cancelled; nothing was changed"}
                output.failure(render.cancelled(), cancelled)
                code = INTERRUPTED
            except BrokenPipeError:
                abandon_stdout()
                code = self.failed
        return ctx.exit(code)

    def _answer(self, output: Output, error: DatabackupError, ctx: click.Context) -> int:
        """Tell of an error, and say which exit code stands for it."""
        if isinstance(error.__cause__, BrokenPipeError):
            abandon_stdout()  # whoever read the archive has gone, and knows why
            return self.failed
        place, given = None, ctx.params
        if isinstance(error, ArchiveError):
            read = given.get(_READ.get(ctx.command.name or "", ""))
            place = "standard input" if read == "-" else read
        elif isinstance(error, StoreError):
            names = [without_password(given[n]) for n in ("source", "target") if given.get(n)]
            told = any(error.message.startswith(f"{name}: ") for name in names)
            place = names[-1] if names and not told else None
        output.error(error, place)
        return OUTCOME_UNKNOWN if isinstance(error, CommitUnknown) else self.failed


class AnsweringCommand(Command):
    """A command whose exit code 1 is an answer, so that nothing that goes wrong may have it."""

    failed = TROUBLE

    def invoke(self, ctx: click.Context) -> Any:
        """As any command, with a traceback for what has no answer."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception:  # noqa: BLE001 - a mistake of ours or of the host's; Python would exit 1
            traceback.print_exc()
            return ctx.exit(TROUBLE)


@contextlib.contextmanager
def opened_archive(file: str, limits: Limits) -> Iterator[IO[bytes]]:
    """The archive, open for reading and able to seek."""
    if file == "-":
        if sys.stdin is None:
            raise FileError("standard input is closed", file)
        with open_source(sys.stdin.buffer, limits.size) as source:
            yield source
    else:
        with open_source(file, limits.size) as source:
            yield source


def written_archive(file: str) -> str | IO[bytes]:
    """Where an archive is written: a path, or standard output. Raises `FileError`."""
    if file != "-":
        return file
    if sys.stdout is None:
        raise FileError("standard output is closed", "-")
    return sys.stdout.buffer


# -- options -----------------------------------------------------------------------------------


def _exclusions(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    found = {}
    for value in values:
        name, _, reason = value.partition("=")
        if not name or not reason.strip():
            raise click.BadParameter(f"{value!r} is not TABLE=REASON")
        found[name] = reason
    return found


def target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how a SQLite file is read."""
    types = click.option(
        "--types",
        type=click.Choice(get_args(Types)),
        default="storage",
        show_default=True,
        help="Values of a SQLite file as they are stored, or as their columns are declared.",
    )
    exclude = click.option(
        "--exclude",
        multiple=True,
        metavar="TABLE=REASON",
        callback=_exclusions,
        help="Leave out a table, or TABLE.COLUMN, of a SQLite file; the reason goes into the "
        "archive. Repeatable.",
    )
    return types(exclude(function))


class Seconds(click.FloatRange):
    """A number of seconds from 0 on; what is no number and what never ends is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number of what was given."""
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return seconds


wait_option = click.option(
    "--wait",
    type=Seconds(min=0, max=LONGEST_WAIT),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another transaction.",
)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print the report, or the error, as one JSON object."
)
