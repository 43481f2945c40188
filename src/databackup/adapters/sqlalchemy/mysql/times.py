"""How dates, times and durations stand in columns, and the fractions of seconds that they drop."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Final

from databackup.adapters._binding import Form, of_types, with_nulls
from databackup.adapters.sqlalchemy.mysql.columns import details
from databackup.schema import KindError
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from databackup.adapters._binding import Whole
    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.schema import Kind

_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_DAY: Final = datetime.timedelta(days=1)
_LONGEST: Final = datetime.timedelta(hours=839) - _MICROSECOND
_EPOCH: Final = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - SQLAlchemy's Interval counts from it
_MIDNIGHT: Final = datetime.datetime(1, 1, 1)  # noqa: DTZ001 - only its time is used
_INT64: Final = 2**63
_FRACTION: Final = 6


def _require_fraction(column: Column) -> Callable[[int, Any], None]:
    """A function that refuses microseconds that a column drops; it takes the value to show, too."""
    places = details(column).fraction
    step = 10 ** (_FRACTION - places)

    def require(microseconds: int, value: Any) -> None:
        if microseconds % step:
            raise KindError(f"seconds with {places} decimal places", shown(value))

    return require


def _drops(column: Column) -> Callable[[list[Any]], bool]:
    """A function that tells whether a column drops microseconds of any of these values."""
    step = 10 ** (_FRACTION - details(column).fraction)
    return lambda values: step > 1 and any(value.microsecond % step for value in values)


def date_form(kind: Kind) -> Form:
    """Of dates; a zero date is read as its text."""

    def write(value: Any) -> datetime.date:
        if type(value) is not datetime.date:
            raise kind.refused(value)
        return value

    return Form(None, write, write_all=with_nulls(of_types(datetime.date)))


def datetime_form(kind: Kind, column: Column) -> Form:
    """Of datetimes, aware ones as UTC: the session's time zone is +00:00."""
    require = _require_fraction(column)
    aware = kind.name == "datetimetz"

    def write(value: Any) -> Any:
        if type(value) is not datetime.datetime or (value.utcoffset() is not None) is not aware:
            raise kind.refused(value)
        if aware:
            try:
                value = value.astimezone(datetime.UTC).replace(tzinfo=None)
            except OverflowError:
                raise kind.refused(value) from None
        require(value.microsecond, value)
        return value

    def read(stored: Any) -> Any:
        if type(stored) is not datetime.datetime:
            return stored
        return stored.replace(tzinfo=datetime.UTC)

    if aware:
        return Form(read, write, read_all=with_nulls(_in_utc), write_all=_writer_of_utc(column))
    drops = _drops(column)

    def write_all(values: list[Any]) -> list[Any] | None:
        are_naive = _are_all_in(values, None)
        return values if are_naive and not drops(values) else None

    return Form(None, write, write_all=with_nulls(write_all))


def _are_all_in(values: list[Any], zone: datetime.timezone | None) -> bool:
    are_moments = set(map(type, values)) == {datetime.datetime}
    return are_moments and {value.tzinfo for value in values} == {zone}


def _in_utc(stored: list[Any]) -> list[Any] | None:
    if _are_all_in(stored, datetime.UTC):  # as joined pages have them
        return stored
    if not _are_all_in(stored, None):
        return None
    return [value.replace(tzinfo=datetime.UTC) for value in stored]


def _writer_of_utc(column: Column) -> Whole:
    drops = _drops(column)

    def write_all(values: list[Any]) -> list[Any] | None:
        if not _are_all_in(values, datetime.UTC) or drops(values):
            return None
        return [value.replace(tzinfo=None) for value in values]

    return with_nulls(write_all)


def time_form(kind: Kind, column: Column) -> Form:
    """Of times of day; TIME holds longer and negative ones, which are read as durations."""
    require = _require_fraction(column)

    def write(value: Any) -> datetime.time:
        if type(value) is not datetime.time or value.tzinfo is not None:
            raise kind.refused(value)
        require(value.microsecond, value)
        return value

    def read(stored: Any) -> Any:
        if type(stored) is datetime.timedelta and datetime.timedelta() <= stored < _DAY:
            return (_MIDNIGHT + stored).time()
        return stored

    drops = _drops(column)

    def write_all(values: list[Any]) -> list[Any] | None:
        are_times = set(map(type, values)) == {datetime.time}
        return (
            values
            if are_times and not any(v.tzinfo for v in values) and not drops(values)
            else None
        )

    return Form(read, write, write_all=with_nulls(write_all))


def timedelta_form(kind: Kind, column: Column) -> Form:
    """Of durations as TIME, as a BIGINT of microseconds, or as a DATETIME since 1970."""
    type_ = details(column).type
    if type_ == "bigint":
        return _microseconds(kind)
    require = _require_fraction(column)
    if type_ == "datetime":
        return _since_epoch(kind, require)

    def write(value: Any) -> str:
        if type(value) is not datetime.timedelta:
            raise kind.refused(value)
        require(value.microseconds, value)
        if not -_LONGEST <= value <= _LONGEST:
            raise KindError("a duration of less than 839 hours", shown(value))
        return time_text(value)

    return Form(None, write)


def _microseconds(kind: Kind) -> Form:
    def write(value: Any) -> int:
        if type(value) is not datetime.timedelta:
            raise kind.refused(value)
        count = value // _MICROSECOND
        if not -_INT64 <= count < _INT64:
            raise KindError("a duration whose microseconds 64 bits hold", shown(value))
        return count

    def read(stored: Any) -> Any:
        return datetime.timedelta(microseconds=stored) if type(stored) is int else stored

    return Form(read, write)


def _since_epoch(kind: Kind, require: Callable[[int, Any], None]) -> Form:
    def write(value: Any) -> datetime.datetime:
        if type(value) is not datetime.timedelta:
            raise kind.refused(value)
        require(value.microseconds, value)
        try:
            return _EPOCH + value
        except OverflowError:
            raise KindError(
                "a duration that leads from 1970 to a year to 9999", shown(value)
            ) from None

    def read(stored: Any) -> Any:
        return stored - _EPOCH if type(stored) is datetime.datetime else stored

    return Form(read, write)


def time_text(value: datetime.timedelta) -> str:
    """A duration as TIME is written: drivers differ about negative ones."""
    seconds, microseconds = divmod(abs(value) // _MICROSECOND, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if value < datetime.timedelta() else ""
    return f"{sign}{hours:02}:{minutes:02}:{seconds:02}.{microseconds:06}"
