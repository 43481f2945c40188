"""Whole columns of many rows, which the server joins to one text each, and their values again.

A driver in Python takes as long for one value as the server for a row. Joined, hundreds of values
are one value to it. What is read is what the driver reads, or else None: where a text holds the
separator or the mark of NULL, where a date is none, and where the server has cut a text off.
"""

from __future__ import annotations

import datetime
import decimal
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import attrs
import msgspec

from databackup.adapters.sqlalchemy.mysql.catalogue import quoted
from databackup.adapters.sqlalchemy.mysql.columns import BLOBS, INTEGERS, TEXTS, details
from databackup.adapters.sqlalchemy.mysql.readcolumns import forms_of_stored
from databackup.adapters.sqlalchemy.mysql.statements import selected_column
from databackup.repository import Row
from databackup.schema import kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from databackup.adapters._binding import Whole
    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.schema import Collection, Field

    _Decode = Callable[[str], list[Any]]

_SEPARATOR: Final = "\x1f"
_NULL: Final = "\x1e"
_NO_BYTES: Final = "-"
_BYTES_OF_A_CHARACTER: Final = 4
_TIME: Final = re.compile(r"(-?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?", re.ASCII)
_NEGATIVE_ZERO: Final = re.compile(r"-0(?=[],])")
_WITH_TEXT: Final = (*TEXTS, "enum", "set", "uuid", "inet4", "inet6")
_integers: Final = msgspec.json.Decoder(list[int | None]).decode
_floats: Final = msgspec.json.Decoder(list[float | None]).decode
_dates: Final = msgspec.json.Decoder(list[datetime.date | None]).decode
_moments: Final = msgspec.json.Decoder(
    list[Annotated[datetime.datetime, msgspec.Meta(tz=False)] | None]
).decode
_moments_of_utc: Final = msgspec.json.Decoder(
    list[Annotated[datetime.datetime, msgspec.Meta(tz=True)] | None]
).decode


@attrs.frozen
class _Joined:
    """How one column is joined: what is selected of each row, what stands between, the values."""

    sql: str
    separator: str
    decode: _Decode
    nulls: str | None = None
    """What is selected to count the rows that are NULL, where the text may have their mark."""
    decode_forms: _Decode | None = None
    """As `decode`, where not the values but what they are made of is nearer to the forms."""


class JoinedColumns:
    """The columns of rows, each as one text that is shorter than `limit` characters."""

    def __init__(
        self, columns: Sequence[_Joined], limit: int, forms: Sequence[Whole] | None
    ) -> None:
        self._columns = columns
        self._limit = limit
        self._forms = forms
        joined = (f"group_concat({c.sql} SEPARATOR '{c.separator}')" for c in columns)
        nulls = (column.nulls for column in columns if column.nulls)
        self.selected = ", ".join(["count(*)", *joined, *nulls])
        """What is selected of rows; they have to be in order."""
        self.bytes = (limit + 1) * _BYTES_OF_A_CHARACTER
        """The length that the server may join to; only a text of `limit` may have been cut off."""

    def stored(self, found: Row, places: Sequence[int] | None = None) -> list[list[Any]] | None:
        """The values of columns, or of some, as the driver gives them, from what was selected.

        Moments of a field that is aware are in UTC. None where the rows are to be read one by one.
        """
        return self._decoded(found, [column.decode for column in self._columns], places)

    def forms(self, found: Row) -> list[list[Any]] | None:
        """The archive's form of each value, column by column; None where one is out of the usual."""
        if self._forms is None:
            return None
        decoders = [column.decode_forms or column.decode for column in self._columns]
        values = self._decoded(found, decoders)
        if values is None:
            return None
        columns = []
        for convert, column in zip(self._forms, values, strict=True):
            done = convert(column)
            if done is None:
                return None
            columns.append(done)
        return columns

    def _decoded(
        self, found: Row, decoders: Sequence[_Decode], places: Sequence[int] | None = None
    ) -> list[list[Any]] | None:
        count, texts = found[0], found[1 : len(self._columns) + 1]
        nulls = iter(found[len(self._columns) + 1 :])
        of_marks = [next(nulls) if column.nulls else None for column in self._columns]
        columns = []
        for place in range(len(texts)) if places is None else places:
            text = texts[place]
            if type(text) is not str or len(text) >= self._limit:
                return None
            try:
                values = decoders[place](text)
            except (msgspec.DecodeError, ValueError, ArithmeticError):
                return None
            marks = of_marks[place]
            if len(values) != count or (marks is not None and values.count(None) != marks):
                return None
            columns.append(values)
        return columns


def joined_columns(
    collection: Collection, columns: Sequence[Column], limit: int
) -> JoinedColumns | None:
    """How the columns of a collection are joined; None where one of them has a type that is not."""
    pairs = list(zip(collection.fields, columns, strict=True))
    found = [joined for pair in pairs if (joined := _joined(*pair))]
    if len(found) < len(pairs):
        return None
    forms = [convert for pair in pairs if (convert := forms_of_stored(*pair))]
    has_forms = collection.codec.columns.are_usual and len(forms) == len(pairs)
    return JoinedColumns(found, limit, forms if has_forms else None)


def _joined(field: Field, column: Column) -> _Joined | None:
    type_ = details(column).type
    name = f"t.{quoted(column.name)}"
    if type_ in (*INTEGERS, "year", "bit"):
        # The sum is without a ZEROFILL, and of bits a number.
        plain = type_ in INTEGERS and "zerofill" not in column.declared
        return _numbers(name if plain else f"{name} + 0", _integers, column)
    if type_ in ("float", "double"):
        return _numbers(selected_column(column), _decode_floats, column)
    if type_ == "decimal":
        exact = _marked(name, decimal.Decimal, column)
        return attrs.evolve(exact, decode_forms=_marked(name, str, column).decode)
    if type_ == "date":
        return _quoted(name, _dates, column)
    if type_ in ("datetime", "timestamp"):
        aware = isinstance(field.value_kind, kinds.DateTimeTz)
        decode = _moments_of_utc if aware else _moments
        return _quoted(name, decode, column, "Z" if aware else "")
    if type_ == "time":
        return _marked(name, _duration, column)
    if type_ in BLOBS:
        return _marked(f"hex({name})", bytes.fromhex, column)
    if type_ in _WITH_TEXT:
        return _text(name, column)
    return None


def _numbers(sql: str, decode: _Decode, column: Column) -> _Joined:
    name = f"t.{quoted(column.name)}"
    nullable = f"IF({name} IS NULL, 'null', {sql})" if column.nullable else sql
    return _Joined(nullable, ",", lambda text: decode(f"[{text}]"))


def _decode_floats(text: str) -> list[Any]:
    if _NEGATIVE_ZERO.search(text):  # msgspec takes it for an integer, which has no sign
        text = _NEGATIVE_ZERO.sub("-0.0", text)
    return _floats(text)


def _quoted(name: str, decode: _Decode, column: Column, zone: str = "") -> _Joined:
    if column.nullable:
        sql = f"IF({name} IS NULL, 'null', concat('\"', {name}, '{zone}\"'))"
        return _Joined(sql, ",", lambda text: decode(f"[{text}]"))
    return _Joined(name, f'{zone}","', lambda text: decode(f'["{text}{zone}"]'))


def _marked(sql: str, read: Callable[[str], Any], column: Column) -> _Joined:
    """Values of text without a comma, none of which is the mark of NULL."""
    if not column.nullable:
        return _Joined(sql, ",", lambda text: list(map(read, text.split(","))))

    def decode(text: str) -> list[Any]:
        return [None if part == _NO_BYTES else read(part) for part in text.split(",")]

    name = f"t.{quoted(column.name)}"
    return _Joined(f"IF({name} IS NULL, '{_NO_BYTES}', {sql})", ",", decode)


def _duration(text: str) -> datetime.timedelta:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    sign, hours, minutes, seconds, fraction = match.groups()
    value = datetime.timedelta(
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds),
        microseconds=int((fraction or "").ljust(6, "0")),
    )
    return -value if sign else value


def _text(name: str, column: Column) -> _Joined:
    """Text; where some has the separator, more values come out than there are rows."""
    charset = details(column).charset
    sql = name if charset in (None, "utf8mb4") else f"CONVERT({name} USING utf8mb4)"
    if not column.nullable:
        return _Joined(sql, _SEPARATOR, lambda text: text.split(_SEPARATOR))

    def decode(text: str) -> list[Any]:
        return [None if part == _NULL else part for part in text.split(_SEPARATOR)]

    marked = f"IF({name} IS NULL, '{_NULL}', {sql})"
    return _Joined(marked, _SEPARATOR, decode, nulls=f"count(*) - count({name})")
