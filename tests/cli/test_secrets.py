"""Secret columns on the command line."""

import json

from databackup.cli.secrets import chosen, omitted_text
from tests.cli.conftest import Workshop
from tests.support.sqlite import run

MARKED = """
from databackup import Collection, Schema
from databackup.adapters.sqlite import SQLiteRepository

PEOPLE = Collection("people", key="id", fields={{"id": int, "name": str}}, secret=["name"])
SCHEMA = Schema(app="shop", collections=[PEOPLE], exclude={{"orders": "none of ours"}})

def repository():
    return SQLiteRepository({path!r}, SCHEMA)
"""


def app(workshop: Workshop) -> str:
    """The target of an app with a secret field."""
    return f"{workshop.module(MARKED.format(path=str(workshop.database)))}:repository"


def test_export_leaves_secrets_out_and_says_so(workshop: Workshop) -> None:
    """Unless it is said, the archive lacks them, and the report names them."""
    result = workshop.ok("export", app(workshop), "a.json")
    assert "secrets   1 field left out: people.name" in result.stderr
    text = (workshop.folder / "a.json").read_text()
    assert '{"id":1}' in text
    assert "Ana" not in text


def test_export_includes_them_where_it_is_said(workshop: Workshop) -> None:
    """With --secrets include the archive is complete, and the report has no more to say."""
    result = workshop.ok("export", app(workshop), "a.json", "--secrets", "include")
    assert "secrets" not in result.stderr
    assert "Ana" in (workshop.folder / "a.json").read_text()


def test_json_report(workshop: Workshop) -> None:
    """The report as JSON lists what is omitted by collection."""
    result = workshop.ok("export", app(workshop), "a.json", "--secrets", "omit", "--json")
    assert {"people": ["name"]} == json.loads(result.stdout)["omitted"]


def test_decision() -> None:
    """What is encrypted may have secrets in it; what was said goes first."""
    assert "omitted" == chosen(None, encrypted=False)
    assert "included" == chosen(None, encrypted=True)
    for encrypted in (False, True):
        assert "included" == chosen("include", encrypted=encrypted)
        assert "omitted" == chosen("omit", encrypted=encrypted)


def test_columns_of_a_file(workshop: Workshop) -> None:
    """--secret-column takes a column of a SQLite file, or of a database, for secret."""
    for target in (workshop.database, f"sqlite+pysqlite:///{workshop.database}"):
        options = ["--secret-column", "people.name", "--secret-column", "orders.note"]
        result = workshop.ok("export", target, "a.json", *options)
        assert "2 fields left out: people.name, orders.note" in result.stderr
        text = (workshop.folder / "a.json").read_text()
        assert not {"Ana", "blue"} & set(text.replace('"', " ").split())


def test_wrong_columns(workshop: Workshop) -> None:
    """A column that is not there, of the key, or of an app's own schema is refused."""
    result = workshop.run("export", workshop.database, "a.json", "--secret-column", "people.nam")
    assert (1, True) == (result.exit_code, "no field 'people.nam'" in result.stderr)
    result = workshop.run("export", workshop.database, "a.json", "--secret-column", "people.id")
    assert (1, True) == (result.exit_code, "people.id is of the key" in result.stderr)
    result = workshop.run("export", app(workshop), "a.json", "--secret-column", "people.name")
    assert (1, True) == (result.exit_code, "brings its own schema" in result.stderr)
    assert not (workshop.folder / "a.json").exists()


def test_import_keeps_what_is_there(workshop: Workshop) -> None:
    """The report counts what was kept; the file itself needs no mark."""
    workshop.ok("export", workshop.database, "a.json", "--secret-column", "people.name")
    run(workshop.database, "UPDATE people SET name = 'Ann' WHERE id = 1", "DELETE FROM orders")
    result = workshop.ok("import", "a.json", workshop.database, "--yes")
    assert ["people.name", "2", "0"] in [line.split() for line in result.stderr.splitlines()]
    found = workshop.dump()["people"]
    assert ["Ann" in found[0], "Bo" in found[1]] == [True, True]


def test_import_of_new_records_is_refused(workshop: Workshop) -> None:
    """What was deleted since has no secret to keep, and a file has no defaults."""
    workshop.ok("export", workshop.database, "a.json", "--secret-column", "people.name")
    run(workshop.database, "DELETE FROM orders", "DELETE FROM people WHERE id = 2")
    before = workshop.dump()
    result = workshop.run("import", "a.json", workshop.database, "--yes", "--json")
    assert 1 == result.exit_code
    error = json.loads(result.stdout)["error"]
    assert ("secrets-missing", [[2]]) == (error["code"], [p["key"] for p in error["problems"]])
    assert before == workshop.dump()


def test_inspect_and_schema_name_them(workshop: Workshop) -> None:
    """What is secret is shown, and whether it is there."""
    target = app(workshop)
    workshop.ok("export", target, "a.json")
    result = workshop.ok("inspect", "a.json")
    assert "secrets   1 field left out: people.name" in result.stdout
    workshop.ok("export", target, "b.json", "--secrets", "include")
    result = workshop.ok("inspect", "b.json")
    assert "secrets   included: people.name" in result.stdout
    assert "str, secret" in workshop.ok("schema", "show", target).stdout


def test_diff_notes_them(workshop: Workshop) -> None:
    """A comparison says what it does not compare, and finds no difference there."""
    target = app(workshop)
    workshop.ok("export", target, "a.json")
    run(workshop.database, "UPDATE people SET name = 'Ann' WHERE id = 1")
    result = workshop.ok("diff", "a.json", target)
    assert "a.json omits secrets, which are not compared: people.name" in result.stdout
    workshop.ok("export", target, "b.json", "--secrets", "include")
    run(workshop.database, "UPDATE people SET name = 'Anne' WHERE id = 1")
    result = workshop.run("diff", "b.json", target)
    assert (1, True) == (result.exit_code, "name  (secret) -> (secret)" in result.stdout)
    assert "Ann" not in result.stdout


def test_many_fields_are_not_all_listed() -> None:
    """The first ten are named."""
    names = tuple(f"f{number}" for number in range(12))
    listed = ", ".join(f"t.{name}" for name in names[:10])
    assert f"12 fields left out: {listed} and 2 more" == omitted_text({"t": names})


def test_question_tells_of_them(workshop: Workshop) -> None:
    """Who is asked is told what the archive lacks, and what becomes of it."""
    workshop.ok("export", workshop.database, "a.json", "--secret-column", "people.name")
    run(workshop.database, "DELETE FROM orders")
    result = workshop.run("import", "a.json", workshop.database)
    assert 1 == result.exit_code
    expected = "Secrets: 1 field left out: people.name. Records that are there keep theirs."
    assert expected in result.stderr
