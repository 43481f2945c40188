"""Real servers for tests: what a test gets, and what becomes of them."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.support import databases

MAKE: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "postgresql": databases.postgresql,
    "postgresql-icu": lambda: databases.postgresql(icu=True),
    "mysql": databases.mysql,
}


@pytest.mark.parametrize("name", MAKE)
def test_databases_are_apart(name: str) -> None:
    """Two databases of a server share no table."""
    with MAKE[name]() as one, MAKE[name]() as two:
        _run(one, "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)")
        _run(two, "CREATE TABLE t (id INT)")
        assert 1 == _value(one, "SELECT count(*) FROM t")
        assert 0 == _value(two, "SELECT count(*) FROM t")


def _run(url: str, *statements: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _value(url: str, query: str) -> object:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return connection.execute(text(query)).scalar_one()
