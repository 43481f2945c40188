"""Values that a store holds off their column's kind, and the tags they are written with.

A field with `off_kind="keep"` takes, beside the values of its kind, text, bytes, integers and
floats as tagged objects: `{"$text": …}`, `{"$bytes": …}`, `{"$int": …}`, `{"$float": …}`.
"""

from __future__ import annotations

import math
from typing import Any

import attrs

from databackup.schema import kinds
from databackup.schema.composite import Json, Optional
from databackup.schema.jsonvalues import is_tag
from databackup.schema.kind import ALWAYS, Kind, KindError, shown

_TAGS: dict[str, tuple[type[Any], Kind]] = {
    "$text": (str, kinds.Str()),
    "$bytes": (bytes, kinds.Bytes()),
    "$int": (int, kinds.Int()),
    "$float": (float, kinds.Float()),
}
_TAG_OF = {type_: (tag, kind) for tag, (type_, kind) in _TAGS.items()}


@attrs.frozen
class RawText:
    """Text that a str cannot stand for: invalid UTF-8, or any text in a json field."""

    data: bytes


@attrs.frozen
class Keep(Kind):
    """A kind whose off-kind values are kept under tags."""

    name = "keep"

    inner: Kind

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"{self.inner.expected}, or a tagged value"

    @property
    def can_be_key(self) -> bool:  # type: ignore[override]
        return self.inner.can_be_key

    @property
    def wire(self) -> Any:
        return self.inner.wire if self.inner.wire is Any else self.inner.wire | dict

    @property
    def narrow_wire(self) -> Any:
        return self.inner.narrow_wire

    @property
    def encodes_itself(self) -> str:  # type: ignore[override]
        return self.inner.encodes_itself

    @property
    def decodes_itself(self) -> str:  # type: ignore[override]
        itself = self.inner.decodes_itself
        if not itself:
            return ""
        return f"type({{v}}) is not dict{'' if itself == ALWAYS else f' and ({itself})'}"

    @property
    def canonical_is_form(self) -> bool:
        return self.inner.canonical_is_form

    def encode(self, value: Any) -> Any:
        if self._is_off(value):
            return self._tagged(value)
        return self.inner.encode(value)

    def canonical(self, value: Any) -> Any:
        if self._is_off(value):
            return self._tagged(value)
        return self.inner.canonical(value)

    def decode(self, form: Any) -> Any:
        if is_tag(form) and next(iter(form)) != "$json":
            value = _untagged(form, as_raw=type(_value_kind(self.inner)) is Json)
            if not self._is_off(value):
                raise KindError("a tag only for a value off the field's kind", shown(form))
            return value
        if type(form) is int and type(_value_kind(self.inner)) is kinds.Float:
            raise self.refused(form)
        return self.inner.decode(form)

    def _is_off(self, value: Any) -> bool:
        kind = _value_kind(self.inner)
        if type(value) is RawText:
            return True
        if type(kind) is Json:
            return type(value) is bytes or (type(value) is float and math.isinf(value))
        if type(value) not in _TAG_OF:
            return False
        if type(kind) is kinds.Float:
            # An integer in a float column is kept apart from the float of the same value.
            return type(value) is not float
        try:
            kind.encode(value)
        except KindError:
            return True
        return False

    def _tagged(self, value: Any) -> dict[str, Any]:
        if type(value) is RawText:
            return _tagged_text(value, of_json=type(_value_kind(self.inner)) is Json)
        tag, kind = _TAG_OF[type(value)]
        return {tag: kind.encode(value)}

    def json_schema(self) -> dict[str, Any]:
        schema = self.inner.json_schema()
        if "type" not in schema:
            return {}
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if "object" in types:
            return schema
        return schema | {"type": [*types, "object"], "minProperties": 1, "maxProperties": 1}

    def describe(self) -> dict[str, Any]:
        return self.inner.describe() | {"off_kind": "keep"}


def _value_kind(kind: Kind) -> Kind:
    return kind.inner if isinstance(kind, Optional) else kind


def _tagged_text(text: RawText, *, of_json: bool) -> dict[str, Any]:
    data = kinds.Bytes().encode(text.data)
    try:
        valid = text.data.decode()
    except UnicodeDecodeError:
        return {"$text": {"$bytes": data}}
    if not of_json:
        raise KindError("a str for text that is valid UTF-8", shown(text))
    return {"$text": valid}


def _untagged(form: dict[str, Any], *, as_raw: bool) -> Any:
    ((tag, inner),) = form.items()
    if tag not in _TAGS:
        raise KindError("one of the tags " + ", ".join(_TAGS), shown(tag))
    if tag == "$text" and type(inner) is dict and set(inner) == {"$bytes"}:
        data = kinds.Bytes().decode(inner["$bytes"])
        try:
            data.decode()
        except UnicodeDecodeError:
            return RawText(data)
        raise KindError("bytes that are not valid UTF-8", shown(data))
    if tag == "$float" and type(inner) is int:
        raise KindError("a number with a fraction or an exponent", shown(inner))
    value = _TAGS[tag][1].decode(inner)
    return RawText(value.encode()) if as_raw and tag == "$text" else value
