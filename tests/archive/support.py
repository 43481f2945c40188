"""Archives for these tests: made from rows, and made anew after a change."""

from __future__ import annotations

import functools
import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

from databackup.archive.compression import compress
from databackup.archive.format import Header
from databackup.archive.reader import open_archive
from databackup.archive.records import RecordCodec
from databackup.archive.writer import ArchiveWriter
from databackup.operations.verify import verify_archive
from databackup.schema import Collection, Exclusion, Json, Reference, Schema
from databackup.schema.compiled import Codec
from databackup.schema.document import describe, description_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from databackup.archive.compression import Compression
    from databackup.archive.records import Batch

Row = tuple[Any, ...]
_LINES = (
    ("format", "format_version", "archive_id", "created_at", "app", "schema_version"),
    ("schema_digest", "producer", "consistency"),
    ("selection", "secrets", "excluded", "extensions"),
    ("schema",),
)

SHOP = Schema(
    app="shop",
    version=3,
    collections=[
        Collection(
            "orders",
            key="id",
            fields={"id": int, "buyer": str | None, "note": Json, "weight": float},
            references=[Reference("buyer", "buyers")],
        ),
        Collection("buyers", key="name", fields={"name": str, "age": int}),
        Collection("log", fields={"text": str}),
    ],
    exclude={"sessions": "made anew at every login"},
)
"""A reference, a key of text, no key, canonical lines and lines that are not."""

SALES: dict[str, list[Row]] = {
    "buyers": [("Ana", 31), ("Bo", 47), ("Zoë", 5)],
    "orders": [
        (1, "Ana", {"b": [1.5, None], "a": "x"}, 1.0),
        (2, "Zoë", [], -0.0),
        (7, None, "…", 1e16),
    ],
    "log": [("b",), ("a",), ("b",)],
}

TINY = Schema(collections=[Collection("t", key="i", fields={"i": int})])
TINY_ROWS: dict[str, list[Row]] = {"t": [(1,), (2,)]}


def header_of(schema: Schema, order: Mapping[str, str] | None = None) -> Header:
    """The header of an archive of a schema; `order` is by collection, "key" where there is one."""
    description = describe(schema)
    digest = description_digest(description)
    for name, collection in description["collections"].items():
        has_key = bool(schema[name].key)
        collection["order"] = (order or {}).get(name, "key" if has_key else "none")
    return Header(
        archive_id="6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
        created_at="2026-11-22T10:15:00Z",
        app=schema.app,
        schema_version=schema.version,
        schema_digest=digest,
        producer={"library": "databackup 0", "adapter": "test"},
        consistency="snapshot",
        schema=description,
        excluded=(*schema.excluded, Exclusion("tmp", "scratch")),
    )


def batches(rows: Sequence[Row], size: int) -> Iterator[list[Row]]:
    """Rows in batches of a size."""
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def chunks_of(
    schema: Schema,
    data: Mapping[str, Sequence[Row]],
    *,
    order: Mapping[str, str] | None = None,
    batch_size: int = 2,
) -> Iterator[bytes]:
    """The chunks of an archive of rows."""
    writer = ArchiveWriter(header_of(schema, order))
    return writer.chunks((c, batches(data.get(c.name, ()), batch_size)) for c in schema.ordered)


def archive_of(
    schema: Schema, data: Mapping[str, Sequence[Row]], *, order: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of an archive of rows."""
    return b"".join(chunks_of(schema, data, order=order))


@functools.cache
def shop() -> bytes:
    """A small archive that has something of everything."""
    return archive_of(SHOP, SALES)


@functools.cache
def tiny() -> bytes:
    """The smallest archive with records."""
    return archive_of(TINY, TINY_ROWS)


def packed(archive: bytes, compression: Compression | None) -> bytes:
    """An archive, compressed as the library does it."""
    return b"".join(compress([archive], compression))


def resealed(archive: bytes) -> bytes:
    """An archive whose last line is replaced by a seal over all that stands before it."""
    start = archive.rindex(b'"seal":"sha256:')
    return sealed(archive[:start])


def sealed(body: bytes) -> bytes:
    """A body and the seal that fits it."""
    return body + b'"seal":"sha256:%s"}}\n' % hashlib.sha256(body).hexdigest().encode()


def with_lines(archive: bytes, change: Callable[[list[bytes]], object]) -> bytes:
    """An archive with a change made to the list of its lines, sealed anew."""
    lines = archive.splitlines(keepends=True)
    change(lines)
    return resealed(b"".join(lines))


def with_header(archive: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """An archive with a change made to its header as an object, sealed anew, on its four lines.

    The digest of the schema is made anew where the change leaves it alone.
    """
    head, _, rest = archive.partition(b'"data":{\n')
    header = json.loads(head.rstrip(b",\n") + b"}")
    before = header["schema_digest"]
    change(header)
    if header.get("schema_digest") == before and isinstance(header.get("schema"), dict):
        header["schema_digest"] = plain_schema_digest(header["schema"])
    members = {name: _compact({name: value})[1:-1] for name, value in header.items()}
    lines = [[members.pop(name) for name in line if name in members] for line in _LINES]
    lines[-1] += members.values()
    if not lines[-1]:
        lines[-1].append(lines[-2].pop())
    text = b"{" + b",\n".join(map(b",".join, lines))
    return resealed(text + b',\n"data":{\n' + rest)


def with_end(archive: bytes, end: str | bytes) -> bytes:
    """An archive with another last line but one, sealed anew."""
    line = end.encode() if isinstance(end, str) else end

    def change(lines: list[bytes]) -> None:
        lines[-2] = line + b"\n"

    return with_lines(archive, change)


def recounted(schema: Schema, archive: bytes, lines: Mapping[str, Sequence[bytes]]) -> bytes:
    """An archive with other record lines, and counts, digests and seal that fit their values."""
    head, _, _ = archive.partition(b'"data":{\n')
    body, ends = [], {}
    for collection in schema.ordered:
        own = lines.get(collection.name, ())
        body.append(_compact(collection.name) + b":[\n" + b"".join(map(_line, _commas(own))) + b"]")
        batch = batch_of(collection, b"".join(line + b"\n" for line in own))
        ends[collection.name] = {
            "count": len(own),
            "digest": plain_digest(collection.name, batch.canonical),
        }
    text = head + b'"data":{\n' + b",\n".join(body) + b"\n},\n"
    return sealed(text + _compact({"end": {"collections": ends}})[1:-2] + b",\n")


def _commas(lines: Sequence[bytes]) -> list[bytes]:
    return [line + b"," for line in lines[:-1]] + list(lines[-1:])


def _line(text: bytes) -> bytes:
    return text + b"\n"


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def plain_schema_digest(description: Any) -> str:
    """The digest of a description, made with the standard library; any text where it has none."""
    try:
        collections = {
            name: {member: value for member, value in collection.items() if member != "order"}
            for name, collection in description["collections"].items()
        }
    except (AttributeError, KeyError, TypeError):
        return "sha256:" + "0" * 64
    text = json.dumps(
        {"collections": collections}, ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def plain_digest(collection: str, canonical: Iterable[bytes]) -> str:
    """The digest of canonical records, made with the standard library."""
    total = sum(
        int(hashlib.sha256(collection.encode() + b"\n" + record).hexdigest(), 16)
        for record in canonical
    )
    return f"{total % 2**256:064x}"


def batch_of(
    collection: Collection, block: bytes, *, validated: bool = True, forms: bool = False
) -> Batch:
    """The records of a block of lines, numbered from 1."""
    codec = RecordCodec(collection, Codec(collection, validated=validated), forms=forms)
    lines = block.split(b"\n")[:-1]
    return codec.batch(b",\n".join(lines), 1) or codec.strict_batch(lines, 1)


def content(archive: bytes, schema: Schema | None = None) -> tuple[Any, ...]:
    """All that an archive says, once it has been verified: two of the same content are equal."""
    verify_archive(io.BytesIO(archive), schema)
    with open_archive(io.BytesIO(archive)) as opened:
        return opened.header, opened.ends, opened.seal, opened.size


def opened(data: bytes) -> tuple[Any, ...]:
    """What an archive says of itself, once its seal has been checked."""
    with open_archive(io.BytesIO(data)) as archive:
        return archive.header, archive.ends, archive.seal


def read_rows(archive: bytes, schema: Schema) -> dict[str, list[Row]]:
    """The rows of an archive that has no problems."""
    rows: dict[str, list[Row]] = {}
    with open_archive(io.BytesIO(archive)) as opened:
        for name, read in opened.collections():
            rows[name] = []
            for batch in read(RecordCodec(schema[name])):
                assert [] == batch.problems
                rows[name] += batch.rows
    return rows
