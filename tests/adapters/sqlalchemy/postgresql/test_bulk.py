"""Many records put in by one COPY, their indexes dropped meanwhile, and read by one."""

import io
import itertools
import os
import subprocess
from typing import Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import Engine

from databackup import Collection, Reference, Schema, export_all, import_all
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlalchemy.postgresql.copying import CopyReader
from databackup.adapters.sqlalchemy.postgresql.indexes import WORTH, DroppedIndexes, _Index
from databackup.adapters.sqlalchemy.postgresql.session import PostgreSQLTransaction
from databackup.errors import RecordsNotTaken, RecordsRefused, StoreError
from databackup.repository import BulkTransaction, FormsSnapshot, forms_of
from databackup.schema import Field, kinds
from servers import postgresql
from tests.support.club import memory

MANY = 2 * WORTH
ITEMS = Collection(
    "items",
    key="id",
    fields=[
        Field("id", kinds.Int()),
        Field("code", kinds.Str()),
        Field("parent", kinds.Int()),
    ],
    references=[Reference("parent", "items")],
)
SCHEMA = Schema(collections=[ITEMS])
TABLE = """
CREATE TABLE items (
  id int PRIMARY KEY, code varchar(9) NOT NULL UNIQUE, parent int NOT NULL REFERENCES items (id));
CREATE INDEX by_parent ON items (parent DESC, code text_pattern_ops);
COMMENT ON TABLE items IS 'things'
"""
INDEXES = ("by_parent", "items_code_key", "items_pkey")


class Stop(Exception):
    """Raised by a host that has seen enough."""


@pytest.fixture
def repository(engine: Engine) -> SQLAlchemyRepository:
    """An empty table with a primary key, a unique key, an index and a reference."""
    run(engine, TABLE)
    return SQLAlchemyRepository(engine, SCHEMA)


def run(engine: Engine, sql: str) -> None:
    """Run statements in a transaction of their own."""
    with engine.begin() as connection:
        connection.exec_driver_sql(sql.replace("%", "%%"))


def query(engine: Engine, sql: str) -> list[Any]:
    """The first column of a query."""
    with engine.connect() as connection:
        return [row[0] for row in connection.exec_driver_sql(sql)]


def items(count: int = MANY) -> list[tuple[Any, ...]]:
    """Sound records."""
    return [(number, f"c{number}", 0) for number in range(count)]


def archived(rows: list[Any]) -> io.BytesIO:
    """An archive of records."""
    target = io.BytesIO()
    export_all(memory({"items": rows}, SCHEMA), target)
    return io.BytesIO(target.getvalue())


def definitions(engine: Engine) -> str:
    """What `pg_dump --schema-only` says, less the words that differ with each run."""
    programs = postgresql.bundled()
    assert programs is not None
    url = engine.url.set(drivername="postgresql", query={"host": engine.url.query["host"]})
    (schema,) = query(engine, "SELECT current_schema()")
    said = subprocess.run(
        [
            programs / "pg_dump",
            "--schema-only",
            f"--schema={schema}",
            url.render_as_string(hide_password=False),
        ],
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return "\n".join(line for line in said.split("\n") if not line.startswith("\\"))


def indexes(transaction: Any) -> set[str]:
    """The names of the indexes that there are within a transaction."""
    found = transaction._query(
        "SELECT indexname FROM pg_indexes WHERE tablename = 'items' "
        "AND schemaname = current_schema()",
        doing="indexes cannot be read",
    )
    return {name for (name,) in found}


def nothing_has_changed(engine: Engine) -> bool:
    """The table is as it was: empty, with all indexes, and with nobody connected to it."""
    left = query(
        engine,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%%'",
    )
    names = query(engine, "SELECT indexname FROM pg_indexes WHERE tablename = 'items' ORDER BY 1")
    held = query(engine, "SELECT count(*) FROM items")
    foreign = query(
        engine, "SELECT count(*) FROM pg_constraint WHERE conname = 'items_parent_fkey'"
    )
    return (left, held, foreign) == ([0], [0], [1]) and set(INDEXES) <= set(names)


# -- definitions -------------------------------------------------------------------------------

VARIETY = """
CREATE TABLE items (
  id int GENERATED ALWAYS AS IDENTITY (START WITH 7) PRIMARY KEY,
  code varchar(9) NOT NULL, parent int NOT NULL REFERENCES items (id) ON DELETE CASCADE);
ALTER TABLE items ADD CONSTRAINT "a ""b" UNIQUE (code, id) INCLUDE (parent) DEFERRABLE;
ALTER TABLE items ADD CONSTRAINT commented UNIQUE (id, code);
COMMENT ON CONSTRAINT commented ON items IS 'it''s';
CREATE INDEX filled ON items (parent) WITH (fillfactor = 70);
CREATE INDEX described ON items (parent, id);
COMMENT ON INDEX described IS 'why';
CREATE INDEX part ON items (parent) WHERE parent > 3;
CREATE INDEX expr ON items (lower(code));
ALTER INDEX expr ALTER COLUMN 1 SET STATISTICS 77;
CREATE INDEX "Plain" ON items USING btree (code DESC NULLS LAST, parent) INCLUDE (id);
CREATE INDEX hashed ON items USING hash (code);
CREATE INDEX patterns ON items (code varchar_pattern_ops);
CREATE UNIQUE INDEX own_class ON items (code text_ops);
ALTER TABLE items ADD CONSTRAINT own_class UNIQUE USING INDEX own_class;
CREATE INDEX clustered ON items (parent, code);
ALTER TABLE items CLUSTER ON clustered;
CREATE UNIQUE INDEX replica ON items (code, parent);
ALTER TABLE items ALTER COLUMN parent SET NOT NULL, REPLICA IDENTITY USING INDEX replica;
CREATE VIEW of_key AS SELECT id, code, count(*) FROM items GROUP BY id;
CREATE TABLE outside (item int REFERENCES items (id), code varchar(9), id int,
  FOREIGN KEY (id, code) REFERENCES items (id, code));
"""


_OWN_CLASS = "ALTER TABLE items ADD CONSTRAINT own_class UNIQUE USING INDEX own_class;\n"
_OF_KEY = "CREATE VIEW of_key AS SELECT id, code, count(*) FROM items GROUP BY id;\n"


@pytest.mark.parametrize(
    "script", [TABLE, VARIETY.replace(_OWN_CLASS, ""), VARIETY.replace(_OF_KEY, "")]
)
def test_pg_dump_says_the_same_before_and_after(engine: Engine, script: str) -> None:
    """Names, comments, classes of operators, storage, clustering, replica identity, views."""
    run(engine, script)
    before = definitions(engine)
    schema = SCHEMA.excluding({"outside": "refers to items"}) if "outside" in script else SCHEMA
    import_all(SQLAlchemyRepository(engine, schema), archived(items()))
    assert before == definitions(engine)
    assert [MANY] == query(engine, "SELECT count(*) FROM items")


def test_indexes_are_dropped_and_made(repository: SQLAlchemyRepository) -> None:
    """All that a definition says everything about."""
    with repository.transaction() as transaction, transaction.savepoint():
        assert isinstance(transaction, PostgreSQLTransaction)
        details = transaction._plan(ITEMS).info.details
        dropped = DroppedIndexes(transaction._driver, details.name, details.oid)
        dropped.drop()
        assert set() == indexes(transaction)
        dropped.make()
        assert set(INDEXES) == indexes(transaction)


@pytest.mark.parametrize("count", [WORTH - 1, WORTH])
def test_many_records_are_worth_it(
    repository: SQLAlchemyRepository, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few are not."""
    calls = []
    monkeypatch.setattr(DroppedIndexes, "drop", lambda _: calls.append("drop"))
    import_all(repository, archived(items(count)))
    assert ["drop"] * (count == WORTH) == calls


def test_an_index_that_comes_back_otherwise_was_not_dropped(
    repository: SQLAlchemyRepository, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records are put in once more, with all indexes in place."""
    before = definitions(engine)
    monkeypatch.setattr(_Index, "make", lambda index, _: index.definition)
    import_all(repository, archived(items()))
    assert before == definitions(engine)
    assert [MANY] == query(engine, "SELECT count(*) FROM items")


def test_somebody_who_reads_is_not_waited_for(
    repository: SQLAlchemyRepository, engine: Engine
) -> None:
    """Then the indexes stay."""
    run(engine, "ALTER TABLE items DROP CONSTRAINT items_parent_fkey")
    with engine.connect() as reader:
        reader.exec_driver_sql("SELECT * FROM items").all()
        import_all(repository, archived(items()), wait=0.2)
    assert set(INDEXES) == set(
        query(engine, "SELECT indexname FROM pg_indexes WHERE tablename = 'items'")
    )


# -- what goes wrong in the middle -------------------------------------------------------------


@pytest.mark.parametrize("count", [MANY, 700])
@pytest.mark.parametrize(
    "row, field",
    [
        ((10**9, "much too long for it", 0), "code"),
        ((2**31, "c", 0), "id"),
        ((10**9, "nul\0", 0), "code"),
        ((10**9, "c1", 0), "code"),
    ],
)
def test_the_record_is_named(
    engine: Engine, count: int, row: tuple[Any, ...], field: str | None
) -> None:
    """That has a bad value, or a unique value twice, deep in many that were put in before."""
    run(engine, TABLE)
    rows = items(count)
    rows[-5] = row
    rows.sort()
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(SQLAlchemyRepository(engine, SCHEMA), archived(rows))
    (problem,) = caught.value.problems
    assert ("items", (row[0],), field) == (problem.collection, problem.key, problem.field)
    assert rows.index(row) + 1 == problem.record
    assert nothing_has_changed(engine)


def test_a_reference_that_dangles_is_named(
    repository: SQLAlchemyRepository, engine: Engine
) -> None:
    """The last record of many."""
    rows = items()
    rows[-1] = (rows[-1][0], "c", -1)
    with pytest.raises(Exception, match="is not there") as caught:
        import_all(repository, archived(rows))
    (problem,) = caught.value.problems  # type: ignore[attr-defined]
    assert ("dangling-reference", MANY) == (problem.code, problem.record)
    assert nothing_has_changed(engine)


def test_a_host_that_cancels(repository: SQLAlchemyRepository, engine: Engine) -> None:
    """Its own exception comes out, be it the driver's, and nothing has changed."""
    for error in (Stop(), sqlalchemy.exc.SQLAlchemyError("the host's own")):

        def progress(step: Any, error: Exception = error) -> None:
            if step.done > 500:
                raise error

        with pytest.raises(type(error)) as caught:
            import_all(repository, archived(items()), progress=progress)
        assert error is caught.value
        assert nothing_has_changed(engine)


def test_a_connection_that_is_killed(repository: SQLAlchemyRepository, engine: Engine) -> None:
    """In the middle of a COPY."""

    def progress(step: Any) -> None:
        if step.done > 500:
            run(
                engine,
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'COPY%'",
            )

    with pytest.raises(StoreError):
        import_all(repository, archived(items()), progress=progress)
    assert nothing_has_changed(engine)


def test_a_lent_connection_goes_on(engine: Engine) -> None:
    """Behind a refusal within a COPY, and behind an export that was given up."""
    run(engine, TABLE)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE own (n int)")
        repository = SQLAlchemyRepository(connection, SCHEMA.excluding({"own": "the host's"}))
        with pytest.raises(RecordsNotTaken):
            import_all(repository, archived([(1, "a", 1), (2, "a", 1)]))
        import_all(repository, archived(items()))
        with pytest.raises(Stop):
            export_all(repository, io.BytesIO(), progress=_stop)
        connection.exec_driver_sql("INSERT INTO own VALUES (1)")
    assert [1] == query(engine, "SELECT n FROM own")
    assert [MANY] == query(engine, "SELECT count(*) FROM items")


def _stop(_step: Any) -> None:
    raise Stop


def test_what_the_block_raises_comes_out(repository: SQLAlchemyRepository) -> None:
    """And a savepoint around it undoes what was put in, indexes dropped or not."""
    with repository.transaction() as transaction:
        assert isinstance(transaction, BulkTransaction)
        with pytest.raises(Stop):
            _insert_and_stop(transaction)
        with (
            pytest.raises(RecordsRefused, match="items"),
            transaction.savepoint(),
            transaction.bulk(ITEMS, MANY) as insert,
        ):
            insert([*items(), (1, "again", 0)])
        assert 0 == transaction.count(ITEMS)
        assert set(INDEXES) == indexes(transaction)


def _insert_and_stop(transaction: Any) -> None:
    with transaction.savepoint(), transaction.bulk(ITEMS, MANY) as insert:
        insert(items())
        raise Stop


def test_one_copy_takes_all_batches(repository: SQLAlchemyRepository, engine: Engine) -> None:
    """The server is told once, and no savepoint is set for a batch."""
    said = []

    def progress(step: Any) -> None:
        if step.stage == "writing":
            said.extend(
                query(
                    engine,
                    "SELECT query_start FROM pg_stat_activity "
                    "WHERE datname = current_database() AND query LIKE 'COPY%%'",
                )
            )

    import_all(repository, archived(items(4 * MANY)), progress=progress)
    assert len(said) > 2
    assert 2 >= len(set(said))  # the last batch may be told of behind its end


# -- reading -----------------------------------------------------------------------------------


@pytest.fixture
def full(repository: SQLAlchemyRepository) -> SQLAlchemyRepository:
    """The table with records in it."""
    import_all(repository, archived(items()))
    return repository


def test_other_questions_set_the_rest_aside(full: SQLAlchemyRepository) -> None:
    """Of several readers at once each gets every record once."""
    with full.snapshot() as snapshot:
        assert isinstance(snapshot, FormsSnapshot)
        one, two = (forms_of(snapshot, ITEMS) for _ in range(2))
        counts = [len(next(one)), len(next(two)), len(next(one))]
        assert MANY == snapshot.count(ITEMS)
        rows = snapshot.rows(ITEMS)
        counts += [len(next(rows)), len(next(two))]
        assert [(3, "c3", 0)] == snapshot.get(ITEMS, [(3,)])
        left = [sum(map(len, rest)) for rest in (one, two, rows)]
        assert 3 * MANY == sum(counts) + sum(left)
        assert {} == snapshot.counters()


@pytest.mark.parametrize("bad", [0, 5000, 9999])
def test_a_query_that_fails_in_the_middle(engine: Engine, bad: int) -> None:
    """Raises the driver's error, behind the lines before it, and the transaction goes on."""
    with engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        sql = f"SELECT n / nullif(n - {bad}, 0), 1 / (n - {bad}) FROM generate_series(0, 9999) n"
        reader = CopyReader(driver, sql)
        batches = iter(lambda: reader.fetch(500), [])
        lines: list[bytes] = []
        with pytest.raises(psycopg.errors.DivisionByZero, match="division by zero"):
            lines.extend(itertools.chain.from_iterable(batches))
        reader.close()
        assert bad - bad % 500 == len(lines)
        assert [(1,)] == connection.exec_driver_sql("SELECT 1").all()


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 20_000])
def test_every_line_once(engine: Engine, count: int) -> None:
    """However many come together; the connection is free behind the last one."""
    with engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        reader = CopyReader(driver, f"SELECT n, 'text' FROM generate_series(1, {count}) n")
        lines: list[bytes] = []
        while found := reader.fetch(500):
            lines += map(bytes, found)
        reader.close()
        assert [b"%d\ttext\n" % (n + 1) for n in range(count)] == lines
        assert [(1,)] == connection.exec_driver_sql("SELECT 1").all()


def test_a_reader_that_is_given_up(full: SQLAlchemyRepository) -> None:
    """Leaves the transaction as it was; with its savepoint others end as they began."""
    with full.transaction() as transaction:
        reader = forms_of(transaction, ITEMS)
        next(reader)
        reader.close()  # type: ignore[attr-defined]
        assert MANY == transaction.count(ITEMS)
        with transaction.savepoint():
            rest = forms_of(transaction, ITEMS)
            first = len(next(rest))
        transaction.delete(ITEMS, [(MANY - 1,)])
        assert MANY == first + sum(map(len, rest))
        assert MANY - 1 == sum(map(len, forms_of(transaction, ITEMS)))
