"""What a server says of its databases, and to whom."""

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import StoreError
from databackup.schema import Collection, Schema
from databackup.testing.harness import fill, writing
from tests.adapters.sqlalchemy.mysql.tables import LOOSE, MADE, SCHEMA, A
from tests.support import mysql


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
