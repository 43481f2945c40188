"""Tables made in a SQLite file hold what another one did, values off their kind as well."""

import io
import sqlite3
from pathlib import Path

import pytest

from databackup import diff, import_all
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import StoreError
from tests.support import sqlite
from tests.support.archives import exported

SOURCES = [
    ["CREATE TABLE t (d DATE)", "INSERT INTO t VALUES (5), ('x'), (2.5), (x'00'), (NULL)"],
    ["CREATE TABLE t (v)", "INSERT INTO t VALUES (5), ('5'), (5.0), (x'00'), (NULL)"],
    ["CREATE TABLE t (n NUMERIC)", "INSERT INTO t VALUES (5), ('x'), (2.5), (NULL)"],
    ["CREATE TABLE t (r REAL)", "INSERT INTO t VALUES (5.0), ('x'), (2.5), (NULL)"],
    ["CREATE TABLE t (i INT PRIMARY KEY)", "INSERT INTO t VALUES (5), ('x'), (2.5)"],
    ["CREATE TABLE t (i INT NOT NULL PRIMARY KEY)", "INSERT INTO t VALUES (5), ('x')"],
    ["CREATE TABLE t (s TEXT PRIMARY KEY, b BLOB)", "INSERT INTO t VALUES ('5', 5), ('x', 'y')"],
]


@pytest.mark.parametrize("statements", SOURCES, ids=lambda s: s[0])
def test_as_stored(tmp_path: Path, statements: list[str]) -> None:
    """Each value has the storage class that it had, and a column may be absent where it might."""
    sqlite.run(tmp_path / "old.db", *statements)
    old = SQLiteRepository.reflect(tmp_path / "old.db")
    new = tmp_path / "new.db"
    new.touch()
    import_all(SQLiteRepository.reflect(new), io.BytesIO(exported(old)), create=True)
    expected = sqlite.query(tmp_path / "old.db", "SELECT *, typeof(t.ROWID) FROM t")
    assert sorted(map(repr, expected)) == sorted(
        map(repr, sqlite.query(new, "SELECT *, typeof(t.ROWID) FROM t"))
    )
    assert diff(old, SQLiteRepository.reflect(new)).identical


def test_a_store_that_fails(tmp_path: Path) -> None:
    """Where it is not the table's fault that it cannot be made, the error says so."""
    sqlite.run(tmp_path / "old.db", "CREATE TABLE t (x INTEGER)")
    archive = exported(SQLiteRepository.reflect(tmp_path / "old.db"))
    new = tmp_path / "new.db"
    sqlite.run(new, "CREATE TABLE alembic_version (x)")

    def full() -> sqlite3.Connection:
        connection = sqlite3.connect(new)
        connection.execute("PRAGMA max_page_count = 2")
        return connection

    with pytest.raises(StoreError) as raised:
        import_all(SQLiteRepository.reflect(full), io.BytesIO(archive), create=True)
    assert "store-failed" == raised.value.code
