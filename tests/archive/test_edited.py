"""Reading an edited document: every layout, its limits, and what is refused as a whole."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from databackup.archive import compression
from databackup.archive.edited import open_edited
from databackup.archive.limits import Limits
from databackup.archive.records import RecordCodec
from databackup.errors import (
    DatabackupError,
    FileError,
    LimitExceeded,
    NewerFormat,
    NotAnArchive,
    NotSealable,
    NotUtf8,
)
from databackup.schema import Collection, Schema
from databackup.schema.compiled import Codec
from tests.archive.support import SALES, SHOP, archive_of, packed, shop
from tests.support.layouts import document_of, text_of

PRETTY = text_of(document_of(shop()), indent=2)
COMPACT = text_of(document_of(shop()), separators=(",", ":"))
SORTED = text_of(document_of(shop()), indent=1, sort_keys=True)
PRETTY_LINES = PRETTY.replace(b"\n        ", b"").replace(b"\n      }", b"}")
"""As editors do that keep short objects on one line."""


def opened(data: bytes, limits: Limits | None = None) -> dict[str, list[Any]]:
    """The rows of an edited document without flaws."""
    found: dict[str, list[Any]] = {}
    with open_edited(io.BytesIO(data), limits) as document:
        for name, read in document.collections():
            batches = [*read(RecordCodec(SHOP[name], Codec(SHOP[name], validated=False)))]
            assert [] == [problem for batch in batches for problem in batch.problems]
            found[name] = [row for batch in batches for row in batch.rows]
        assert {name: len(rows) for name, rows in found.items()} == document.counts
    return found


def refused(data: bytes, limits: Limits | None = None) -> DatabackupError:
    """The error that a document ends in before a record is read."""
    with pytest.raises(DatabackupError) as caught, open_edited(io.BytesIO(data), limits):
        pass
    return caught.value


def changed(old: str, new: str, text: bytes | None = None) -> bytes:
    """The shop's archive, or another text, with one part replaced."""
    before = shop() if text is None else text
    assert old.encode() in before, old
    return before.replace(old.encode(), new.encode(), 1)


# -- layouts -----------------------------------------------------------------------------------


LAYOUTS: dict[str, bytes] = {
    "as it is": shop(),
    "pretty": PRETTY,
    "compact": COMPACT,
    "sorted": SORTED,
    "records on a line each, and more spaces": PRETTY_LINES,
    "no last line feed": shop()[:-1],
    "blank lines behind": shop() + b"\n\n \n",
    "CRLF": shop().replace(b"\n", b"\r\n"),
    "CR": shop().replace(b"\n", b"\r"),
    "blank lines between": shop().replace(b"\n", b"\n\n"),
    "spaces": shop().replace(b"\n", b" \t\n  "),
    "byte order mark": b"\xef\xbb\xbf" + shop(),
    "byte order mark, pretty": b"\xef\xbb\xbf" + PRETTY,
    "no commas": shop().replace(b"},\n{", b"}\n{"),
    "commas behind the last": shop().replace(b"}\n]", b"},\n]"),
    "stale end": changed('"count":3', '"count":"three"'),
    "no seal": shop()[: shop().rindex(b',\n"seal"')] + b"}}",
    "header on one line": shop().replace(b',\n"s', b',"s'),
    "collection with spaces": changed('"log":[', '"log" : ['),
    "escaped name": changed('"log":[', '"l\\u006fg":['),
    "two records on a line": changed("},\n{", "},{"),
    "a record on two lines": changed('"age":31', '\n"age":31'),
    "objects on lines of their own": changed(
        '{"b":[1.5,null],"a":"x"}', '{"b":[1.5,null],"a":"x"\n}'
    ),
    "what looks like a record, and is a part of one": changed(
        '"note":{"b":[1.5,null],"a":"x"},"weight":1.0}',
        '"weight":1.0,"note":\n{"b":[1.5,null],"a":"x"}}',
    ),
    "commas on lines of their own": shop().replace(b",\n", b"\n,\n"),
    "commas in front": shop().replace(b",\n", b"\n,"),
    "stale order": changed('"order":"key"', '"order":"none"'),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("packing", [None, "gzip"])
def test_layouts(name: str, packing: Any) -> None:
    """Each layout of one document holds the same records."""
    assert {n: SALES[n] for n in SHOP._by_name} == opened(packed(LAYOUTS[name], packing))


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
def test_chunks(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a file is cut into chunks, the same records come out of it."""
    monkeypatch.setattr(compression, "CHUNK", chunk)
    for text in LAYOUTS.values():
        assert {n: SALES[n] for n in SHOP._by_name} == opened(text)


BY_LINES = Limits(document=1)
IN_LINES = [
    "as it is", "no last line feed", "blank lines behind", "CRLF", "blank lines between", "spaces",
    "byte order mark", "no commas", "commas behind the last", "stale end", "no seal",
    "header on one line", "collection with spaces", "escaped name", "stale order",
    "records on a line each, and more spaces", "two records on a line",
]  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_lines_at_any_size(name: str) -> None:
    """A document with whole records on each line needs no memory for a whole one; others do."""
    if name in IN_LINES:
        assert {n: SALES[n] for n in SHOP._by_name} == opened(LAYOUTS[name], BY_LINES)
    else:
        error = refused(LAYOUTS[name], BY_LINES)
        assert isinstance(error, LimitExceeded)
        assert "document" == error.limit
        assert "one record on each line" in str(error)


def test_the_limit_is_one_byte_sharp() -> None:
    """A document as long as the limit is read as a whole, one that is longer is not."""
    opened(PRETTY, Limits(document=len(PRETTY)))
    opened(PRETTY, Limits(document=None))
    error = refused(PRETTY, Limits(document=len(PRETTY) - 1))
    assert isinstance(error, LimitExceeded)
    assert PRETTY[:].splitlines()[error.line - 1 if error.line else 0].strip() == b"{"


def test_no_limits() -> None:
    """None is no limit, of nothing."""
    limits = Limits(record=None, header=None, size=None, expansion=None, depth=None, document=None)
    for text in LAYOUTS.values():
        assert {name: SALES[name] for name in SHOP._by_name} == opened(text, limits)


def test_a_collection_named_data() -> None:
    """The line that opens a collection of that name is not taken for that of the data."""
    schema = Schema(collections=[Collection("data", key="data", fields={"data": int})])
    text = archive_of(schema, {"data": [(1,), (2,)]})
    for document in (text, text_of(document_of(text), indent=1)):
        with open_edited(io.BytesIO(document)) as found:
            assert {"data": 2} == found.counts


def test_limits_of_lines() -> None:
    """A record line is bounded by the limit of records; a header that is too long is no header."""
    long = archive_of(Schema(collections=[SHOP["log"]]), {"log": [("x" * 700_000,), ("y",)]})
    error = refused(long, Limits(record=300_000))
    assert isinstance(error, LimitExceeded)
    assert ("record", 7) == (error.limit, error.line)
    for text, header in [(shop(), 100), (PRETTY_LINES, 300)]:
        error = refused(text, Limits(header=header, document=1))
        assert isinstance(error, LimitExceeded)
        assert "document" == error.limit
    error = refused(shop() + b"x" * 600_000, Limits(header=300_000, record=None, document=1))
    assert isinstance(error, LimitExceeded)
    assert "header" == error.limit
    for broken in (changed('{"name":"Bo"', '"name":"Bo"'), changed('"log":[', '"\\ud800":[')):
        error = refused(broken, BY_LINES)
        assert isinstance(error, LimitExceeded)
        assert "document" == error.limit
    opened(shop(), Limits(header=100))
    error = refused(shop() + b"{}\n" * 2000, Limits(header=2000, document=1))
    assert isinstance(error, NotSealable)
    assert "too much follows the data" in str(error)


# -- refused -----------------------------------------------------------------------------------

CASES: dict[str, tuple[bytes, type[DatabackupError], str]] = {
    "empty": (b"", NotAnArchive, "empty"),
    "a mark alone": (b"\xef\xbb\xbf", NotAnArchive, "empty"),
    "text": (b"INSERT INTO", NotAnArchive, "no databackup archive"),
    "SQLite": (b"SQLite format 3\0", NotAnArchive, "SQLite"),
    "ZIP": (b"PK\x03\x04...", NotAnArchive, "ZIP"),
    "UTF-32": (shop().decode().encode("utf-32"), NotUtf8, "Save it as UTF-8 and seal"),
    "UTF-32 LE": (shop().decode().encode("utf-32-le"), NotUtf8, "Save it as UTF-8 and seal"),
    "UTF-32 BE": (shop().decode().encode("utf-32-be"), NotUtf8, "Save it as UTF-8 and seal"),
    "UTF-32 BE, marked": (b"\0\0\xfe\xff" + shop().decode().encode("utf-32-be"),
                          NotUtf8, "Save it as UTF-8 and seal"),
    "UTF-16": (shop().decode().encode("utf-16"), NotUtf8, "Save it as UTF-8 and seal"),
    "UTF-16 LE": (shop().decode().encode("utf-16-le"), NotUtf8, "Save it as UTF-8 and seal"),
    "UTF-16 BE": (shop().decode().encode("utf-16-be"), NotUtf8, "Save it as UTF-8 and seal"),
    "other JSON": (b'{"a":1}', NotAnArchive, "JSON, but no databackup"),
    "array": (b"[]", NotAnArchive, "JSON, but no databackup"),
    "other format": (changed('"databackup"', '"backup"'), NotAnArchive, "no databackup archive"),
    "newer": (changed('version":1', 'version":2'), NewerFormat, "format 2"),
    "newer, pretty": (changed('version": 1', 'version": 2', PRETTY), NewerFormat, "format 2"),
    "no end, in lines": (shop()[: shop().index(b',\n"end"')] + b"\n}", NotSealable, "has no end"),
    "end is null": (shop()[: shop().index(b'"end"')] + b'"end":null}\n', NotSealable,
                    "end is null, expected an object"),
    "end is null, pretty": (text_of(document_of(shop()) | {"end": None}, indent=1), NotSealable,
                            "end is null, expected an object"),
    "end is an array": (text_of(document_of(shop()) | {"end": []}), NotSealable, "end is list"),
    "no comma between collections": (changed('],\n"orders"', ']\n"orders"'), NotSealable,
                                     "no comma stands before str 'orders'"),
    "a comma behind the last collection": (changed(']\n},\n"end"', '],\n},\n"end"'), NotSealable,
                                           "a comma stands behind the last collection"),
    "no comma behind the data": (changed('},\n"end"', '}\n"end"'), NotSealable,
                                 "cut off: Expecting ',' delimiter"),
    "gzip, cut off": (packed(shop(), "gzip")[:-9], NotSealable, "gzip stream has no end"),
    "gzip, damaged": (b"\x1f\x8b" + b"x" * 99, NotSealable, "gzip stream is damaged"),
    "cut in the header": (shop()[:300], NotSealable, "no JSON at line 2"),
    "cut in a record": (shop()[: shop().index(b"Zo")], NotSealable, "no JSON at line 9, column 9"),
    "cut behind a record": (shop()[: shop().index(b'{"name":"Bo')], NotSealable, "no end"),
    "cut behind a collection": (shop()[: shop().index(b'"orders":[')], NotSealable, "no end"),
    "cut behind the data": (shop()[: shop().index(b'"end"')], NotSealable, "no end"),
    "cut in the end": (shop()[: shop().index(b'"seal"') - 9], NotSealable, "as if the document"),
    "cut before the seal": (shop()[: shop().index(b'"seal"')], NotSealable, "the end cannot be"),
    "pretty, no end": (
        text_of({k: v for k, v in document_of(shop()).items() if k != "end"}, indent=1),
        NotSealable,
        "no end",
    ),
    "something behind": (shop() + b"{}", NotSealable, "the end cannot be read"),
    "a member behind": (changed('},\n"end"', '},\n"x":1,\n"end"'), NotSealable, "member 'x'"),
    "a member too many": (changed('"app"', '"x":1,"app"'), NotSealable, "unknown member"),
    "a member too few": (changed('"secrets":"included",', ""), NotSealable, "no member 'secrets'"),
    "a member of another type": (changed('"schema_version":3', '"schema_version":"3"'),
                                 NotSealable, "schema_version is str"),
    "another kind": (changed('"age":{"kind":"int"}', '"age":{"kind":"str"}'), NotSealable,
                     "schema_digest is not that of its schema"),
    "another field": (changed('"age":{', '"years":{'), NotSealable, "schema_digest"),
    "another collection": (changed('"log":[', '"logs":['), NotSealable,
                           "has collections that the schema has not: 'logs'"),
    "a collection too few": (shop()[: shop().index(b',\n"log":[')]
                             + shop()[shop().index(b'\n},\n"end"') :], NotSealable,
                             "not all collections of the schema: 'log'"),
    "a collection twice": (changed('"log":[', '"log":[],"log":['), NotSealable, "stands twice"),
    "a collection twice, in lines": (changed('"log":[', '"orders":[\n],\n"log":['), NotSealable,
                                     "'orders' stands twice"),
    "no array": (text_of(json.loads(shop()) | {"data": {"buyers": {}, "orders": [], "log": []}}),
                 NotSealable, "the records of buyers are dict"),
    "data of another type": (text_of(json.loads(shop()) | {"data": []}), NotSealable,
                             "data is list"),
    "a name twice": (changed('"age": 31', '"age": 31, "age": 31', PRETTY), NotSealable,
                     "'age' stands twice in one object, at /data/buyers/0"),
    "NaN": (changed('"weight": 1.0', '"weight": NaN', PRETTY), NotSealable,
            "NaN is no JSON, at /data/orders/0/weight"),
    "a lone surrogate": (changed('"x"', r'"\ud800"', PRETTY), NotSealable,
                         "lone surrogate, which is no text, at /data/orders/0/note/a"),
    "a lone surrogate in a name": (changed('"a": "x"', r'"\udead": "x"', PRETTY), NotSealable,
                                   "no text, at /data/orders/0/note"),
    "a number too large": (changed('"weight": 1.0', '"weight": 1e400', PRETTY), NotSealable,
                           "at /data/orders/0/weight"),
    "a number too long": (changed('"age": 47', f'"age": {"9" * 2000}', PRETTY), NotSealable,
                          "at /data/buyers/1/age"),
    "too deep": (changed('"note": []', '"note": ' + "[" * 99_999, PRETTY), NotSealable, "deeper"),
    "not UTF-8": (PRETTY.replace(b"Bo", b"\xff"), NotSealable, "not UTF-8"),
    "a comma too few": (changed('"name": "Bo",', '"name": "Bo"', PRETTY), NotSealable,
                        "no JSON at line"),
    "a comma too many": (changed('"age": 47', '"age": 47,', PRETTY), NotSealable,
                         "no JSON at line"),
    "a brace too few": (changed('"age":47}', '"age":47'), NotSealable,
                        "no JSON at line 9, column 1"),
    "two commas": (changed('"age":47},', '"age":47},,'), NotSealable, "no JSON at line 8"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_refused(name: str) -> None:
    """What is no archive, or none any more, is refused with what is wrong, and where."""
    data, kind, message = CASES[name]
    error = refused(data)
    assert (kind, True) == (type(error), message in str(error)), str(error)
    if "no JSON at line" in str(error):
        assert isinstance(error, NotSealable)
        assert f"line {error.line}," in str(error)


@pytest.mark.parametrize("cut", range(0, len(shop()) - 1, 7))
def test_every_prefix(cut: int) -> None:
    """A document that ends too early is refused, wherever it ends, in lines and as a whole."""
    assert isinstance(refused(shop()[:cut]), NotSealable | NotAnArchive)
    assert isinstance(
        refused(PRETTY[: cut * len(PRETTY) // len(shop())]), NotSealable | NotAnArchive
    )


@pytest.mark.parametrize("chunk", [30, 1 << 18])
def test_flaws_of_lines_are_problems(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In lines a flaw of one record is its own: the others are read."""
    monkeypatch.setattr(compression, "CHUNK", chunk)
    text = shop()
    for old, new in [(b'"age":31', b'"age":3x'), (b"Bo", b"\xff"), (b'"text":"a"', b'"text":NaN')]:
        text = text.replace(old, new)
    with open_edited(io.BytesIO(text)) as document:
        found = [
            (problem.collection, problem.record, problem.code)
            for name, read in document.collections()
            for batch in read(RecordCodec(SHOP[name]))
            for problem in batch.problems
        ]
    expected = [("buyers", 1), ("buyers", 2), ("log", 2)]
    assert [(*place, "invalid-json") for place in expected] == found


def test_a_record_that_cannot_be_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that is not read is never left out in silence."""
    monkeypatch.setattr(Codec, "explain_records", lambda *_arguments: [])
    with open_edited(io.BytesIO(changed('"age":31', '"age":"x"'))) as document:
        _, read = next(document.collections())
        with pytest.raises(NotSealable, match="record 1 of buyers cannot be read"):
            list(read(RecordCodec(SHOP["buyers"])))


def test_records_passed_over() -> None:
    """Collections that nobody asks for are passed over, and a document is read more than once."""
    for text in (shop(), PRETTY):
        with open_edited(io.BytesIO(text)) as document:
            for _ in range(2):
                assert ["buyers", "orders", "log"] == [name for name, _ in document.collections()]


def test_a_disk_that_fails() -> None:
    """A source that cannot be read to its end is a `FileError`."""

    class Lost(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 100:
                raise OSError(5, "Input/output error")
            return super().read(min(200, size or 0))

    with pytest.raises(FileError, match="Input/output"), open_edited(Lost(shop())):
        pass


def test_a_source_at_an_offset() -> None:
    """An open file is read from where it stands."""
    file = io.BytesIO(b"something else" + PRETTY)
    file.seek(14)
    with open_edited(file) as document:
        assert 3 == document.counts["log"]
