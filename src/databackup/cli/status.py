"""The command that settles whether an import was committed."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

import click

from databackup.adapters.registry import open_repository, without_password
from databackup.cli import render
from databackup.cli.command import AnsweringCommand, Run, as_json, target_options, wait_option
from databackup.operations.status import import_status, marked_imports

if TYPE_CHECKING:
    from databackup.adapters.sqlite.reflect import Types

NOT_COMMITTED: Final = 1


@click.command(cls=AnsweringCommand)
@click.argument("target")
@click.option(
    "--id",
    "import_id",
    type=click.UUID,
    metavar="ID",
    help="The import that is asked about, as its error or its report named it.",
)
@wait_option
@target_options
@as_json
@click.pass_obj
def status(
    run: Run,
    /,
    target: str,
    *,
    import_id: uuid.UUID | None,
    wait: float,
    types: Types,
    exclude: dict[str, str],
) -> None:
    """Say whether an import into TARGET that was made with --marker was committed.

    An import that is under way is waited for, so that the answer is final. Without --id the last
    imports with a marker are shown, up to a hundred. Exit codes: 0 committed; 1 not committed; 2
    trouble of any kind.
    """
    shown = without_password(target)
    repository = open_repository(target, types=types, exclude=exclude, wait=wait)
    if import_id is None:
        found = marked_imports(repository, wait=wait)
        run.output.result(render.marked(found, shown), {"imports": [i.as_json() for i in found]})
        return
    answer = import_status(repository, str(import_id), wait=wait)
    run.output.result(render.status(answer, shown), answer.as_json())
    if not answer.committed:
        click.get_current_context().exit(NOT_COMMITTED)
