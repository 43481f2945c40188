"""AUTO_INCREMENT: what was given out is not given out again."""

import sqlalchemy

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.schema import Collection, Schema
from databackup.testing.harness import fill
from tests.adapters.sqlalchemy.mysql.tables import LOOSE, MADE, A
from tests.support import mysql


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
