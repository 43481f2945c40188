"""What is written is read again, and lies in the file as the format says."""

from __future__ import annotations

import io
import json
import math
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databackup.archive import compression
from databackup.archive.reader import open_archive
from databackup.archive.records import RecordCodec
from databackup.archive.writer import ArchiveWriter
from databackup.errors import InvalidRecords, StoreFailed
from databackup.operations.verify import verify_archive
from databackup.schema import Collection, Json, Schema
from databackup.schema.kinds import MAX_PLAIN_INT
from databackup.testing import strategies
from databackup.testing.exact import exact_rows
from tests.archive.support import (
    SALES,
    SHOP,
    archive_of,
    header_of,
    plain_digest,
    plain_schema_digest,
    read_rows,
    resealed,
    sealed,
    shop,
    tiny,
    with_header,
)

HOSTILE = [
    'say "so"',
    "two\nlines",
    "\r\n\t\x00\x7f\u2028",
    "$int",
    "$json",
    "end",
    "data",
    "]",
    "],",
    "},",
    '"end":{"collections":',
    "\\",
    "a.b/c~d",
    "%s{}{0}",
    "Zoë 🍰 e\u0301",
    "__class__",
    "lambda: 1",
]
"""Names that end a string, a line, a collection or a pattern if they are not quoted."""

names = st.sampled_from(HOSTILE) | st.text(
    st.characters(codec="utf-8", exclude_characters="\ud800"), min_size=1, max_size=8
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers() | st.sampled_from([MAX_PLAIN_INT, MAX_PLAIN_INT + 1]),
    str: st.text(max_size=10) | st.sampled_from(HOSTILE),
    float: st.floats(),
    bytes: st.binary(max_size=10),
    Json: json_values,
    str | None: st.none() | st.text(max_size=3),
    list[float]: st.lists(st.floats(), max_size=3),
    dict[str, int]: st.dictionaries(names, st.integers(), max_size=3),
}


@st.composite
def datasets(draw: st.DrawFn) -> tuple[Schema, dict[str, list[tuple[Any, ...]]]]:
    """A schema without keys, and rows of it."""
    collections, data = [], {}
    for name in draw(st.lists(names, max_size=4, unique=True)):
        fields = draw(st.dictionaries(names, st.sampled_from(list(VALUES)), min_size=1, max_size=4))
        collections.append(Collection(name, fields=fields))
        row = st.tuples(*(VALUES[kind] for kind in fields.values()))
        data[name] = draw(st.lists(row, max_size=6))
    return Schema(collections=collections), data


def assert_same(schema: Schema, expected: dict[str, list[tuple[Any, ...]]], archive: bytes) -> None:
    """See that an archive holds these rows, to the last digit."""
    found = read_rows(archive, schema)
    assert list(expected) == list(found)
    for collection in schema.collections:
        rows = exact_rows(collection, expected[collection.name])
        assert rows == exact_rows(collection, found[collection.name])


@given(dataset=datasets(), chunk=st.sampled_from([7, 64, 100, 256 * 1024]))
def test_rows_come_back(
    dataset: tuple[Schema, dict[str, list[tuple[Any, ...]]]], chunk: int
) -> None:
    """Any rows of any schema are read as they were written, wherever the blocks are cut."""
    schema, data = dataset
    archive = archive_of(schema, data)
    with mock.patch.object(compression, "CHUNK", chunk):
        assert_same(schema, data, archive)
        verify_archive(io.BytesIO(archive), schema)
        verify_archive(io.BytesIO(archive))


@settings(max_examples=25)
@given(data=st.data())
def test_any_schema(data: st.DataObject) -> None:
    """Schemas of all kinds, with keys, references and tags, come back with their rows.

    They verify, against themselves and against what the header says of them.
    """
    schema = data.draw(strategies.schemas(portable=False))
    found = data.draw(strategies.datasets(schema, portable=False))
    ordered: dict[str, Any] = {c.name: sorted_by_key(c, found[c.name]) for c in schema.ordered}
    archive = archive_of(schema, ordered)
    for against in (schema, None):
        verify_archive(io.BytesIO(archive), against)
    back = read_rows(archive, schema)
    assert {name: len(rows) for name, rows in ordered.items()} == {n: len(back[n]) for n in back}
    assert archive == archive_of(schema, back) == resealed(archive)


def sorted_by_key(collection: Collection, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows in the order of their key, as they are where there is none."""
    if not collection.key:
        return rows
    keys = collection.codec.sort_keys(rows)
    return [rows[place] for place in sorted(range(len(rows)), key=keys.__getitem__)]


@given(dataset=datasets())
def test_document_and_lines(dataset: tuple[Schema, dict[str, list[tuple[Any, ...]]]]) -> None:
    """An archive is one JSON document, of four header lines and one line a record.

    Its counts, digests and seal can be made anew from the text.
    """
    schema, data = dataset
    archive = archive_of(schema, data)
    document = json.loads(archive)
    assert ["collections"] == list(document["schema"])
    expected = [collection.name for collection in schema.ordered]
    assert expected == list(document["schema"]["collections"]) == list(document["data"])
    assert plain_schema_digest(document["schema"]) == document["schema_digest"]

    lines = archive.split(b"\n")
    assert b"" == lines.pop()
    assert [b'{"format":"databackup",', b'"schema_digest":"sha256:'] == [
        lines[0][:23],
        lines[1][:24],
    ]
    assert [b'"selection":null,', b'"schema":{"collect', b'"data":{'] == [
        lines[2][:17],
        lines[3][:18],
        lines[4],
    ]
    place = 5
    for collection in schema.ordered:
        count = len(data[collection.name])
        assert collection.name == json.loads(b"{" + lines[place] + b"]}").popitem()[0]
        records = lines[place + 1 : place + 1 + count]
        assert [True] * max(count - 1, 0) == [line.endswith(b"},") for line in records[:-1]]
        parsed = [json.loads(record.rstrip(b",")) for record in records]
        assert document["data"][collection.name] == parsed
        assert all(list(collection.field_names) == list(record) for record in parsed)
        place += count + 1
        is_last = collection is schema.ordered[-1]
        assert (b"]" if is_last else b"],") == lines[place]
        place += 1
        canonical = RecordCodec(collection).canonical(data[collection.name])
        totals = {"count": count, "digest": plain_digest(collection.name, canonical)}
        assert totals == document["end"]["collections"][collection.name]
    assert b"}," == lines[place]
    assert place + 3 == len(lines)
    assert sealed(archive[:-83]) == archive


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name: str) -> None:
    """No name of a collection or a field is taken for a part of the format."""
    schema = Schema(
        collections=[
            Collection(name, key=name, fields={name: int, "other": str}),
            Collection("plain", fields={"x": int}),
        ]
    )
    data: dict[str, list[Any]] = {name: [(1, name), (2, "}\n]")], "plain": [(1,)]}
    assert_same(schema, data, archive_of(schema, data))
    verify_archive(io.BytesIO(archive_of(schema, data)))


def test_no_collections() -> None:
    """An archive of no collections is sound, and opens the data only to close it."""
    archive = archive_of(Schema(collections=[]), {})
    assert b'\n"data":{\n},\n"end":{"collections":{}' in archive
    assert {} == read_rows(archive, Schema(collections=[]))
    assert 0 == verify_archive(io.BytesIO(archive)).records


def test_empty_collections() -> None:
    """Collections without records are two lines each, with a digest of zeros."""
    archive = archive_of(SHOP, {})
    assert b'"buyers":[\n],\n"orders":[\n],\n"log":[\n]\n},\n' in archive
    with open_archive(io.BytesIO(archive)) as opened:
        assert {"0" * 64} == {end.digest for end in opened.ends.values()}
    assert {"buyers": [], "orders": [], "log": []} == read_rows(archive, SHOP)


def test_empty_batches() -> None:
    """A store that yields empty batches, first, last or between, leaves no trace of them."""
    rows = SALES["log"]
    schema = Schema(collections=[SHOP["log"]])
    batches: list[list[Any]] = [[], [], rows[:2], [], rows[2:], []]
    writer = ArchiveWriter(header_of(schema))
    archive = b"".join(writer.chunks([(schema["log"], batches)]))
    assert archive_of(schema, {"log": rows}) == archive


def test_records_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a file is cut into blocks, the same rows come out of it."""
    archive = shop()
    for chunk in range(1, 200):
        monkeypatch.setattr(compression, "CHUNK", chunk)
        assert_same(SHOP, SALES, archive)


def test_huge_records() -> None:
    """A record that is longer than many blocks is read whole, between short ones."""
    schema = Schema(collections=[SHOP["log"]])
    data = {"log": [("a",), ("x" * 3_000_000,), ('"\\' * 300_000,), ("b",)]}
    assert_same(schema, data, archive_of(schema, data))


def test_attributes() -> None:
    """An open archive knows its totals, its seal and its size; a writer the same after writing."""
    writer = ArchiveWriter(header_of(SHOP))
    archive = b"".join(writer.chunks((SHOP[name], [rows]) for name, rows in SALES.items()))
    with open_archive(io.BytesIO(archive)) as opened:
        assert (writer.ends, writer.seal) == (opened.ends, opened.seal)
        assert (len(archive), len(archive), None) == (
            opened.size,
            opened.file_size,
            opened.compression,
        )
        assert header_of(SHOP) == opened.header
        assert header_of(SHOP).to_bytes() == opened.header.to_bytes()


def test_header_counters() -> None:
    """Counters under `extensions` come back as a dict; other extensions are kept."""
    extensions = {"counters": {"orders": 2**62}, "x-own": [1.5, {"$int": None}]}
    archive = with_header(shop(), lambda header: header["extensions"].update(extensions))
    with open_archive(io.BytesIO(archive)) as opened:
        assert {"orders": 2**62} == opened.header.counters
        assert extensions == opened.header.extensions
    assert {} == header_of(SHOP).counters


@pytest.mark.parametrize(
    "value", ["\ud800", 1, None, b"x"], ids=["surrogate", "int", "null", "bytes"]
)
def test_values_not_of_their_kind_are_not_written(value: Any) -> None:
    """A value that is not of its field's kind is refused with its record's number over batches."""
    rows = [("a",), ("b",), ("c",), (value,)]
    schema = Schema(collections=[SHOP["log"]])
    with pytest.raises(InvalidRecords) as caught:
        archive_of(schema, {"log": rows})
    (problem,) = caught.value.problems
    assert ("log", 4, "text") == (problem.collection, problem.record, problem.field)
    assert "/data/log/3/text" == problem.pointer


@pytest.mark.parametrize("rows", [[(2,), (1,)], [(1,), (1,)], [(1,), (2,), (2,)]])
def test_rows_out_of_order_are_not_written(rows: list[tuple[int]]) -> None:
    """A store that says it yields rows in key order, and does not, is found, across batches too."""
    schema = Schema(collections=[Collection("t", key="i", fields={"i": int})])
    with pytest.raises(StoreFailed, match="key order"):
        archive_of(schema, {"t": rows})
    assert rows == read_rows(archive_of(schema, {"t": rows}, order={"t": "none"}), schema)["t"]


def test_collections_passed_over() -> None:
    """Records that nobody asks for are passed over, whole collections and rests of them."""
    rows = [(number, math.pi) for number in range(50_000)]
    schema = Schema(
        collections=[
            Collection("a", key="i", fields={"i": int, "f": float}),
            Collection("b", key="i", fields={"i": int, "f": float}),
            Collection("c", key="i", fields={"i": int, "f": float}),
        ]
    )
    archive = archive_of(schema, dict.fromkeys("abc", rows))
    with open_archive(io.BytesIO(archive)) as opened:
        read = {}
        for name, batches in opened.collections():
            if name == "a":
                read[name] = next(batches(RecordCodec(schema[name]))).rows
            elif name == "c":
                read[name] = [r for b in batches(RecordCodec(schema[name])) for r in b.rows]
    assert rows[: len(read["a"])] == read["a"]
    assert 0 < len(read["a"]) < len(rows)
    assert rows == read["c"]


def test_an_archive_is_read_more_than_once() -> None:
    """Each call of `collections` reads from the start."""
    with open_archive(io.BytesIO(tiny())) as opened:
        for _ in range(2):
            names = [name for name, _ in opened.collections()]
            assert ["t"] == names
