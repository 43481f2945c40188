"""How dates, times and spans of time stand in PostgreSQL: as ISO 8601 text, intervals in parts."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any, Final

from databackup.schema import Interval, KindError, kinds
from databackup.schema.interval import IntervalKind
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from databackup.adapters._binding import Convert
    from databackup.adapters.sqlalchemy.postgresql.catalogue import Type
    from databackup.schema import Kind

Pair = tuple["Convert | None", "Convert"]


def reader(read: Convert) -> Convert:
    """A reading function that passes on what it cannot read."""

    def guarded(stored: Any) -> Any:
        try:
            return read(stored)
        except (ValueError, ArithmeticError):
            return stored

    return guarded


_INTERVAL: Final = re.compile(
    r"P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?"
    r"(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d{1,6}))?S)?)?"
)
_MICROSECONDS: Final = 1_000_000
_FULL: Final = 6
_NO_DIGITS: Final = 0xFFFF


def _interval(text: str) -> Interval:
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise ValueError(text)
    years, months, days, hours, minutes, sign, seconds, fraction = match.groups()
    micros = int(seconds or 0) * _MICROSECONDS + int((fraction or "0").ljust(_FULL, "0"))
    micros = -micros if sign else micros
    micros += (int(hours or 0) * 3600 + int(minutes or 0) * 60) * _MICROSECONDS
    return Interval(int(years or 0) * 12 + int(months or 0), int(days or 0), micros)


def _interval_text(value: Interval) -> str:
    sign = "-" if value.microseconds < 0 else ""
    seconds, fraction = divmod(abs(value.microseconds), _MICROSECONDS)
    return f"{value.months} mon {value.days} day {sign}{seconds}.{fraction:06} sec"


def _timedelta(text: str) -> datetime.timedelta:
    value = _interval(text)
    if value.months:
        raise ValueError(text)
    return datetime.timedelta(days=value.days, microseconds=value.microseconds)


def _timedelta_text(value: datetime.timedelta) -> str:
    sign = -1 if value < datetime.timedelta() else 1
    size = abs(value)
    micros = size.seconds * _MICROSECONDS + size.microseconds
    return _interval_text(Interval(0, sign * size.days, sign * micros))


def digits_of(type_: Type) -> int:
    """How many digits of a second a type keeps."""
    digits = type_.modifier
    if type_.name == "interval":
        digits &= _NO_DIGITS  # the upper half says which parts it has
    return _FULL if digits < 0 or digits == _NO_DIGITS else digits


def _require_precision(microseconds: int, type_: Type, value: Any) -> None:
    digits = digits_of(type_)
    if digits < _FULL and microseconds % 10 ** (_FULL - digits):
        raise KindError(f"a time with {digits} digits of a second", shown(value))


def _moments(kind: Kind, type_: Type, read: Convert) -> Pair:
    """The functions of a kind with microseconds whose text is ISO 8601."""

    def write(value: Any) -> str:
        text: str = kind.encode(value)
        _require_precision(value.microsecond, type_, value)
        return text

    return reader(read), write


def _naive(text: str) -> datetime.datetime:
    value = datetime.datetime.fromisoformat(text)
    if value.tzinfo is not None:
        raise ValueError(text)
    return value


def _aware(text: str) -> datetime.datetime:
    if not text.endswith("+00"):
        raise ValueError(text)
    return datetime.datetime.fromisoformat(text[:-3]).replace(tzinfo=datetime.UTC)


def _time(text: str) -> datetime.time:
    if text.startswith("24"):
        raise ValueError(text)  # newer Pythons read it as 00:00
    return datetime.time.fromisoformat(text)


def _durations(kind: Kind, type_: Type, read: Convert, text: Convert) -> Pair:
    def write(value: Any) -> str:
        kind.encode(value)
        _require_precision(value.microseconds, type_, value)
        found: str = text(value)
        return found

    return reader(read), write


def _dates(kind: Kind, _type: Type) -> Pair:
    return reader(datetime.date.fromisoformat), kind.encode


def _times(kind: Kind, type_: Type) -> Pair:
    return _moments(kind, type_, _time)


TIMES: Final[dict[type[Kind], Callable[[Any, Type], Pair]]] = {
    kinds.Date: _dates,
    kinds.Time: _times,
    kinds.TimeTz: _times,
    kinds.DateTime: lambda kind, type_: _moments(kind, type_, _naive),
    kinds.DateTimeTz: lambda kind, type_: _moments(kind, type_, _aware),
    kinds.Timedelta: lambda kind, type_: _durations(kind, type_, _timedelta, _timedelta_text),
    IntervalKind: lambda kind, type_: _durations(kind, type_, _interval, _interval_text),
}
"""The functions that read and write a value of a kind in a type, by kind."""
