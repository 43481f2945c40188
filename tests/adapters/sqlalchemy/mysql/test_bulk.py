"""Whole columns at once: what they give and take is what row by row gives and takes."""

import contextlib
import datetime
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import attrs
import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlalchemy.mysql import session
from databackup.adapters.sqlalchemy.mysql.literals import column_literals
from databackup.archive.records import RecordCodec
from databackup.repository import BulkTransaction, FormsSnapshot
from databackup.schema import Collection, Field, Kind, Row, Schema, kinds
from databackup.schema.columns import Forms
from databackup.schema.composite import Enum, Json, Native, Optional
from databackup.testing.harness import all_rows
from tests.support import mysql

_TEXT = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\x1e\x1f\0'\"\\%\n"), max_size=9
)
_NARROW = st.text(st.characters(codec="latin-1"), max_size=9)
_SECONDS = st.datetimes(
    datetime.datetime(1971, 1, 1),  # noqa: DTZ001 - of a naive column
    datetime.datetime(2037, 1, 1),  # noqa: DTZ001
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)


@attrs.frozen
class Type:
    """A column's type, the kind of its values, and such values."""

    declared: str
    kind: Kind
    values: st.SearchStrategy[Any]


TYPES = [
    Type("TINYINT", kinds.Int(), st.integers(-128, 127)),
    Type("INT UNSIGNED ZEROFILL", kinds.Int(), st.integers(0, 2**32 - 1)),
    Type("BIGINT UNSIGNED", kinds.Int(), st.integers(0, 2**64 - 1)),
    Type("BIGINT", kinds.Timedelta(), st.timedeltas(
        datetime.timedelta(days=-(10**8)), datetime.timedelta(days=10**8))),
    Type("YEAR", kinds.Int(), st.sampled_from([0, 1901, 2026, 2155])),
    Type("BIT(64)", kinds.Int(), st.integers(0, 2**64 - 1)),
    Type("BOOLEAN", kinds.Bool(), st.booleans()),
    Type("DOUBLE", kinds.Float(), st.floats(allow_nan=False, allow_infinity=False).filter(
        lambda value: repr(value) != "-0.0")),
    Type("FLOAT", kinds.Float(), st.floats(width=32, allow_nan=False, allow_infinity=False).map(abs)
         .filter(lambda value: value == 0 or value > 1e-37)),
    Type("DECIMAL(9,2)", kinds.Decimal(2), st.decimals(-(10**7) + 1, 10**7 - 1, places=2)),
    Type("DECIMAL(2,2) UNSIGNED", kinds.Decimal(2), st.decimals(0, Decimal("0.99"), places=2)),
    Type("DECIMAL(30)", kinds.Int(), st.integers(1 - 10**30, 10**30 - 1)),
    Type("VARCHAR(99)", kinds.Decimal(), st.decimals(-(10**9), 10**9, places=3)),
    Type("DATE", kinds.Date(), st.dates()),
    Type("DATETIME(6)", kinds.DateTime(), st.datetimes()),
    Type("DATETIME", kinds.DateTime(), st.datetimes().map(lambda v: v.replace(microsecond=0))),
    Type("DATETIME(6)", kinds.DateTimeTz(), st.datetimes(timezones=st.just(datetime.UTC))),
    Type("TIMESTAMP(6) NULL", kinds.DateTimeTz(), _SECONDS.map(
        lambda value: value.replace(tzinfo=datetime.UTC))),
    Type("TIME(6)", kinds.Time(), st.times()),
    Type("TIME(6)", kinds.Timedelta(), st.timedeltas(
        datetime.timedelta(hours=-838), datetime.timedelta(hours=838))),
    Type("VARCHAR(9)", kinds.Str(), _TEXT),
    Type("LONGTEXT", kinds.Str(), _TEXT),
    Type("CHAR(9)", kinds.Str(), _TEXT.filter(lambda text: not text.endswith(" "))),
    Type("VARCHAR(9) CHARACTER SET utf8mb3", kinds.Str(), st.text(
        st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=9)),
    Type("VARCHAR(9) CHARACTER SET latin1", kinds.Str(), _NARROW.filter(
        lambda text: not any("\x80" <= char <= "\x9f" for char in text))),
    Type("VARCHAR(9) CHARACTER SET utf16", kinds.Str(), _TEXT),
    Type("ENUM('a','B ','it''s','x,y')", Enum(("a", "it's", "x,y")), st.sampled_from(
        ["a", "it's", "x,y"])),
    Type("ENUM('a','-','null')", kinds.Str(), st.sampled_from(["a", "-", "null"])),
    Type("SET('a','b','c')", kinds.Str(), st.sampled_from(["", "a", "a,c", "a,b,c"])),
    Type("VARBINARY(9)", kinds.Bytes(), st.binary(max_size=9)),
    Type("BINARY(3)", kinds.Bytes(), st.binary(min_size=3, max_size=3)),
    Type("LONGBLOB", kinds.Bytes(), st.binary(max_size=9)),
    Type("BINARY(16)", kinds.UUID(), st.uuids()),
    Type("UUID", kinds.UUID(), st.uuids(version=4)),
    Type("CHAR(36)", kinds.UUID(), st.uuids()),
    Type("INET6", Native("inet6"), st.sampled_from(["::1", "2001:db8::ff00:42:8329"])),
    Type("JSON", Json(), _JSON),
]  # fmt: skip
_IDS = [f"{type_.declared} {type_.kind.name}" for type_ in TYPES]
_MANY = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _table(
    engine: sqlalchemy.Engine, type_: Type, *, nullable: bool, keep: bool = False
) -> SQLAlchemyRepository:
    null = "NULL" if nullable else "NOT NULL"
    declared = type_.declared.removesuffix(" NULL")
    mysql.run(
        engine,
        "DROP TABLE IF EXISTS things",
        f"CREATE TABLE things (id INT PRIMARY KEY, v {declared} {null}) CHARSET utf8mb4",
    )
    kind = Optional(type_.kind) if nullable else type_.kind
    off_kind = "keep" if keep else "refuse"
    fields = [Field("id", kinds.Int()), Field("v", kind, off_kind=off_kind)]  # type: ignore[arg-type]
    things = Collection("things", fields=fields, key="id")
    return SQLAlchemyRepository(engine, Schema(collections=[things]))


@contextlib.contextmanager
def _row_by_row() -> Iterator[None]:
    """Without joined columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "joined_columns", lambda *_: None)
        yield


def _forms(
    snapshot: FormsSnapshot, collection: Collection, size: int = 7
) -> list[Forms | list[Row]]:
    return list(snapshot.forms(collection, batch_size=size))


def _written(batches: list[Forms | list[Row]], collection: Collection) -> list[bytes]:
    """The lines of batches and their canonical forms."""
    codec = RecordCodec(collection)
    found = []
    for batch in batches:
        lines, canonical = codec.lines(batch)
        found += [*lines.split(b"\n")[:-1], *canonical, *codec.canonical(batch)]
    return found


def _replace(repository: SQLAlchemyRepository, rows: list[Row], *, at_once: bool) -> None:
    """Let a table have these rows and no others."""
    things = repository.schema["things"]
    with repository.transaction() as transaction:
        transaction.clear(things)
        if not at_once:
            transaction.insert(things, rows)
            return
        assert isinstance(transaction, BulkTransaction)
        with transaction.bulk(things, len(rows)) as insert:
            for start in range(0, len(rows), 4):
                insert(rows[start : start + 4])


@pytest.mark.parametrize("type_", TYPES, ids=_IDS)
@pytest.mark.parametrize("nullable", [True, False], ids=["nullable", "not null"])
def test_columns_and_rows_agree(engine: sqlalchemy.Engine, type_: Type, nullable: bool) -> None:
    """Joined columns give the driver's rows, forms are the rows' forms, and bulk inserts them."""
    repository = _table(engine, type_, nullable=nullable)
    things = repository.schema["things"]
    values = type_.values | st.none() if nullable and type_.declared != "JSON" else type_.values

    @_MANY
    @given(st.lists(values, max_size=20), st.booleans())
    def agree(column: list[Any], at_once: bool) -> None:
        rows = list(enumerate(column))
        _replace(repository, rows, at_once=at_once)
        with repository.snapshot() as snapshot:
            assert isinstance(snapshot, FormsSnapshot)
            forms = _forms(snapshot, things)
            given = [row for batch in forms for row in _rows_of(batch)]
            joined = all_rows(snapshot, things)
            with _row_by_row():
                plain = all_rows(snapshot, things)
                batches = list(snapshot.rows(things, batch_size=7))
        assert list(map(repr, plain)) == list(map(repr, joined))
        assert list(map(repr, plain)) == list(map(repr, given))
        assert rows == plain
        assert sorted(_written(list(batches), things)) == sorted(_written(forms, things))

    agree()


def _rows_of(batch: Forms | list[Row]) -> list[Row]:
    return batch.rows if isinstance(batch, Forms) else batch


_AS_FORMS = {
    "TINYINT", "BIGINT UNSIGNED", "YEAR", "BIT(64)", "BOOLEAN", "DOUBLE", "FLOAT", "DECIMAL(9,2)",
    "DATE", "DATETIME(6)", "TIMESTAMP(6) NULL", "VARCHAR(9)", "LONGTEXT", "UUID", "BINARY(16)",
    "VARBINARY(9)", "ENUM('a','-','null')", "SET('a','b','c')", "INET6",
    "VARCHAR(9) CHARACTER SET utf16",
}  # fmt: skip


@pytest.mark.parametrize("type_", TYPES, ids=_IDS)
def test_the_usual_comes_as_forms(engine: sqlalchemy.Engine, type_: Type) -> None:
    """Plain values come joined, and where nothing has to be made of them as forms."""
    if type_.declared not in _AS_FORMS or type_.kind.name == "timedelta":
        pytest.skip("comes as rows")
    repository = _table(engine, type_, nullable=True)
    value = _example(type_)
    _replace(repository, [(n, value if n % 3 else None) for n in range(9)], at_once=True)
    with repository.snapshot() as snapshot:
        (batch,) = snapshot.forms(repository.schema["things"])  # type: ignore[attr-defined]
    assert isinstance(batch, Forms)


def _example(type_: Type) -> Any:
    plain = {
        kinds.Str: "a", kinds.Int: 0, kinds.Decimal: Decimal("1.10"), kinds.Float: 0.5,
        kinds.Bool: True, kinds.Bytes: b"abc", kinds.Date: datetime.date(2026, 11, 22),
        kinds.DateTime: datetime.datetime(2026, 11, 22, 1),  # noqa: DTZ001
        kinds.DateTimeTz: datetime.datetime(2026, 11, 22, 1, tzinfo=datetime.UTC),
        kinds.UUID: uuid.UUID(int=7), Native: "::1",
    }  # fmt: skip
    return plain[type(type_.kind)]


ODD = [
    ("VARCHAR(9)", kinds.Str(), ["a", "\x1f", "\x1e", "\x1e\x1f", "", None]),
    ("DATE", kinds.Date(), ["2026-11-22", "0000-00-00", "2026-00-10", None]),
    ("DATETIME", kinds.DateTime(), ["2026-11-22 10:15:00", "0000-00-00 00:00:00"]),
    ("DATETIME", kinds.DateTimeTz(), ["2026-11-22 10:15:00", "2026-02-00 00:00:00"]),
    ("DOUBLE", kinds.Float(), ["-0e0", "1.5", "-0e0"]),
    ("DOUBLE ZEROFILL", kinds.Float(), ["1.5", "0"]),
    ("DECIMAL(9,2) ZEROFILL", kinds.Decimal(2), ["1.50", "0"]),
    ("TIME", kinds.Time(), ["10:15:00", "-00:00:01", "838:59:59"]),
    ("ENUM('a')", kinds.Str(), ["a", "", None]),
    ("TINYINT", kinds.Bool(), ["1", "0", "7"]),
    ("LONGTEXT", Json(), ["null", "[1, 2.50]", '{"$text": 1}', "1,2", "[", "]", None]),
]


@pytest.mark.parametrize("declared,kind,texts", ODD, ids=[f"{d} {k.name}" for d, k, _ in ODD])
def test_the_odd_comes_as_it_is(
    engine: sqlalchemy.Engine, declared: str, kind: Kind, texts: list[str | None]
) -> None:
    """What no joined column can tell, or no form says, comes as the driver gives it."""
    repository = _table(engine, Type(declared, kind, st.none()), nullable=True, keep=True)
    things = repository.schema["things"]
    with engine.begin() as connection:
        connection.exec_driver_sql("SET sql_mode = 'ALLOW_INVALID_DATES'")
        for number, text in enumerate(texts * 3):
            connection.exec_driver_sql("INSERT INTO things VALUES (%s, %s)", (number, text))
    with repository.snapshot() as snapshot:
        assert isinstance(snapshot, FormsSnapshot)
        joined = all_rows(snapshot, things)
        given = [row for batch in _forms(snapshot, things) for row in _rows_of(batch)]
        with _row_by_row():
            plain = all_rows(snapshot, things)
    assert 3 * len(texts) == len(plain)
    assert list(map(repr, plain)) == list(map(repr, joined)) == list(map(repr, given))


# -- literals --------------------------------------------------------------------------------------

LITERALS = (
    st.lists(_TEXT, min_size=1)
    | st.lists(st.binary(), min_size=1)
    | st.lists(st.integers(-(2**63), 2**64 - 1), min_size=1)
    | st.lists(st.floats(allow_nan=False, allow_infinity=False).filter(
        lambda value: repr(value) != "-0.0"), min_size=1)  # which no form lets through
    | st.lists(st.datetimes(), min_size=1)
    | st.lists(st.dates(), min_size=1)
    | st.lists(st.none() | st.dates() | _TEXT, min_size=1)
)  # fmt: skip


def test_literals_are_their_values(engine: sqlalchemy.Engine) -> None:
    """The server reads every literal as the value that it was made of."""
    with engine.connect() as connection:
        connection.exec_driver_sql("SET sql_mode = 'STRICT_ALL_TABLES'")

        @_MANY
        @given(LITERALS)
        def check(values: list[Any]) -> None:
            expected = [str(v) if isinstance(v, datetime.date) else v for v in values]
            found = connection.exec_driver_sql(
                f"SELECT {', '.join(column_literals(values))}",
                execution_options={"no_parameters": True},
            )
            assert list(map(repr, expected)) == list(map(repr, found.one()))

        check()
