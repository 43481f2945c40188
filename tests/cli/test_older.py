"""Archives of older versions, read by today's app: `inspect`, `verify`, `import`, `copy`."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from databackup.operations.reports import Progress
from tests.cli.conftest import Workshop
from tests.cli.versions import MIGRATED, STEPS, TOLD, Catering


@pytest.fixture
def catering(workshop: Workshop) -> Catering:
    """The app with its versions frozen, and the archive `old.json` of version 1."""
    found = Catering.of(workshop).frozen(workshop)
    workshop.ok("export", f"{found.one}:repository", "old.json")
    return found


# -- inspect and verify ------------------------------------------------------------------------


def test_inspect_names_the_migrations(workshop: Workshop, catering: Catering) -> None:
    """`inspect --app` adds what an import would run to what `inspect` says."""
    plain = workshop.ok("inspect", "old.json").stdout.splitlines()
    asked = workshop.ok("inspect", "old.json", "--app", f"{catering.three}:schema")
    added = [line for line in asked.stdout.splitlines() if line not in plain]
    assert [
        "import   into catering, schema version 3, runs the migrations",
        "         1 to 2 (prices)",
        "         2 to 3 (dates)",
    ] == added
    assert not any(line.startswith("import") for line in plain)


def test_inspect_names_the_migrations_as_json(workshop: Workshop, catering: Catering) -> None:
    """With --json it is a member of its own, which plain `inspect` does not have."""
    plain = json.loads(workshop.ok("inspect", "old.json", "--json").stdout)
    text = workshop.ok("inspect", "old.json", "--app", f"{catering.three}:schema", "--json").stdout
    outlook = {"app": "catering", "version": 3, "steps": STEPS, "refused": None}
    assert {**plain, "outlook": outlook} == json.loads(text)
    assert "outlook" not in plain


def test_inspect_needs_no_migration(workshop: Workshop, catering: Catering) -> None:
    """An archive of the app's own version needs none."""
    shown = workshop.ok("inspect", "old.json", "--app", f"{catering.one}:repository").stdout
    assert "import   into catering, schema version 1, needs no migration" in shown


@pytest.mark.parametrize(
    "attribute, reason",
    [
        ("gap", "no migration leads from version 1"),
        ("loose", "the schema has no folder of frozen versions"),
    ],
)
def test_inspect_where_no_migration_leads(
    workshop: Workshop, catering: Catering, attribute: str, reason: str
) -> None:
    """That an import would be refused is an answer, with the reason."""
    shown = workshop.ok("inspect", "old.json", "--app", f"{catering.three}:{attribute}").stdout
    assert "import   would be refused by catering, schema version 3: no way leads" in shown
    assert reason in shown


def test_inspect_of_what_would_be_refused(workshop: Workshop, catering: Catering) -> None:
    """A newer archive, one of another app, and one that contradicts what was frozen."""
    workshop.ok("migrate", "old.json", "new.json", "--app", f"{catering.three}:schema")
    newer = workshop.ok("inspect", "new.json", "--app", f"{catering.one}:schema").stdout
    assert "schema version 1: the archive has schema version 3, newer than this app's 1" in newer
    other = workshop.ok("inspect", "old.json", "--app", workshop.app()).stdout
    assert "the archive belongs to the app 'catering', this is 'shop'" in other
    broken = Path(f"{catering.three}.py").read_text("utf-8").replace('"junk"', '"gone"')
    shown = workshop.ok("inspect", "old.json", "--app", f"{workshop.module(broken)}:schema").stdout
    assert "schema version 3: the migration 1 to 2 (prices): remove_collection gone" in shown
    source = Path(f"{catering.one}.py").read_text("utf-8").replace("mail", "phone")
    workshop.ok("export", f"{workshop.module(source)}:repository", "odd.json")
    odd = workshop.ok("inspect", "odd.json", "--app", f"{catering.three}:schema").stdout
    assert "the archive contradicts version 1 as it was frozen: the field people.mail" in odd


def test_verify_migrates(workshop: Workshop, catering: Catering) -> None:
    """`verify --app` reads an older archive as today's app would have it."""
    result = workshop.ok("verify", "old.json", "--app", f"{catering.three}:schema")
    lines = result.stdout.splitlines()
    assert [*TOLD, "old.json is sound: 4 records of 2 collections"] == lines[: len(TOLD) + 1]
    options = ("--app", f"{catering.three}:schema", "--json")
    report = json.loads(workshop.ok("verify", "old.json", *options).stdout)
    assert ({"cooks": 2, "menus": 2}, 3) == (report["collections"], report["schema_version"])
    assert MIGRATED == report["migrated"]
    plain = json.loads(workshop.ok("verify", "old.json", "--json").stdout)
    assert (5, None) == (plain["records"], plain["migrated"])


@pytest.mark.parametrize("command", ["verify", "import", "migrate"])
def test_a_migration_that_fails(workshop: Workshop, command: str) -> None:
    """A value that a migration does not take is named with step, collection, record and key."""
    catering = Catering.of(workshop, day="today").frozen(workshop)
    workshop.ok("export", f"{catering.one}:repository", "old.json")
    workshop.ok("verify", "old.json")
    arguments = {
        "verify": ["old.json", "--app", f"{catering.three}:schema"],
        "import": ["old.json", f"{catering.three}:repository", "--yes"],
        "migrate": ["old.json", "new.json", "--app", f"{catering.three}:schema"],
    }[command]
    result = workshop.run(command, *arguments)
    assert 1 == result.exit_code
    assert "menus, record 2, key 2" in result.stderr
    assert "2 to 3 (dates)" in result.stderr
    assert "Invalid isoformat string: 'today'" in result.stderr
    assert not Path("new.json").exists()
    report = workshop.ok("export", f"{catering.three}:repository", "held.json", "--json").stdout
    assert 0 == json.loads(report)["records"]


# -- import ------------------------------------------------------------------------------------


def test_import_tells_of_the_migration(workshop: Workshop, catering: Catering) -> None:
    """`import` prints steps and what was dropped and filled in before what it imported."""
    target = f"{catering.three}:repository"
    result = workshop.ok("import", "old.json", target, "--yes")
    lines = result.stderr.splitlines()
    assert [
        *TOLD,
        f"imported 4 records of 2 collections from old.json into {target}",
    ] == lines[: len(TOLD) + 1]
    report = json.loads(workshop.ok("import", "old.json", target, "--yes", "--json").stdout)
    assert (MIGRATED, 4) == (report["migrated"], report["unchanged"])
    workshop.ok("export", target, "new.json")
    again = workshop.ok("import", "new.json", target, "--yes")
    assert "migrated" not in again.stderr
    answer = json.loads(workshop.ok("import", "new.json", target, "--yes", "--json").stdout)
    assert answer["migrated"] is None


def test_the_question_tells_of_the_migration(workshop: Workshop, catering: Catering) -> None:
    """Before anybody is asked, steps are named, and what will be dropped is counted."""
    result = workshop.run("import", "old.json", f"{catering.three}:repository")
    assert 1 == result.exit_code
    told = result.stderr.splitlines()
    assert told[0].endswith("from the app catering, schema version 1.")
    assert ["It would be migrated from schema version 1 to 3", *TOLD[1:]] == told[1 : len(TOLD) + 1]
    assert ["cooks", "2", "0", "0", "0", "2"] in [line.split() for line in told]
    assert "there is no terminal to ask on" in told[-2]


def test_the_bar_goes_on_before_the_question(
    workshop: Workshop, catering: Catering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bar shows how far the records are that are migrated before the question."""
    told: list[Progress] = []

    @contextlib.contextmanager
    def bar(_first: str, **_options: Any) -> Iterator[Callable[[Progress], object]]:
        yield told.append

    monkeypatch.setattr("databackup.cli.imports.progress_bar", bar)
    workshop.run("import", "old.json", f"{catering.three}:repository")
    assert [
        Progress(stage="comparing", collection="cooks", done=2, total=2),
        Progress(stage="comparing", collection="menus", done=2, total=2),
    ] == [step for step in told if step.stage == "comparing"]
    assert {"checking", "comparing"} == {step.stage for step in told}


RENAMED = """
from databackup import Collection, Schema, migration
from databackup.adapters.memory import MemoryRepository

def rename(m):
    m.rename_field("notes", "old", "new")

rename.__name__ = "re\x1bname"
one = Schema(versions="v", collections=[Collection("notes", fields={"old": int})])
two = Schema(
    version=2,
    versions="v",
    migrations=[migration(1, 2, rename)],
    collections=[Collection("notes", fields={"new": int})],
)
first = MemoryRepository(one, {"notes": [{"old": 7}]})
second = MemoryRepository(two, {"notes": []})
"""


def test_a_migration_by_which_nothing_is_lost(workshop: Workshop) -> None:
    """That nothing was dropped is said, of an app without a name as well; names are harmless."""
    module = workshop.module(RENAMED)
    workshop.ok("schema", "freeze", "--app", f"{module}:one")
    workshop.ok("export", f"{module}:first", "old.json")
    assert [
        "migrated from schema version 1 to 2",
        r"  1 to 2 (re\x1bname)",
        "  nothing was dropped, nothing was filled in",
        f"imported 1 record of 1 collection from old.json into {module}:second",
    ] == workshop.ok("import", "old.json", f"{module}:second", "--yes").stderr.splitlines()[:4]
    shown = workshop.ok("inspect", "old.json", "--app", f"{module}:two").stdout
    assert "import   into the app, schema version 2, runs the migrations" in shown
    assert r"         1 to 2 (re\x1bname)" in shown
    told = workshop.ok("schema", "freeze", "--app", f"{module}:two").stderr
    assert "froze schema version 2: v/v2.json\n" == told
    shown = workshop.ok("schema", "history", "--app", f"{module}:two").stdout
    assert r"1 to 2 (re\x1bname)" in shown.splitlines()
    assert "1 migration leads to it, from version 1" in (
        workshop.ok("schema", "check", "--app", f"{module}:two").stdout
    )


def test_nobody_is_asked_about_a_migration_that_fails(workshop: Workshop) -> None:
    """A record that cannot be migrated is told of at once."""
    catering = Catering.of(workshop, day="today").frozen(workshop)
    workshop.ok("export", f"{catering.one}:repository", "old.json")
    result = workshop.run("import", "old.json", f"{catering.three}:repository")
    assert "menus, record 2, key 2" in result.stderr
    assert "terminal" not in result.stderr


def test_nobody_is_asked_about_references_that_would_dangle(workshop: Workshop) -> None:
    """What an archive refers to may be in the store; where it is not, nobody is asked."""
    catering = Catering.of(workshop, cook=7).frozen(workshop)
    workshop.ok("export", f"{catering.one}:repository", "old.json")
    options = ("--mode", "merge")
    result = workshop.run("import", "old.json", f"{catering.three}:repository", *options)
    assert "points at cooks int 7, which is not there" in result.stderr
    assert "there is no terminal to ask on" not in result.stderr
    result = workshop.run("import", "old.json", f"{catering.three}:repository", "--yes", *options)
    assert "points at cooks int 7, which is not there" in result.stderr


def test_copy_migrates(workshop: Workshop, catering: Catering) -> None:
    """`copy` from yesterday's app into today's migrates, too."""
    one, three = f"{catering.one}:repository", f"{catering.three}:repository"
    lines = workshop.ok("copy", one, three, "--yes").stderr.splitlines()
    assert TOLD == lines[: len(TOLD)]
