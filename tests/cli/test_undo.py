"""Safety backups of `import` and `copy`, and `undo`."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from databackup import verify_archive
from databackup.errors import NoSafetyBackup, SafetyBackupFailed
from tests.cli.conftest import Workshop
from tests.support.sqlite import dump, run


@pytest.fixture
def archive(workshop: Workshop) -> Path:
    """An archive in a folder of its own; the database has changed since."""
    (workshop.folder / "backups").mkdir()
    file = workshop.archive().rename(workshop.folder / "backups" / "monday.json")
    run(
        workshop.database,
        "DELETE FROM orders WHERE id > 10",
        "UPDATE people SET name = 'Al' WHERE id = 1",
        "INSERT INTO people VALUES (3, 'Cy')",
    )
    return file


def _made(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("shop_v1_*"))


def _command(stderr: str) -> list[str]:
    (line,) = [line for line in stderr.splitlines() if "to undo this: databackup " in line]
    return shlex.split(line.partition("databackup ")[2])


def test_beside_the_archive(workshop: Workshop, archive: Path) -> None:
    """`import` makes one beside FILE, names it, and names the command that undoes."""
    before = workshop.dump()
    result = workshop.ok("import", "backups/monday.json", "shop.db", "--yes")
    (made,) = _made(archive.parent)
    assert f"  safety backup backups/{made.name}\n" in result.stderr
    assert ["undo", "shop.db", "--folder", "backups"] == _command(result.stderr)
    assert before != workshop.dump()
    workshop.ok(*_command(result.stderr), "--yes")
    assert before == workshop.dump()


def test_in_the_current_folder(workshop: Workshop, archive: Path) -> None:
    """Beside a FILE in the current folder `undo TARGET` is all there is to say."""
    archive.rename("monday.json")
    before = workshop.dump()
    result = workshop.ok("import", "monday.json", "shop.db", "--yes")
    assert ["undo", "shop.db"] == _command(result.stderr)
    workshop.ok("undo", "shop.db", "--yes")
    assert before == workshop.dump()


def test_of_standard_input(workshop: Workshop, archive: Path) -> None:
    """What comes by a pipe has no folder: the current one is taken."""
    workshop.ok("import", "-", "shop.db", "--yes", stdin=archive.read_bytes())
    assert 1 == len(_made(workshop.folder))


@pytest.mark.parametrize("way", ["/dev/fd/0", "pipe"])
def test_of_a_pipe_with_a_name(workshop: Workshop, archive: Path, way: str) -> None:
    """Neither is the folder of a pipe one for archives, nor that of the system's own names."""
    command = f"cat {archive} | {{}}"
    if way == "pipe":
        os.mkfifo(archive.parent / "pipe")
        way, command = "backups/pipe", f"cat {archive} > backups/pipe & {{}}"
    line = f"{shlex.quote(sys.executable)} -m databackup import {way} shop.db --yes"
    subprocess.run(["sh", "-c", command.format(line)], check=True, capture_output=True)
    assert 1 == len(_made(workshop.folder))


def test_an_undo_can_be_undone(workshop: Workshop, archive: Path) -> None:
    """Each undo makes a safety backup of its own, in the folder of the one that it takes."""
    states = [workshop.dump()]
    workshop.ok("import", archive, "shop.db", "--yes")
    states.append(workshop.dump())
    for times in range(1, 4):
        workshop.ok("undo", "shop.db", "--folder", "backups", "--yes")
        assert states[(times + 1) % 2] == workshop.dump()
        assert times + 1 == len(_made(archive.parent))


def test_found_beside_the_database(
    workshop: Workshop, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From wherever: the folder of a SQLite file is looked into, however the file is named."""
    before = workshop.dump()
    workshop.ok("import", archive, "shop.db", "--yes", "--safety-backup", ".")
    (workshop.folder / "elsewhere").mkdir()
    monkeypatch.chdir(workshop.folder / "elsewhere")
    workshop.ok("undo", f"sqlite:///{workshop.database}", "--yes")
    assert before == workshop.dump()


def test_as_json(workshop: Workshop, archive: Path) -> None:
    """Reports name the safety backup, or say null."""
    report = json.loads(workshop.ok("import", archive, "shop.db", "--yes", "--json").stdout)
    assert 4 == verify_archive(report["safety_backup"]).records
    result = workshop.ok("undo", "shop.db", "--folder", "backups", "--yes", "--json")
    report = json.loads(result.stdout)
    assert (1, 1, 2) == (report["added"], report["changed"], report["deleted"])
    assert 5 == verify_archive(report["safety_backup"]).records
    options = ("--yes", "--json", "--no-safety-backup")
    assert (
        json.loads(workshop.ok("import", archive, "shop.db", *options).stdout)["safety_backup"]
        is None
    )


def test_none(workshop: Workshop, archive: Path) -> None:
    """`--no-safety-backup` makes none, and nothing is said of one."""
    result = workshop.ok("import", archive, "shop.db", "--yes", "--no-safety-backup")
    assert [] == _made(archive.parent)
    assert "undo" not in result.stderr
    assert "safety" not in result.stderr


def test_chosen(workshop: Workshop, archive: Path) -> None:
    """`--safety-backup` names a new file or a folder; a file that is there stays."""
    workshop.ok("import", archive, "shop.db", "--yes", "--safety-backup", "before.json")
    assert 4 == verify_archive("before.json").records
    old = Path("before.json").read_bytes()
    before = workshop.dump()
    result = workshop.run("import", archive, "shop.db", "--yes", "--safety-backup", "before.json")
    assert 1 == result.exit_code
    assert "before.json exists, and no safety backup overwrites it" in result.stderr
    assert (old, before) == (Path("before.json").read_bytes(), workshop.dump())


@pytest.mark.parametrize("turned", [False, True])
def test_not_both(workshop: Workshop, archive: Path, turned: bool) -> None:
    """The two options exclude each other, in either order."""
    options = ["--no-safety-backup", "--safety-backup=x.json"][:: -1 if turned else 1]
    result = workshop.run("import", archive, "shop.db", "--yes", *options)
    assert 2 == result.exit_code
    assert "exclude each other" in result.stderr


def test_refused_where_there_can_be_none(workshop: Workshop, archive: Path) -> None:
    """A record that cannot be exported stops the import, and the error says what to do."""
    run(workshop.database, "UPDATE orders SET amount = 'much'")
    before = workshop.dump()
    result = workshop.run("import", archive, workshop.app(), "--yes", "--wrong-app", "allow")
    assert 1 == result.exit_code
    error = result.stderr.splitlines()
    assert "no safety backup could be made, and nothing was changed" in error[0]
    assert "orders, record 1" in error[0]
    assert SafetyBackupFailed.remedy + "." in error
    assert before == workshop.dump()
    assert [] == _made(archive.parent)


def test_new_databases_have_none(workshop: Workshop, archive: Path) -> None:
    """What `--create` makes of nothing has no state before."""
    result = workshop.ok("import", archive, "new.db", "--create", "--yes")
    assert "safety backup" not in result.stderr
    assert [] == _made(archive.parent)
    workshop.ok("import", archive, "new.db", "--create", "--yes", "--types", "declared")
    assert 1 == len(list(archive.parent.glob("new_v1_*_5records*")))


def test_copies_have_one(workshop: Workshop, archive: Path) -> None:
    """`copy` overwrites as `import` does, and makes one in the current folder."""
    workshop.make("other.db", "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    run(Path("other.db"), "INSERT INTO people VALUES (7, 'Flo')")
    run(workshop.database, "DROP TABLE orders")
    before = dump(Path("other.db"))
    result = workshop.ok("copy", "shop.db", "other.db", "--yes")
    assert ["undo", "other.db"] == _command(result.stderr)
    workshop.ok("undo", "other.db", "--yes")
    assert before == dump(Path("other.db"))


def test_undo_asks(workshop: Workshop, archive: Path) -> None:
    """Without --yes it says what it will do, collection by collection, and who can be asked."""
    workshop.ok("import", archive, "shop.db", "--yes")
    before = workshop.dump()
    result = workshop.run("undo", "shop.db", "--folder", "backups", stdin=b"y\n")
    assert 1 == result.exit_code
    cells = [line.split() for line in result.stderr.splitlines()]
    assert ["people", "1", "1", "0", "1", "3"] in cells
    assert ["orders", "0", "0", "2", "1", "1"] in cells
    assert "shop.db would hold what it held then, and nothing that came later:" in result.stderr
    assert "--yes" in result.stderr
    assert before == workshop.dump()
    assert 1 == len(_made(archive.parent))


def test_nothing_to_undo(workshop: Workshop, archive: Path) -> None:
    """Exports and other stores' safety backups are none of this store."""
    other = workshop.make("other.db", "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)")
    workshop.ok("import", workshop.archive(other), "other.db", "--yes")
    workshop.ok("export", "shop.db", ".")
    before = workshop.dump()
    result = workshop.run("undo", "shop.db", "--yes")
    assert (1, "error: there is no sound safety backup of this store in .") == (
        result.exit_code,
        result.stderr.splitlines()[0],
    )
    assert NoSafetyBackup.remedy + "." in result.stderr
    assert before == workshop.dump()


def test_references_that_pointed_nowhere(workshop: Workshop, archive: Path) -> None:
    """An undo brings back what was there, references that pointed nowhere included."""
    run(workshop.database, "INSERT INTO orders VALUES (99, 77, 0.5, 'lost')")
    before = workshop.dump()
    workshop.ok("import", archive, "shop.db", "--yes")
    result = workshop.ok("undo", "shop.db", "--folder", "backups", "--yes")
    assert before == workshop.dump()
    assert "warning: orders" in result.stderr


HOSTED = """
from databackup.adapters.memory import MemoryRepository
from {app} import SCHEMA
DATA = {{"people": [{{"id": 1, "name": "Ana"}}], "orders": []}}
repository = MemoryRepository(SCHEMA, DATA)
"""


def test_a_store_without_a_place(workshop: Workshop, archive: Path) -> None:
    """A store that cannot say where it is gets the command that imports the file."""
    app = workshop.app().partition(":")[0]
    target = f"{workshop.module(HOSTED.format(app=app))}:repository"
    file = workshop.archive(workshop.app())
    result = workshop.ok("import", file, target, "--yes")
    (made,) = workshop.folder.glob("shop_v1_*")
    command, path, into = _command(result.stderr)
    assert ("import", made, target) == (command, Path(path), into)
    result = workshop.run("undo", target, "--yes")
    assert 1 == result.exit_code
    assert "cannot say where its data live" in result.stderr


def test_named_by_an_app(workshop: Workshop, archive: Path) -> None:
    """A store is the same whatever a target is called: what an app imported can be undone."""
    workshop.ok("import", workshop.archive(workshop.app()), workshop.app(), "--yes")
    before: Any = workshop.dump()
    run(workshop.database, "DELETE FROM orders")
    spoiled = workshop.dump()
    workshop.ok("undo", workshop.app(), "--yes")
    workshop.ok("undo", workshop.app(), "--yes")
    assert spoiled == workshop.dump()
    assert before != spoiled
