from collections.abc import Iterator

import pytest
import sqlalchemy

from tests.support import databases, pgtables


@pytest.fixture(scope="module")
def _url() -> Iterator[str]:
    with databases.postgresql() as url:
        yield url


@pytest.fixture(scope="module")
def _icu_url() -> Iterator[str]:
    with databases.postgresql(icu=True) as url:
        yield url


@pytest.fixture
def engine(_url: str) -> Iterator[sqlalchemy.Engine]:
    """An engine over a new schema of a PostgreSQL database."""
    with pgtables.engine_of(_url) as made:
        yield made
