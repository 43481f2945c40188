"""No connection, or other tables than expected: a typed error, and no connection is left."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool, QueuePool

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import DatabackupError, StoreLocked, StoreMismatch, StoreUnreachable
from servers import postgresql
from servers.sessions import SERVERS
from tests.adapters.sqlalchemy.servers.tables import (
    BOTH,
    MADE,
    OLD,
    SCHEMA,
    Work,
    export,
    fill,
    import_,
    on,
)
from tests.support import engines

_SECRET = "very-secret"  # noqa: S105


@BOTH
@pytest.mark.parametrize(
    "changes, said",
    [
        ({"host": "127.0.0.1", "port": 1, "query": {}}, "refused"),
        ({"host": "/nowhere/at/all", "port": 5433, "query": {}}, "nowhere"),
        ({"database": "nothing_here"}, "nothing_here"),
    ],
    ids=["nobody listens", "no such place", "no such database"],
)
def test_a_server_that_cannot_be_reached(
    filled: engines.Database, work: Work, changes: Any, said: str
) -> None:
    """Is named without the password, with what to look at."""
    engine = filled.engine_with(**{"username": "me", "password": _SECRET} | changes)
    if "database" in changes:
        engine = filled.engine_with(**changes)
    with pytest.raises(StoreUnreachable, match="See that the server runs") as caught:
        work(on(engine))
    assert said in caught.value.message
    _require_no_secret(caught.value, filled)
    with pytest.raises(StoreUnreachable):
        SQLAlchemyRepository.reflect(engine)


def test_a_wrong_password(filled: engines.Database) -> None:
    """Is refused by the server, and neither it nor the right one is shown."""
    with contextlib.ExitStack() as stack:
        if filled.name == "postgresql":
            engine = stack.enter_context(_with_password(filled))
        else:
            engine = stack.enter_context(filled.user("SELECT ON a", password="right"))  # noqa: S106
        wrong = sqlalchemy.create_engine(engine.url.set(password=_SECRET), poolclass=NullPool)
        with pytest.raises(StoreUnreachable, match=str(engine.url.username)) as caught:
            export(on(wrong))
        assert "right" not in caught.value.message
        _require_no_secret(caught.value, filled)
        SQLAlchemyRepository.reflect(engine)


@contextlib.contextmanager
def _with_password(database: engines.Database) -> Iterator[sqlalchemy.Engine]:
    """A user of PostgreSQL whose password is asked for."""
    if SERVERS["postgresql"].given():
        with database.user(password="right") as engine:  # noqa: S106
            yield engine
        return
    name = postgresql.WITH_PASSWORD
    database.run(f"CREATE ROLE {name} LOGIN PASSWORD 'right'")
    try:
        yield database.engine_with(username=name, password="right")  # noqa: S106
    finally:
        database.run(f"DROP ROLE {name}")


def _require_no_secret(error: DatabackupError, database: engines.Database) -> None:
    said = f"{error} {error.as_json()}"
    assert _SECRET not in said
    assert not database.engine.url.password or str(database.engine.url.password) not in said


@BOTH
def test_a_pool_without_a_free_connection(filled: engines.Database, work: Work) -> None:
    """Is in use by the host, which may give one back."""
    pooled = sqlalchemy.create_engine(
        filled.engine.url, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.1
    )
    with pooled.connect(), pytest.raises(StoreLocked, match="all connections of the pool"):
        work(on(pooled))
    pooled.dispose()


@pytest.mark.parametrize(
    "spoil, said",
    [("DROP TABLE b", "no table 'b'"), ("ALTER TABLE b DROP COLUMN v", "no column b.v")],
)
def test_a_table_or_column_that_is_missing(
    database: engines.Database, spoil: str, said: str
) -> None:
    """Is named, even if it was there when the repository was first used."""
    database.run(*MADE)
    repository = on(database.engine)
    fill(database)
    assert SCHEMA.collections == repository.schema.collections
    database.run(spoil)
    for work in (import_, export):
        with pytest.raises(StoreMismatch, match=said):
            work(repository)
    assert OLD["a"] == database.query("SELECT id, v FROM a")
    assert 0 == database.sessions()
