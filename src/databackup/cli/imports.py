"""What `import` and `copy` share: options, the question, the import and its report."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, get_args

import attrs
import click
from rich.console import Group

from databackup.adapters.registry import new_target, open_repository, without_password
from databackup.cli import confirm, render, safety
from databackup.cli.command import opened_archive, wait_option
from databackup.cli.progress import progress_bar
from databackup.cli.render_plan import asked, planned
from databackup.operations.importing import import_all, refusal
from databackup.operations.options import Dangling, Mode, WrongAppChoice
from databackup.operations.preview import preview_import

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from databackup.archive.encryption import Decryption
    from databackup.archive.limits import Limits
    from databackup.cli.command import Run
    from databackup.cli.keys import Keys
    from databackup.operations.plans import ImportPlan
    from databackup.repository import Repository


dangling_option = click.option(
    "--dangling",
    type=click.Choice(get_args(Dangling)),
    default="refuse",
    show_default=True,
    help="What to do about references that point at no record; keep makes them warnings.",
)

wrong_app_option = click.option(
    "--wrong-app",
    type=click.Choice(get_args(WrongAppChoice)),
    default="refuse",
    show_default=True,
    help="What to do about the archive of another app.",
)
yes_option = click.option("--yes", is_flag=True, help="Import without asking.")

_OPTIONS = (
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
    wrong_app_option,
    dangling_option,
    click.option(
        "--allow-cascade",
        is_flag=True,
        help="Let TARGET's own cascades delete records outside of what is backed up.",
    ),
    wait_option,
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


@contextlib.contextmanager
def opened_import(  # noqa: PLR0917 - what a command was given
    run: Run,
    file: str,
    target: str,
    reading: Mapping[str, Any],
    limits: Limits,
    options: Mapping[str, Any],
    *,
    keep: bool,
) -> Iterator[Import]:
    """An import of an archive's file; a target that is made for it is kept only if it is to be.

    `reading` says how the target is read, `options` how the import is to go.
    """
    create = options["create"]
    with (
        opened_archive(file, limits) as source,
        new_target(target, keep=keep) if create else contextlib.nullcontext(),
    ):
        yield Import(
            run=run,
            source=source,
            shown=file,
            repository=open_repository(target, wait=options["wait"], create=create, **reading),
            target=without_password(target),
            limits=limits,
            folder=safety.folder_beside(file),
        )


def require_no_problems(plan: ImportPlan) -> None:
    """See that an import would not be refused. Raises `InvalidRecords`."""
    if plan.problem_count:
        headline = "the import would be refused, and nothing was changed"
        raise refusal(headline, plan.problems, plan.problem_count)


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
    decryption: Decryption | None = None
    folder: Path = Path()

    def opened(self, keys: Keys) -> Import:
        """The same, with what opens the archive."""
        return attrs.evolve(self, decryption=keys.opening((self.source, self.shown)))

    def preview(self, *, no_read_back: bool, sample: int, **options: Any) -> ImportPlan:
        """What would be done. Raises what is wrong with archive and target."""
        options = {name: value for name, value in options.items() if "safety" not in name}
        start = self.source.tell()
        with progress_bar(f"reading {self.shown}") as progress:
            plan = preview_import(
                self.repository,
                self.source,
                read_back=not no_read_back,
                limits=self.limits,
                decryption=self.decryption,
                sample=sample,
                progress=progress,
                **options,
            )
        self.source.seek(start)
        return plan

    def show(self, plan: ImportPlan) -> None:
        """Print a plan; the exit code says whether the import would be refused."""
        self.run.output.result(planned(plan, self.target), plan.as_json())
        if plan.problem_count:
            click.get_current_context().exit(1)

    def agreed(self, **options: Any) -> ImportPlan:
        """Say what will be done, and go on only for a yes; then that alone will be done.

        Raises what is wrong with archive and target, and `NotConfirmed`.
        """
        plan = self.preview(sample=0, **options)
        require_no_problems(plan)
        self.run.output.say(asked(plan, self.target))
        if not plan.identical:
            mode = plan.options.mode
            confirm.require_consent(self.run.output, self.target, mode, new=plan.is_new)
        return plan

    def carry_out(
        self,
        *,
        no_read_back: bool,
        safety_backup: str | None,
        no_safety_backup: bool,
        plan: ImportPlan | None = None,
        **options: Any,
    ) -> None:
        """Import, as planned where there is a plan, and print the report."""
        is_new = options["create"] and safety.is_new(self.repository)
        is_idle = plan is not None and plan.identical
        place = None if no_safety_backup or is_new or is_idle else self.folder
        if plan is None:
            options |= {"read_back": not no_read_back, "limits": self.limits}
        with progress_bar(f"checking {self.shown}") as progress:
            report = import_all(
                self.run.guard.repository(self.repository),
                self.source,
                decryption=self.decryption,
                safety_backup=safety_backup or place,
                progress=progress,
                **(options if plan is None else {"plan": plan}),
            )
        text = Group(
            render.imported(report, self.shown, self.target),
            *safety.rendered(report, self.repository, self.target),
        )
        self.run.output.done(text, report.as_json())
