"""Types that only PostgreSQL has, as its own text, through reflection."""

import io
from collections.abc import Iterator

import pytest
import sqlalchemy

from databackup import import_all, inspect_archive, verify_archive
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import RecordsNotTaken
from databackup.schema import composite
from tests.support import pgtables
from tests.support.pgsql import exported, query, records, run

_TYPES = (
    "CREATE TYPE mood AS ENUM ('sad', 'so, so', 'it''s \"ok\"', '')",
    "CREATE TYPE pair AS (n int, t text)",
    "CREATE TYPE nest AS (p pair, ps pair[], m mood)",
    "CREATE DOMAIN short AS varchar(5) CHECK (VALUE <> 'no')",
    "CREATE DOMAIN shorter AS short",
    "CREATE DOMAIN one_pair AS pair CHECK ((VALUE).n > 0)",
    "CREATE DOMAIN ints AS int[]",
    "CREATE DOMAIN money2 AS numeric(9,2)",
    "CREATE DOMAIN gladness AS mood",
    "CREATE TYPE span AS RANGE (subtype = float8)",
)
_VALUES: dict[str, list[str]] = {
    "pair": ["(1, 'a')", "(NULL, '')", "(NULL, NULL)", "(2, E'q\"\\\\,(){} \\n')"],
    "pair[]": ["ARRAY[(1, 'a,\"b\"'), NULL, (NULL, E'\\\\')]::pair[]", "'{}'", "'{{}}'"],
    "nest": ["((1, 'x'), ARRAY[(2, E'\"\\\\')]::pair[], 'sad')", "(NULL, NULL, NULL)"],
    "one_pair": ["(1, 'a')"],
    "one_pair[]": ["ARRAY[(1, 'a')]::one_pair[]"],
    "mood": ["'sad'", "'so, so'", "'it''s \"ok\"'", "''"],
    "mood[]": ["ARRAY['sad', NULL, 'it''s \"ok\"', '', 'so, so']::mood[]"],
    "gladness": ["'sad'", "''"],
    "gladness[]": ["ARRAY['sad', '']::gladness[]"],
    "short": ["'a b '", "''"],
    "shorter": ["'abcde'"],
    "shorter[]": ["ARRAY['a', NULL, 'NULL', 'null']::shorter[]"],
    "ints": ["'{1,NULL}'", "'{{1,2},{3,4}}'", "'[0:1]={5,6}'"],
    "money2": ["1.5", "'NaN'"],
    "int4range": ["'[1,5)'", "'empty'", "'(,)'"],
    "int4multirange": ["'{[1,3), [5,9)}'", "'{}'"],
    "tstzrange": ["'[2024-01-01 00:00+02, infinity)'"],
    "daterange[]": ["ARRAY['[2024-01-01,2024-02-01)', 'empty', NULL]::daterange[]"],
    "span": ["'[0.1,1e300]'"],
    "inet": ["'10.0.0.1/8'", "'::1'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "macaddr8": ["'08:00:2b:01:02:03:04:05'"],
    "money": ["'12.5'", "'-0.01'"],
    "bit(3)": ["B'101'"],
    "varbit": ["B''", "B'1'"],
    "tsvector": ["'a:1A b:2 ''it''''s'':3'", "''"],
    "tsquery": ["'a & !b'"],
    "jsonpath": ["'$.a[*] ? (@ > 1)'"],
    "point": ["'(1,0.1)'"],
    "line": ["'{1,2,3}'"],
    "lseg": ["'[(0,0),(1,1)]'"],
    "box": ["'(2,2),(1,1)'"],
    "box[]": ["'{(2,2),(1,1);(4,4),(3,3)}'"],
    "path": ["'[(0,0),(1,1)]'", "'((0,0),(1,1))'"],
    "polygon": ["'((0,0),(1,1),(2,0))'"],
    "circle": ["'<(0,0),1>'"],
    "pg_lsn": ["'16/B374D848'"],
    "xid8": ["'18446744073709551615'"],
    "oid": ["4294967295"],
    '"char"': ["'a'", "''"],
    "name": ["'a''b'"],
    "bytea[]": ["ARRAY['\\x00ff'::bytea, NULL, '']"],
    "bool[]": ["'{t,f,NULL}'"],
    "json[]": ["""ARRAY['{"a":"\\""}', NULL, 'null', '[null]']::json[]"""],
    "jsonb[]": ["""ARRAY['{"a": [1]}', NULL, 'null']::jsonb[]"""],
    "uuid[]": ["ARRAY['f0000000-0000-0000-0000-000000000000']::uuid[]"],
    "numeric(5,2)[]": ["'{1.10,NaN}'"],
    "date[]": ["'{2024-01-01}'", "'{infinity}'", "'{2024-01-01,-infinity,NULL}'"],
    "timestamptz[]": ["'{2024-01-01 00:00+02}'"],
    "interval[]": ["'{1 mon -1 day}'"],
    "float4[]": ["'{0.1,NaN,-0}'"],
}
_OF_DEBIAN: dict[str, list[str]] = {
    "xml": ["'<a b=\"c\">é &amp; </a>'", "'text only'", "''"],
    "xml[]": ["ARRAY['<a/>'::xml, NULL]"],
    "hstore": ['\'a=>1, "b c"=>NULL, ""=>"\\"\\\\"\'', "''"],
    "hstore[]": ["ARRAY['a=>1'::hstore, NULL, '']"],
    "citext": ["'Ab'", "''"],
    "ltree": ["'a.b.c'", "''"],
}


def _travels(engine: sqlalchemy.Engine, declared: str, literals: list[str]) -> None:
    rows = ", ".join(f"({n}, {literal})" for n, literal in enumerate([*literals, "NULL"]))
    run(
        engine,
        f"CREATE TABLE t (id int PRIMARY KEY, v {declared})",
        f"INSERT INTO t VALUES {rows}",
    )
    before = query(engine, "SELECT id, v::text, v IS NULL FROM t ORDER BY id")
    repository = SQLAlchemyRepository.reflect(engine)
    archive = exported(repository)
    verify_archive(io.BytesIO(archive), repository.schema)
    for spoil in ("DELETE FROM t", "UPDATE t SET v = NULL", "UPDATE t SET id = id + 100"):
        run(engine, spoil)
        import_all(repository, io.BytesIO(archive))
        assert before == query(engine, "SELECT id, v::text, v IS NULL FROM t ORDER BY id")
    assert records(archive) == records(exported(repository))


@pytest.mark.parametrize("declared", _VALUES)
def test_values_come_back(engine: sqlalchemy.Engine, declared: str) -> None:
    """NULL, empty ones, and those with quotes and backslashes, of all types that need nothing."""
    run(engine, *_TYPES)
    _travels(engine, declared, _VALUES[declared])


@pytest.fixture(scope="module")
def _extended(_icu_url: str) -> str:
    engine = sqlalchemy.create_engine(_icu_url)
    run(engine, *(f"CREATE EXTENSION {name}" for name in ("hstore", "citext", "ltree")))
    engine.dispose()
    return _icu_url


@pytest.fixture
def debian(_extended: str) -> Iterator[sqlalchemy.Engine]:
    """An engine of Debian's PostgreSQL, which has extensions and XML."""
    with pgtables.engine_of(_extended, "public") as made:
        yield made


@pytest.mark.parametrize("declared", _OF_DEBIAN)
def test_values_of_extensions_come_back(debian: sqlalchemy.Engine, declared: str) -> None:
    """Those of extensions and of libxml, which not every server has."""
    _travels(debian, declared, _OF_DEBIAN[declared])


def test_types_are_native_by_name(engine: sqlalchemy.Engine) -> None:
    """Composite types, ranges and domains over them are text with the type's name."""
    run(
        engine,
        *_TYPES,
        "CREATE TABLE t (id int PRIMARY KEY, p pair, ps one_pair[], r span, m gladness)",
    )
    kinds = {f.name: f.value_kind for f in SQLAlchemyRepository.reflect(engine).schema["t"].fields}
    assert composite.Native("pair") == kinds["p"]
    assert composite.List(composite.Optional(composite.Native("pair"))) == kinds["ps"]
    assert composite.Native("span") == kinds["r"]
    assert composite.Enum(("sad", "so, so", 'it\'s "ok"', "")) == kinds["m"]


def test_a_domain_that_refuses(engine: sqlalchemy.Engine) -> None:
    """The record is named, before anything is changed."""
    run(engine, *_TYPES, "CREATE TABLE t (id int PRIMARY KEY, v text)")
    run(engine, "INSERT INTO t VALUES (1, 'yes'), (2, 'no')")
    archive = exported(SQLAlchemyRepository.reflect(engine))
    run(engine, "DELETE FROM t", "ALTER TABLE t ALTER v TYPE short")
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(SQLAlchemyRepository.reflect(engine), io.BytesIO(archive))
    (problem,) = caught.value.problems
    assert ("t", 2, (2,)) == (problem.collection, problem.record, problem.key)
    assert "short" in problem.message
    assert [] == query(engine, "SELECT * FROM t")


def test_partitions_with_references(engine: sqlalchemy.Engine) -> None:
    """References from, to and within partitioned tables, and those of one partition alone."""
    run(
        engine,
        "CREATE TABLE p (id int, y int, PRIMARY KEY (id, y)) PARTITION BY LIST (y)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)",
        "CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2) PARTITION BY RANGE (id)",
        "CREATE TABLE p2a PARTITION OF p2 FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE plain (id int PRIMARY KEY, pid int, py int, "
        "FOREIGN KEY (pid, py) REFERENCES p ON DELETE CASCADE)",
        "CREATE TABLE c (id int, d date, up int NOT NULL REFERENCES plain, PRIMARY KEY (id, d)) "
        "PARTITION BY RANGE (d)",
        "CREATE TABLE c1 PARTITION OF c FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        "CREATE TABLE c2 PARTITION OF c DEFAULT",
        "CREATE TABLE log (line text)",
        "ALTER TABLE c1 ADD CONSTRAINT of_its_own FOREIGN KEY (up) REFERENCES plain "
        "ON DELETE RESTRICT",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS "
        "$$ BEGIN INSERT INTO log VALUES (TG_TABLE_NAME); RETURN NEW; END $$",
        "CREATE TRIGGER whole AFTER INSERT OR DELETE ON c FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE TRIGGER part AFTER INSERT OR DELETE ON c2 FOR EACH ROW EXECUTE FUNCTION f()",
        "ALTER TABLE c1 DISABLE TRIGGER whole",
        "INSERT INTO p VALUES (1, 1), (1, 2), (2, 2)",
        "INSERT INTO plain VALUES (1, 1, 2), (2, 2, 2), (3, NULL, 2)",
        "INSERT INTO c VALUES (1, '2024-05-01', 1), (1, '2030-01-01', 2)",
        "DELETE FROM log",
    )
    states = (
        "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger "
        "WHERE NOT tgisinternal ORDER BY 1, 2"
    )
    keys = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE contype = 'f' AND connamespace = current_schema()::regnamespace ORDER BY 1, 2, 3"
    )
    before = [query(engine, states), query(engine, keys)]
    repository = SQLAlchemyRepository.reflect(engine)
    archive = exported(repository)
    assert {"p": 3, "plain": 3, "c": 2, "log": 0} == {
        name: found.records
        for name, found in inspect_archive(io.BytesIO(archive)).collections.items()
    }
    for spoil in ("TRUNCATE p, plain, c", "UPDATE plain SET pid = NULL", "DELETE FROM c"):
        run(engine, spoil, "DELETE FROM log")
        import_all(repository, io.BytesIO(archive))
        assert records(archive) == records(exported(repository))
        assert before == [query(engine, states), query(engine, keys)]
