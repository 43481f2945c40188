"""What an import would do, as people read it. Every foreign text goes through `visible`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from databackup.cli import render
from databackup.cli.render_diff import sampled
from databackup.cli.secrets import omitted_text
from databackup.cli.text import counted, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from databackup.operations.options import Mode
    from databackup.operations.plans import ImportPlan

_DOES: Final[Mapping[Mode, str]] = {
    "replace": "{} would hold what it held then, and nothing that came later:",
    "merge": "Records of {} whose keys are in the archive would be overwritten, others stay:",
    "add": "Records whose keys {} lacks would be added, and nothing that is there changes:",
}
_STYLES: Final = {"added": "green", "changed": "yellow", "deleted": "bold red"}


def planned(plan: ImportPlan, target: str) -> RenderableType:
    """Where the archive comes from, what would become of each collection, and a sample."""
    parts = [*_origin(plan), *_doing(plan, target)]
    for name, collection in plan.collections.items():
        if collection.sample:
            parts += [Text(""), Text(visible(name), "bold")]
            parts += sampled(collection.sample, collection.changes)
    parts += render.warnings(plan.warnings)
    if plan.problem_count:
        parts += [Text(""), *_refused(plan)]
    else:
        parts += [Text(""), Text("Nothing has been changed.")]
    return Group(*parts)


def asked(plan: ImportPlan, target: str) -> RenderableType:
    """What would be done, as somebody reads it who is about to agree to it."""
    return Group(*_origin(plan), *_doing(plan, target), *render.warnings(plan.warnings))


def _origin(plan: ImportPlan) -> Iterator[RenderableType]:
    app = "an app that is not named" if plan.app is None else f"the app {plan.app}"
    made = (
        f"The archive was made {visible(plan.created_at)} from {visible(app)}, "
        f"schema version {plan.schema_version}."
    )
    if plan.edited_at is not None:
        made += f" It was edited, and sealed anew {visible(plan.edited_at)}."
    yield Text(made)
    if plan.migrated is not None:
        yield from render.migration(plan.migrated, "It would be migrated")
    if plan.omitted:
        found = visible(omitted_text(plan.omitted))
        yield Text(f"Secrets: {found}. Records that are there keep theirs.")


def _doing(plan: ImportPlan, target: str) -> Iterator[RenderableType]:
    if plan.left_alone:
        names = ", ".join(map(visible, plan.left_alone))
        yield Text(f"Other collections are left alone: {names}.")
    if plan.identical:
        records = counted(plan.records, "record")
        yield Text(f"{visible(target)} holds the same already: {records}. Nothing would change.")
        return
    if plan.created:
        names = ", ".join(map(visible, plan.created))
        yield Text(f"New tables would be made in {visible(target)}: {names}.")
    if not plan.is_new:
        yield Text(_DOES[plan.options.mode].format(visible(target)))
    changes = {name: found.changes for name, found in plan.collections.items()}
    columns = {
        what.replace("_", " "): {name: getattr(change, what) for name, change in changes.items()}
        for what in (*render.CHANGES[plan.options.mode], "records")
    }
    yield Padding(render.counts(columns, _STYLES), (0, 0, 0, 2))
    for table in render.secrets_of_import(plan):
        yield Padding(table, (0, 0, 0, 2))


def _refused(plan: ImportPlan) -> Iterator[RenderableType]:
    yield Text("The import would be refused:", "bold red")
    yield from render.problems(plan.problems, plan.problem_count)
