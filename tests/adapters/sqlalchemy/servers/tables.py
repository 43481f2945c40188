"""Two tables, what they hold and what is imported into them: the same on every server."""

import io
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy

from databackup import Schema, import_all, iter_export
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.schema import Collection
from tests.support import engines
from tests.support.archives import exported
from tests.support.club import memory

A, B = (Collection(name, key="id", fields={"id": int, "v": str | None}) for name in "ab")
SCHEMA = Schema(collections=[A, B])
MADE = [f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(20))" for name in "ab"]
SIZE = 1100  # records, of which several batches are made
OLD: dict[str, list[Any]] = {"a": [(1, "old")], "b": [(n, "old") for n in range(SIZE)]}
NEW: dict[str, list[Any]] = {"a": [(1, "new")], "b": [(n, "new") for n in range(SIZE)]}
ARCHIVE = exported(memory(NEW, SCHEMA))

Work = Callable[[SQLAlchemyRepository], object]


def fill(database: engines.Database) -> None:
    """Let the tables hold what is old."""
    with database.engine.begin() as connection:
        for name, records in OLD.items():
            connection.exec_driver_sql(f"DELETE FROM {name}")
            values = ", ".join(map(str, records))
            connection.exec_driver_sql(f"INSERT INTO {name} VALUES {values}")


def rows(database: engines.Database) -> dict[str, list[Any]]:
    """What the tables hold, through new connections."""
    return {name: database.query(f"SELECT id, v FROM {name} ORDER BY id") for name in OLD}


def on(bind: sqlalchemy.Engine | sqlalchemy.Connection) -> SQLAlchemyRepository:
    """A repository of the tables."""
    return SQLAlchemyRepository(bind, SCHEMA)


def import_(repository: SQLAlchemyRepository, **options: Any) -> None:
    """Import what is new."""
    import_all(repository, io.BytesIO(ARCHIVE), **options)


def export(repository: SQLAlchemyRepository) -> None:
    """Export all, to nowhere."""
    for _ in iter_export(repository):
        pass


BOTH = pytest.mark.parametrize("work", [import_, export])
