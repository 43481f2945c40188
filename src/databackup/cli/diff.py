"""The command that compares: two archives, two stores, or one of each."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from databackup.adapters.registry import notation_of, open_repository, without_password
from databackup.adapters.sqlite.reflect import Types
from databackup.cli.command import AnsweringCommand, Run, as_json, opened_archive, target_options
from databackup.cli.limits import limit_option
from databackup.cli.progress import progress_bar
from databackup.cli.render_diff import compared
from databackup.cli.selection import known_collections
from databackup.cli.text import visible
from databackup.operations import diff as operation

if TYPE_CHECKING:
    from databackup.archive.limits import Limits
    from databackup.operations.operands import Comparable

DIFFERENT: Final = 1
_SQLITE: Final = b"SQLite format 3\0"


@click.command(cls=AnsweringCommand)
@click.argument("a")
@click.argument("b")
@click.option(
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME",
    help="Compare only this collection. Repeatable.",
)
@click.option("--stat", is_flag=True, help="Only count; show no records.")
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=operation.SAMPLE,
    show_default=True,
    metavar="N",
    help="How many records to show of each collection that were added, changed, and removed.",
)
@limit_option
@target_options
@as_json
@click.pass_obj
def diff(
    run: Run,
    /,
    a: str,
    b: str,
    *,
    collections: tuple[str, ...],
    stat: bool,
    sample: int,
    limits: Limits,
    types: Types,
    exclude: dict[str, str],
) -> None:
    """Show what B has added, changed and removed since A.

    A and B are each an archive FILE, - for standard input, or a TARGET. A path is a TARGET if it
    is that of a SQLite database.

    Exit codes: 0 the same; 1 different; 2 trouble of any kind; 130 cancelled with Ctrl-C.
    """
    if a == b == "-":
        raise click.UsageError("Standard input can be read on one side only.")
    if (types != "storage" or exclude) and not any(map(_takes_options, (a, b))):
        raise click.UsageError(
            "--types and --exclude are for stores whose schema is read from them."
        )
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(
            progress_bar(f"reading {visible(_called(a))} and {visible(_called(b))}")
        )
        standard_input = opened_archive("-", limits)
        sides = [
            stack.enter_context(standard_input) if name == "-" else _opened(name, types, exclude)
            for name in (a, b)
        ]
        with known_collections():
            found = operation.diff(
                *sides,
                collections=collections or None,
                sample=0 if stat else sample,
                names=(_called(a), _called(b)),
                limits=limits,
                progress=progress,
            )
    run.output.result(compared(found), found.as_json())
    if not found.identical:
        click.get_current_context().exit(DIFFERENT)


def _opened(name: str, types: Types, exclude: dict[str, str]) -> Comparable:
    """What a side names; a path is left to be read as an archive, unless it is a database's."""
    if _takes_options(name):
        return open_repository(name, types=types, exclude=exclude)
    return open_repository(name) if notation_of(name) == "attribute" else name


def _takes_options(name: str) -> bool:
    """Whether a side is a store whose schema is read from the store itself."""
    return notation_of(name) == "url" or (notation_of(name) == "path" and _is_database(Path(name)))


def _is_database(path: Path) -> bool:
    try:
        if not path.is_file():  # of a pipe, what is read is gone
            return False
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except (OSError, ValueError):
        return False  # reading it as an archive says what is wrong with it


def _called(name: str) -> str:
    return "standard input" if name == "-" else without_password(name)
