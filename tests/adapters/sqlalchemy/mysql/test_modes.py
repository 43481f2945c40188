"""With dates the server is as strict as each table lets it be."""

import datetime
import io
from typing import Any

import pytest
import sqlalchemy

from databackup import import_all
from databackup.adapters._binding import Form
from databackup.adapters._sql import Table
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlalchemy.catalogue import Column, TableInfo
from databackup.adapters.sqlalchemy.mysql import MySQLDialect
from databackup.adapters.sqlalchemy.mysql.catalogue import TableDetails
from databackup.adapters.sqlalchemy.mysql.columns import Details
from databackup.adapters.sqlalchemy.mysql.modes import ANY_DATES, REAL_DATES, mode_of
from databackup.adapters.sqlalchemy.plan import Plan
from databackup.errors import RecordsRefused
from databackup.schema import Collection, Field, Schema, kinds
from databackup.testing.harness import all_rows, writing
from tests.support import mysql
from tests.support.archives import exported

_LOOSE = "SET sql_mode = 'ALLOW_INVALID_DATES'"
_DAY = datetime.date(2024, 2, 29)
_T = Collection("t", fields={"id": int, "v": datetime.date}, key="id")


def _schema(*collections: Collection, exclude: dict[str, str] | None = None) -> Schema:
    return Schema(collections=collections, exclude=exclude or {})


# -- as strict as can be ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        "w DATE",
        "w DATE DEFAULT '2024-02-29'",
        "w DATETIME(3) NOT NULL DEFAULT '2024-02-29 10:15:00.5'",
        "w DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)",
        "w DATE DEFAULT CURDATE()",
        "w INT DEFAULT 0",
        "w VARCHAR(20) DEFAULT 'yesterday'",
        "w VARCHAR(40) DEFAULT UUID()",
        "w INT AS (id + 1) STORED",
        "w INT CHECK (w >= 0)",
        "json_of_a_day JSON",
    ],
)
def test_dates_are_real_where_the_table_has_no_others(
    engine: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    """The server refuses the others, should no check have seen them."""
    monkeypatch.setattr(MySQLDialect, "form", lambda *_: Form())
    mysql.run(engine, f"CREATE TABLE t (id INT PRIMARY KEY, v DATE, {more})")
    mysql.run(engine, "INSERT INTO t (id) VALUES (1)")
    name, _, declared = more.partition(" ")
    exclude = {} if " AS " in declared else {f"t.{name}": "a test"}
    repository = SQLAlchemyRepository(engine, _schema(_T, exclude=exclude))
    for write, number in (("insert", 2), ("update", 1)):
        for date in ("0000-00-00", "2024-00-10", "2024-02-31"):
            refused = pytest.raises(RecordsRefused, match="Incorrect date")
            with refused as caught, writing(repository) as transaction:
                getattr(transaction, write)(_T, [(number, date)])
            assert "v" == caught.value.field
    assert [(1, None)] == mysql.query(engine, "SELECT id, v FROM t")


def test_each_table_is_as_strict_as_it_can_be(engine: sqlalchemy.Engine) -> None:
    """Beside one that is not, in whatever order they are written; what is read is any date."""
    mysql.run(
        engine,
        "CREATE TABLE t (id INT PRIMARY KEY, v DATE)",
        "CREATE TABLE u (id INT PRIMARY KEY, v DATE)",
    )
    kept = Field("v", kinds.Date(), off_kind="keep")
    u = Collection("u", key="id", fields=[_T.field("id"), kept])
    seen: list[tuple[str, bool]] = []

    def note(_: Any, cursor: Any, statement: str, *_more: Any) -> None:
        for name in ("t", "u"):
            if f"`{name}`" in statement:
                with cursor.connection.cursor() as other:
                    other.execute("SELECT @@sql_mode")
                    (mode,) = other.fetchone()
                seen.append((f"{statement.partition(' ')[0]} {name}", "ZERO_DATE" in mode))

    with writing(SQLAlchemyRepository(engine, _schema(_T, u))) as transaction:
        sqlalchemy.event.listen(engine, "before_cursor_execute", note)
        transaction.insert(_T, [(1, _DAY), (2, _DAY)])
        transaction.insert(u, [(1, _DAY), (2, "0000-00-00")])
        transaction.update(_T, [(2, _DAY)])
        assert 2 == len(all_rows(transaction, u))
        transaction.insert(_T, [(3, _DAY)])
        transaction.update(u, [(1, "2024-02-31")])
        transaction.delete(_T, [(3,)])
    strict = [statement for statement, is_strict in seen if is_strict]
    assert ["INSERT t", "UPDATE t", "INSERT t"] == strict
    others = {statement for statement, is_strict in seen if not is_strict}
    assert {"INSERT u", "SELECT u", "UPDATE u", "DELETE t"} <= others


# -- what a table has goes back --------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        "w DATE DEFAULT '2024-00-10'",
        "w DATETIME NOT NULL DEFAULT '0000-00-00'",
        "w TIMESTAMP(3) NOT NULL DEFAULT 0",
        "w DATE DEFAULT (v)",
        "w INT DEFAULT (CAST(v AS DATE) + 0)",
    ],
)
def test_defaults_of_columns_that_are_left_out(engine: sqlalchemy.Engine, more: str) -> None:
    """Stay the app's own where they are dates that are none, or come of such."""
    mysql.run(
        engine,
        _LOOSE,
        f"CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), {more})",
        "INSERT INTO t (id, v) VALUES (1, '0000-00-00'), (2, '2024-00-10'), (3, '2024-02-29')",
    )
    _goes_back(engine, {"t.w": "a test"})


@pytest.mark.parametrize(
    "more",
    [
        "w DATE AS (v) STORED",
        "w DATE AS (CAST(v AS DATE)) VIRTUAL, KEY (w)",
        "w INT AS (CAST(v AS DATE) + 0) STORED",
        "CHECK (CAST(v AS DATE) IS NOT NULL)",
    ],
)
def test_what_the_server_computes_of_dates(engine: sqlalchemy.Engine, more: str) -> None:
    """It computes as it did, also where that is a date that is none."""
    mysql.run(
        engine,
        _LOOSE,
        f"CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), {more})",
        "INSERT INTO t (id, v) VALUES (1, '0000-00-00'), (2, '2024-00-10'), (3, '2024-02-31')",
    )
    _goes_back(engine, {})


def _goes_back(engine: sqlalchemy.Engine, exclude: dict[str, str]) -> None:
    before = mysql.query(engine, "SELECT * FROM t ORDER BY id")
    texts = Collection("t", fields={"id": int, "v": str}, key="id")
    repository = SQLAlchemyRepository(engine, _schema(texts, exclude=exclude))
    archive = exported(repository)
    for spoil in ("DELETE FROM t", "UPDATE t SET v = '2024-01-01' WHERE id > 1"):
        mysql.run(engine, _LOOSE, spoil)
        import_all(repository, io.BytesIO(archive))
        assert [row[:2] for row in before] == mysql.query(engine, "SELECT id, v FROM t ORDER BY id")
        if spoil.startswith("DELETE") or not exclude:
            assert before == mysql.query(engine, "SELECT * FROM t ORDER BY id")


# -- MySQL -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "type_, default, expected",
    [
        ("date", None, REAL_DATES),
        ("date", "2024-02-29", REAL_DATES),
        ("datetime", "2024-02-29 10:15:00", REAL_DATES),
        ("datetime", "CURRENT_TIMESTAMP", REAL_DATES),
        ("datetime", "now(6)", REAL_DATES),
        ("date", "0000-00-00", ANY_DATES),
        ("date", "2024-02-31", ANY_DATES),
        ("timestamp", "0000-00-00 00:00:00", ANY_DATES),
        ("date", "(curdate() - interval 1 day)", ANY_DATES),
        ("int", "year(`v`)", ANY_DATES),
        ("int", "0", REAL_DATES),
    ],
)
def test_defaults_as_mysql_has_them(type_: str, default: str | None, expected: str) -> None:
    """Without quotes."""
    columns = {
        "id": Column(name="id", declared="int", details=Details(type="int")),
        "w": Column(name="w", declared=type_, details=Details(type=type_, default=default)),
    }
    info = TableInfo(
        name="t",
        sql="`t`",
        columns=columns,
        details=TableDetails(("d", "t"), "InnoDB", transactional=True),
    )
    dialect: Any = MySQLDialect()
    plan = Plan(Collection("t", fields={"id": int}), Table("t"), info, dialect)
    assert expected == mode_of(plan)
