"""How JSON, and what is kept as JSON, stands in a column of SQLite: as text, by value."""

from __future__ import annotations

import decimal
import math
from typing import TYPE_CHECKING, Any

from databackup.adapters._binding import Form
from databackup.adapters._sql import SqlValue, json_text, parsed_json
from databackup.schema import JSON_NULL, KindError, RawText, composite
from databackup.schema.jsonvalues import is_plain
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from databackup.adapters.sqlite.catalogue import Column


def json_column(kind: composite.Json, *, nullable: bool, keep: bool, column: Column) -> Form:
    """How values of the json kind stand in a column: as text, which is read by value."""
    numeric = column.affinity in ("INTEGER", "NUMERIC", "REAL")
    null = JSON_NULL if nullable else None

    def read(stored: Any) -> Any:
        if type(stored) is str:
            value = parsed_json(kind, stored)
            return null if value is None else value
        if stored is None:
            return None if nullable else SqlValue(None)
        if type(stored) not in (int, float):
            return stored
        # The affinity has made a number of the text of one: of 1e400 one that no JSON has.
        return stored if numeric and (keep or math.isfinite(stored)) else SqlValue(stored)

    def write(value: Any) -> Any:
        if value is None and nullable:
            return None
        if type(value) is RawText or (keep and type(value) is bytes):
            return _unparsed(kind, value)
        if keep and type(value) is float and math.isinf(value):
            return value
        value = None if value is null else value
        if numeric and type(value) in (int, float, decimal.Decimal):
            kind.encode(value)
            return _number(value)
        return _json_text(kind, value)

    return Form(read, write, nulls=True, by_value=True)


def _json_text(kind: composite.Json, value: Any) -> str:
    """A JSON value as text. msgspec alone would make JSON of much that is none."""
    if not is_plain(value):
        kind.encode(value)
    return json_text(value)


def _unparsed(kind: composite.Json, value: Any) -> Any:
    """Text that is no JSON, or bytes, in a column for JSON."""
    if type(value) is bytes:
        return value
    try:
        text = value.data.decode()
    except UnicodeDecodeError:
        return value
    if parsed_json(kind, text) != value:
        raise KindError("text that is no JSON", shown(text))
    return text


def _number(value: Any) -> int | float:
    """A JSON number as a column of numeric affinity holds it."""
    if type(value) is decimal.Decimal or (type(value) is int and not -(2**63) <= value < 2**63):
        raise KindError("a number that SQLite holds exactly", shown(value))
    # -0.0 becomes 0, which is the same JSON number.
    return value or 0
