from collections.abc import Iterator

import pytest

from tests.adapters.sqlalchemy.servers import tables
from tests.support import engines


@pytest.fixture
def filled(database: engines.Database) -> Iterator[engines.Database]:
    """A database with records, which must be there unchanged after the test, and be left alone."""
    database.run(*tables.MADE)
    tables.fill(database)
    yield database
    assert 0 == database.sessions()
    assert tables.OLD == tables.rows(database)
