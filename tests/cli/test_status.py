"""Imports that leave a mark, and the command that asks for it."""

import json
import uuid

from databackup import inspect_archive
from tests.cli.conftest import Workshop
from tests.support.sqlite import run

NEVER = str(uuid.UUID(int=7))


def test_an_import_with_a_marker_says_its_id(workshop: Workshop) -> None:
    """As text and as JSON; without the option there is none."""
    archive = workshop.archive()
    said = workshop.ok("import", archive, "shop.db", "--yes", "--marker").stderr
    (line,) = [line for line in said.splitlines() if "import id" in line]
    uuid.UUID(line.split()[-1])
    report = json.loads(
        workshop.ok("import", archive, "shop.db", "--yes", "--marker", "--json").stdout
    )
    assert line.split()[-1] != str(uuid.UUID(report["import_id"]))
    plain = workshop.ok("import", archive, "shop.db", "--yes", "--json").stdout
    assert json.loads(plain)["import_id"] is None
    assert "import id" not in workshop.ok("import", archive, "shop.db", "--yes").stderr


def test_status_answers_with_its_exit_code(workshop: Workshop) -> None:
    """0 committed, 1 not; as text and as JSON."""
    archive = workshop.archive()
    report = workshop.ok("import", archive, "shop.db", "--yes", "--marker", "--json").stdout
    import_id = json.loads(report)["import_id"]
    seal = inspect_archive(archive).seal
    said = workshop.ok("status", "shop.db", "--id", import_id).stdout
    assert f"the import {import_id} was committed: shop.db" in said
    assert seal in said
    asked = json.loads(workshop.ok("status", "shop.db", "--id", import_id, "--json").stdout)
    assert {"import_id": import_id, "committed": True, "seal": seal} == {
        name: value for name, value in asked.items() if name != "time"
    }
    unknown = workshop.run("status", "shop.db", "--id", NEVER)
    assert 1 == unknown.exit_code
    assert f"the import {NEVER} was not committed, and will not be: shop.db\n" == unknown.stdout
    as_json = workshop.run("status", "shop.db", "--id", NEVER, "--json")
    assert 1 == as_json.exit_code
    assert {"import_id": NEVER, "committed": False, "seal": None, "time": None} == json.loads(
        as_json.stdout
    )


def test_status_lists_the_imports(workshop: Workshop) -> None:
    """Those with a marker, the newest first."""
    assert "shop.db has no marks of imports\n" == workshop.ok("status", "shop.db").stdout
    archive = workshop.archive()
    ids = [
        json.loads(workshop.ok("import", archive, "shop.db", "--yes", "--marker", "--json").stdout)[
            "import_id"
        ]
        for _ in range(3)
    ]
    said = workshop.ok("status", "shop.db").stdout
    assert ids[::-1] == [word for word in said.split() if word in ids]
    listed = json.loads(workshop.ok("status", "shop.db", "--json").stdout)["imports"]
    assert ids[::-1] == [item["import_id"] for item in listed]
    assert all(item["committed"] for item in listed)


def test_trouble_is_no_answer(workshop: Workshop) -> None:
    """Whatever keeps status from answering has the exit code 2."""
    run(workshop.database, "CREATE TABLE databackup_imports (other TEXT)")
    for arguments in (("missing.db", "--id", NEVER), ("shop.db", "--id", NEVER), ("shop.db",)):
        result = workshop.run("status", *arguments)
        assert 2 == result.exit_code
        assert "error: " in result.stderr
    assert 2 == workshop.run("status", "shop.db", "--id", "7").exit_code


def test_a_table_that_is_somebody_elses(workshop: Workshop) -> None:
    """An import that cannot leave its mark is refused, and nothing is changed."""
    archive = workshop.archive()
    run(workshop.database, "DELETE FROM orders", "CREATE TABLE databackup_imports (other TEXT)")
    before = workshop.dump()
    result = workshop.run("import", archive, "shop.db", "--yes", "--marker")
    assert 1 == result.exit_code
    assert "no mark can be left in databackup_imports" in result.stderr
    assert before == workshop.dump()
