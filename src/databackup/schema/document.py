"""A schema as JSON: how an archive's header and a frozen version describe it, and back.

What comes from a file describes and no more: `described_collection` takes kinds from the closed
list of this library, and nothing in a description is ever compiled as a JSON Schema.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from databackup.errors import SchemaError
from databackup.schema import composite, kinds
from databackup.schema.interval import IntervalKind
from databackup.schema.kind import Kind
from databackup.schema.model import Collection, Field, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from databackup.schema.model import Schema

_SORTED = msgspec.json.Encoder(order="sorted")
_PLAIN_KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        kinds.Bool(),
        kinds.Str(),
        kinds.Int(),
        kinds.Float(),
        kinds.Bytes(),
        kinds.Date(),
        kinds.Time(),
        kinds.TimeTz(),
        kinds.DateTime(),
        kinds.DateTimeTz(),
        kinds.Timedelta(),
        kinds.UUID(),
        IntervalKind(),
        composite.Json(),
    )
}


def describe(schema: Schema) -> dict[str, Any]:
    """The collections of a schema, in dependency order, as an archive's header describes them."""
    return {
        "collections": {
            collection.name: {
                "fields": {field.name: field.form.describe() for field in collection.fields},
                "key": list(collection.key),
                "references": [
                    {
                        "fields": list(reference.fields),
                        "collection": reference.collection,
                        "to": list(reference.to or schema[reference.collection].key),
                    }
                    for reference in collection.references
                ],
            }
            for collection in schema.ordered
        }
    }


def description_digest(description: Mapping[str, Any]) -> str:
    """The SHA-256 of a description, independent of the order of members and of rows."""
    collections = {
        name: {member: value for member, value in collection.items() if member != "order"}
        for name, collection in description["collections"].items()
    }
    text = _SORTED.encode({"collections": collections})
    return "sha256:" + hashlib.sha256(text).hexdigest()


def described_collection(name: str, description: Any) -> Collection:
    """The collection that a description tells of. Raises `SchemaError`."""
    try:
        fields = [_field(*item) for item in description["fields"].items()]
        references = [
            Reference(_texts(item["fields"]), _text(item["collection"]), _texts(item["to"]))
            for item in description["references"]
        ]
        return Collection(
            name, fields=fields, key=_texts(description["key"]), references=references
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise SchemaError.of(f"the description of {name}", [reason]) from error


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"expected text, found {kinds.shown(value)}")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        raise TypeError(f"expected an array, found {kinds.shown(value)}")
    return tuple(map(_text, value))


def _field(name: str, description: dict[str, Any]) -> Field:
    off_kind = description.get("off_kind", "refuse")
    if off_kind not in ("refuse", "keep"):
        raise ValueError(f"off_kind is 'refuse' or 'keep', not {kinds.shown(off_kind)}")
    return Field(name, _kind(description), off_kind)


def _kind(description: dict[str, Any]) -> Kind:
    kind = _value_kind(description)
    nullable = description.get("nullable", False)
    if type(nullable) is not bool:
        raise TypeError(f"nullable is true or false, not {kinds.shown(nullable)}")
    return composite.Optional(kind) if nullable else kind


def _value_kind(description: dict[str, Any]) -> Kind:
    name = _text(description["kind"])
    if name in _PLAIN_KINDS:
        return _PLAIN_KINDS[name]
    if name == "decimal":
        return kinds.Decimal(description.get("scale"))
    if name == "enum":
        return composite.Enum(tuple(description["values"]))
    if name == "list":
        return composite.List(_kind(description["items"]))
    if name == "dict":
        return composite.Dict(_kind(description["values"]))
    if name == "nested":
        members = description["members"].items()
        return composite.Nested(tuple((_text(name), _kind(inner)) for name, inner in members))
    if name == "native":
        return composite.Native(_text(description["type"]))
    raise ValueError(f"{name!r} is no kind of this version of databackup")
