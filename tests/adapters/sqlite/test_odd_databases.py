import contextlib
import io
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from databackup import import_all, iter_export
from databackup.adapters._sql import Table
from databackup.adapters.sqlite import SQLiteRepository
from databackup.adapters.sqlite.catalogue import affinity_of
from databackup.errors import (
    CommitUnknown,
    DatabackupError,
    SchemaError,
    StoreError,
    StoreFailed,
    StoreMismatch,
)
from databackup.schema import Collection, Kind, Schema, kinds
from tests.adapters.sqlite.helpers import failing, insert, read, undone
from tests.support import sqlite

SCHEMA = Schema(collections=[Collection("notes", key="id", fields={"id": int, "text": str})])
TABLE = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"
NOTES = SCHEMA["notes"]

Make = Callable[..., Path]


def latin(path: Path, old: str, new: bytes) -> None:
    """Put bytes that are no UTF-8 into the text of definitions."""
    data = path.read_bytes()
    assert old.encode() in data
    assert len(old) == len(new)
    path.write_bytes(data.replace(old.encode(), new))


def test_a_connection_that_cannot_undo_is_refused(database: Make) -> None:
    """Without a journal a rollback leaves anything: nothing is written, and reading goes on."""
    path = database(TABLE, "INSERT INTO notes VALUES (1, 'a')")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = off")
        repository = SQLiteRepository(connection, SCHEMA)
        with (
            pytest.raises(StoreError, match="set another journal mode, or give a path"),
            repository.transaction(),
        ):
            pass
        assert [(1, "a")] == read(repository, "notes")


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
@pytest.mark.parametrize("goes_on", [True, False])
def test_a_host_that_ends_the_transaction_is_named(
    database: Make, end: str, *, goes_on: bool
) -> None:
    """On a lent connection nobody knows how the host ended the transaction, and it is not said."""
    with contextlib.closing(sqlite3.connect(database(TABLE))) as connection:
        repository = SQLiteRepository(connection, SCHEMA)
        with failing(repository, CommitUnknown, "somebody else ended.*look at the store") as t:
            t.insert(NOTES, [(1, "a")])
            t.finish({})
            connection.execute(end)
            if goes_on:
                t.insert(NOTES, [(2, "b")])


def test_a_full_disk_on_a_lent_connection_is_sqlites_own_end(database: Make) -> None:
    """Where SQLite's own error ended the transaction it was rolled back, also when that is late."""
    with contextlib.closing(sqlite3.connect(database(TABLE))) as connection:
        connection.execute("PRAGMA max_page_count = 3")
        repository = SQLiteRepository(connection, SCHEMA)
        with failing(repository, StoreFailed, "rolled everything back") as t:
            # A full disk undoes only itself where a statement has several rows, as from 32 on.
            with pytest.raises(StoreFailed, match="full"):
                t.insert(NOTES, [(n, "x" * 1000) for n in range(2, 33)])
            assert not connection.in_transaction
            t.insert(NOTES, [(1, "a")])


@pytest.mark.parametrize("version", [sqlite3.sqlite_version_info, (3, 34, 1)])
@pytest.mark.parametrize(
    "table, index",
    [
        ("docs_content", "fts5(body, content='docs_content', content_rowid='id')"),
        ("docs_content", "fts5(body, cont = [docs_content], content_rowid=id)"),
        ("docs_content", 'fts4(content="docs_content", body)'),
        ("docs_docsize", "fts5(body, columnsize=0, content='')"),
        ("docs_docsize", "fts5(body, columnsize=0)"),
        ("docs_docsize", "fts4(body, matchinfo=fts3)"),
        ("docs_docsize", "fts3(body)"),
        ("docs_stat", "fts3(body)"),
    ],
)
def test_tables_that_are_called_like_a_part_of_an_index(
    database: Make,
    table: str,
    index: str,
    version: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What an index has not made itself is data, whatever its name."""
    path = database(
        f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, body TEXT)",
        f"CREATE VIRTUAL TABLE docs USING {index}",
    )
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    repository = SQLiteRepository.reflect(path)
    assert table in repository.schema
    insert(repository, table, (1, "words"))
    assert [(1, "words")] == read(repository, table)
    if table == "docs_content":
        assert "docs" not in repository.schema
        found = sqlite.query(path, "SELECT count(*) FROM docs WHERE docs MATCH 'words'")
        assert [(1,)] == found


def test_an_option_in_a_comment_is_none(database: Make) -> None:
    """Only what the module takes for an option is one."""
    path = database("CREATE VIRTUAL TABLE docs /* (content='x') */ USING fts5(body)")
    assert ["docs"] == [c.name for c in SQLiteRepository.reflect(path).schema.collections]


def test_definitions_that_are_no_utf8(database: Make) -> None:
    """A comment, a type, a default and an index's name in Latin-1 are no hindrance."""
    path = database(
        "CREATE TABLE k (id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " n GRXSSE DEFAULT 'GRXSSE' -- GRXSSE\n)",
        "CREATE UNIQUE INDEX GRXSSE ON k (n)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, k TEXT REFERENCES GRXSSE (n))",
    )
    latin(path, "GRXSSE", b"GR\xd6SSE")
    repository = SQLiteRepository.reflect(path)
    insert(repository, "k", (1, 2.5))
    assert [(1, 2.5)] == read(repository, "k")


def test_a_trigger_that_is_no_utf8_is_named(database: Make) -> None:
    """Such a trigger cannot be made anew: exports work, an import is refused before it begins."""
    path = database(
        TABLE,
        "INSERT INTO notes VALUES (1, 'a')",
        "CREATE TRIGGER stop BEFORE INSERT ON notes BEGIN SELECT RAISE(ABORT, 'grXn'); END",
    )
    latin(path, "grXn", b"gr\xfcn")
    before = path.read_bytes()
    repository = SQLiteRepository(path, SCHEMA)
    assert [(1, "a")] == read(repository, "notes")
    with (
        pytest.raises(StoreError, match="no UTF-8 cannot be suspended: 'stop'"),
        repository.transaction(),
    ):
        pass
    assert before == path.read_bytes()


@pytest.mark.parametrize(
    "sql, message",
    [
        ("CREATE TABLE GRXSSE (id)", r"the name of the table 'GR\\xd6SSE' is no UTF-8"),
        ("CREATE TABLE t (GRXSSE)", r"the name of a column of 't', 'GR\\xd6SSE' is no UTF-8"),
    ],
)
def test_names_that_are_no_utf8_are_refused(database: Make, sql: str, message: str) -> None:
    """No statement of Python's could have such a name."""
    path = database(sql)
    latin(path, "GRXSSE", b"GR\xd6SSE")
    with pytest.raises(StoreMismatch, match=message):
        SQLiteRepository.reflect(path)


@pytest.mark.parametrize(
    "declared, kind",
    [
        ("DECIMAL(65,300)", kinds.Decimal(300)),
        ("DECIMAL(65,301)", kinds.Float()),
        ("DECIMAL(65,1000)", kinds.Float()),
        (f"DECIMAL(65,{'9' * 5000})", kinds.Float()),
    ],
)
def test_large_scales(database: Make, declared: str, kind: Kind) -> None:
    """A scale beyond what a double holds declares nothing."""
    path = database(
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared} NOT NULL)",
        "INSERT INTO t VALUES (1, 0.5), (2, 9223372036854775807), (3, 1e-300)",
    )
    repository = SQLiteRepository.reflect(path, types="declared")
    assert kind == repository.schema["t"].fields[1].kind
    rows = read(repository, "t")
    with undone(repository) as transaction:
        transaction.update(repository.schema["t"], rows)
        assert rows == transaction.get(repository.schema["t"], [(1,), (2,), (3,)])


def test_an_exclusion_that_could_mean_two_things(database: Make) -> None:
    """A table "a.b" and a column b of a table a are told apart by nobody."""
    path = database('CREATE TABLE "a.b" (x)', "CREATE TABLE a (b, c)")
    with pytest.raises(SchemaError, match=r"'a\.b' is ambiguous"):
        SQLiteRepository.reflect(path, exclude={"a.b": "why"})


@pytest.mark.parametrize("other", ["T", Table("T")])
def test_two_collections_in_one_table(path: Path, other: str | Table) -> None:
    """Names that differ in ASCII case only are one table to SQLite."""
    collections = [Collection(name, key="id", fields={"id": int}) for name in ("c", "d")]
    with pytest.raises(SchemaError, match="'c' in 't' and 'd' in 'T'"):
        SQLiteRepository(path, Schema(collections=collections), tables={"c": "t", "d": other})


@pytest.mark.parametrize("declared", ["ﬂoat", "ınt"])  # noqa: RUF001 - a ligature, a letter
def test_types_fold_ascii_only(database: Make, declared: str) -> None:
    """SQLite does not take other letters for those of its types."""
    assert "NUMERIC" == affinity_of(declared)
    path = database(f"CREATE TABLE t (v {declared})", "INSERT INTO t VALUES (1.0)")
    assert [("integer",)] == sqlite.query(path, "SELECT typeof(v) FROM t")


def test_a_collation_that_is_not_registered(database: Make) -> None:
    """Only the app has its collations: the message says how they come here."""
    path = database(TABLE)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.create_collation("german", lambda a, b: (a > b) - (a < b))
        connection.execute("CREATE TABLE w (k TEXT COLLATE german PRIMARY KEY)")
    repository = SQLiteRepository.reflect(path)
    with pytest.raises(DatabackupError, match="german; instead of a path, give a callable"):
        insert(repository, "w", ("a",))


@pytest.mark.parametrize("types", ["storage", "declared"])
def test_an_infinite_number_in_a_column_for_json(database: Make, types: Any) -> None:
    """SQLite makes an infinity of the text 1e400; no JSON has one, and a tag keeps it."""
    path = database(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, j JSON, n JSON NOT NULL)",
        "INSERT INTO t VALUES (1, 9e999, '1e400'), (2, '-1e999', -9e999), (3, '1.5', '[1]')",
    )
    repository = SQLiteRepository.reflect(path, types=types)
    before = sqlite.dump(path)
    archive = b"".join(iter_export(repository))
    sqlite.run(path, "DELETE FROM t")
    import_all(repository, io.BytesIO(archive))
    assert before == sqlite.dump(path)
