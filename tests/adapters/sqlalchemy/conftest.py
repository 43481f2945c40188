from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from tests.adapters.sqlalchemy.models import Base
from tests.support import engines


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


@pytest.fixture(params=engines.NAMES)
def database(request: pytest.FixtureRequest) -> Iterator[engines.Database]:
    """A new, empty database, of each server in turn."""
    with engines.database(request.param) as made:
        yield made
