"""Between rows and what SQLite is given: functions compiled once per collection, run per batch.

Where a column holds a kind's values as they are, nothing is done to them. What SQLite would change
in silence is refused: NaN, −0.0, text that an affinity makes a number of, numbers that become text.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from databackup.adapters._binding import Form, reading, variables, writing
from databackup.adapters.sqlite.forms import form_of
from databackup.errors import RecordsRefused
from databackup.repository import Row
from databackup.schema import KindError, RawText, kinds
from databackup.schema.functions import compile_function
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from databackup.adapters.sqlite.catalogue import Column
    from databackup.adapters.sqlite.forms import Datetimes
    from databackup.schema import Field

RawRow = tuple[Row, frozenset[int]]

# What SQLite makes a number of. Possessive: nothing is tried twice.
_NUMBER: Final = re.compile(
    r"[ \t-\r]*+[+-]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+[ \t-\r]*+"
)
_DOUBLE: Final = 2**53
_LARGEST: Final = 2**63
_IS_NEGATIVE_ZERO: Final = "not {v} and copysign(1.0, {v}) < 0.0"


class Binder:
    """The compiled functions of some fields of a collection and their columns."""

    def __init__(
        self, table: str, fields: Sequence[Field], columns: Sequence[Column], datetimes: Datetimes
    ) -> None:
        self._table = table
        self._names = [field.name for field in fields]
        self._columns = columns
        self._forms = [form_of(*pair, datetimes) for pair in zip(fields, columns, strict=True)]
        self._read = reading(self._forms)
        self._write = writing(self._forms)
        self._suspects = _compile_suspects(fields, columns, self._forms)

    def load(self, rows: list[Row]) -> list[Row]:
        """Rows with values of their kinds, from rows as SQLite holds them."""
        return self._read(rows) if self._read else rows

    def store(self, rows: list[Row]) -> tuple[list[Row], list[RawRow]]:
        """Rows as SQLite is given them.

        Rows with text that is no UTF-8 come apart, each with the places of such text, which there
        stands as bytes. Raises `RecordsRefused` for what SQLite would not hold as it is.
        """
        if self._write:
            rows = self._converted(self._write, rows)
        suspects = self._suspects(rows)
        if not suspects:
            return rows, []
        raw = [(self._checked(row), places) for row in suspects if (places := _raw_places(row))]
        for row in suspects:
            self._checked(row)
        return [row for row in rows if not _raw_places(row)] if raw else rows, raw

    def _converted(self, write: Callable[[list[Row]], list[Row]], rows: list[Row]) -> list[Row]:
        try:
            return write(rows)
        except KindError:
            for row in rows:
                self._explain(row)
            raise

    def _explain(self, row: Row) -> None:
        for place, (form, value) in enumerate(zip(self._forms, row, strict=True)):
            if form.write and (form.nulls or value is not None):
                try:
                    form.write(value)
                except KindError as error:
                    raise self._refusal(place, str(error)) from error

    def _checked(self, row: Row) -> Row:
        for place, (form, value) in enumerate(zip(self._forms, row, strict=True)):
            reason = _change(value, self._columns[place], form)
            if reason:
                raise self._refusal(place, f"{reason}: {shown(value)}")
        return tuple(value.data if type(value) is RawText else value for value in row)

    def _refusal(self, place: int, reason: str) -> RecordsRefused:
        column = self._columns[place].name
        return RecordsRefused(f"{self._table}.{column}: {reason}", self._names[place])

    def require_64_bits(self, rows: list[Row]) -> None:
        """Raise `RecordsRefused` for the first integer that SQLite has no room for."""
        for row in rows:
            for place, value in enumerate(row):
                if type(value) is int and not -_LARGEST <= value < _LARGEST:
                    raise self._refusal(place, f"an integer beyond 64 bits: {shown(value)}")


def _raw_places(row: Row) -> frozenset[int]:
    return frozenset(place for place, value in enumerate(row) if type(value) is RawText)


def _change(value: Any, column: Column, form: Form) -> str | None:
    """What SQLite would make of a value that it does not hold as it is."""
    numeric = column.affinity in ("INTEGER", "NUMERIC", "REAL")
    kind = type(value)
    if kind is str or kind is RawText:
        text = value if kind is str else value.data.decode("latin-1")
        return "a number would be made of the text" if numeric and _NUMBER.fullmatch(text) else None
    if kind in (int, float) and column.affinity == "TEXT":
        return "text would be made of the number"
    if kind is int:
        exact = form.by_value and int(float(value)) == value
        return "a float would be made of it" if column.affinity == "REAL" and not exact else None
    if kind is float:
        return _change_of_float(value, column, form, numeric=numeric)
    return None if value is None or kind is bytes else f"SQLite has no type {kind.__name__}"


def _change_of_float(value: float, column: Column, form: Form, *, numeric: bool) -> str | None:
    if math.isnan(value):
        return "NULL would be made of NaN"
    if numeric and not value and math.copysign(1.0, value) < 0.0:
        return "the sign of -0.0 would be lost"
    becomes_int = value.is_integer() and abs(value) < _LARGEST and column.affinity != "REAL"
    return (
        "an integer would be made of it" if numeric and becomes_int and not form.by_value else None
    )


# -- compiling ---------------------------------------------------------------------------------


def _compile_suspects(
    fields: Sequence[Field], columns: Sequence[Column], forms: list[Form]
) -> Callable[[list[Row]], list[Row]]:
    """A function that finds the rows with a value that SQLite might not hold as it is."""
    sound = " and ".join(
        "(" + _sound(field, column, form).format(v=f"v{place}") + ")"
        for place, (field, column, form) in enumerate(zip(fields, columns, forms, strict=True))
    )
    names = variables(len(forms))
    return compile_function(
        "def convert(rows):\n"
        f"    return [row for row in rows for {names} in (row,) if not ({sound})]\n",
        {"copysign": math.copysign, "is_number": _NUMBER.fullmatch},
    )


_FIRST: Final = {kinds.Str: "str", kinds.Float: "float", kinds.Bytes: "bytes"}


def _sound(field: Field, column: Column, form: Form) -> str:
    """An expression over `{v}`, true only where SQLite holds a value as it is."""
    sound = {"int": "type({v}) is int"}
    if column.affinity == "TEXT":
        sound = {"str": "type({v}) is str"}
    elif column.affinity == "BLOB":
        sound |= {"str": "type({v}) is str", "float": "type({v}) is float and {v} == {v}"}
    else:
        has_fraction = not form.by_value and column.affinity != "REAL"
        exact = "{v} % 1.0" if has_fraction else f"not ({_IS_NEGATIVE_ZERO})"
        sound["float"] = f"type({{v}}) is float and {{v}} == {{v}} and {exact}"
        # Most text in such a column is a time, which is seen at once.
        sound["str"] = "type({v}) is str and (':' in {v} or not is_number({v}))"
    if column.affinity == "REAL":
        sound["int"] = f"type({{v}}) is int and -{_DOUBLE} <= {{v}} <= {_DOUBLE}"
        if not form.by_value:
            del sound["int"]
    sound |= {"none": "{v} is None", "bytes": "type({v}) is bytes"}
    first = _FIRST.get(type(field.value_kind), "int")
    return " or ".join(sound[name] for name in sorted(sound, key=lambda name: name != first))
