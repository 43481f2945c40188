"""The command `preview`: what an import would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from databackup.cli.command import Command, Run, as_json, target_options
from databackup.cli.imports import import_options, opened_import
from databackup.cli.limits import limit_option
from databackup.cli.selection import known_collections, selection_options
from databackup.operations.diff import SAMPLE

if TYPE_CHECKING:
    from databackup.adapters.sqlite.reflect import Types
    from databackup.archive.limits import Limits


@click.command(cls=Command)
@click.argument("file")
@click.argument("target")
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=SAMPLE,
    show_default=True,
    metavar="N",
    help="How many records to show, of each collection and kind of change.",
)
@import_options
@selection_options
@limit_option
@target_options
@as_json
@click.pass_obj
def preview(
    run: Run,
    /,
    file: str,
    target: str,
    *,
    sample: int,
    types: Types,
    exclude: dict[str, str],
    limits: Limits,
    **options: Any,
) -> None:
    """Show what an import of the archive FILE into TARGET would do, and change nothing.

    For each collection how many records would be added, changed, deleted and left, with a sample;
    what migrations would do; and everything for which the import would be refused.

    Exit codes: 0 the import would go; 1 it would be refused; 2 wrong usage; 130 cancelled.
    """
    reading = {"types": types, "exclude": exclude}
    with (
        known_collections(),
        opened_import(run, file, target, reading, limits, options, keep=False) as found,
    ):
        found.show(found.preview(sample=sample, **options))
