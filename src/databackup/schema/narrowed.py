"""Schemas made of others: with fewer fields, and with fields marked as secret."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from databackup.errors import SchemaError
from databackup.schema.model import Collection, Schema
from databackup.schema.requirements import evolved
from databackup.schema.secrets import marked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

Omitted = dict[str, frozenset[str]]
"""By collection, the names of fields that its records lack; only where there are any."""


def secret_fields(schema: Schema) -> Omitted:
    """The secret fields of a schema."""
    found = {c.name: frozenset(f.name for f in c.fields if f.secret) for c in schema.collections}
    return {name: fields for name, fields in found.items() if fields}


def without_fields(collection: Collection, names: AbstractSet[str]) -> Collection:
    """A collection without fields of these names, and without its model; itself where it has none.

    References that are made of them are gone, too.
    """
    if not any(name in names for name in collection.field_names):
        return collection
    return evolved(
        collection,
        fields=(field for field in collection.fields if field.name not in names),
        references=(r for r in collection.references if names.isdisjoint(r.fields)),
    )


def without(schema: Schema, omitted: Mapping[str, AbstractSet[str]]) -> Schema:
    """A schema without the fields that records lack; itself where they lack none."""
    if not omitted:
        return schema
    return Schema(
        app=schema.app,
        version=schema.version,
        collections=[
            without_fields(c, omitted.get(c.name, frozenset())) for c in schema.collections
        ],
        exclude={exclusion.name: exclusion.reason for exclusion in schema.excluded},
    )


def with_secrets(schema: Schema, names: Iterable[str]) -> Schema:
    """A schema with fields marked as secret, each named as `collection.field`.

    Raises `SchemaError` for a name that no field has, or more than one, and for a field that
    cannot be secret.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    if not names:
        return schema
    there = Counter(f"{c}.{field}" for c in schema.collections for field in c.field_names)
    wrong = [
        f"{name!r} is ambiguous: several fields are called that"
        if there[name]
        else f"there is no field {name!r}, as TABLE.COLUMN"
        for name in names
        if there[name] != 1
    ]
    if wrong:
        raise SchemaError.of("what is to be secret", wrong)
    return Schema(
        app=schema.app,
        version=schema.version,
        collections=[
            _with_secrets(collection, frozenset(names)) for collection in schema.collections
        ],
        exclude={exclusion.name: exclusion.reason for exclusion in schema.excluded},
        migrations=schema.migrations,
        versions=schema.versions,
    )


def marked_as(schema: Schema, other: Schema) -> Schema:
    """A schema in which is secret, too, what is secret in another one; itself where that is so."""
    more = {
        c.name: {name for name in other[c.name].field_names if other[c.name].field(name).secret}
        for c in schema.collections
        if c.name in other
    }
    names = [
        f"{c}.{field.name}"
        for c in schema.collections
        for field in c.fields
        if field.name in more.get(c.name, ()) and not field.secret
    ]
    try:
        return with_secrets(schema, names)
    except SchemaError:
        return schema  # in whose keys and references these fields are


def _with_secrets(collection: Collection, names: AbstractSet[str]) -> Collection:
    own = [field for field in collection.field_names if f"{collection}.{field}" in names]
    return Collection(
        collection.name,
        fields=marked(collection.name, collection.fields, own),
        key=collection.key,
        references=collection.references,
        exclude={e.name.removeprefix(f"{collection}."): e.reason for e in collection.excluded},
        model=collection.model,
        converter=collection.converter,
    )
