"""The commands about a folder of archives: what is in it, and what of that may go."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Final

import click
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from databackup.cli import confirm
from databackup.cli.command import Command, Run, as_json
from databackup.cli.keys import Keys, reading_keys
from databackup.cli.limits import limit_option
from databackup.cli.progress import progress_bar
from databackup.cli.text import counted, size, visible
from databackup.operations.folders import list_backups, planned_prune

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from databackup.archive.limits import Limits
    from databackup.operations.reports import Backup, PruneReport

_INDENT: Final = (0, 0, 0, 2)
_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@click.command(cls=Command)
@click.argument("folder")
@click.option("--verify", is_flag=True, help="Read every record of each archive, too.")
@reading_keys
@limit_option
@as_json
@click.pass_obj
def backups(run: Run, /, folder: str, *, verify: bool, keys: Keys, limits: Limits) -> None:
    """List the archives in FOLDER, the newest first: age, app, version, records, size, sound.

    The seal of each is checked. What is damaged, and what is named as an archive and is none, is
    listed with the reason. Other files are left out.
    """
    with progress_bar(f"reading {folder}") as progress:
        found = list_backups(
            folder, verify=verify, limits=limits, decryption=keys.given, progress=progress
        )
    text = _listed(found, folder, "verified" if verify else "sound")
    report = {"folder": folder, "backups": [backup.as_json() for backup in found]}
    run.output.result(text, report)


@click.command(cls=Command)
@click.argument("folder")
@click.option(
    "--keep-last",
    type=click.IntRange(min=1),
    required=True,
    metavar="N",
    help="How many archives of each app stay, the newest of them.",
)
@click.option("--app", "app", metavar="NAME", help="Remove archives of this app only.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@reading_keys
@limit_option
@as_json
@click.pass_obj
def prune(
    run: Run,
    /,
    folder: str,
    *,
    keep_last: int,
    app: str | None,
    dry_run: bool,
    yes: bool,
    keys: Keys,
    limits: Limits,
) -> None:
    """Remove the archives in FOLDER but for the newest of each app, of which --keep-last stay.

    Every archive is verified first. Only sound ones are counted and removed: what is damaged stays,
    and so does every other file. Says what will be removed and asks, unless --yes is given.
    """
    with progress_bar(f"verifying {folder}") as progress:
        plan = planned_prune(
            folder,
            keep_last=keep_last,
            app=app,
            limits=limits,
            decryption=keys.given,
            progress=progress,
        )
    report = plan.report(dry_run=True)
    if dry_run or not report.removed:
        run.output.done(_pruned(report), report.as_json())
        return
    if not yes:
        run.output.say(_pruned(report))
        number = counted(len(report.removed), "archive")
        confirm.ask(
            run.output,
            f"Remove {number} from {visible(folder)}?",
            "the command would remove archives",
        )
    run.guard.hold()
    report = plan.carry_out()
    run.output.done(_pruned(report), report.as_json())


def _listed(found: Sequence[Backup], folder: str, sound: str) -> RenderableType:
    if not found:
        return Text(f"there is no archive in {visible(folder)}")
    return Group(
        Text(f"{counted(sum(b.sound for b in found), 'archive')} in {visible(folder)}"),
        Padding(_table([b for b in found if b.sound], sound), _INDENT),
        *(
            Padding(Text.assemble((f"{visible(b.path)}: ", "yellow"), visible(b.problem)), _INDENT)
            for b in found
            if not b.sound
        ),
    )


def _pruned(report: PruneReport) -> RenderableType:
    kept = counted(sum(backup.sound for backup in report.kept), "archive")
    folder = visible(report.folder)
    if not report.removed:
        stays = "stays" if kept == counted(1, "archive") else "stay"
        return Text(f"there is nothing to remove from {folder}; {kept} {stays}")
    number = counted(len(report.removed), "archive")
    done = "to be removed" if report.dry_run else "removed"
    return Group(
        Text(f"{number} {done} from {folder}, {kept} kept"),
        Padding(_table(report.removed, "verified"), _INDENT),
    )


def _table(found: Sequence[Backup], sound: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    names = ("file", "age", "app", "version", "records", "size", "state")
    for name in names:
        numbers = name in {"age", "version", "records", "size"}
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    now = datetime.datetime.now(datetime.UTC)
    for backup in found:
        state = f"{sound}, safety backup" if backup.safety_backup else sound
        cells = (
            backup.path,
            age_of(backup.created_at or "", now),
            backup.app or "not named",
            f"{backup.schema_version}",
            f"{backup.records:,}",
            size(backup.size),
            state,
        )
        table.add_row(*(Text(visible(cell)) for cell in cells))
    return table


def age_of(created_at: str, now: datetime.datetime) -> str:
    """How long ago, in the largest unit of which there are two or more."""
    passed = (now - datetime.datetime.fromisoformat(created_at)).total_seconds()
    seconds = max(0, int(passed))
    length, unit = next((pair for pair in _UNITS if seconds >= 2 * pair[0]), _UNITS[-1])
    return counted(seconds // length, unit)
