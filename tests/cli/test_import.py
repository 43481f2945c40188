import json
from pathlib import Path

import pytest

from tests.cli.conftest import TABLES, Workshop
from tests.support.sqlite import dump, run


def test_import_restores(workshop: Workshop) -> None:
    """`import --yes` makes the target what the archive says, and reports the changes."""
    before = workshop.dump()
    workshop.ok("export", "shop.db", "backup.json")
    run(
        workshop.database,
        "DELETE FROM orders WHERE id > 10",
        "UPDATE people SET name = 'Al' WHERE id = 1",
        "INSERT INTO people VALUES (3, 'Cy')",
    )
    result = workshop.ok("import", "backup.json", "shop.db", "--yes")
    assert before == workshop.dump()
    assert "" == result.stdout
    assert "imported 5 records of 2 collections from backup.json into shop.db" in result.stderr
    cells = [line.split() for line in result.stderr.splitlines()]
    assert ["people", "0", "1", "1", "1", "2"] in cells
    assert ["orders", "2", "0", "0", "1", "3"] in cells
    assert "read back and compared, then committed" in result.stderr


def test_import_as_json(workshop: Workshop) -> None:
    """`import --json` prints the report with the changes of each collection."""
    archive = workshop.archive()
    run(workshop.database, "DELETE FROM orders WHERE id > 10")
    result = workshop.ok("import", archive, "shop.db", "--yes", "--json")
    report = json.loads(result.stdout)
    expected = {"added": 2, "changed": 0, "deleted": 0, "unchanged": 1}
    expected |= {"kept": 0, "only_in_store": 0, "records": 3}
    assert expected == report["collections"]["orders"]
    assert "" == result.stderr


def test_import_from_standard_input(workshop: Workshop) -> None:
    """`import -` reads the archive from standard input."""
    before = workshop.dump()
    archive = workshop.archive().read_bytes()
    run(workshop.database, "DELETE FROM orders")
    result = workshop.ok("import", "-", "shop.db", "--yes", stdin=archive)
    assert before == workshop.dump()
    assert "from - into shop.db" in result.stderr


def test_import_without_a_terminal(workshop: Workshop) -> None:
    """Without a terminal and without --yes, `import` says what it would do, and refuses."""
    archive = workshop.archive(workshop.app())
    run(workshop.database, "DELETE FROM orders WHERE id > 10")
    before = workshop.dump()
    result = workshop.run("import", archive, workshop.app(), stdin=b"y\n")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "from the app shop, schema version 1" in result.stderr
    assert ["orders", "2", "0", "0", "1", "3"] in [
        line.split() for line in result.stderr.splitlines()
    ]
    assert "--yes" in result.stderr
    assert before == workshop.dump()


def test_import_without_a_terminal_as_json(workshop: Workshop) -> None:
    """The refusal has a code of its own in JSON."""
    result = workshop.run("import", _diverged(workshop), "shop.db", "--json")
    assert 1 == result.exit_code
    assert "not-confirmed" == json.loads(result.stdout)["error"]["code"]


def test_import_from_standard_input_asks_nothing(workshop: Workshop) -> None:
    """`import -` needs --yes: the archive is where the answer would come from."""
    result = workshop.run("import", "-", "shop.db", stdin=workshop.archive().read_bytes())
    assert 1 == result.exit_code
    assert "--yes" in result.stderr


def test_nobody_is_asked_about_what_would_be_refused(workshop: Workshop) -> None:
    """Without --yes, what is wrong with archive and target together is told at once."""
    archive = workshop.archive(workshop.app(app="other"))
    result = workshop.run("import", archive, workshop.app())
    assert 1 == result.exit_code
    assert "the archive belongs to the app 'other'" in result.stderr
    assert "would" not in result.stderr


def test_wrong_app_allowed(workshop: Workshop) -> None:
    """`--wrong-app allow` imports the archive of another app."""
    archive = workshop.archive(workshop.app(app="other"))
    result = workshop.ok(
        "import", archive, workshop.app(), "--yes", "--wrong-app", "allow", "--json"
    )
    held = json.loads(workshop.ok("inspect", archive, "--json").stdout)
    assert held["archive_id"] == json.loads(result.stdout)["archive_id"]
    assert held["records"] == json.loads(result.stdout)["records"]


def test_no_read_back(workshop: Workshop) -> None:
    """`--no-read-back` leaves the comparison out, and the report says so."""
    archive = workshop.archive()
    result = workshop.ok("import", archive, "shop.db", "--yes", "--no-read-back")
    assert "committed, not read back" in result.stderr
    report = workshop.ok("import", archive, "shop.db", "--yes", "--no-read-back", "--json").stdout
    assert json.loads(report)["read_back"] is False


def test_dangling_kept(workshop: Workshop) -> None:
    """`--dangling keep` makes references that point nowhere warnings, in verify and in import."""
    loose = workshop.make(
        "loose.db",
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, person INTEGER NOT NULL, amount REAL, "
        "note TEXT)",
        "INSERT INTO orders VALUES (10, 7, 2.5, 'red')",
    )
    target = workshop.app(path=loose)
    archive = workshop.archive(target)
    run(loose, "DELETE FROM orders")
    assert 1 == workshop.run("verify", archive).exit_code
    assert 1 == workshop.run("import", archive, target, "--yes").exit_code
    warning = "points at people int 7, which is not there"
    assert warning in workshop.ok("verify", archive, "--dangling", "keep").stdout
    kept = workshop.ok("import", archive, target, "--yes", "--dangling", "keep")
    assert warning in kept.stderr
    assert ["(10, 7, 2.5, b'red')"] == dump(loose)["orders"]


def test_allow_cascade(workshop: Workshop) -> None:
    """`--allow-cascade` lets a delete carry off records of a table that is left out."""
    archive = workshop.archive()
    run(
        workshop.database,
        "CREATE TABLE logins (person INTEGER REFERENCES people (id) ON DELETE CASCADE)",
        "INSERT INTO people VALUES (3, 'Cy')",
        "INSERT INTO logins VALUES (1), (3)",
    )
    command = ("import", archive, "shop.db", "--yes", "--exclude", "logins=short-lived")
    refused = workshop.run(*command)
    assert 1 == refused.exit_code
    assert "logins" in refused.stderr
    workshop.ok(*command, "--allow-cascade")
    assert ["(1,)"] == workshop.dump()["logins"]


def test_import_into_an_empty_database(workshop: Workshop) -> None:
    """An archive goes into another file with the same tables."""
    workshop.make("new.db", *TABLES)
    archive = workshop.archive()
    workshop.ok("import", archive, "new.db", "--yes")
    assert workshop.dump() == dump(workshop.folder / "new.db")


def _diverged(workshop: Workshop) -> Path:
    """An archive, and a database that has lost, changed and got records since."""
    archive = workshop.archive()
    run(
        workshop.database,
        "DELETE FROM orders WHERE id > 10",
        "UPDATE people SET name = 'Al' WHERE id = 1",
        "INSERT INTO people VALUES (3, 'Cy')",
    )
    return archive


def test_merge(workshop: Workshop) -> None:
    """`--mode merge` overwrites by key and deletes nothing; the report has its columns."""
    result = workshop.ok("import", _diverged(workshop), "shop.db", "--yes", "--mode", "merge")
    assert ["(1, b'Ana')", "(2, b'Bo')", "(3, b'Cy')"] == workshop.dump()["people"]
    assert 3 == len(workshop.dump()["orders"])
    assert "merged 5 records of 2 collections from " in result.stderr
    lines = result.stderr.splitlines()
    assert "collection  added  changed  unchanged  only in store  records" == lines[1].strip()
    assert ["people", "0", "1", "1", "1", "3"] == lines[2].split()
    assert ["orders", "2", "0", "1", "0", "3"] == lines[3].split()
    assert "read back and compared, then committed" in result.stderr


def test_add(workshop: Workshop) -> None:
    """`--mode add` inserts what is new and counts what it kept; the report has its columns."""
    result = workshop.ok("import", _diverged(workshop), "shop.db", "--yes", "--mode", "add")
    assert ["(1, b'Al')", "(2, b'Bo')", "(3, b'Cy')"] == workshop.dump()["people"]
    assert 3 == len(workshop.dump()["orders"])
    assert "added 2 of 5 records of 2 collections from " in result.stderr
    lines = result.stderr.splitlines()
    assert "collection  added  kept  unchanged  only in store  records" == lines[1].strip()
    assert ["people", "0", "1", "1", "1", "3"] == lines[2].split()
    assert ["orders", "2", "0", "1", "0", "3"] == lines[3].split()


def test_modes_as_json(workshop: Workshop) -> None:
    """The JSON report names the mode, and has the totals of all counts."""
    result = workshop.ok(
        "import", _diverged(workshop), "shop.db", "--yes", "--json", "--mode", "add"
    )
    report = json.loads(result.stdout)
    assert ("add", 6) == (report["mode"], report["records"])
    totals = ("added", "changed", "deleted", "unchanged", "kept", "only_in_store")
    assert [2, 0, 0, 2, 1, 1] == [report[name] for name in totals]
    assert {"people": 3, "orders": 3} == {
        name: collection["records"] for name, collection in report["collections"].items()
    }


@pytest.mark.parametrize(
    "mode,does,refused",
    [
        (
            "replace",
            "shop.db would hold what it held then, and nothing that came later:",
            "the import would overwrite data, and",
        ),
        (
            "merge",
            "Records of shop.db whose keys are in the archive would be overwritten, others stay:",
            "the import would overwrite records of the same keys, and",
        ),
        (
            "add",
            "Records whose keys shop.db lacks would be added, and nothing that is there changes:",
            "the import would add records, and",
        ),
    ],
)
def test_what_a_mode_will_do_is_said_first(
    workshop: Workshop, mode: str, does: str, refused: str
) -> None:
    """Before anybody is asked, `import` says what this mode does to what is there."""
    archive = _diverged(workshop)
    before = workshop.dump()
    result = workshop.run("import", archive, "shop.db", "--mode", mode)
    assert 1 == result.exit_code
    assert does in result.stderr.splitlines()
    assert f"error: {refused} there is no terminal to ask on" in result.stderr
    assert before == workshop.dump()


@pytest.mark.parametrize("yes", [["--yes"], []], ids=["yes", "asking"])
@pytest.mark.parametrize("mode", ["merge", "add"])
def test_tables_without_a_key(workshop: Workshop, mode: str, yes: list[str]) -> None:
    """Merge and add name the tables that have no key, and nobody is asked about it."""
    run(workshop.database, "CREATE TABLE log (line TEXT)", "CREATE TABLE notes (line TEXT)")
    archive = workshop.archive()
    result = workshop.run("import", archive, "shop.db", "--mode", mode, *yes)
    assert 1 == result.exit_code
    assert "collections without one: log, notes" in result.stderr
    assert "--mode replace" in result.stderr
    assert "would" not in result.stderr
    answer = workshop.run("import", archive, "shop.db", "--mode", mode, "--json", *yes).stdout
    error = json.loads(answer)["error"]
    assert ("key-required", ["log", "notes"]) == (error["code"], error["collections"])
