"""What cannot be undone, and what the server refuses."""

from decimal import Decimal

import pytest
import sqlalchemy

from databackup.adapters._binding import Form
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlalchemy.mysql import MySQLDialect
from databackup.errors import RecordsRefused, StoreError
from databackup.schema import Collection, Schema
from databackup.testing.harness import all_rows, fill, writing
from tests.adapters.sqlalchemy.mysql.tables import LOOSE, MADE, SCHEMA, A
from tests.support import mysql


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
