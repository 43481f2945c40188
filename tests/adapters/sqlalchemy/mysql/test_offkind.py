"""What reflected MariaDB tables hold off their kinds, and the order that the others are in."""

import io
from typing import Any

import pytest
import sqlalchemy

from databackup import diff, import_all, inspect_archive
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import InvalidRecords, RecordsNotTaken
from databackup.schema import Collection, Field, Schema, kinds
from tests.support import mysql
from tests.support.archives import exported
from tests.support.club import memory

_LOOSE = "SET sql_mode = 'ALLOW_INVALID_DATES'"


@pytest.mark.parametrize(
    "declared, values",
    [
        ("DATE", ["'0000-00-00'", "'2024-00-10'", "'2024-02-31'", "'2024-02-03'"]),
        ("DATETIME(6)", ["'0000-00-00'", "'2024-01-00 10:00:00.5'", "'2024-01-02 10:00'"]),
        ("DATETIME", ["'2024-02-30 10:00'", "'0000-00-00'"]),
        ("TIMESTAMP(3) NULL", ["'0000-00-00'", "'2024-01-02 10:00:00.125'"]),
        ("BOOLEAN", ["2", "-128", "127", "1", "0"]),
        ("JSON", [f"'{'7' * 1001}'", "'[1]'", "'null'"]),
        ("YEAR", ["0", "2026"]),
        ("TIME(6)", ["'-838:59:59.999999'", "'00:00:00.000001'"]),
    ],
)
@pytest.mark.parametrize("key", ["id", "v"])
def test_what_is_off_its_kind_goes_back(
    engine: sqlalchemy.Engine, declared: str, values: list[str], key: str
) -> None:
    """Into the table that it comes from: inserted, updated, and as a key."""
    if key == "v" and declared in ("JSON", "TIMESTAMP(3) NULL"):
        return  # which nothing can be looked up by
    rows = ", ".join(f"({n}, {value})" for n, value in enumerate(values))
    mysql.run(
        engine,
        _LOOSE,
        f"CREATE TABLE t (id INT, v {declared}, PRIMARY KEY ({key}))",
        f"INSERT INTO t VALUES {rows}",
    )
    before = mysql.query(engine, "SELECT id, CAST(v AS CHAR) FROM t ORDER BY id")
    repository = SQLAlchemyRepository.reflect(engine)
    archive = exported(repository)
    for spoil in ("DELETE FROM t", "UPDATE t SET id = id + 10" if key == "v" else "SELECT 1"):
        mysql.run(engine, _LOOSE, spoil)
        import_all(repository, io.BytesIO(archive))
        assert before == mysql.query(engine, "SELECT id, CAST(v AS CHAR) FROM t ORDER BY id")
    assert diff(repository, io.BytesIO(archive)).identical
    if key == "id":
        nothing = "NULL" if declared != "YEAR" else "2000"
        mysql.run(engine, f"UPDATE t SET v = {nothing}")
        import_all(repository, io.BytesIO(archive))
        assert before == mysql.query(engine, "SELECT id, CAST(v AS CHAR) FROM t ORDER BY id")


@pytest.mark.parametrize("text", ["2024-01-02", "2024-1-2", "yesterday", "0000-00-00 00:00:00"])
def test_no_other_text_is_taken(engine: sqlalchemy.Engine, text: str) -> None:
    """Only what the column would give out as that text."""
    mysql.run(engine, "CREATE TABLE t (id INT PRIMARY KEY, v DATE NOT NULL)")
    repository = SQLAlchemyRepository.reflect(engine)
    archive = exported(memory({"t": [(1, text)]}, repository.schema))
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(repository, io.BytesIO(archive))
    (problem,) = caught.value.problems
    assert ("t", 1, (1,), "v") == (problem.collection, problem.record, problem.key, problem.field)


def test_zero_dates_are_a_problem_of_a_schema_that_refuses_them(engine: sqlalchemy.Engine) -> None:
    """The record is named."""
    mysql.run(
        engine,
        _LOOSE,
        "CREATE TABLE t (id INT PRIMARY KEY, v DATE NOT NULL)",
        "INSERT INTO t VALUES (1, '2024-01-01'), (7, '0000-00-00')",
    )
    fields = [Field("id", kinds.Int()), Field("v", kinds.Date())]
    schema = Schema(collections=[Collection("t", key="id", fields=fields)])
    with pytest.raises(InvalidRecords) as caught:
        exported(SQLAlchemyRepository(engine, schema))
    (problem,) = caught.value.problems
    assert ("t", (7,), "v") == (problem.collection, problem.key, problem.field)


def test_what_an_enum_could_not_take_is_a_problem_of_the_export(engine: sqlalchemy.Engine) -> None:
    """MariaDB keeps an empty text for it, and takes none back: the records to mend are named."""
    mysql.run(
        engine,
        "SET sql_mode = ''",
        "CREATE TABLE t (id INT PRIMARY KEY, v ENUM('a', 'b'), w ENUM('', 'c') NOT NULL)",
        "INSERT INTO t VALUES (1, 'a', 'c'), (7, 'x', 'c'), (8, NULL, ''), (9, 0, '')",
    )
    with pytest.raises(InvalidRecords) as caught:
        exported(SQLAlchemyRepository.reflect(engine))
    assert [("t", (7,), "v"), ("t", (9,), "v")] == [
        (problem.collection, problem.key, problem.field) for problem in caught.value.problems
    ]
    mysql.run(engine, "UPDATE t SET v = NULL WHERE v = 0")
    repository = SQLAlchemyRepository.reflect(engine)
    archive = exported(repository)
    mysql.run(engine, "DELETE FROM t")
    import_all(repository, io.BytesIO(archive))
    after = [(1, "a", "c"), (7, None, "c"), (8, None, ""), (9, None, "")]
    assert after == mysql.query(engine, "SELECT * FROM t ORDER BY id")


def test_defaults_of_columns_that_are_left_out(engine: sqlalchemy.Engine) -> None:
    """Stay the app's own, zero dates as well."""
    mysql.run(
        engine,
        _LOOSE,
        "CREATE TABLE t (id INT PRIMARY KEY, made DATETIME NOT NULL DEFAULT '0000-00-00')",
        "INSERT INTO t (id) VALUES (1)",
    )
    repository = SQLAlchemyRepository.reflect(engine, exclude={"t.made": "a test"})
    archive = exported(repository)
    mysql.run(engine, "DELETE FROM t")
    import_all(repository, io.BytesIO(archive))
    assert [(1, "0000-00-00 00:00:00")] == mysql.query(engine, "SELECT * FROM t")


@pytest.mark.parametrize(
    "declared, order",
    [
        ("INT", "key"),
        ("BIGINT UNSIGNED", "key"),
        ("DECIMAL(9,2)", "key"),
        ("BINARY(16)", "key"),
        ("VARBINARY(9)", "key"),
        ("BIT(1)", "key"),
        ("VARCHAR(9) COLLATE utf8mb4_nopad_bin", "key"),
        ("VARCHAR(9) COLLATE utf8mb4_general_ci", "none"),
        ("DATE", "none"),  # may hold zeros
        ("BOOLEAN", "none"),  # may hold 2
    ],
)
def test_reflected_keys_are_in_order(engine: sqlalchemy.Engine, declared: str, order: str) -> None:
    """Where the type holds nothing off its kind, and its index is in the order of values."""
    mysql.run(engine, f"CREATE TABLE t (k {declared}, v TEXT, PRIMARY KEY (k))")
    repository = SQLAlchemyRepository.reflect(engine)
    marks: dict[str, Any] = {field.name: field.off_kind for field in repository.schema["t"].fields}
    assert {
        "k": "refuse" if declared not in ("DATE", "BOOLEAN") else "keep",
        "v": "refuse",
    } == marks
    assert order == inspect_archive(io.BytesIO(exported(repository))).collections["t"].order
