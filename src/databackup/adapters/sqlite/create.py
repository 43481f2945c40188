"""Tables made in a SQLite database, whose transactions undo that as well.

Types have names by which `reflect(types="declared")` knows the kinds again. What an affinity would
make a number of has a type of the affinity TEXT.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from databackup.adapters._newtables import NewColumn, NewTable, new_tables
from databackup.adapters.sqlite.columns import DIGITS
from databackup.adapters.sqlite.connection import primary_code, quoted, store_error
from databackup.errors import CannotCreate
from databackup.schema import Kind, composite, kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from databackup.adapters._sql import Table
    from databackup.adapters.sqlite.catalogue import Catalogue
    from databackup.repository import Needs
    from databackup.schema import Schema

_TYPES: Final[Mapping[type[Kind], str]] = {
    kinds.Bool: "BOOLEAN",
    kinds.Bytes: "BLOB",
    kinds.Date: "DATE",
    kinds.DateTime: "DATETIME",
    kinds.DateTimeTz: "TIMESTAMPTZ",
    kinds.Float: "REAL",
    kinds.Time: "TIME",
    kinds.TimeTz: "TIMETZ_TEXT",
    kinds.Timedelta: "DURATION_TEXT",
    kinds.UUID: "UUID",
    composite.Dict: "JSON_TEXT",
    composite.Json: "JSON_TEXT",
    composite.List: "JSON_TEXT",
    composite.Nested: "JSON_TEXT",
}


def make_tables(
    connection: sqlite3.Connection,
    catalogue: Catalogue,
    schema: Schema,
    tables: Mapping[str, Table],
    needs: Needs,
) -> tuple[str, ...]:
    """Make the tables that a catalogue lacks; the collections that got one.

    Raises `CannotCreate`, `StoreError`.
    """
    there = [table.name for table in tables.values() if catalogue.table(table.name)]
    made = new_tables(schema, tables, there, needs)
    for table in made:
        try:
            connection.execute(_statement(table))
        except (sqlite3.Error, ValueError) as error:
            raise _not_made(table, error) from error
    return tuple(table.collection for table in made)


def _not_made(table: NewTable, error: Exception) -> Exception:
    what = f"the table {table.name!r} cannot be made"
    if primary_code(error) in (None, sqlite3.SQLITE_ERROR):
        return CannotCreate.of(what, [str(error)])
    return store_error(error, what)


def _statement(table: NewTable) -> str:
    alias = _row_number(table)
    parts = [_column(table, column, is_alias=column is alias) for column in table.columns]
    if table.key and alias is None:
        parts.append(f"PRIMARY KEY {_names(table.key)}")
    parts += [f"UNIQUE {_names(names)}" for names in table.unique]
    parts += [
        f"FOREIGN KEY {_names(r.columns)} REFERENCES {quoted(r.parent)} {_names(r.to)}"
        for r in table.references
    ]
    return f"CREATE TABLE main.{quoted(table.name)} ({', '.join(parts)})"


def _row_number(table: NewTable) -> NewColumn | None:
    """The column that is the row's own number: a key of one integer, which holds nothing else."""
    if len(table.key) != 1:
        return None
    (key,) = (column for column in table.columns if column.name == table.key[0])
    is_plain = isinstance(key.kind, kinds.Int) and key.is_small and not key.extent.off_kind
    return key if is_plain and not key.nullable else None


def _column(table: NewTable, column: NewColumn, *, is_alias: bool) -> str:
    declared = f"{quoted(column.name)} {_type(column)}"
    if is_alias:
        return f"{declared} PRIMARY KEY{' AUTOINCREMENT' if table.remembers else ''}"
    if column.name in table.key and isinstance(column.kind, kinds.Int) and column.is_small:
        declared = f"{quoted(column.name)} INT"  # INTEGER would be the row's own number
    return declared if column.nullable else f"{declared} NOT NULL"


def _type(column: NewColumn) -> str:
    """The declared type of a column."""
    kind, extent = column.kind, column.extent
    if isinstance(kind, kinds.Int):
        return "INTEGER" if column.is_small else "DIGITS_TEXT"
    if isinstance(kind, kinds.Decimal):
        return _decimal(kind, column)
    if isinstance(kind, composite.Enum):
        return "INTEGER" if type(kind.values[0]) is int else "TEXT"
    if isinstance(kind, kinds.Float) and int in extent.off_kind:
        return "NUMERIC"  # where an integer stays one
    if isinstance(kind, kinds.Str) and not extent.off_kind.isdisjoint((int, float)):
        return ""
    return _TYPES.get(type(kind), "TEXT")


def _decimal(kind: kinds.Decimal, column: NewColumn) -> str:
    """A number where a double holds all digits of its one scale, and text otherwise."""
    scale = kind.scale
    if scale is None or not column.extent.has_scale(scale) or not 0 <= scale < DIGITS:
        return "DECIMAL_TEXT"
    return (
        f"NUMERIC({DIGITS}, {scale})" if column.extent.digits + scale <= DIGITS else "DECIMAL_TEXT"
    )


def _names(names: Iterable[str]) -> str:
    return f"({', '.join(map(quoted, names))})"
