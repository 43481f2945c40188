"""SQLite files for tests: tables for a schema, and dumps that compare exactly."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from databackup.adapters.sqlite import SQLiteRepository
from databackup.schema import Collection, Field, Schema, kinds
from databackup.schema.composite import Enum
from databackup.testing.harness import fill

_TYPES: dict[type[Any], str] = {
    kinds.Bool: "BOOLEAN",
    kinds.Int: "INTEGER",
    kinds.Float: "REAL",
    kinds.Bytes: "BLOB",
}


def create(path: Path, schema: Schema, *, enforced: bool = True) -> Path:
    """A new SQLite file with an empty table for each collection of a schema.

    `enforced` declares the references as foreign keys, too.
    """
    run(path, *(_table(schema, collection, enforced) for collection in schema.collections))
    return path


def repository(path: Path, schema: Schema, dataset: Any = None) -> SQLiteRepository:
    """A repository over a new SQLite file that holds a dataset."""
    made = SQLiteRepository(create(path, schema), schema)
    if dataset:
        fill(made, dataset)
    return made


def _table(schema: Schema, collection: Collection, enforced: bool) -> str:
    parts = [_column(field) for field in collection.fields]
    if collection.key:
        parts.append(f"PRIMARY KEY {_names(collection.key)}")
    pointed_at = {
        reference.to
        for other in schema.collections
        for reference in other.references
        if reference.collection == collection.name and reference.to
    }
    parts += [f"UNIQUE {_names(names)}" for names in sorted(pointed_at) if names != collection.key]
    for reference in collection.references if enforced else ():
        to = reference.to or schema[reference.collection].key
        parts.append(
            f"FOREIGN KEY {_names(reference.fields)} "
            f"REFERENCES {quoted(reference.collection)} {_names(to)}"
        )
    return f"CREATE TABLE {quoted(collection.name)} ({', '.join(parts)})"


def _column(field: Field) -> str:
    kind = field.value_kind
    declared = _TYPES.get(type(kind), "TEXT")
    if isinstance(kind, Enum) and isinstance(kind.values[0], int):
        declared = "INTEGER"
    return f"{quoted(field.name)} {declared}{'' if field.nullable else ' NOT NULL'}"


def _names(names: tuple[str, ...]) -> str:
    return f"({', '.join(map(quoted, names))})"


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def run(path: Path, *statements: str) -> None:
    """Run statements on a file in one transaction of their own, and end the connection."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for statement in statements:
            connection.execute(statement)
        connection.execute("COMMIT")


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query through a new connection."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def dump(path: Path) -> dict[str, list[str]]:
    """All that a file holds, each value with its type, through a new connection."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        assert connection.execute("PRAGMA integrity_check").fetchall() == [(b"ok",)]
        made = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
        found = {"sqlite_master": sorted(map(repr, made))}
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            rows = connection.execute(f"SELECT * FROM {quoted(name.decode())}")
            found[name.decode()] = sorted(map(repr, rows))
        return found
