import contextlib
import errno
import os
import resource
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from databackup import export_all, import_all, verify_archive
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import FileError, SafetyBackupFailed, StoreFailed
from tests.support import processes, sqlite
from tests.support.archives import exported
from tests.support.club import CLUB, many, memory


@pytest.mark.parametrize("more", [0, 3, 10])
@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_database_that_gets_full(tmp_path: Path, more: int, journal: str) -> None:
    """A disk that gets full at any point of an import leaves the store as it was."""
    path = tmp_path / "t.db"
    sqlite.repository(path, CLUB, many(50))
    sqlite.query(path, f"PRAGMA journal_mode = {journal}")
    archive = tmp_path / "club.json"
    archive.write_bytes(exported(memory(many(3000))))
    before = sqlite.dump(path)
    ((pages,),) = sqlite.query(path, "PRAGMA page_count")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA max_page_count = {pages + more}")
        return connection

    with pytest.raises(StoreFailed, match="full"):
        import_all(SQLiteRepository(connect, CLUB), archive)
    assert before == sqlite.dump(path)


@pytest.mark.parametrize("name", ["club.json", "club.json.gz"])
def test_file_that_cannot_grow(tmp_path: Path, name: str) -> None:
    """An export that runs out of room leaves the old file, and no temporary one."""
    path = tmp_path / name
    path.write_bytes(b"old")

    def export() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        with pytest.raises(FileError, match="cannot be written"):
            export_all(memory(many(20_000)), path)

    assert processes.DONE == processes.run(export)
    assert (b"old", [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


@pytest.mark.parametrize("room", [0, 200, 20_000])
def test_safety_backup_that_cannot_grow(tmp_path: Path, room: int) -> None:
    """A disk that cannot hold the safety backup stops the import before anything is written."""
    path, folder = tmp_path / "club.db", tmp_path / "safety"
    folder.mkdir()
    target = sqlite.repository(path, CLUB, many(20_000))
    archive = tmp_path / "club.json"
    archive.write_bytes(exported(memory()))
    before, state = sqlite.dump(path), path.read_bytes()

    def import_() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        with pytest.raises(SafetyBackupFailed, match="cannot be written: File too large"):
            import_all(target, archive, safety_backup=folder)

    assert processes.DONE == processes.run(import_)
    assert (before, state) == (sqlite.dump(path), path.read_bytes())
    assert [] == list(folder.iterdir())


def _failing(*_args: Any, **_options: Any) -> Any:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_failed_sync_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may not be on the disk does not take the old file's place."""
    path = tmp_path / "club.json"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", _failing)
    with pytest.raises(FileError, match="cannot be written"):
        export_all(memory(), path)
    assert (b"old", [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


def test_failed_sync_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file is there; that it stays there after a power cut is not promised."""
    path = tmp_path / "club.json"
    fsync, synced = os.fsync, list[int]()

    def fails_second(file: int) -> None:
        synced.append(file)
        if len(synced) > 1:
            _failing()
        fsync(file)

    monkeypatch.setattr(os, "fsync", fails_second)
    report = export_all(memory(), path)
    (warning,) = report.warnings
    assert "its durability is unconfirmed" in warning
    assert 13 == verify_archive(path, CLUB).records


def test_failed_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename that fails leaves the old file, and no temporary one."""
    path = tmp_path / "club.json"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "replace", _failing)
    monkeypatch.setattr(Path, "replace", _failing)
    with pytest.raises(FileError, match="cannot be written"):
        export_all(memory(), path)
    assert (b"old", [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_writer_during_an_export(tmp_path: Path, journal: str) -> None:
    """Exports show one moment each: whatever is moved meanwhile, the sum stays the same."""
    schema = CLUB.excluding({})
    path = tmp_path / "t.db"
    rows = [(f"account {i}", 100.0, None) for i in range(200)]
    target = sqlite.repository(path, schema, {"teams": rows})
    sqlite.query(path, f"PRAGMA journal_mode = {journal}")
    started, ready = os.pipe()

    def transfer() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as writer:
            writer.execute("PRAGMA synchronous = OFF")
            told = False
            for number in range(100_000):
                writer.execute("BEGIN IMMEDIATE")
                change = "UPDATE teams SET rating = rating + ? WHERE code = ?"
                writer.execute(change, (-1, f"account {number % 200}"))
                writer.execute(change, (1, f"account {number * 7 % 200}"))
                writer.execute("COMMIT")
                if not told:
                    os.write(ready, b"x")
                    told = True

    child = processes.start(transfer)
    try:
        os.read(started, 1)
        seen = set()
        for _ in range(5):
            archive = tmp_path / "club.json"
            export_all(target, archive)
            copy = memory({})
            import_all(copy, archive)
            with copy.snapshot() as view:
                ratings = [row[1] for batch in view.rows(schema["teams"]) for row in batch]
            assert 20_000 == sum(ratings)
            seen.add(tuple(ratings))
        assert len(seen) > 1
    finally:
        os.kill(child, 9)
        processes.wait_for(child)
        os.close(started)
        os.close(ready)
