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
from databackup.schema.kind import Kind, shown
from databackup.schema.model import Collection, Field, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from databackup.schema.model import Schema

_MAX_DEPTH = 64
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
            collection.name: describe_collection(collection, schema)
            for collection in schema.ordered
        }
    }


def describe_collection(collection: Collection, schema: Schema) -> dict[str, Any]:
    """A collection as a header describes it; `schema` says what its references point at.

    It need not have what references point at that say so themselves.
    """
    return {
        "fields": {field.name: _described(field) for field in collection.fields},
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


def _described(field: Field) -> dict[str, Any]:
    described = field.form.describe()
    return {**described, "secret": True} if field.secret else described


def description_digest(description: Mapping[str, Any]) -> str:
    """The SHA-256 of a description's structure, whatever the order of its members."""
    text = _SORTED.encode({"collections": structure(description["collections"])})
    return "sha256:" + hashlib.sha256(text).hexdigest()


def structure(collections: Mapping[str, Any]) -> dict[str, Any]:
    """What a version of a schema is known by: neither its records' `order` nor what is secret.

    Takes collections as they were read, of which nothing is known.
    """
    return {
        name: {
            member: _unmarked(value) if member == "fields" else value
            for member, value in collection.items()
            if member != "order"
        }
        for name, collection in collections.items()
    }


def _unmarked(fields: Any) -> Any:
    """The descriptions of fields without the mark of secret ones."""
    if type(fields) is not dict:
        return fields
    return {
        name: {member: value for member, value in kind.items() if member != "secret"}
        if type(kind) is dict and "secret" in kind
        else kind
        for name, kind in fields.items()
    }


def described_collection(name: str, description: Any) -> Collection:
    """The collection that a description tells of. Raises `SchemaError`."""
    try:
        own = dict(description)
        own.pop("order", None)
        fields = [_field(*item) for item in own.pop("fields").items()]
        key = _texts(own.pop("key"))
        references = [_reference(item) for item in own.pop("references")]
        _require_empty(own)
        return Collection(name, fields=fields, key=key, references=references)
    except SchemaError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise SchemaError.of(f"the description of {name}", [reason]) from error


def _require_empty(left: dict[str, Any]) -> None:
    for name in left:
        raise ValueError(f"the unknown member {name!r}")


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"expected text, found {shown(value)}")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        raise TypeError(f"expected an array, found {shown(value)}")
    return tuple(map(_text, value))


def _reference(description: Any) -> Reference:
    own = dict(description)
    reference = Reference(
        _texts(own.pop("fields")), _text(own.pop("collection")), _texts(own.pop("to"))
    )
    _require_empty(own)
    return reference


def _field(name: str, description: Any) -> Field:
    own = dict(description)
    off_kind = own.pop("off_kind", "refuse")
    secret = own.pop("secret", False)
    if type(secret) is not bool:
        raise TypeError(f"secret is true or false, not {shown(secret)}")
    return Field(name, _kind(own), off_kind, secret=secret)


def _kind(description: Any, depth: int = 0) -> Kind:
    if depth >= _MAX_DEPTH:
        raise ValueError(f"kinds more than {_MAX_DEPTH} levels deep")
    own = dict(description)
    nullable = own.pop("nullable", False)
    if type(nullable) is not bool:
        raise TypeError(f"nullable is true or false, not {shown(nullable)}")
    name = _text(own.pop("kind"))
    kind = _PLAIN_KINDS.get(name) or _made_kind(name, own, depth + 1)
    _require_empty(own)
    return composite.Optional(kind) if nullable else kind


def _made_kind(name: str, own: dict[str, Any], depth: int) -> Kind:
    """A kind with members of its own, which are taken out of `own`."""
    kind: Kind
    if name == "decimal":
        kind = kinds.Decimal(_scale(own.pop("scale", None)))
    elif name == "enum":
        kind = composite.Enum(_enum_values(own.pop("values")))
    elif name == "list":
        kind = composite.List(_kind(own.pop("items"), depth))
    elif name == "dict":
        kind = composite.Dict(_kind(own.pop("values"), depth))
    elif name == "nested":
        members = own.pop("members").items()
        kind = composite.Nested(tuple((_text(key), _kind(inner, depth)) for key, inner in members))
    elif name == "native":
        kind = composite.Native(_text(own.pop("type")))
    else:
        raise ValueError(f"{name!r} is no kind of this version of databackup")
    return kind


def _scale(value: Any) -> int | None:
    if value is not None and type(value) is not int:
        raise TypeError(f"expected an integer, found {shown(value)}")
    return value


def _enum_values(values: Any) -> Any:
    if type(values) is not list or {type(value) for value in values} not in ({str}, {int}):
        raise TypeError(f"expected an array of texts or of integers, found {shown(values)}")
    return tuple(values)
