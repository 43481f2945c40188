"""How the values of each kind stand in a column of SQLite.

A stored value is read as its kind's only if writing the value again gives what is stored, exactly;
otherwise it is off its kind and is passed on as it is. JSON alone is read by value: its text may be
spaced and ordered otherwise.
"""

from __future__ import annotations

import datetime
import decimal
import math
import re
import uuid
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import attrs

from databackup.adapters._binding import Convert, Form
from databackup.adapters._sql import json_reader, json_writer
from databackup.adapters.sqlite.columns import DIGITS, whole_column
from databackup.adapters.sqlite.jsonforms import json_column
from databackup.adapters.sqlite.sqlalchemyforms import sqlalchemy_form
from databackup.schema import KindError, RawText, composite, kinds
from databackup.schema.bigint import from_digits
from databackup.schema.interval import IntervalKind
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from databackup.adapters.sqlite.catalogue import Column
    from databackup.schema import Field, Kind

Datetimes = Literal["space", "T", "sqlalchemy", "epoch"]
DATETIMES: Final[tuple[Datetimes, ...]] = get_args(Datetimes)

_NUMERIC: Final = ("INTEGER", "NUMERIC")
_AS_THEIR_FORM: Final = (
    kinds.Date | kinds.Time | kinds.TimeTz | kinds.Timedelta | kinds.UUID | IntervalKind
)
_STORED: Final = (str, bytes, int, float, RawText)
_LARGEST_SCALE: Final = 300
_WIDE: Final = decimal.Context(prec=1000)
_EPOCH: Final = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - naive datetimes count from it
_UTC_EPOCH: Final = _EPOCH.replace(tzinfo=datetime.UTC)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_DIGITS: Final = re.compile("-?[0-9]{1,131072}", re.ASCII)
_SCALE: Final = re.compile(r"\(\s*\d+\s*(?:,\s*(\d+)\s*)?\)")


def form_of(field: Field, column: Column, datetimes: Datetimes) -> Form:
    """How a field's values stand in its column."""
    kind = field.value_kind
    keep = field.off_kind == "keep"
    if isinstance(kind, kinds.Float):
        return Form(None if keep else _double, by_value=not keep, usual="float")
    if isinstance(kind, kinds.Bool):
        return Form(_bool, _keeping(_bit, keep=keep))
    if isinstance(kind, composite.Json):
        form = json_column(kind, nullable=field.nullable, keep=keep, column=column)
        read_all, write_all = whole_column(field, datetimes, None)
        return attrs.evolve(form, read_all=read_all, write_all=write_all)
    if isinstance(kind, composite.List | composite.Dict | composite.Nested):
        return Form(json_reader(kind), _keeping(json_writer(kind), keep=keep))
    pair = _text_form(kind, column, datetimes)
    if pair is None:
        return Form()
    read, write = pair
    by_value = isinstance(kind, kinds.Decimal) or datetimes == "epoch"
    scale = scale_of(column.declared) if column.affinity in _NUMERIC else None
    read_all, write_all = whole_column(field, datetimes, scale)
    return Form(
        read,
        _keeping(write, keep=keep),
        by_value=by_value,
        read_all=read_all,
        write_all=write_all,
    )


def _text_form(kind: Kind, column: Column, datetimes: Datetimes) -> tuple[Convert, Convert] | None:
    if datetimes == "sqlalchemy" and (
        own := sqlalchemy_form(kind, column, exact=_is_exact(column))
    ):
        return own
    if isinstance(kind, kinds.Int) and column.affinity == "TEXT":
        return _digits_reader(kind), _digits_writer(kind)
    if isinstance(kind, kinds.Decimal):
        return _decimal(kind, column)
    if isinstance(kind, kinds.DateTime | kinds.DateTimeTz):
        return _datetime(kind, column, datetimes)
    if isinstance(kind, kinds.UUID) and column.affinity == "BLOB" and column.declared:
        return _uuid_of_bytes, _bytes_of_uuid
    return (_decoding(kind.decode), kind.encode) if isinstance(kind, _AS_THEIR_FORM) else None


def unsuitable(field: Field, column: Column, datetimes: Datetimes) -> str | None:
    """Why a column cannot hold a field's values, where that is plain from its declaration."""
    numeric = column.affinity in ("INTEGER", "NUMERIC", "REAL")
    exact = _is_exact(column) or (datetimes == "sqlalchemy" and column.affinity == "NUMERIC")
    if isinstance(field.value_kind, kinds.Decimal) and numeric and not exact:
        return "is for decimals, and needs to be TEXT or to declare a scale as NUMERIC(10, 2) does"
    return None


def _is_exact(column: Column) -> bool:
    """Whether decimals stand in a column as numbers of a declared scale."""
    return column.affinity in _NUMERIC and scale_of(column.declared) is not None


def scale_of(declared: str) -> int | None:
    """The scale that a declared type states: 2 for NUMERIC(10, 2), 0 for NUMERIC(10).

    One that is larger than any double has says nothing about what is stored.
    """
    match = _SCALE.search(declared)
    if match is None:
        return None
    digits = (match.group(1) or "").lstrip("0") or "0"
    scale = int(digits[: _LARGEST_SCALE + 1])
    return scale if scale <= _LARGEST_SCALE else None


def _keeping(write: Convert, *, keep: bool) -> Convert:
    """A writing function that passes on what is off its kind, where the field keeps that."""
    if not keep:
        return write

    def kept(value: Any) -> Any:
        try:
            return write(value)
        except KindError:
            if type(value) in _STORED:
                return value
            raise

    return kept


def _decoding(decode: Convert) -> Convert:
    def read(stored: Any) -> Any:
        try:
            return decode(stored)
        except KindError:
            return stored

    return read


# -- numbers -----------------------------------------------------------------------------------


def _double(stored: Any) -> Any:
    if type(stored) is int and int(double := float(stored)) == stored:
        return double
    return stored


def _bool(stored: Any) -> Any:
    return stored == 1 if type(stored) is int and 0 <= stored <= 1 else stored


def _bit(value: Any) -> int:
    if type(value) is not bool:
        raise KindError("true or false", shown(value))
    return int(value)


def _digits_reader(kind: kinds.Int) -> Convert:
    write = _digits_writer(kind)

    def read(stored: Any) -> Any:
        if type(stored) is not str or not _DIGITS.fullmatch(stored):
            return stored
        value = from_digits(stored)
        return value if write(value) == stored else stored

    return read


def _digits_writer(kind: kinds.Int) -> Convert:
    return lambda value: str(kind.encode(value))


def _decimal(kind: kinds.Decimal, column: Column) -> tuple[Convert, Convert]:
    scale = scale_of(column.declared)
    if column.affinity not in _NUMERIC or scale is None:
        return _decoding(kind.decode), kind.encode
    return _number_reader(scale), _number_writer(scale)


# Each does the usual short number by its text, which is several times as fast as decimals are.


def _number_reader(scale: int) -> Convert:
    step, layout = decimal.Decimal(1).scaleb(-scale), f".{scale}f"

    def read(stored: Any) -> Any:
        if type(stored) is float and abs(stored) % 1.0 > 0.0:
            text = format(stored, layout)
            if len(text) <= DIGITS and float(text) == stored:
                return decimal.Decimal(text)
        if type(stored) is int:
            return _WIDE.quantize(decimal.Decimal(stored), step)
        # A whole number that is a float is one too large for SQLite's integers.
        if type(stored) is not float or not stored % 1.0 or not math.isfinite(stored):
            return stored
        value = _WIDE.quantize(decimal.Decimal(repr(stored)), step)
        return value if float(value) == stored and _digits(value) <= DIGITS else stored

    return read


def _number_writer(scale: int) -> Convert:
    step = decimal.Decimal(1).scaleb(-scale)

    def write(value: Any) -> int | float:
        text = str(value) if type(value) is decimal.Decimal else ""
        fraction = text.partition(".")[2]
        if len(text) <= DIGITS and len(fraction) <= scale and fraction.isdigit():
            return float(text) if fraction.strip("0") else int(text.partition(".")[0])
        if type(value) is not decimal.Decimal or not value.is_finite():
            raise KindError("a decimal number", shown(value))
        try:
            rounded = _WIDE.quantize(value, step)
        except decimal.InvalidOperation:
            rounded = decimal.Decimal("NaN")
        if rounded != value:
            raise KindError(f"a decimal number in steps of {step}", shown(value))
        if rounded == rounded.to_integral_value():
            return int(rounded)
        if _digits(rounded) > DIGITS:
            raise KindError(f"a decimal number of at most {DIGITS} digits", shown(value))
        return float(rounded)

    return write


def _digits(value: decimal.Decimal) -> int:
    return len(value.normalize(_WIDE).as_tuple().digits)


# -- dates and times ---------------------------------------------------------------------------

_LAYOUTS: Final = {"space": (" ", "auto"), "T": ("T", "auto"), "sqlalchemy": (" ", "microseconds")}


def _datetime(kind: Kind, column: Column, datetimes: Datetimes) -> tuple[Convert, Convert]:
    aware = isinstance(kind, kinds.DateTimeTz)
    if datetimes == "epoch":
        return _epoch(kind, aware=aware, real=column.affinity == "REAL")
    separator, precision = _LAYOUTS[datetimes]

    zone = datetime.UTC if aware else None
    parse = datetime.datetime.fromisoformat

    def read(stored: Any) -> Any:
        try:
            value = parse(stored)
        except (TypeError, ValueError):
            return stored
        same = value.tzinfo is zone and value.isoformat(separator, precision) == stored
        return value if same else stored

    def write(value: Any) -> str:
        if type(value) is not datetime.datetime or value.tzinfo is not zone:
            value = _of_kind(kind, value, aware=aware)
        return str(value.isoformat(separator, precision))

    return read, write


def _of_kind(kind: Kind, value: Any, *, aware: bool) -> datetime.datetime:
    if type(value) is not datetime.datetime or (value.utcoffset() is not None) is not aware:
        raise KindError(kind.expected, shown(value))
    if not aware:
        return value
    try:
        return value.astimezone(datetime.UTC)
    except OverflowError:
        raise KindError(kind.expected, shown(value)) from None


def _epoch(kind: Kind, *, aware: bool, real: bool) -> tuple[Convert, Convert]:
    epoch = _UTC_EPOCH if aware else _EPOCH

    def write(value: Any) -> int | float:
        microseconds = (_of_kind(kind, value, aware=aware) - epoch) // _MICROSECOND
        seconds, fraction = divmod(microseconds, 1_000_000)
        if not fraction:
            return seconds
        if round((stored := microseconds / 1_000_000) * 1_000_000) != microseconds:
            raise KindError("a datetime whose microseconds a double holds", shown(value))
        return stored

    def read(stored: Any) -> Any:
        if type(stored) not in (int, float):
            return stored
        try:
            value = epoch + round(stored * 1_000_000) * _MICROSECOND
            again = write(value)
        except (ValueError, OverflowError):
            return stored
        # A REAL column holds whole seconds as a float.
        return value if again == stored and (real or type(again) is type(stored)) else stored

    return read, write


# -- UUIDs as bytes ----------------------------------------------------------------------------


def _uuid_of_bytes(stored: Any) -> Any:
    return uuid.UUID(bytes=stored) if type(stored) is bytes and len(stored) == 16 else stored  # noqa: PLR2004 - RFC 9562


def _bytes_of_uuid(value: Any) -> bytes:
    if type(value) is not uuid.UUID:
        raise KindError("a UUID", shown(value))
    return value.bytes
