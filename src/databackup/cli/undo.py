"""The command that undoes an import, by the safety backup that was made before it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group
from rich.text import Text

from databackup.adapters.registry import open_repository, without_password
from databackup.cli import confirm, render, safety
from databackup.cli.command import Command, Run, as_json, target_options, wait_option
from databackup.cli.imports import require_no_problems
from databackup.cli.limits import limit_option
from databackup.cli.progress import progress_bar
from databackup.cli.render_plan import asked
from databackup.cli.text import visible
from databackup.operations.folders import last_safety_backup
from databackup.operations.importing import import_all
from databackup.operations.preview import preview_import

if TYPE_CHECKING:
    from databackup.adapters.sqlite.reflect import Types
    from databackup.archive.limits import Limits


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
    options: dict[str, Any] = {
        # What pointed nowhere before the import goes back as it was.
        "dangling": "keep",
        "allow_cascade": allow_cascade,
        "wait": wait,
        "limits": limits,
    }
    if not yes:
        with progress_bar(f"comparing {found.path} and {shown}") as progress:
            plan = preview_import(repository, found.path, sample=0, progress=progress, **options)
        require_no_problems(plan)
        run.output.say(Group(Text(f"Safety backup {visible(found.path)}:"), asked(plan, shown)))
        if not plan.identical:
            confirm.require_consent(run.output, shown, "replace")
        options = {"plan": plan}
    with progress_bar(f"checking {found.path}") as progress:
        report = import_all(
            run.guard.repository(repository),
            found.path,
            safety_backup=Path(found.path).parent,
            progress=progress,
            **options,
        )
    text = Group(
        render.imported(report, found.path, shown), *safety.rendered(report, repository, shown)
    )
    run.output.done(text, report.as_json())
