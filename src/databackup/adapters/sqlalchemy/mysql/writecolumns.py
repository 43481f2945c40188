"""Whole columns of the archive's forms as SQL, without a value made of each.

A function gives None where something in its column is out of the usual, or is not held as it is:
then the rows are converted value by value, and what is wrong with one is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from databackup.adapters._binding import with_nulls
from databackup.adapters._sql import json_texts
from databackup.adapters.sqlalchemy.mysql.columns import details
from databackup.adapters.sqlalchemy.mysql.literals import column_literals
from databackup.adapters.sqlalchemy.mysql.numbers import held_decimals
from databackup.adapters.sqlalchemy.mysql.texts import text_column_writer
from databackup.schema import composite, kinds

if TYPE_CHECKING:
    from databackup.adapters._binding import Form, Whole
    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.schema import Field

WriteColumn = Callable[[Sequence[Any]], Sequence[str] | None]
# Kinds whose values msgspec reads and writes as their forms.
_VALUES = (
    kinds.Bool
    | kinds.Bytes
    | kinds.Date
    | kinds.DateTime
    | kinds.DateTimeTz
    | kinds.Float
    | kinds.Int
    | kinds.Str
    | kinds.Time
    | kinds.UUID
    | composite.Enum
    | composite.Native
)


def column_writer(field: Field, column: Column, form: Form) -> WriteColumn | None:
    """The function that writes a field's column at once, None where there is none."""
    if isinstance(field.value_kind, kinds.Decimal):
        return _decimals(field, column) if details(column).type == "decimal" else None
    if isinstance(field.value_kind, composite.Json):
        return _json(field, column)
    if not isinstance(field.value_kind, _VALUES) or form.write_all is None:
        return None
    return _values(form.write_all)


def _values(store: Whole) -> WriteColumn:
    def write(values: Sequence[Any]) -> Sequence[str] | None:
        stored = store(list(values))
        return None if stored is None else column_literals(stored)

    return write


def _json(field: Field, column: Column) -> WriteColumn | None:
    """Of JSON, whose forms are plain: none has to be looked at by itself."""
    fits = text_column_writer(column)
    if fits is None or details(column).type == "json":
        return None

    def store(values: list[Any]) -> list[Any] | None:
        are_structures = {list, dict}.issuperset(map(type, values))
        return fits(json_texts(values)) if are_structures else None

    return _values(with_nulls(store) if field.nullable else store)


def _decimals(field: Field, column: Column) -> WriteColumn | None:
    if field.nullable and not column.nullable:
        return None
    are_held = held_decimals(column)

    def write(texts: Sequence[Any]) -> Sequence[str] | None:
        if None not in texts:
            return texts if are_held("\n".join(texts)) else None
        given = [text for text in texts if text is not None]
        if given and not are_held("\n".join(given)):
            return None
        return ["NULL" if text is None else text for text in texts]

    return write
