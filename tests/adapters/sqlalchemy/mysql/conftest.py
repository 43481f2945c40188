from collections.abc import Iterator

import pytest
import sqlalchemy

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from tests.adapters.sqlalchemy.mysql.tables import MADE, SCHEMA
from tests.support import mysql


@pytest.fixture
def engine() -> Iterator[sqlalchemy.Engine]:
    """An engine of a new, empty database."""
    with mysql.engine() as made:
        yield made


@pytest.fixture
def repository(engine: sqlalchemy.Engine) -> SQLAlchemyRepository:
    """A repository over two tables, one of them without a key."""
    mysql.run(engine, *MADE)
    return SQLAlchemyRepository(engine, SCHEMA)
