"""Whole columns to and from PostgreSQL hold what single values would, of every type."""

import contextlib
import datetime
import io
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from databackup import Collection, Schema, export_all, import_all, inspect_archive
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlalchemy.postgresql.copytext import columns_of, csv_lines
from databackup.repository import forms_of
from databackup.schema import Field, Kind, composite, kinds
from databackup.schema.columns import Forms
from databackup.schema.composite import Optional
from databackup.testing.exact import exact_rows
from databackup.testing.strategies.values import values
from tests.support import databases, pgtables
from tests.support.club import memory

_LABELS = ("red", "", "grün", "NULL", 'a"b\\')
TYPES: dict[str, Kind] = {
    "bool": kinds.Bool(),
    "int2": kinds.Int(),
    "int4": kinds.Int(),
    "int8": kinds.Int(),
    "float8": kinds.Float(),
    "numeric": kinds.Decimal(),
    "numeric(10,2)": kinds.Decimal(2),
    "text": kinds.Str(),
    "varchar(5)": kinds.Str(),
    "char(5)": kinds.Str(),
    "bytea": kinds.Bytes(),
    "date": kinds.Date(),
    "time": kinds.Time(),
    "timestamp": kinds.DateTime(),
    "timestamp(0)": kinds.DateTime(),
    "timestamptz": kinds.DateTimeTz(),
    "uuid": kinds.UUID(),
    "json": composite.Json(),
    "jsonb": composite.Json(),
    "varchar": composite.Enum(_LABELS),
}
PLAIN = "abc\\\"',\t\n\r\b\f\v\x01 .N[]{}é€😀null"
SCHEMA = Schema(
    collections=[
        Collection(
            "things",
            key="id",
            fields=[
                Field("id", kinds.Int()),
                *(Field(f"f{n}", Optional(kind)) for n, kind in enumerate(TYPES.values())),
            ],
        )
    ]
)
THINGS = SCHEMA["things"]
LIMITS: dict[str, st.SearchStrategy[Any]] = {
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int4": st.integers(-(2**31), 2**31 - 1),
    "int8": st.integers(-(2**63), 2**63 - 1),
    "numeric": st.decimals(-(10**9), 10**9, places=4) | st.sampled_from([Decimal("NaN")]),
    "numeric(10,2)": st.decimals(-(10**8) + 1, 10**8 - 1, places=2).map(lambda d: d + 0),
    "text": st.text(PLAIN),
    "varchar(5)": st.text(PLAIN, max_size=5),
    "char(5)": st.text(PLAIN, max_size=5).map(lambda text: text.rstrip(" ")),
    "timestamp": st.datetimes(),
    "timestamp(0)": st.datetimes().map(lambda moment: moment.replace(microsecond=0)),
    "json": st.recursive(
        st.none() | st.integers() | st.text(PLAIN.replace("\x01", "")) | st.floats(-9, 9),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab$ :,"), inner),
        max_leaves=4,
    ),
}
LIMITS["jsonb"] = LIMITS["json"]
VALUES = [LIMITS.get(name, values(kind)) for name, kind in TYPES.items()]
ROWS = st.lists(st.tuples(*(st.none() | found for found in VALUES)), max_size=5).map(
    lambda found: [(number, *row) for number, row in enumerate(found)]
)


def made(engine: Engine) -> SQLAlchemyRepository:
    """An empty table with a column of each type."""
    columns = ", ".join(f"f{n} {declared}" for n, declared in enumerate(TYPES))
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS things")
        connection.exec_driver_sql(f"CREATE TABLE things (id int PRIMARY KEY, {columns})")
    return SQLAlchemyRepository(engine, SCHEMA)


def stored(engine: Engine) -> list[Any]:
    """What the table holds, as text."""
    with engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT t::text FROM things t ORDER BY id"))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS)
def test_all_at_once_is_as_one_by_one(engine: Engine, rows: list[Any]) -> None:
    """The table holds the same, its digest and what is read from it are the same."""
    repository = made(engine)
    with repository.transaction() as transaction:
        transaction.insert(THINGS, rows)
    one_by_one = stored(engine)
    with repository.snapshot() as snapshot:
        expected = exact_rows(THINGS, [row for batch in snapshot.rows(THINGS) for row in batch])
    archive = io.BytesIO()
    export_all(repository, archive)
    origin = io.BytesIO()
    export_all(memory({"things": rows}, SCHEMA), origin)
    made(engine)
    import_all(repository, io.BytesIO(origin.getvalue()))
    assert one_by_one == stored(engine)
    digests = [
        inspect_archive(io.BytesIO(file.getvalue())).collections for file in (origin, archive)
    ]
    assert digests[0] == digests[1]
    with repository.snapshot() as snapshot:
        found = [
            row
            for batch in forms_of(snapshot, THINGS)
            for row in (batch.rows if isinstance(batch, Forms) else batch)
        ]
    assert expected == exact_rows(THINGS, found)


MOMENT = datetime.datetime.fromisoformat("2024-01-01T00:00:00")
USUAL: tuple[Any, ...] = (
    1, True, 2, 3, 4, 1.5, Decimal("1.50"), Decimal("2.50"), 'a\t"\\n\n', "b", "c", b"\0\\",
    datetime.date(2024, 2, 29), datetime.time(1, 2, 3), MOMENT.replace(microsecond=50),
    MOMENT, datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    uuid.UUID(int=7), {"a": [1, "x"]}, ["é\n"], "grün",
)  # fmt: skip


@pytest.mark.parametrize("row", [USUAL, (1, *[None] * len(TYPES))])
def test_no_value_is_made_of_what_is_usual(
    engine: Engine, row: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on the way in nor on the way out, with nulls and without."""
    repository = made(engine)
    origin = io.BytesIO()
    export_all(memory({"things": [row]}, SCHEMA), origin)
    with monkeypatch.context() as patch:
        patch.setattr(Forms, "rows", property(lambda _forms: pytest.fail("rows are made")))
        import_all(repository, io.BytesIO(origin.getvalue()))
        with repository.snapshot() as snapshot:
            (batch,) = forms_of(snapshot, THINGS)
            assert isinstance(batch, Forms)
    with repository.snapshot() as snapshot:
        assert [row] == next(iter(snapshot.rows(THINGS)))


@pytest.mark.parametrize(
    "declared, kind, literal",
    [
        ("date", kinds.Date(), "infinity"),
        ("date", kinds.Date(), "0044-03-15 BC"),
        ("time", kinds.Time(), "24:00:00"),
        ("timestamp", kinds.DateTime(), "-infinity"),
        ("timestamp", kinds.DateTime(), "0044-03-15 00:00:00.123 BC"),
        ("timestamptz", kinds.DateTimeTz(), "20000-01-01 00:00:00+00"),
        ("numeric", kinds.Decimal(), "NaN"),
        ("float8", kinds.Float(), "-Infinity"),
        ("int8", kinds.Int(), "9007199254740993"),
        ("json", composite.Json(), '{"a": 1, "a": 2}'),
        ("jsonb", composite.Json(), '{"$json": 1.0}'),
        ("jsonb", composite.Json(), "null"),
        ("text", composite.Enum(("red",)), "blue"),
    ],
)
def test_what_is_out_of_the_usual_is_read_alike(
    engine: Engine, declared: str, kind: Kind, literal: str
) -> None:
    """As forms, where there are any, and as rows."""
    fields = [Field("id", kinds.Int()), Field("v", Optional(kind), off_kind="keep")]
    odd = Collection("odd", key="id", fields=fields)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE odd (id int PRIMARY KEY, v {declared})")
        connection.exec_driver_sql("INSERT INTO odd VALUES (1, NULL), (2, %s)", (literal,))
    repository = SQLAlchemyRepository(engine, Schema(collections=[odd]))
    with repository.snapshot() as snapshot:
        (rows,) = snapshot.rows(odd)
        (batch,) = forms_of(snapshot, odd)
    forms = odd.codec.encode(rows)
    if isinstance(batch, Forms):
        assert [form.v1 for form in forms] == list(batch.columns[1])
        batch = batch.rows
    assert exact_rows(odd, rows) == exact_rows(odd, batch)


@given(st.lists(st.tuples(st.text(PLAIN), st.none() | st.text(PLAIN)), min_size=1, max_size=3))
def test_csv_is_what_postgresql_reads(rows: list[Any]) -> None:
    """Texts of any characters but NUL come back, and null is not the text of it."""
    with _connection() as connection, connection.begin():
        connection.exec_driver_sql("CREATE TEMP TABLE t (a text, b text) ON COMMIT DROP")
        driver: Any = connection.connection.driver_connection
        lines = csv_lines(list(zip(*rows, strict=True)))
        assert lines is not None
        with driver.cursor() as cursor:
            sql = r"COPY t FROM STDIN (FORMAT csv, NULL 'null', ESCAPE E'\\')"
            with cursor.copy(sql) as copy:
                copy.write(lines)
            with cursor.copy("COPY t TO STDOUT") as copy:
                found = columns_of(map(bytes, copy), 2)
    assert rows == list(zip(*found, strict=True))


def test_nul_has_no_csv() -> None:
    """It is left to those who can say where it stands; a backslash before a u is none."""
    assert csv_lines([["a\0b"]]) is None
    assert b'"a\\\\u0000b"\n' == csv_lines([["a\\u0000b"]])
    assert b"" == csv_lines([[], []])


_ENGINES: list[Engine] = []


@pytest.fixture(scope="module", autouse=True)
def _one_connection() -> Iterator[None]:
    with databases.postgresql() as url, pgtables.engine_of(url) as engine:
        _ENGINES.append(engine)
        yield
        _ENGINES.clear()


@contextlib.contextmanager
def _connection() -> Iterator[sqlalchemy.Connection]:
    with _ENGINES[0].connect() as connection:
        yield connection
