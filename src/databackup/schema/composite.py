"""The kinds that hold other kinds or a set of values: optional, enum, json, list, dict, nested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from databackup.schema import jsonvalues
from databackup.schema.jsonvalues import JSON_NULL
from databackup.schema.kind import ALWAYS, Kind, KindError, shown
from databackup.schema.kinds import Decimal, encodable

if TYPE_CHECKING:
    from collections.abc import Callable


@attrs.frozen
class Optional(Kind):
    """A kind or nothing. `None` is nothing; the JSON value null is `JSON_NULL` there."""

    name = "optional"

    inner: Kind

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"{self.inner.expected} or null"

    @property
    def can_be_key(self) -> bool:  # type: ignore[override]
        return self.inner.can_be_key

    @property
    def wire(self) -> Any:
        return self.inner.wire if self.inner.wire is Any else self.inner.wire | None

    @property
    def narrow_wire(self) -> Any:
        narrow = self.inner.narrow_wire
        return narrow if narrow is None or narrow is Any else narrow | None

    @property
    def encodes_itself(self) -> str:  # type: ignore[override]
        return _or_none(self.inner.encodes_itself)

    @property
    def decodes_itself(self) -> str:  # type: ignore[override]
        return _or_none(self.inner.decodes_itself)

    @property
    def canonical_is_form(self) -> bool:
        return self.inner.canonical_is_form

    def encode(self, value: Any) -> Any:
        return self._form(value, self.inner.encode)

    def canonical(self, value: Any) -> Any:
        return self._form(value, self.inner.canonical)

    def _form(self, value: Any, inner: Callable[[Any], Any]) -> Any:
        if value is None:
            return None
        if value is JSON_NULL and type(self.inner) is Json:
            return {"$json": None}
        return inner(value)

    def decode(self, form: Any) -> Any:
        if form is None:
            return None
        if type(self.inner) is Json and form == {"$json": None}:
            return JSON_NULL
        return self.inner.decode(form)

    def json_schema(self) -> dict[str, Any]:
        inner = self.inner.json_schema()
        if "enum" in inner:
            return inner | {"enum": [*inner["enum"], None]}
        if "type" in inner:
            types = inner["type"] if isinstance(inner["type"], list) else [inner["type"]]
            return inner | {"type": [*types, "null"]}
        return inner

    def describe(self) -> dict[str, Any]:
        return self.inner.describe() | {"nullable": True}


def _or_none(condition: str) -> str:
    if condition == ALWAYS:
        return ALWAYS
    return "{v} is None" + (f" or {condition}" if condition else "")


@attrs.frozen
class Enum(Kind):
    """One of a closed set of values, all text or all integers; a row holds the value itself."""

    name = "enum"

    values: tuple[str, ...] | tuple[int, ...]
    model: type[Any] | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def wire(self) -> Any:
        return type(self.values[0]) if self.values else Any

    @property
    def expected(self) -> str:  # type: ignore[override]
        return "one of " + ", ".join(map(repr, self.values))

    def encode(self, value: Any) -> Any:
        if type(value) not in (str, int) or value not in self.values:
            raise self.refused(value)
        return value

    decode = encode

    def json_schema(self) -> dict[str, Any]:
        return {"enum": list(self.values)}

    def describe(self) -> dict[str, Any]:
        return {"kind": self.name, "values": list(self.values)}


class Json(Kind):
    """Any JSON value."""

    name = "json"
    expected = "a JSON value"
    can_be_key = False

    @property
    def canonical_is_form(self) -> bool:
        return False

    def encode(self, value: Any) -> Any:
        return jsonvalues.escape(value)

    def decode(self, form: Any) -> Any:
        return jsonvalues.unescape(form)

    def canonical(self, value: Any) -> Any:
        return jsonvalues.canonical(value)

    def json_schema(self) -> dict[str, Any]:
        return {}


@attrs.frozen
class List(Kind):
    """Lists of one kind."""

    name = "list"
    expected = "an array"
    can_be_key = False

    items: Kind

    @property
    def canonical_is_form(self) -> bool:
        return False  # a double may have been read from an integer's form

    def encode(self, value: Any) -> Any:
        return self._each(value, self.items.encode)

    def decode(self, form: Any) -> Any:
        return self._each(form, self.items.decode)

    def canonical(self, value: Any) -> Any:
        return self._each(value, self.items.canonical)

    def _each(self, value: Any, convert: Callable[[Any], Any]) -> list[Any]:
        if type(value) is not list:
            raise self.refused(value)
        return [_at(step, convert, item) for step, item in enumerate(value)]

    def json_schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.items.json_schema()}

    def describe(self) -> dict[str, Any]:
        return {"kind": self.name, "items": self.items.describe()}


@attrs.frozen
class Dict(Kind):
    """Objects with any keys and values of one kind."""

    name = "dict"
    expected = "an object"
    can_be_key = False

    values: Kind

    @property
    def canonical_is_form(self) -> bool:
        return False

    def encode(self, value: Any) -> Any:
        return self._each(value, self.values.encode)

    def canonical(self, value: Any) -> Any:
        form = self._each(value, self.values.canonical)
        if jsonvalues.is_tag(form):
            return form
        return {key: form[key] for key in sorted(form)}

    def _each(self, value: Any, convert: Callable[[Any], Any]) -> dict[str, Any]:
        if type(value) is not dict:
            raise self.refused(value)
        return jsonvalues.wrap(
            {_text_key(key): _at(key, convert, item) for key, item in value.items()}
        )

    def decode(self, form: Any) -> Any:
        if type(form) is not dict:
            raise self.refused(form)
        members = jsonvalues.unwrap(form)
        return {_text_key(key): _at(key, self.values.decode, v) for key, v in members.items()}

    def json_schema(self) -> dict[str, Any]:
        return {"type": "object"}

    def describe(self) -> dict[str, Any]:
        return {"kind": self.name, "values": self.values.describe()}


@attrs.frozen
class Nested(Kind):
    """Objects with named members; a row holds a dict of them, `model` is the class they make."""

    name = "nested"
    expected = "an object"
    can_be_key = False

    members: tuple[tuple[str, Kind], ...]
    model: type[Any] | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def canonical_is_form(self) -> bool:
        return False

    def encode(self, value: Any) -> Any:
        return jsonvalues.wrap(
            {name: _at(name, kind.encode, item) for name, kind, item in self._items(value)}
        )

    def canonical(self, value: Any) -> Any:
        items = sorted(self._items(value), key=lambda item: item[0])
        return jsonvalues.wrap({name: _at(name, kind.canonical, v) for name, kind, v in items})

    def decode(self, form: Any) -> Any:
        if type(form) is not dict:
            raise self.refused(form)
        items = self._items(jsonvalues.unwrap(form))
        return {name: _at(name, kind.decode, item) for name, kind, item in items}

    def _items(self, value: Any) -> list[tuple[str, Kind, Any]]:
        if type(value) is not dict:
            raise self.refused(value)
        for name, _kind in self.members:
            if name not in value:
                raise KindError(f"the member {name!r}", "an object without it")
        for name in value.keys() - dict(self.members).keys():
            raise KindError("no other members", f"the member {shown(name)}")
        return [(name, kind, value[name]) for name, kind in self.members]

    def json_schema(self) -> dict[str, Any]:
        return {"type": "object"}

    def describe(self) -> dict[str, Any]:
        members = {name: kind.describe() for name, kind in self.members}
        return {"kind": self.name, "members": members}


@attrs.frozen
class Native(Kind):
    """Text in an engine's own notation, with the name of the engine's type."""

    name = "native"
    expected = "text in the notation of the engine's type"
    wire = str
    encodes_itself = "type({v}) is str"
    decodes_itself = ALWAYS
    can_be_key = False

    type_name: str

    def encode(self, value: Any) -> Any:
        if type(value) is not str:
            raise self.refused(value)
        return encodable(value)

    decode = encode

    def describe(self) -> dict[str, Any]:
        return {"kind": self.name, "type": self.type_name}


def has_decimals(kind: Kind) -> bool:
    """Whether decimals may stand somewhere in the values of a kind."""
    if isinstance(kind, Optional):
        return has_decimals(kind.inner)
    if isinstance(kind, List):
        return has_decimals(kind.items)
    if isinstance(kind, Dict):
        return has_decimals(kind.values)
    if isinstance(kind, Nested):
        return any(has_decimals(inner) for _name, inner in kind.members)
    return isinstance(kind, Decimal)


def _text_key(key: Any) -> str:
    if type(key) is not str:
        raise KindError("text as the key of an object", shown(key))
    return encodable(key)


def _at(step: str | int, convert: Callable[[Any], Any], item: Any) -> Any:
    try:
        return convert(item)
    except KindError as error:
        raise error.under(step) from None
