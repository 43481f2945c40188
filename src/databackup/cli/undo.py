"""The command that undoes an import, by the safety backup that was made before it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from databackup.adapters.registry import open_repository, without_password
from databackup.cli import confirm, render, safety
from databackup.cli.command import Command, Run, as_json, target_options, wait_option
from databackup.cli.limits import limit_option
from databackup.cli.progress import progress_bar
from databackup.cli.text import visible
from databackup.operations.diff import diff
from databackup.operations.folders import last_safety_backup
from databackup.operations.importing import import_all

if TYPE_CHECKING:
    from rich.console import RenderableType

    from databackup.adapters.sqlite.reflect import Types
    from databackup.archive.limits import Limits
    from databackup.operations.differences import Diff
    from databackup.operations.reports import Backup


@click.command(cls=Command)
@click.argument("target")
@click.option(
    "--folder",
    metavar="FOLDER",
    help="Where safety backups are looked for. The default is the current folder, and that of "
    "TARGET where it is a file.",
)
@click.option("--yes", is_flag=True, help="Undo without asking.")
@click.option(
    "--allow-cascade",
    is_flag=True,
    help="Let TARGET's own cascades delete records outside of what is backed up.",
)
@wait_option
@limit_option
@target_options
@as_json
@click.pass_obj
def undo(
    run: Run,
    /,
    target: str,
    *,
    folder: str | None,
    yes: bool,
    allow_cascade: bool,
    wait: float,
    limits: Limits,
    types: Types,
    exclude: dict[str, str],
) -> None:
    """Bring back what TARGET held before the last import, by its safety backup.

    Says what will be done to the records of TARGET and asks, unless --yes is given. A safety backup
    is made before, so that an undo can be undone by another one.
    """
    shown = without_password(target)
    repository = open_repository(target, types=types, exclude=exclude, wait=wait)
    folders = safety.folders_of(repository) if folder is None else [Path(folder)]
    with progress_bar(f"looking for safety backups of {shown}") as progress:
        found = last_safety_backup(repository, folders, limits=limits, progress=progress)
    if not yes:
        with progress_bar(f"comparing {found.path} and {shown}") as progress:
            names = (shown, found.path)
            changes = diff(
                repository, found.path, sample=0, names=names, limits=limits, progress=progress
            )
        run.output.say(_overview(found, shown, changes))
        confirm.require_consent(run.output, shown, "replace")
    with progress_bar(f"checking {found.path}") as progress:
        report = import_all(
            run.guard.repository(repository),
            found.path,
            # What pointed nowhere before the import goes back as it was.
            dangling="keep",
            allow_cascade=allow_cascade,
            wait=wait,
            safety_backup=Path(found.path).parent,
            limits=limits,
            progress=progress,
        )
    text = Group(
        render.imported(report, found.path, shown), *safety.rendered(report, repository, shown)
    )
    run.output.done(text, report.as_json())


def _overview(found: Backup, target: str, changes: Diff) -> RenderableType:
    columns = {
        told: {name: getattr(item, what) for name, item in changes.collections.items()}
        for told, what in (
            ("to add", "added"),
            ("to change", "changed"),
            ("to delete", "removed"),
            ("unchanged", "unchanged"),
        )
    }
    made = (
        f"The safety backup {visible(found.path)} was made {visible(found.created_at)}, before an "
        "import."
    )
    held = f"{visible(target)} will hold what it held then, and nothing that came later:"
    return Group(Text(made), Text(held), Padding(render.counts(columns), (0, 0, 0, 2)))
