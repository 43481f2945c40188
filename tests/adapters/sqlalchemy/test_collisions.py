"""Values that one store tells apart and another does not: named before the commit."""

import contextlib
import io
from collections.abc import Iterator

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from databackup import import_all
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import Problem, RecordsNotTaken
from databackup.repository import Row
from databackup.schema import Collection, Schema
from tests.archive.support import archive_of
from tests.support import databases, mysql, pgroles
from tests.support.pgsql import query, run

FOLDING = {
    "MariaDB": "VARCHAR(20) COLLATE utf8mb4_general_ci",
    "citext": "citext",
    "ICU": "text COLLATE folding",
}
ROWS: list[Row] = [("A", "x", 1), ("a", "y", 1), ("b", "z", 2), ("c", "X", 3)]
SCHEMA = Schema(
    collections=[Collection("t", key="k", fields={"k": str, "u": str, "n": int})],
)


@contextlib.contextmanager
def _engine(store: str) -> Iterator[sqlalchemy.Engine]:
    if store == "MariaDB":
        with mysql.engine() as engine:
            yield engine
        return
    with databases.postgresql(icu=True) as url:
        engine = sqlalchemy.create_engine(url, poolclass=NullPool)
        run(
            engine,
            "CREATE EXTENSION citext",
            "CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', "
            "deterministic = false)",
        )
        yield engine


def _table(store: str) -> str:
    type_ = FOLDING[store]
    return (
        f"CREATE TABLE t (k {type_} NOT NULL, u {type_} NOT NULL, n INT NOT NULL, "
        "PRIMARY KEY (k), CONSTRAINT only_one UNIQUE (u))"
    )


def _problems(engine: sqlalchemy.Engine, rows: list[Row], mode: str = "replace") -> list[Problem]:
    archive = archive_of(SCHEMA, {"t": rows})
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(SQLAlchemyRepository(engine, SCHEMA), io.BytesIO(archive), mode=mode)  # type: ignore[arg-type]
    return sorted(caught.value.problems, key=lambda problem: problem.record or 0)


@pytest.mark.parametrize("store", FOLDING)
def test_what_a_store_takes_for_one(store: str) -> None:
    """Keys and unique values: collection, record, key and field, and the constraint's name."""
    with _engine(store) as engine:
        run(engine, _table(store))
        for before in ([], [("b", "q", 9)]):
            for row in before:
                run(engine, "INSERT INTO t VALUES ('{}', '{}', {})".format(*row))
            first, second = _problems(engine, ROWS)
            assert ("t", ("a",), "k") == (first.collection, first.key, first.field)
            assert ("t", ("c",), "u") == (second.collection, second.key, second.field)
            assert [2, 4] == [first.record, second.record]
            assert "only_one" in second.message
            assert before == query(engine, "SELECT * FROM t")
        # The store's own record is in the way, and stays.
        (found,) = _problems(engine, [("B", "other", 1)], "merge")
        assert ("t", 1, ("B",), "k") == (found.collection, found.record, found.key, found.field)
        assert [("b", "q", 9)] == query(engine, "SELECT * FROM t")
        # Written otherwise it is another record, which takes its place.
        archive = io.BytesIO(archive_of(SCHEMA, {"t": [("B", "Q", 1), ("é", "e", 1)]}))
        import_all(SQLAlchemyRepository(engine, SCHEMA), archive)
        assert [("B", "Q", 1), ("é", "e", 1)] == query(engine, "SELECT * FROM t ORDER BY u DESC")


def test_without_ownership() -> None:
    """The same is said to a role that only writes."""
    with _engine("ICU") as owner:
        run(owner, _table("ICU"))
        with pgroles.writer(owner) as engine:
            first, second = _problems(engine, ROWS)
    assert [(("a",), "k"), (("c",), "u")] == [(p.key, p.field) for p in (first, second)]
