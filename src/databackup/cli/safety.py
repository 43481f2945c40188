"""Safety backups on the command line: where they are made, and how an import is undone by one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.padding import Padding
from rich.text import Text

from databackup.cli.text import visible
from databackup.repository import CreatesTables, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

    from databackup.operations.reports import ImportReport
    from databackup.repository import Repository

_INDENT: Final = (0, 0, 0, 2)
_SQLITE: Final = "sqlite:"


def _not_both(context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and context.params.get("no_safety_backup"):
        raise click.UsageError("--safety-backup and --no-safety-backup exclude each other.")
    return value


OPTIONS: Final = (
    # First, so that the other one can see it.
    click.option(
        "--no-safety-backup",
        is_flag=True,
        is_eager=True,
        help="Do not export what TARGET holds before anything is written.",
    ),
    click.option(
        "--safety-backup",
        metavar="PATH|FOLDER",
        callback=_not_both,
        help="Where TARGET is exported to before anything is written: a new file, or a folder. The "
        "default is the archive's folder; of what comes by a pipe and of copy the current one.",
    ),
)


def safety_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say whether there is a safety backup, and where."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def folder_beside(file: str) -> Path:
    """The folder of an archive; the current one for what comes by a pipe, whatever its name."""
    is_one_of_the_system = file.startswith(("/dev/", "/proc/"))
    return Path(file).parent if Path(file).is_file() and not is_one_of_the_system else Path()


def is_new(repository: Repository) -> bool:
    """Whether a store has none of its tables yet, so that there is nothing to go back to."""
    return isinstance(repository, CreatesTables) and (
        {collection.name for collection in repository.schema.collections}
        <= set(repository.missing())
    )


def folders_of(repository: Repository) -> list[Path]:
    """Where safety backups are looked for: here, and beside a store that is a file."""
    place = place_of(repository)
    folders = [Path()]
    if place is not None and place.identity.startswith(_SQLITE):
        beside = Path(place.identity.removeprefix(_SQLITE)).parent
        if beside != Path.cwd():
            folders.append(beside)
    return folders


def rendered(report: ImportReport, repository: Repository, target: str) -> Iterator[RenderableType]:
    """Where the safety backup stands, and the command that brings back what is in it."""
    if report.safety_backup is None:
        return
    path = Path(report.safety_backup)
    if place_of(repository) is None:
        command = f"import {shlex.quote(str(path))} {shlex.quote(target)}"
    else:
        command = f"undo {shlex.quote(target)}"
        if path.parent.resolve() not in {f.resolve() for f in folders_of(repository)}:
            command += f" --folder {shlex.quote(str(path.parent))}"
    yield Padding(Text(f"safety backup {visible(path)}"), _INDENT)
    yield Padding(Text(f"to undo this: databackup {visible(command)}"), _INDENT)
