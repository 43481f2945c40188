import contextlib
import datetime
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool, QueuePool

from databackup.adapters._binding import Form
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlalchemy.mysql import MySQLDialect
from databackup.errors import (
    CommitUnknown,
    RecordsRefused,
    StoreError,
    StoreFailed,
    StoreLocked,
)
from databackup.repository import Transaction
from databackup.schema import Collection, Reference, Schema
from databackup.testing.harness import RollBack, all_rows, fill, writing
from tests.support import mysql

A = Collection("a", fields={"id": int, "v": str | None}, key="id")
LOOSE = Collection("loose", fields={"v": int})
SCHEMA = Schema(collections=[A, LOOSE])
MADE = (
    "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20) UNIQUE) ENGINE=InnoDB",
    "CREATE TABLE loose (v INT) ENGINE=InnoDB",
)


@pytest.fixture
def repository(engine: sqlalchemy.Engine) -> SQLAlchemyRepository:
    """A repository over two tables, one of them without a key."""
    mysql.run(engine, *MADE)
    return SQLAlchemyRepository(engine, SCHEMA)


def _pooled(engine: sqlalchemy.Engine, **options: Any) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        engine.url, poolclass=QueuePool, pool_size=1, max_overflow=0, **options
    )


SETTINGS = (
    "SELECT @@time_zone, @@sql_mode, @@foreign_key_checks, @@unique_checks, @@sql_notes, "
    "@@sql_select_limit, @@sql_safe_updates, @@innodb_lock_wait_timeout, @@lock_wait_timeout, "
    "@@max_sort_length, @@check_constraint_checks, @@tx_isolation, @@autocommit"
)
ODD = (
    "SET time_zone='+05:00', sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES', unique_checks=0, "
    "sql_notes=0, sql_select_limit=2, sql_safe_updates=1, innodb_lock_wait_timeout=7, "
    "check_constraint_checks=0, lock_wait_timeout=8"
)


@contextlib.contextmanager
def _odd(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Engine]:
    """An engine of one connection whose settings would spoil much."""
    made = _pooled(engine)
    sqlalchemy.event.listen(made, "connect", lambda raw, _: raw.cursor().execute(ODD))
    yield made
    made.dispose()


def test_settings_of_the_session_are_given_back(engine: sqlalchemy.Engine) -> None:
    """A pooled connection has the settings that it had, after success and failure."""
    mysql.run(engine, *MADE)
    with _odd(engine) as odd:
        before = mysql.query(odd, SETTINGS)
        assert 0 == before[0][3]
        repository = SQLAlchemyRepository(odd, SCHEMA)
        fill(repository, {"a": [(1, "x")]})
        with repository.snapshot() as snapshot:
            assert 1 == snapshot.count(A)
        with contextlib.suppress(RollBack), repository.transaction():
            raise RollBack
        with pytest.raises(RecordsRefused), writing(repository) as transaction:
            transaction.insert(A, [(1, "y")])
        assert before == mysql.query(odd, SETTINGS)


def test_settings_of_the_host_change_nothing(engine: sqlalchemy.Engine) -> None:
    """Limits, modes and zones of the host's session are not those of an export or import."""
    mysql.run(
        engine, "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(20) CHECK (v <> 'no'))", MADE[1]
    )
    rows = [(n, f"a\\'{n}") for n in range(1, 11)]
    with _odd(engine) as odd:
        repository = SQLAlchemyRepository(odd, SCHEMA)
        fill(repository, {"a": rows, "loose": [(n,) for n in range(10)]})
        with repository.snapshot() as snapshot:
            assert rows == all_rows(snapshot, A)
            assert 10 == len(all_rows(snapshot, LOOSE))
        with pytest.raises(RecordsRefused, match="CONSTRAINT"), writing(repository) as transaction:
            transaction.insert(A, [(99, "no")])
        with writing(repository) as transaction:
            transaction.clear(LOOSE)
        assert [(0,)] == mysql.query(engine, "SELECT count(*) FROM loose")


def test_timestamps_are_in_utc_whatever_the_zone(engine: sqlalchemy.Engine) -> None:
    """A TIMESTAMP is read and written as UTC under a session with another zone."""
    mysql.run(engine, "CREATE TABLE t (id INT PRIMARY KEY, at TIMESTAMP(6) NULL)")
    t = Collection("t", fields={"id": int, "at": datetime.datetime}, key="id")
    moment = datetime.datetime(2026, 3, 29, 1, 30)  # noqa: DTZ001
    with _odd(engine) as odd:
        fill(SQLAlchemyRepository(odd, Schema(collections=[t])), {"t": [(1, moment)]})
    assert [(moment.replace(tzinfo=datetime.UTC).timestamp(),)] == [
        (float(seconds),) for (seconds,) in mysql.query(engine, "SELECT unix_timestamp(at) FROM t")
    ]


def test_a_connection_that_loses_text_is_refused(engine: sqlalchemy.Engine) -> None:
    """A character set that does not hold all text is refused, before anything is read."""
    mysql.run(engine, *MADE)
    poor = sqlalchemy.create_engine(
        engine.url.update_query_dict({"charset": "latin1"}), poolclass=NullPool
    )
    repository = SQLAlchemyRepository(poor, SCHEMA)
    with pytest.raises(StoreError, match=r"latin1.*charset=utf8mb4"), repository.snapshot():
        pass


# -- what the server ends --------------------------------------------------------------------------


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
    pooled = _pooled(engine)
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


# -- a lent connection -----------------------------------------------------------------------------


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


# -- what cannot be undone, and what is refused ----------------------------------------------------


@pytest.mark.parametrize("kept_by", ["MyISAM", "Aria", "MEMORY"])
def test_tables_that_cannot_be_rolled_back_are_refused(
    engine: sqlalchemy.Engine, kept_by: str
) -> None:
    """A table of an engine without transactions is named before the first write; it is exported."""
    mysql.run(engine, MADE[0], f"CREATE TABLE loose (v INT) ENGINE={kept_by}")
    mysql.run(engine, "INSERT INTO loose VALUES (1)")
    repository = SQLAlchemyRepository(engine, SCHEMA)
    with pytest.raises(StoreError, match=rf"loose \({kept_by}\)"), repository.transaction():
        pytest.fail("the block was entered")
    with repository.snapshot() as snapshot:
        assert [(1,)] == all_rows(snapshot, LOOSE)


def test_a_trigger_that_raises_refuses_records(
    engine: sqlalchemy.Engine, repository: SQLAlchemyRepository
) -> None:
    """A trigger's SIGNAL is a refusal, with what it says."""
    mysql.run(
        engine,
        "CREATE TRIGGER no BEFORE INSERT ON a FOR EACH ROW "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'never'",
    )
    with pytest.raises(RecordsRefused, match="never"), writing(repository) as transaction:
        transaction.insert(A, [(1, "x")])
    assert [] == mysql.query(engine, "SELECT * FROM a")


@pytest.mark.parametrize("write", ["insert", "update"])
def test_any_warning_is_a_refusal(
    engine: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    """What the server notes that it has rounded is refused, should no check have seen it."""
    monkeypatch.setattr(MySQLDialect, "form", lambda *_: Form())
    mysql.run(engine, "CREATE TABLE t (id INT PRIMARY KEY, d DECIMAL(5,2))")
    mysql.run(engine, "INSERT INTO t VALUES (1, 1)")
    t = Collection("t", fields={"id": int, "d": Decimal}, key="id")
    repository = SQLAlchemyRepository(engine, Schema(collections=[t]))
    with pytest.raises(RecordsRefused, match="truncated") as caught:  # noqa: SIM117
        with writing(repository) as transaction:
            getattr(transaction, write)(t, [(1 + (write == "insert"), Decimal("1.125"))])
    assert "d" == caught.value.field
    assert [(1, Decimal("1.00"))] == mysql.query(engine, "SELECT * FROM t")


def test_generated_columns_may_round(engine: sqlalchemy.Engine) -> None:
    """A generated column that is rounded holds no data, and hinders no import."""
    mysql.run(
        engine,
        "CREATE TABLE t (id INT PRIMARY KEY, g DECIMAL(5,1) AS (id / 7) STORED)",
        MADE[0],
        MADE[1],
    )
    t = Collection("t", fields={"id": int}, key="id")
    repository = SQLAlchemyRepository(engine, Schema(collections=[A, LOOSE, t]))
    rows = [(number,) for number in range(300)]
    fill(repository, {"t": rows})
    assert [(300,)] == mysql.query(engine, "SELECT count(*) FROM t")


def test_a_record_larger_than_a_packet_is_refused(
    engine: sqlalchemy.Engine, repository: SQLAlchemyRepository
) -> None:
    """What the server would answer by closing the connection is refused, naming the field."""
    mysql.run(engine, "ALTER TABLE a DROP INDEX v, MODIFY v LONGTEXT CHARACTER SET utf8mb4")
    with repository.transaction() as transaction:
        transaction._packet = 200_000  # type: ignore[attr-defined]
        rows = [(n, "é" * 30_000) for n in range(1, 20)]
        transaction.insert(A, rows)
        for write in (transaction.insert, transaction.update):
            with (
                pytest.raises(RecordsRefused, match="max_allowed_packet") as caught,
                transaction.savepoint(),
            ):
                write(A, [(1 if write == transaction.update else 99, "é" * 120_000)])
            assert "v" == caught.value.field
        assert rows == all_rows(transaction, A)


def test_many_large_records_fit_the_packets(engine: sqlalchemy.Engine) -> None:
    """Inserts are as long as the server's own max_allowed_packet allows."""
    mysql.run(
        engine, "CREATE TABLE a (id INT PRIMARY KEY, v LONGTEXT CHARACTER SET utf8mb4)", MADE[1]
    )
    ((packet,),) = mysql.query(engine, "SELECT @@max_allowed_packet")
    rows = [(n, "'😀" * (packet // 30)) for n in range(4)]
    repository = SQLAlchemyRepository(engine, SCHEMA)
    fill(repository, {"a": rows})
    with repository.snapshot() as snapshot:
        assert rows == all_rows(snapshot, A, 1)


# -- counters --------------------------------------------------------------------------------------


def test_counters_are_kept_and_the_next_insert_succeeds(
    engine: sqlalchemy.Engine, repository: SQLAlchemyRepository
) -> None:
    """A counter is set, never below the largest key; the app's next insert counts on."""
    for given, rows, expected in ((None, [(5, "x")], 6), (40, [], 41), (3, [(50, "y")], 51)):
        with repository.transaction() as transaction:
            transaction.insert(A, rows)
            transaction.finish({} if given is None else {"a": given})
        with repository.snapshot() as snapshot:
            assert {"a": expected - 1} == snapshot.counters()
    mysql.run(engine, "INSERT INTO a (v) VALUES ('plain')")
    assert [(51,)] == mysql.query(engine, "SELECT id FROM a WHERE v = 'plain'")


def test_a_counter_is_set_where_a_plain_record_would_not_fit(engine: sqlalchemy.Engine) -> None:
    """NOT NULL, unique and checked columns do not hinder, and no record stays."""
    mysql.run(
        engine,
        "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(9) NOT NULL UNIQUE, "
        "CHECK (v <> 'x'), CONSTRAINT c CHECK (v <> ''), "
        "r INT NOT NULL, FOREIGN KEY (r) REFERENCES a (id))".replace("CHECK (v <> 'x'), ", ""),
        MADE[1],
        "SET check_constraint_checks = 0, foreign_key_checks = 0",
        "INSERT INTO a VALUES (1, '', 1)",
    )
    schema = Schema(
        collections=[Collection("a", fields={"id": int, "v": str, "r": int}, key="id"), LOOSE]
    )
    repository = SQLAlchemyRepository(engine, schema)
    with repository.transaction() as transaction:
        transaction.finish({"a": 70})
    assert [(1,)] == mysql.query(engine, "SELECT id FROM a")
    with repository.snapshot() as snapshot:
        assert {"a": 70} == snapshot.counters()


def test_zero_is_a_key(engine: sqlalchemy.Engine, repository: SQLAlchemyRepository) -> None:
    """The key 0 is written as it is, and no number made of it."""
    fill(repository, {"a": [(0, "zero"), (-1, None)]})
    assert [(-1, None), (0, "zero")] == mysql.query(engine, "SELECT * FROM a ORDER BY id")


# -- foreign keys ----------------------------------------------------------------------------------

CHILD = Collection(
    "child", fields={"id": int, "a": int | None}, key="id", references=[Reference("a", "a")]
)


@contextlib.contextmanager
def _outside(engine: sqlalchemy.Engine, action: str = "") -> Iterator[SQLAlchemyRepository]:
    """A repository whose schema leaves out a table that refers to a record."""
    mysql.run(
        engine,
        *MADE,
        "CREATE TABLE child (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES a (id) "
        f"{action}) ENGINE=InnoDB",
        "INSERT INTO a VALUES (1, 'x'), (2, 'y')",
        "INSERT INTO child VALUES (10, 1), (11, NULL), (12, 2)",
    )
    yield SQLAlchemyRepository(engine, SCHEMA.excluding({"child": "not ours"}))


@pytest.mark.parametrize("action", ["", "ON DELETE CASCADE", "ON DELETE SET NULL"])
def test_records_outside_the_schema_keep_what_they_refer_to(
    engine: sqlalchemy.Engine, action: str
) -> None:
    """An import that would take a record from under one outside the schema is refused."""
    with _outside(engine, action) as repository:
        with writing(repository) as transaction:
            transaction.delete(A, [(1,)])
            transaction.insert(A, [(1, "again")])
        with (
            pytest.raises(StoreError, match=r"1 row of the table 'child' refers \(a\)"),
            writing(repository) as transaction,
        ):
            transaction.delete(A, [(1,)])
        assert 3 == len(mysql.query(engine, "SELECT * FROM child"))
        assert 2 == len(mysql.query(engine, "SELECT * FROM a"))


@pytest.mark.parametrize(
    "action,left",
    [("CASCADE", [(11, None), (12, 2)]), ("SET NULL", [(10, None), (11, None), (12, 2)])],
)
def test_allow_cascade_does_what_the_reference_says(
    engine: sqlalchemy.Engine, action: str, left: list[Any]
) -> None:
    """With allow_cascade the reference's own action carries the records off."""
    with _outside(engine, f"ON DELETE {action}") as repository:
        with repository.transaction() as transaction:
            transaction.delete(A, [(1,)])
            transaction.finish({}, allow_cascade=True)
        assert left == mysql.query(engine, "SELECT * FROM child ORDER BY id")


def test_allow_cascade_does_not_override_a_restriction(engine: sqlalchemy.Engine) -> None:
    """A reference without an action is not carried off."""
    with _outside(engine) as repository:
        with pytest.raises(StoreError), repository.transaction() as transaction:  # noqa: PT012
            transaction.delete(A, [(1,)])
            transaction.finish({}, allow_cascade=True)
        assert 2 == len(mysql.query(engine, "SELECT * FROM a"))


def test_references_from_other_databases_are_seen(engine: sqlalchemy.Engine) -> None:
    """A table of another database that refers to a record is looked at, too."""
    mysql.run(engine, *MADE, "INSERT INTO a VALUES (1, 'x')")
    name = f"{engine.url.database}_other"
    mysql.run(
        engine,
        f"CREATE DATABASE {name}",
        f"CREATE TABLE {name}.child (a INT, "
        f"FOREIGN KEY (a) REFERENCES {engine.url.database}.a (id)) ENGINE=InnoDB",
        f"INSERT INTO {name}.child VALUES (1)",
    )
    try:
        repository = SQLAlchemyRepository(engine, SCHEMA)
        with pytest.raises(StoreError, match=rf"{name}\.child"), writing(repository) as transaction:
            transaction.clear(A)
    finally:
        mysql.run(engine, f"DROP DATABASE {name}")


def test_foreign_keys_are_checked_before_the_commit(engine: sqlalchemy.Engine) -> None:
    """Although checks are off while an import writes, no orphan is committed, stated or not."""
    with _outside(engine) as _:
        stated = Schema(collections=[A, LOOSE, CHILD])
        unstated = Collection("child", fields={"id": int, "a": int | None}, key="id")
        for schema in (stated, Schema(collections=[A, LOOSE, unstated])):
            repository = SQLAlchemyRepository(engine, schema)
            with (
                pytest.raises(StoreError, match="do not exist"),
                writing(repository) as transaction,
            ):
                transaction.insert(schema["child"], [(99, 4711)])
        assert 3 == len(mysql.query(engine, "SELECT * FROM child"))


def test_what_dangled_before_may_dangle_after(engine: sqlalchemy.Engine) -> None:
    """An orphan from before the import hinders none."""
    with _outside(engine) as repository:
        mysql.run(engine, "SET foreign_key_checks = 0", "INSERT INTO child VALUES (13, 77)")
        with writing(repository) as transaction:
            transaction.insert(A, [(3, "z")])
        assert 3 == len(mysql.query(engine, "SELECT * FROM a"))


@pytest.mark.parametrize("other", ["utf8mb4_unicode_ci", "utf8mb4_general_ci"])
def test_references_are_checked_to_the_byte(engine: sqlalchemy.Engine, other: str) -> None:
    """A reference of the schema alone may join columns of two collations, and is exact."""
    mysql.run(
        engine,
        "CREATE TABLE p (k VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY) CHARSET utf8mb4",
        f"CREATE TABLE c (k VARCHAR(9) COLLATE {other}) CHARSET utf8mb4",
        "INSERT INTO p VALUES ('a')",
        "INSERT INTO c VALUES ('a'), ('A'), ('a '), (NULL)",
    )
    p = Collection("p", fields={"k": str}, key="k")
    c = Collection("c", fields={"k": str | None}, references=[Reference("k", "p")])
    repository = SQLAlchemyRepository(engine, Schema(collections=[p, c]))
    with repository.transaction() as transaction:
        assert [("A",), ("a ",)] == sorted(transaction.dangling(c, c.references[0], 9))


# -- the catalogue ---------------------------------------------------------------------------------


def test_tables_of_other_databases_are_named_with_them(engine: sqlalchemy.Engine) -> None:
    """Beside the connection's database others are looked at when they are named."""
    name = f"{engine.url.database}_more"
    mysql.run(
        engine, *MADE, f"CREATE DATABASE {name}", f"CREATE TABLE {name}.a (id INT PRIMARY KEY)"
    )
    try:
        more = Collection("more", fields={"id": int}, key="id")
        repository = SQLAlchemyRepository(
            engine,
            Schema(collections=[A, LOOSE, more]),
            tables={"more": f"{name}.a"},
            schemas=[name],
        )
        fill(repository, {"a": [(1, "x")], "more": [(5,)]})
        assert [(5,)] == mysql.query(engine, f"SELECT * FROM {name}.a")
    finally:
        mysql.run(engine, f"DROP DATABASE {name}")


def test_views_are_no_data_and_sequences_are_named(engine: sqlalchemy.Engine) -> None:
    """A view is left out; a sequence has to be excluded by name."""
    mysql.run(engine, *MADE, "CREATE VIEW w AS SELECT * FROM a", "CREATE SEQUENCE s")
    with pytest.raises(StoreError, match="'s' is no collection"):  # noqa: SIM117
        with SQLAlchemyRepository(engine, SCHEMA).snapshot():
            pass
    with SQLAlchemyRepository(engine, SCHEMA.excluding({"s": "counts"})).snapshot():
        pass


def test_errors_of_the_server_are_typed_and_show_no_password(engine: sqlalchemy.Engine) -> None:
    """Nobody there, a wrong password and no database are errors that show no password."""
    secret = "very-secret"  # noqa: S105
    for url in (
        engine.url.set(port=1, password=secret),
        engine.url.set(password=secret),
        engine.url.set(database="nothing_here"),
        engine.url.set(database=None),
    ):
        poor = sqlalchemy.create_engine(url, poolclass=NullPool)
        with pytest.raises(StoreError) as caught, SQLAlchemyRepository(poor, SCHEMA).snapshot():
            pass
        assert secret not in str(caught.value)
        assert str(engine.url.password) not in str(caught.value)


def test_a_user_who_may_not_write_is_told(engine: sqlalchemy.Engine) -> None:
    """A user without the right to write gets the server's words, and the store is as it was."""
    mysql.run(engine, *MADE)
    secret = "p-w"  # noqa: S105
    user = f"r{engine.url.database}"[:30]
    mysql.run(
        engine,
        f"CREATE USER {user} IDENTIFIED BY '{secret}'",
        f"GRANT SELECT ON {engine.url.database}.* TO {user}",
    )
    try:
        reader = sqlalchemy.create_engine(
            engine.url.set(username=user, password=secret), poolclass=NullPool
        )
        repository = SQLAlchemyRepository(reader, SCHEMA)
        with repository.snapshot() as snapshot:
            assert 0 == snapshot.count(A)
        with pytest.raises(StoreError, match="denied"), writing(repository) as transaction:
            transaction.insert(A, [(1, "x")])
    finally:
        mysql.run(engine, f"DROP USER {user}")
