"""How the values of each kind stand in PostgreSQL: as the text that its types read and write.

Text is exact: a float4 is 0.1 and not 0.10000000149011612, a numeric keeps its scale, and dates,
times and intervals beyond Python's come as they are. A text that is none of the field's kind is
passed on as it is, and is then off its kind.
"""

from __future__ import annotations

import decimal
import struct
import uuid
from typing import TYPE_CHECKING, Any, Final

from databackup.adapters._binding import Convert, Form
from databackup.adapters._sql import SqlValue, json_reader, json_text, json_writer, parsed_json
from databackup.adapters.sqlalchemy.postgresql.arrays import array_text, parse_array
from databackup.adapters.sqlalchemy.postgresql.times import TIMES, Pair, reader
from databackup.schema import JSON_NULL, KindError, RawText, composite, kinds
from databackup.schema.interval import IntervalKind
from databackup.schema.jsonvalues import is_plain
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.adapters.sqlalchemy.postgresql.catalogue import Type
    from databackup.schema import Field, Kind

TEXTS: Final = ("text", "varchar", "bpchar", "name", "citext")
INTEGERS: Final = {"int2": 15, "int4": 31, "int8": 63}
_HEADER: Final = 4  # what a type modifier counts beside the length


def form_of(field: Field, column: Column) -> Form:
    """How a field's values stand in its column."""
    if isinstance(field.value_kind, composite.Json):
        return _json_column(field.value_kind, nullable=field.nullable)
    read, write = _pair(field.value_kind, column.details)
    if field.off_kind == "keep":
        write = _keeping(write)
    return Form(read, write)


def unsuitable(field: Field, column: Column) -> str | None:
    """Why a column cannot hold a field's values, where its type makes that plain."""
    kind, type_ = field.value_kind, column.details
    expected = next((names for sort, names in _SUITABLE if isinstance(kind, sort)), None)
    if expected is None or type_.name in expected:
        return None
    return f"cannot hold the kind {kind.name}"


_SUITABLE: Final = (
    (kinds.Bool, ("bool",)),
    (kinds.Int, ("int2", "int4", "int8", "numeric", "oid", "xid8")),
    (kinds.Float, ("float4", "float8")),
    (kinds.Decimal, ("numeric", "text", "varchar")),
    (kinds.Str, (*TEXTS, "char")),
    (kinds.Bytes, ("bytea",)),
    (kinds.Date, ("date", *TEXTS)),
    (kinds.Time, ("time", *TEXTS)),
    (kinds.TimeTz, ("timetz", *TEXTS)),
    (kinds.DateTime, ("timestamp", *TEXTS)),
    (kinds.DateTimeTz, ("timestamptz", *TEXTS)),
    (kinds.Timedelta, ("interval", *TEXTS)),
    (IntervalKind, ("interval", *TEXTS)),
    (kinds.UUID, ("uuid", *TEXTS)),
    (composite.Json, ("json", "jsonb", *TEXTS)),
)


def _keeping(write: Convert) -> Convert:
    """A writing function that passes on text that is off its kind."""

    def kept(value: Any) -> Any:
        try:
            return write(value)
        except KindError:
            if type(value) is str:
                return _checked_text(value)
            raise

    return kept


def _pair(kind: Kind, type_: Type) -> Pair:
    """The functions that read and write a value of a kind in a type."""
    if isinstance(kind, composite.Optional):
        return _pair(kind.inner, type_)
    if isinstance(kind, composite.List) and type_.element is not None:
        return _array(kind, type_.element)
    if type_.name in TEXTS and not isinstance(kind, _TEXTUAL):
        return reader(kind.decode), _within(kind.encode, type_)
    return _PAIRS[type(kind)](kind, type_)


# -- text, numbers, bytes ----------------------------------------------------------------------

_BOOLS: Final = {"true": True, "false": False, "t": True, "f": False}
_BOOL_TEXTS: Final = {True: "true", False: "false"}


def _checked_text(value: str) -> str:
    if "\0" in value:
        raise KindError("text without NUL, which PostgreSQL does not hold", shown(value))
    try:
        value.encode()
    except UnicodeEncodeError:
        raise KindError("text without lone surrogates", shown(value)) from None
    return value


def length_of(type_: Type) -> int | None:
    if type_.name in ("varchar", "bpchar") and type_.modifier >= _HEADER:
        return type_.modifier - _HEADER
    return None


def _text_writer(type_: Type) -> Convert:
    limit = length_of(type_)
    is_padded = type_.name == "bpchar"

    def write(value: Any) -> str:
        if type(value) is not str:
            raise KindError("text", shown(value))
        text = _checked_text(value)
        if limit is not None and len(text) > limit:
            raise KindError(f"text of at most {limit} characters", f"{len(text)} of them")
        if is_padded and text.endswith(" "):
            raise KindError("text that does not end in spaces, which char(n) loses", shown(value))
        return text

    return write


def _within(encode: Convert, type_: Type) -> Convert:
    """A function that writes the archive's own text of a kind into a column of text."""
    write = _text_writer(type_)
    return lambda value: write(encode(value))


def _integer_writer(kind: Kind, type_: Type) -> Convert:
    bits = INTEGERS.get(type_.name)
    scale = declared_digits(type_)

    def write(value: Any) -> str:
        if type(value) is not int:
            raise kind.refused(value)
        if bits is not None and not -(2**bits) <= value < 2**bits:
            raise KindError(f"an integer of {bits + 1} bits", shown(value))
        if bits is None and scale is not None:
            _require_digits(decimal.Decimal(value), type_)
        return str(kind.encode(value))

    return write


def _float_writer(kind: Kind, *, narrow: bool) -> Convert:
    def write(value: Any) -> str:
        form = kind.encode(value)
        if narrow and type(form) is float:
            return _float4(form)
        return form if type(form) is str else repr(form)

    return write


def _float4(value: float) -> str:
    """The text of a double that a float4 gives back as it is."""
    try:
        (single,) = struct.unpack("f", struct.pack("f", value))
    except OverflowError:
        raise KindError("a number that a float4 holds", shown(value)) from None
    for digits in range(1, 10):
        text = format(single, f".{digits}g")
        if struct.unpack("f", struct.pack("f", float(text)))[0] == single:
            if float(text) == value:
                return text
            break
    raise KindError("a number that a float4 holds", shown(value))


def declared_digits(type_: Type) -> tuple[int, int] | None:
    """Precision and scale of a numeric that declares them."""
    if type_.name != "numeric" or type_.modifier < _HEADER:
        return None
    packed = type_.modifier - _HEADER
    scale = packed & 0x7FF
    return packed >> 16 & 0xFFFF, (scale ^ 1024) - 1024


def _require_digits(value: decimal.Decimal, type_: Type) -> None:
    declared = declared_digits(type_)
    if declared is None or not value.is_finite():
        if declared is not None and value.is_infinite():
            raise KindError("a finite number", shown(value))
        return
    precision, scale = declared
    if value and value.adjusted() >= precision - scale:
        raise KindError(f"a number with {precision - scale} digits before the point", shown(value))
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > scale:
        shortest = value.normalize(decimal.Context(prec=200_000)).as_tuple().exponent
        if isinstance(shortest, int) and -shortest > scale:
            raise KindError(f"a number with {scale} digits behind the point", shown(value))


def _decimal_writer(kind: kinds.Decimal, type_: Type) -> Convert:
    def write(value: Any) -> str:
        text: str = kind.encode(value)
        if value.is_finite():
            exponent = value.as_tuple().exponent
            if exponent > 0 or (value.is_signed() and not value):
                raise KindError("a number without exponent, and zero without sign", shown(value))
        _require_digits(value, type_)
        return text

    return write


def _bytes_text(value: Any) -> str:
    if type(value) is not bytes:
        raise kinds.Bytes().refused(value)
    return "\\x" + value.hex()


def _bytes(text: str) -> bytes:
    if not text.startswith("\\x"):
        raise ValueError(text)
    return bytes.fromhex(text[2:])


def _enum(kind: composite.Enum) -> Pair:
    of_numbers = bool(kind.values) and type(kind.values[0]) is int
    read = reader(int) if of_numbers else _as_it_is
    return read, lambda value: _checked_text(str(kind.encode(value)))


def _as_it_is(value: Any) -> Any:
    return value


# -- JSON and arrays ---------------------------------------------------------------------------


def _json_column(kind: composite.Json, *, nullable: bool) -> Form:
    null = JSON_NULL if nullable else None

    def write(value: Any) -> Any:
        if value is None and nullable:
            return None
        if type(value) is RawText:
            return _unparsed(kind, value)
        value = None if value is null else value
        if not is_plain(value):
            kind.encode(value)
        try:
            return json_text(value)
        except UnicodeEncodeError:
            raise KindError("text without lone surrogates", shown(value)) from None

    def read(stored: str | None) -> Any:
        if stored is None:
            return None if nullable else SqlValue(None)
        value = parsed_json(kind, stored)
        return null if value is None else value

    return Form(read, write, nulls=True)


def _unparsed(kind: composite.Json, value: RawText) -> str:
    """JSON that no archive holds as such, and that is kept as its text."""
    try:
        text = value.data.decode()
    except UnicodeDecodeError:
        raise KindError("text in UTF-8", shown(value)) from None
    if parsed_json(kind, text) != value:
        raise KindError("text that is no JSON", shown(text))
    return text


def _array(kind: composite.List, element: Type) -> Pair:
    read_item, write_item = _pair(kind.items, element)

    def read(stored: str) -> Any:
        items = parse_array(stored)
        if items is None:
            return stored
        return [item if item is None or read_item is None else read_item(item) for item in items]

    def write(value: Any) -> str:
        if type(value) is not list:
            raise kind.refused(value)
        optional = isinstance(kind.items, composite.Optional)
        if None in value and not optional and not isinstance(kind.items, composite.Json):
            raise kind.refused(value)
        return array_text(
            [None if item is None and optional else write_item(item) for item in value]
        )

    return read, write


# -- by kind -----------------------------------------------------------------------------------


def _bool(kind: Kind, _type: Type) -> Pair:
    return _BOOLS.__getitem__, lambda value: _BOOL_TEXTS[kind.encode(value)]


def _bytea(_kind: Kind, _type: Type) -> Pair:
    return reader(_bytes), _bytes_text


def _json_text_of(kind: Any, _type: Type) -> Pair:
    form = _json_column(kind, nullable=False)
    return form.read, form.write or str


def _structure(kind: Kind, _type: Type) -> Pair:
    return json_reader(kind), json_writer(kind)


# What stands in a column of text in another form than the archive's.
_TEXTUAL: Final = (
    kinds.Str
    | composite.Json
    | composite.List
    | composite.Dict
    | composite.Nested
    | composite.Enum
    | composite.Native
)
_PAIRS: Final[dict[type[Kind], Callable[[Any, Type], Pair]]] = {
    **TIMES,
    kinds.Bool: _bool,
    kinds.Bytes: _bytea,
    kinds.Decimal: lambda kind, type_: (reader(decimal.Decimal), _decimal_writer(kind, type_)),
    kinds.Float: lambda kind, type_: (
        reader(float),
        _float_writer(kind, narrow=type_.name == "float4"),
    ),
    kinds.Int: lambda kind, type_: (reader(int), _integer_writer(kind, type_)),
    kinds.Str: lambda _kind, type_: (None, _text_writer(type_)),
    kinds.UUID: lambda kind, _type: (reader(uuid.UUID), kind.encode),
    composite.Dict: _structure,
    composite.Enum: lambda kind, _type: _enum(kind),
    composite.Json: _json_text_of,
    composite.List: _structure,
    composite.Native: lambda _kind, type_: (None, _text_writer(type_)),
    composite.Nested: _structure,
}
