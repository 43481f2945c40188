"""What is larger, longer or deeper than a limit allows is refused, and nothing else is."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from databackup import Limits, import_all, inspect_archive, verify_archive
from databackup.adapters.memory import MemoryRepository
from databackup.archive.files import open_source
from databackup.archive.format import HEADER_LINES, read_header
from databackup.archive.scanner import Scanner
from databackup.errors import (
    ArchiveInvalid,
    ArchiveTruncated,
    LimitExceeded,
    NotAnArchive,
    SealBroken,
)
from databackup.schema import Collection, Json, Schema
from databackup.schema.jsontext import deeper_than
from tests.archive.support import (
    SALES,
    SHOP,
    archive_of,
    header_of,
    packed,
    plain_schema_digest,
    shop,
    with_header,
)
from tests.support.clock import within

if TYPE_CHECKING:
    from databackup.archive.compression import Compression

LOG = Schema(collections=[Collection("log", fields={"text": str})])
NOTES = Schema(collections=[Collection("notes", key="id", fields={"id": int, "value": Json})])
PACKINGS = pytest.mark.parametrize("packing", [None, "gzip", "zstd"])


def _inspect(archive: bytes, **limits: Any) -> None:
    inspect_archive(io.BytesIO(archive), limits=Limits(**limits))


def _verify(archive: bytes, **limits: Any) -> None:
    verify_archive(io.BytesIO(archive), limits=Limits(**limits))


# -- their values ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["record", "header", "size", "expansion", "depth", "values"])
@pytest.mark.parametrize(
    "value, error",
    [(0, ValueError), (-1, ValueError), (1.0, TypeError), ("1", TypeError), (True, TypeError)],
)
def test_what_is_no_limit(name: str, value: Any, error: type[Exception]) -> None:
    """A limit is an integer from 1 on, or None."""
    with pytest.raises(error, match=f"the limit {name} is "):
        Limits(**{name: value})
    assert Limits(**{name: 1}) != Limits()
    Limits(**{name: None})


def test_depth_is_at_most_that_of_the_format() -> None:
    """The format itself allows no more than 256 levels, so no limit can."""
    Limits(depth=256)
    with pytest.raises(ValueError, match="at most 256"):
        Limits(depth=257)


@pytest.mark.parametrize("limits", [5, {"record": 5}, ""])
def test_limits_of_another_type(limits: Any) -> None:
    """What is no `Limits` is a TypeError, whoever is given it."""
    repository = MemoryRepository(LOG, {"log": []})
    for read in (
        lambda: inspect_archive(io.BytesIO(shop()), limits=limits),
        lambda: verify_archive(io.BytesIO(shop()), limits=limits),
        lambda: import_all(repository, io.BytesIO(shop()), limits=limits),
    ):
        with pytest.raises(TypeError, match=r"[Ll]imits"):
            read()


def test_the_error_says_what_to_do() -> None:
    """The error names the limit, its value, the line, and how to raise it in both places."""
    with pytest.raises(LimitExceeded) as caught:
        _inspect(shop(), record=40)
    error = caught.value
    assert ("record", 40, 12) == (error.limit, error.allowed, error.line)
    assert "longer than the limit 'record' allows: 40 bytes" in error.message
    assert "Limits(NAME=…)" in str(error)
    assert "--limit NAME=…" in str(error)


# -- record ------------------------------------------------------------------------------------


@given(
    texts=st.lists(st.integers(0, 60), max_size=8),
    limit=st.integers(14, 80),
    size=st.integers(1, 200),
    cut=st.integers(0, 400),
)
@example(texts=[20], limit=24, size=1000, cut=12)
def test_the_first_pass_finds_the_first_line_that_is_too_long(
    texts: list[int], limit: int, size: int, cut: int
) -> None:
    """A line of the data passes if it is as long as the limit, and not if it is a byte longer.

    In whatever chunks it comes, and whether or not the archive has an end.
    """
    whole = archive_of(LOG, {"log": [("x" * length,) for length in texts]})
    start, end = whole.index(b'"data":{\n') + 9, whole.index(b'"end":')
    archive = whole[: max(end - cut, start)] if cut else whole
    chunks = (archive[place : place + size] for place in range(0, len(archive), size))
    scanner = Scanner(chunks, Limits(record=limit), lambda size: archive.count(b"\n", 0, size))
    for _ in range(HEADER_LINES + 1):
        scanner.line()
    data = archive[start:end].split(b"\n")
    too_long = [n for n, line in enumerate(data, HEADER_LINES + 2) if len(line) > limit]
    if too_long:
        with pytest.raises(LimitExceeded) as caught:
            scanner.skip_to_end()
        assert too_long[0] == caught.value.line
    elif cut:
        with pytest.raises(ArchiveTruncated):
            scanner.skip_to_end()
    else:
        assert scanner.skip_to_end().startswith(b'"end":')
        assert whole.count(b"\n") - 1 == scanner.line_number


@PACKINGS
def test_records_at_the_limit(packing: Compression | None) -> None:
    """The limit is that of a whole line, commas included, and holds for every reader."""
    archive = packed(archive_of(LOG, {"log": [("x" * 100,), ("y",)]}), packing)
    longest = len(b'{"text":""},') + 100
    for read in (_inspect, _verify):
        read(archive, record=longest)
        with pytest.raises(LimitExceeded) as caught:
            read(archive, record=longest - 1)
        assert ("record", 7) == (caught.value.limit, caught.value.line)


def test_a_long_record_is_refused_before_the_store_is_touched() -> None:
    """The first pass finds it: no transaction is begun."""

    class Untouched(MemoryRepository):
        def transaction(self, *, wait: float = 5.0) -> Any:
            raise AssertionError

    repository = Untouched(LOG, {"log": []})
    archive = archive_of(LOG, {"log": [("x" * 1000,)]})
    with pytest.raises(LimitExceeded):
        import_all(repository, io.BytesIO(archive), limits=Limits(record=500))


def test_limits_come_before_the_seal() -> None:
    """A limit is found while the seal is being checked; damage within the limits breaks the seal.

    A lost line feed makes two lines one, which may then be too long: with a higher limit the seal
    tells of it.
    """
    archive = archive_of(LOG, {"log": [("x" * 500,), ("y" * 500,)]})
    damaged = archive.replace(b"},\n{", b"},{")
    assert damaged != archive
    with pytest.raises(SealBroken):
        _inspect(archive.replace(b"xx", b"yy", 1), record=600)
    with pytest.raises(LimitExceeded):
        _inspect(damaged, record=600)
    with pytest.raises(SealBroken):
        _inspect(damaged)
    with pytest.raises(ArchiveTruncated):
        _inspect(archive[:-200], record=600)
    with pytest.raises(LimitExceeded):
        _inspect(archive[:-200], record=400)


# -- header, size ------------------------------------------------------------------------------


def test_every_line_of_the_header_has_a_limit() -> None:
    """A line of the header is as long as the limit allows; of the totals at the end, too."""
    lines = shop().split(b"\n")
    end = next(line for line in lines if line.startswith(b'"end"'))
    longest = max(map(len, lines))
    assert len(end) < longest
    _verify(shop(), header=longest)
    with pytest.raises(LimitExceeded) as caught:
        _inspect(shop(), header=longest - 1)
    assert ("header", 4) == (caught.value.limit, caught.value.line)
    archive = with_header(shop(), lambda h: h["extensions"].update(x="y" * 300_000))
    with pytest.raises(LimitExceeded) as caught:
        _inspect(archive, header=20_000)
    assert ("header", 3) == (caught.value.limit, caught.value.line)
    many = Schema(collections=[Collection(f"c{i}", fields={"a": int}) for i in range(60)])
    (number, line) = max(enumerate(archive_of(many, {}).split(b"\n"), 1), key=lambda x: len(x[1]))
    assert line.startswith(b'"end"')
    with pytest.raises(LimitExceeded) as caught:
        _inspect(archive_of(many, {}), header=len(line) - 1)
    assert ("header", number) == (caught.value.limit, caught.value.line)


def _description(references: list[Any], fields: int = 1) -> dict[str, Any]:
    named = {f"f{number}": {"kind": "int"} for number in range(fields)}
    key = list(named)
    return {"fields": named, "key": key, "references": references, "order": "none"}


@pytest.mark.parametrize("many", ["fields", "collections"])
def test_a_header_within_the_limit_takes_no_time(many: str) -> None:
    """The time that a description takes grows with its length, and not with its square."""
    if many == "fields":
        to_itself = {"collection": "t", "fields": [], "to": []}
        collections = {"t": _description([], 30_000)}
        names = list(collections["t"]["fields"])
        collections["t"]["references"] = [to_itself | {"fields": names, "to": names}]
    else:
        collections = {
            f"c{number}": _description([{"collection": "c0", "fields": ["f0"], "to": ["f0"]}])
            for number in range(12_000, -1, -1)
        }
    schema = {"collections": collections}
    header = attrs.evolve(
        header_of(LOG), schema=schema, schema_digest=plain_schema_digest(schema)
    ).to_bytes()
    assert max(map(len, header.split(b"\n"))) < (Limits().header or 0)
    with within(5):
        assert list(collections) == list(read_header(header.removesuffix(b"\n")).collections)


@PACKINGS
def test_size_is_that_of_the_archive(packing: Compression | None) -> None:
    """The limit counts the bytes of the archive, not of the compressed file, to the byte."""
    archive = packed(shop(), packing)
    _verify(archive, size=len(shop()))
    with pytest.raises(LimitExceeded) as caught:
        _inspect(archive, size=len(shop()) - 1)
    assert ("size", len(shop()) - 1) == (caught.value.limit, caught.value.allowed)


class _Endless(io.RawIOBase):
    """A pipe into which somebody writes for ever."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.taken += len(buffer)
        assert self.taken < 10_000_000
        return len(buffer)


def test_a_pipe_is_copied_up_to_the_limit_of_size() -> None:
    """What cannot seek is copied first; a pipe that has no end does not fill the disk."""
    pipe: Any = _Endless()
    with pytest.raises(LimitExceeded, match="'size'"):
        inspect_archive(pipe, limits=Limits(size=1_000_000))
    assert pipe.taken < 2_000_000
    pipe = _Endless()
    with pytest.raises(LimitExceeded, match="'size'"), open_source(pipe, 1_000_000):
        pass


# -- depth -------------------------------------------------------------------------------------


@given(
    parts=st.lists(st.sampled_from(["[", "]", "{", "}", "[[", "]}", '"[{"', '"\\"]"', ",", '"'])),
    levels=st.integers(0, 5),
)
@example(parts=["]", "[[", "["], levels=0)
@example(parts=["[", '"[{"', "[["], levels=2)
def test_depth_is_counted_up_to_where_a_parser_gets(parts: list[str], levels: int) -> None:
    """As when brackets outside of texts are counted one by one, until more are closed than open."""
    text = "".join(parts)
    depth = deepest = 0
    in_text = escaped = False
    for mark in text:
        if in_text:
            in_text = escaped or mark != '"'
            escaped = mark == "\\" and not escaped
        elif mark == '"':
            in_text = True
        else:
            depth += (mark in "[{") - (mark in "]}")
            deepest = max(deepest, depth)
            if depth < 0:
                break
    assert (deepest > levels) == deeper_than(levels, text)


def _nested(levels: int, *, objects: bool) -> Any:
    value: Any = "]}" * 500
    for _ in range(levels):
        value = {"[{": value, "b": 1} if objects else [1, value]
    return value


@given(depth=st.integers(0, 20), limit=st.integers(1, 20), objects=st.booleans())
def test_depth(depth: int, limit: int, objects: bool) -> None:
    """JSON as deep as the limit is read, one level deeper is refused, and the record named."""
    rows = [(1, "[" * 100), (2, _nested(depth, objects=objects)), (3, [[]] * 50)]
    archive = archive_of(NOTES, {"notes": rows})
    store: dict[str, Any] = {"notes": []}
    if max(depth, 2) <= limit:
        _verify(archive, depth=limit)
        import_all(MemoryRepository(NOTES, store), io.BytesIO(archive), limits=Limits(depth=limit))
        assert 3 == len(store["notes"])
        return
    number = 2 if depth > limit else 3
    for read in (
        lambda: _verify(archive, depth=limit),
        lambda: import_all(
            MemoryRepository(NOTES, store), io.BytesIO(archive), limits=Limits(depth=limit)
        ),
    ):
        with pytest.raises(LimitExceeded, match=f"record {number} of notes is deeper") as caught:
            read()
        assert ("depth", 6 + number) == (caught.value.limit, caught.value.line)
    assert {"notes": []} == store


def test_depth_of_the_format() -> None:
    """Without a lower limit the format's own holds: 256 levels, escapes not counted."""
    value: Any = 1
    for _ in range(256):
        value = {"$a": value}
    archive = archive_of(NOTES, {"notes": [(1, value)]})
    for depth in (None, 256):
        _verify(archive, depth=depth)
    with pytest.raises(LimitExceeded):
        _verify(archive, depth=255)


def test_depth_counts_in_batches() -> None:
    """Record and line are right in a later batch of a later collection, too."""
    data = {**SALES, "log": [("x" * 100,) for _ in range(9000)]}
    orders: list[Any] = [(n, None, [] if n < 9000 else [[[]]], 1.0) for n in range(1, 9001)]
    archive = archive_of(SHOP, {**data, "orders": orders})
    with pytest.raises(LimitExceeded, match="record 9000 of orders") as caught:
        _verify(archive, depth=2)
    assert caught.value.line is not None
    assert b"[[[]]]" in archive.split(b"\n")[caught.value.line - 1]


# -- what a compressed file may be -------------------------------------------------------------

_SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
@pytest.mark.parametrize("behind", ["same", "empty", "skippable", "zeros", "line feed", "other"])
def test_what_stands_behind_the_stream_is_refused(packing: Compression, behind: str) -> None:
    """One member or frame and nothing else: whatever follows could be taken or passed over."""
    other: Compression = "zstd" if packing == "gzip" else "gzip"
    more = {
        "same": packed(shop(), packing),
        "empty": packed(b"", packing),
        "skippable": _SKIPPABLE,
        "zeros": b"\0" * 512,
        "line feed": b"\n",
        "other": packed(shop(), other),
    }[behind]
    store: dict[str, Any] = {"log": [], "buyers": [], "orders": []}
    for read in (
        _inspect,
        lambda data: import_all(MemoryRepository(SHOP, store), io.BytesIO(data)),
    ):
        read(packed(shop(), packing))
        with pytest.raises(ArchiveInvalid, match=f"follows the end of the {packing} stream"):
            read(packed(shop(), packing) + more)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
@pytest.mark.parametrize("before", ["empty", "half", "skippable", "zeros"])
def test_what_stands_before_the_archive_is_refused(packing: Compression, before: str) -> None:
    """An archive in a later member or frame is none, and no half of one is."""
    half = len(shop()) // 2
    data = {
        "empty": packed(b"", packing) + packed(shop(), packing),
        "half": packed(shop()[:half], packing) + packed(shop()[half:], packing),
        "skippable": _SKIPPABLE + packed(shop(), packing),
        "zeros": b"\0" * 8 + packed(shop(), packing),
    }[before]
    with pytest.raises((ArchiveInvalid, NotAnArchive)):
        _inspect(data)
