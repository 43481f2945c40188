"""Whole columns of many rows, which the server joins to one text each, and their values again.

A driver in Python takes as long for one value as the server for a row. Joined, hundreds of values
are one value to it. What is read is what the driver reads, or else None: where a text holds the
separator, where a date is none, and where the server has cut a text off.
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
_BYTES_OF_A_CHARACTER: Final = 4
_TIME: Final = re.compile(r"(-?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?", re.ASCII)
_NEGATIVE_ZERO: Final = re.compile(r"-0(?=[],])")
_integers: Final = msgspec.json.Decoder(list[int]).decode
_floats: Final = msgspec.json.Decoder(list[float]).decode
_dates: Final = msgspec.json.Decoder(list[datetime.date]).decode
_moments: Final = msgspec.json.Decoder(
    list[Annotated[datetime.datetime, msgspec.Meta(tz=False)]]
).decode
_moments_of_utc: Final = msgspec.json.Decoder(
    list[Annotated[datetime.datetime, msgspec.Meta(tz=True)]]
).decode


@attrs.frozen
class _Joined:
    """How one column is joined: what is selected of each row, what stands between, the values.

    NULL is left out by the server; where a column may have it, a second text says of each row
    whether it is. An expression that put another value in its place would change others: a double
    loses digits there.
    """

    sql: str
    separator: str
    decode: _Decode
    decode_forms: _Decode | None = None
    """As `decode`, where not the values but what they are made of is nearer to the forms."""
    nulls: str | None = None

    @property
    def selected(self) -> list[str]:
        texts = [f"group_concat({self.sql} SEPARATOR '{self.separator}')"]
        return texts + [f"group_concat({self.nulls} SEPARATOR '')"] * bool(self.nulls)


class JoinedColumns:
    """The columns of rows, each as one text that is shorter than `limit` characters."""

    def __init__(
        self, columns: Sequence[_Joined], limit: int, forms: Sequence[Whole] | None
    ) -> None:
        self._columns = columns
        self.limit = limit
        self._forms = forms
        selected = [text for column in columns for text in column.selected]
        self.selected = ", ".join(["count(*)", *selected])
        """What is selected of rows; they have to be in order."""
        self.bytes = (limit + 1) * _BYTES_OF_A_CHARACTER
        """The length that the server may join to; only a text of `limit` may have been cut off."""

    def stored(self, found: Row, places: Sequence[int] | None = None) -> list[list[Any]] | None:
        """The values of columns, or of some, as the driver gives them, from what was selected.

        Moments of a field that is aware are in UTC. None where the rows are to be read one by one.
        """
        return self._decoded(found, [column.decode for column in self._columns], places)

    def near_forms(self, found: Row) -> list[list[Any]] | None:
        """The values of columns, by which `forms` are made; None where there are none."""
        if self._forms is None:
            return None
        decoders = [column.decode_forms or column.decode for column in self._columns]
        return self._decoded(found, decoders)

    def forms(self, values: Sequence[list[Any]]) -> list[list[Any]] | None:
        """The archive's form of each value, by column; None where one is out of the usual."""
        columns = []
        for convert, column in zip(self._forms or (), values, strict=True):
            done = convert(column)
            if done is None:
                return None
            columns.append(done)
        return columns

    def _decoded(
        self, found: Row, decoders: Sequence[_Decode], places: Sequence[int] | None = None
    ) -> list[list[Any]] | None:
        count, *rest = found
        texts = iter(rest)
        pairs = [(next(texts), next(texts) if c.nulls else None) for c in self._columns]
        columns = []
        for place in range(len(pairs)) if places is None else places:
            values = self._values(decoders[place], *pairs[place], count)
            if values is None:
                return None
            columns.append(values)
        return columns

    def _values(
        self, decode: _Decode, text: str | None, nulls: str | None, count: int
    ) -> list[Any] | None:
        """The values of a column; None unless there are as many as rows without NULL."""
        given = count if nulls is None else nulls.count("0")
        if nulls is not None and (len(nulls) != count or count >= self.limit):
            return None
        values = self._of_text(decode, text) if given or text else []
        if values is None or len(values) != given or not count:
            return None
        if nulls is None or given == count:
            return values
        rest = iter(values)
        return [next(rest) if null == "0" else None for null in nulls]

    def _of_text(self, decode: _Decode, text: str | None) -> list[Any] | None:
        if type(text) is not str or len(text) >= self.limit:
            return None
        try:
            return decode(text)
        except (msgspec.DecodeError, ValueError, ArithmeticError):
            return None


def joined_columns(
    collection: Collection, columns: Sequence[Column], limit: int
) -> JoinedColumns | None:
    """How a collection's columns are joined; None where one of them has a type that is not."""
    pairs = list(zip(collection.fields, columns, strict=True))
    found = [_with_nulls(*pair) for pair in pairs if details(pair[1]).type in _JOINS]
    if len(found) < len(pairs):
        return None
    forms = [convert for pair in pairs if (convert := forms_of_stored(*pair))]
    has_forms = collection.codec.columns.are_usual and len(forms) == len(pairs)
    return JoinedColumns(found, limit, forms if has_forms else None)


def _with_nulls(field: Field, column: Column) -> _Joined:
    joined = _JOINS[details(column).type](field, column)
    return attrs.evolve(joined, nulls=f"{_name(column)} IS NULL") if column.nullable else joined


def _name(column: Column) -> str:
    return f"t.{quoted(column.name)}"


def _integer(_field: Field, column: Column) -> _Joined:
    # A sum is without ZEROFILL, and of bits a number.
    is_plain = details(column).type in INTEGERS and "zerofill" not in column.declared
    return _numbers(_name(column) if is_plain else f"{_name(column)} + 0", _integers)


def _float(_field: Field, column: Column) -> _Joined:
    return _numbers(selected_column(column), _decode_floats)


def _numbers(sql: str, decode: _Decode) -> _Joined:
    return _Joined(sql, ",", lambda text: decode(f"[{text}]"))


def _decode_floats(text: str) -> list[Any]:
    # msgspec takes -0 for an integer, which has no sign.
    return _floats(_NEGATIVE_ZERO.sub("-0.0", text) if "-0" in text else text)


def _decimal(_field: Field, column: Column) -> _Joined:
    values = _split(_name(column), decimal.Decimal)
    return attrs.evolve(values, decode_forms=lambda text: text.split(","))


def _date(_field: Field, column: Column) -> _Joined:
    return _quoted(_dates, column)


def _moment(field: Field, column: Column) -> _Joined:
    if isinstance(field.value_kind, kinds.DateTimeTz):
        return _quoted(_moments_of_utc, column, "Z")
    return _quoted(_moments, column)


def _quoted(decode: _Decode, column: Column, zone: str = "") -> _Joined:
    return _Joined(_name(column), f'{zone}","', lambda text: decode(f'["{text}{zone}"]'))


def _time(_field: Field, column: Column) -> _Joined:
    return _split(_name(column), _duration)


def _bytes(_field: Field, column: Column) -> _Joined:
    return _split(f"hex({_name(column)})", bytes.fromhex)


def _split(sql: str, read: Callable[[str], Any]) -> _Joined:
    return _Joined(sql, ",", lambda text: list(map(read, text.split(","))))


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


def _text(_field: Field, column: Column) -> _Joined:
    """Text; where some has the separator, more values come out than there are rows."""
    known, sql = details(column), _name(column)
    if known.charset not in (None, "utf8mb4"):
        sql = f"CONVERT({sql} USING utf8mb4)"
    return _Joined(sql, _SEPARATOR, lambda text: text.split(_SEPARATOR))


_JOINS: Final[dict[str, Callable[[Field, Column], _Joined]]] = {
    **dict.fromkeys((*INTEGERS, "year", "bit"), _integer),
    **dict.fromkeys(("float", "double"), _float),
    "decimal": _decimal,
    "date": _date,
    **dict.fromkeys(("datetime", "timestamp"), _moment),
    "time": _time,
    **dict.fromkeys(BLOBS, _bytes),
    **dict.fromkeys((*TEXTS, "enum", "set", "uuid", "inet4", "inet6"), _text),
}
