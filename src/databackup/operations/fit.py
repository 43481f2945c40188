"""Whether an archive and a schema are for each other."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from databackup.errors import KeyRequired, SchemaMismatch, VersionMismatch, WrongApp
from databackup.operations.keys import key_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from databackup.archive.format import Header
    from databackup.operations.options import Mode, WrongAppChoice
    from databackup.schema import Collection, Schema


def in_key_order(header: Header, collection: Collection) -> bool:
    """Whether an archive's records are strictly increasing by the key that a collection has.

    An archive of another key, or of one that has other kinds, has an order of its own.
    """
    described = header.schema["collections"][collection.name]
    return header.in_key_order(collection.name) and all(
        name == own and described["fields"][name] == collection.field(own).form.describe()
        for name, own in itertools.zip_longest(described["key"], collection.key)
    )


def has_identity(header: Header, collection: Collection) -> bool:
    """Whether every record has a key: an archive without one may hold nulls in ours."""
    described = header.schema["collections"][collection.name]
    fields = key_fields(collection)
    return bool(fields) and (bool(described["key"]) or not any(f.nullable for f in fields))


def require_keys(header: Header, schema: Schema, mode: Mode) -> None:
    """See that every record has a key where a mode tells records apart by it.

    Raises `KeyRequired`.
    """
    if mode == "replace":
        return
    described = header.schema["collections"]
    without = tuple(
        c.name for c in schema.collections if c.name in described and not has_identity(header, c)
    )
    if without:
        raise KeyRequired(
            f"{mode} tells records apart by their keys, and there are collections without one: "
            + ", ".join(without),
            without,
        )


def require_fit(
    header: Header, schema: Schema, wrong_app: WrongAppChoice, *, creating: bool = False
) -> None:
    """See that an archive's app, version, collections, fields and kinds are those of a schema.

    An archive of a selection may lack collections. With `creating` it may have some that the schema
    does not: they will be made.
    Raises `WrongApp`, `VersionMismatch`, `SchemaMismatch`.
    """
    app = _app_then(schema, header.schema_version)
    if header.app is not None and app is not None and header.app != app:
        if wrong_app == "refuse":
            raise wrong_app_error(header, schema, app)
    elif (header.app is None) == (app is None):
        _require_version(header.schema_version, schema.version)
    differences = tuple(_differences(header, schema, creating=creating))
    if differences:
        listed = "; ".join((*differences, *_renewal(header, schema)))
        raise SchemaMismatch(f"archive and target differ: {listed}", differences)


def _renewal(header: Header, schema: Schema) -> tuple[str, ...]:
    """What to do where it is the target's models that are not what their version was frozen as."""
    if schema.versions is None or (header.app, header.schema_version) != (
        schema.app,
        schema.version,
    ):
        return ()
    from databackup.schema.versions import renewal  # noqa: PLC0415 - which most imports do not need

    return renewal(schema)


def _app_then(schema: Schema, version: int) -> str | None:
    """The name that the app had at a version."""
    if version >= schema.version or (schema.versions is None and not schema.migrations):
        return schema.app
    from databackup.schema.versions import app_of  # noqa: PLC0415 - which most imports do not need

    return app_of(schema, version)


def wrong_app_error(header: Header, schema: Schema, app: str | None) -> WrongApp:
    """The error for an archive whose version of this schema had the name `app`, and not its own."""
    this = f"this is {app!r}"
    if app != schema.app:
        this = f"version {header.schema_version} of this one to {app!r}"
    message = f"the archive belongs to the app {header.app!r}, {this}"
    return WrongApp(message, header.app or "", app or "")


def _require_version(found: int, supported: int) -> None:
    if found == supported:
        return
    if found > supported:
        age, why = "newer", ""
    else:
        age, why = "older", ", and no migration leads from there to here"
    raise VersionMismatch(
        f"the archive has schema version {found}, {age} than this app's {supported}{why}",
        None,
        found,
        supported,
    )


def _differences(header: Header, schema: Schema, *, creating: bool) -> Iterator[str]:
    described = header.schema["collections"]
    for name in described:
        if name not in schema and not creating:
            yield f"the archive has the collection {name!r}, the target does not"
    for collection in _held_against(header, schema):
        if collection.name not in described:
            yield f"the target has the collection {collection.name!r}, the archive does not"
            continue
        fields = described[collection.name]["fields"]
        for name in fields:
            if not collection.has_field(name):
                yield f"the archive has the field {collection}.{name}, the target does not"
        for field in collection.fields:
            if field.name not in fields:
                yield f"the target has the field {collection}.{field.name}, the archive does not"
                continue
            theirs, ours = kind_in(fields[field.name]), kind_in(field.kind.describe())
            if theirs != ours:
                yield (
                    f"{collection}.{field.name} is of the kind {theirs} in the archive, "
                    f"of the kind {ours} in the target"
                )


def _held_against(header: Header, schema: Schema) -> Iterable[Collection]:
    """The collections that an archive has to have, or has though it has a selection."""
    if header.selection is None:
        return schema.collections
    return (c for c in schema.collections if c.name in header.schema["collections"])


def kind_in(description: Mapping[str, Any]) -> str:
    """The kind that tells what a JSON form means: an enumeration's values are text or integers.

    Whether a value may be absent or off its kind, and a decimal's scale, is asked of each value.
    """
    kind = str(description["kind"])
    if kind == "enum":
        return "str" if type(description["values"][0]) is str else "int"
    if kind in ("list", "dict"):
        return f"{kind} of {kind_in(description['items' if kind == 'list' else 'values'])}"
    if kind == "nested":
        members = sorted(description["members"].items())
        return "nested " + ", ".join(f"{name} {kind_in(inner)}" for name, inner in members)
    return f"native {description['type']}" if kind == "native" else kind
