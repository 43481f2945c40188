import json

from databackup import inspect_archive
from tests.cli.conftest import Workshop
from tests.support.archives import data_of
from tests.support.sqlite import run


def test_inspect(workshop: Workshop) -> None:
    """`inspect` shows app, version, collections with counts, keys and fields, and the seal."""
    archive = workshop.archive(workshop.app())
    lines = workshop.ok("inspect", archive).stdout.splitlines()
    cells = [line.split() for line in lines]
    assert ["app", "shop,", "schema", "version", "1"] in cells
    info = inspect_archive(archive)
    digest = info.collections["orders"].digest[:16]
    assert ["orders", "3", digest, "id", "id,", "person,", "amount,", "note"] in cells
    assert any(info.seal in line for line in lines)


def test_inspect_as_json(workshop: Workshop) -> None:
    """`inspect --json` prints all that an archive says of itself."""
    archive = workshop.archive()
    shown = json.loads(workshop.ok("inspect", archive, "--json").stdout)
    assert inspect_archive(archive).archive_id == shown["archive_id"]
    assert ["id", "name"] == shown["collections"]["people"]["fields"]


def test_inspect_standard_input(workshop: Workshop) -> None:
    """`inspect -` and `verify -` read the archive from standard input."""
    archive = workshop.archive().read_bytes()
    assert "5 records of 2 collections" in workshop.ok("inspect", "-", stdin=archive).stdout
    assert "is sound" in workshop.ok("verify", "-", stdin=archive).stdout


def test_verify(workshop: Workshop) -> None:
    """`verify` says on standard output what it has read and found right."""
    archive = workshop.archive()
    result = workshop.ok("verify", archive)
    assert f"{archive} is sound: 5 records of 2 collections" in result.stdout
    assert "" == result.stderr
    report = json.loads(workshop.ok("verify", archive, "--json").stdout)
    assert {"people": 2, "orders": 3} == report["collections"]


def test_schema_show(workshop: Workshop) -> None:
    """`schema show` lists fields with their kinds, keys and references."""
    lines = workshop.ok("schema", "show", workshop.app()).stdout.splitlines()
    cells = [line.split() for line in lines]
    assert ["app", "shop,", "schema", "version", "1"] in cells
    assert ["id", "int", "key"] in cells
    assert ["amount", "float", "or", "null"] in cells
    assert ["person", "->", "people", "id"] in cells


KINDS = """
import datetime, decimal, enum
import attrs
from databackup import Collection, Json, Schema
from databackup.adapters.memory import MemoryRepository
from databackup.schema.composite import Native

class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

@attrs.frozen
class Size:
    width: int
    depth: float | None

SCHEMA = Schema(
    collections=[Collection("things", fields={
        "sizes": list[Size],
        "colours": dict[str, Colour],
        "range": Native("int4range"),
        "at": datetime.datetime | None,
    })],
    exclude={"sessions": "short-lived", "logs": "too long"},
)
repository = MemoryRepository(SCHEMA, {"things": []})
"""


def test_schema_show_spells_kinds_out(workshop: Workshop) -> None:
    """Kinds are shown in words, down to what lists, dicts and nested classes hold."""
    target = f"{workshop.module(KINDS)}:repository"
    lines = workshop.ok("schema", "show", target).stdout.splitlines()
    assert [
        "app  not named, schema version 1",
        "",
        "things",
        "  sizes    list of (width: int, depth: float or null)",
        "  colours  dict of one of red, blue",
        "  range    native int4range",
        "  at       datetime or null",
        "",
        "left out  sessions: short-lived",
        "          logs: too long",
    ] == lines


def test_schema_show_tells_the_scale(workshop: Workshop) -> None:
    """A decimal of a fixed scale says so."""
    run(workshop.database, "ALTER TABLE orders ADD price NUMERIC(10, 2)")
    text = workshop.ok("schema", "show", "shop.db", "--types", "declared").stdout
    assert "decimal of scale 2 or null" in text


def test_schema_that_cannot_be_built(workshop: Workshop) -> None:
    """What is wrong with a host's schema is listed line by line."""
    source = (
        "from databackup import *\n"
        "Schema(collections=[Collection('a', key='x', fields={'id': int}),\n"
        "                    Collection('a', fields={'id': int})])"
    )
    lines = workshop.run("schema", "show", f"{workshop.module(source)}:x").stderr.splitlines()
    assert "error: the schema is not sound:" == lines[0]
    assert {"  - two collections are named 'a'"} < set(lines)


def test_schema_show_as_json(workshop: Workshop) -> None:
    """`schema show --json` prints the description and the digest that archives carry."""
    target = workshop.app()
    shown = json.loads(workshop.ok("schema", "show", target, "--json").stdout)
    assert inspect_archive(workshop.archive(target)).schema_digest == shown["digest"]
    assert ("shop", 1) == (shown["app"], shown["version"])
    assert {"kind": "int"} == shown["collections"]["people"]["fields"]["id"]


def test_round_trip_is_stable(workshop: Workshop) -> None:
    """Export, import into an emptied file, export: the data lines are the same bytes."""
    first = workshop.archive()
    run(workshop.database, "DELETE FROM orders", "DELETE FROM people")
    workshop.ok("import", first, "shop.db", "--yes")
    assert data_of(first.read_bytes()) == data_of(workshop.archive().read_bytes())
