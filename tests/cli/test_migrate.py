"""Archives of older versions on the command line: inspect, verify, import, export, migrate."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from databackup import inspect_archive, verify_archive
from tests.cli.conftest import Workshop
from tests.cli.versions import STEPS, Catering
from tests.support.archives import data_of

DROPPED = {"junk": 1, "menus.code": 1}
DEFAULTED = {"menus.price": 2}
MIGRATED: dict[str, Any] = {
    "source": 1,
    "target": 3,
    "steps": STEPS,
    "dropped": DROPPED,
    "defaulted": DEFAULTED,
}
TOLD = [
    "migrated from schema version 1 to 3",
    "  1 to 2 (prices)",
    "  2 to 3 (dates)",
    "  field or collection  dropped  defaulted",
    "  junk                       1          0",
    "  menus.code                 1          0",
    "  menus.price                0          2",
]


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
    assert ["It will be migrated from schema version 1 to 3", *TOLD[1:]] == told[1 : len(TOLD) + 1]
    assert ["cooks", "0", "2"] in [line.split() for line in told]
    assert "there is no terminal to ask on" in told[-2]


def test_nobody_is_asked_about_a_migration_that_fails(workshop: Workshop) -> None:
    """A record that cannot be migrated is told of at once."""
    catering = Catering.of(workshop, day="today").frozen(workshop)
    workshop.ok("export", f"{catering.one}:repository", "old.json")
    result = workshop.run("import", "old.json", f"{catering.three}:repository")
    assert "menus, record 2, key 2" in result.stderr
    assert "terminal" not in result.stderr


def test_the_question_leaves_references_alone(workshop: Workshop) -> None:
    """What an archive refers to may be in the store: that is seen when it is imported."""
    catering = Catering.of(workshop, cook=7).frozen(workshop)
    workshop.ok("export", f"{catering.one}:repository", "old.json")
    options = ("--mode", "merge")
    result = workshop.run("import", "old.json", f"{catering.three}:repository", *options)
    assert "there is no terminal to ask on" in result.stderr
    result = workshop.run("import", "old.json", f"{catering.three}:repository", "--yes", *options)
    assert "points at cooks int 7, which is not there" in result.stderr


def test_copy_migrates(workshop: Workshop, catering: Catering) -> None:
    """`copy` from yesterday's app into today's migrates, too."""
    one, three = f"{catering.one}:repository", f"{catering.three}:repository"
    lines = workshop.ok("copy", one, three, "--yes").stderr.splitlines()
    assert TOLD == lines[: len(TOLD)]


# -- export ------------------------------------------------------------------------------------


def test_export_of_an_older_version(workshop: Workshop, catering: Catering) -> None:
    """`export --version` writes what yesterday's app can read, and counts what is lost by it."""
    one, three = f"{catering.one}:repository", f"{catering.three}:repository"
    workshop.ok("import", "old.json", three, "--yes")
    result = workshop.ok("export", three, "back.json", "--version", "1")
    assert [
        "migrated from schema version 3 to 1",
        "  3 to 2 (dates)",
        "  2 to 1 (prices)",
        "  field or collection  dropped  defaulted",
        "  menus.code                 0          2",
        "  menus.price                2          0",
        "exported 4 records of 3 collections to back.json, 1.5 kB",
    ] == result.stderr.splitlines()[:7]
    assert 1 == inspect_archive("back.json").schema_version
    told = workshop.ok("import", "back.json", one, "--yes").stderr
    assert "migrated" not in told
    workshop.ok("import", "back.json", three, "--yes")
    report = json.loads(workshop.ok("export", three, "-", "--version", "1", "--json").stderr)
    assert {"menus.price": 2} == report["migrated"]["dropped"]


def test_export_of_todays_version(workshop: Workshop, catering: Catering) -> None:
    """`--version` of today's number changes nothing."""
    three = f"{catering.three}:repository"
    result = workshop.ok("export", three, "new.json", "--version", "3")
    assert result.stderr.startswith("exported 0 records")
    workshop.ok("export", three, "plain.json")
    assert data_of(Path("plain.json").read_bytes()) == data_of(Path("new.json").read_bytes())


@pytest.mark.parametrize("number, reason", [("2", "was never frozen"), ("4", "it is newer")])
@pytest.mark.parametrize("command", ["export", "migrate"])
def test_versions_that_are_not_there(
    workshop: Workshop, catering: Catering, command: str, number: str, reason: str
) -> None:
    """A version that nothing is known of is refused, and no file is made."""
    workshop.ok("migrate", "old.json", "today.json", "--app", f"{catering.three}:schema")
    arguments = {
        "export": [f"{catering.three}:repository", "new.json", "--version", number],
        "migrate": ["today.json", "new.json", "--app", f"{catering.three}:schema", "--to", number],
    }[command]
    result = workshop.run(command, *arguments)
    assert 1 == result.exit_code
    place = "today.json: " if command == "migrate" else ""
    assert f"error: {place}no way leads between schema version {number} and" in result.stderr
    assert reason in result.stderr
    assert not Path("new.json").exists()


@pytest.mark.parametrize("command", ["export", "migrate"])
def test_a_step_without_an_inverse(workshop: Workshop, command: str) -> None:
    """The step and the operation that cannot be undone are named, with what to do."""
    catering = Catering.of(workshop, inverse="").frozen(workshop)
    workshop.ok("export", f"{catering.three}:repository", "today.json")
    arguments = {
        "export": [f"{catering.three}:repository", "new.json", "--version", "1"],
        "migrate": ["today.json", "new.json", "--app", f"{catering.three}:schema", "--to", "1"],
    }[command]
    result = workshop.run(command, *arguments)
    assert 1 == result.exit_code
    assert "the migration 2 to 3 (dates) cannot be undone: change_kind menus.served" in (
        result.stderr
    )
    assert "Give the operation an inverse: inverse= for change_kind" in result.stderr
    assert not Path("new.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "shop.db", "new.json", "--version", "0"],
        ["export", "shop.db", "new.json", "--version", "two"],
        ["migrate", "old.json", "new.json", "--app", "x:y", "--to", "0"],
        ["migrate", "old.json", "new.json"],
        ["schema", "freeze"],
        ["schema", "check"],
        ["schema", "history"],
    ],
    ids=" ".join,
)
def test_wrong_usage(workshop: Workshop, arguments: list[str]) -> None:
    """What cannot be a version, and a missing --app, are wrong usage."""
    assert 2 == workshop.run(*arguments).exit_code


# -- migrate -----------------------------------------------------------------------------------


def test_migrate(workshop: Workshop, catering: Catering) -> None:
    """`migrate` writes today's archive, tells people what became of the records, and no more."""
    old = Path("old.json").read_bytes()
    result = workshop.ok("migrate", "old.json", "new.json.gz", "--app", f"{catering.three}:schema")
    lines = result.stderr.splitlines()
    assert TOLD == lines[: len(TOLD)]
    assert lines[len(TOLD)].startswith("wrote 4 records of 2 collections to new.json.gz, ")
    assert "" == result.stdout
    info = inspect_archive("new.json.gz")
    assert (3, "gzip") == (info.schema_version, info.compression)
    assert f"sha256:{info.seal}" in result.stderr
    verify_archive("new.json.gz")
    assert old == Path("old.json").read_bytes()
    target = f"{catering.three}:repository"
    workshop.ok("import", "old.json", target, "--yes")
    report = json.loads(workshop.ok("import", "new.json.gz", target, "--yes", "--json").stdout)
    assert (4, 4) == (report["unchanged"], report["records"])


def test_migrate_back(workshop: Workshop, catering: Catering) -> None:
    """`--to` an older version undoes the steps; back and forth changes nothing more."""
    app = ("--app", f"{catering.three}:schema")
    workshop.ok("migrate", "old.json", "new.json", *app)
    report = json.loads(
        workshop.ok("migrate", "new.json", "1.json", *app, "--to", "1", "--json").stdout
    )
    assert ["3 to 2 (dates)", "2 to 1 (prices)"] == report["migrated"]["steps"]
    assert {"menus.price": 2} == report["migrated"]["dropped"]
    workshop.ok("migrate", "1.json", "again.json", *app, "--to", "3")
    assert data_of(Path("new.json").read_bytes()) == data_of(Path("again.json").read_bytes())


def test_migrate_through_pipes(workshop: Workshop, catering: Catering) -> None:
    """With `-` the archive alone is on standard output, and the report on standard error."""
    app = ("--app", f"{catering.three}:schema")
    old = Path("old.json").read_bytes()
    result = workshop.ok("migrate", "-", "-", *app, stdin=old)
    assert 3 == inspect_archive(io.BytesIO(result.stdout_bytes)).schema_version
    assert "wrote 4 records of 2 collections to standard output" in result.stderr
    result = workshop.ok("migrate", "-", "-", *app, "--json", stdin=old)
    info = inspect_archive(io.BytesIO(result.stdout_bytes))
    report = json.loads(result.stderr)
    assert (info.seal, MIGRATED) == (report["seal"], report["migrated"])


def test_migrate_replaces_an_archive_alone(workshop: Workshop, catering: Catering) -> None:
    """A NEW that is an archive is replaced, OLD itself among them; nothing else is."""
    app = ("--app", f"{catering.three}:schema")
    workshop.ok("migrate", "old.json", "old.json", *app)
    assert 3 == inspect_archive("old.json").schema_version
    result = workshop.run("migrate", "old.json", "shop.db", *app)
    assert 1 == result.exit_code
    assert "shop.db exists and is no archive" in result.stderr


def test_migrate_names_what_it_refuses(workshop: Workshop, catering: Catering) -> None:
    """Errors name OLD, or standard input; a limit is one of OLD's; NEW is not made."""
    app = ("--app", f"{catering.three}:schema")
    text = Path("old.json").read_bytes()
    Path("bad.json").write_bytes(text.replace(b'"Bo"', b'"Ho"'))
    result = workshop.run("migrate", "bad.json", "new.json", *app)
    assert 1 == result.exit_code
    assert "error: bad.json: " in result.stderr
    result = workshop.run("migrate", "-", "-", *app, "--json", stdin=b"text")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "not-an-archive" == json.loads(result.stderr)["error"]["code"]
    result = workshop.run("migrate", "-", "new.json", *app, stdin=b"text")
    assert "error: standard input: the file is no databackup archive" in result.stderr
    result = workshop.run("migrate", "old.json", "new.json", *app, "--limit", "record=8")
    assert "'record'" in result.stderr
    assert not Path("new.json").exists()


def test_migrate_of_another_app(workshop: Workshop, catering: Catering) -> None:
    """An archive of another app is refused."""
    result = workshop.run("migrate", "old.json", "new.json", "--app", workshop.app())
    assert 1 == result.exit_code
    assert "the archive belongs to the app 'catering', this is 'shop'" in result.stderr
