import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from databackup.adapters.sqlite import SQLiteRepository
from databackup.repository import Repository
from databackup.schema import Schema
from databackup.testing import AdapterContract
from tests.support import sqlite


class TestFile(AdapterContract):
    """A file keeps all promises of the protocol."""

    def make(self, schema: Schema) -> AbstractContextManager[Repository]:
        """An empty database in a new file."""
        return _in_file(schema)


class TestHostsConnection(AdapterContract):
    """The host's own connection to a database in memory does, too."""

    def make(self, schema: Schema) -> AbstractContextManager[Repository]:
        """An empty database in memory."""
        return _in_memory(schema)


@contextlib.contextmanager
def _in_file(schema: Schema) -> Iterator[Repository]:
    with tempfile.TemporaryDirectory() as folder:
        yield sqlite.repository(Path(folder) / "app.db", schema)


@contextlib.contextmanager
def _in_memory(schema: Schema) -> Iterator[Repository]:
    with tempfile.TemporaryDirectory() as folder:
        path = sqlite.create(Path(folder) / "app.db", schema)
        with (
            contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection,
            contextlib.closing(sqlite3.connect(path)) as made,
        ):
            made.backup(connection)
            yield SQLiteRepository(connection, schema)
