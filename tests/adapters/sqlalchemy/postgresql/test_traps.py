"""What breaks a naive backup of PostgreSQL, one test each."""

import datetime
import io
import math
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy

from databackup import Collection, Interval, Reference, Schema, import_all
from databackup.adapters.sqlalchemy import SQLAlchemyRepository, Table
from databackup.errors import (
    InvalidRecords,
    RecordsNotTaken,
    StoreError,
    StoreFailed,
    StoreLocked,
    StoreMismatch,
)
from databackup.schema import Field, composite, kinds
from databackup.schema.interval import IntervalKind
from tests.archive.support import archive_of
from tests.support.pgsql import exported, query, records, run, there_and_back, undone


def schema_of(**collections: Collection) -> Schema:
    """A schema of these collections."""
    return Schema(collections=list(collections.values()))


INT, STR = kinds.Int(), kinds.Str()


# -- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "declared, kind, literals, values",
    [
        ("int2", INT, ["-32768", "32767"], [-32768, 32767]),
        ("int8", INT, ["9223372036854775807"], [2**63 - 1]),
        ("numeric", kinds.Decimal(), ["1.10", "'NaN'", "'Infinity'"], ["1.10", "NaN", "Infinity"]),
        ("numeric(10,2)", kinds.Decimal(2), ["1.1", "12345678.90"], ["1.10", "12345678.90"]),
        (
            "float4",
            kinds.Float(),
            ["0.1", "'NaN'", "'-0'", "'Infinity'"],
            [0.1, math.nan, -0.0, math.inf],
        ),
        ("float8", kinds.Float(), ["0.1", "5e-324", "1e300"], [0.1, 5e-324, 1e300]),
        ("text", STR, ["''", "E'a\\tb\\n\\\\N'", "'é'"], ["", "a\tb\n\\N", "é"]),
        ("varchar(3)", STR, ["'abc'"], ["abc"]),
        ("char(3)", STR, ["'a'"], ["a"]),
        ("bytea", kinds.Bytes(), ["'\\x00ff5c'"], [b"\x00\xff\\"]),
        ("bool", kinds.Bool(), ["true", "false"], [True, False]),
        ("date", kinds.Date(), ["'0001-01-01'"], [datetime.date(1, 1, 1)]),
        ("time", kinds.Time(), ["'23:59:59.999999'"], [datetime.time(23, 59, 59, 999999)]),
        (
            "timetz",
            kinds.TimeTz(),
            ["'10:00+05:30'"],
            [datetime.time(10, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30)))],
        ),
        (
            "timestamp",
            kinds.DateTime(),
            ["'2024-02-29 12:00:00.000001'"],
            [datetime.datetime.fromisoformat("2024-02-29T12:00:00.000001")],
        ),
        (
            "timestamptz",
            kinds.DateTimeTz(),
            ["'2024-06-01 12:00+02'"],
            [datetime.datetime(2024, 6, 1, 10, tzinfo=datetime.UTC)],
        ),
        (
            "interval",
            IntervalKind(),
            ["'1 mon 1 day'", "'-1 day +01:00:00.5'", "'2 years -3 mons'"],
            [Interval(1, 1, 0), Interval(0, -1, 3_600_500_000), Interval(21, 0, 0)],
        ),
        ("interval", kinds.Timedelta(), ["'-1.5 seconds'"], [datetime.timedelta(seconds=-1.5)]),
        ("json", composite.Json(), ["'{\"a\":1.5}'"], [{"a": 1.5}]),
        (
            "jsonb",
            composite.Json(),
            ["'12345678901234567890.5'", "'null'"],
            [Decimal("12345678901234567890.5"), None],
        ),
        (
            "int4[]",
            composite.List(composite.Optional(INT)),
            ["'{1,NULL,3}'", "'{}'"],
            [[1, None, 3], []],
        ),
        (
            "text[]",
            composite.List(composite.Optional(STR)),
            ["ARRAY['a,b','\"\\','NULL',NULL,'']"],
            [["a,b", '"\\', "NULL", None, ""]],
        ),
        ("inet", composite.Native("inet"), ["'10.0.0.1/8'"], ["10.0.0.1/8"]),
        ("int4range", composite.Native("int4range"), ["'[1,5]'"], ["[1,6)"]),
        ("bit(3)", composite.Native("bit"), ["B'101'"], ["101"]),
        ("money", composite.Native("money"), ["'12.5'"], ["$12.50"]),
        ("tsvector", composite.Native("tsvector"), ["'a:1 b:2'"], ["'a':1 'b':2"]),
    ],
)
def test_types(
    engine: sqlalchemy.Engine, declared: str, kind: Any, literals: list[str], values: list[Any]
) -> None:
    """Every type's values are read as they are, and come back whatever was there."""
    rows = ", ".join(f"({n}, {literal})" for n, literal in enumerate(literals))
    run(
        engine,
        f"CREATE TABLE t (id int PRIMARY KEY, v {declared} NOT NULL)",
        f"INSERT INTO t VALUES {rows}",
    )
    schema = schema_of(t=Collection("t", key="id", fields=[Field("id", INT), Field("v", kind)]))
    repository = SQLAlchemyRepository(engine, schema)
    with repository.snapshot() as snapshot:
        found = [row[1] for batch in snapshot.rows(schema["t"]) for row in batch]
    assert list(map(str, values)) == list(map(str, found))
    before = query(engine, "SELECT id, v::text FROM t ORDER BY id")
    there_and_back(engine, schema, "DELETE FROM t")
    assert before == query(engine, "SELECT id, v::text FROM t ORDER BY id")
    there_and_back(engine, schema, "INSERT INTO t SELECT id + 100, v FROM t")
    assert before == query(engine, "SELECT id, v::text FROM t ORDER BY id")


@pytest.mark.parametrize(
    "declared, kind, literal",
    [
        ("date", kinds.Date(), "'infinity'"),
        ("date", kinds.Date(), "'0044-03-15 BC'"),
        ("timestamp", kinds.DateTime(), "'-infinity'"),
        ("timestamptz", kinds.DateTimeTz(), "'12000-01-01 00:00+00'"),
        ("time", kinds.Time(), "'24:00'"),
        ("json", composite.Json(), f"'{'[' * 300}{']' * 300}'"),
        ("jsonb", composite.Json(), f"'{'7' * 1001}'"),
        ("int4[]", composite.List(composite.Optional(INT)), "'{{1,2},{3,4}}'"),
        ("int4[]", composite.List(composite.Optional(INT)), "'[2:3]={1,2}'"),
    ],
)
def test_values_beyond_pythons(
    engine: sqlalchemy.Engine, declared: str, kind: Any, literal: str
) -> None:
    """They are kept as PostgreSQL writes them where the field keeps what is off its kind."""
    run(
        engine,
        f"CREATE TABLE t (id int PRIMARY KEY, v {declared})",
        f"INSERT INTO t VALUES (1, {literal})",
    )
    field = Field("v", composite.Optional(kind), off_kind="keep")
    schema = schema_of(t=Collection("t", key="id", fields=[Field("id", INT), field]))
    before = query(engine, "SELECT v::text FROM t")
    there_and_back(engine, schema, "UPDATE t SET v = NULL")
    assert before == query(engine, "SELECT v::text FROM t")


@pytest.mark.parametrize("declared", ["json", "jsonb"])
@pytest.mark.parametrize("text", ["[" * 300 + "]" * 300, "7" * 1001])
def test_json_that_no_archive_holds(engine: sqlalchemy.Engine, declared: str, text: str) -> None:
    """It is refused, and not taken for a JSON text of these characters."""
    run(
        engine,
        f"CREATE TABLE t (id int PRIMARY KEY, v {declared} NOT NULL)",
        f"INSERT INTO t VALUES (1, '{text}')",
    )
    field = Field("v", composite.Json())
    schema = schema_of(t=Collection("t", key="id", fields=[Field("id", INT), field]))
    with pytest.raises(InvalidRecords, match="values that its schema does not allow"):
        exported(SQLAlchemyRepository(engine, schema))


@pytest.mark.parametrize(
    "declared, kind, value",
    [
        ("varchar(2)", STR, "abc"),
        ("varchar(2)", STR, "ab "),
        ("char(2)", STR, "a "),
        ("text", STR, "a\0b"),
        ("int2", INT, 40_000),
        ("int8", INT, 2**63),
        ("numeric(5,2)", kinds.Decimal(), Decimal("1.005")),
        ("numeric(5,2)", kinds.Decimal(), Decimal(1000)),
        (
            "timestamp(0)",
            kinds.DateTime(),
            datetime.datetime.fromisoformat("2024-01-01T00:00:00.000001"),
        ),
        ("time(3)", kinds.Time(), datetime.time(0, 0, 0, 1)),
        ("interval(0)", kinds.Timedelta(), datetime.timedelta(microseconds=1)),
        ("float4", kinds.Float(), 0.12345678901),
        ("jsonb", composite.Json(), {"a": "\0"}),
    ],
)
def test_what_a_column_cannot_hold(
    engine: sqlalchemy.Engine, declared: str, kind: Any, value: Any
) -> None:
    """It is named with record, key and field, before the commit; PostgreSQL rounds in silence."""
    run(engine, f"CREATE TABLE t (id int PRIMARY KEY, v {declared})")
    schema = schema_of(t=Collection("t", key="id", fields=[Field("id", INT), Field("v", kind)]))
    archive = archive_of(schema, {"t": [(1, value)]})
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(SQLAlchemyRepository(engine, schema), io.BytesIO(archive))
    (problem,) = caught.value.problems
    assert ("t", 1, (1,)) == (problem.collection, problem.record, problem.key)
    assert "store-refuses" == problem.code  # and not found at the read-back
    if declared != "jsonb":
        assert "v" == problem.field
    assert [] == query(engine, "SELECT * FROM t")


# -- tables ------------------------------------------------------------------------------------

PAIRS = schema_of(
    a=Collection("a", key="id", fields={"id": int, "b": int}, references=[Reference("b", "b")]),
    b=Collection("b", key="id", fields={"id": int, "a": int}, references=[Reference("a", "a")]),
)
CYCLE = (
    "CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL)",
    "CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a (id) ON DELETE CASCADE)",
    (
        'ALTER TABLE a ADD CONSTRAINT "a\'s b" FOREIGN KEY (b) REFERENCES b (id) '
        "DEFERRABLE INITIALLY DEFERRED"
    ),
    "INSERT INTO a VALUES (1, 1), (2, 2)",
    "INSERT INTO b VALUES (1, 2), (2, 1)",
    "SET CONSTRAINTS ALL IMMEDIATE",
    'ALTER TABLE a ALTER CONSTRAINT "a\'s b" NOT DEFERRABLE',
    "COMMENT ON CONSTRAINT \"a's b\" ON a IS E'it\\'s \\\\ here'",
)


def constraints(engine: sqlalchemy.Engine) -> list[tuple[Any, ...]]:
    """The foreign keys as they are defined."""
    return query(
        engine,
        "SELECT conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint') "
        "FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace "
        "ORDER BY conname",
    )


def test_cycles_that_cannot_be_deferred(engine: sqlalchemy.Engine) -> None:
    """Both sides NOT NULL and NOT DEFERRABLE; the foreign keys are as before."""
    run(engine, *CYCLE)
    before = constraints(engine)
    there_and_back(engine, PAIRS, "TRUNCATE a, b")
    there_and_back(engine, PAIRS, "UPDATE a SET b = 1")
    assert before == constraints(engine)
    assert "it's \\ here" in [comment for _, _, comment in before]


def test_foreign_keys_stay_after_a_refusal(engine: sqlalchemy.Engine) -> None:
    """What an import has taken off comes back with the rollback."""
    run(engine, *CYCLE)
    before = constraints(engine)
    archive = archive_of(PAIRS, {"a": [(1, 5)], "b": []})
    with pytest.raises(InvalidRecords, match="points at b int 5, which is not there"):
        import_all(SQLAlchemyRepository(engine, PAIRS), io.BytesIO(archive))
    assert before == constraints(engine)
    assert [(1, 1), (2, 2)] == query(engine, "SELECT * FROM a ORDER BY id")


def test_triggers_do_not_fire_and_stay(engine: sqlalchemy.Engine) -> None:
    """Neither on writes nor for ever after are they lost, or switched on where they were off."""
    run(
        engine,
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE TABLE log (line text)",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS "
        "$$ BEGIN INSERT INTO log VALUES (TG_NAME); RETURN NEW; END $$",
        "CREATE TRIGGER fires AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE TRIGGER always AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "ALTER TABLE t ENABLE ALWAYS TRIGGER always",
        "CREATE TRIGGER never AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "ALTER TABLE t DISABLE TRIGGER never",
        "INSERT INTO t VALUES (1)",
    )
    schema = Schema(
        collections=[
            Collection("t", key="id", fields={"id": int}),
            Collection("log", fields={"line": str}),
        ]
    )
    states = (
        "SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgrelid = 't'::regclass ORDER BY 1"
    )
    before = query(engine, states)
    there_and_back(engine, schema, "DELETE FROM t", "DELETE FROM log")
    assert before == query(engine, states)
    assert 2 == len(query(engine, "SELECT * FROM log"))


@pytest.mark.parametrize(
    "declared",
    ["serial", "int GENERATED ALWAYS AS IDENTITY", "int GENERATED BY DEFAULT AS IDENTITY"],
)
def test_the_next_insert_of_the_app(engine: sqlalchemy.Engine, declared: str) -> None:
    """Counters go on behind what was given out, deleted records included."""
    run(
        engine,
        f"CREATE TABLE t (id {declared} PRIMARY KEY, v text)",
        "INSERT INTO t (v) VALUES ('a'), ('b'), ('c')",
        "DELETE FROM t WHERE id = 3",
    )
    schema = schema_of(t=Collection("t", key="id", fields={"id": int, "v": str | None}))
    there_and_back(engine, schema, "TRUNCATE t RESTART IDENTITY")
    run(engine, "INSERT INTO t (v) VALUES ('next')")
    assert [(1, "a"), (2, "b"), (4, "next")] == query(engine, "SELECT * FROM t ORDER BY id")


def test_a_rollback_leaves_counters(engine: sqlalchemy.Engine) -> None:
    """Unlike setval, what an import does to a counter is undone."""
    run(engine, "CREATE TABLE t (id serial PRIMARY KEY)", "INSERT INTO t DEFAULT VALUES")
    repository = SQLAlchemyRepository(
        engine, schema_of(t=Collection("t", key="id", fields={"id": int}))
    )
    with undone(repository) as transaction:
        transaction.finish({"t": 77})
    run(engine, "INSERT INTO t DEFAULT VALUES")
    assert [(1,), (2,)] == query(engine, "SELECT id FROM t ORDER BY id")


def test_generated_columns_are_read_for_nobody(engine: sqlalchemy.Engine) -> None:
    """They are made anew."""
    run(
        engine,
        "CREATE TABLE t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED)",
        "INSERT INTO t VALUES (4)",
    )
    there_and_back(
        engine, schema_of(t=Collection("t", key="id", fields={"id": int})), "DELETE FROM t"
    )
    assert [(4, 8)] == query(engine, "SELECT * FROM t")


def test_each_row_once(engine: sqlalchemy.Engine) -> None:
    """Rows of partitions come through their table, those of heirs through their own alone."""
    run(
        engine,
        "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE high PARTITION OF parted FOR VALUES FROM (10) TO (20)",
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE heir (extra text, PRIMARY KEY (id)) INHERITS (parent)",
        "INSERT INTO parted VALUES (1), (11)",
        "INSERT INTO parent VALUES (1)",
        "INSERT INTO heir VALUES (2, 'x')",
    )
    schema = schema_of(
        parted=Collection("parted", key="id", fields={"id": int}),
        parent=Collection("parent", key="id", fields={"id": int}),
        heir=Collection("heir", key="id", fields={"id": int, "extra": str | None}),
    )
    there_and_back(engine, schema, "DELETE FROM parted", "DELETE FROM parent")
    assert [(1,)] == query(engine, "SELECT id FROM ONLY parent")
    assert [(2, "x")] == query(engine, "SELECT id, extra FROM heir")
    assert [(1,)] == query(engine, "SELECT id FROM low")


def test_row_level_security_is_no_filter(engine: sqlalchemy.Engine) -> None:
    """A policy that would hide rows from the backup is an error, and not a smaller backup."""
    run(
        engine,
        "CREATE TABLE t (id int PRIMARY KEY)",
        "INSERT INTO t VALUES (1), (2)",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE t FORCE ROW LEVEL SECURITY",
        "CREATE POLICY p ON t USING (id = 1)",
        "DO $$ BEGIN CREATE ROLE databackup_reader; EXCEPTION WHEN duplicate_object THEN END $$",
        "GRANT ALL ON t TO databackup_reader",
    )
    (schema_name,) = query(engine, "SELECT current_schema()::text")[0]
    run(engine, f"GRANT USAGE ON SCHEMA {schema_name} TO databackup_reader")
    schema = schema_of(t=Collection("t", key="id", fields={"id": int}))
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("SET LOCAL ROLE databackup_reader")
        with pytest.raises(StoreFailed, match="row-level security"):
            exported(SQLAlchemyRepository(connection, schema))


def test_several_schemas(engine: sqlalchemy.Engine) -> None:
    """Tables of other schemas are named with theirs."""
    (own,) = query(engine, "SELECT current_schema()::text")[0]
    other = f"{own} B"
    run(
        engine,
        f'CREATE SCHEMA "{other}"',
        f'CREATE TABLE "{other}"."Order Details" ("select" int PRIMARY KEY, "a %s" text)',
        f'INSERT INTO "{other}"."Order Details" VALUES (1, \'x\')',
    )
    try:
        details = Collection("details", key="id", fields={"id": int, "text": str | None})
        table = Table(f"{other}.Order Details", {"id": "select", "text": "a %s"})
        there_and_back(
            engine,
            schema_of(details=details),
            f'DELETE FROM "{other}"."Order Details"',
            tables={"details": table},
            schemas=[other],
        )
        there_and_back(
            engine,
            schema_of(details=details),
            f'UPDATE "{other}"."Order Details" SET "a %s" = NULL',
            tables={"details": table},
            schemas=[other],
        )
    finally:
        run(engine, f'DROP SCHEMA "{other}" CASCADE')


def test_what_the_schema_overlooks(engine: sqlalchemy.Engine) -> None:
    """Tables that are no collections, columns that are no fields are refused; Alembic's is not."""
    run(
        engine,
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "CREATE TABLE other (id int)",
        "CREATE TABLE alembic_version (version_num text)",
        "CREATE VIEW seen AS SELECT * FROM t",
    )
    repository = SQLAlchemyRepository(
        engine, schema_of(t=Collection("t", key="id", fields={"id": int}))
    )
    with pytest.raises(StoreMismatch) as caught:
        exported(repository)
    assert 2 == len(caught.value.differences)


# -- references from outside -------------------------------------------------------------------


@pytest.mark.parametrize(
    "action, left",
    [("CASCADE", [(1,)]), ("SET NULL", [(1,), (None,)]), ("SET DEFAULT", [(1,), (1,)])],
)
def test_references_from_outside_the_schema(
    engine: sqlalchemy.Engine, action: str, left: list[Any]
) -> None:
    """What a delete would carry off is refused, or carried off where that is allowed."""
    run(
        engine,
        "CREATE TABLE t (id int PRIMARY KEY)",
        f"CREATE TABLE o (t int DEFAULT 1 REFERENCES t ON DELETE {action})",
        "INSERT INTO t VALUES (1)",
    )
    schema = Schema(
        collections=[Collection("t", key="id", fields={"id": int})], exclude={"o": "a test"}
    )
    repository = SQLAlchemyRepository(engine, schema)
    archive = exported(repository)
    run(engine, "INSERT INTO t VALUES (2)", "INSERT INTO o VALUES (1), (2)")
    with pytest.raises(StoreError, match="leaves that table out"):
        import_all(repository, io.BytesIO(archive))
    assert 2 == len(query(engine, "SELECT * FROM t"))
    import_all(repository, io.BytesIO(archive), allow_cascade=True)
    assert left == query(engine, "SELECT t FROM o ORDER BY t NULLS LAST")


# -- transactions ------------------------------------------------------------------------------


def test_a_hosts_transaction_stays_its_own(engine: sqlalchemy.Engine) -> None:
    """Within it an import is a savepoint."""
    run(engine, "CREATE TABLE t (id int PRIMARY KEY)")
    schema = schema_of(t=Collection("t", key="id", fields={"id": int}))
    archive = archive_of(schema, {"t": [(5,)]})
    with engine.connect() as connection:
        outer = connection.begin()
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        import_all(SQLAlchemyRepository(connection, schema), io.BytesIO(archive), mode="add")
        assert [(1,), (5,)] == connection.exec_driver_sql("SELECT id FROM t ORDER BY 1").all()
        bad = archive_of(schema, {"t": [(2**40,)]})
        with pytest.raises(RecordsNotTaken):
            import_all(SQLAlchemyRepository(connection, schema), io.BytesIO(bad), mode="add")
        assert [(1,), (5,)] == connection.exec_driver_sql("SELECT id FROM t ORDER BY 1").all()
        outer.rollback()
    assert [] == query(engine, "SELECT * FROM t")


def test_a_second_import_waits_and_is_refused(engine: sqlalchemy.Engine) -> None:
    """One import at a time."""
    run(engine, "CREATE TABLE t (id int PRIMARY KEY)")
    schema = schema_of(t=Collection("t", key="id", fields={"id": int}))
    first, second = (SQLAlchemyRepository(engine, schema) for _ in range(2))
    with (
        first.transaction(),
        pytest.raises(StoreLocked),
        second.transaction(wait=0.1),
    ):
        pass


def test_a_connection_that_is_killed(engine: sqlalchemy.Engine) -> None:
    """It is a typed error, and the store is as it was."""
    run(engine, "CREATE TABLE t (id int PRIMARY KEY)")
    collection = Collection("t", key="id", fields={"id": int})
    repository = SQLAlchemyRepository(engine, schema_of(t=collection))
    with undone(repository) as transaction:
        transaction.insert(collection, [(1,)])
        ((pid,),) = transaction._query("SELECT pg_backend_pid()", doing="nothing fails")
        run(engine, f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(StoreFailed):
            transaction.insert(collection, [(2,)])
    assert [] == query(engine, "SELECT * FROM t")


def test_passwords_are_not_told() -> None:
    """A server that cannot be reached is named without the password."""
    url = sqlalchemy.make_url("postgresql+psycopg://me:sec%25ret@127.0.0.1:1/db")
    repository = SQLAlchemyRepository(
        sqlalchemy.create_engine(url), schema_of(t=Collection("t", key="id", fields={"id": int}))
    )
    with pytest.raises(StoreError) as caught:
        exported(repository)
    assert "127.0.0.1" in str(caught.value)
    assert "sec" not in str(caught.value) + repr(repository)


def test_a_hosts_settings_stay(engine: sqlalchemy.Engine) -> None:
    """Also for the rest of its transaction."""
    run(engine, "CREATE TABLE t (id int PRIMARY KEY)")
    schema = schema_of(t=Collection("t", key="id", fields={"id": int}))
    archive = io.BytesIO(archive_of(schema, {"t": [(5,)]}))
    shown = (
        "SELECT current_setting('TimeZone'), current_setting('IntervalStyle'), "
        "current_setting('lock_timeout'), current_setting('row_security')"
    )
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("SET LOCAL TimeZone = 'Asia/Tokyo'")
        before = connection.exec_driver_sql(shown).all()
        import_all(SQLAlchemyRepository(connection, schema), archive)
        assert before == connection.exec_driver_sql(shown).all()
        exported(SQLAlchemyRepository(connection, schema))
        assert before == connection.exec_driver_sql(shown).all()


def test_a_lent_connection_shows_one_moment(engine: sqlalchemy.Engine) -> None:
    """Whether or not the host has begun a transaction on it."""
    run(engine, "CREATE TABLE t (id int PRIMARY KEY)", "SET lock_timeout = 100")
    collection = Collection("t", key="id", fields={"id": int})
    with engine.connect() as connection:
        repository = SQLAlchemyRepository(connection, schema_of(t=collection))
        with repository.snapshot() as snapshot:
            assert 0 == snapshot.count(collection)
            run(engine, "INSERT INTO t VALUES (1)")
            assert 0 == snapshot.count(collection)
        with connection.begin(), repository.snapshot() as snapshot:
            assert 1 == snapshot.count(collection)
            with pytest.raises(sqlalchemy.exc.OperationalError, match="lock timeout"):
                run(engine, "SET LOCAL lock_timeout = 100", "INSERT INTO t VALUES (2)")
            assert 1 == snapshot.count(collection)


def test_autocommit_is_no_transaction(engine: sqlalchemy.Engine) -> None:
    """A lent connection that commits by itself is refused; an engine's is given a transaction."""
    run(engine, "CREATE TABLE t (id int PRIMARY KEY)")
    schema = schema_of(t=Collection("t", key="id", fields={"id": int}))
    committing = engine.execution_options(isolation_level="AUTOCOMMIT")
    plain = exported(SQLAlchemyRepository(engine, schema))
    assert records(plain) == records(exported(SQLAlchemyRepository(committing, schema)))
    with (
        committing.connect() as connection,
        pytest.raises(StoreError, match="AUTOCOMMIT"),
    ):
        exported(SQLAlchemyRepository(connection, schema))


def test_other_drivers_are_refused() -> None:
    """With the one that is needed."""
    engine = sqlalchemy.create_engine("postgresql+pg8000://h/d", module=_Pg8000)
    with pytest.raises(StoreError, match=r'drivername="postgresql\+psycopg"'):
        SQLAlchemyRepository(engine, schema_of(t=Collection("t", key="id", fields={"id": int})))


class _Pg8000:
    """As much of another driver as SQLAlchemy looks at."""

    __version__ = "1.30.0"
    paramstyle = "format"
    Error = Exception


def test_imports_into_other_tables_wait_too(engine: sqlalchemy.Engine) -> None:
    """One import at a time into a database, whatever its tables."""
    run(engine, "CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY)")
    one, other = (
        SQLAlchemyRepository(
            engine,
            Schema(
                collections=[Collection(name, key="id", fields={"id": int})], exclude={left: "test"}
            ),
        )
        for name, left in ("ab", "ba")
    )
    with one.transaction(), pytest.raises(StoreLocked), other.transaction(wait=0.1):
        pass


def test_reading_goes_on_behind_the_end_of_writing(engine: sqlalchemy.Engine) -> None:
    """Foreign keys are made anew while a query is open, which PostgreSQL itself forbids."""
    run(engine, *CYCLE)
    with undone(SQLAlchemyRepository(engine, PAIRS)) as transaction:
        transaction.delete(PAIRS["b"], [(2,)])
        transaction.insert(PAIRS["b"], [(2, 1)])
        batches = transaction.rows(PAIRS["a"], batch_size=1)
        assert [(1, 1)] == next(batches)
        transaction.finish({})
        assert [[(2, 2)]] == list(batches)
