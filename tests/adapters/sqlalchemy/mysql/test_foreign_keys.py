"""References, which are not checked while an import writes."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import StoreError
from databackup.schema import Collection, Reference, Schema
from databackup.testing.harness import writing
from tests.adapters.sqlalchemy.mysql.tables import LOOSE, MADE, SCHEMA, A
from tests.support import mysql

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
