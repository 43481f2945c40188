"""`schema freeze`, `schema check` and `schema history`."""

import json
from pathlib import Path

import pytest

from databackup.adapters.registry import open_schema
from databackup.schema import Schema
from databackup.schema.versions import FrozenVersion, collections_of, freeze
from tests.cli.conftest import Workshop
from tests.cli.versions import STEPS, Catering


@pytest.fixture
def catering(workshop: Workshop) -> Catering:
    """The app, of which nothing is frozen yet."""
    return Catering.of(workshop)


def test_freeze(workshop: Workshop, catering: Catering) -> None:
    """`schema freeze` writes today's version, names the file, and prints nothing else."""
    result = workshop.ok("schema", "freeze", "--app", f"{catering.one}:schema")
    assert ("", "froze schema version 1 of catering: versions/v1.json\n") == (
        result.stdout,
        result.stderr,
    )
    frozen = FrozenVersion.from_text(Path("versions/v1.json").read_bytes())
    assert FrozenVersion.of(open_schema(f"{catering.one}:schema")) == frozen
    assert ["v1.json"] == [path.name for path in Path("versions").iterdir()]


def test_freeze_again(workshop: Workshop, catering: Catering) -> None:
    """What was frozen already and is the same is left alone, and said to be."""
    app = f"{catering.one}:schema"
    first = json.loads(workshop.ok("schema", "freeze", "--app", app, "--json").stdout)
    before = Path("versions/v1.json").stat()
    result = workshop.ok("schema", "freeze", "--app", app)
    assert "version 1 of catering is frozen already, and is the same: versions/v1.json" in (
        result.stderr
    )
    again = json.loads(workshop.ok("schema", "freeze", "--app", app, "--json").stdout)
    assert before == Path("versions/v1.json").stat()
    assert {**first, "created": False} == again
    assert ("catering", 1, "versions/v1.json", True) == (
        first["app"],
        first["version"],
        first["path"],
        first["created"],
    )
    assert first["digest"] in Path("versions/v1.json").read_text("utf-8")


@pytest.mark.parametrize("command", ["freeze", "check"])
def test_another_schema_of_the_same_number(workshop: Workshop, command: str) -> None:
    """What differs from the frozen version is named field by field, with what to do."""
    app = workshop.app(version=1)
    workshop.ok("schema", "freeze", "--app", app, "--versions", "v")
    before = Path("v/v1.json").read_bytes()
    module = Path(app.partition(":")[0] + ".py").read_text("utf-8")
    module = module.replace('"name": str}', '"name": int, "born": str}').replace("shop", "store")
    other = f"{workshop.module(module)}:SCHEMA"
    result = workshop.run("schema", command, "--app", other, "--versions", "v")
    assert (1, "") == (result.exit_code, result.stdout)
    assert [
        "error: the schema is not version 1 as it was frozen:",
        "  - the app was 'shop', is 'store'",
        "  - the field people.name was str, is int",
        "  - the field people.born is new",
        (
            "  - to change it: make it version 2, write a migration from 1 to 2, with "
            "m.rename_app('shop', 'store'), and freeze that "
            "(databackup schema freeze --app package.module:schema)"
        ),
    ] == result.stderr.splitlines()
    assert before == Path("v/v1.json").read_bytes()
    shown = workshop.run("schema", command, "--app", other, "--versions", "v", "--json").stdout
    assert "schema" == json.loads(shown)["error"]["code"]
    assert 4 == len(json.loads(shown)["error"]["problems"])


def test_check(workshop: Workshop, catering: Catering) -> None:
    """`schema check` says what it has found sound, and how far back migrations lead."""
    app = f"{catering.one}:schema"
    workshop.ok("schema", "freeze", "--app", app)
    lines = workshop.ok("schema", "check", "--app", app).stdout.splitlines()
    assert ["schema version 1 of catering is as it was frozen"] == lines
    Path("versions/v1.json").unlink()
    lines = workshop.ok("schema", "history", "--app", app).stdout.splitlines()
    assert lines[2].endswith("not frozen, today's")
    catering.frozen(workshop)
    app = f"{catering.three}:schema"
    result = workshop.ok("schema", "check", "--app", app)
    assert [
        "schema version 3 of catering is as it was frozen",
        "2 migrations lead to it, from version 1",
    ] == result.stdout.splitlines()
    assert "" == result.stderr
    shown = json.loads(workshop.ok("schema", "check", "--app", app, "--json").stdout)
    assert (True, 3) == (shown["sound"], shown["version"])
    one, three = open_schema(f"{catering.one}:schema"), open_schema(app)
    between = three.migrations[0].apply(collections_of(one)).values()
    two = Schema(app="catering", version=2, versions="versions", collections=list(between))
    freeze(two)
    checked = workshop.ok("schema", "check", "--app", app).stdout
    assert "2 migrations lead to it, from versions 1, 2" in checked


def test_check_of_what_is_not_frozen(workshop: Workshop, catering: Catering) -> None:
    """A version that is not frozen fails, with the command that freezes it."""
    workshop.ok("schema", "freeze", "--app", f"{catering.one}:schema")
    result = workshop.run("schema", "check", "--app", f"{catering.three}:schema")
    assert 1 == result.exit_code
    assert "version 3 is not frozen: freeze it (databackup schema freeze --app" in result.stderr


def test_check_finds_a_gap(workshop: Workshop, catering: Catering) -> None:
    """A frozen version from which no migration leads fails, with what to do."""
    catering.frozen(workshop)
    result = workshop.run("schema", "check", "--app", f"{catering.three}:gap")
    assert 1 == result.exit_code
    assert [
        "error: not every frozen version leads to today's:",
        (
            "  - no way leads between schema version 1 and this app's 3: no migration leads from "
            "version 1"
        ),
        (
            "  - write the migrations that are missing, or delete the file of a version that no "
            "archive was made of"
        ),
    ] == result.stderr.splitlines()


def test_check_finds_a_step_that_leads_elsewhere(workshop: Workshop, catering: Catering) -> None:
    """A migration that does not make the frozen next version fails, with what differs."""
    catering.frozen(workshop)
    module = Path(f"{catering.three}.py").read_text("utf-8")
    module = module.replace('"price", Decimal, default=Decimal("0.00")', '"cost", int, default=0')
    result = workshop.run("schema", "check", "--app", f"{workshop.module(module)}:schema")
    assert 1 == result.exit_code
    assert [
        "error: the migration 2 to 3 (dates) does not make version 3:",
        "  - after it, the field menus.price is gone",
        "  - after it, the field menus.cost is new",
    ] == result.stderr.splitlines()


def test_history(workshop: Workshop) -> None:
    """Versions with their digests, and steps with operations and whether they can be undone."""
    catering = Catering.of(workshop, inverse="").frozen(workshop)
    result = workshop.ok("schema", "history", "--app", f"{catering.three}:schema")
    one, three = (
        FrozenVersion.from_text(Path(f"versions/v{n}.json").read_bytes()).digest[7:23]
        for n in (1, 3)
    )
    assert [
        "schema version 3 of catering; frozen versions are in versions",
        "  version  collections  digest",
        f"        1            3  {one}  frozen",
        "        2            2                    not frozen",
        f"        3            2  {three}  frozen, today's",
        "",
        "1 to 2 (prices)",
        "  operation                                                  inverse",
        "  rename_collection people to cooks                          yes",
        "  add_field menus.price (decimal) = Decimal Decimal('0.00')  yes",
        "  remove_field menus.code                                    yes",
        "  remove_collection junk                                     yes",
        "",
        "2 to 3 (dates)",
        "  operation                                                     inverse",
        "  change_kind menus.served_on to date using date.fromisoformat  none",
    ] == result.stdout.splitlines()


def test_history_as_json(workshop: Workshop) -> None:
    """With --json digests and collections are whole, and inverses are spelled out."""
    catering = Catering.of(workshop, inverse="").frozen(workshop)
    text = workshop.ok("schema", "history", "--app", f"{catering.three}:schema", "--json").stdout
    shown = json.loads(text)
    assert ("catering", 3, "versions") == (shown["app"], shown["version"], shown["folder"])
    assert [(1, True, False), (2, False, False), (3, True, True)] == [
        (version["version"], version["frozen"], version["today"]) for version in shown["versions"]
    ]
    digests = [version["digest"] for version in shown["versions"]]
    held = json.loads(Path("versions/v1.json").read_text("utf-8"))["digest"]
    assert [held, None] == digests[:2]
    assert ["cooks", "menus"] == shown["versions"][1]["collections"]
    assert STEPS == [f"{s['source']} to {s['target']} ({s['name']})" for s in shown["steps"]]
    renamed = {
        "operation": "rename_collection people to cooks",
        "has_inverse": True,
        "inverse": "rename_collection cooks to people",
    }
    assert renamed == shown["steps"][0]["operations"][0]
    assert (False, None) == (
        shown["steps"][1]["operations"][0]["has_inverse"],
        shown["steps"][1]["operations"][0]["inverse"],
    )


def test_history_of_what_is_not_as_it_was_frozen(workshop: Workshop, catering: Catering) -> None:
    """A schema that has changed since is shown as such; so is one that names no folder."""
    catering.frozen(workshop)
    module = Path(f"{catering.three}.py").read_text("utf-8")
    app = workshop.module(module.replace('"mail": str | None', '"mail": str'))
    lines = workshop.ok("schema", "history", "--app", f"{app}:schema").stdout.splitlines()
    assert lines[4].endswith("frozen as another schema: see databackup schema check, today's")
    lines = workshop.ok("schema", "history", "--app", f"{app}:loose").stdout.splitlines()
    assert "schema version 3 of catering; the schema names no folder of frozen versions" == lines[0]
    assert lines[4].endswith("not frozen, today's")
    assert lines[8].endswith("not known")


def test_history_of_a_step_that_does_nothing(workshop: Workshop, catering: Catering) -> None:
    """A migration without operations is shown as one."""
    module = Path(f"{catering.three}.py").read_text("utf-8")
    kept = [line for line in module.splitlines() if "change_kind" not in line]
    app = workshop.module("\n".join(kept).replace("def dates(m):", "def dates(m): pass"))
    lines = workshop.ok("schema", "history", "--app", f"{app}:schema").stdout.splitlines()
    assert ["2 to 3 (dates)", "  nothing is done"] == lines[-2:]


@pytest.mark.parametrize("command", ["freeze", "check"])
def test_a_schema_without_a_folder(workshop: Workshop, catering: Catering, command: str) -> None:
    """A schema that names no folder needs --versions, and is told to name one."""
    app = f"{catering.three}:loose"
    result = workshop.run("schema", command, "--app", app)
    assert 1 == result.exit_code
    assert "names no folder of frozen versions: say Schema(…, versions=…), or --versions" in (
        result.stderr
    )
    given = ("--app", app, "--versions", "elsewhere")
    told = workshop.ok("schema", "freeze", *given).stderr
    assert "froze schema version 3 of catering: elsewhere/v3.json" in told
    assert "say versions='elsewhere' in the schema, so that older archives can be" in told
    workshop.ok("schema", "check", *given)
    assert "frozen, today's" in workshop.ok("schema", "history", *given).stdout
    catering.frozen(workshop)
    sound = workshop.ok("schema", "check", "--app", app, "--versions", "versions").stdout
    assert "2 migrations lead to it, from version 1" in sound


def test_a_folder_that_is_named_twice(workshop: Workshop, catering: Catering) -> None:
    """--versions beside the schema's own folder is wrong usage."""
    result = workshop.run(
        "schema", "freeze", "--app", f"{catering.one}:schema", "--versions", "elsewhere"
    )
    assert 2 == result.exit_code
    assert "the schema has a folder of its own: versions" in result.stderr
    assert not Path("elsewhere").exists()


@pytest.mark.parametrize("command", ["freeze", "check", "history"])
def test_frozen_versions_that_were_edited(
    workshop: Workshop, catering: Catering, command: str
) -> None:
    """A file that was edited by hand is named."""
    catering.frozen(workshop)
    text = Path("versions/v3.json").read_text("utf-8")
    Path("versions/v3.json").write_text(text.replace('"price"', '"cost"'), "utf-8")
    result = workshop.run("schema", command, "--app", f"{catering.three}:schema")
    assert 1 == result.exit_code
    assert "error: versions/v3.json: its digest is another one" in result.stderr


@pytest.mark.parametrize("attribute", ["schema", "make", "repository", "make_repository"])
def test_what_names_an_app(workshop: Workshop, catering: Catering, attribute: str) -> None:
    """A schema, a repository, or a function without arguments that returns one of the two."""
    assert 3 == open_schema(f"{catering.three}:{attribute}").version


@pytest.mark.parametrize(
    "app, message",
    [
        ("{}:gone", "has no attribute 'gone'"),
        ("{}:schema_of", "is a function with arguments"),
        ("{}:prices", "an object of the type 'Migration', neither a schema nor a repository"),
        ("{}:Schema", "is a function with arguments"),
        ("no_such_module_x:schema", "there is no module 'no_such_module_x'"),
        ("shop.db", "shop.db is not of the form package.module:attribute"),
        ("postgresql://me:secret@here/shop", "postgresql://me:***@here/shop is not of the form"),
    ],
)
def test_what_names_no_app(workshop: Workshop, catering: Catering, app: str, message: str) -> None:
    """What --app names instead is said, with what it has to name."""
    result = workshop.run("schema", "history", "--app", app.format(catering.three))
    assert 1 == result.exit_code
    assert message in result.stderr
    assert "Name a Schema, a function without arguments that returns one, or a repo" in (
        result.stderr
    )
    assert "secret" not in result.stderr


FAILING = """
from databackup.adapters.memory import MemoryRepository

class Failing(MemoryRepository):
    def __init__(self): pass
    @property
    def schema(self): return 1 / 0
    capabilities = None

class Odd(Failing):
    schema = 7

failing, odd = Failing(), Odd()
def make(): return failing
"""


def test_a_repository_whose_schema_fails(workshop: Workshop) -> None:
    """What the host's code raises is an error that names it, with its line."""
    module = workshop.module(FAILING)
    for attribute in ("failing", "make"):
        told = workshop.run("schema", "history", "--app", f"{module}:{attribute}").stderr
        assert "reading its schema failed: ZeroDivisionError: division by zero" in told
        assert f"{module}.py, line 7)" in told
        told = workshop.run("export", f"{module}:{attribute}", "-").stderr
        assert "reading its schema failed: ZeroDivisionError: division by zero" in told
    told = workshop.run("schema", "history", "--app", f"{module}:Odd").stderr
    assert "is the class 'Odd', neither a schema nor a repository" in told
    told = workshop.run("schema", "history", "--app", f"{module}:odd").stderr
    assert "an object of the type 'int', neither a schema nor a repository" in told


def test_names_are_shown_harmless(workshop: Workshop, catering: Catering) -> None:
    """Names of a host's that would steer a terminal are escaped."""
    module = Path(f"{catering.three}.py").read_text("utf-8")
    module = module.replace('"people", "cooks"', '"peo\\x1bple", "cooks"')
    module = module.replace('app="catering"', 'app="cate\\x1bring"')
    shown = workshop.ok("schema", "history", "--app", f"{workshop.module(module)}:schema").stdout
    assert r"rename_collection peo\x1bple to cooks" in shown
    assert r"schema version 3 of cate\x1bring; " in shown
    assert "\x1b" not in shown
