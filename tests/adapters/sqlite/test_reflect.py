import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from databackup.adapters.sqlite import SQLiteRepository
from databackup.adapters.sqlite.catalogue import affinity_of
from databackup.errors import SchemaError, StoreMismatch
from databackup.schema import Collection, Field, Kind, Reference, Schema, composite, kinds
from databackup.schema.composite import Optional
from tests.adapters.sqlite.helpers import insert, read
from tests.support import sqlite

Make = Callable[..., Path]
NAMES = ['Order Details"', "select", "a.b", "Ünï 😀", "it's", "[x]", "`y`", "%s ?1", "--", "rowid"]


def test_names_may_be_anything(database: Make) -> None:
    """Tables and columns with spaces, quotes, dots, unicode and reserved words go both ways."""
    path = database(
        *(
            f"CREATE TABLE {sqlite.quoted(name)} ({sqlite.quoted(other)} TEXT PRIMARY KEY, "
            f"{sqlite.quoted(name)} TEXT UNIQUE REFERENCES {sqlite.quoted(name)})"
            for name, other in zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True)
        ),
        *(
            f"CREATE TRIGGER {sqlite.quoted(name + '!')} AFTER INSERT ON {sqlite.quoted(name)} "
            "BEGIN SELECT 1; END"
            for name in NAMES
        ),
    )
    before = sqlite.dump(path)
    repository = SQLiteRepository.reflect(path)
    assert NAMES == [collection.name for collection in repository.schema.collections]
    for collection in repository.schema.collections:
        with repository.transaction() as transaction:
            transaction.insert(collection, [("a", None), ("b", "a")])
            transaction.update(collection, [("b", "b")])
            assert [("b", "b")] == transaction.get(collection, [("b",)])
            assert [] == transaction.dangling(collection, collection.references[0], 1)
            transaction.delete(collection, [("a",)])
            transaction.finish({})
        assert [("b", "b")] == read(repository, collection.name)
        with repository.transaction() as transaction:
            transaction.clear(collection)
            transaction.finish({})
    assert before == sqlite.dump(path)


def test_tables_keys_and_order(database: Make) -> None:
    """Collections come as they were made, fields as columns, keys as the primary key has them."""
    path = database(
        "CREATE TABLE z (b INT, a TEXT, c, PRIMARY KEY (a, b)) WITHOUT ROWID",
        "CREATE TABLE m (x, y)",
        "CREATE TABLE a (id INTEGER PRIMARY KEY, v NOT NULL)",
        "CREATE VIEW v AS SELECT * FROM a",
    )
    schema = SQLiteRepository.reflect(path, app="app", version=3).schema
    assert ("app", 3) == (schema.app, schema.version)
    assert ["z", "m", "a"] == [collection.name for collection in schema.collections]
    assert [("a", "b"), (), ("id",)] == [collection.key for collection in schema.collections]
    assert (
        Field("b", kinds.Int(), "keep"),
        Field("a", kinds.Str(), "keep"),
        Field("c", Optional(kinds.Str()), "keep"),
    ) == schema["z"].fields
    assert (Field("id", kinds.Int()), Field("v", kinds.Str(), "keep")) == schema["a"].fields


def test_a_key_with_nulls_is_no_key(database: Make) -> None:
    """A primary key that is no row number may hold several NULLs: then records have no key."""
    path = database(
        "CREATE TABLE good (k TEXT PRIMARY KEY, x INT)",
        "CREATE TABLE bad (k TEXT, l INT, PRIMARY KEY (k, l))",
        "INSERT INTO bad VALUES ('a', NULL), ('a', NULL), (NULL, 1)",
    )
    repository = SQLiteRepository.reflect(path)
    good, bad = repository.schema.collections
    assert (("k",), ()) == (good.key, bad.key)
    assert all(field.nullable for field in (*good.fields, *bad.fields))
    assert [("a", None), ("a", None), (None, 1)] == read(repository, "bad")


def test_references(database: Make) -> None:
    """Foreign keys to keys and unique columns are references, in the order they are declared."""
    path = database(
        "CREATE TABLE Parent (id INTEGER PRIMARY KEY, code TEXT UNIQUE, x INT, y INT,"
        " UNIQUE (x, y))",
        "CREATE TABLE pair (a INT, b TEXT, PRIMARY KEY (a, b))",
        "CREATE TABLE child (id INTEGER PRIMARY KEY REFERENCES parent, code TEXT, x INT, y INT,"
        " FOREIGN KEY (code) REFERENCES PARENT (CODE), FOREIGN KEY (x, y) REFERENCES parent (y, x),"
        " FOREIGN KEY (x, code) REFERENCES pair, FOREIGN KEY (x) REFERENCES parent (id),"
        " FOREIGN KEY (x) REFERENCES parent (id))",
        "CREATE TABLE tree (id INTEGER PRIMARY KEY, up INT REFERENCES tree)",
    )
    schema = SQLiteRepository.reflect(path).schema
    assert (
        Reference("id", "Parent"),
        Reference("code", "Parent", to="code"),
        Reference(("x", "y"), "Parent", to=("y", "x")),
        Reference(("x", "code"), "pair"),
        Reference("x", "Parent"),
    ) == schema["child"].references
    assert (Reference("up", "tree"),) == schema["tree"].references


def test_foreign_keys_that_are_no_references(database: Make) -> None:
    """To what is missing, not unique, of another kind, without a key, or excluded."""
    path = database(
        "CREATE TABLE p (id INTEGER PRIMARY KEY, x TEXT, u TEXT)",
        "CREATE UNIQUE INDEX partial ON p (u) WHERE u > 'a'",
        "CREATE UNIQUE INDEX expression ON p (lower(x))",
        "CREATE TABLE keyless (x)",
        "CREATE TABLE out (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, a INT REFERENCES nowhere,"
        " b TEXT REFERENCES p (missing), c TEXT REFERENCES p (x), d TEXT REFERENCES p (id),"
        " e TEXT REFERENCES keyless, f TEXT REFERENCES p (u), g INT REFERENCES out)",
    )
    repository = SQLiteRepository.reflect(path, exclude={"out": "no matter"})
    assert () == repository.schema["c"].references
    insert(repository, "c", (1, None, None, None, None, None, None, None))


@pytest.mark.parametrize(
    "declared, storage, declared_kind",
    [
        ("INTEGER", kinds.Int(), None),
        ("UNSIGNED BIG INT", kinds.Int(), None),
        ("VARCHAR(20)", kinds.Str(), None),
        ("CLOB", kinds.Str(), None),
        ("BLOB", kinds.Bytes(), None),
        ("", kinds.Str(), None),
        ("DOUBLE PRECISION", kinds.Float(), None),
        ("FLOAT", kinds.Float(), None),
        ("NUMERIC", kinds.Float(), None),
        ("NUMERIC(10,2)", kinds.Float(), kinds.Decimal(2)),
        ("DECIMAL(10)", kinds.Float(), kinds.Decimal(0)),
        ("decimal ( 5 , 1 )", kinds.Float(), kinds.Decimal(1)),
        ("BOOLEAN", kinds.Int(), kinds.Bool()),
        ("DATE", kinds.Str(), kinds.Date()),
        ("DATETIME", kinds.Str(), kinds.DateTime()),
        ("timestamp(6)", kinds.Str(), kinds.DateTime()),
        ("TIMESTAMPTZ(6)", kinds.Str(), kinds.DateTimeTz()),
        ("TIME", kinds.Str(), kinds.Time()),
        ("JSON", kinds.Str(), composite.Json()),
        ("UUID", kinds.Str(), kinds.UUID()),
        ("MONEY", kinds.Float(), None),
    ],
)
def test_kinds_of_declared_types(
    database: Make, declared: str, storage: Kind, declared_kind: Kind | None
) -> None:
    """A column's affinity says what it mostly holds; its declared type may say more."""
    path = database(f"CREATE TABLE t (v {declared} NOT NULL)")
    for types, kind in (("storage", storage), ("declared", declared_kind or storage)):
        found = SQLiteRepository.reflect(path, types=types).schema  # type: ignore[arg-type]
        assert (Field("v", kind, "keep"),) == found["t"].fields


@pytest.mark.parametrize("affinity", ["INTEGER", "TEXT", "BLOB", "REAL", "NUMERIC"])
def test_affinity_is_sqlites_own(affinity: str) -> None:
    """The names of types mean what they mean to SQLite."""
    names = {
        "INTEGER": ["int", "FLOATING POINT", "CHARINT", "POINT"],
        "TEXT": ["nchar(5)", "TEXT", "clob", "string text"],
        "BLOB": ["", "blob", "my BLOB real"],
        "REAL": ["real", "FLOAT", "double"],
        "NUMERIC": ["STRING", "decimal", "ANY", "date"],
    }
    probes = ["INTEGER", "TEXT", "BLOB", "REAL", "NUMERIC"]
    behaviour = {name: _behaviour(name) for name in probes}
    for declared in names[affinity]:
        assert affinity == affinity_of(declared)
        assert behaviour[affinity] == _behaviour(declared)


def _behaviour(declared: str) -> list[Any]:
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE t (v {declared})")
    connection.executemany("INSERT INTO t VALUES (?)", [("1.0",), (1,), (1.5,), ("x",), ("1.5",)])
    found = connection.execute("SELECT typeof(v) FROM t").fetchall()
    cast = connection.execute("SELECT CAST(1.5 AS INT) = v FROM t").fetchall()
    connection.close()
    return [found, cast if affinity_of(declared) == "INTEGER" else None]


def test_a_key_whose_kind_has_no_order_is_taken_as_stored(database: Make) -> None:
    """A JSON column that is the primary key is text, since JSON values cannot be keys."""
    path = database("CREATE TABLE t (k JSON PRIMARY KEY, v JSON)")
    schema = SQLiteRepository.reflect(path, types="declared").schema
    assert [kinds.Str(), composite.Json()] == [f.value_kind for f in schema["t"].fields]


def test_declared_kinds_that_keep_other_values_are_not_in_key_order(database: Make) -> None:
    """Off-kind values stand among the others in SQLite's order, and apart from them in ours."""
    path = database(
        "CREATE TABLE d (k DATE PRIMARY KEY)",
        "CREATE TABLE n (k DECIMAL(5,1) PRIMARY KEY)",
        "CREATE TABLE t (k TEXT PRIMARY KEY, b BOOLEAN, UNIQUE (k, b))",
    )
    declared = SQLiteRepository.reflect(path, types="declared")
    assert frozenset({"t"}) == declared.capabilities.ordered_rows
    storage = SQLiteRepository.reflect(path)
    assert frozenset({"d", "n", "t"}) == storage.capabilities.ordered_rows


def test_exclusions(database: Make) -> None:
    """Tables and columns are left out with a reason; so is what tools and SQLite keep."""
    path = database(
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x, y)",
        "CREATE TABLE sessions (id INTEGER PRIMARY KEY, t REFERENCES t)",
        "CREATE TABLE alembic_version (version_num TEXT)",
        "CREATE TABLE django_migrations (id INTEGER PRIMARY KEY)",
        "INSERT INTO t VALUES (1, 'a', 'b')",
        "ANALYZE",
    )
    exclude = {"sessions": "of no use later", "t.y": "a secret"}
    repository = SQLiteRepository.reflect(path, exclude=exclude)
    assert ["t"] == [collection.name for collection in repository.schema.collections]
    assert {
        "sessions": "of no use later",
        "t.y": "a secret",
        "alembic_version": "the migrations that Alembic has run",
        "django_migrations": "the migrations that Django has run",
        "sqlite_sequence": "SQLite's counters, which are kept with their collections",
        "sqlite_stat1": "SQLite's own",
    } == {e.name: e.reason for e in repository.schema.excluded if e.name != "sqlite_stat4"}
    assert [(1, "a")] == read(repository, "t")
    with pytest.raises(SchemaError, match="'id' is of the key"):
        SQLiteRepository.reflect(path, exclude={"t.id": "why"})


def test_what_is_not_there_cannot_be_excluded(database: Make) -> None:
    """A misspelt table or column is named: the one that was meant would be in the archive."""
    path = database("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
    with pytest.raises(SchemaError) as caught:
        SQLiteRepository.reflect(path, exclude={"tt": "why", "t.y": "why", "t.x": "a secret"})
    assert [
        "there is no table, and no TABLE.COLUMN, 'tt'",
        "there is no table, and no TABLE.COLUMN, 't.y'",
    ] == list(caught.value.problems)


FULL_TEXT = [
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)",
    "CREATE VIRTUAL TABLE own5 USING fts5(title, body, tokenize = 'porter')",
    'CREATE VIRTUAL TABLE own4 USING fts4(title, "order by", order=DESC)',
    "CREATE VIRTUAL TABLE own3 USING fts3(title)",
    "CREATE VIRTUAL TABLE by_content5 USING fts5(body, content='notes', content_rowid='id')",
    "CREATE VIRTUAL TABLE by_content4 USING fts4(body, content=notes)",
    "CREATE VIRTUAL TABLE less5 USING fts5(body, content='')",
    'CREATE VIRTUAL TABLE less4 USING fts4(content="", body)',
    "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1, +name TEXT)",
    "CREATE VIRTUAL TABLE cells USING rtree_i32(id, x0, x1)",
]


@pytest.mark.parametrize("version", [sqlite3.sqlite_version_info, (3, 34, 1)])
def test_virtual_tables(
    database: Make, version: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full-text tables that hold their text, and r-trees, are data; indexes over others are not."""
    path = database(*FULL_TEXT, "CREATE TABLE own5_data_of_mine (x PRIMARY KEY) WITHOUT ROWID")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    repository = SQLiteRepository.reflect(path)
    schema = repository.schema
    names = ["notes", "own5", "own4", "own3", "boxes", "cells", "own5_data_of_mine"]
    assert names == [collection.name for collection in schema.collections]
    assert ("rowid", "title", "order by") == schema["own4"].field_names
    assert [("rowid",), ("id",)] == [schema["own5"].key, schema["boxes"].key]
    assert kinds.Int() == schema["own5"].fields[0].kind
    reasons = {exclusion.name: exclusion.reason for exclusion in schema.excluded}
    assert "a full-text index over other tables, which an import rebuilds" == reasons["by_content5"]
    assert "a full-text index that does not hold its text" == reasons["less4"]
    assert "a part of the virtual table own5" == reasons["own5_data"]
    shadows = sqlite.query(path, "SELECT name FROM pragma_table_list WHERE type = 'shadow'")
    assert {name for (name,) in shadows} < reasons.keys()
    for name, row in {
        "own5": (5, "a", 1.5),
        "own4": (5, "a", b"b"),
        "own3": (-5, "text"),
        "boxes": (1, 0.5, 2.0, "x"),
        "cells": (1, 0, 2),
    }.items():
        insert(repository, name, row)
        assert [row] == read(repository, name)
        with repository.transaction() as transaction:
            transaction.update(schema[name], [row])
            assert [row] == transaction.get(schema[name], [row[:1]])
            transaction.delete(schema[name], [row[:1]])
        assert [] == read(repository, name)


def test_virtual_tables_that_are_not_known(database: Make) -> None:
    """Tables of other modules, or with columns that no query shows, are refused unless excluded."""
    path = database(
        'CREATE VIRTUAL TABLE words USING fts4(title, languageid="lang")',
        "CREATE VIRTUAL TABLE terms USING fts4aux(words)",
    )
    with pytest.raises(StoreMismatch, match="'words' is a virtual table") as caught:
        SQLiteRepository.reflect(path)
    assert 2 == len(caught.value.differences)
    repository = SQLiteRepository.reflect(path, exclude={"words": "x", "terms": "y"})
    assert () == repository.schema.collections


def test_rowid_tables_without_table_list(database: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before SQLite 3.37 the definition's own text says which tables have no row numbers."""
    path = database(
        "CREATE TABLE w (k INTEGER PRIMARY KEY, d TEXT DEFAULT ') without rowid') -- ) x\n"
        " WITHOUT /* a */ ROWID",
        "CREATE TABLE r (k INTEGER PRIMARY KEY, d TEXT DEFAULT ') WITHOUT ROWID')",
    )
    for version in (sqlite3.sqlite_version_info, (3, 34, 1)):
        monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
        schema = SQLiteRepository.reflect(path).schema
        assert [("k", "keep"), ("k", "refuse")] == [
            (collection.fields[0].name, collection.fields[0].off_kind)
            for collection in schema.collections
        ]
        sqlite.run(path, "DELETE FROM w", "INSERT INTO w VALUES (2, 'b'), (1, 'a')")
        keyless = Collection("w", fields={"k": int, "d": str})
        repository = SQLiteRepository(path, Schema(collections=[keyless], exclude={"r": "x"}))
        with repository.transaction() as transaction:
            assert [[(1, "a")], [(2, "b")]] == list(transaction.rows(keyless, batch_size=1))


def test_an_integer_key_in_descending_order_is_no_row_number(database: Make) -> None:
    """INTEGER PRIMARY KEY DESC is a column like others, and may hold text."""
    path = database(
        "CREATE TABLE t (k INTEGER PRIMARY KEY DESC)", "INSERT INTO t VALUES ('x'), (2), (1)"
    )
    repository = SQLiteRepository.reflect(path)
    assert [(1,), (2,), ("x",)] == read(repository, "t")
