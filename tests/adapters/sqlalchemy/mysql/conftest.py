from collections.abc import Iterator

import pytest
import sqlalchemy

from tests.support import mysql


@pytest.fixture
def engine() -> Iterator[sqlalchemy.Engine]:
    """An engine of a new, empty database."""
    with mysql.engine() as made:
        yield made
