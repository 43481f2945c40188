"""The settings of a session, which an export or import changes and gives back."""

import contextlib
import datetime
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from databackup import import_all
from databackup.adapters._binding import Form
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlalchemy.mysql import MySQLDialect
from databackup.errors import RecordsNotTaken, RecordsRefused, StoreError
from databackup.schema import Collection, Schema
from databackup.testing.harness import RollBack, all_rows, fill, writing
from tests.adapters.sqlalchemy.mysql.tables import LOOSE, MADE, SCHEMA, SETTINGS, A
from tests.support import mysql
from tests.support.archives import exported
from tests.support.club import memory

ODD = (
    "SET time_zone='+05:00', sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES', unique_checks=0, "
    "sql_notes=0, sql_select_limit=2, sql_safe_updates=1, innodb_lock_wait_timeout=7, "
    "check_constraint_checks=0, lock_wait_timeout=8"
)


@contextlib.contextmanager
def _odd(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Engine]:
    """An engine of one connection whose settings would spoil much."""
    made = mysql.pooled(engine)
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


@pytest.mark.parametrize(
    "case",
    [
        ("VARCHAR(3)", str, "long", "Data too long"),
        ("TINYINT", int, 300, "Out of range"),
        ("DECIMAL(3,1)", Decimal, Decimal(1000), "Out of range"),
        ("ENUM('a', 'b')", str, "c", "Data truncated"),
        ("DATE", str, "2026-02-31", "Incorrect date"),
        ("DATE", str, "2026-13-31", "Incorrect date"),
        ("DATE", str, "2026-00-31", "Incorrect date"),
        ("DATE", str, "0000-00-00", "Incorrect date"),
        ("DATETIME", str, "0000-00-00 00:00:00", "Incorrect datetime"),
        ("TIMESTAMP NULL", str, "0000-00-00 00:00:00", "Incorrect datetime"),
        ("DATE", str, "yesterday", "Incorrect date"),
        ("INT", str, "7 apples", "Data truncated"),
    ],
)
@pytest.mark.parametrize("write", ["insert", "update"])
def test_a_lenient_server_is_made_strict(
    engine: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch, case: tuple[Any, ...], write: str
) -> None:
    """With sql_mode='' it would cut and guess: it says no, should no check have seen the value."""
    declared, kind, value, said = case
    monkeypatch.setattr(MySQLDialect, "form", lambda *_: Form())
    monkeypatch.setattr(MySQLDialect, "unsuitable", lambda *_: None)
    mysql.run(engine, f"CREATE TABLE t (id INT PRIMARY KEY, v {declared})")
    mysql.run(engine, "INSERT INTO t VALUES (1, NULL)")
    lenient = sqlalchemy.create_engine(
        engine.url, poolclass=NullPool, connect_args={"init_command": "SET sql_mode = ''"}
    )
    t = Collection("t", fields={"id": int, "v": kind | None}, key="id")
    repository = SQLAlchemyRepository(lenient, Schema(collections=[t]))
    with pytest.raises(RecordsRefused, match=said) as caught, writing(repository) as transaction:
        getattr(transaction, write)(t, [(1 + (write == "insert"), value)])
    # The server's own error: a warning would come too late where nobody asks for it.
    assert caught.value.__cause__ is not None
    assert "v" == caught.value.field
    assert [(1, None)] == mysql.query(engine, "SELECT * FROM t")


def test_an_import_into_a_lenient_server_names_the_record(engine: sqlalchemy.Engine) -> None:
    """Also through the pool of a host that relies on a server that cuts."""
    mysql.run(engine, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(3))")
    t = Collection("t", fields={"id": int, "v": str}, key="id")
    schema = Schema(collections=[t])
    archive = exported(memory({"t": [(1, "fit"), (2, "does not fit")]}, schema))
    lenient = mysql.pooled(engine, connect_args={"init_command": "SET sql_mode = ''"})
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(SQLAlchemyRepository(lenient, schema), io.BytesIO(archive))
    assert [(2, (2,), "v")] == [(p.record, p.key, p.field) for p in caught.value.problems]
    assert [("",)] == mysql.query(lenient, "SELECT @@sql_mode")
    assert [] == mysql.query(engine, "SELECT * FROM t")
    lenient.dispose()
