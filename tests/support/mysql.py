"""MariaDB and MySQL for tests: tables for a schema, whose types hold every kind without loss."""

import contextlib
import unicodedata
from collections.abc import Iterator
from typing import Any

import sqlalchemy
from sqlalchemy.pool import NullPool, QueuePool

from databackup.adapters.sqlalchemy import SQLAlchemyRepository, Table
from databackup.schema import Collection, Field, Schema, kinds
from databackup.schema.composite import Enum, Json
from databackup.testing.harness import fill
from tests.support import databases
from tests.support.sql import query, run

__all__ = ["create", "engine", "pooled", "query", "quoted", "repository", "run"]

_TYPES: dict[type[Any], str] = {
    kinds.Bool: "BOOLEAN",
    kinds.Int: "BIGINT",
    kinds.Float: "DOUBLE",
    kinds.Date: "DATE",
    kinds.Time: "TIME(6)",
    kinds.DateTime: "DATETIME(6)",
    kinds.DateTimeTz: "DATETIME(6)",
    kinds.Timedelta: "BIGINT",
    kinds.UUID: "BINARY(16)",
    Json: "JSON",
}


@contextlib.contextmanager
def engine() -> Iterator[sqlalchemy.Engine]:
    """An engine of a new, empty database."""
    with databases.mysql() as url:
        made = sqlalchemy.create_engine(url, poolclass=NullPool)
        yield made
        made.dispose()


@contextlib.contextmanager
def repository(schema: Schema, dataset: Any = None) -> Iterator[SQLAlchemyRepository]:
    """A repository over a new database with a table for each collection of a schema."""
    with engine() as made:
        found = SQLAlchemyRepository(made, schema, tables=create(made, schema))
        if dataset:
            fill(found, dataset)
        yield found


def pooled(engine: sqlalchemy.Engine, **options: Any) -> sqlalchemy.Engine:
    """An engine of the same database that keeps its one connection."""
    return sqlalchemy.create_engine(
        engine.url, poolclass=QueuePool, pool_size=1, max_overflow=0, **options
    )


def create(engine: sqlalchemy.Engine, schema: Schema) -> dict[str, Table]:
    """Make a table for each collection of a schema, and say which columns have other names."""
    tables = {c.name: Table(c.name, _columns(c)) for c in schema.collections}
    binary = "utf8mb4_nopad_bin" if _is_mariadb(engine) else "utf8mb4_0900_bin"
    run(
        engine,
        *(_table(schema, c, tables[c.name], binary) for c in schema.collections),
        *(key for c in schema.collections for key in _foreign_keys(schema, c, tables)),
    )
    return tables


def _is_mariadb(engine: sqlalchemy.Engine) -> bool:
    with engine.connect() as connection:
        return bool(connection.dialect.is_mariadb)  # type: ignore[attr-defined]


def _columns(collection: Collection) -> dict[str, str]:
    """Columns that cannot be named as their fields: to the server é is e in names of columns."""
    taken: set[str] = set()
    renamed = {}
    for place, name in enumerate(collection.field_names):
        folded = "".join(
            char for char in unicodedata.normalize("NFD", name.upper())
            if not unicodedata.combining(char)
        )  # fmt: skip
        if folded in taken:
            renamed[name] = f"field {place}"
        taken.add(folded)
    return renamed


def _indexed(schema: Schema, collection: Collection) -> set[str]:
    """The fields that an index needs: keys, and both ends of references."""
    ends = {name for reference in collection.references for name in reference.fields}
    return {*collection.key, *ends, *(n for names in _pointed(schema, collection) for n in names)}


def _pointed(schema: Schema, collection: Collection) -> list[tuple[str, ...]]:
    """The fields beside the key that references point at."""
    return sorted({
        reference.to
        for other in schema.collections
        for reference in other.references
        if reference.collection == collection.name
        and reference.to
        and reference.to != collection.key
    })  # fmt: skip


def _table(schema: Schema, collection: Collection, table: Table, binary: str) -> str:
    indexed = _indexed(schema, collection)
    parts = [
        f"{quoted(table.column(field.name))} {_type(field, field.name in indexed)}"
        f"{'' if field.nullable else ' NOT NULL'}{_counted(collection, field)}"
        for field in collection.fields
    ]
    if collection.key:
        parts.append(f"PRIMARY KEY {_names(table, collection.key)}")
    parts += [f"UNIQUE {_names(table, names)}" for names in _pointed(schema, collection)]
    return (
        f"CREATE TABLE {quoted(collection.name)} ({', '.join(parts)}) "
        f"ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE {binary}"
    )


def _counted(collection: Collection, field: Field) -> str:
    is_key = collection.key == (field.name,) and isinstance(field.value_kind, kinds.Int)
    return " AUTO_INCREMENT" if is_key else ""


def _type(field: Field, indexed: bool) -> str:
    kind = field.value_kind
    if isinstance(kind, kinds.Decimal) and kind.scale is not None:
        return f"DECIMAL(40, {kind.scale})"
    if isinstance(kind, Enum) and isinstance(kind.values[0], int):
        return "BIGINT"
    if isinstance(kind, kinds.Bytes):
        return "VARBINARY(255)" if indexed else "LONGBLOB"
    return _TYPES.get(type(kind), "VARCHAR(255)" if indexed else "LONGTEXT")


def _foreign_keys(
    schema: Schema, collection: Collection, tables: dict[str, Table]
) -> Iterator[str]:
    for reference in collection.references:
        target = schema[reference.collection]
        yield (
            f"ALTER TABLE {quoted(collection.name)} ADD FOREIGN KEY "
            f"{_names(tables[collection.name], reference.fields)} REFERENCES "
            f"{quoted(target.name)} {_names(tables[target.name], reference.to or target.key)}"
        )


def _names(table: Table, names: tuple[str, ...]) -> str:
    return f"({', '.join(quoted(table.column(name)) for name in names)})"


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return "`" + name.replace("`", "``") + "`"
