"""Foreign keys that SQLite compares otherwise than value by value."""

from pathlib import Path

import pytest

from databackup import export_all, import_all, verify_archive
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import StoreError
from tests.support import sqlite

KEYS = {
    "NOCASE": (
        "CREATE TABLE parent (k TEXT PRIMARY KEY COLLATE NOCASE)",
        "CREATE TABLE child (id INTEGER PRIMARY KEY, k TEXT REFERENCES parent)",
        "INSERT INTO parent VALUES ('Ana@x.org')",
        "INSERT INTO child VALUES (1, 'ana@X.ORG')",
    ),
    "affinity": (
        "CREATE TABLE parent (k TEXT PRIMARY KEY)",
        "CREATE TABLE child (id INTEGER PRIMARY KEY, k REFERENCES parent)",
        "INSERT INTO parent VALUES ('1')",
        "INSERT INTO child VALUES (1, 1)",
    ),
    "real": (
        "CREATE TABLE parent (k REAL PRIMARY KEY)",
        "CREATE TABLE child (id INTEGER PRIMARY KEY, k DECIMAL(5,2) REFERENCES parent)",
        "INSERT INTO parent VALUES (1.0)",
        "INSERT INTO child VALUES (1, 1)",
    ),
}


@pytest.mark.parametrize("types", ["storage", "declared"])
@pytest.mark.parametrize("name", KEYS)
def test_what_sqlite_takes_for_sound_goes_back(tmp_path: Path, name: str, types: str) -> None:
    """A foreign key that holds in SQLite neither fails verification nor the import."""
    path, archive = tmp_path / "app.db", tmp_path / "app.json"
    sqlite.run(path, *KEYS[name])
    before = sqlite.dump(path)
    repository = SQLiteRepository.reflect(path, types=types)  # type: ignore[arg-type]
    export_all(repository, archive)
    assert () == verify_archive(archive).warnings
    sqlite.run(path, "DELETE FROM child", "DELETE FROM parent")
    import_all(repository, archive)
    assert before == sqlite.dump(path)


@pytest.mark.parametrize("name", KEYS)
def test_what_sqlite_takes_for_dangling_is_refused(tmp_path: Path, name: str) -> None:
    """SQLite's own check of such a foreign key still guards the commit."""
    path, archive = tmp_path / "app.db", tmp_path / "app.json"
    sqlite.run(path, *KEYS[name])
    sound = sqlite.dump(path)
    sqlite.run(path, "UPDATE child SET k = '7'")
    export_all(SQLiteRepository.reflect(path), archive)
    sqlite.run(path, "DELETE FROM child", "DELETE FROM parent", *KEYS[name][2:])
    with pytest.raises(StoreError, match="child"):
        import_all(SQLiteRepository.reflect(path), archive)
    assert sound == sqlite.dump(path)
