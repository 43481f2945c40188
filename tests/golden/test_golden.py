"""Archives of all versions of an app and of the format: each is answered as it ever was."""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from databackup import import_all
from databackup.adapters.memory import MemoryRepository
from tests.golden.answers import Answer, answers_to, store
from tests.golden.catering.models import Contact, Coordinator, Menu, Status
from tests.golden.catering.schema import schema
from tests.golden.make import ANSWERS, HERE, SUMS, held_files, main
from tests.golden.making import golden

PINNED: dict[str, Answer] = json.loads((HERE / ANSWERS).read_text("utf-8"))
SOUND = [name for name in PINNED if name.startswith("sound/")]
DAMAGED = [name for name in PINNED if name.startswith("damaged/")]


@pytest.mark.parametrize("name", PINNED)
def test_pinned_answers(name: str, tmp_path: Path) -> None:
    """Each file is answered as it was when it was made: refused where it was, for that reason."""
    assert PINNED[name] == answers_to(HERE / name, tmp_path)


def test_files_never_change() -> None:
    """Archives and frozen versions are what they were made as, and all of them are listed."""
    sums = [line.split("  ") for line in (HERE / SUMS).read_text("utf-8").splitlines()]
    held = {path.relative_to(HERE).as_posix(): path for path in held_files()}
    assert sorted(held) == sorted(name for _, name in sums)
    assert [] == [
        name
        for pinned, name in sums
        if hashlib.sha256(held[name].read_bytes()).hexdigest() != pinned
    ]


def test_every_archive_has_an_answer() -> None:
    """No archive is without an answer, no answer without its archive, and all can be made."""
    archives = [path.relative_to(HERE).as_posix() for path in held_files()]
    assert sorted(PINNED) == [name for name in archives if not name.startswith("catering/")]
    assert sorted(PINNED) == sorted(name for name, _ in golden())


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_archives_are_refused(name: str) -> None:
    """No answer that is pinned lets a damaged archive in."""
    assert "error" in PINNED[name]["import"]


@pytest.mark.parametrize("name", SOUND)
def test_sound_archives_are_taken(name: str) -> None:
    """No answer that is pinned refuses a sound archive; packed or not they hold the same."""
    version = name.removeprefix("sound/")[:2]
    answers, plain = PINNED[name], PINNED[f"sound/{version}.json"]
    assert "error" not in answers["inspect"] | answers["verify"] | answers["import"]
    assert answers["import"]["holds"] == plain["import"]["holds"]


def test_the_oldest_archive_today() -> None:
    """What version 1 held is in today's models what somebody would have written there by hand."""
    contents = store()
    import_all(MemoryRepository(schema, contents), HERE / "sound/v1.json")
    assert contents["coordinators"] == [
        Coordinator(1, "Ana", "Pereira"),
        Coordinator(2, "Cher", ""),
        Coordinator(7, "Zoë", "van der Berg"),
    ]
    assert contents["contacts"] == [
        Contact(1, "ana@example.org", "Bern"),
        Contact(2, None, None),
        Contact(7, "zoe@example.org", "Zürich"),
    ]
    assert contents["menus"][1] == Menu(
        id=2,
        title='Soup "du jour"',
        served_on=datetime.date(2026, 3, 2),
        cook_id=7,
        price=Decimal("0.00"),
        status=Status.OPEN,
        allergens=[],
        venue_id=None,
    )
    assert [12, 3, 450] == [confirmation.guests for confirmation in contents["confirmations"]]
    assert [] == contents["venues"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """The script that made the archives makes what is missing, and leaves alone what is there."""
    folder = tmp_path / "golden"
    shutil.copytree(HERE, folder)
    sums, answers = (folder / SUMS).read_bytes(), (folder / ANSWERS).read_bytes()
    (folder / "sound/v1.json").write_text("mine", "utf-8")
    (folder / "damaged/cut-first-byte.json").unlink()
    main(folder)
    assert "mine" == (folder / "sound/v1.json").read_text("utf-8")
    assert "{" == (folder / "damaged/cut-first-byte.json").read_text("utf-8")
    assert (sums, answers) == ((folder / SUMS).read_bytes(), (folder / ANSWERS).read_bytes())
