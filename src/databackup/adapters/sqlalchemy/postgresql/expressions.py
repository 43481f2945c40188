"""Columns as SQL: as they are read, compared and ordered, and the parameters for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from databackup.adapters.sqlalchemy.postgresql.catalogue import driver_sql, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.adapters.sqlalchemy.plan import Plan

# COPY writes these as a cast to text does.
_OF_THEMSELVES: Final = frozenset(
    {
        *("int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "bytea"),
        *("date", "time", "timestamp", "timestamptz", "uuid", "json", "jsonb"),
    }
)
_TEXT_LIKE: Final = ("text", "varchar", "bpchar", "name", "citext", "enum", "char")


def source(plan: Plan) -> str:
    """The table as rows are read from it, in a statement without parameters."""
    found: str = plan.info.details.source
    return found


def copied_column(column: Column) -> str:
    """A column of `t` as its text in COPY, where most types need no cast to it."""
    name = f"t.{quoted(column.name)}"
    return name if column.details.name in _OF_THEMSELVES else f"{name}::text"


def texts(columns: Sequence[Column]) -> str:
    """Columns of `t` as their texts."""
    return ", ".join(f"t.{quoted(column.name)}::text" for column in columns)


def is_text(column: Column) -> bool:
    """Whether texts that differ may be equal in a column."""
    return column.details.name in _TEXT_LIKE


def exact(column: Column, table: str = "t") -> str:
    """A column as it is ordered, and compares with equal ones: text to the byte."""
    name = f"{table}.{quoted(column.name)}"
    return f'{name}::text COLLATE "C"' if is_text(column) else name


def cast(column: Column) -> str:
    """A parameter, given as text."""
    return f"%s::text::{driver_sql(column.details.sql)}"


def matches(columns: Sequence[Column]) -> Iterator[str]:
    """The conditions on a key: one that an index serves, and one to the byte."""
    for column in columns:
        name = driver_sql(f"t.{quoted(column.name)}")
        yield f"{name} = {cast(column)}"
        if is_text(column):
            yield f'{name}::text = %s::text COLLATE "C"'


def parameters(columns: Sequence[Column], values: Sequence[Any]) -> list[Any]:
    """The parameters of `matches`."""
    return [
        value
        for column, value in zip(columns, values, strict=True)
        for _ in range(2 if is_text(column) else 1)
    ]


def key_parameters(plan: Plan, key: Sequence[Any]) -> list[Any]:
    """The parameters of `matches` for a key."""
    return parameters(plan.columns_of(plan.collection.key), key)
