"""Archives rewritten as another version: `migrate`, and `export --version`."""

import io
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from databackup import inspect_archive, migrate_archive, verify_archive
from databackup.adapters.registry import open_schema
from databackup.operations.reports import Progress
from tests.cli.conftest import Workshop
from tests.cli.versions import MIGRATED, TOLD, Catering
from tests.support.archives import data_of


@pytest.fixture
def catering(workshop: Workshop) -> Catering:
    """The app with its versions frozen, and the archive `old.json` of version 1."""
    found = Catering.of(workshop).frozen(workshop)
    workshop.ok("export", f"{found.one}:repository", "old.json")
    return found


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


@pytest.mark.parametrize(
    "number, reason",
    [
        ("2", "no way leads between schema version 2 and this app's 3: version 2 was never frozen"),
        ("4", "version 4 is newer than this app's 3\nIf it is newer than the app, upgrade the"),
    ],
)
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
    assert f"error: {place}{reason}" in result.stderr
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
        ["export", "shop.db", "new.json", "--version", "1.0"],
        ["export", "shop.db", "new.json", "--version", ""],
        ["migrate", "old.json", "new.json", "--app", "x:y", "--to", "0"],
        ["migrate", "old.json", "new.json", "--app", "x:y", "--to", "True"],
        ["migrate", "old.json", "new.json", "--to", "1"],
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


def test_migrate_tells_of_its_last_step(workshop: Workshop, catering: Catering) -> None:
    """Each collection is told of, and last that all is written and NEW about to have its name."""
    told: list[Progress] = []
    there = []

    def progress(found: Progress) -> None:
        told.append(found)
        there.append(Path("new.json").exists())

    schema = open_schema(f"{catering.three}:schema")
    migrate_archive("old.json", "new.json", schema, progress=progress)
    assert [
        Progress(stage="migrating", collection="cooks", done=2, total=2),
        Progress(stage="migrating", collection="menus", done=2, total=2),
        Progress(stage="finishing", collection="", done=4, total=4),
    ] == told
    assert not any(there)


@pytest.mark.parametrize("moment", ["migrating", "renaming"])
def test_ctrl_c(
    workshop: Workshop, catering: Catering, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Ctrl-C cancels, until NEW is about to take its name: then it is there, and said to be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    replace, of = Path.replace, Progress.__init__

    def renamed(path: Path, target: Path) -> Path:
        if moment == "renaming":
            signal.raise_signal(signal.SIGINT)
        return replace(path, target)

    def made(progress: Progress, **members: Any) -> None:
        if moment == members["stage"]:
            signal.raise_signal(signal.SIGINT)
        of(progress, **members)

    monkeypatch.setattr(Path, "replace", renamed)
    monkeypatch.setattr(Progress, "__init__", made)
    try:
        result = workshop.run(
            "migrate", "old.json", "new.json", "--app", f"{catering.three}:schema"
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert (130 if moment == "migrating" else 0) == result.exit_code
    assert (moment == "renaming") == Path("new.json").exists()
    assert ("cancelled; nothing was changed" in result.stderr) == (moment == "migrating")
