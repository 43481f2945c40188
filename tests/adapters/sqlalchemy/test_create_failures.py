"""Tables that an import makes are there whole, with all records, or not at all."""

import hashlib
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event, text
from sqlalchemy.pool import NullPool

from databackup import Collection, Reference, Schema, import_all
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlite import SQLiteRepository
from databackup.archive.format import seal_to_bytes
from databackup.errors import (
    ArchiveInvalid,
    CannotCreate,
    InvalidRecords,
    RecordsNotTaken,
    SchemaMismatch,
    StoreError,
)
from databackup.schema import Field, kinds
from databackup.schema.composite import Enum, List, Native
from tests.adapters.sqlalchemy.targets import TARGETS, Target
from tests.support import databases, processes, sqlite
from tests.support.archives import exported
from tests.support.club import CLUB, club, memory

ENGINES = ["SQLite", "SQLAlchemy on SQLite", "PostgreSQL", "MariaDB"]
NAMES = {c.name for c in CLUB.collections}


@pytest.fixture(params=ENGINES)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """An empty database of each engine."""
    with TARGETS[request.param]() as found:
        yield found


def _archive(dataset: Any = None, schema: Schema = CLUB) -> io.BytesIO:
    return io.BytesIO(exported(memory(dataset, schema)))


def _run(engine: sqlalchemy.Engine, *statements: str) -> list[Any]:
    with engine.begin() as connection:
        found = [connection.execute(text(statement)) for statement in statements]
        return [tuple(row) for row in found[-1]] if found[-1].returns_rows else []


# -- all or nothing --------------------------------------------------------------------------------


def test_a_refused_record_leaves_no_table(target: Target) -> None:
    """What is found once everything is written undoes the tables, too."""
    dataset = club() | {"plays": [(99, "A")]}
    with pytest.raises(InvalidRecords, match="points at members"):
        import_all(target.reflected(), _archive(dataset), create=True)
    assert set() == target.tables()


def test_an_interrupt_leaves_no_table(target: Target) -> None:
    """Nor does what the host raises."""

    def interrupt(_progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_all(target.reflected(), _archive(), create=True, progress=interrupt)
    assert set() == target.tables()


@pytest.mark.parametrize("name", ["PostgreSQL", "MariaDB"])
def test_a_lost_connection_leaves_no_table(name: str) -> None:
    """Not even where each table was committed: another connection drops them."""
    with TARGETS[name]() as target:

        def cut(_progress: object) -> None:
            with target.engine.connect() as connection:
                for number in _others(connection):
                    kill = "KILL" if name == "MariaDB" else "SELECT pg_terminate_backend"
                    connection.exec_driver_sql(
                        f"{kill}({number})" if name[0] == "P" else f"KILL {number}"
                    )

        with pytest.raises(StoreError):
            import_all(target.reflected(), _archive(), create=True, progress=cut)
        assert set() == target.tables()


def _others(connection: sqlalchemy.Connection) -> list[int]:
    if connection.dialect.name == "postgresql":
        sql = (
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    else:
        sql = (
            "SELECT id FROM information_schema.processlist "
            "WHERE db = database() AND id <> connection_id()"
        )
    return list(connection.exec_driver_sql(sql).scalars())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PostgreSQL", "MariaDB"])
def test_killed_at_every_statement_on_a_server(name: str) -> None:
    """A killed process leaves all or nothing; on MariaDB, which commits tables, empty ones."""
    archive = _archive().getvalue()

    def attempt(target: Target, deadly: int | None) -> int:
        engine = sqlalchemy.create_engine(target.engine.url, poolclass=NullPool)
        count = 0

        def next_one(*_arguments: object) -> None:
            nonlocal count
            count += 1
            if count == deadly:
                processes.kill_self()

        event.listen(engine, "before_cursor_execute", next_one)
        repository = SQLAlchemyRepository.reflect(engine)
        import_all(repository, io.BytesIO(archive), create=True)
        return count

    with TARGETS[name]() as target:
        total = attempt(target, None)
        whole = exported(target.of(CLUB)).count(b"\n")
    seen = set()
    for deadly in [*range(1, total + 1, 4), total + 1]:
        with TARGETS[name]() as target:
            work = lambda target=target, deadly=deadly: attempt(target, deadly)  # noqa: E731
            ended = processes.run(work)
            assert (processes.KILLED if deadly <= total else processes.DONE) == ended
            there = target.tables()
            if name == "PostgreSQL":
                assert there in (set(), NAMES)
            if there == NAMES:
                seen.add(exported(target.of(CLUB)).count(b"\n"))
    assert {whole} == seen - {exported(memory({}, CLUB)).count(b"\n")}


@pytest.mark.slow
def test_killed_at_every_statement_on_sqlite(tmp_path: Path) -> None:
    """A killed process leaves an empty file or a whole database."""
    archive = _archive().getvalue()
    path = tmp_path / "new.db"

    def attempt(deadly: int | None) -> int:
        statements = processes.Statements(path, deadly)
        repository = SQLiteRepository.reflect(statements.connect)
        import_all(repository, io.BytesIO(archive), create=True)
        return statements.count

    path.touch()
    total = attempt(None)
    new = sqlite.dump(path)
    for deadly in range(1, total + 1):
        for suffix in ("", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.touch()
        assert processes.KILLED == processes.run(lambda deadly=deadly: attempt(deadly))  # type: ignore[misc]
        assert sqlite.dump(path) in ({"sqlite_master": []}, new)


# -- what is there already -------------------------------------------------------------------------


def test_tables_that_fit_are_used(target: Target) -> None:
    """Only what is missing is made; the foreign keys of new tables lead to those that are there."""
    import_all(target.reflected(), _archive(), create=True)
    # Those without another one that refers to them.
    _run(target.engine, "DROP TABLE plays")
    report = import_all(target.reflected(), _archive(), create=True)
    assert ("plays",) == report.created
    assert 3 == report.collections["plays"].added
    assert 3 == report.collections["teams"].unchanged
    assert () == import_all(target.reflected(), _archive(), create=True).created
    found = [r.collection for r in target.reflected().schema["plays"].references]
    assert ["members", "teams"] == sorted(found)


def test_tables_that_do_not_fit_are_refused(target: Target) -> None:
    """As they are without `create`, and nothing is made."""
    _run(target.engine, "CREATE TABLE members (id INTEGER PRIMARY KEY, age INTEGER)")
    with pytest.raises(SchemaMismatch, match=r"members\.name"):
        import_all(target.reflected(), _archive(), create=True)
    assert {"members"} == target.tables()


def test_a_table_of_another_sort_is_refused(target: Target) -> None:
    """What the archive does not know is not overlooked."""
    _run(target.engine, "CREATE TABLE other (id INTEGER PRIMARY KEY)")
    with pytest.raises(SchemaMismatch, match="other"):
        import_all(target.reflected(), _archive(), create=True)
    assert {"other"} == target.tables()


def test_a_view_in_the_way(target: Target) -> None:
    """What stands in the way is named, and tables made before it are gone."""
    _run(target.engine, "CREATE VIEW plays AS SELECT 1 AS x")
    with pytest.raises(CannotCreate, match="plays"):
        import_all(target.reflected(), _archive(), create=True)
    assert set() == target.tables()


def test_the_hosts_own_schema(target: Target) -> None:
    """A repository with a schema makes the tables of that."""
    report = import_all(target.of(CLUB), _archive(), create=True)
    assert NAMES == set(report.created) == target.tables()
    other = Schema(app="club", version=3, collections=[Collection("t", fields={"x": int})])
    with pytest.raises(SchemaMismatch):
        import_all(target.of(other), _archive(), create=True)


def test_without_create_nothing_is_made(target: Target) -> None:
    """The option is off unless it is asked for."""
    with pytest.raises(SchemaMismatch):
        import_all(target.reflected(), _archive(), wrong_app="allow")
    assert set() == target.tables()


def test_a_store_without_tables() -> None:
    """Lists in memory cannot be made."""
    with pytest.raises(StoreError, match="no tables that could be made"):
        import_all(memory(), _archive(), create=True)


# -- the host's transaction ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SQLAlchemy on SQLite", "PostgreSQL"])
def test_in_the_hosts_transaction(name: str) -> None:
    """Tables are a part of what the host commits or rolls back."""
    with TARGETS[name]() as target:
        for commit in (False, True):
            with target.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
                import_all(SQLAlchemyRepository.reflect(connection), _archive(), create=True)
                (connection.commit if commit else connection.rollback)()
            assert (NAMES if commit else set()) == target.tables()


def test_in_the_hosts_transaction_on_mariadb() -> None:
    """It would commit what the host has written, and is refused."""
    with TARGETS["MariaDB"]() as target:
        _run(target.engine, "CREATE TABLE alembic_version (version_num VARCHAR(32))")
        with target.engine.connect() as connection:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            connection.execute(text("INSERT INTO alembic_version VALUES ('a')"))
            repository = SQLAlchemyRepository.reflect(connection)
            with pytest.raises(CannotCreate, match="give the engine instead"):
                import_all(repository, _archive(), create=True)
            connection.rollback()
        assert {"alembic_version"} == target.tables()
        assert [] == _run(target.engine, "SELECT * FROM alembic_version")


# -- names, keys, numbers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name,bad",
    [
        ("PostgreSQL", ["ä" * 32, "a\0b"]),
        ("MariaDB", ["a" * 65, "end ", "😀", "a\0b"]),
        ("SQLite", ["sqlite_x", "a\0b"]),
    ],
)
def test_names_that_an_engine_has_not(name: str, bad: list[str]) -> None:
    """They are named, and nothing is made."""
    for wrong in bad:
        schema = Schema(
            collections=[
                Collection("good", fields={"x": int}),
                Collection(wrong, fields={"x": int}),
            ]
        )
        with TARGETS[name]() as target, pytest.raises(CannotCreate) as raised:
            import_all(target.reflected(), _archive({}, schema), create=True)
        assert repr(wrong) in raised.value.message
        with TARGETS[name]() as target:
            assert set() == target.tables()


@pytest.mark.parametrize("name", ["PostgreSQL", "MariaDB"])
def test_all_wrong_names_are_told_at_once(name: str) -> None:
    """Of tables and of columns."""
    long = "a" * 65
    schema = Schema(collections=[Collection(long, fields={long + "b": int, long + "c": int})])
    with TARGETS[name]() as target, pytest.raises(CannotCreate) as raised:
        import_all(target.reflected(), _archive({}, schema), create=True)
    assert 3 == len(raised.value.problems)


def test_a_name_of_the_greatest_length() -> None:
    """What engines make of it for their own names is not too long."""
    name = "n" * 63
    schema = Schema(
        collections=[
            Collection(
                name, key="k", fields={"k": str, name: str}, references=[Reference(name, name)]
            )
        ]
    )
    for engine in ENGINES:
        with TARGETS[engine]() as target:
            import_all(target.reflected(), _archive({name: [("a", "a")]}, schema), create=True)
            assert 1 == len(target.reflected().schema[name].references)


@pytest.mark.parametrize("name,size", [("PostgreSQL", 9000), ("MariaDB", 769)])
def test_a_key_that_is_too_long(name: str, size: int) -> None:
    """It is a problem that names the record, and no table is left."""
    schema = Schema(collections=[Collection("t", key="k", fields={"k": str})])
    draw = random.Random(1)
    long = "".join(chr(draw.randrange(0x4E00, 0x9000)) for _ in range(size))
    archive = _archive({"t": [("a",), (long,)]}, schema)
    with TARGETS[name]() as target:
        with pytest.raises(RecordsNotTaken) as raised:
            import_all(target.reflected(), archive, create=True)
        (problem,) = raised.value.problems
        assert ("t", 2, (long,)) == (problem.collection, problem.record, problem.key)
        assert set() == target.tables()


def test_the_apps_next_record_gets_a_number(target: Target) -> None:
    """A key of one integer counts on behind what was imported."""
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int, "x": int})])
    import_all(target.reflected(), _archive({"t": [(-3, 1), (7, 1)]}, schema), create=True)
    _run(target.engine, "INSERT INTO t (x) VALUES (2)")
    assert [(8,)] == _run(target.engine, "SELECT id FROM t WHERE x = 2")


@pytest.mark.parametrize("largest", [-5, 0, 2**63 - 1])
def test_numbers_at_the_ends_of_a_sequence(largest: int) -> None:
    """A sequence that could not go on behind a key stays where it can be."""
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int})])
    with TARGETS["PostgreSQL"]() as target:
        import_all(target.reflected(), _archive({"t": [(largest,)]}, schema), create=True)
        if largest < 1:
            _run(target.engine, "INSERT INTO t DEFAULT VALUES")
            assert [(1,)] == _run(target.engine, "SELECT max(id) FROM t")


def test_a_number_is_never_given_out_twice(tmp_path: Path) -> None:
    """Where the store that was exported remembered the last one, the new table does, too."""
    old = tmp_path / "old.db"
    sqlite.run(
        old,
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "INSERT INTO t VALUES (1), (9)",
        "DELETE FROM t WHERE id = 9",
    )
    archive = exported(SQLiteRepository.reflect(old))
    for engine in ENGINES:
        with TARGETS[engine]() as target:
            import_all(target.reflected(), io.BytesIO(archive), create=True)
            default = "() VALUES ()" if engine == "MariaDB" else "DEFAULT VALUES"
            _run(target.engine, f"INSERT INTO t {default}")
            assert [(10,)] == _run(target.engine, "SELECT max(id) FROM t")


def test_a_hostile_description(target: Target) -> None:
    """Names and types of an archive are text, whatever they say."""
    evil = "x); DROP TABLE victim; --"
    fields = [
        Field(evil, kinds.Int()),
        Field("%s 'quoted' \"twice\" `thrice`", Native(evil)),
        Field(":e", Enum((evil, "it's"))),
        Field("l", List(Native(evil))),
    ]
    schema = Schema(collections=[Collection(evil, key=evil, fields=fields)])
    _run(target.engine, "CREATE TABLE alembic_version (x INTEGER)")
    archive = _archive({evil: [(1, evil, "it's", [evil])]}, schema)
    report = import_all(target.reflected(), archive, create=True)
    assert 2 == len(report.warnings)
    assert {evil, "alembic_version"} == target.tables()
    assert exported(memory({evil: [(1, evil, "it's", [evil])]}, schema)).count(b"\n") == exported(
        target.of(schema)
    ).count(b"\n")


def test_a_description_that_is_not_sound(target: Target) -> None:
    """It is refused as in every archive, before anything is made."""
    archive = _archive().getvalue()
    for old, new in [
        (b'"kind":"float"', b'"kind":"doubt"'),
        (b'"collection":"teams"', b'"collection":"tears"'),
        (b'"key":["code"]', b'"key":["mode"]'),
    ]:
        assert archive.count(old)
        broken = archive.replace(old, new)
        body = broken[: broken.rindex(b'"seal":')]
        sealed = body + seal_to_bytes(hashlib.sha256(body).hexdigest())
        with pytest.raises(ArchiveInvalid):
            import_all(target.reflected(), io.BytesIO(sealed), create=True)
        assert set() == target.tables()


# -- schemas of a server ---------------------------------------------------------------------------


def test_names_with_a_schema() -> None:
    """A schema that was asked for is made; otherwise the name is that of a table."""
    fields = {"id": int}
    schema = Schema(
        collections=[
            Collection("people", key="id", fields=fields),
            Collection(
                "sales.orders", key="id", fields=fields, references=[Reference("id", "people")]
            ),
        ]
    )
    archive = exported(memory({"people": [(1,)], "sales.orders": [(1,)]}, schema))
    with databases.postgresql() as url:
        engine = sqlalchemy.create_engine(url, poolclass=NullPool)
        qualified = SQLAlchemyRepository(engine, schema, schemas=["sales"])
        with pytest.raises(ZeroDivisionError):
            import_all(qualified, io.BytesIO(archive), create=True, progress=lambda _: 1 / 0)
        assert "sales" not in sqlalchemy.inspect(engine).get_schema_names()
        import_all(
            SQLAlchemyRepository(engine, schema, schemas=["sales"]),
            io.BytesIO(archive),
            create=True,
        )
        assert ["orders"] == sqlalchemy.inspect(engine).get_table_names("sales")
        found = SQLAlchemyRepository.reflect(engine, schemas=["sales"])
        assert {"people", "sales.orders"} == {c.name for c in found.schema.collections}
    with databases.postgresql() as url:
        engine = sqlalchemy.create_engine(url, poolclass=NullPool)
        repository = SQLAlchemyRepository.reflect(engine)
        import_all(repository, io.BytesIO(archive), create=True)
        assert {"people", "sales.orders"} == set(sqlalchemy.inspect(engine).get_table_names())
    with databases.mysql() as url:
        engine = sqlalchemy.create_engine(url, poolclass=NullPool)
        with pytest.raises(CannotCreate, match="'sales'"):
            import_all(
                SQLAlchemyRepository(engine, schema, schemas=["sales"]),
                io.BytesIO(archive),
                create=True,
            )


def test_the_schema_that_a_connection_is_in() -> None:
    """A search path that was changed since the engine was made is the one that counts."""
    archive = _archive().getvalue()
    with databases.postgresql() as url:
        engine = sqlalchemy.create_engine(url, poolclass=NullPool)
        _run(engine, "CREATE SCHEMA other")
        with engine.connect() as connection:
            connection.execute(text("SET search_path = other"))
            connection.commit()
            import_all(SQLAlchemyRepository.reflect(connection), io.BytesIO(archive), create=True)
        assert [] == sqlalchemy.inspect(engine).get_table_names("public")
        assert NAMES == set(sqlalchemy.inspect(engine).get_table_names("other"))


def test_without_a_schema() -> None:
    """Where no schema is there to make tables in, the error says so."""
    with databases.postgresql() as url:
        engine = sqlalchemy.create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text("SET search_path = nowhere"))
            connection.commit()
            repository = SQLAlchemyRepository.reflect(connection)
            with pytest.raises(CannotCreate, match="no schema"):
                import_all(repository, _archive(), create=True)


def test_a_hosts_connection_on_mariadb() -> None:
    """In no transaction of the host's it is as good as the engine, and a failure leaves nothing."""
    with TARGETS["MariaDB"]() as target, target.engine.connect() as connection:
        wrong = _archive(club() | {"plays": [(99, "A")]})
        with pytest.raises(InvalidRecords):
            import_all(_unbegun(connection), wrong, create=True)
        assert set() == target.tables()
        import_all(_unbegun(connection), _archive(), create=True)
        assert NAMES == target.tables()


def _unbegun(connection: sqlalchemy.Connection) -> SQLAlchemyRepository:
    repository = SQLAlchemyRepository.reflect(connection)
    assert not connection.in_transaction()
    return repository
