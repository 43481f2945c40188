"""How JSON, and what is kept as JSON, stands in a column: as text, by value.

MariaDB keeps the text as it is given. MySQL keeps values, and of numbers with a fraction doubles.
"""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.adapters._binding import Convert, Form, Whole, with_nulls
from databackup.adapters._sql import (
    SqlValue,
    json_reader,
    json_text,
    parsed_json,
    read_json,
    stored_json,
    write_json,
)
from databackup.adapters.sqlalchemy.mysql.columns import details
from databackup.adapters.sqlalchemy.mysql.texts import text_column_writer, text_writer
from databackup.schema import JSON_NULL, KindError, composite
from databackup.schema.jsonvalues import is_plain
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.schema import Field

_INT64: Final = 2**63


def json_form_of(field: Field, column: Column) -> Form:
    """How values of JSON, lists, dicts and nested objects stand in a column."""
    kind = field.value_kind
    check = _writer(column)
    if isinstance(kind, composite.Json):
        form = _json(kind, check, nullable=field.nullable)
        wholes = (read_json, _column_writer(column))
        read_all, write_all = map(with_nulls, wholes) if field.nullable else wholes
        return attrs.evolve(form, read_all=read_all, write_all=write_all)
    return Form(json_reader(kind), lambda value: check(stored_json(kind.encode(value))))


def _writer(column: Column) -> Convert:
    """A function that writes what JSON has as text."""
    fits = text_writer(column)
    of_values = details(column).type == "json"

    def write(value: Any) -> str:
        if of_values:
            _require_doubles(value)
        return fits(json_text(value))

    return write


def _column_writer(column: Column) -> Whole:
    """As `_writer`, for the values of a column at once."""
    fits = text_column_writer(column)
    if fits is None or details(column).type == "json":
        return lambda _values: None

    def write(values: list[Any]) -> list[Any] | None:
        texts = write_json(values)
        return texts and fits(texts)

    return write


def _require_doubles(value: Any) -> None:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _require_doubles(item)
    is_long = type(value) is int and not -_INT64 <= value < 2 * _INT64
    if is_long or type(value) is decimal.Decimal:
        raise KindError("a JSON number that a double or 64 bits hold", shown(value))


def _json(kind: composite.Json, check: Convert, *, nullable: bool) -> Form:
    null = JSON_NULL if nullable else None

    def read(stored: Any) -> Any:
        if stored is None:
            return None if nullable else SqlValue(None)
        if type(stored) is not str:
            return stored
        value = parsed_json(kind, stored)
        return null if value is None else value

    def write(value: Any) -> Any:
        if value is None and nullable:
            return None
        value = None if value is null else value
        if not is_plain(value):
            kind.encode(value)
        return check(value)

    return Form(read, write, nulls=True)
