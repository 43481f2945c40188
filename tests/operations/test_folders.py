"""Folders of archives: how files are named there, what is listed, what is removed."""

import errno
import io
import os
import re
import shutil
import sqlite3
import string
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databackup import (
    Identity,
    Limits,
    Recipients,
    Schema,
    export_all,
    import_all,
    inspect_archive,
    list_backups,
    prune_backups,
    verify_archive,
)
from databackup.adapters.sqlite import SQLiteRepository
from databackup.archive import compression, files
from databackup.errors import FileError, NoSafetyBackup
from databackup.operations import export, folders
from databackup.operations.folders import last_safety_backup
from databackup.operations.naming import safe_name
from databackup.repository import place_of
from tests.support import sqlite
from tests.support.archives import edited, exported
from tests.support.club import CLUB, club, many, memory

TIME = "2026-11-22T10:15:00Z"
PACKED = {"gzip": ".json.gz", "zstd": ".json.zst"}[compression.best()]
NAME = f"club_v3_20261122T101500Z_13records{PACKED}"


@pytest.fixture(autouse=True)
def _time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "utc_now", lambda: TIME)


def _of_app(app: str | None, schema: Schema = CLUB) -> Any:
    return memory(club(), Schema(app=app, version=3, collections=list(schema.collections)))


# -- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
def test_an_export_into_a_folder_names_the_file(tmp_path: Path, slash: str) -> None:
    """App, version, time in UTC and the number of records; compressed; readable by its owner."""
    report = export_all(memory(), f"{tmp_path}{slash}")
    assert [tmp_path / NAME] == list(tmp_path.iterdir())
    assert str(tmp_path / NAME) == report.path
    assert 13 == verify_archive(tmp_path / NAME, CLUB).records
    assert (compression.best(), report.size) == (
        inspect_archive(tmp_path / NAME).compression,
        (tmp_path / NAME).stat().st_size,
    )
    assert 0o600 == (tmp_path / NAME).stat().st_mode & 0o777


def test_without_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where zstd is not installed the file is gzip's."""
    monkeypatch.setattr(compression, "best", lambda: "gzip")
    export_all(memory(), tmp_path)
    (path,) = tmp_path.iterdir()
    assert "club_v3_20261122T101500Z_13records.json.gz" == path.name
    assert "gzip" == inspect_archive(path).compression


def test_names_that_are_taken_get_a_number(tmp_path: Path) -> None:
    """No file is overwritten, however many there are of a second."""
    (tmp_path / NAME).write_text("mine")
    paths = [Path(str(export_all(memory(), tmp_path).path)).name for _ in range(2)]
    stem = NAME.removesuffix(PACKED)
    assert [f"{stem}-2{PACKED}", f"{stem}-3{PACKED}"] == paths
    assert "mine" == (tmp_path / NAME).read_text()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_file_systems_without_links(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without hard links nothing is overwritten either."""

    def refuse(*_args: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / NAME).write_text("mine")
    report = export_all(memory(), tmp_path)
    assert str(tmp_path / NAME).replace("records", "records-2") == report.path
    assert "mine" == (tmp_path / NAME).read_text()
    assert 2 == len(list(tmp_path.iterdir()))
    assert 13 == verify_archive(str(report.path), CLUB).records


@pytest.mark.parametrize("call", ["link", "replace"])
def test_a_name_that_cannot_be_taken(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where neither link nor rename work the reason is said, and nothing is left."""

    def refuse(*_args: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(FileError, match="cannot be written: Input/output error"):
        export_all(memory(), tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    """Neither a file nor a temporary one."""

    def cancel(_progress: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_all(memory(), tmp_path, progress=cancel)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("taken", [True, False])
def test_interrupted_once_it_has_its_name(
    tmp_path: Path, linked: bool, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the folder is synced takes the new file away again, and no other one."""

    def press(_folder: Path) -> tuple[str, ...]:
        raise KeyboardInterrupt

    if not linked:
        monkeypatch.setattr(os, "link", _refused)
    if taken:
        (tmp_path / NAME).write_text("mine")
    monkeypatch.setattr(files, "_sync_folder", press)
    with pytest.raises(KeyboardInterrupt):
        export_all(memory(), tmp_path)
    assert [NAME] * taken == [path.name for path in tmp_path.iterdir()]


def _refused(*_args: Any) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("folder", ["none/", "file/", "none/none/"])
def test_a_name_that_ends_as_a_folders_does(tmp_path: Path, folder: str) -> None:
    """No folder is made, and no file is written beside the one that is missing."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileError, match=r"the folder .* does not exist"):
        export_all(memory(), f"{tmp_path}/{folder}")
    assert ["file"] == [path.name for path in tmp_path.iterdir()]


def test_an_empty_name_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty text, as of a variable that is not set, does not stand for the current folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError, match="is a folder"):
        export_all(memory(), "")
    assert [] == list(tmp_path.iterdir())
    export_all(memory(), Path())
    assert [NAME] == [path.name for path in tmp_path.iterdir()]


def test_older_versions_say_so(tmp_path: Path) -> None:
    """The name has the version that the archive has."""
    schema = Schema(app="club", version=7, collections=list(CLUB.collections))
    assert "club_v7_" in str(export_all(memory(club(), schema), tmp_path).path)


@pytest.mark.parametrize(
    "app, name",
    [
        ("My App", "My-App"),
        ("../../etc/passwd", "etc-passwd"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("a\nb\0c\x1b[31m", "a-b-c-31m"),
        ("Küche 北京", "Küche-北京"),
        ("a:b*c?", "a-b-c"),
        ("shop_eu.v2", "shop_eu.v2"),
        ("/", "backup"),
        ("...", "backup"),
        ("x" * 300, "x" * 100),
        ("é" * 300, "é" * 50),
        ("x" * 99 + ".y", "x" * 99),
        ("\ud800", "backup"),
    ],
)
def test_app_names_are_made_safe(tmp_path: Path, app: str, name: str) -> None:
    """Whatever an app is called: the file is in the folder, and its name needs no quotes."""
    if "\ud800" in app:
        assert "" == safe_name(app)
        return
    export_all(_of_app(app), tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name.startswith(f"{name}_v3_")


@given(st.text())
def test_safe_names(text: str) -> None:
    """No separator, no control character, no leading dot or dash; safe names stay as they are."""
    name = safe_name(text)
    assert re.fullmatch(r"([\w]([\w.-]*[\w])?)?", name)
    assert len(name.encode()) <= 100
    assert name == safe_name(name)
    plain = set(string.ascii_letters + string.digits + "_")
    if set(text) <= plain and len(text) <= 100:
        assert text == name


def test_without_an_app_the_store_gives_the_name(tmp_path: Path) -> None:
    """A store that is a file lends its name; one that has none is a `backup`."""
    path = tmp_path / "My Shop.db"
    sqlite.repository(path, CLUB, club())
    folder = tmp_path / "folder"
    folder.mkdir()
    export_all(SQLiteRepository.reflect(path), folder)
    export_all(_of_app(None), folder)
    names = sorted(found.name.partition("_v")[0] for found in folder.iterdir())
    assert ["My-Shop", "backup"] == names


def test_where_a_sqlite_database_lives(tmp_path: Path) -> None:
    """However it is opened, it is the same place; in memory it has none."""
    path = tmp_path / "club.db"
    sqlite.repository(path, CLUB)
    (tmp_path / "link.db").symlink_to(path)
    expected = place_of(SQLiteRepository(path, CLUB))
    assert expected is not None
    assert "club" == expected.name
    with sqlite3.connect(path) as connection:
        assert expected == place_of(SQLiteRepository(connection, CLUB))
    connection.close()
    assert expected == place_of(SQLiteRepository(lambda: sqlite3.connect(path), CLUB))
    link = place_of(SQLiteRepository(tmp_path / "link.db", CLUB))
    assert link is not None
    assert ("link", expected.identity) == (link.name, link.identity)
    nowhere = sqlite3.connect(":memory:")
    assert place_of(SQLiteRepository(nowhere, CLUB)) is None
    nowhere.close()
    assert place_of(SQLiteRepository(nowhere, CLUB)) is None
    assert place_of(memory()) is None


# -- lists -------------------------------------------------------------------------------------


def test_the_newest_is_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is listed is what the archives say, and of one second what was written last is first."""
    for time in (
        "2026-01-02T00:00:00Z",
        "2026-01-03T00:00:00Z",
        "2025-12-31T23:59:59Z",
        TIME,
        TIME,
    ):
        monkeypatch.setattr(export, "utc_now", lambda time=time: time)
        export_all(memory(), tmp_path)
    found = list_backups(tmp_path)
    times = [backup.created_at for backup in found]
    assert [
        TIME,
        TIME,
        "2026-01-03T00:00:00Z",
        "2026-01-02T00:00:00Z",
        "2025-12-31T23:59:59Z",
    ] == times
    assert [f"-2{PACKED}", f"ds{PACKED}"] == [b.path[-len(PACKED) - 2 :] for b in found[:2]]
    info = inspect_archive(found[0].path)
    assert ("club", 3, 13, info.seal) == (
        found[0].app,
        found[0].schema_version,
        found[0].records,
        found[0].seal,
    )
    assert (True, False, None) == (found[0].sound, found[0].safety_backup, found[0].problem)
    assert Path(found[0].path).stat().st_size == found[0].size
    assert found[0].as_json()["sound"] is True


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    """Damaged archives and what is named as one are listed behind the others, with the reason."""
    whole = exported(memory())
    (tmp_path / "cut.json").write_bytes(whole[:-100])
    (tmp_path / "changed.json").write_bytes(whole.replace(b"Ana", b"Eve"))
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "empty.json.gz").touch()
    (tmp_path / "sound.json").write_bytes(whole)
    (tmp_path / "no-suffix").write_bytes(whole)
    found = {Path(b.path).name: b.problem for b in list_backups(tmp_path)}
    assert {"sound.json", "no-suffix"} == set(list(found)[:2])
    assert found["sound.json"] is found["no-suffix"] is None
    problems = {name: problem for name, problem in found.items() if problem}
    assert ["changed.json", "cut.json", "empty.json.gz", "package.json"] == list(problems)
    assert "its seal does not fit" in problems["changed.json"]
    assert "ends" in problems["cut.json"] or "seal" in problems["cut.json"]
    assert "the file is empty" == problems["empty.json.gz"]
    assert "no databackup archive" in problems["package.json"]
    unsound = list_backups(tmp_path)[-1]
    assert (None, None, None, False) == (unsound.app, unsound.records, unsound.seal, unsound.sound)


def test_other_files_are_left_out(tmp_path: Path) -> None:
    """Databases, notes, links, folders, hidden and temporary files are nobody's archives."""
    sqlite.repository(tmp_path / "club.db", CLUB, club())
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.json").write_bytes(exported(memory()))
    (tmp_path / ".club.json.abc.databackup-tmp").write_bytes(b"half")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "folder.json" / "inner.json").write_bytes(exported(memory()))
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "empty").touch()
    (tmp_path / "packed.gz").write_bytes(b"\x1f\x8bnonsense")
    assert () == list_backups(tmp_path)
    export_all(memory(), tmp_path / "real.json")
    (tmp_path / "latest.json").symlink_to("real.json")
    assert ["real.json"] == [Path(b.path).name for b in list_backups(tmp_path)]


def test_records_are_read_where_asked_for(tmp_path: Path) -> None:
    """The seal may fit where a record does not: `verify` reads them all."""
    bad = edited(
        exported(memory()), CLUB, lambda lines: lines.collections["members"].append(b'{"id":true}')
    )
    (tmp_path / "bad.json").write_bytes(bad)
    (backup,) = list_backups(tmp_path)
    assert backup.sound
    (backup,) = list_backups(tmp_path, verify=True)
    assert "the archive is not sound" in str(backup.problem)
    assert ("club", 14) == (backup.app, backup.records)  # what it says is told still


def test_limits_hold_for_lists(tmp_path: Path) -> None:
    """A file beyond the limits is not read further, and that is what is said of it."""
    export_all(memory(many(3000)), tmp_path / "large.json")
    (backup,) = list_backups(tmp_path, limits=Limits(size=1000))
    assert "the limit 'size'" in str(backup.problem)


@pytest.mark.parametrize("name, match", [("none", "does not exist"), ("file", "not a folder")])
def test_what_is_no_folder(tmp_path: Path, name: str, match: str) -> None:
    """A folder that is not there is an error, not an empty list."""
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=match):
        list_backups(tmp_path / name)
    with pytest.raises(FileError, match=match):
        prune_backups(tmp_path / name, keep_last=1)


def test_progress_of_a_list_cancels(tmp_path: Path) -> None:
    """What progress raises comes out."""
    export_all(memory(), tmp_path)

    def stop(_progress: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list_backups(tmp_path, progress=stop)


# -- prune -------------------------------------------------------------------------------------

FILES = st.lists(
    st.tuples(
        st.sampled_from(["club", "shop", None]),
        st.integers(0, 9),  # the day
        st.sampled_from(["sound", "sound", "sound", "damaged", "wrong", "safety"]),
    ),
    max_size=9,
)


@pytest.fixture(scope="module")
def made() -> dict[tuple[str | None, int, str], bytes]:
    """Archives by app, day and state, each made once."""
    return {}


def _made(app: str | None, day: int, state: str, cache: dict[Any, bytes]) -> bytes:
    found = cache.get((app, day, state))
    if found is None:
        schema = Schema(app=app, version=3, collections=list(CLUB.collections))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                export, "utc_now", lambda: f"2026-01-0{day}T00:00:00Z".replace("-00", "-10")
            )
            if state == "safety":
                patch.setattr(
                    export.Export,
                    "_header_of",
                    _with_safety(export.Export._header_of),
                )
            found = exported(memory(club(), schema))
        if state == "damaged":
            found = found.replace(b"Ana", b"Eve")
        elif state == "wrong":
            found = edited(
                found, schema, lambda lines: lines.collections["members"].append(b'{"id":true}')
            )
        cache[app, day, state] = found
    return found


def _with_safety(of: Any) -> Any:
    def header(self: Any, snapshot: Any) -> Any:
        made = of(self, snapshot)
        more = {"safety_backup": {"store": None, "seal": "0" * 64}}
        return attrs.evolve(made, extensions={**made.extensions, **more})

    return header


@settings(max_examples=60, deadline=None)
@given(listed=FILES, keep=st.integers(1, 3), app=st.sampled_from([None, "club", "nobody"]))
def test_prune_against_a_model(
    listed: list[tuple[str | None, int, str]],
    keep: int,
    app: str | None,
    made: dict[Any, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Of each app the newest sound ones stay, and whatever else is there."""
    folder = tmp_path_factory.mktemp("prune")
    for number, (name, day, state) in enumerate(listed):
        path = folder / f"{number}.json"
        path.write_bytes(_made(name, day, state, made))
        os.utime(path, (number, number))  # of one day the last is the newest
    (folder / "notes.json").write_text("[]")
    (folder / "notes.txt").write_text("x")
    everything = {path.name for path in folder.iterdir()}

    expected = set()
    for family in {(name, state) for name, _, state in listed if state in ("sound", "safety")}:
        if app is not None and family[0] != app:
            continue
        own = [(day or 10, n) for n, (a, day, s) in enumerate(listed) if (a, s) == family]
        expected |= {f"{n}.json" for _, n in sorted(own, reverse=True)[keep:]}

    dry = prune_backups(folder, keep_last=keep, app=app, dry_run=True)
    assert everything == {path.name for path in folder.iterdir()}
    report = prune_backups(folder, keep_last=keep, app=app)
    assert everything - expected == {path.name for path in folder.iterdir()}
    assert expected == {Path(backup.path).name for backup in report.removed}
    assert (dry.removed, dry.kept) == (report.removed, report.kept)
    assert (True, False) == (dry.dry_run, report.dry_run)
    again = prune_backups(folder, keep_last=keep, app=app)
    assert () == again.removed


def test_unnamed_archives_of_two_databases(tmp_path: Path) -> None:
    """Without an app's name archives of other schemas are other ones: none pushes another out."""
    other = Schema(collections=[CLUB["teams"]])
    for _ in range(2):
        export_all(_of_app(None), tmp_path)
        export_all(memory({}, other), tmp_path)
    assert 2 == len(prune_backups(tmp_path, keep_last=1).removed)
    assert 2 == len({b.records for b in list_backups(tmp_path)})


@pytest.mark.parametrize("keep", [0, -1, True, 1.0, "1", None])
def test_how_many_is_a_number(tmp_path: Path, keep: Any) -> None:
    """Nobody removes all by a slip: at least one stays."""
    export_all(memory(), tmp_path)
    with pytest.raises(ValueError, match="keep_last is a number of archives from 1 on"):
        prune_backups(tmp_path, keep_last=keep)
    assert 1 == len(list_backups(tmp_path))


def test_a_file_that_took_the_place_of_one(tmp_path: Path) -> None:
    """What was put there since it was verified is not removed in its place."""
    for _ in range(2):
        export_all(memory(), tmp_path)
    plan = folders.planned_prune(tmp_path, keep_last=1)
    path = Path(plan.removed[0].backup.path)
    path.write_text("something else")
    with pytest.raises(FileError, match="was changed since it was verified, and stays"):
        plan.carry_out()
    assert "something else" == path.read_text()


def test_a_file_that_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is said, with the file."""
    for _ in range(2):
        export_all(memory(), tmp_path)

    def refuse(_path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(FileError, match="cannot be removed: Permission denied") as caught:
        prune_backups(tmp_path, keep_last=1)
    assert caught.value.path.endswith(NAME)


# -- the last safety backup --------------------------------------------------------------------


def _imported(target: SQLiteRepository, folder: Path, size: int) -> str:
    archive = io.BytesIO(exported(memory(many(size))))
    return str(import_all(target, archive, safety_backup=folder).safety_backup)


def test_the_last_one_of_a_store(tmp_path: Path) -> None:
    """The newest sound one of this very store, of all folders; no export, no other store's."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    target = sqlite.repository(tmp_path / "a.db", CLUB, club())
    stranger = sqlite.repository(tmp_path / "b.db", CLUB, club())
    with pytest.raises(NoSafetyBackup, match="no sound safety backup of this store in"):
        last_safety_backup(target, [one, other])
    first = _imported(target, one, 1)
    second = _imported(target, other, 2)
    _imported(stranger, other, 3)
    export_all(target, other)
    assert second == last_safety_backup(target, [one, other]).path
    assert second == last_safety_backup(target, [other, one, other]).path
    assert first == last_safety_backup(target, [one]).path
    with open(second, "r+b") as file:  # noqa: PTH123
        file.truncate(50)
    assert first == last_safety_backup(target, [one, other]).path
    shutil.move(first, tmp_path / "kept.json")
    with pytest.raises(NoSafetyBackup):
        last_safety_backup(target, [one, other])


def test_a_store_that_cannot_say_where_it_is(tmp_path: Path) -> None:
    """Nothing is guessed for a store without a place."""
    with pytest.raises(NoSafetyBackup, match="cannot say where its data live"):
        last_safety_backup(memory(), [tmp_path])


# -- encrypted archives ------------------------------------------------------------------------


def test_encrypted_exports_are_listed_and_pruned(tmp_path: Path) -> None:
    """By name without a key; with it they are looked into, and are archives like any other."""
    key = pytest.importorskip("pyrage").x25519.Identity.generate()
    encryption, decryption = Recipients([str(key.to_public())]), Identity([str(key)])
    for _ in range(2):
        report = export_all(memory(club()), tmp_path, encryption=encryption)
        assert str(report.path).endswith(".age")
    listed = list_backups(tmp_path)
    assert [False, False] == [backup.sound for backup in listed]
    assert all("encrypted" in str(backup.problem) for backup in listed)
    assert () == prune_backups(tmp_path, keep_last=1).removed
    for verify in (False, True):
        opened = list_backups(tmp_path, verify=verify, decryption=decryption)
        assert [(True, report.records)] * 2 == [(b.sound, b.records) for b in opened]
    assert 1 == len(prune_backups(tmp_path, keep_last=1, decryption=decryption).removed)
    assert 1 == len(list(tmp_path.iterdir()))
