"""What `import` and `copy` share: options, the question, the import and its report."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, get_args

import attrs
import click
from rich.console import Group

from databackup.cli import confirm, render, safety
from databackup.cli.command import wait_option
from databackup.cli.progress import progress_bar
from databackup.operations.importing import import_all
from databackup.operations.options import Dangling, Mode, WrongAppChoice

if TYPE_CHECKING:
    from collections.abc import Callable

    from databackup.archive.limits import Limits
    from databackup.cli.command import Run
    from databackup.repository import Repository


dangling_option = click.option(
    "--dangling",
    type=click.Choice(get_args(Dangling)),
    default="refuse",
    show_default=True,
    help="What to do about references that point at no record; keep makes them warnings.",
)

_OPTIONS = (
    click.option("--yes", is_flag=True, help="Import without asking."),
    click.option(
        "--create",
        is_flag=True,
        help="Make the tables that TARGET lacks, and its file where that is one of SQLite's.",
    ),
    click.option(
        "--mode",
        type=click.Choice(get_args(Mode)),
        default="replace",
        show_default=True,
        help="replace: TARGET becomes equal to the archive. merge: records of the same key are "
        "overwritten, new ones inserted, others stay. add: new records are inserted, and nothing "
        "that is there changes.",
    ),
    click.option(
        "--no-read-back",
        is_flag=True,
        help="Do not read everything back and compare it before the commit.",
    ),
    click.option(
        "--wrong-app",
        type=click.Choice(get_args(WrongAppChoice)),
        default="refuse",
        show_default=True,
        help="What to do about the archive of another app.",
    ),
    dangling_option,
    click.option(
        "--allow-cascade",
        is_flag=True,
        help="Let TARGET's own cascades delete records outside of what is backed up.",
    ),
    wait_option,
    *safety.OPTIONS,
    click.option(
        "--marker",
        is_flag=True,
        help="Leave a row in TARGET's table databackup_imports, by which status tells later "
        "whether the import was committed.",
    ),
)


def import_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say how an import is to go."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@attrs.frozen(kw_only=True)
class Import:
    """One import of an open archive; `shown` and `target` are how both are called.

    `folder` is where a safety backup is made, unless an option says otherwise.
    """

    run: Run
    source: IO[bytes]
    shown: str
    repository: Repository
    target: str
    limits: Limits
    folder: Path = Path()

    def ask(self, **options: Any) -> None:
        """Say what will be done, and go on only for a yes.

        Raises what is wrong with archive and target, and `NotConfirmed`.
        """
        start = self.source.tell()
        with progress_bar(f"reading {self.shown}") as progress:
            overview = confirm.overview(
                self.source,
                self.repository,
                self.target,
                mode=options["mode"],
                wrong_app=options["wrong_app"],
                create=options["create"],
                limits=self.limits,
                progress=progress,
            )
        self.run.output.say(overview.text)
        confirm.require_consent(self.run.output, self.target, options["mode"], new=overview.is_new)
        self.source.seek(start)

    def carry_out(
        self,
        *,
        no_read_back: bool,
        safety_backup: str | None,
        no_safety_backup: bool,
        **options: Any,
    ) -> None:
        """Import, and print the report."""
        is_new = options["create"] and safety.is_new(self.repository)
        place = None if no_safety_backup or is_new else self.folder
        with progress_bar(f"checking {self.shown}") as progress:
            report = import_all(
                self.run.guard.repository(self.repository),
                self.source,
                read_back=not no_read_back,
                safety_backup=safety_backup or place,
                limits=self.limits,
                progress=progress,
                **options,
            )
        text = Group(
            render.imported(report, self.shown, self.target),
            *safety.rendered(report, self.repository, self.target),
        )
        self.run.output.done(text, report.as_json())
