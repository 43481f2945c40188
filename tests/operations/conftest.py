"""A store of each sort, for tests by example."""

from collections.abc import Callable
from pathlib import Path

import pytest

from databackup import Schema
from databackup.repository import Repository
from tests.support import sqlite
from tests.support.club import Dataset, memory

Make = Callable[[Schema, Dataset], Repository]


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """A function that makes a store of each sort."""
    made = iter(range(100))

    def over_sqlite(schema: Schema, dataset: Dataset) -> Repository:
        return sqlite.repository(tmp_path / f"{next(made)}.db", schema, dict(dataset))

    def over_memory(schema: Schema, dataset: Dataset) -> Repository:
        return memory({name: list(rows) for name, rows in dataset.items()}, schema)

    return over_sqlite if request.param == "sqlite" else over_memory
