"""The command that rewrites an archive as another version of its app's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from databackup.adapters.registry import open_schema
from databackup.cli import confirm, render
from databackup.cli.apps import app_option
from databackup.cli.command import Command, Run, as_json, opened_archive, written_archive
from databackup.cli.imports import wrong_app_option
from databackup.cli.keys import Keys, rewriting_keys
from databackup.cli.limits import limit_option
from databackup.cli.progress import progress_bar
from databackup.operations.rewriting import migrate_archive

if TYPE_CHECKING:
    from databackup.archive.limits import Limits


@click.command(cls=Command)
@click.argument("old")
@click.argument("new")
@app_option(required=True)
@click.option(
    "--to",
    type=click.IntRange(min=1),
    metavar="N",
    help="The schema version that NEW is to have; today's by default. An older one is reached by "
    "undoing migrations.",
)
@wrong_app_option
@rewriting_keys
@limit_option
@as_json
@click.pass_obj
def migrate(
    run: Run,
    /,
    old: str,
    new: str,
    *,
    to: int | None,
    keys: Keys,
    limits: Limits,
    **options: Any,
) -> None:
    """Write the archive OLD anew, to NEW, as another version of its app's schema.

    OLD is read as by import, NEW is written as by export. No store is needed.
    """
    if new != "-":
        confirm.require_replaceable(new)
    schema = open_schema(options["app"])
    with opened_archive(old, limits) as source:
        decryption = keys.opening((source, old))
        with progress_bar(f"reading {old}", wanted=run.output.wants_progress) as progress:
            report = migrate_archive(
                source,
                written_archive(new),
                schema,
                version=to,
                wrong_app=options["wrong_app"],
                limits=limits,
                encryption=keys.of_rewritten(new),
                decryption=decryption,
                progress=run.guard.progress(progress),
            )
    run.output.done(render.exported(report, "wrote"), report.as_json())
