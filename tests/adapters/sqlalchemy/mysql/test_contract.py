import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.repository import Repository
from databackup.schema import Schema
from databackup.testing import AdapterContract
from tests.support import mysql


class TestEngine(AdapterContract):
    """An engine's database keeps all promises of the protocol."""

    def make(self, schema: Schema) -> AbstractContextManager[Repository]:
        """A new database."""
        return mysql.repository(schema)


class TestHostsConnection(AdapterContract):
    """The host's own connection, in no transaction, does, too."""

    examples = 5

    def make(self, schema: Schema) -> AbstractContextManager[Repository]:
        """A new database, and a connection to it."""
        return _on_connection(schema)


@contextlib.contextmanager
def _on_connection(schema: Schema) -> Iterator[Repository]:
    with mysql.engine() as engine:
        tables = mysql.create(engine, schema)
        with engine.connect() as connection:
            yield SQLAlchemyRepository(connection, schema, tables=tables)
