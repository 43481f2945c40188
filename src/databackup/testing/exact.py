"""Comparing rows exactly: by type and to the last digit, where Python's `==` is too kind."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from databackup.schema import JSON_NULL, KindError
from databackup.schema.composite import Dict, Json, List, Nested, Optional
from databackup.schema.kinds import DateTimeTz

if TYPE_CHECKING:
    from collections.abc import Iterable

    from databackup.repository import Row
    from databackup.schema import Collection, Kind

_LONG = 4000


def exact_value(kind: Kind, value: Any) -> str:
    """A text that two values share only if they are the same to an archive.

    1 and True differ, 1.0 and 1.00 as decimals, 0.0 and −0.0, None and the JSON value null. The
    same: members of JSON objects in another order, JSON numbers of one value, and one moment with
    another offset, which no store has to keep.
    """
    if isinstance(kind, Optional):
        return "nothing" if value is None else exact_value(kind.inner, value)
    if isinstance(kind, Json) and value is not JSON_NULL:
        return _json(kind, value)
    if isinstance(kind, List) and type(value) is list:
        return "[" + ", ".join(exact_value(kind.items, item) for item in value) + "]"
    if isinstance(kind, Dict) and type(value) is dict:
        return _members({key: exact_value(kind.values, item) for key, item in value.items()})
    if (
        isinstance(kind, Nested)
        and type(value) is dict
        and value.keys() == dict(kind.members).keys()
    ):
        return _members({name: exact_value(inner, value[name]) for name, inner in kind.members})
    if (
        isinstance(kind, DateTimeTz)
        and type(value) is datetime.datetime
        and value.utcoffset() is not None
    ):
        value = value.astimezone(datetime.UTC).replace(fold=0)
    return _typed(value)


def exact_row(collection: Collection, row: Row) -> tuple[str, ...]:
    """A row's values as `exact_value` has them."""
    if type(row) is not tuple or len(row) != len(collection.fields):
        raise AssertionError(
            f"{collection}: a row is a tuple of {len(collection.fields)} values, not {row!r}"
        )
    values = zip(collection.fields, row, strict=True)
    return tuple(exact_value(field.kind, value) for field, value in values)


def exact_rows(collection: Collection, rows: Iterable[Row]) -> list[tuple[str, ...]]:
    """Rows as `exact_row` has them, sorted: equal for the same records in any order."""
    return sorted(exact_row(collection, row) for row in rows)


def _json(kind: Json, value: Any) -> str:
    try:
        return "json " + msgspec.json.encode(kind.canonical(value)).decode()
    except KindError:
        return _typed(value)


def _typed(value: Any) -> str:
    # Python writes no integer of more than 4,300 digits in decimal.
    text = hex(value) if type(value) is int and value.bit_length() > _LONG else repr(value)
    return f"{type(value).__name__} {text}"


def _members(texts: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name!r}: {texts[name]}" for name in sorted(texts)) + "}"
