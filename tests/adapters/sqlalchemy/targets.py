"""Empty databases of every engine, in which an import makes the tables."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

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
    tables: Callable[[], set[str]]


@contextlib.contextmanager
def _sqlite() -> Iterator[Target]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        path.touch()
        engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=NullPool)
        yield Target(
            lambda: SQLiteRepository.reflect(path, types="declared"),
            lambda schema: SQLiteRepository(path, schema),
            lambda: tables(engine),
        )


@contextlib.contextmanager
def _of_url(url: str) -> Iterator[Target]:
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    yield Target(
        lambda: SQLAlchemyRepository.reflect(engine),
        lambda schema: SQLAlchemyRepository(engine, schema),
        lambda: tables(engine),
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


def tables(engine: sqlalchemy.Engine) -> set[str]:
    """The names of all tables, through a new connection."""
    found: Any = sqlalchemy.inspect(engine).get_table_names()
    return set(found)


TARGETS: dict[str, Callable[[], AbstractContextManager[Target]]] = {
    "SQLite": _sqlite,
    "SQLAlchemy on SQLite": _sqlalchemy_on_sqlite,
    "PostgreSQL": lambda: _on_server(databases.postgresql),
    "PostgreSQL with ICU": lambda: _on_server(lambda: databases.postgresql(icu=True)),
    "MariaDB": lambda: _on_server(databases.mysql),
}
