import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import sqlalchemy
from sqlalchemy.pool import StaticPool

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.repository import Repository
from databackup.schema import Schema
from databackup.testing import AdapterContract
from tests.support import sqlite


class TestPool(AdapterContract):
    """A file and an engine with a pool of connections."""

    def make(self, schema: Schema) -> AbstractContextManager[Repository]:
        """An empty database in a new file."""
        return _in_file(schema)


class TestMemory(AdapterContract):
    """A database in memory, which is the one connection of its engine."""

    def make(self, schema: Schema) -> AbstractContextManager[Repository]:
        """An empty database in memory."""
        return _in_memory(schema)


class TestHostsConnection(AdapterContract):
    """A connection that the host lends outside a transaction."""

    def make(self, schema: Schema) -> AbstractContextManager[Repository]:
        """An empty database in a new file."""
        return _on_connection(schema, begun=False)


class TestHostsTransaction(AdapterContract):
    """A connection that the host lends within its own transaction."""

    def make(self, schema: Schema) -> AbstractContextManager[Repository]:
        """An empty database in a new file."""
        return _on_connection(schema, begun=True)


@contextlib.contextmanager
def _engine(schema: Schema) -> Iterator[sqlalchemy.Engine]:
    with tempfile.TemporaryDirectory() as folder:
        path = sqlite.create(Path(folder) / "app.db", schema)
        engine = sqlalchemy.create_engine(f"sqlite:///{path}")
        try:
            yield engine
        finally:
            engine.dispose()


@contextlib.contextmanager
def _in_file(schema: Schema) -> Iterator[Repository]:
    with _engine(schema) as engine:
        yield SQLAlchemyRepository(engine, schema)


@contextlib.contextmanager
def _in_memory(schema: Schema) -> Iterator[Repository]:
    engine = sqlalchemy.create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    with tempfile.TemporaryDirectory() as folder:
        path = sqlite.create(Path(folder) / "app.db", schema)
        with (
            engine.connect() as connection,
            contextlib.closing(sqlite3.connect(path)) as made,
        ):
            driver_connection = connection.connection.driver_connection
            assert isinstance(driver_connection, sqlite3.Connection)
            made.backup(driver_connection)
    try:
        yield SQLAlchemyRepository(engine, schema)
    finally:
        engine.dispose()


@contextlib.contextmanager
def _on_connection(schema: Schema, *, begun: bool) -> Iterator[Repository]:
    with _engine(schema) as engine, engine.connect() as connection:
        if begun:
            connection.execute(sqlalchemy.text("SELECT 1"))
        assert connection.in_transaction() is begun
        yield SQLAlchemyRepository(connection, schema)
