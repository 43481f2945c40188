import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from databackup.adapters.sqlite import SQLiteRepository, Table
from databackup.errors import SchemaError, StoreMismatch
from databackup.schema import Collection, Reference, Schema
from tests.adapters.sqlite.helpers import insert, read
from tests.support import sqlite

Make = Callable[..., Path]

MENUS = Collection("menus", key="id", fields={"id": int, "title": str})
DISHES = Collection(
    "dishes",
    key="id",
    fields={"id": int, "menu": int},
    references=[Reference("menu", "menus")],
)
SCHEMA = Schema(collections=[MENUS, DISHES])


def test_names_that_differ_are_stated(database: Make) -> None:
    """Tables and columns are found under the names the host gives, in either case of letters."""
    path = database(
        'CREATE TABLE "Menu Card" (ID INTEGER PRIMARY KEY AUTOINCREMENT, "The Title" TEXT)',
        'CREATE TABLE Dishes (id INTEGER PRIMARY KEY, MENU INT REFERENCES "Menu Card")',
        "CREATE TRIGGER t AFTER INSERT ON dishes BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    tables = {"menus": Table("menu card", columns={"title": "The Title"})}
    repository = SQLiteRepository(path, SCHEMA, tables=tables)
    with repository.transaction() as transaction:
        transaction.insert(MENUS, [(1, "a")])
        transaction.insert(DISHES, [(1, 1), (2, 7)])
        assert [(7,)] == transaction.dangling(DISHES, DISHES.references[0], 5)
        transaction.delete(DISHES, [(2,)])
        transaction.finish({"menus": 9})
        assert {"menus": 9} == transaction.counters()
    assert [(1, "a")] == sqlite.query(path, 'SELECT ID, "The Title" FROM "Menu Card"')
    assert [(1, 1)] == read(repository, "dishes")


def test_a_table_may_be_given_by_its_name_alone(database: Make) -> None:
    """Where only the table's name differs, it is enough."""
    path = database("CREATE TABLE Card (id INTEGER PRIMARY KEY, title TEXT)")
    schema = Schema(collections=[MENUS])
    repository = SQLiteRepository(path, schema, tables={"menus": "Card"})
    insert(repository, "menus", (1, "a"))
    assert [(1, "a")] == read(repository, "menus")


@pytest.mark.parametrize(
    "tables, problem",
    [
        ({"menu": "Menu"}, "'menu' is no collection"),
        ({"menus": Table("Menu", {"name": "Name"})}, "menus has no field 'name'"),
        ({"menus": "x", "dishes": "x"}, "two collections in 'x'"),
        ({"menus": Table("x", {"title": "id"})}, "two fields of menus in the column 'id'"),
    ],
)
def test_names_that_do_not_fit_the_schema_are_refused(
    path: Path, tables: dict[str, str | Table], problem: str
) -> None:
    """A collection or field that there is not is a SchemaError, before any database is opened."""
    with pytest.raises(SchemaError, match=problem):
        SQLiteRepository(path, SCHEMA, tables=tables)


def test_differences_are_listed_all_at_once(database: Make) -> None:
    """Missing and overlooked tables and columns, and keys that are not unique, are named."""
    path = database(
        "CREATE TABLE menus (id INT, name TEXT, title TEXT, twice INT AS (id * 2))",
        "CREATE VIEW dishes AS SELECT 1 AS id, 2 AS menu",
        "CREATE TABLE sessions (id INTEGER PRIMARY KEY)",
        "CREATE TABLE alembic_version (version_num TEXT)",
    )
    repository = SQLiteRepository(path, SCHEMA)
    for use in (repository.snapshot, repository.transaction):
        with pytest.raises(StoreMismatch) as caught, use():
            pass
        assert (
            "the column menus.name is no field of 'menus'",
            "no table 'dishes' for the collection 'dishes'",
            "the table 'sessions' is no collection",
            "the key of 'menus', menus.id, is not unique in the store",
        ) == caught.value.differences
    assert frozenset({"menus"}) == repository.capabilities.ordered_rows


def test_a_missing_column_is_named(database: Make) -> None:
    """A field without a column is a difference, and its table's order is not asked for."""
    path = database("CREATE TABLE menus (id INTEGER PRIMARY KEY)")
    repository = SQLiteRepository(path, Schema(collections=[MENUS]))
    with pytest.raises(StoreMismatch, match=r"no column menus\.title for the field 'title'"):
        repository.snapshot().__enter__()
    assert frozenset() == repository.capabilities.ordered_rows


def test_a_virtual_table_that_is_not_known_is_named(database: Make) -> None:
    """A collection in a table of another module does not fit."""
    path = database(
        "CREATE VIRTUAL TABLE f USING fts4(x)", "CREATE VIRTUAL TABLE menus USING fts4aux(f)"
    )
    schema = Schema(
        collections=[Collection("menus", fields={"term": str})],
        exclude=dict.fromkeys(["f", "menus.col", "menus.documents", "menus.occurrences"], "x"),
    )
    with pytest.raises(StoreMismatch, match="module 'fts4aux', which is not supported"):
        SQLiteRepository(path, schema).snapshot().__enter__()


@pytest.mark.parametrize("name", ["Cards.secret", "menus.secret", "menus.password"])
def test_columns_are_excluded_by_table_collection_or_field(database: Make, name: str) -> None:
    """A column is left out by the name of its table or collection, or of the field it would be."""
    path = database("CREATE TABLE Cards (id INTEGER PRIMARY KEY, title TEXT, secret TEXT)")
    exclude = {"password": "secret"} if name == "menus.password" else {}
    collection = Collection("menus", key="id", fields={"id": int, "title": str}, exclude=exclude)
    schema = Schema(collections=[collection], exclude={} if exclude else {name: "secret"})
    tables = {"menus": Table("Cards", {"password": "secret"} if exclude else {})}
    assert [] == read(SQLiteRepository(path, schema, tables=tables), "menus")


def test_housekeeping_is_excluded_by_default(database: Make) -> None:
    """What no schema would list is excluded with a reason; a collection of that name is one."""
    path = database(
        "CREATE TABLE menus (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT)",
        "CREATE TABLE alembic_version (version_num TEXT)",
        "CREATE VIRTUAL TABLE search USING fts5(title, content='menus')",
    )
    repository = SQLiteRepository(path, Schema(collections=[MENUS], exclude={"search": "ours"}))
    excluded = {exclusion.name: exclusion.reason for exclusion in repository.schema.excluded}
    assert {"alembic_version", "sqlite_sequence", "search", "search_data"} < excluded.keys()
    assert "ours" == excluded["search"]
    assert [] == read(repository, "menus")


def test_a_table_that_appears_later_is_noticed(database: Make) -> None:
    """The catalogue is compared anew each time."""
    path = database("CREATE TABLE menus (id INTEGER PRIMARY KEY, title TEXT)")
    repository = SQLiteRepository.reflect(path)
    assert [] == read(repository, "menus")
    sqlite.run(path, "CREATE TABLE more (x)")
    with pytest.raises(StoreMismatch, match="the table 'more' is no collection"):
        read(repository, "menus")


def test_the_hosts_temporary_tables_are_not_mistaken_for_its_own() -> None:
    """A temporary table of the same name hides a table from plain SQL, and not from us."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE menus (id INTEGER PRIMARY KEY, title TEXT)")
    connection.execute("INSERT INTO menus VALUES (1, 'real')")
    connection.execute("CREATE TEMP TABLE menus (id INTEGER PRIMARY KEY, title TEXT)")
    repository = SQLiteRepository(connection, Schema(collections=[MENUS]))
    assert [(1, "real")] == read(repository, "menus")
    with repository.transaction() as transaction:
        transaction.update(MENUS, [(1, "new")])
        transaction.insert(MENUS, [(2, "b")])
        transaction.finish({})
    assert [(1, "new"), (2, "b")] == connection.execute("SELECT * FROM main.menus").fetchall()
    assert [] == connection.execute("SELECT * FROM menus").fetchall()
    connection.close()
