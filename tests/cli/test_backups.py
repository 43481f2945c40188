"""Folders on the command line: `export TARGET FOLDER/`, `backups`, `prune`."""

import datetime
import json
import os
import re
import signal
from pathlib import Path

import pytest

from databackup.archive import compression
from databackup.cli.backups import age_of
from tests.cli.conftest import Workshop
from tests.support.sqlite import run

PACKED = {"gzip": ".json.gz", "zstd": ".json.zst"}[compression.best()]


@pytest.fixture
def folder(workshop: Workshop) -> Path:
    """A folder beside the database."""
    (workshop.folder / "backups").mkdir()
    return workshop.folder / "backups"


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["backups", "backups/"])
def test_export_into_a_folder(workshop: Workshop, folder: Path, name: str) -> None:
    """The report names the file, which is called as the database where there is no app."""
    result = workshop.ok("export", "shop.db", name, "--json")
    (file,) = _files(folder)
    assert re.fullmatch(rf"shop_v1_\d{{8}}T\d{{6}}Z_5records{re.escape(PACKED)}", file)
    assert f"backups/{file}" == json.loads(result.stdout)["path"]
    result = workshop.ok("export", workshop.app(version=4), name)
    assert "to backups/shop_v4_" in result.stderr


def test_export_into_a_folder_that_is_not_there(workshop: Workshop) -> None:
    """It is not made."""
    result = workshop.run("export", "shop.db", "nowhere/")
    assert (1, "error: the folder nowhere does not exist") == (
        result.exit_code,
        result.stderr.splitlines()[0],
    )
    assert not Path("nowhere").exists()


def test_list(workshop: Workshop, folder: Path) -> None:
    """Age, app, version, records, size and state of each, and what is wrong with the others."""
    workshop.ok("export", workshop.app(version=3), "backups")
    workshop.ok("import", workshop.archive(), "shop.db", "--yes", "--safety-backup", "backups")
    (folder / "broken.json").write_text("{")
    (folder / "notes.txt").write_text("x")
    result = workshop.ok("backups", "backups")
    assert "" == result.stderr
    lines = result.stdout.splitlines()
    assert "2 archives in backups" == lines[0]
    assert ["file", "age", "app", "version", "records", "size", "state"] == lines[1].split()
    named = next(line for line in lines if "_v3_" in line)
    assert re.search(r"\d+ seconds? +shop +3 +5 +[\d.]+ (bytes|kB) +sound$", named)
    unnamed = next(line for line in lines if "_v1_" in line)
    assert re.search(r"not named +1 +5 .* sound, safety backup$", unnamed)
    assert lines[-1].startswith("  backups/broken.json: the file")
    assert "notes" not in result.stdout


def test_list_as_json(workshop: Workshop, folder: Path) -> None:
    """One object on one line; what is not known is null."""
    workshop.ok("export", "shop.db", "backups")
    (folder / "broken.json").write_text("{")
    report = json.loads(workshop.ok("backups", "backups", "--json", "--verify").stdout)
    assert "backups" == report["folder"]
    whole, broken = report["backups"]
    assert (True, 5, 1, None) == (
        whole["sound"],
        whole["records"],
        whole["schema_version"],
        whole["app"],
    )
    assert (False, None) == (broken["sound"], broken["created_at"])


def test_nothing_to_list(workshop: Workshop, folder: Path) -> None:
    """An empty folder is an answer, one that is not there an error."""
    assert "there is no archive in backups\n" == workshop.ok("backups", "backups").stdout
    result = workshop.run("backups", "none")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "error: the folder none does not exist" in result.stderr


@pytest.mark.parametrize(
    "created_at, age",
    [
        ("2026-01-10T00:00:00Z", "0 seconds"),
        ("2026-01-09T23:59:59Z", "1 second"),
        ("2026-01-09T23:58:01Z", "119 seconds"),
        ("2026-01-09T23:58:00Z", "2 minutes"),
        ("2026-01-09T22:00:01Z", "119 minutes"),
        ("2026-01-09T22:00:00Z", "2 hours"),
        ("2026-01-08T00:00:01Z", "47 hours"),
        ("2026-01-08T00:00:00.000000Z", "2 days"),
        ("2024-01-10T00:00:00Z", "731 days"),
        ("2027-01-10T00:00:00Z", "0 seconds"),
    ],
)
def test_ages(created_at: str, age: str) -> None:
    """An age is told in the largest unit of which there are two; a clock that is wrong is none."""
    now = datetime.datetime(2026, 1, 10, tzinfo=datetime.UTC)
    assert age == age_of(created_at, now)


def _three(workshop: Workshop, folder: Path) -> list[str]:
    for number in range(3):
        run(workshop.database, f"INSERT INTO people VALUES ({number + 10}, 'name {number}')")
        workshop.ok("export", "shop.db", "backups")
    return sorted(_files(folder), key=lambda name: name.partition("Z_")[2])


def test_prune(workshop: Workshop, folder: Path) -> None:
    """The oldest go, and the report names them."""
    *old, newest = _three(workshop, folder)
    result = workshop.ok("prune", "backups", "--keep-last", "1", "--yes")
    assert [newest] == _files(folder)
    assert "2 archives removed from backups, 1 archive kept" in result.stderr
    for name in old:
        assert f"backups/{name}" in result.stderr
    result = workshop.ok("prune", "backups", "--keep-last", "1")
    assert "there is nothing to remove from backups; 1 archive stays\n" == result.stderr


def test_ctrl_c_while_files_are_removed(
    workshop: Workshop, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the first is removed nobody is told that nothing was: all that was shown goes."""
    _three(workshop, folder)
    unlink = Path.unlink

    def press(path: Path) -> None:
        unlink(path)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Path, "unlink", press)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        workshop.ok("prune", "backups", "--keep-last", "1", "--yes")
    finally:
        signal.signal(signal.SIGINT, before)
    assert 1 == len(_files(folder))


def test_prune_dry_run(workshop: Workshop, folder: Path) -> None:
    """It tells, as JSON too, and removes nothing."""
    *old, newest = _three(workshop, folder)
    result = workshop.ok("prune", "backups", "--keep-last", "2", "--dry-run", "--json")
    report = json.loads(result.stdout)
    assert ([f"backups/{old[0]}"], True) == (
        [item["path"] for item in report["removed"]],
        report["dry_run"],
    )
    result = workshop.ok("prune", "backups", "--keep-last", "2", "--dry-run")
    assert "1 archive to be removed from backups, 2 archives kept" in result.stderr
    assert sorted([*old, newest]) == _files(folder)


def test_prune_of_one_app(workshop: Workshop, folder: Path) -> None:
    """`--app` leaves all others alone."""
    _three(workshop, folder)
    for _ in range(2):
        workshop.ok("export", workshop.app(), "backups")
    workshop.ok("prune", "backups", "--keep-last", "1", "--app", "shop", "--yes")
    assert 4 == len(_files(folder))


def test_prune_asks(workshop: Workshop, folder: Path) -> None:
    """Without --yes and without a terminal it shows what it would do, and removes nothing."""
    before = _three(workshop, folder)
    result = workshop.run("prune", "backups", "--keep-last", "1", stdin=b"y\n")
    assert 1 == result.exit_code
    assert "2 archives to be removed from backups" in result.stderr
    assert "error: the command would remove archives, and there is no terminal" in result.stderr
    assert "To go on without being asked, say --yes." in result.stderr
    assert sorted(before) == _files(folder)


@pytest.mark.parametrize("number", ["0", "-1", "all", ""])
def test_prune_of_all(workshop: Workshop, folder: Path, number: str) -> None:
    """How many stay has to be said, and is at least one."""
    before = _three(workshop, folder)
    assert 2 == workshop.run("prune", "backups", "--keep-last", number, "--yes").exit_code
    assert 2 == workshop.run("prune", "backups", "--yes").exit_code
    assert sorted(before) == _files(folder)


@pytest.mark.skipif(os.name != "posix", reason="names of POSIX")
def test_hostile_names(workshop: Workshop, folder: Path) -> None:
    """What a file or an app is called is shown, and not obeyed."""
    (folder / "a\x1b]0;owned\x07.json").write_text("{}")
    workshop.ok("export", workshop.app(app="x\x1b[31m"), "backups")
    result = workshop.ok("backups", "backups")
    assert "\x1b" not in result.stdout
    assert r"\x1b]0;owned\x07.json" in result.stdout
    assert r"x\x1b[31m" in result.stdout
