"""The test vectors of docs/reference/archive-format.md, held against the library."""

import hashlib
import itertools
import json
import re
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest

from databackup.archive import text
from databackup.archive.digest import Digest
from databackup.archive.format import Header
from databackup.archive.reader import open_archive
from databackup.archive.records import RecordCodec
from databackup.archive.writer import ArchiveWriter
from databackup.operations.verify import verify_archive
from databackup.schema import (
    JSON_NULL,
    Collection,
    Exclusion,
    Field,
    Interval,
    KindError,
    RawText,
    Reference,
    Schema,
)
from databackup.schema.document import describe, described_collection, description_digest
from databackup.schema.jsontext import JsonTextError
from databackup.schema.kind import Kind

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "archive-format.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def double(bits: int) -> float:
    """The double of 64 bits."""
    return float(struct.unpack(">d", struct.pack(">Q", bits))[0])


NAMES = {
    "UTC": UTC,
    "UUID": UUID,
    "Decimal": Decimal,
    "Interval": Interval,
    "JSON_NULL": JSON_NULL,
    "RawText": RawText,
    "bits": double,
    "date": date,
    "datetime": datetime,
    "time": time,
    "timedelta": timedelta,
    "timezone": timezone,
}


@attrs.frozen
class Vector:
    """One line of a block: the block's kind or collection, and the line's parts."""

    subject: str
    parts: tuple[str, ...]

    @property
    def form(self) -> Kind:
        """The kind that the block describes."""
        return field("value", json.loads(self.subject)).form


def field(name: str, description: Any) -> Field:
    """The field of a description as it stands in a header."""
    described = {"fields": {name: description}, "key": [], "references": []}
    return described_collection("vectors", described).fields[0]


def blocks(language: str, start: str) -> list[tuple[str, list[str]]]:
    """What follows `start` in the first line of each block that has it, and the lines after."""
    document = DOCUMENT.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(document):
        first, *lines = match[2].splitlines()
        if match[1] == language and first.startswith(start):
            found.append((first.removeprefix(start), lines))
    assert found
    return found


def vectors(start: str) -> list[Any]:
    """The lines of all blocks that begin with `start`, as parameters."""
    return [
        pytest.param(Vector(subject, tuple(line.split(" | "))), id=f"{subject}-{line}"[:150])
        for subject, lines in blocks("text", start)
        for line in lines
    ]


def evaluate(expression: str) -> Any:
    """The value of a Python expression of the document."""
    return eval(expression, dict(NAMES))  # noqa: S307 - from a document of this repository


def same(one: Any, two: Any) -> bool:
    """Whether two values are the same, NaN and the sign of zero among them."""
    if isinstance(one, datetime):
        return type(two) is datetime and one == two and (one.tzinfo is None) == (two.tzinfo is None)
    return type(one) is type(two) and repr(one) == repr(two)


@pytest.mark.parametrize("vector", vectors("# vectors of "))
def test_encoding_gives_the_form_of_the_document(vector: Vector) -> None:
    """A value's JSON text is the form beside it."""
    form = text.dump(vector.form.encode(evaluate(vector.parts[0])))

    assert vector.parts[1] == form.decode()


@pytest.mark.parametrize("vector", vectors("# vectors of "))
def test_reading_the_form_gives_the_value(vector: Vector) -> None:
    """A form reads as the value beside it, in type, sign and digits."""
    value = vector.form.decode(text.load(vector.parts[1].encode()))

    assert same(evaluate(vector.parts[0]), value), value


@pytest.mark.parametrize("vector", vectors("# vectors of "))
def test_the_canonical_form_is_that_of_the_document(vector: Vector) -> None:
    """A value's canonical form is the last part of its line."""
    canonical = text.dump(vector.form.canonical(evaluate(vector.parts[0])))

    assert vector.parts[-1] == canonical.decode()


@pytest.mark.parametrize("vector", vectors("# read by "))
def test_a_reader_takes_other_spellings_of_a_value(vector: Vector) -> None:
    """A form that no writer writes is read, and has the canonical form beside it."""
    kind = vector.form
    value = kind.decode(text.load(vector.parts[0].encode()))

    assert vector.parts[1] == text.dump(kind.canonical(value)).decode()


@pytest.mark.parametrize("vector", vectors("# refused by "))
def test_every_other_form_is_refused(vector: Vector) -> None:
    """A form of the lists of refused ones is an error, never a value."""
    with pytest.raises((JsonTextError, KindError)):
        vector.form.decode(text.load(vector.parts[0].encode()))


@pytest.mark.parametrize("vector", vectors("# refused by "))
def test_the_compiled_reader_refuses_them_too(vector: Vector) -> None:
    """A record with a refused form is refused with a problem that names the field."""
    collection = Collection("c", fields=[field("value", json.loads(vector.subject))])
    try:
        record = {"value": text.load(vector.parts[0].encode())}
    except JsonTextError:
        return
    with pytest.raises(KindError):
        collection.codec.decode([record])
    assert ["value"] == [p.field for p in collection.codec.explain_records([record])]


def described_kinds(description: Any) -> set[str]:
    """The names of all kinds in a description, and what is said of them."""
    found = set(description) & {"nullable", "off_kind"}
    found.add(description["kind"])
    return found.union(
        *(described_kinds(description[part]) for part in ("items",) if part in description),
        *(described_kinds(inner) for inner in description.get("members", {}).values()),
    )


@pytest.mark.parametrize("start", ["# vectors of ", "# refused by "])
def test_every_kind_has_vectors(start: str) -> None:
    """No kind is without values, and none without forms that it refuses."""
    found = {json.loads(subject)["kind"] for subject, _ in blocks("text", start)}
    kinds = set(Kind.__subclasses__())
    for _ in range(3):
        kinds |= {below for kind in kinds for below in kind.__subclasses__()}
    names = {kind.name for kind in kinds if isinstance(vars(kind).get("name"), str)}

    assert names - {"optional", "keep"} == found


def test_nullable_and_tagged_fields_have_vectors() -> None:
    """`nullable` and `off_kind` are shown, too."""
    found = set[str]()
    for subject, _ in blocks("text", "# vectors of "):
        found |= described_kinds(json.loads(subject))

    assert {"nullable", "off_kind"} <= found


@pytest.mark.parametrize("subject, lines", blocks("text", "# record of "))
def test_records_have_the_canonical_record_and_hash_of_the_document(
    subject: str, lines: list[str]
) -> None:
    """A record's line reads as a row with the canonical record and SHA-256 beside it."""
    parts = dict(line.split(" | ", 1) for line in lines)
    ((name, fields),) = json.loads(subject).items()
    collection = described_collection(name, {"fields": fields, "key": [], "references": []})
    rows = collection.codec.decode([text.load(parts["line"].encode())])
    (canonical,) = text.dump_sorted(collection.codec.canonical(rows))
    digest = Digest(name)
    digest.add([canonical])

    assert parts["canonical"] == canonical.decode()
    assert parts["sha256"] == digest.hex
    assert parts["sha256"] == hashlib.sha256(f"{name}\n{parts['canonical']}".encode()).hexdigest()


@pytest.mark.parametrize("_, lines", blocks("text", "# sum"))
def test_sums_of_hashes_wrap(_: str, lines: list[str]) -> None:
    """The last number is the sum of the others modulo 2^256, and some sum goes past that."""
    *hashes, total = (int(line, 16) for line in lines)

    assert total == sum(hashes) % 2**256
    assert sum(hashes) > 2**256
    assert {64} == {len(line) for line in lines}


# -- the whole archive -------------------------------------------------------------------------


def example() -> bytes:
    """The archive of the document, which alone of its JSON blocks is an archive."""
    document = DOCUMENT.read_text(encoding="utf-8")
    (archive,) = (
        match[2]
        for match in BLOCK.finditer(document)
        if match[2].startswith('{"format":"databackup"') and "…" not in match[2]
    )
    assert f"{len(archive.encode()):,} bytes, line feeds included" in document
    return archive.encode()


EXAMPLE_SCHEMA = Schema(
    app="catering",
    version=1,
    collections=[
        Collection("coordinators", key="id", fields={"id": int, "name": str, "since": date | None}),
        Collection(
            "menus",
            key="id",
            fields=[
                field("id", {"kind": "int"}),
                field("title", {"kind": "str"}),
                field("price", {"kind": "decimal", "scale": 2}),
                field("coordinator_id", {"kind": "int"}),
            ],
            references=[Reference("coordinator_id", "coordinators")],
        ),
        Collection("notes", fields={"text": str}),
    ],
)
EXAMPLE_ROWS: dict[str, list[tuple[Any, ...]]] = {
    "coordinators": [(1, "Ana", date(2024, 2, 29)), (2, 'Bo Ø "B"', None)],
    "menus": [(10, "Sopa", Decimal("7.50"), 1), (11, "Tarta\t🍰", Decimal("4.00"), 1)],
    "notes": [],
}


def example_header() -> Header:
    """The header of the example, as a writer is given it."""
    schema = describe(EXAMPLE_SCHEMA)
    for name, description in schema["collections"].items():
        description["order"] = "none" if name == "notes" else "key"
    return Header(
        archive_id="6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
        created_at="2026-11-22T10:15:00Z",
        app="catering",
        schema_version=1,
        schema_digest=description_digest(schema),
        producer={"library": "databackup 0.1.0", "adapter": "sqlite"},
        consistency="snapshot",
        schema=schema,
        excluded=(Exclusion("sessions", "made anew at every login"),),
        extensions={"counters": {"menus": 12}},
    )


def test_the_writer_writes_the_archive_of_the_document() -> None:
    """Byte for byte, whatever the size of the batches."""
    for size in (1, 2):
        writer = ArchiveWriter(example_header())
        collections = [
            (collection, [rows[i : i + size] for i in range(0, len(rows), size)])
            for collection, rows in zip(EXAMPLE_SCHEMA.ordered, EXAMPLE_ROWS.values(), strict=True)
        ]
        assert example() == b"".join(writer.chunks(collections))


def test_the_reader_reads_the_archive_of_the_document(tmp_path: Path) -> None:
    """Seal, digests, keys and references of the example are sound; every row comes back."""
    path = tmp_path / "example.json"
    path.write_bytes(example())
    verify_archive(path)
    verify_archive(path, EXAMPLE_SCHEMA)
    with open_archive(path) as archive:
        rows = {
            name: list(
                itertools.chain.from_iterable(
                    batch.rows for batch in read(RecordCodec(EXAMPLE_SCHEMA[name]))
                )
            )
            for name, read in archive.collections()
        }
        assert example_header() == archive.header
    assert EXAMPLE_ROWS == rows


def test_the_example_keeps_the_rules_of_the_document() -> None:
    """Seal, schema digest and layout follow from hashlib and json alone."""
    archive = example()
    body, seal = archive[:-83], archive[-83:]
    document = json.loads(archive)
    bare = {
        "collections": {
            name: {key: value for key, value in collection.items() if key != "order"}
            for name, collection in document["schema"]["collections"].items()
        }
    }
    digest = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert f'"seal":"sha256:{hashlib.sha256(body).hexdigest()}"}}}}\n'.encode() == seal
    assert "sha256:" + hashlib.sha256(digest.encode()).hexdigest() == document["schema_digest"]
    assert json.dumps(
        document, separators=(",", ":"), ensure_ascii=False
    ) == archive.decode().replace("\n", "")
