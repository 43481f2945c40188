import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from databackup import export_all, import_all, inspect_archive
from examples.catering import app
from tests.support.sqlite import dump

ROOT = Path(__file__).parents[2]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app's database, seeded."""
    monkeypatch.setenv("CATERING_DB", str(tmp_path / "catering.db"))
    app.seed()
    return tmp_path / "catering.db"


@pytest.fixture(scope="module")
def story() -> str:
    """What the demo prints where nobody looks at a terminal."""
    path = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    child = subprocess.run(
        [sys.executable, "-m", "examples.catering.demo"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert (0, "") == (child.returncode, child.stderr)
    return child.stdout


@pytest.mark.slow
def test_demo_is_plain_text(story: str) -> None:
    """Without a terminal the demo prints no escape sequence, and no line is overlong."""
    assert "\x1b" not in story
    assert max(map(len, story.splitlines())) <= 120


@pytest.mark.slow
def test_demo_loses_nothing(story: str) -> None:
    """The demo spoils every collection, and all are equal after the import."""
    rows = re.findall(r"^  (\w+) +([0-9a-f]{16})   ([0-9a-f]{16})   (\w+)$", story, re.MULTILINE)
    names = ["coordinators", "menus", "confirmations"]
    assert [(name, "different") for name in names] == [(row[0], row[3]) for row in rows[:3]]
    assert [(name, "equal") for name in names] == [(row[0], row[3]) for row in rows[3:]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "message",
    [
        "damaged.json: the archive was changed after it was written",
        "truncated.json: the archive ",
        "menus, record 1, key 1, field price",
        "another record has the same key",
        "'guests' must be >= 1",
        "points at coordinators int 4, which is not there",
    ],
)
def test_demo_shows_what_is_refused(story: str, message: str) -> None:
    """The demo shows how the command line answers what is damaged or wrong."""
    assert message in story


@pytest.mark.slow
def test_demo_leaves_nothing_behind(story: str) -> None:
    """The demo writes nothing into the checkout."""
    assert [] == [*ROOT.glob("*.db"), *ROOT.glob("*.json")]


def test_app_comes_back(database: Path, tmp_path: Path) -> None:
    """The app's data comes back to the last value, and its sessions are left alone."""
    before = dump(database)
    export_all(app.repository(), tmp_path / "backup.json")
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM confirmations WHERE menu_id < 9")
        connection.execute("UPDATE coordinators SET address = NULL")
    connection.close()
    report = import_all(app.repository(), tmp_path / "backup.json")
    assert 3 == report.changed
    assert before == dump(database)


def test_classes_and_store_agree(database: Path, tmp_path: Path) -> None:
    """The store holds exactly the instances that the app's code makes."""
    export_all(app.repository(), tmp_path / "backup.json")
    expected = {
        "coordinators": len(app.coordinators()),
        "menus": len(app.menus()),
        "confirmations": len(app.confirmations()),
    }
    found = inspect_archive(tmp_path / "backup.json").collections
    assert expected == {name: collection.records for name, collection in found.items()}
    with app.repository().snapshot() as snapshot:
        menus = app.SCHEMA["menus"]
        (rows,) = snapshot.rows(menus)
        assert app.menus() == [menus.structurer.instance(row) for row in rows]
