"""The versions of a schema as people read them. Every foreign text goes through `visible`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from databackup.cli.text import counted, visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from databackup.operations.reports import (
        SchemaHistory,
        SchemaOperation,
        SchemaStep,
        SchemaVersion,
    )
    from databackup.schema import Schema

_INDENT: Final = (0, 0, 0, 2)
_DIGEST_SHOWN: Final = 16
_INVERSE: Final = {
    True: Text("yes"),
    False: Text("none", "yellow"),
    None: Text("not known", "dim"),
}


def frozen(schema: Schema, path: Path, *, is_new: bool, unnamed: str | None) -> RenderableType:
    """Where a version was frozen, now or before; `unnamed` is a folder that the schema lacks."""
    version = _version(schema.app, schema.version)
    if is_new:
        parts = [Text(f"froze {version}: {visible(path)}")]
    else:
        parts = [Text(f"{version} is frozen already, and is the same: {visible(path)}")]
    if unnamed is not None:
        advice = f"say versions={unnamed!r} in the schema, so that older archives can be imported"
        parts.append(Text(visible(advice)))
    return Group(*parts)


def sound(found: SchemaHistory) -> RenderableType:
    """A schema that is as it was frozen, and the frozen versions that lead to it."""
    parts = [Text(f"{_version(found.app, found.version)} is as it was frozen")]
    older = [f"{v.version}" for v in found.versions if v.frozen and not v.today]
    if older:
        versions = "version" if len(older) == 1 else "versions"
        steps = counted(len(found.steps), "migration")
        lead = "leads" if len(found.steps) == 1 else "lead"
        parts.append(Text(f"{steps} {lead} to it, from {versions} {', '.join(older)}"))
    return Group(*parts)


def history(found: SchemaHistory) -> RenderableType:
    """The versions, and the steps with their operations."""
    folder = "the schema names no folder of frozen versions"
    if found.folder is not None:
        folder = f"frozen versions are in {visible(found.folder)}"
    parts: list[RenderableType] = [
        Text(f"{_version(found.app, found.version)}; {folder}"),
        Padding(_versions(found.versions), _INDENT),
    ]
    for step in found.steps:
        parts += [Text(""), Text(_headline(step), "bold")]
        parts.append(Padding(_operations(step.operations), _INDENT))
    return Group(*parts)


def _version(app: str | None, number: int) -> str:
    return f"schema version {number}" + ("" if app is None else f" of {visible(app)}")


def _versions(versions: Sequence[SchemaVersion]) -> Table:
    renamed = len({version.app for version in versions}) > 1
    table = _table("version", "collections", *(["app"] if renamed else []), "digest", "")
    for column in table.columns[:2]:
        column.justify = "right"
    for version in versions:
        collections = "" if version.collections is None else f"{len(version.collections):,}"
        app = [visible(version.app or "")] if renamed else []
        digest = (version.digest or "").removeprefix("sha256:")[:_DIGEST_SHOWN]
        table.add_row(str(version.version), collections, *app, digest, _state(version))
    return table


def _state(version: SchemaVersion) -> Text:
    state = Text("frozen") if version.frozen else Text("not frozen", "yellow")
    if version.changed:
        state = Text("frozen as another schema: see databackup schema check", "red")
    return Text.assemble(state, ", today's") if version.today else state


def _headline(step: SchemaStep) -> str:
    return f"{step.source} to {step.target} ({visible(step.name)})"


def _operations(operations: Sequence[SchemaOperation]) -> RenderableType:
    if not operations:
        return Text("nothing is done", "dim")
    table = _table("operation", "inverse")
    for item in operations:
        table.add_row(Text(visible(item.operation)), _INVERSE[item.has_inverse])
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
