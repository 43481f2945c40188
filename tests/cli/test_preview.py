import json

import pytest

from tests.cli.conftest import Workshop
from tests.support.sqlite import run


def _diverged(workshop: Workshop) -> str:
    archive = workshop.archive()
    run(
        workshop.database,
        "DELETE FROM orders WHERE id > 10",
        "UPDATE people SET name = 'Al' WHERE id = 1",
        "INSERT INTO people VALUES (3, 'Cy')",
    )
    return str(archive)


@pytest.mark.parametrize("command", [["preview"], ["import", "--dry-run"]])
def test_what_would_be_done(workshop: Workshop, command: list[str]) -> None:
    """Numbers and a sample on standard output; nothing is asked, and nothing is changed."""
    archive = _diverged(workshop)
    before = workshop.dump()
    result = workshop.ok(*command, archive, "shop.db")
    assert "" == result.stderr
    cells = [line.split() for line in result.stdout.splitlines()]
    assert ["collection", "added", "changed", "deleted", "unchanged", "records"] in cells
    assert ["people", "0", "1", "1", "1", "2"] in cells
    assert ["orders", "2", "0", "0", "1", "3"] in cells
    assert "  ~ id 1" in result.stdout
    assert 'name  "Al" -> ' in result.stdout
    assert '  - id 3  name "Cy"' in result.stdout
    assert "Nothing has been changed." == result.stdout.splitlines()[-1]
    assert before == workshop.dump()


@pytest.mark.parametrize("command", [["preview"], ["import", "--dry-run"]])
def test_as_json(workshop: Workshop, command: list[str]) -> None:
    """The plan, with its token."""
    result = workshop.ok(*command, _diverged(workshop), "shop.db", "--json")
    plan = json.loads(result.stdout)
    assert (2, 1, 1) == (plan["added"], plan["changed"], plan["deleted"])
    assert 64 == len(plan["token"])
    assert not plan["identical"]
    assert "replace" == plan["options"]["mode"]


def test_sample(workshop: Workshop) -> None:
    """`--sample` says how many records are shown; 0 shows none."""
    archive = _diverged(workshop)
    result = workshop.ok("preview", archive, "shop.db", "--sample", "0")
    assert "~ id" not in result.stdout
    result = workshop.ok("preview", archive, "shop.db", "--sample", "1")
    assert "and 1 more added" in result.stdout


def test_equal_data(workshop: Workshop) -> None:
    """It says that nothing would change, and an import then asks nothing."""
    archive = workshop.archive()
    assert (
        "shop.db holds the same already: 5 records"
        in workshop.ok("preview", archive, "shop.db").stdout
    )
    result = workshop.ok("import", archive, "shop.db")
    assert "Nothing would change" in result.stderr


def test_what_would_be_refused(workshop: Workshop) -> None:
    """The problems are listed, and the exit code is 1."""
    run(workshop.database, "PRAGMA foreign_keys = OFF", "DELETE FROM people WHERE id = 1")
    archive = workshop.archive()
    result = workshop.run("preview", archive, "shop.db")
    assert 1 == result.exit_code
    assert "The import would be refused:" in result.stdout
    assert "points at people int 1, which is not there" in result.stdout
    assert "Nothing has been changed" not in result.stdout
    result = workshop.run("import", archive, "shop.db")
    assert 1 == result.exit_code
    assert "error: the import would be refused, and nothing was changed" in result.stderr
    assert "points at people int 1" in result.stderr


def test_tables_that_would_be_made(workshop: Workshop) -> None:
    """They are named, and no file is left."""
    archive = workshop.archive()
    result = workshop.ok("preview", archive, "new.db", "--create")
    assert "New tables would be made in new.db: people, orders." in result.stdout
    assert not (workshop.folder / "new.db").exists()
    workshop.make("half.db", "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    result = workshop.ok("preview", archive, "half.db", "--create", "--json")
    plan = json.loads(result.stdout)
    assert (["orders"], 5) == (plan["created"], plan["added"])


def test_modes(workshop: Workshop) -> None:
    """Each mode has its own columns."""
    archive = _diverged(workshop)
    said = workshop.ok("preview", archive, "shop.db", "--mode", "add").stdout
    cells = [line.split() for line in said.splitlines()]
    assert ["people", "0", "1", "1", "1", "3"] in cells
    assert "Records whose keys shop.db lacks would be added" in said


def test_what_is_wrong_with_the_archive(workshop: Workshop) -> None:
    """The error names the file."""
    (workshop.folder / "notes.json").write_text("[]")
    result = workshop.run("preview", "notes.json", "shop.db")
    assert 1 == result.exit_code
    assert "error: notes.json: " in result.stderr
