"""Empty databases of every engine, in which an import makes the tables."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import attrs
import sqlalchemy
from sqlalchemy.pool import NullPool

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlite import SQLiteRepository
from databackup.schema import Schema
from tests.support import databases

Repository = SQLAlchemyRepository | SQLiteRepository


@attrs.frozen
class Target:
    """An empty database: as its catalogue describes it, and as a schema does."""

    reflected: Callable[[], Repository]
    of: Callable[[Schema], Repository]
    engine: sqlalchemy.Engine

    def tables(self) -> set[str]:
        """The names of all tables, through a new connection."""
        return set(sqlalchemy.inspect(self.engine).get_table_names())

    def type_of(self, table: str, column: str) -> str:
        """The type that a column is declared with."""
        if self.engine.dialect.name == "sqlite":  # SQLAlchemy knows no names but its own
            with self.engine.connect() as connection:
                rows = connection.exec_driver_sql(f"PRAGMA table_info({table})")
                return str(next(row[2] for row in rows if row[1] == column))
        found = sqlalchemy.inspect(self.engine).get_columns(table)
        type_ = next(c["type"] for c in found if c["name"] == column)
        return type_.compile(self.engine.dialect).partition(" COLLATE")[0].partition(" CHAR")[0]


@contextlib.contextmanager
def _sqlite() -> Iterator[Target]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        path.touch()
        engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=NullPool)
        yield Target(
            lambda: SQLiteRepository.reflect(path, types="declared"),
            lambda schema: SQLiteRepository(path, schema),
            engine,
        )


@contextlib.contextmanager
def _of_url(url: str) -> Iterator[Target]:
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    yield Target(
        lambda: SQLAlchemyRepository.reflect(engine),
        lambda schema: SQLAlchemyRepository(engine, schema),
        engine,
    )
    engine.dispose()


@contextlib.contextmanager
def _sqlalchemy_on_sqlite() -> Iterator[Target]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        path.touch()
        with _of_url(f"sqlite:///{path}") as target:
            yield target


@contextlib.contextmanager
def _on_server(database: Callable[[], AbstractContextManager[str]]) -> Iterator[Target]:
    with database() as url, _of_url(url) as target:
        yield target


TARGETS: dict[str, Callable[[], AbstractContextManager[Target]]] = {
    "SQLite": _sqlite,
    "SQLAlchemy on SQLite": _sqlalchemy_on_sqlite,
    "PostgreSQL": lambda: _on_server(databases.postgresql),
    "PostgreSQL with ICU": lambda: _on_server(lambda: databases.postgresql(icu=True)),
    "MariaDB": lambda: _on_server(databases.mysql),
}
