from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from tests.adapters.sqlalchemy.models import Base


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's database is."""
    return tmp_path / "app.db"


@pytest.fixture
def engine(path: Path) -> Iterator[sqlalchemy.Engine]:
    """An engine of a file with the tables of the models."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()
