"""A store of each sort, opened for a schema and a dataset: what a test runs over by its name."""

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from databackup import Schema
from databackup.adapters.sqlite import SQLiteRepository
from databackup.repository import Repository
from databackup.testing.harness import fill
from tests.support import sqlite
from tests.support.club import Dataset, memory

Opened = AbstractContextManager[Repository]
Make = Callable[[Schema, Dataset], Opened]


def _over_memory(schema: Schema, dataset: Dataset) -> Opened:
    return contextlib.nullcontext(memory(dataset, schema))


@contextlib.contextmanager
def _over_sqlite(schema: Schema, dataset: Dataset) -> Iterator[Repository]:
    with tempfile.TemporaryDirectory() as folder:
        path = sqlite.create(Path(folder, "t.db"), schema)

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA synchronous = OFF")
            return connection

        repository = SQLiteRepository(connect, schema)
        fill(repository, dataset)
        yield repository


STORES: dict[str, Make] = {"memory": _over_memory, "sqlite": _over_sqlite}
