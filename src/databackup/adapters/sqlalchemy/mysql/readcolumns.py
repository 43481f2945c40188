"""Whole columns of stored values as the archive's forms, which most of them are already.

A function gives None where something in its column is out of the usual: then rows are made of it.
"""

from __future__ import annotations

import math
import uuid
from typing import TYPE_CHECKING, Any, Final

from databackup.adapters.sqlalchemy.mysql.columns import (
    BLOBS,
    INTEGERS,
    TEXTS,
    details,
    integer_range,
)
from databackup.schema import composite, kinds
from databackup.schema.columns import present
from databackup.schema.jsontext import parse_all_plain

if TYPE_CHECKING:
    from databackup.adapters._binding import Whole
    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.schema import Field, Kind

_NUMBERS: Final = (*INTEGERS, "year", "bit")
_UUID_BYTES: Final = {16}


def forms_of_stored(field: Field, column: Column) -> Whole | None:
    """The function that makes forms of a field's column, None where there is none.

    Decimals come as text.
    """
    convert = _converter(field.value_kind, column)
    if convert is None:
        return None
    if not column.nullable:
        return convert
    nullable = field.nullable

    def whole(stored: list[Any]) -> list[Any] | None:
        if None not in stored:
            return convert(stored)
        given = list(present(stored))
        done = convert(given) if given and nullable else []
        if done is None or not nullable:
            return None
        rest = iter(done)
        return [None if value is None else next(rest) for value in stored]

    return whole


def _converter(kind: Kind, column: Column) -> Whole | None:
    type_ = details(column).type
    if isinstance(kind, composite.Enum):
        values = frozenset(kind.values)
        is_text = all(type(value) is str for value in values)
        if not is_text or type_ not in (*TEXTS, "enum"):
            return None
        return lambda stored: stored if values.issuperset(stored) else None
    for known, types, convert in _CONVERTERS:
        if isinstance(kind, known) and type_ in types:
            if "zerofill" in column.declared:
                return None
            return _as_they_are if convert is _integers and _are_plain(column) else convert
    return None


def _are_plain(column: Column) -> bool:
    """Whether every integer that a column may hold is its own form."""
    least, largest = integer_range(column) or (-math.inf, math.inf)
    return least >= -kinds.MAX_PLAIN_INT and largest <= kinds.MAX_PLAIN_INT


def _as_they_are(stored: list[Any]) -> list[Any]:
    return stored


def _integers(stored: list[int]) -> list[Any]:
    if min(stored) >= -kinds.MAX_PLAIN_INT and max(stored) <= kinds.MAX_PLAIN_INT:
        return stored
    return [v if abs(v) <= kinds.MAX_PLAIN_INT else str(v) for v in stored]


def _bools(stored: list[int]) -> list[Any] | None:
    return [value == 1 for value in stored] if {0, 1}.issuperset(stored) else None


def _uuids(stored: list[bytes]) -> list[Any] | None:
    if set(map(len, stored)) != _UUID_BYTES:
        return None
    return [uuid.UUID(bytes=value) for value in stored]


def _json(stored: list[str]) -> list[Any] | None:
    values = parse_all_plain(stored)
    return None if values is None or None in values else values


_CONVERTERS: Final[tuple[tuple[type[Kind], tuple[str, ...], Whole], ...]] = (
    (kinds.Int, _NUMBERS, _integers),
    (kinds.Float, ("float", "double"), _as_they_are),
    (kinds.Decimal, ("decimal",), _as_they_are),
    (kinds.Bool, _NUMBERS, _bools),
    (kinds.Str, (*TEXTS, "enum", "set"), _as_they_are),
    (composite.Native, ("inet4", "inet6"), _as_they_are),
    (kinds.Bytes, BLOBS, _as_they_are),
    (kinds.Date, ("date",), _as_they_are),
    (kinds.DateTime, ("datetime", "timestamp"), _as_they_are),
    (kinds.DateTimeTz, ("datetime", "timestamp"), _as_they_are),
    (kinds.UUID, ("binary", "varbinary"), _uuids),
    (kinds.UUID, ("uuid",), _as_they_are),
    (composite.Json, TEXTS, _json),
)
