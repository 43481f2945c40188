import gzip
import io
import json
from pathlib import Path

import pytest

from databackup import inspect_archive
from tests.cli.conftest import Workshop
from tests.support.sqlite import run


def test_export_writes_an_archive(workshop: Workshop) -> None:
    """`export` writes the archive, tells people on standard error, and prints nothing else."""
    result = workshop.ok("export", "shop.db", "backup.json")
    info = inspect_archive("backup.json")
    assert {"people": 2, "orders": 3} == {n: c.records for n, c in info.collections.items()}
    assert "" == result.stdout
    assert "exported 5 records of 2 collections to backup.json" in result.stderr
    assert info.seal in result.stderr


def test_export_as_json(workshop: Workshop) -> None:
    """`export --json` prints the report as one JSON object, and nothing for people."""
    result = workshop.ok("export", "shop.db", "backup.json", "--json")
    report = json.loads(result.stdout)
    assert {"people": 2, "orders": 3} == report["collections"]
    assert inspect_archive("backup.json").seal == report["seal"]
    assert 1 == result.stdout.count("\n")
    assert "" == result.stderr


def test_export_to_standard_output(workshop: Workshop) -> None:
    """`export TARGET -` puts the archive on standard output, and nothing but it."""
    result = workshop.ok("export", "shop.db", "-")
    assert 5 == inspect_archive(io.BytesIO(result.stdout_bytes)).records
    assert "exported 5 records of 2 collections to standard output" in result.stderr


def test_export_to_standard_output_as_json(workshop: Workshop) -> None:
    """With `-` and `--json` the report is one JSON object on standard error."""
    result = workshop.ok("export", "shop.db", "-", "--json")
    info = inspect_archive(io.BytesIO(result.stdout_bytes))
    assert info.seal == json.loads(result.stderr)["seal"]


def test_failed_export_to_standard_output_as_json(workshop: Workshop) -> None:
    """With `-` and `--json` an error is one JSON object on standard error, too."""
    result = workshop.run("export", "none.db", "-", "--json")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "file" == json.loads(result.stderr)["error"]["code"]


def test_export_compresses_by_suffix(workshop: Workshop) -> None:
    """A FILE that ends in .gz is gzip."""
    workshop.ok("export", "shop.db", "backup.json.gz")
    assert b"\x1f\x8b" == Path("backup.json.gz").read_bytes()[:2]
    assert "as gzip" in workshop.ok("inspect", "backup.json.gz").stdout


@pytest.mark.parametrize("name", ["backup.json", "backup.json.gz", "backup.json.zst"])
def test_export_replaces_an_archive(workshop: Workshop, name: str) -> None:
    """A FILE that is an archive is replaced by the new one."""
    workshop.ok("export", "shop.db", name)
    run(workshop.database, "DELETE FROM orders")
    workshop.ok("export", "shop.db", name)
    assert 2 == inspect_archive(name).records


def test_export_fills_an_empty_file(workshop: Workshop) -> None:
    """An empty FILE, as `mktemp` makes it, is replaced."""
    Path("backup.json").touch()
    workshop.ok("export", "shop.db", "backup.json")
    assert 5 == inspect_archive("backup.json").records


@pytest.mark.parametrize(
    "content", [b"notes", b"{}", gzip.compress(b"notes", mtime=0), b"\x1f\x8b broken"]
)
def test_export_replaces_nothing_else(workshop: Workshop, content: bytes) -> None:
    """A FILE that exists and is no archive is refused, and stays."""
    Path("notes").write_bytes(content)
    result = workshop.run("export", "shop.db", "notes")
    assert 1 == result.exit_code
    assert "notes exists and is no archive" in result.stderr
    assert content == Path("notes").read_bytes()


def test_export_over_its_own_database(workshop: Workshop) -> None:
    """`export app.db app.db` does not replace the database by its archive."""
    before = workshop.dump()
    assert 1 == workshop.run("export", "shop.db", "shop.db").exit_code
    assert before == workshop.dump()


def test_failed_export_keeps_the_old_file(workshop: Workshop) -> None:
    """An export that fails leaves the FILE as it was, and nothing beside it."""
    old = workshop.archive().rename("backup.json").read_bytes()
    Path("text.db").write_bytes(b"no database at all, and long enough not to be an empty one" * 9)
    result = workshop.run("export", "text.db", "backup.json")
    assert 1 == result.exit_code
    assert old == Path("backup.json").read_bytes()
    assert ["backup.json", "shop.db", "text.db"] == sorted(p.name for p in Path().iterdir())


def test_types_and_exclusions(workshop: Workshop) -> None:
    """`--types` and `--exclude` reach the schema that is read from the file."""
    run(workshop.database, "CREATE TABLE sessions (token TEXT)", "ALTER TABLE people ADD born DATE")
    options = ("--types", "declared", "--exclude", "sessions=of no use later", "--json")
    shown = json.loads(workshop.ok("schema", "show", "shop.db", *options).stdout)
    assert "date" == shown["collections"]["people"]["fields"]["born"]["kind"]
    assert ["orders", "people"] == sorted(shown["collections"])
    assert {"name": "sessions", "reason": "of no use later"} in shown["excluded"]
    stored = json.loads(workshop.ok("schema", "show", "shop.db", "--json").stdout)
    assert "str" == stored["collections"]["people"]["fields"]["born"]["kind"]
    assert "sessions" in stored["collections"]
