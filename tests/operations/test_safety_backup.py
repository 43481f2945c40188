"""Safety backups: made and verified before anything is written, and kept as long as needed."""

import contextlib
import io
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databackup import (
    Limits,
    Progress,
    export_all,
    import_all,
    inspect_archive,
    preview_import,
    verify_archive,
)
from databackup.adapters.sqlite import SQLiteRepository
from databackup.archive.extensions import SafetyBackupOf
from databackup.archive.reader import open_archive
from databackup.errors import (
    CommitUnknown,
    EncryptionMismatch,
    FileError,
    InvalidRecords,
    LimitExceeded,
    SafetyBackupFailed,
    StalePlan,
    StoreFailed,
)
from databackup.operations import readback, safety
from databackup.operations.options import Mode
from databackup.operations.safety import SafetyBackup, store_of
from databackup.operations.verify import verify_all_but_references
from databackup.repository import Snapshot, Transaction
from databackup.schema import Collection, Schema
from databackup.testing.harness import stored
from databackup.testing.strategies import datasets, schemas
from tests.support import sqlite
from tests.support.archives import exported
from tests.support.club import CLUB, changed_club, club, many, memory
from tests.support.stores import STORES
from tests.support.wrappers import Passed, PassedSnapshot, PassedTransaction

NEW = exported(memory(changed_club()))


@pytest.mark.parametrize("store", STORES)
@settings(max_examples=25)
@given(data=st.data())
def test_importing_it_undoes_the_import(
    tmp_path_factory: pytest.TempPathFactory, store: str, data: st.DataObject
) -> None:
    """Whatever was there and whatever came: the store is again what it was."""
    schema = data.draw(schemas())
    old, new = data.draw(datasets(schema)), data.draw(datasets(schema))
    folder = tmp_path_factory.mktemp("safety")
    with STORES[store](schema, old) as target, STORES["memory"](schema, new) as source:
        before = stored(target)
        report = import_all(target, io.BytesIO(exported(source)), safety_backup=folder)
        assert stored(source) == stored(target)
        (path,) = folder.iterdir()
        assert str(path) == report.safety_backup
        import_all(target, path)
        assert before == stored(target)


@pytest.mark.parametrize("mode", get_args(Mode))
def test_each_mode_has_one(tmp_path: Path, mode: Mode) -> None:
    """It is the whole store, whatever the import does to it."""
    schema = Schema(app="club", version=3, collections=[CLUB["members"], CLUB["teams"]])
    target = memory(club(), schema)
    before = stored(target)
    archive = exported(memory(changed_club(), schema))
    report = import_all(target, io.BytesIO(archive), mode=mode, safety_backup=tmp_path)
    assert report.safety_backup is not None
    assert report.as_json()["safety_backup"] == report.safety_backup
    again = memory({}, schema)
    import_all(again, report.safety_backup)
    assert before == stored(again)


def test_without_one(tmp_path: Path) -> None:
    """None is asked for by default, and the report says so."""
    report = import_all(memory(), io.BytesIO(NEW))
    assert report.safety_backup is None


def test_where_a_store_is_is_asked_for_one_alone(tmp_path: Path) -> None:
    """An import without one asks a host for no connection more than before."""
    path = tmp_path / "club.db"
    sqlite.repository(path, CLUB, club())
    opened: list[int] = []

    def connect() -> sqlite3.Connection:
        opened.append(1)
        return sqlite3.connect(path)

    target = SQLiteRepository(connect, CLUB)
    assert target.capabilities.atomic
    opened.clear()
    import_all(target, io.BytesIO(NEW))
    assert [1] == opened


def test_of_an_empty_store(tmp_path: Path) -> None:
    """An empty store has one as well: by it the import is undone."""
    report = import_all(memory({}), io.BytesIO(NEW), safety_backup=tmp_path)
    assert "club_v3_" in str(report.safety_backup)
    assert str(report.safety_backup).endswith(("_0records.json.zst", "_0records.json.gz"))
    assert 0 == verify_archive(str(report.safety_backup), CLUB).records


@pytest.mark.parametrize("name", ["before.json", "before.json.gz", "before.json.zst"])
def test_at_a_path(tmp_path: Path, name: str) -> None:
    """A path is that of the file, whose suffix says how it is compressed."""
    path = tmp_path / name
    report = import_all(memory(), io.BytesIO(NEW), safety_backup=path)
    assert str(path) == report.safety_backup
    assert [path] == list(tmp_path.iterdir())
    packing = {".json": None, ".gz": "gzip", ".zst": "zstd"}[path.suffix]
    assert packing == inspect_archive(path).compression
    assert 0o600 == path.stat().st_mode & 0o777


def test_header_says_what_it_is(tmp_path: Path) -> None:
    """The store's place and the seal of what was imported then stand in its header."""
    target = sqlite.repository(tmp_path / "club.db", CLUB, club())
    report = import_all(target, io.BytesIO(NEW), safety_backup=tmp_path)
    with open_archive(str(report.safety_backup)) as archive:
        found = archive.header.safety_backup
    assert SafetyBackupOf(store_of(target), report.seal) == found
    assert inspect_archive(io.BytesIO(NEW)).seal == report.seal
    with open_archive(io.BytesIO(NEW)) as archive:
        assert archive.header.safety_backup is None


def test_its_ends_are_those_of_the_store(tmp_path: Path) -> None:
    """Count and digest of each collection, as an export of the same moment has them."""
    target = memory()
    before = SafetyBackup(tmp_path, target, "0" * 64)
    with target.transaction() as transaction:
        before.make(transaction, Limits(), None)
    with open_archive(io.BytesIO(exported(memory()))) as archive:
        assert archive.ends == before.ends


# -- before anything is written ----------------------------------------------------------------


def test_complete_before_the_first_write(tmp_path: Path) -> None:
    """When the first record is written the safety backup has its name and is sound."""
    seen: list[Any] = []

    class Noting(PassedTransaction):
        def insert(self, collection: Collection, rows: list[Any]) -> None:
            seen.append([verify_archive(path).records for path in tmp_path.iterdir()])
            super().insert(collection, rows)

    target = Passed(memory(many(3)), transaction=Noting)
    import_all(target, io.BytesIO(NEW), safety_backup=tmp_path)
    assert [3] == seen[0]


def test_no_other_view_of_the_store(tmp_path: Path) -> None:
    """It is read through the transaction: a snapshot might be of another moment."""

    class NoSnapshot(PassedSnapshot):
        def __init__(self, inner: Snapshot) -> None:
            raise AssertionError

    target = Passed(memory(), snapshot=NoSnapshot)
    import_all(target, io.BytesIO(NEW), safety_backup=tmp_path)
    assert 1 == len(list(tmp_path.iterdir()))


def _write_at_once(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as connection:
        connection.execute("DELETE FROM log")


def test_one_transaction(tmp_path: Path) -> None:
    """While it is made nobody else can write, so that it is what the import found."""
    path = tmp_path / "club.db"
    target = sqlite.repository(path, CLUB, club())
    other = sqlite.repository(tmp_path / "other.db", CLUB, club())
    refused = []

    def write(progress: Progress) -> None:
        if progress.stage == "backing up":
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                _write_at_once(path)
            refused.append(progress.collection)

    folder = tmp_path / "folder"
    folder.mkdir()
    import_all(target, io.BytesIO(exported(other)), safety_backup=folder, progress=write)
    assert ["members", "teams", "plays", "log"] == refused


def _refused(
    target: Passed, place: Any, error: type[Exception], match: str | None, **options: Any
) -> Any:
    before = stored(target.inner)
    with pytest.raises(error, match=match) as caught:
        import_all(target, io.BytesIO(NEW), safety_backup=place, **options)
    assert [] == target.calls
    assert 0 == target.open
    assert before == stored(target.inner)
    return caught.value


def test_an_open_file_is_none() -> None:
    """What is open is no place for it: it could not be read again."""
    _refused(Passed(memory()), io.BytesIO(), TypeError, "safety_backup is the path of a file")


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    """A file that is there stays, whatever it is, a link that leads nowhere included."""
    (tmp_path / "notes.json").write_text("mine")
    (tmp_path / "link.json").symlink_to("nowhere")
    for name in ("notes.json", "link.json"):
        _refused(Passed(memory()), tmp_path / name, FileError, "exists, and no safety backup")
    assert "mine" == (tmp_path / "notes.json").read_text()


def test_no_file_is_overwritten_that_comes_meanwhile(tmp_path: Path) -> None:
    """A file that appears under the name while the store is read stays as well."""
    path = tmp_path / "before.json"

    def appear(progress: Progress) -> None:
        if progress.stage == "backing up":
            path.write_text("mine")

    _refused(Passed(memory()), path, SafetyBackupFailed, "exists already", progress=appear)
    assert "mine" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["none/", "none/before.json", "none"])
def test_a_folder_that_is_not_there(tmp_path: Path, place: str) -> None:
    """It is not made: a disk that is not mounted would be filled elsewhere."""
    where = f"{tmp_path}/none/{place}"
    error = _refused(Passed(memory()), where, FileError, "does not exist")
    assert error.path.startswith(str(tmp_path))
    assert [] == list(tmp_path.iterdir())


def test_a_store_that_cannot_be_exported(tmp_path: Path) -> None:
    """A record that its schema does not allow could not be brought back: it is named instead."""
    target = Passed(memory(club() | {"members": [(1, 5, "x", None)]}))
    error = _refused(target, tmp_path, SafetyBackupFailed, "members, record 1")
    assert isinstance(error.__cause__, InvalidRecords)
    assert [] == list(tmp_path.iterdir())


def test_same_limits(tmp_path: Path) -> None:
    """What these limits would not let back in is no safety backup."""
    target = Passed(memory(club() | {"teams": [("A", 0.0, "x" * 5000)]}))
    error = _refused(
        target, tmp_path, SafetyBackupFailed, "the limit 'record'", limits=Limits(record=1000)
    )
    assert isinstance(error.__cause__, LimitExceeded)
    assert [] == list(tmp_path.iterdir())


def test_a_store_that_fails_meanwhile(tmp_path: Path) -> None:
    """A store's own failure comes out as it is, and no file stays."""

    class Failing(PassedTransaction):
        def count(self, collection: Collection) -> int:
            raise StoreFailed("the disk is gone")

    target = Passed(memory(), transaction=Failing)
    with pytest.raises(StoreFailed, match="the disk is gone"):
        import_all(target, io.BytesIO(NEW), safety_backup=tmp_path)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "another", "gone"])
def test_a_file_that_changes_before_it_is_verified(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read again must be what was written, to the seal."""

    def damaged(path: str, **options: Any) -> Any:
        if damage == "cut":
            os.truncate(path, 100)
        elif damage == "another":
            Path(path).write_bytes(NEW)
        else:
            Path(path).unlink()
        return verify_all_but_references(path, **options)

    monkeypatch.setattr(safety, "verify_all_but_references", damaged)
    _refused(Passed(memory()), tmp_path / "before.json", SafetyBackupFailed, None)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("stage", ["backing up", "verifying"])
def test_cancelled_meanwhile(tmp_path: Path, stage: str) -> None:
    """What progress raises comes out unchanged, and no file stays."""

    class Cancelled(Exception):
        pass

    def cancel(progress: Progress) -> None:
        if progress.stage == stage:
            raise Cancelled

    _refused(Passed(memory()), tmp_path, Cancelled, None, progress=cancel)
    assert [] == list(tmp_path.iterdir())


# -- an import that fails afterwards -----------------------------------------------------------


def test_gone_where_nothing_was_changed(tmp_path: Path) -> None:
    """An import that was rolled back leaves none: it would be the same as the store."""
    target = memory()
    archive = exported(memory(club() | {"plays": [(9, "A")]}))
    with pytest.raises(InvalidRecords):
        import_all(target, io.BytesIO(archive), safety_backup=tmp_path)
    assert stored(memory()) == stored(target)
    assert [] == list(tmp_path.iterdir())


class _Ends(Passed):
    """A repository whose commit ends in an error."""

    error: BaseException

    @contextlib.contextmanager
    def _transact(self, wait: float) -> Iterator[Transaction]:
        with super()._transact(wait) as transaction:
            yield transaction
        raise self.error


@pytest.mark.parametrize(
    "error, stays",
    [
        (CommitUnknown("the connection was lost during the commit"), True),
        (KeyboardInterrupt(), True),
        (MemoryError(), True),
        (StoreFailed("the disk is full"), False),
    ],
    ids=repr,
)
def test_kept_where_that_is_not_known(tmp_path: Path, error: BaseException, stays: bool) -> None:
    """It stays once a commit has begun, unless the store says that it is as it was."""
    target = _Ends(memory())
    target.error = error
    with pytest.raises(type(error)):
        import_all(target, io.BytesIO(NEW), safety_backup=tmp_path)
    assert stays == bool(list(tmp_path.iterdir()))
    for path in tmp_path.iterdir():
        assert 13 == verify_archive(path, CLUB).records


def test_kept_where_a_lent_connection_was_ended(tmp_path: Path) -> None:
    """Who ends the transaction amid the import may have committed a part of it: it stays."""

    class Ended(PassedTransaction):
        def finish(self, *_args: Any, **_options: Any) -> None:
            raise CommitUnknown("the host has ended the transaction")

    with pytest.raises(CommitUnknown):
        import_all(Passed(memory(), transaction=Ended), io.BytesIO(NEW), safety_backup=tmp_path)
    assert 1 == len(list(tmp_path.iterdir()))


def test_cancelled_at_the_commit(tmp_path: Path) -> None:
    """The last call of progress still cancels: nothing was changed then, and nothing stays."""

    def cancel(progress: Progress) -> None:
        if progress.stage == "committing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_all(memory(), io.BytesIO(NEW), safety_backup=tmp_path, progress=cancel)
    assert [] == list(tmp_path.iterdir())


def test_a_warning_of_it_reaches_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that cannot be synced is a warning, as for an export."""
    fsync, folder = os.fsync, tmp_path.stat()

    def fails(handle: int) -> None:
        if os.path.samestat(os.fstat(handle), folder):
            raise OSError(5, os.strerror(5))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", fails)
    report = import_all(memory(), io.BytesIO(NEW), safety_backup=tmp_path)
    assert "durability is unconfirmed" in report.warnings[0]


def test_it_can_be_the_same_folder_twice(tmp_path: Path) -> None:
    """Two imports within a second have two safety backups, whatever they are called."""
    for _ in range(3):
        import_all(memory(), io.BytesIO(NEW), safety_backup=f"{tmp_path}/")
    assert 3 == len(list(tmp_path.iterdir()))
    export_all(memory(), tmp_path)
    assert 4 == len(list(tmp_path.iterdir()))


def test_no_name_of_an_encrypted_file(tmp_path: Path) -> None:
    """It is not encrypted, and so must not be called so; a folder may be called anything."""
    with pytest.raises(EncryptionMismatch, match=r"x\.json\.age"):
        import_all(memory(club()), io.BytesIO(NEW), safety_backup=tmp_path / "x.json.age")
    folder = tmp_path / "folder.age"
    folder.mkdir()
    assert import_all(memory(club()), io.BytesIO(NEW), safety_backup=folder).safety_backup


def test_with_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it holds tells whether the plan still does; the store is not read once more for that."""
    store = Passed(memory(club()))
    plan = preview_import(store, io.BytesIO(NEW))
    digested: list[str] = []
    digest_of = readback.digest_of

    def noted(snapshot: Any, collection: Collection, *rest: Any) -> Any:
        digested.append(collection.name)
        return digest_of(snapshot, collection, *rest)

    monkeypatch.setattr(readback, "digest_of", noted)
    import_all(memory(club()), io.BytesIO(NEW))
    without, digested[:] = list(digested), []
    report = import_all(store, io.BytesIO(NEW), plan=plan, safety_backup=tmp_path)
    assert without == digested
    assert plan.changed == report.changed
    assert [report.safety_backup] == [str(path) for path in tmp_path.iterdir()]
    with pytest.raises(StalePlan):
        import_all(store, io.BytesIO(NEW), plan=plan, safety_backup=tmp_path)
    assert [report.safety_backup] == [str(path) for path in tmp_path.iterdir()]
