"""An app that is called otherwise from some version on, on the command line."""

from pathlib import Path

import pytest

from databackup import Collection, Schema, inspect_archive
from databackup.schema.versions import FrozenVersion
from tests.cli.conftest import Workshop
from tests.support.migrating import freeze_as_is

KITCHEN = """
from databackup import Collection, Schema, migration
from databackup.adapters.memory import MemoryRepository

{step}
    m.add_field("menus", "dish", str, default="?")

collections = [Collection("menus", key="id", fields={{"id": int, "dish": str}})]
schema = Schema(
    app="kitchen", version=2, versions="versions", migrations=[renamed], collections=collections
)
repository = MemoryRepository(schema, {{"menus": []}})
bakery = MemoryRepository(
    Schema(app="bakery", collections=[Collection("menus", key="id", fields={{"id": int}})]),
    {{"menus": [{{"id": 1}}]}},
)
catering = MemoryRepository(
    Schema(app="catering", collections=bakery.schema.collections), {{"menus": [{{"id": 1}}]}}
)
"""
STEP = """@migration(1, 2)
def renamed(m):
    m.rename_app("catering", "kitchen")"""


@pytest.fixture
def kitchen(workshop: Workshop) -> str:
    """The module of an app that was called catering, with both versions frozen."""
    module = workshop.module(KITCHEN.format(step=STEP))
    fields = {"id": int}
    menus = Collection("menus", key="id", fields=fields)
    freeze_as_is(Schema(app="catering", collections=[menus]), Path("versions"))
    workshop.ok("schema", "freeze", "--app", f"{module}:schema")
    return module


def test_migrate(workshop: Workshop, kitchen: str) -> None:
    """`migrate` takes the old name, and another one if it may; NEW has the name of its version."""
    workshop.ok("export", f"{kitchen}:catering", "old.json")
    workshop.ok("migrate", "old.json", "new.json", "--app", f"{kitchen}:schema")
    assert "kitchen" == inspect_archive("new.json").app
    workshop.ok("migrate", "new.json", "back.json", "--app", f"{kitchen}:schema", "--to", "1")
    assert "catering" == inspect_archive("back.json").app
    workshop.ok("export", f"{kitchen}:bakery", "other.json")
    arguments = ["migrate", "other.json", "taken.json", "--app", f"{kitchen}:schema"]
    result = workshop.run(*arguments)
    assert 1 == result.exit_code
    assert (
        "error: the archive belongs to the app 'bakery', version 1 of this one to 'catering'\n"
        "If that is meant, say wrong_app='allow' (--wrong-app allow)."
    ) in result.stderr
    assert not Path("taken.json").exists()
    workshop.ok(*arguments, "--wrong-app", "allow")
    assert "kitchen" == inspect_archive("taken.json").app


def test_import_with_a_question(workshop: Workshop, kitchen: str) -> None:
    """The question names the app that the archive was made by, and what will be migrated."""
    workshop.ok("export", f"{kitchen}:bakery", "other.json")
    target = f"{kitchen}:repository"
    result = workshop.run("import", "other.json", target, "--wrong-app", "allow")
    assert "from the app bakery, schema version 1." in result.stderr
    assert "It would be migrated from schema version 1 to 2" in result.stderr


def test_history_and_inspect(workshop: Workshop, kitchen: str) -> None:
    """What each version was called stands beside it, where that is not the same for all."""
    shown = workshop.ok("schema", "history", "--app", f"{kitchen}:schema").stdout.splitlines()
    one, two = (
        FrozenVersion.from_text(Path(f"versions/v{n}.json").read_bytes()).digest[7:23]
        for n in (1, 2)
    )
    assert [
        "  version  collections  app       digest",
        f"        1            1  catering  {one}  frozen",
        f"        2            1  kitchen   {two}  frozen, today's",
    ] == shown[1:4]
    assert ["rename_app", "catering", "to", "kitchen", "yes"] in [line.split() for line in shown]
    workshop.ok("export", f"{kitchen}:catering", "old.json")
    inspected = workshop.ok("inspect", "old.json", "--app", f"{kitchen}:schema").stdout
    assert "1 to 2 (renamed)" in inspected


def test_check(workshop: Workshop, kitchen: str) -> None:
    """A name that no step tells of is named."""
    silent = workshop.module(KITCHEN.format(step=STEP.rpartition("\n")[0]))
    result = workshop.run("schema", "check", "--app", f"{silent}:schema")
    assert 1 == result.exit_code
    assert "m.rename_app('catering', 'kitchen') in it renames the app" in result.stderr
