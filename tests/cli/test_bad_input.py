"""What is wrong with archive or target: a message that says what, no traceback, nothing changed."""

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from databackup.errors import InvalidRecords
from databackup.schema import Schema
from tests.cli.conftest import ROWS, TABLES, Workshop
from tests.support.archives import Lines, edited
from tests.support.sqlite import run

Prepare = Callable[[Workshop], tuple[str | Path, str | Path]]


def _schema(workshop: Workshop) -> Schema:
    scope: dict[str, Schema] = {}
    name = workshop.app().partition(":")[0]
    exec(Path(f"{name}.py").read_text("utf-8"), scope)  # noqa: S102 - the module made above
    return scope["SCHEMA"]


def _file(content: bytes) -> Prepare:
    def prepare(workshop: Workshop) -> tuple[str | Path, str | Path]:
        Path("file.json").write_bytes(content)
        return "file.json", "shop.db"

    return prepare


def _changed(change: Callable[[bytes], bytes]) -> Prepare:
    def prepare(workshop: Workshop) -> tuple[str | Path, str | Path]:
        archive = workshop.archive()
        archive.write_bytes(change(archive.read_bytes()))
        return archive, "shop.db"

    return prepare


def _sealed(edit: Callable[[Lines], object]) -> Prepare:
    def prepare(workshop: Workshop) -> tuple[str | Path, str | Path]:
        target = workshop.app()
        archive = workshop.archive(target)
        archive.write_bytes(edited(archive.read_bytes(), _schema(workshop), edit))
        return archive, target

    return prepare


def _replace_line(collection: str, number: int, line: bytes) -> Callable[[Lines], None]:
    def edit(lines: Lines) -> None:
        lines.collections[collection][number] = line

    return edit


def _in_header(old: bytes, new: bytes) -> Callable[[Lines], None]:
    def edit(lines: Lines) -> None:
        assert old in lines.header
        lines.header = lines.header.replace(old, new)

    return edit


def _into(*statements: str) -> Prepare:
    """The archive of the shop, and another database as its target."""

    def prepare(workshop: Workshop) -> tuple[str | Path, str | Path]:
        archive = workshop.archive()
        workshop.database.unlink()
        workshop.make("shop.db", *statements)
        return archive, "shop.db"

    return prepare


def _app_over(*statements: str) -> Prepare:
    """The archive of an app whose database then changes, and the app as its target."""

    def prepare(workshop: Workshop) -> tuple[str | Path, str | Path]:
        target = workshop.app()
        archive = workshop.archive(target)
        run(workshop.database, *statements)
        return archive, target

    return prepare


def _folder(workshop: Workshop) -> tuple[str | Path, str | Path]:
    Path("folder").mkdir()
    return "folder", "shop.db"


def _missing(workshop: Workshop) -> tuple[str | Path, str | Path]:
    return "none.json", "shop.db"


def _other_app(workshop: Workshop) -> tuple[str | Path, str | Path]:
    return workshop.archive(workshop.app(app="blog")), workshop.app()


def _newer_app(workshop: Workshop) -> tuple[str | Path, str | Path]:
    return workshop.archive(workshop.app(version=3)), workshop.app(version=2)


def _missing_target(workshop: Workshop) -> tuple[str | Path, str | Path]:
    return workshop.archive(), "none.db"


def _target_is_a_folder(workshop: Workshop) -> tuple[str | Path, str | Path]:
    Path("folder").mkdir()
    return workshop.archive(), "folder"


def _target_is_no_database(workshop: Workshop) -> tuple[str | Path, str | Path]:
    Path("text.db").write_bytes(b"This is text, and no database at all. " * 99)
    return workshop.archive(), "text.db"


CASES: dict[str, tuple[Prepare, str, str]] = {
    # what: how it is made, the error's code, what the message says
    "text": (_file(b"hello\n"), "not-an-archive", "no databackup archive"),
    "json": (_file(b'{"a": 1}'), "not-an-archive", "JSON, but no databackup archive"),
    "sqlite": (_file(b"SQLite format 3\0 and so on"), "not-an-archive", "a SQLite database"),
    "empty": (_file(b""), "not-an-archive", "the file is empty"),
    "binary": (_file(bytes(range(256)) * 9), "not-an-archive", ""),
    "folder": (_folder, "file", "folder is a folder"),
    "missing": (_missing, "file", "none.json does not exist"),
    "bad gzip": (_file(b"\x1f\x8bnot gzip"), "archive-invalid", "gzip"),
    "other app": (_other_app, "wrong-app", "'blog'"),
    "newer app": (_newer_app, "version-mismatch", "schema version 3, newer than this app's 2"),
    "newer format": (
        _sealed(_in_header(b'"format_version":1,', b'"format_version":2,')),
        "newer-format",
        "format 2",
    ),
    "seal": (_changed(lambda a: a.replace(b'"Ana"', b'"Ann"')), "seal-broken", "seal"),
    "truncated": (_changed(lambda a: a[: len(a) // 2]), "archive-truncated", "ends within"),
    "without its last line": (
        _changed(lambda a: a[: a.rindex(b'"seal"')]),
        "archive-truncated",
        "ends within its last line",
    ),
    "edited in an editor": (
        _changed(lambda a: json.dumps(json.loads(a), indent=2).encode()),
        "not-an-archive",
        "reformatted or edited",
    ),
    "invalid value": (
        _sealed(_replace_line("people", 0, b'{"id":1,"name":17}')),
        "invalid-records",
        "people, record 1, key 1, field name",
    ),
    "duplicate key": (
        _sealed(_replace_line("people", 1, b'{"id":1,"name":"Bo"}')),
        "invalid-records",
        "another record has the same key",
    ),
    "dangling reference": (
        _sealed(_replace_line("orders", 0, b'{"id":10,"person":9,"amount":2.5,"note":null}')),
        "invalid-records",
        "orders, record 1, key 10, field person",
    ),
    "refused by the store": (
        _sealed(_replace_line("people", 1, b'{"id":2,"name":"Ana"}')),
        "records-not-taken",
        "people, record",
    ),
    "table missing": (
        _into("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"),
        "schema-mismatch",
        "the collection 'orders'",
    ),
    "column missing": (
        _into(TABLES[0], TABLES[1].replace(", note TEXT", "")),
        "schema-mismatch",
        "orders.note",
    ),
    "other table": (
        _into(*TABLES, *ROWS, "CREATE TABLE extra (id INTEGER)"),
        "schema-mismatch",
        "'extra'",
    ),
    "app's table missing": (_app_over("DROP TABLE orders"), "store-mismatch", "orders"),
    "app's column missing": (
        _app_over("ALTER TABLE orders DROP note"),
        "store-mismatch",
        "note",
    ),
    "table overlooked": (_app_over("CREATE TABLE extra (id INTEGER)"), "store-mismatch", "extra"),
    "column overlooked": (
        _app_over("ALTER TABLE people ADD secret TEXT"),
        "store-mismatch",
        "secret",
    ),
    "missing target": (_missing_target, "file", "none.db does not exist"),
    "target is a folder": (_target_is_a_folder, "file", "folder is a folder"),
    "target is no database": (_target_is_no_database, "store-failed", "text.db"),
}


@pytest.mark.parametrize("case", CASES)
def test_import_refuses(workshop: Workshop, case: str) -> None:
    """`import` of bad input: exit code 1, a message that says what is wrong, nothing changed."""
    prepare, code, message = CASES[case]
    file, target = prepare(workshop)
    before = workshop.dump()
    result = workshop.run("import", file, target, "--yes")
    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    as_json = workshop.run("import", file, target, "--yes", "--json")
    assert 1 == as_json.exit_code
    assert code == json.loads(as_json.stdout)["error"]["code"]
    assert result.stderr == as_json.stderr
    assert before == workshop.dump()


@pytest.mark.parametrize("case", CASES)
def test_import_refuses_before_it_asks(workshop: Workshop, case: str) -> None:
    """Without --yes bad input is refused with the same error, or nobody is there to be asked."""
    prepare, code, _ = CASES[case]
    result = workshop.run("import", *prepare(workshop), "--json")
    assert 1 == result.exit_code
    found = json.loads(result.stdout)["error"]["code"]
    late = code in {"invalid-records", "records-not-taken"}
    assert found in ({code, "not-confirmed"} if late else {code})


@pytest.mark.parametrize(
    "case",
    [name for name, (_, code, _) in CASES.items() if code in {"not-an-archive", "seal-broken"}]
    + ["folder", "missing", "truncated", "newer format"],
)
@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_reading_refuses(workshop: Workshop, command: str, case: str) -> None:
    """`inspect` and `verify` refuse what is no sound archive, and name the file."""
    prepare, code, message = CASES[case]
    file, _ = prepare(workshop)
    result = workshop.run(command, file)
    assert (1, "") == (result.exit_code, result.stdout)
    assert message in result.stderr
    assert str(file) in result.stderr
    found = json.loads(workshop.run(command, file, "--json").stdout)
    assert code == found["error"]["code"]


@pytest.mark.parametrize("case", ["invalid value", "duplicate key", "dangling reference"])
def test_verify_refuses(workshop: Workshop, case: str) -> None:
    """`verify` finds what is wrong with records, and `inspect` does not look at them."""
    prepare, code, message = CASES[case]
    file, _ = prepare(workshop)
    result = workshop.run("verify", file)
    assert 1 == result.exit_code
    assert message in result.stderr
    found = json.loads(workshop.run("verify", file, "--json").stdout)["error"]
    assert code == found["code"]
    assert "people" in found["problems"][0]["pointer"] or case == "dangling reference"
    assert 0 == workshop.run("inspect", file).exit_code


def test_all_problems_are_listed(workshop: Workshop) -> None:
    """Up to 100 problems are listed, each with place, what was found, pointer; then the rest."""
    values = ", ".join(f"({number}, 'name {number}')" for number in range(3, 133))
    run(workshop.database, f"INSERT INTO people VALUES {values}")
    target = workshop.app()
    archive = workshop.archive(target)

    def edit(lines: Lines) -> None:
        people = lines.collections["people"]
        lines.collections["people"] = [re.sub(b'"name":".*"', b'"name":5', p) for p in people]

    archive.write_bytes(edited(archive.read_bytes(), _schema(workshop), edit))
    result = workshop.run("import", archive, target, "--yes")
    lines = result.stderr.splitlines()
    assert "error: the import was refused and nothing was changed: 132 problems" == lines[0]
    start = lines.index("  people, record 1, key 1, field name")
    assert "    expected text, found int 5" == lines[start + 1].replace("a text", "text")
    assert "    at /data/people/0/name" == lines[start + 2]
    assert 100 == sum(line.startswith("  people, record ") for line in lines)
    assert ["  and 32 more problems", InvalidRecords.remedy + "."] == lines[-2:]


def test_differences_are_listed(workshop: Workshop) -> None:
    """What differs between archive and target stands line by line."""
    archive = workshop.archive()
    workshop.make("new.db", "CREATE TABLE a (id INTEGER PRIMARY KEY)", "CREATE TABLE b (id INT)")
    result = workshop.run("import", archive, "new.db", "--yes")
    lines = result.stderr.splitlines()
    assert "error: archive and target differ:" == lines[0]
    assert "  - the target has the collection 'a', the archive does not" in lines
    assert "  - the target has the collection 'b', the archive does not" in lines
    assert lines[-1].startswith("Import into a store of the same collections")


@pytest.fixture
def locked(workshop: Workshop) -> Iterator[Workshop]:
    """The workshop, while somebody writes to its database."""
    connection = sqlite3.connect(workshop.database, isolation_level=None)
    workshop.archive().rename("backup.json")
    connection.execute("BEGIN IMMEDIATE")
    yield workshop
    connection.execute("ROLLBACK")
    connection.close()


def test_locked_database(locked: Workshop) -> None:
    """A database that another one writes to is waited for, as long as `--wait` says."""
    result = locked.run("import", "backup.json", "shop.db", "--yes", "--wait", "0.05")
    assert 1 == result.exit_code
    assert "error: " in result.stderr
    as_json = locked.run("import", "backup.json", "shop.db", "--yes", "--wait", "0", "--json")
    assert "store-locked" == json.loads(as_json.stdout)["error"]["code"]


def test_no_permission(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that may not be read is named with the reason."""
    archive = workshop.archive()
    opened: Any = Path.open

    def refuse(path: Path, *arguments: str) -> object:
        if path == archive:
            raise PermissionError(13, os.strerror(13), str(path))
        return opened(path, *arguments)

    monkeypatch.setattr(Path, "open", refuse)
    commands: list[list[str | Path]] = [
        ["inspect", archive],
        ["import", archive, "shop.db", "--yes"],
    ]
    for command in commands:
        result = workshop.run(*command)
        assert 1 == result.exit_code
        assert (
            f"error: {archive} cannot be read: Permission denied" == result.stderr.splitlines()[0]
        )


@pytest.mark.parametrize(
    "destination, message",
    [
        ("folder/none/", "the folder folder/none does not exist"),
        ("nowhere/backup.json", "the folder nowhere does not exist"),
        ("link.json", "link.json is a symbolic link"),
        ("", "is a folder: name a file in it"),
        ("shop.db/backup.json", "shop.db"),
        ("nul\0.json", "cannot be written"),
    ],
)
def test_export_refuses_destinations(workshop: Workshop, destination: str, message: str) -> None:
    """`export` to what is no file says what it is, and writes nothing."""
    Path("folder").mkdir()
    Path("link.json").symlink_to("shop.db")
    before = workshop.dump()
    result = workshop.run("export", "shop.db", destination)
    assert (1, "") == (result.exit_code, result.stdout)
    assert message in result.stderr
    assert before == workshop.dump()
    assert ["folder", "link.json", "shop.db"] == sorted(path.name for path in Path().iterdir())


@pytest.mark.parametrize("command", [["export", "{}", "x.json"], ["schema", "show", "{}"]])
def test_targets_that_are_none(workshop: Workshop, command: list[str]) -> None:
    """A target that names no repository is answered with what was wrong with it."""
    result = workshop.run(*(part.format("no_such_module:repository") for part in command))
    assert (1, "") == (result.exit_code, result.stdout)
    assert "there is no module 'no_such_module'" in result.stderr
    assert "Name the path of a SQLite file" in result.stderr
