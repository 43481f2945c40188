"""`--collection` and `--no-closure` on the command line."""

import json

import pytest

from tests.cli.conftest import Workshop
from tests.support.sqlite import run

LOGS = (
    "CREATE TABLE logs (id INTEGER PRIMARY KEY, person INTEGER REFERENCES people (id))",
    "INSERT INTO logs VALUES (1, 2)",
)


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    """A database with a table that nothing refers to."""
    run(workshop.database, *LOGS)
    return workshop


def test_export(shop: Workshop) -> None:
    """What is named is written, with what it refers to."""
    result = shop.ok("export", "shop.db", "some.json", "--collection", "orders")
    assert "exported 5 records of 2 collections" in result.stderr
    text = shop.ok("inspect", "some.json").stdout
    assert "holds    a selection: people, orders" in text
    report = shop.ok(
        "export", "shop.db", "s.json", "--collection", "logs", "--json", "--no-closure"
    )
    assert ["logs"] == json.loads(report.stdout)["selection"]


def test_export_without_closure(shop: Workshop) -> None:
    """A reference that leads out is a warning."""
    result = shop.ok("export", "shop.db", "some.json", "--collection", "orders", "--no-closure")
    warning = "warning: orders (person) points at people, which the archive leaves out"
    assert warning in result.stderr
    assert warning in shop.ok("verify", "some.json").stdout
    everything = shop.ok(
        *("export", "shop.db", "all.json", "--no-closure"),
        *("--collection", "orders", "--collection", "people", "--collection", "logs"),
    )
    assert "warning" not in everything.stderr


def test_import(shop: Workshop) -> None:
    """A selection, of an archive or of a whole one, leaves the rest alone and says so."""
    before = shop.dump()
    shop.ok("export", "shop.db", "some.json", "--collection", "orders")
    shop.ok("export", "shop.db", "whole.json")
    for archive in (["some.json"], ["whole.json", "--collection", "orders"]):
        run(shop.database, "DELETE FROM orders", "UPDATE people SET name = 'X' WHERE id = 1")
        asked = shop.run("import", archive[0], "shop.db", *archive[1:])
        assert (1, "") == (asked.exit_code, asked.stdout)
        assert "Other collections are left alone: logs." in asked.stderr
        assert "logs " not in asked.stderr.replace("alone: logs.", "")
        result = shop.ok("import", archive[0], "shop.db", "--yes", *archive[1:])
        assert "imported 5 records of 2 collections" in result.stderr
        assert "left alone: logs" in result.stderr
        assert before == shop.dump()
    run(shop.database, "DELETE FROM orders")
    asked = shop.run("import", "whole.json", "shop.db", "--collection", "orders", "--no-closure")
    assert "Other collections are left alone: people, logs." in asked.stderr
    whole = shop.ok("import", "whole.json", "shop.db", "--yes").stderr
    assert "left alone" not in whole
    result = shop.ok(
        *("import", "whole.json", "shop.db", "--yes", "--collection", "orders"),
        *("--no-closure", "--json"),
    )
    assert ["people", "logs"] == json.loads(result.stdout)["left_alone"]


def test_records_left_behind(shop: Workshop) -> None:
    """A record that would point at nothing is named, and nothing is changed."""
    shop.ok("export", "shop.db", "some.json", "--collection", "people")
    run(shop.database, "INSERT INTO people VALUES (9, 'Zoe')", "INSERT INTO logs VALUES (5, 9)")
    before = shop.dump()
    result = shop.run("import", "some.json", "shop.db", "--yes")
    assert 1 == result.exit_code
    assert "logs, key 5, field person" in result.stderr
    assert "would not be there after the import; logs is left alone" in result.stderr
    assert before == shop.dump()


def test_copy(shop: Workshop) -> None:
    """A copy takes a selection, too, into what is there and into new tables."""
    shop.ok("copy", "shop.db", "new.db", "--create", "--yes", "--collection", "orders")
    target = shop.make("other.db", *LOGS[:1])
    run(target, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)")
    run(target, "INSERT INTO people VALUES (2, 'Old')")
    result = shop.ok("copy", "shop.db", "other.db", "--yes", "--collection", "logs", "--no-closure")
    assert "left alone: people" in result.stderr
    unknown = shop.run("copy", "shop.db", "other.db", "--yes", "--collection", "log")
    assert (2, True) == (unknown.exit_code, "there is no collection 'log'" in unknown.stderr)


def test_create(shop: Workshop) -> None:
    """New tables are made of a selection as well; a reference to what nobody has is told."""
    shop.ok("export", "shop.db", "some.json", "--collection", "orders", "--no-closure")
    refused = shop.run("import", "some.json", "new.db", "--create", "--yes")
    assert 1 == refused.exit_code
    assert "orders (person) points at people, which neither the archive nor" in refused.stderr
    assert not (shop.folder / "new.db").exists()
    kept = shop.ok("import", "some.json", "new.db", "--create", "--yes", "--dangling", "keep")
    assert "the new table is made without a foreign key for it" in kept.stderr
    shop.ok("export", "shop.db", "whole.json")
    whole = shop.ok("import", "whole.json", "two.db", "--create", "--yes", "--collection", "orders")
    assert "made 2 new tables" in whole.stderr
    assert "person -> people id" in shop.ok("schema", "show", "two.db").stdout
    shop.make("part.db", "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    run(shop.folder / "part.db", "INSERT INTO people VALUES (1, 'A'), (2, 'B')")
    result = shop.ok("import", "some.json", "part.db", "--create", "--yes")
    assert "made 1 new table" in result.stderr
    shown = shop.ok("schema", "show", "part.db").stdout
    assert "person -> people id" in shown
    shop.make("bare.db", "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    dangling = shop.run("import", "some.json", "bare.db", "--create", "--yes")
    assert (1, True) == (dangling.exit_code, "points at people int 1" in dangling.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "shop.db", "new.json"],
        ["import", "whole.json", "shop.db"],
        ["import", "whole.json", "shop.db", "--yes"],
    ],
)
def test_unknown_names(shop: Workshop, arguments: list[str]) -> None:
    """A name that is not there is wrong usage, and told with those that are."""
    shop.ok("export", "shop.db", "whole.json")
    before = shop.dump()
    result = shop.run(*arguments, "--collection", "order")
    assert 2 == result.exit_code
    assert "Invalid value for --collection: there is no collection 'order'" in result.stderr
    assert "there are people, orders, logs" in result.stderr
    assert before == shop.dump()
    assert not (shop.folder / "new.json").exists()


@pytest.mark.parametrize("command", ["export", "import", "copy"])
def test_no_closure_of_nothing(shop: Workshop, command: str) -> None:
    """--no-closure says nothing where no collection is named, and is refused."""
    result = shop.run(command, "shop.db", "b.db", "--no-closure")
    assert 2 == result.exit_code
    assert "--no-closure is for what --collection names" in result.stderr


def test_diff(shop: Workshop) -> None:
    """A selection equals the store that it was made of, and a note says what is not compared."""
    shop.ok("export", "shop.db", "some.json", "--collection", "people")
    result = shop.ok("diff", "some.json", "shop.db")
    assert "holds a selection: not compared are orders, logs" in result.stdout
    unknown = shop.run("diff", "some.json", "shop.db", "--collection", "logs")
    assert 2 == unknown.exit_code
