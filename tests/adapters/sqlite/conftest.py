from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import sqlite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's database is to be."""
    return tmp_path / "app.db"


@pytest.fixture
def database(path: Path) -> Callable[..., Path]:
    """A function that makes the database with statements."""

    def make(*statements: str) -> Path:
        sqlite.run(path, *statements)
        return path

    return make
