"""Exports and imports within the transaction of a host."""

import contextlib

import pytest
import sqlalchemy

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import StoreError, StoreLocked
from databackup.testing.harness import RollBack, all_rows, fill
from tests.adapters.sqlalchemy.mysql.tables import MADE, SCHEMA, SETTINGS, A
from tests.support import mysql


def test_a_lent_connection_keeps_the_hosts_transaction(
    engine: sqlalchemy.Engine,
) -> None:
    """On a connection in a transaction, imports and exports neither commit nor roll back."""
    mysql.run(engine, *MADE)
    with engine.connect() as host:
        host.exec_driver_sql("INSERT INTO a VALUES (1, 'host')")
        repository = SQLAlchemyRepository(host, SCHEMA)
        fill(repository, {"a": [(2, "x")]})
        with repository.snapshot() as snapshot:
            assert [(1, "host"), (2, "x")] == all_rows(snapshot, A)
        with contextlib.suppress(RollBack), repository.transaction() as transaction:
            transaction.clear(A)
            raise RollBack
        assert [] == mysql.query(engine, "SELECT * FROM a")
        assert [(1, "host"), (2, "x")] == list(map(tuple, host.exec_driver_sql("SELECT * FROM a")))
        others = SQLAlchemyRepository(engine, SCHEMA)
        with repository.transaction():
            for second in (repository, others, others):
                with pytest.raises(StoreLocked), second.transaction(wait=0):
                    pass
        before = host.exec_driver_sql(SETTINGS).one()
        with repository.snapshot(), repository.snapshot():
            pass
        assert before == host.exec_driver_sql(SETTINGS).one()
        host.commit()
    assert [(1, "host"), (2, "x")] == mysql.query(engine, "SELECT * FROM a")


def test_a_lent_connection_that_is_idle_is_left_so(engine: sqlalchemy.Engine) -> None:
    """Without a transaction of the host, an import commits, and leaves none begun."""
    mysql.run(engine, *MADE)
    with engine.connect() as host:
        repository = SQLAlchemyRepository(host, SCHEMA)
        fill(repository, {"a": [(2, "x")]})
        assert not host.in_transaction()
        assert [(2, "x")] == mysql.query(engine, "SELECT * FROM a")
        with host.begin():
            host.exec_driver_sql("INSERT INTO loose VALUES (1)")


@pytest.mark.parametrize("level", ["READ COMMITTED", "AUTOCOMMIT"])
def test_a_lent_connection_that_is_not_safe_is_refused(
    engine: sqlalchemy.Engine, level: str
) -> None:
    """A transaction in which reading twice gives two answers, or none at all, is refused."""
    mysql.run(engine, *MADE)
    with engine.connect().execution_options(isolation_level=level) as host, host.begin():
        repository = SQLAlchemyRepository(host, SCHEMA)
        with pytest.raises(StoreError), repository.transaction() as transaction:
            transaction.insert(A, [(1, "x")])
    assert [] == mysql.query(engine, "SELECT * FROM a")
