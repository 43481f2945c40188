"""How the values of each kind stand in a column of MariaDB or MySQL.

A stored value is read as its kind's only if writing the value again gives what is stored; otherwise
it is passed on as it is, and the caller names it. What a column does not hold as it is raises
`KindError`: even in strict mode the server drops microseconds, rounds, folds the members of an
ENUM, and fills in NULL.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.adapters._binding import Convert, Form, with_nulls
from databackup.adapters.sqlalchemy.mysql.columns import (
    BLOBS,
    GEOMETRIES,
    INTEGERS,
    TEXTS,
    details,
    integer_range,
)
from databackup.adapters.sqlalchemy.mysql.jsonforms import json_form_of
from databackup.adapters.sqlalchemy.mysql.numbers import (
    bool_form,
    decimal_form,
    float_form,
    int_form,
)
from databackup.adapters.sqlalchemy.mysql.offkind import keeping
from databackup.adapters.sqlalchemy.mysql.texts import text_column_writer, text_writer
from databackup.adapters.sqlalchemy.mysql.times import (
    date_form,
    datetime_form,
    time_form,
    timedelta_form,
)
from databackup.schema import KindError, composite, kinds
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from databackup.adapters._binding import Whole
    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.schema import Field, Kind

_UUID_LENGTH: Final = 36
_HEX_LENGTH: Final = 32
_UUID_BYTES: Final = 16
NATIVE: Final = ("inet4", "inet6")
_WITH_TEXT: Final = (*TEXTS, "enum", "set", "uuid", *NATIVE)


def form_of(field: Field, column: Column) -> Form:
    """How a field's values stand in its column, which `unsuitable` has no objection to."""
    form = _form(field, column) or Form()
    if field.off_kind == "keep":
        form = keeping(form, field.value_kind, column)
    if field.nullable and not column.nullable:
        return _without_null(form)
    return form


def unsuitable(field: Field, column: Column) -> str | None:
    """Why a column cannot hold a field's values."""
    if _form(field, column) is None:
        return f"cannot hold values of the kind {field.value_kind.name}"
    return None


def _form(field: Field, column: Column) -> Form | None:
    """The form of a field's values; None where the column's type has none for them."""
    kind, type_ = field.value_kind, details(column).type
    if isinstance(kind, composite.Json | composite.List | composite.Dict | composite.Nested):
        return json_form_of(field, column) if type_ in (*TEXTS, "json") else None
    if isinstance(kind, kinds.Str | composite.Native):
        if type_ not in _WITH_TEXT:
            return None
        return Form(None, text_writer(column), write_all=text_column_writer(column))
    found = _of_own_type(kind, column)
    if found is None and type_ in TEXTS and not isinstance(kind, _NEVER_TEXT):
        return _as_text(kind, column)
    return found


_NEVER_TEXT: Final = kinds.Bool | kinds.Float | kinds.Bytes | kinds.UUID | composite.Enum


def _of_own_type(kind: Kind, column: Column) -> Form | None:
    if isinstance(kind, kinds.Bool | kinds.Int | kinds.Float | kinds.Decimal):
        return _number(kind, column)
    if isinstance(kind, composite.Enum):
        return _enum(kind, column)
    if isinstance(kind, kinds.Bytes):
        return _bytes(column) if details(column).type in (*BLOBS, *GEOMETRIES) else None
    return _uuid(kind, column) if isinstance(kind, kinds.UUID) else _time(kind, column)


def _without_null(form: Form) -> Form:
    """Of a column that is NOT NULL: the server makes the time or a number of a NULL."""
    read, write = form.read, form.write

    def refuse_null(value: Any) -> Any:
        if value is None:
            raise KindError("a value, as the column is NOT NULL", shown(value))
        return write(value) if write else value

    def keep_null(stored: Any) -> Any:
        return None if stored is None else read(stored) if read else stored

    return attrs.evolve(
        form,
        read=form.read and keep_null,
        write=refuse_null,
        nulls=True,
        write_all=form.write_all and _without_nulls(form.write_all),
    )


def _without_nulls(column: Whole) -> Whole:
    return lambda values: None if None in values else column(values)


def _number(kind: Kind, column: Column) -> Form | None:
    type_ = details(column).type
    if isinstance(kind, kinds.Decimal):
        return decimal_form(column) if type_ == "decimal" else None
    if isinstance(kind, kinds.Float):
        return float_form(column) if type_ in ("float", "double") else None
    if isinstance(kind, kinds.Bool):
        return bool_form() if type_ in (*INTEGERS, "bit") else None
    if type_ == "year" or integer_range(column):
        return int_form(column)
    return None


def _time(kind: Kind, column: Column) -> Form | None:
    type_ = details(column).type
    if isinstance(kind, kinds.Date):
        return date_form(kind) if type_ == "date" else None
    if isinstance(kind, kinds.Time):
        return time_form(kind, column) if type_ == "time" else None
    if isinstance(kind, kinds.DateTime | kinds.DateTimeTz):
        return datetime_form(kind, column) if type_ in ("datetime", "timestamp") else None
    if isinstance(kind, kinds.Timedelta):
        return timedelta_form(kind, column) if type_ in ("time", "bigint", "datetime") else None
    return None


def _enum(kind: composite.Enum, column: Column) -> Form | None:
    if all(type(value) is int for value in kind.values):
        if integer_range(column) is None:
            return None
        write = int_form(column).write
    else:
        if details(column).type not in (*TEXTS, "enum"):
            return None
        write = text_writer(column)

    def write_one(value: Any) -> Any:
        return write(kind.encode(value)) if write else value

    return Form(None, write_one, write_all=with_nulls(_each_once(write_one)))


def _each_once(write: Convert) -> Whole:
    """A function that converts each text once, however often it is there."""

    def write_all(values: list[Any]) -> list[Any] | None:
        if set(map(type, values)) != {str}:
            return None
        try:
            written = {value: write(value) for value in set(values)}
        except KindError:
            return None
        return [written[value] for value in values]

    return write_all


# -- text and bytes ------------------------------------------------------------------------------


def _as_text(kind: Kind, column: Column) -> Form:
    """A kind's form as text: ISO 8601 for times, all digits for decimals."""
    if isinstance(kind, kinds.Int):
        return _digits(column)
    write = text_writer(column)
    return Form(_decoding(kind), lambda value: write(kind.encode(value)))


def _digits(column: Column) -> Form:
    write = text_writer(column)
    kind = kinds.Int()

    def read(stored: Any) -> Any:
        try:
            value = (
                kind.decode(stored) if type(stored) is str and len(stored) > _SHORT else int(stored)
            )
        except (KindError, ValueError, TypeError):
            return stored
        return value if str(kind.encode(value)) == stored else stored

    return Form(read, lambda value: write(str(kind.encode(value))))


_SHORT: Final = 16  # digits: more are text in an archive, too


def _decoding(kind: Kind) -> Convert:
    def read(stored: Any) -> Any:
        try:
            return kind.decode(stored)
        except KindError:
            return stored

    return read


def _bytes(column: Column) -> Form:
    known = details(column)
    fixed = known.type == "binary"
    length = known.length

    def write(value: Any) -> bytes:
        if type(value) is not bytes:
            raise KindError("bytes", shown(value))
        if fixed and len(value) != length:
            raise KindError(f"{length} bytes, to which zeros would be added", f"{len(value)} bytes")
        if length is not None and len(value) > length:
            raise KindError(f"at most {length} bytes", f"{len(value)} bytes")
        return value

    def write_all(values: list[Any]) -> list[Any] | None:
        if set(map(type, values)) != {bytes}:
            return None
        lengths = set(map(len, values))
        if fixed and lengths != {length}:
            return None
        return values if length is None or max(lengths) <= length else None

    return Form(None, write, write_all=with_nulls(write_all))


def _uuid(kind: kinds.UUID, column: Column) -> Form | None:
    known = details(column)
    if known.type in ("binary", "varbinary") and known.length == _UUID_BYTES:
        return Form(
            lambda stored: _or_itself(stored, bytes), lambda value: _checked(kind, value).bytes
        )
    if known.type == "uuid":
        return Form(_decoding(kind), lambda value: str(_checked(kind, value)))
    if known.type not in TEXTS or (known.length or 0) < _HEX_LENGTH:
        return None
    if known.length is not None and known.length < _UUID_LENGTH:
        return Form(lambda stored: _or_itself(stored, str), lambda value: _checked(kind, value).hex)
    return _as_text(kind, column)


def _or_itself(stored: Any, type_: type[Any]) -> Any:
    """A UUID of 16 bytes, or of 32 digits in lower case."""
    if type(stored) is not type_:
        return stored
    if type_ is bytes:
        return uuid.UUID(bytes=stored) if len(stored) == _UUID_BYTES else stored
    try:
        value = uuid.UUID(hex=stored)
    except ValueError:
        return stored
    return value if value.hex == stored else stored


def _checked(kind: kinds.UUID, value: Any) -> uuid.UUID:
    if type(value) is not uuid.UUID:
        raise kind.refused(value)
    return value


# -- kinds of columns ----------------------------------------------------------------------------


def kind_of(column: Column) -> Kind:
    """The kind of what a column holds, for reflection."""
    known = details(column)
    is_bit = known.type == "bit"
    if known.is_json:
        return composite.Json()
    if column.declared.startswith("tinyint(1)") or (is_bit and known.precision == 1):
        return kinds.Bool()
    if known.type == "enum":
        return composite.Enum(known.members)
    if known.type == "decimal":
        return kinds.Decimal(known.scale or 0)
    if is_bit:
        return kinds.Int()
    return _KINDS.get(known.type) or composite.Native(column.declared)


_KINDS: Final[dict[str, Kind]] = {
    "float": kinds.Float(),
    "double": kinds.Float(),
    "date": kinds.Date(),
    "time": kinds.Timedelta(),
    "datetime": kinds.DateTime(),
    "timestamp": kinds.DateTimeTz(),
    "uuid": kinds.UUID(),
    "set": kinds.Str(),
    "year": kinds.Int(),
    **dict.fromkeys(INTEGERS, kinds.Int()),
    **dict.fromkeys(TEXTS, kinds.Str()),
    **dict.fromkeys((*BLOBS, *GEOMETRIES), kinds.Bytes()),
}
