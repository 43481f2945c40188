"""References that a foreign key sees to are checked once: where it is made anew."""

import contextlib
import io
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Engine

from databackup import Collection, Reference, Schema, export_all, import_all
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import InvalidRecords, StoreError
from databackup.schema import Field, kinds
from tests.support.club import memory

ITEMS = Collection(
    "items",
    key="id",
    fields=[Field("id", kinds.Int()), Field("parent", kinds.Int())],
    references=[Reference("parent", "items")],
)
SCHEMA = Schema(collections=[ITEMS])
TABLE = "CREATE TABLE items (id int PRIMARY KEY, parent int NOT NULL)"
KEY = "ALTER TABLE items ADD CONSTRAINT k FOREIGN KEY (parent) REFERENCES items"
NAMED = Collection(
    "items",
    key="id",
    fields=[Field("id", kinds.Str()), Field("parent", kinds.Str())],
    references=[Reference("parent", "items")],
)
PAIRS = Collection(
    "items",
    key=("id", "other"),
    fields=[Field(name, kinds.Int()) for name in ("id", "other", "a", "b")],
    references=[Reference(("b", "a"), "items")],
)


class Stop(Exception):
    """Raised to leave a block."""


def run(engine: Engine, *statements: str) -> None:
    """Run statements in a transaction of their own."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def require_version(engine: Engine, version: int) -> None:
    """Skip what an older server does not know."""
    with engine.connect() as connection:
        ((found,),) = connection.exec_driver_sql("SHOW server_version_num")
    if int(found) < version * 10_000:
        pytest.skip(f"PostgreSQL {version} is needed")


def archived(schema: Schema, rows: list[Any]) -> io.BytesIO:
    """An archive of records."""
    target = io.BytesIO()
    export_all(memory({"items": rows}, schema), target)
    return io.BytesIO(target.getvalue())


def keys(asked: Callable[[str], Any]) -> int:
    """How many foreign keys there are."""
    ((count,),) = asked(
        "SELECT count(*) FROM pg_constraint WHERE conname = 'k' AND conparentid = 0 "
        "AND connamespace = current_schema()::regnamespace"
    )
    return int(count)


def committed(engine: Engine) -> int:
    """As `keys`, of what everybody sees."""
    with engine.connect() as connection:
        return keys(lambda sql: connection.exec_driver_sql(sql).all())


def checks(engine: Engine, repository: SQLAlchemyRepository, source: io.BytesIO) -> tuple[int, int]:
    """How often an import asks for references that dangle, and makes a foreign key."""
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        said.append(statement)

    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    try:
        import_all(repository, source)
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", note)
    asked = sum("NOT EXISTS (SELECT 1" in statement for statement in said)
    return asked, sum("FOREIGN KEY" in s and "ADD CONSTRAINT" in s for s in said)


def test_a_foreign_key_is_the_check(engine: Engine) -> None:
    """Making it anew says what a query would."""
    run(engine, TABLE, KEY)
    found = checks(engine, SQLAlchemyRepository(engine, SCHEMA), archived(SCHEMA, [(1, 1), (2, 1)]))
    assert (0, 1) == found
    assert 1 == committed(engine)


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param((TABLE,), id="none"),
        pytest.param((TABLE, f"{KEY} NOT VALID"), id="not valid"),
        pytest.param((TABLE, f"{KEY} NOT ENFORCED"), id="not enforced"),
        pytest.param(
            (
                f"{TABLE} PARTITION BY RANGE (id)",
                "CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (100)",
                "CREATE TABLE high PARTITION OF items FOR VALUES FROM (100) TO (200)",
                KEY.replace("TABLE items", "TABLE low"),
            ),
            id="of a part",
        ),
        pytest.param(
            (
                TABLE,
                "CREATE TABLE others (id int PRIMARY KEY)",
                "INSERT INTO others VALUES (1), (7)",
                KEY.replace("REFERENCES items", "REFERENCES others"),
            ),
            id="to another table",
        ),
        pytest.param((TABLE, KEY.replace("(parent)", "(id)")), id="of another column"),
    ],
)
def test_a_foreign_key_that_says_less(engine: Engine, statements: tuple[str, ...]) -> None:
    """Leaves records that refer to nothing to a query."""
    if "NOT ENFORCED" in statements[-1]:
        require_version(engine, 18)
    run(engine, *statements)
    others = {"others": "the host's"} if "REFERENCES others" in statements[-1] else {}
    repository = SQLAlchemyRepository(engine, SCHEMA.excluding(others))
    with pytest.raises(InvalidRecords) as caught:
        import_all(repository, archived(SCHEMA, [(1, 1), (101, 7)]))
    (problem,) = caught.value.problems
    assert ("dangling-reference", (101,)) == (problem.code, problem.key)


def test_columns_in_another_order(engine: Engine) -> None:
    """A foreign key whose columns refer to each other's is another."""
    schema = Schema(collections=[PAIRS])
    run(
        engine,
        "CREATE TABLE items (id int, other int, a int NOT NULL, b int NOT NULL, "
        "PRIMARY KEY (id, other), "
        "CONSTRAINT k FOREIGN KEY (a, b) REFERENCES items (id, other))",
    )
    with pytest.raises(InvalidRecords):
        import_all(SQLAlchemyRepository(engine, schema), archived(schema, [(1, 2, 1, 2)]))
    assert 1 == committed(engine)


def test_text_is_compared_to_the_byte(engine: Engine) -> None:
    """Which a foreign key does not, under some collations."""
    schema = Schema(collections=[NAMED])
    run(engine, TABLE.replace("int", "text"), KEY)
    source = archived(schema, [("a", "a"), ("b", "a")])
    assert (1, 1) == checks(engine, SQLAlchemyRepository(engine, schema), source)


def test_writes_after_a_check(engine: Engine) -> None:
    """Are not checked one by one; the next check sees them."""
    run(engine, TABLE, KEY)
    (reference,) = ITEMS.references
    with SQLAlchemyRepository(engine, SCHEMA).transaction() as transaction:
        asked: Any = transaction

        def standing() -> int:
            return keys(lambda sql: asked._query(sql, doing="keys cannot be read"))

        transaction.insert(ITEMS, [(1, 1), (2, 1)])
        assert [] == transaction.dangling(ITEMS, reference, 9)
        assert [] == transaction.dangling(ITEMS, reference, 9)
        assert 1 == standing()
        transaction.delete(ITEMS, [(1,)])
        assert 0 == standing()
        assert [(1,)] == transaction.dangling(ITEMS, reference, 9)
        assert 0 == standing()
        transaction.insert(ITEMS, [(1, 2)])
        assert [] == transaction.dangling(ITEMS, reference, 9)
        transaction.finish({})
    assert 1 == committed(engine)


def test_a_check_in_a_savepoint_that_is_undone(engine: Engine) -> None:
    """Does not take the foreign key along."""
    run(engine, TABLE, KEY)
    (reference,) = ITEMS.references
    with SQLAlchemyRepository(engine, SCHEMA).transaction() as transaction:
        transaction.insert(ITEMS, [(1, 1)])
        for first in (False, True):
            if first:
                assert [] == transaction.dangling(ITEMS, reference, 9)
            with contextlib.suppress(Stop), transaction.savepoint():
                transaction.insert(ITEMS, [(2, 1)])
                assert [] == transaction.dangling(ITEMS, reference, 9)
                raise Stop
        transaction.finish({})
    assert 1 == committed(engine)


def test_a_reader_goes_on_behind_a_check(engine: Engine) -> None:
    """One that is open lets no key be made: then a query tells."""
    run(engine, TABLE, KEY, "INSERT INTO items VALUES (1, 1), (2, 1)")
    (reference,) = ITEMS.references
    with SQLAlchemyRepository(engine, SCHEMA).transaction() as transaction:
        transaction.update(ITEMS, [(2, 2)])
        rows = transaction.rows(ITEMS, batch_size=1)
        first = next(rows)
        assert [] == transaction.dangling(ITEMS, reference, 9)
        assert [[(1, 1)], [(2, 2)]] == [first, *rows]
        transaction.finish({})
    assert 1 == committed(engine)


def test_a_connection_that_is_lost(engine: Engine) -> None:
    """Before a check: what is wrong is told, and nothing has changed."""
    run(engine, TABLE, KEY)
    (reference,) = ITEMS.references

    def lost() -> None:
        with SQLAlchemyRepository(engine, SCHEMA).transaction() as transaction:
            transaction.insert(ITEMS, [(1, 1)])
            asked: Any = transaction
            ((backend,),) = asked._query("SELECT pg_backend_pid()", doing="it is not there")
            run(engine, f"SELECT pg_terminate_backend({backend}, 1000)")
            transaction.dangling(ITEMS, reference, 9)

    with pytest.raises(StoreError, match=r"(?i)connection|terminat"):
        lost()
    assert 1 == committed(engine)


def test_a_comment_stays(engine: Engine) -> None:
    """That of a foreign key which a check has made anew."""
    run(engine, TABLE, KEY, r"COMMENT ON CONSTRAINT k ON items IS 'it''s \ a key'")
    import_all(SQLAlchemyRepository(engine, SCHEMA), archived(SCHEMA, [(1, 1)]))
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'k' "
            "AND connamespace = current_schema()::regnamespace"
        )
        assert [(r"it's \ a key",)] == found.all()
