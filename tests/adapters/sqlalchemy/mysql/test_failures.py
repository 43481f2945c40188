"""What the server ends, and what others may do while an export or import is under way."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import CommitUnknown, StoreFailed, StoreLocked
from databackup.repository import Transaction
from databackup.testing.harness import all_rows, fill
from tests.adapters.sqlalchemy.mysql.tables import LOOSE, MADE, SCHEMA, A
from tests.support import mysql


def _in_background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def _connection_of(transaction: Transaction) -> sqlalchemy.Connection:
    found: sqlalchemy.Connection = transaction._connection  # type: ignore[attr-defined]
    return found


def _kill(engine: sqlalchemy.Engine, transaction: Transaction, how: str = "KILL") -> None:
    (number,) = _connection_of(transaction).exec_driver_sql("SELECT connection_id()").one()
    mysql.run(engine, f"{how} {number}")


@pytest.mark.parametrize("statement", ["insert", "update", "delete", "clear", "rows", "finish"])
def test_a_killed_connection_leaves_the_store_as_it_was(
    engine: sqlalchemy.Engine, repository: SQLAlchemyRepository, statement: str
) -> None:
    """KILL before any statement is `StoreFailed`; nothing is kept, and the next import works."""
    fill(repository, {"a": [(1, "x"), (2, None)]})
    with (  # noqa: PT012
        pytest.raises(StoreFailed, match="connection was lost"),
        repository.transaction() as transaction,
    ):
        transaction.insert(A, [(3, "z")])
        _kill(engine, transaction)
        if statement in ("insert", "update"):
            getattr(transaction, statement)(A, [(1 if statement == "update" else 9, "y")])
        elif statement == "delete":
            transaction.delete(A, [(1,)])
        elif statement == "clear":
            transaction.clear(A)
        elif statement == "rows":
            all_rows(transaction, A)
        else:
            transaction.finish({"a": 50})
    assert [(1, "x"), (2, None)] == mysql.query(engine, "SELECT * FROM a ORDER BY id")
    fill(repository, {"a": [(3, "again")]})


def test_nothing_follows_a_lost_connection(
    engine: sqlalchemy.Engine, repository: SQLAlchemyRepository
) -> None:
    """A caller that swallows the error cannot go on, nor commit."""
    with pytest.raises(StoreFailed), repository.transaction() as transaction:  # noqa: PT012
        _kill(engine, transaction)
        with contextlib.suppress(StoreFailed):
            transaction.insert(A, [(1, "x")])
        with pytest.raises(StoreFailed):
            transaction.insert(A, [(2, "y")])
        with pytest.raises(StoreFailed):
            transaction.count(A)
    assert [] == mysql.query(engine, "SELECT * FROM a")


def test_a_commit_on_a_lost_connection_is_unknown(
    engine: sqlalchemy.Engine, repository: SQLAlchemyRepository
) -> None:
    """A connection that is lost during the commit says that the outcome is not known."""
    with pytest.raises(CommitUnknown), repository.transaction() as transaction:  # noqa: PT012
        transaction.insert(A, [(1, "x")])
        transaction.finish({})
        _kill(engine, transaction)
    assert [] == mysql.query(engine, "SELECT * FROM a")


def test_a_pooled_connection_that_was_lost_is_not_given_back(engine: sqlalchemy.Engine) -> None:
    """After KILL the pool has a sound connection, and none is leaked."""
    mysql.run(engine, *MADE)
    pooled = mysql.pooled(engine)
    repository = SQLAlchemyRepository(pooled, SCHEMA)
    for _ in range(3):
        with pytest.raises(StoreFailed), repository.transaction() as transaction:  # noqa: PT012
            _kill(engine, transaction)
            transaction.insert(A, [(1, "x")])
        assert 0 == pooled.pool.checkedout()  # type: ignore[attr-defined]
        fill(repository, {"loose": [(1,)]})
    pooled.dispose()


def test_a_deadlock_ends_the_transaction(
    engine: sqlalchemy.Engine, repository: SQLAlchemyRepository
) -> None:
    """A deadlock has rolled everything back: `StoreLocked`, and nothing more is done or kept."""
    mysql.run(engine, "CREATE TABLE big (v INT) ENGINE=InnoDB")
    mysql.run(engine, "INSERT INTO big SELECT seq FROM seq_1_to_1000")
    schema = SCHEMA.excluding({"big": "for the deadlock"})
    repository = SQLAlchemyRepository(engine, schema)
    fill(repository, {"a": [(1, "x"), (2, "y")]})
    done: list[str] = []
    with engine.connect() as other:

        def block() -> None:
            other.exec_driver_sql("UPDATE a SET v = 'p' WHERE id = 1")
            done.append("other")

        with (  # noqa: PT012
            pytest.raises(StoreLocked, match=r"[Dd]eadlock"),
            repository.transaction() as transaction,
        ):
            transaction.update(A, [(1, "mine")])
            # The one that has written more is spared.
            other.exec_driver_sql("UPDATE big SET v = v + 1")
            other.exec_driver_sql("UPDATE a SET v = 'o' WHERE id = 2")
            thread = _in_background(block)
            time.sleep(0.3)
            try:
                with transaction.savepoint():
                    transaction.update(A, [(2, "mine")])
            finally:
                thread.join()
                with pytest.raises(StoreFailed, match="failed before"):
                    transaction.insert(A, [(5, "later")])
        assert ["other"] == done
        other.rollback()
    assert [(1, "x"), (2, "y")] == mysql.query(engine, "SELECT * FROM a ORDER BY id")


def test_a_lock_that_others_hold_is_waited_for(
    engine: sqlalchemy.Engine, repository: SQLAlchemyRepository
) -> None:
    """A record locked by another transaction is `StoreLocked` after the wait, and nothing stays."""
    fill(repository, {"a": [(1, "x")]})
    with engine.connect() as other:
        other.exec_driver_sql("UPDATE a SET v = 'o' WHERE id = 1")
        start = time.monotonic()
        with pytest.raises(StoreLocked), repository.transaction(wait=1) as transaction:  # noqa: PT012
            transaction.insert(LOOSE, [(1,)])
            transaction.update(A, [(1, "mine")])
        assert time.monotonic() - start < 10
        other.rollback()
    assert [(1, "x")] == mysql.query(engine, "SELECT * FROM a")
    assert [] == mysql.query(engine, "SELECT * FROM loose")


def test_what_was_read_is_not_changed_by_others(
    engine: sqlalchemy.Engine, repository: SQLAlchemyRepository
) -> None:
    """A record that an import has read stays until its commit, so that checks stay true."""
    fill(repository, {"a": [(1, "x")]})
    with repository.transaction() as transaction, engine.connect() as other:
        assert [(1, "x")] == all_rows(transaction, A)
        other.exec_driver_sql("SET innodb_lock_wait_timeout = 1")
        with pytest.raises(sqlalchemy.exc.OperationalError, match="Lock wait timeout"):
            other.exec_driver_sql("DELETE FROM a WHERE id = 1")


def test_a_snapshot_keeps_others_from_truncating(
    engine: sqlalchemy.Engine, repository: SQLAlchemyRepository
) -> None:
    """TRUNCATE and ALTER wait for the end of a snapshot that has not read the table yet."""
    fill(repository, {"a": [(1, "x")]})
    with repository.snapshot() as snapshot, engine.connect() as other:
        other.exec_driver_sql("SET lock_wait_timeout = 1")
        for ddl in ("TRUNCATE a", "ALTER TABLE a ADD w INT"):
            with pytest.raises(sqlalchemy.exc.OperationalError, match="Lock wait timeout"):
                other.exec_driver_sql(ddl)
        assert [(1, "x")] == all_rows(snapshot, A)


def test_a_snapshot_begins_with_its_block(
    engine: sqlalchemy.Engine, repository: SQLAlchemyRepository
) -> None:
    """What is committed after the snapshot's begin is not seen, even in a table not yet read."""
    with repository.snapshot() as snapshot:
        mysql.run(engine, "INSERT INTO loose VALUES (1)", "INSERT INTO a VALUES (1, 'x')")
        assert [] == all_rows(snapshot, LOOSE)
        assert 0 == snapshot.count(A)


def test_a_snapshot_writes_nothing(repository: SQLAlchemyRepository) -> None:
    """A snapshot's transaction is read-only."""
    with repository.snapshot() as made:
        snapshot: Any = made
        with pytest.raises(sqlalchemy.exc.DBAPIError):
            snapshot._connection.exec_driver_sql("INSERT INTO loose VALUES (1)")
