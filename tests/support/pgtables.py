"""PostgreSQL tables for a schema, each set in a database schema of its own."""

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

import sqlalchemy
from sqlalchemy.pool import NullPool

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlalchemy.postgresql.catalogue import quoted
from databackup.schema import Field, Schema, composite, kinds
from databackup.schema.interval import IntervalKind

_TYPES: dict[type[Any], str] = {
    kinds.Bool: "boolean",
    kinds.Int: "numeric",
    kinds.Float: "float8",
    kinds.Decimal: "numeric",
    kinds.Bytes: "bytea",
    kinds.Date: "date",
    kinds.Time: "time",
    kinds.TimeTz: "timetz",
    kinds.DateTime: "timestamp",
    kinds.DateTimeTz: "timestamptz",
    kinds.Timedelta: "interval",
    IntervalKind: "interval",
    kinds.UUID: "uuid",
    composite.Json: "json",
    composite.List: "json",
    composite.Dict: "json",
    composite.Nested: "json",
}


@contextlib.contextmanager
def engine_of(url: str, *also: str) -> Iterator[sqlalchemy.Engine]:
    """An engine whose default schema is a new one, which is dropped in the end.

    Names are looked for in other schemas, too.
    """
    name = f"s_{secrets.token_hex(6)}"
    plain = sqlalchemy.create_engine(url, poolclass=NullPool)
    with plain.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    engine = sqlalchemy.create_engine(
        url,
        poolclass=NullPool,
        connect_args={"options": f"-csearch_path={','.join([name, *also])}"},
    )
    try:
        yield engine
    finally:
        with plain.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")


@contextlib.contextmanager
def repository(url: str, schema: Schema) -> Iterator[SQLAlchemyRepository]:
    """A repository over new, empty tables for a schema."""
    with engine_of(url) as engine:
        create(engine, schema)
        yield SQLAlchemyRepository(engine, schema)


def create(engine: sqlalchemy.Engine, schema: Schema) -> None:
    """An empty table for each collection of a schema, with keys and references."""
    with engine.begin() as connection:
        for statement in _statements(schema):
            connection.exec_driver_sql(statement.replace("%", "%%"))


def _statements(schema: Schema) -> Iterator[str]:
    for collection in schema.collections:
        parts = [_column(field) for field in collection.fields]
        if collection.key:
            parts.append(f"PRIMARY KEY {_names(collection.key)}")
        pointed_at = {
            reference.to
            for other in schema.collections
            for reference in other.references
            if reference.collection == collection.name and reference.to
        }
        parts += [f"UNIQUE {_names(to)}" for to in sorted(pointed_at) if to != collection.key]
        yield f"CREATE TABLE {quoted(collection.name)} ({', '.join(parts)})"
    for collection in schema.collections:
        for reference in collection.references:
            to = reference.to or schema[reference.collection].key
            yield (
                f"ALTER TABLE {quoted(collection.name)} ADD FOREIGN KEY {_names(reference.fields)} "
                f"REFERENCES {quoted(reference.collection)} {_names(to)}"
            )


def _column(field: Field) -> str:
    kind = field.value_kind
    declared = _TYPES.get(type(kind), "text")
    return f"{quoted(field.name)} {declared}{'' if field.nullable else ' NOT NULL'}"


def _names(names: tuple[str, ...]) -> str:
    return f"({', '.join(map(quoted, names))})"
