"""Imports of a role that may write the tables, and does not own them."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databackup import Collection, Reference, Schema, diff, import_all
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import InvalidRecords, OwnerRequired, RecordsNotTaken, StoreError
from databackup.schema import Field, composite, kinds
from databackup.testing.strategies import datasets, schemas
from tests.archive.support import archive_of
from tests.support import databases, pgroles, pgtables
from tests.support.archives import exported as archive_from
from tests.support.club import memory
from tests.support.pgsql import query, run, undone

INT = kinds.Int()
NULLABLE = composite.Optional(INT)


@pytest.fixture
def owner(engine: sqlalchemy.Engine) -> sqlalchemy.Engine:
    """An engine of the tables' owner."""
    return engine


def imported(owner: sqlalchemy.Engine, schema: Schema, archive: bytes, **options: Any) -> Any:
    """Import as another role."""
    with pgroles.writer(owner) as engine:
        return import_all(SQLAlchemyRepository(engine, schema), io.BytesIO(archive), **options)


def tree(*, nullable: bool) -> Schema:
    """Records that refer to others of their own collection."""
    fields = [Field("id", INT), Field("up", NULLABLE if nullable else INT)]
    return Schema(
        collections=[Collection("t", key="id", fields=fields, references=[Reference("up", "t")])]
    )


def pairs(*, first: Any = INT, second: Any = INT) -> Schema:
    """Two collections that refer to each other."""
    return Schema(
        collections=[
            Collection(
                name,
                key="id",
                fields=[Field("id", INT), Field(to, kind)],
                references=[Reference(to, to)],
            )
            for name, to, kind in (("a", "b", first), ("b", "a", second))
        ]
    )


def pair_tables(first: str, second: str) -> Iterator[str]:
    """Their tables; what is said is how each refers to the other."""
    for table, to, said in (("a", "b", first), ("b", "a", second)):
        yield f"CREATE TABLE {table} (id int PRIMARY KEY, {to} int {said.partition('|')[0]})"
    for table, to, said in (("a", "b", first), ("b", "a", second)):
        yield (
            f"ALTER TABLE {table} ADD CONSTRAINT {table}_to_{to} FOREIGN KEY ({to}) "
            f"REFERENCES {to} {said.partition('|')[2]}"
        )


@pytest.mark.parametrize("null", ["NULL", "NOT NULL"])
@pytest.mark.parametrize("action", ["", "ON DELETE CASCADE", "DEFERRABLE"])
def test_records_that_refer_to_their_own_kind(
    owner: sqlalchemy.Engine, null: str, action: str
) -> None:
    """To later ones, to each other, to themselves; in many batches, new or changed or gone."""
    run(owner, f"CREATE TABLE t (id int PRIMARY KEY, up int {null} REFERENCES t {action})")
    schema = tree(nullable=null == "NULL")
    count = 800
    later = [(n, n % count + 1) for n in range(1, count + 1)]  # a circle
    earlier = [(n, max(1, n - 3)) for n in range(200, count + 200)]
    earlier = [(n, up if up >= 200 else n) for n, up in earlier]
    for rows in (later, earlier, later, []):
        if not rows and null == "NOT NULL" and action != "DEFERRABLE":
            with pytest.raises(OwnerRequired, match="t_up_fkey"):  # nothing can go first
                imported(owner, schema, archive_of(schema, {"t": rows}))
            continue
        imported(owner, schema, archive_of(schema, {"t": rows}))
        assert rows == query(owner, "SELECT id, up FROM t ORDER BY id")


def test_circles_that_are_not_null_go_when_another_record_stays(owner: sqlalchemy.Engine) -> None:
    """A record that refers to itself is deleted as any other."""
    run(owner, "CREATE TABLE t (id int PRIMARY KEY, up int NOT NULL REFERENCES t)")
    schema = tree(nullable=False)
    imported(owner, schema, archive_of(schema, {"t": [(1, 1), (2, 1), (3, 2)]}))
    imported(owner, schema, archive_of(schema, {"t": [(4, 4)]}))
    assert [(4, 4)] == query(owner, "SELECT * FROM t")


@pytest.mark.parametrize(
    "first, second",
    [
        ("NULL|", "NULL|"),
        ("NOT NULL|", "NULL|"),
        ("NULL|", "NOT NULL|"),
        ("NOT NULL|DEFERRABLE", "NOT NULL|"),
        ("NOT NULL|", "NOT NULL|DEFERRABLE INITIALLY DEFERRED"),
        ("NULL|ON DELETE CASCADE", "NULL|ON DELETE SET NULL"),
        ("NOT NULL|ON DELETE CASCADE", "NULL|ON DELETE RESTRICT"),
    ],
)
def test_records_that_refer_to_each_other(
    owner: sqlalchemy.Engine, first: str, second: str
) -> None:
    """As long as one side may wait for the other."""
    run(owner, *pair_tables(first, second))
    schema = pairs(
        first=INT if "NOT" in first else NULLABLE, second=INT if "NOT" in second else NULLABLE
    )
    one = {"a": [(n, n) for n in range(400)], "b": [(n, 399 - n) for n in range(400)]}
    two = {"a": [(n, n + 1) for n in range(300)], "b": [(n + 1, n) for n in range(300)]}
    for data in (one, two, one):
        imported(owner, schema, archive_of(schema, data))
        assert data["a"] == query(owner, "SELECT id, b FROM a ORDER BY id")
        assert data["b"] == query(owner, "SELECT id, a FROM b ORDER BY id")


def test_a_cycle_that_nobody_but_an_owner_can_write(owner: sqlalchemy.Engine) -> None:
    """The error names a constraint and says what to do; nothing is changed."""
    run(owner, *pair_tables("NOT NULL|DEFERRABLE", "NOT NULL|"))
    archive = archive_of(pairs(), {"a": [(1, 2), (2, 1)], "b": [(1, 2), (2, 1)]})
    imported(owner, pairs(), archive)
    run(
        owner,
        "ALTER TABLE a ALTER CONSTRAINT a_to_b NOT DEFERRABLE",
    )
    other = archive_of(pairs(), {"a": [(1, 2), (2, 1), (3, 3)], "b": [(1, 2), (2, 1), (3, 3)]})
    with pytest.raises(OwnerRequired, match=r"_to_.' .*NOT DEFERRABLE.*as the owner") as caught:
        imported(owner, pairs(), other)
    assert caught.value.constraint in ("a_to_b", "b_to_a")
    assert [(1, 2), (2, 1)] == query(owner, "SELECT * FROM a ORDER BY id")
    # Records that are there may come to refer to others.
    crossed = archive_of(pairs(), {"a": [(1, 1), (2, 2)], "b": [(1, 2), (2, 1)]})
    imported(owner, pairs(), crossed)
    assert [(1, 1), (2, 2)] == query(owner, "SELECT * FROM a ORDER BY id")


@pytest.mark.parametrize("action", ["NO ACTION", "RESTRICT", "CASCADE", "SET NULL"])
def test_nothing_cascades(owner: sqlalchemy.Engine, action: str) -> None:
    """A record goes once those that referred to it refer to others, whatever the action."""
    run(
        owner,
        "CREATE TABLE p (id int PRIMARY KEY, name text UNIQUE)",
        "CREATE TABLE log (line text)",
        f"CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE {action})",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        "SET search_path FROM CURRENT AS "
        "$$ BEGIN INSERT INTO log VALUES (TG_OP); RETURN NULL; END $$",
        "CREATE TRIGGER seen AFTER DELETE ON c FOR EACH ROW EXECUTE FUNCTION f()",
        "INSERT INTO p VALUES (1, 'x'), (2, 'y')",
        "INSERT INTO c VALUES (1, 1), (2, 1)",
    )
    schema = Schema(
        collections=[
            Collection("p", key="id", fields={"id": int, "name": str | None}),
            Collection(
                "c",
                key="id",
                fields=[Field("id", INT), Field("p", NULLABLE)],
                references=[Reference("p", "p")],
            ),
        ],
        exclude={"log": "a test"},
    )
    # The unique value of the record that goes is wanted by a new one.
    archive = archive_of(schema, {"p": [(2, "y"), (3, "x")], "c": [(1, 2), (2, 3)]})
    imported(owner, schema, archive)
    assert [(1, 2), (2, 3)] == query(owner, "SELECT * FROM c ORDER BY id")
    assert [(2, "y"), (3, "x")] == query(owner, "SELECT * FROM p ORDER BY id")
    assert [] == query(owner, "SELECT * FROM log")


def test_triggers_that_fire_are_named(owner: sqlalchemy.Engine) -> None:
    """A record that a trigger changes is refused, with the trigger's name."""
    run(
        owner,
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.v = upper(NEW.v); RETURN NEW; END $$",
        'CREATE TRIGGER "loud" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()',
    )
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int, "v": str | None})])
    with pytest.raises(RecordsNotTaken, match=r"the trigger loud of .*\bt\b") as caught:
        imported(owner, schema, archive_of(schema, {"t": [(1, "a")]}))
    (problem,) = caught.value.problems
    assert ("read-back", "t", (1,), "v") == (
        problem.code,
        problem.collection,
        problem.key,
        problem.field,
    )
    assert [] == query(owner, "SELECT * FROM t")
    imported(owner, schema, archive_of(schema, {"t": [(1, "A")]}))


def test_values_that_point_at_nothing(owner: sqlalchemy.Engine) -> None:
    """They are named as for the owner, and all of them."""
    run(
        owner,
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE c (id int PRIMARY KEY, p int NOT NULL REFERENCES p ON DELETE CASCADE)",
        "INSERT INTO p VALUES (1), (2)",
        "INSERT INTO c VALUES (1, 1), (2, 2)",
    )
    schema = Schema(
        collections=[
            Collection("p", key="id", fields={"id": int}),
            Collection(
                "c", key="id", fields={"id": int, "p": int}, references=[Reference("p", "p")]
            ),
        ]
    )
    rows = [(1, 1), (2, 2), *((n, 1 if n % 50 else n) for n in range(3, 1000))]
    archive = archive_of(schema, {"p": [(1,)], "c": rows})
    with pytest.raises(InvalidRecords, match="which is not there") as as_owner:
        import_all(SQLAlchemyRepository(owner, schema), io.BytesIO(archive))
    with pytest.raises(InvalidRecords, match="which is not there") as as_writer:
        imported(owner, schema, archive)
    found = sorted(map(str, as_owner.value.problems))
    assert found == sorted(map(str, as_writer.value.problems))
    assert 20 == len(found)
    assert [(1,), (2,)] == query(owner, "SELECT * FROM p ORDER BY id")


@pytest.mark.parametrize("action, left", [("CASCADE", [(1,)]), ("SET NULL", [(1,), (None,)])])
def test_references_from_outside(owner: sqlalchemy.Engine, action: str, left: list[Any]) -> None:
    """A delete that would cascade is refused, or done where that is allowed."""
    run(
        owner,
        "CREATE TABLE t (id int PRIMARY KEY)",
        f"CREATE TABLE o (t int REFERENCES t ON DELETE {action})",
        "INSERT INTO t VALUES (1), (2)",
        "INSERT INTO o VALUES (1), (2)",
    )
    schema = Schema(
        collections=[Collection("t", key="id", fields={"id": int})], exclude={"o": "a test"}
    )
    archive = archive_of(schema, {"t": [(1,)]})
    with pytest.raises(StoreError, match="leaves that table out"):
        imported(owner, schema, archive)
    assert 2 == len(query(owner, "SELECT * FROM t"))
    imported(owner, schema, archive, allow_cascade=True)
    assert left == query(owner, "SELECT t FROM o ORDER BY t NULLS LAST")


# -- counters ----------------------------------------------------------------------------------

SERIAL = Schema(collections=[Collection("t", key="id", fields={"id": int})])


def test_counters_go_forward_with_the_commit(owner: sqlalchemy.Engine) -> None:
    """And only then: no rollback would undo it."""
    run(owner, "CREATE TABLE t (id serial PRIMARY KEY)")
    archive = archive_of(SERIAL, {"t": [(7,)]})
    with pgroles.writer(owner) as engine:
        repository = SQLAlchemyRepository(engine, SERIAL)
        with undone(repository) as transaction:
            transaction.insert(SERIAL["t"], [(7,)])
            transaction.finish({})
        run(owner, "INSERT INTO t DEFAULT VALUES", "DELETE FROM t WHERE id = 1")
        import_all(repository, io.BytesIO(archive))
        run(engine, "INSERT INTO t DEFAULT VALUES")
    assert [(7,), (8,)] == query(owner, "SELECT id FROM t ORDER BY id")


def test_a_counter_that_cannot_be_set(owner: sqlalchemy.Engine) -> None:
    """Without the right to, an import that would need it is refused, and another is not."""
    run(owner, "CREATE TABLE t (id serial PRIMARY KEY)", "SELECT setval('t_id_seq', 5)")
    with pgroles.writer(owner, sequences="USAGE, SELECT") as engine:
        repository = SQLAlchemyRepository(engine, SERIAL)
        import_all(repository, io.BytesIO(archive_of(SERIAL, {"t": [(4,)]})))
        with pytest.raises(OwnerRequired, match="GRANT UPDATE"):
            import_all(repository, io.BytesIO(archive_of(SERIAL, {"t": [(7,)]})))
    assert [(4,)] == query(owner, "SELECT id FROM t")


# -- identities --------------------------------------------------------------------------------

NUMBERED = Schema(
    collections=[
        Collection("t", key="code", fields={"code": str, "number": int}),
        Collection(
            "c",
            key="id",
            fields={"id": int, "t": str},
            references=[Reference("t", "t")],
        ),
    ],
    exclude={"t.note": "a test"},
)


def numbered(owner: sqlalchemy.Engine, note: str = ", note text DEFAULT 'kept'") -> None:
    """Tables with an identity that is not of the key."""
    run(
        owner,
        f"CREATE TABLE t (code text PRIMARY KEY, number int GENERATED ALWAYS AS IDENTITY{note})",
        "CREATE TABLE c (id int PRIMARY KEY, t text NOT NULL REFERENCES t ON DELETE CASCADE)",
        "INSERT INTO t (code) VALUES ('a'), ('b')",
        "INSERT INTO c VALUES (1, 'a')",
    )


def test_an_identity_outside_the_key(owner: sqlalchemy.Engine) -> None:
    """Its owner changes it in place; nothing is lost with the record, and it stays as it was."""
    numbered(owner)
    run(owner, "UPDATE t SET note = 'own'")
    archive = archive_of(NUMBERED, {"t": [("a", 5), ("b", 2), ("d", 9)], "c": [(1, "a")]})
    import_all(SQLAlchemyRepository(owner, NUMBERED), io.BytesIO(archive))
    assert [("a", 5, "own"), ("b", 2, "own"), ("d", 9, "kept")] == query(
        owner, "SELECT * FROM t ORDER BY code"
    )
    assert [(1, "a")] == query(owner, "SELECT * FROM c")
    assert [("a",)] == query(
        owner,
        "SELECT attidentity::text FROM pg_attribute "
        "WHERE attrelid = 't'::regclass AND attname = 'number'",
    )
    run(owner, "INSERT INTO t (code) VALUES ('next')")
    assert [(10,)] == query(owner, "SELECT number FROM t WHERE code = 'next'")


def test_an_identity_that_another_role_changes(owner: sqlalchemy.Engine) -> None:
    """The record is put in anew where that takes nothing else with it; otherwise it is refused."""
    numbered(owner, note="")
    schema = Schema(collections=NUMBERED.collections)
    free = archive_of(schema, {"t": [("a", 1), ("b", 7)], "c": [(1, "a")]})
    imported(owner, schema, free)
    assert [("a", 1), ("b", 7)] == query(owner, "SELECT * FROM t ORDER BY code")
    held = archive_of(schema, {"t": [("a", 8), ("b", 7)], "c": [(1, "a")]})
    with pytest.raises(OwnerRequired, match="number is GENERATED ALWAYS AS IDENTITY"):
        imported(owner, schema, held)
    assert [("a", 1), ("b", 7)] == query(owner, "SELECT * FROM t ORDER BY code")
    assert [(1, "a")] == query(owner, "SELECT * FROM c")


# -- any data ----------------------------------------------------------------------------------


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_data_over_any_other(data: st.DataObject) -> None:
    """All of it is written, or only its owner may write it, and all is as it was."""
    schema = data.draw(schemas())
    old, new = (memory(data.draw(datasets(schema)), schema) for _ in range(2))
    with databases.postgresql() as url, pgtables.engine_of(url) as owner:
        pgtables.create(owner, schema)
        ours = SQLAlchemyRepository(owner, schema)
        import_all(ours, io.BytesIO(archive_from(old)))
        try:
            imported(owner, schema, archive_from(new))
        except OwnerRequired:
            assert diff(ours, old).identical
        else:
            assert diff(ours, new).identical
