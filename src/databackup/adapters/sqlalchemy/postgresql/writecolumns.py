"""Whole columns of the archive's forms as what PostgreSQL reads, which most of them are already.

A function gives None where something in its column is out of the usual, or more than the column
holds: then the rows are converted value by value, and what is wrong with one is told. What it gives
msgspec writes as JSON, which `copytext` makes CSV of.
"""

from __future__ import annotations

import datetime
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

import msgspec

from databackup.adapters.sqlalchemy.postgresql.forms import (
    INTEGERS,
    TEXTS,
    declared_digits,
    length_of,
)
from databackup.adapters.sqlalchemy.postgresql.times import digits_of
from databackup.schema import composite, kinds
from databackup.schema.columns import present

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.adapters.sqlalchemy.postgresql.catalogue import Type
    from databackup.schema import Field, Kind

    Forms = Sequence[Any]
    WriteColumn = Callable[[Forms], Forms | None]

_ENCODER: Final = msgspec.json.Encoder()
_MICROSECONDS: Final = 6


def column_writer(field: Field, column: Column) -> WriteColumn | None:
    """The function that writes a field's column at once, None where there is none."""
    kind, type_ = field.value_kind, column.details
    if isinstance(kind, composite.Json):
        return _nullable_json if field.nullable else _json
    if isinstance(kind, kinds.Str | composite.Native | composite.Enum):
        return _texts(type_)
    if type_.name in TEXTS:
        is_text = isinstance(kind, _OF_TEXT) and type_.name != "bpchar" and length_of(type_) is None
        return _as_they_are if is_text else None
    make = _WRITERS.get((type(kind), type_.name))
    return make(kind, type_) if make else None


def _as_they_are(forms: Forms) -> Forms:
    return forms


def _texts(type_: Type) -> WriteColumn:
    limit = length_of(type_)
    is_padded = type_.name == "bpchar"
    if limit is None and not is_padded:
        return _as_they_are

    def write(forms: Forms) -> Forms | None:
        given = present(forms)
        if any(type(form) is not str for form in given):
            return None
        if limit is not None and max(map(len, given), default=0) > limit:
            return None
        return None if is_padded and any(text.endswith(" ") for text in given) else forms

    return write


def _integers(_kind: Kind, type_: Type) -> WriteColumn:
    largest = 2 ** INTEGERS[type_.name]

    def write(forms: Forms) -> Forms | None:
        given = present(forms)
        if not {int}.issuperset(map(type, given)):
            return None
        fits = not given or (-largest <= min(given) and max(given) < largest)
        return forms if fits else None

    return write


def _decimals(_kind: Kind, type_: Type) -> WriteColumn:
    declared = declared_digits(type_)
    whole, fraction = "*+", "*+"
    if declared is not None:
        precision, scale = declared
        if not 0 <= scale < precision:
            return lambda _forms: None
        whole, fraction = f"{{1,{precision - scale}}}+", f"{{0,{scale}}}+"
    number = rf"(?:-(?!0(?:\.0*+)?\n))?[0-9]{whole}(?:\.[0-9]{fraction})?\n"
    fit = re.compile(rf"(?:{number})*+").fullmatch

    def write(forms: Forms) -> Forms | None:
        return forms if fit("\n".join([*present(forms), ""])) else None

    return write


def _moments(type_: Type, expected: type[Any]) -> WriteColumn:
    step = 10 ** (_MICROSECONDS - digits_of(type_))

    def write(forms: Forms) -> Forms | None:
        given = present(forms)
        if not {expected}.issuperset(map(type, given)):
            return None
        return None if step > 1 and any(v.microsecond % step for v in given) else forms

    return write


def _all_of(expected: type[Any]) -> WriteColumn:
    def write(forms: Forms) -> Forms | None:
        return forms if {expected}.issuperset(map(type, present(forms))) else None

    return write


def _bytes(forms: Forms) -> Forms | None:
    if not {bytes}.issuperset(map(type, present(forms))):
        return None
    return [None if form is None else "\\x" + form.hex() for form in forms]


def _json(forms: Forms) -> Forms:
    return _ENCODER.encode_lines(forms).decode().split("\n")[:-1]


def _nullable_json(forms: Forms) -> Forms:
    texts = _json(forms)
    return [None if form is None else text for form, text in zip(forms, texts, strict=True)]


# What stands in a column of text as the archive has it.
_OF_TEXT: Final = (
    kinds.Date | kinds.DateTime | kinds.DateTimeTz | kinds.Decimal | kinds.Time | kinds.UUID
)
_WRITERS: Final[dict[tuple[type[Kind], str], Callable[[Kind, Type], WriteColumn]]] = {
    (kinds.Bool, "bool"): lambda _kind, _type: _as_they_are,
    **{(kinds.Int, name): _integers for name in INTEGERS},
    (kinds.Float, "float8"): lambda _kind, _type: _as_they_are,
    (kinds.Decimal, "numeric"): _decimals,
    (kinds.Bytes, "bytea"): lambda _kind, _type: _bytes,
    (kinds.Date, "date"): lambda _kind, _type: _all_of(datetime.date),
    (kinds.Time, "time"): lambda _kind, type_: _moments(type_, datetime.time),
    (kinds.DateTime, "timestamp"): lambda _kind, type_: _moments(type_, datetime.datetime),
    (kinds.DateTimeTz, "timestamptz"): lambda _kind, type_: _moments(type_, datetime.datetime),
    (kinds.UUID, "uuid"): lambda _kind, _type: _all_of(uuid.UUID),
}
