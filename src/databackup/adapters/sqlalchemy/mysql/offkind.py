"""What columns hold off their kind, and take back where a field keeps it.

Dates with zeros in them, numbers in a BOOLEAN, and JSON that no archive holds as such.
"""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.adapters._sql import parsed_json
from databackup.adapters.sqlalchemy.mysql.columns import INTEGERS, details, integer_range
from databackup.adapters.sqlalchemy.mysql.texts import text_writer
from databackup.schema import KindError, RawText, composite, kinds

if TYPE_CHECKING:
    from collections.abc import Callable

    from databackup.adapters._binding import Form
    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.schema import Kind
    from databackup.schema.model import OffKind

    Taken = Callable[[Any], Any]

_DATES: Final = {
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "datetime": re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?"),
    "timestamp": re.compile(r"0000-00-00 00:00:00(\.0{1,6})?"),
}


def off_kind_of(column: Column, kind: Kind) -> OffKind:
    """Whether a column may hold what is off its kind, and takes it back.

    The empty text that an ENUM holds for what it could not take is never taken back.
    """
    is_loose = details(column).type in _DATES or isinstance(kind, composite.Json | kinds.Bool)
    return "keep" if is_loose and details(column).type != "bit" else "refuse"


def keeping(form: Form, kind: Kind, column: Column) -> Form:
    """A form that also takes back what the column gives out off its kind."""
    taken, write = _taken(kind, column), form.write
    if taken is None or write is None:
        return form

    def kept(value: Any) -> Any:
        try:
            return write(value)
        except KindError:
            found = taken(value)
            if found is None:
                raise
            return found

    return attrs.evolve(form, write=kept, write_all=None)


def _taken(kind: Kind, column: Column) -> Taken | None:
    """A function that gives what is stored for a value off its kind; None where nothing is."""
    type_ = details(column).type
    if type_ in _DATES:
        return _date_taken(type_)
    if isinstance(kind, composite.Json):
        return _json_taken(kind, column)
    if isinstance(kind, kinds.Bool) and type_ in INTEGERS:
        return _number_taken(column)
    return None


def _date_taken(type_: str) -> Taken:
    pattern = _DATES[type_]

    def taken(value: Any) -> Any:
        if type(value) is not str or not pattern.fullmatch(value):
            return None
        try:
            datetime.datetime.fromisoformat(value)
        except ValueError:
            return value
        return None  # it would come back as a date

    return taken


def _json_taken(kind: composite.Json, column: Column) -> Taken:
    fits = text_writer(column)

    def taken(value: Any) -> Any:
        if type(value) is not RawText:
            return None
        try:
            text = value.data.decode()
        except UnicodeDecodeError:
            return None
        return fits(text) if parsed_json(kind, text) == value else None

    return taken


def _number_taken(column: Column) -> Taken:
    least, largest = integer_range(column) or (0, 0)

    def taken(value: Any) -> Any:
        return value if type(value) is int and least <= value <= largest else None

    return taken
