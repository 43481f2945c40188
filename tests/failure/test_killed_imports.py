import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from databackup import import_all
from databackup.adapters.sqlite import SQLiteRepository
from tests.support import processes, sqlite
from tests.support.archives import exported
from tests.support.club import CLUB, Dataset, club, many, memory

pytestmark = pytest.mark.unmeasured

TRIGGERS = (
    "CREATE TABLE audit (line TEXT)",
    "CREATE TRIGGER a AFTER INSERT ON members BEGIN INSERT INTO audit VALUES ('+' || NEW.id); END",
    "CREATE TRIGGER b AFTER UPDATE ON teams BEGIN INSERT INTO audit VALUES ('~' || NEW.code); END",
    "CREATE TRIGGER c BEFORE DELETE ON plays BEGIN INSERT INTO audit VALUES ('-'); END",
)
SPOILED: Dataset = club() | {
    "members": [
        *club()["members"][:2],
        (3, "Eve", club()["log"][2][1], 3),
        *many(9)["members"][6:],
    ],
    "teams": [*club()["teams"][:1], ("b", 9.0, None), ("x", 0.0, [])],
    "plays": [(1, "A"), (7, "x")],
    "log": [("in", club()["log"][2][1])],
}


@pytest.mark.slow
@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
@pytest.mark.parametrize("case", ["empty", "spoiled", "triggers"])
def test_killed_at_every_statement(tmp_path: Path, case: str, journal: str) -> None:
    """A process killed at any SQL statement of an import leaves the old data or the new."""
    exclude = {"audit": "the triggers write it"} if case == "triggers" else {}
    schema = CLUB.excluding(exclude)
    archive = tmp_path / "club.json"
    archive.write_bytes(exported(memory()))
    original = tmp_path / "original.db"
    sqlite.repository(original, CLUB, {} if case == "empty" else SPOILED)
    if case == "triggers":
        sqlite.run(original, *TRIGGERS)
    sqlite.query(original, f"PRAGMA journal_mode = {journal}")

    def run(path: Path, deadly: int | None) -> processes.Statements:
        statements = processes.Statements(path, deadly)
        import_all(SQLiteRepository(statements.connect, schema), archive)
        return statements

    path = _copy(original, tmp_path / "whole.db")
    total = run(path, None).count
    old, new = sqlite.dump(original), sqlite.dump(path)
    assert old != new
    assert total > 20
    found = []
    for deadly in range(1, total + 2):
        path = _copy(original, tmp_path / "t.db")
        ended = processes.run(lambda path=path, deadly=deadly: run(path, deadly))  # type: ignore[misc]
        assert (processes.KILLED if deadly <= total else processes.DONE) == ended
        dump = sqlite.dump(path)
        assert dump in (old, new)
        found.append(dump == new)
    # Old up to the commit, new from then on.
    assert sorted(found) == found
    assert (False, True) == (found[0], found[-1])


@pytest.mark.slow
def test_killed_with_a_safety_backup(tmp_path: Path) -> None:
    """Whenever it is killed: once anything was written, a complete safety backup is there."""
    archive = tmp_path / "club.json"
    archive.write_bytes(exported(memory()))
    original = tmp_path / "original.db"
    sqlite.repository(original, CLUB, SPOILED)
    old = sqlite.dump(original)

    def run(path: Path, deadly: int | None, folder: Path) -> processes.Statements:
        statements = processes.Statements(path, deadly)
        target = SQLiteRepository(statements.connect, CLUB)
        import_all(target, archive, safety_backup=folder)
        return statements

    folder = tmp_path / "safety"
    folder.mkdir()
    total = run(_copy(original, tmp_path / "whole.db"), None, folder).count
    for deadly in range(1, total + 2):
        shutil.rmtree(folder)
        folder.mkdir()
        path = _copy(original, tmp_path / "t.db")
        processes.run(lambda path=path, deadly=deadly: run(path, deadly, folder))  # type: ignore[misc]
        made = [found for found in folder.iterdir() if not found.name.startswith(".")]
        assert made or sqlite.dump(path) == old
        for backup in made:
            again = sqlite.repository(tmp_path / f"{deadly}.db", CLUB)
            import_all(again, backup)
            assert old["members"] == sqlite.dump(tmp_path / f"{deadly}.db")["members"]


def _copy(original: Path, path: Path) -> Path:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(original, path)
    return path


@pytest.mark.slow
def test_killed_at_any_time(tmp_path: Path) -> None:
    """A process killed at a random moment, also amid the commit, leaves the old data or the new."""
    archive = tmp_path / "club.json"
    archive.write_bytes(exported(memory(many(3000))))
    original = tmp_path / "original.db"
    sqlite.repository(original, CLUB, many(300))
    path = _copy(original, tmp_path / "t.db")
    start = time.perf_counter()
    assert processes.DONE == processes.run(
        lambda: import_all(SQLiteRepository(path, CLUB), archive)
    )
    takes = time.perf_counter() - start
    old, new = sqlite.dump(original), sqlite.dump(path)
    draw = random.Random(1)
    ends = set()
    for _ in range(15):
        _copy(original, path)
        child = processes.start(lambda: import_all(SQLiteRepository(path, CLUB), archive))
        time.sleep(draw.uniform(0, 1.2 * takes))
        os.kill(child, signal.SIGKILL)
        ends.add(processes.wait_for(child))
        assert sqlite.dump(path) in (old, new)
    assert processes.KILLED in ends


def test_two_imports_at_once(tmp_path: Path) -> None:
    """Two processes that import at once take turns: the store equals one archive as a whole."""
    path = tmp_path / "t.db"
    target = sqlite.repository(path, CLUB, many(50))
    archives = [tmp_path / "one.json", tmp_path / "two.json"]
    for archive, dataset in zip(archives, [club(), many(1000)], strict=True):
        archive.write_bytes(exported(memory(dataset)))
    outcomes: list[Any] = []
    for archive in archives:
        alone = _copy(path, tmp_path / f"{archive.stem}.db")
        import_all(SQLiteRepository(alone, CLUB), archive)
        outcomes.append(sqlite.dump(alone))

    for _ in range(3):
        children = [
            processes.start(lambda a=archive: import_all(target, a, wait=20))  # type: ignore[misc]
            for archive in archives
        ]
        assert [processes.DONE] * 2 == [processes.wait_for(child) for child in children]
        assert sqlite.dump(path) in outcomes
