"""What `import` and `copy` share: options, the question, the import and its report."""

from __future__ import annotations

import contextlib
from typing import IO, TYPE_CHECKING, Any, get_args

import attrs
import click

from databackup.adapters.registry import new_target, open_repository, without_password
from databackup.cli import confirm, render
from databackup.cli.command import opened_archive, wait_option
from databackup.cli.progress import progress_bar
from databackup.cli.render_plan import asked, planned
from databackup.operations.importing import import_all, refusal
from databackup.operations.options import Dangling, Mode, WrongAppChoice
from databackup.operations.preview import preview_import

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from databackup.archive.limits import Limits
    from databackup.cli.command import Run
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
        )


@attrs.frozen(kw_only=True)
class Import:
    """One import of an open archive; `shown` and `target` are how both are called."""

    run: Run
    source: IO[bytes]
    shown: str
    repository: Repository
    target: str
    limits: Limits

    def preview(self, *, no_read_back: bool, sample: int, **options: Any) -> ImportPlan:
        """What would be done. Raises what is wrong with archive and target."""
        start = self.source.tell()
        with progress_bar(f"reading {self.shown}") as progress:
            plan = preview_import(
                self.repository,
                self.source,
                read_back=not no_read_back,
                limits=self.limits,
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
        if plan.problem_count:
            headline = "the import would be refused, and nothing was changed"
            raise refusal(headline, plan.problems, plan.problem_count)
        self.run.output.say(asked(plan, self.target))
        if not plan.identical:
            mode = plan.options.mode
            confirm.require_consent(self.run.output, self.target, mode, new=plan.is_new)
        return plan

    def carry_out(
        self, *, no_read_back: bool, plan: ImportPlan | None = None, **options: Any
    ) -> None:
        """Import, as planned where there is a plan, and print the report."""
        if plan is None:
            options |= {"read_back": not no_read_back, "limits": self.limits}
        with progress_bar(f"checking {self.shown}") as progress:
            report = import_all(
                self.run.guard.repository(self.repository),
                self.source,
                progress=progress,
                **(options if plan is None else {"plan": plan}),
            )
        text = render.imported(report, self.shown, self.target)
        self.run.output.done(text, report.as_json())
