"""The commands about the versions of a schema: freeze it, check it, show its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from databackup.adapters.registry import open_schema
from databackup.cli import render_versions
from databackup.cli.apps import app_option
from databackup.cli.command import Command, Run, as_json
from databackup.cli.text import visible
from databackup.errors import SchemaError, VersionMismatch
from databackup.migrations.way import check_chain
from databackup.operations.history import schema_history
from databackup.schema import Schema
from databackup.schema.versions import FrozenVersion, Versions
from databackup.schema.versions import freeze as write_version

if TYPE_CHECKING:
    from collections.abc import Callable

_APP = app_option(required=True)
_VERSIONS = click.option(
    "--versions",
    type=click.Path(),
    metavar="FOLDER",
    help="The folder of frozen versions of a schema that names none itself.",
)


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    return _APP(_VERSIONS(as_json(click.pass_obj(function))))


@click.command(cls=Command)
@_options
def freeze(run: Run, /, app: str, versions: str | None) -> None:
    """Write an app's schema, as its version is today, to vN.json in its folder of versions.

    A version that is frozen already stays as it is: the same schema is fine, and another one is
    refused, with what differs.
    """
    schema = _schema(app, versions)
    was_there = schema.versions is not None and schema.version in Versions(schema.versions).numbers
    path = write_version(schema)
    report = {
        "app": schema.app,
        "version": schema.version,
        "digest": FrozenVersion.of(schema).digest,
        "path": str(path),
        "created": not was_there,
    }
    text = render_versions.frozen(schema, path, is_new=not was_there, unnamed=versions)
    run.output.done(text, report)


@click.command(cls=Command)
@_options
def check(run: Run, /, app: str, versions: str | None) -> None:
    """See that an app's schema is as its version was frozen, and that migrations lead to it.

    Each frozen version has to become the next one by its migration; no data are needed for that.
    Exit codes: 0 all is sound; 1 it is not, and what differs is named.
    """
    schema = _schema(app, versions)
    try:
        check_chain(schema)
    except VersionMismatch as error:
        what = "not every frozen version leads to today's"
        remedy = "write the migrations that are missing, or delete the file of a version that no "
        remedy += "archive was made of"
        raise SchemaError.of(what, [error.message, remedy]) from error
    found = schema_history(schema)
    run.output.result(render_versions.sound(found), {"sound": True, **found.as_json()})


@click.command(cls=Command)
@_options
def history(run: Run, /, app: str, versions: str | None) -> None:
    """Show the versions of an app's schema, and the migrations with their operations."""
    found = schema_history(_schema(app, versions, needed=False))
    run.output.result(render_versions.history(found), found.as_json())


def _schema(app: str, folder: str | None, *, needed: bool = True) -> Schema:
    """The schema of an app, with its own folder of versions or with the one that was given."""
    schema = open_schema(app)
    if folder is None:
        if needed and schema.versions is None:
            what = "the schema names no folder of frozen versions"
            remedy = "say Schema(…, versions=…), or --versions FOLDER"
            raise SchemaError.of(what, [remedy])
        return schema
    if schema.versions is not None:
        raise click.BadParameter(
            f"the schema has a folder of its own: {visible(schema.versions)}",
            param_hint="--versions",
        )
    return Schema(
        collections=schema.collections,
        app=schema.app,
        version=schema.version,
        exclude={exclusion.name: exclusion.reason for exclusion in schema.excluded},
        migrations=schema.migrations,
        versions=folder,
    )
