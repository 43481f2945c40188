"""What reflection says of PostgreSQL's types: what they may hold, and the order of keys."""

import io

import pytest
import sqlalchemy

from databackup import import_all, inspect_archive
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from tests.support.pgsql import exported, query, records, run

_ENUM = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'Happy')"
_DOMAIN = "CREATE DOMAIN code AS varchar(9) CHECK (VALUE <> '')"


@pytest.mark.parametrize(
    "declared, values",
    [
        ("int2", ["3", "-1", "20"]),
        ("int4", ["3", "-1", "20"]),
        ("int8", ["9223372036854775807", "-1", "20"]),
        ("text", ["'b'", "'B'", "'a'", "'é'", "''", "'a b'", "'ab'"]),
        ("varchar(3)", ["'b'", "'B'", "'a'", "'é'"]),
        ("char(3)", ["'b'", "'B'", "'a'", "'ab'"]),
        ("uuid", ["'f0000000-0000-0000-0000-000000000000'", "gen_random_uuid()"]),
        ("bytea", ["'\\xff'", "'\\x'", "'\\x00ff'"]),
        ("bool", ["true", "false"]),
        ("numeric", ["1.10", "'NaN'", "'Infinity'", "'-Infinity'", "-3", "1e100"]),
        ("numeric(9,2)", ["1.10", "'NaN'", "-3"]),
        ("float8", ["'NaN'", "'-Infinity'", "0.1", "-0.5", "'Infinity'"]),
        ("mood", ["'sad'", "'ok'", "'Happy'"]),
        ("code", ["'b'", "'B'", "'a'"]),
        ("oid", ["7", "3"]),
    ],
)
def test_keys_that_hold_their_kind_are_in_order(
    engine: sqlalchemy.Engine, declared: str, values: list[str]
) -> None:
    """Types that hold nothing else are not marked, and their records come in key order."""
    rows = ", ".join(f"({value}, {n})" for n, value in enumerate(values))
    run(
        engine,
        _ENUM,
        _DOMAIN,
        f"CREATE TABLE t (k {declared} PRIMARY KEY, n int)",
        f"INSERT INTO t VALUES {rows}",
    )
    before = query(engine, "SELECT n, k::text FROM t ORDER BY n")
    repository = SQLAlchemyRepository.reflect(engine)
    assert "refuse" == repository.schema["t"].field("k").off_kind
    archive = exported(repository)
    assert "key" == inspect_archive(io.BytesIO(archive)).collections["t"].order
    for spoil in ("DELETE FROM t WHERE n = 1", "UPDATE t SET n = -n", "TRUNCATE t"):
        run(engine, spoil)
        import_all(repository, io.BytesIO(archive))
        assert before == query(engine, "SELECT n, k::text FROM t ORDER BY n")


@pytest.mark.parametrize(
    "declared, values",
    [
        ("date", ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'2024-01-01'"]),
        ("timestamp", ["'infinity'", "'12000-01-01'", "'2024-01-01'"]),
        ("timestamptz", ["'-infinity'", "'2024-01-01 00:00+02'"]),
        ("time", ["'24:00'", "'12:00'"]),
        ("timetz", ["'24:00+01'", "'12:00+01'"]),
        ("interval", ["'1 mon'", "'178000000 years'"]),
    ],
)
@pytest.mark.parametrize("is_key", [True, False])
def test_values_without_a_python_value_still_travel(
    engine: sqlalchemy.Engine, declared: str, values: list[str], is_key: bool
) -> None:
    """Types that hold more than their kind keep it, in keys, too, which are in no order then."""
    rows = ", ".join(f"({value}, {n})" for n, value in enumerate(values))
    run(
        engine,
        f"CREATE TABLE t (k {declared}, n int, PRIMARY KEY ({'k' if is_key else 'n'}))",
        f"INSERT INTO t VALUES {rows}",
    )
    before = query(engine, "SELECT n, k::text FROM t ORDER BY n")
    repository = SQLAlchemyRepository.reflect(engine)
    assert "keep" == repository.schema["t"].field("k").off_kind
    archive = exported(repository)
    order = inspect_archive(io.BytesIO(archive)).collections["t"].order
    assert ("none" if is_key else "key") == order
    for spoil in ("DELETE FROM t", "UPDATE t SET n = n + 10"):
        run(engine, spoil)
        import_all(repository, io.BytesIO(archive))
        assert before == query(engine, "SELECT n, k::text FROM t ORDER BY n")
    assert records(archive) == records(exported(repository))
