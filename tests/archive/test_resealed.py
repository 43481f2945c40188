"""Archives that were changed and sealed anew: counts, digests, order, keys and references tell."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from databackup.archive.limits import Limits
from databackup.archive.reader import open_archive
from databackup.errors import (
    ArchiveError,
    ArchiveInvalid,
    ArchiveTruncated,
    InvalidRecords,
    LimitExceeded,
    SealBroken,
)
from databackup.operations.verify import inspect_archive, verify_archive
from databackup.schema import Collection, Schema
from tests.archive.support import (
    SALES,
    SHOP,
    archive_of,
    opened,
    recounted,
    resealed,
    sealed,
    shop,
    tiny,
    with_end,
    with_lines,
)

if TYPE_CHECKING:
    from collections.abc import Callable


# -- made anew, with a seal that fits ----------------------------------------------------------


def assert_refused(archive: bytes) -> None:
    """An archive whose seal fits is refused, against the app's schema and against its own."""
    assert archive != shop()
    for schema in (SHOP, None):
        with pytest.raises((ArchiveError, InvalidRecords)):
            verify_archive(io.BytesIO(archive), schema)


HEADER = range(4)  # the places of its lines
LINES = shop().count(b"\n")


@pytest.mark.parametrize("line", range(LINES - 1))
def test_dropped_and_doubled_lines(line: int) -> None:
    """An archive in which a line is missing, twice, or empty is refused, though its seal fits."""
    assert_refused(with_lines(shop(), lambda lines: lines.pop(line)))
    assert_refused(with_lines(shop(), lambda lines: lines.insert(line, lines[line])))
    assert_refused(with_lines(shop(), lambda lines: lines.insert(line, b"\n")))
    assert_refused(with_lines(shop(), lambda lines: lines.insert(line, b'{"text":"b"},\n')))


@pytest.mark.parametrize("line", range(LINES - 1))
def test_swapped_lines(line: int) -> None:
    """Two lines in each other's place are found.

    But for members of the header, and for records where there is no order to keep.
    """
    for other in range(line + 1, LINES - 1):

        def swap(lines: list[bytes], other: int = other) -> None:
            lines[line], lines[other] = lines[other], lines[line]

        archive = with_lines(shop(), swap)
        unordered = {line, other} <= {1, 2, 3} or (line, other) == (16, 17)
        if archive != shop() and not unordered:
            assert_refused(archive)


@pytest.mark.parametrize("line", range(LINES - 1))
def test_lines_with_other_ends(line: int) -> None:
    """A comma too many or missing, a line end too many or missing, and CR LF are refused.

    But for a CR in the header or behind a collection's last record: JSON takes that for a space.
    """
    ends = [(b",\n", b"\n"), (b"\n", b",\n"), (b"\n", b"\r\n"), (b"\n", b""), (b"\n", b"\n\n")]
    for old, new in ends:

        def change(lines: list[bytes], old: bytes = old, new: bytes = new) -> None:
            lines[line] = lines[line].removesuffix(old) + new

        archive = with_lines(shop(), change)
        is_space = line in HEADER or shop().split(b"\n")[line + 1].startswith(b"]")
        if archive != shop() and not (new == b"\r\n" and is_space):
            assert_refused(archive)


def test_crlf_everywhere() -> None:
    """A file whose line ends were turned into CR LF is refused."""
    with pytest.raises(ArchiveError):
        opened(resealed(shop().replace(b"\n", b"\r\n")))


def mutants_of_records() -> dict[str, tuple[dict[str, list[bytes]], str]]:
    """Records of which the lines were changed and the counts and digests made to fit."""
    lines: dict[str, list[bytes]] = {"buyers": [], "orders": [], "log": []}
    current = ""
    for line in shop().splitlines():
        if line.endswith(b":["):
            current = line.split(b'"')[1].decode()
        elif current and line.startswith(b"{"):
            lines[current].append(line.removesuffix(b","))
    buyers, orders = lines["buyers"], lines["orders"]
    return {
        "as it was": (lines, ""),
        "doubled key": ({**lines, "buyers": [*buyers, buyers[-1]]}, "another record has the same"),
        "order of keys": ({**lines, "buyers": buyers[::-1]}, "not in the order of the key"),
        "dropped target": ({**lines, "buyers": buyers[1:]}, "points at buyers str 'Ana'"),
        "other kind": ({**lines, "orders": [orders[0].replace(b"1.0", b"true")]}, "a number"),
        "no field": ({**lines, "log": [b"{}"]}, "no such field"),
        "unknown field": ({**lines, "log": [b'{"text":"","x":1}']}, "unknown field"),
        "null": ({**lines, "log": [b'{"text":null}']}, "expected text"),
    }


@pytest.mark.parametrize("mutant", mutants_of_records())
def test_records_whose_counts_and_digests_fit(mutant: str) -> None:
    """Keys, their order, references and kinds are checked even where all totals fit."""
    lines, message = mutants_of_records()[mutant]
    archive = recounted(SHOP, shop(), lines)
    if not message:
        assert shop() == archive
        return
    with pytest.raises(InvalidRecords, match=message):
        verify_archive(io.BytesIO(archive), SHOP)
    with pytest.raises(InvalidRecords, match=message):
        verify_archive(io.BytesIO(archive))


def test_totals_that_do_not_fit() -> None:
    """A count or a digest that is not that of the records is a problem of its collection."""
    end = shop().splitlines()[-2]
    with pytest.raises(InvalidRecords) as caught:
        verify_archive(io.BytesIO(with_end(shop(), end.replace(b'"count":3', b'"count":4', 1))))
    (problem,) = caught.value.problems
    assert ("buyers", "count") == (problem.collection, problem.code)
    assert "the end counts 4 records, there are 3" == problem.message
    digest = archive_digest("orders")
    with pytest.raises(InvalidRecords) as caught:
        verify_archive(io.BytesIO(with_end(shop(), end.replace(digest, b"0" * 64))))
    (problem,) = caught.value.problems
    assert ("orders", "digest") == (problem.collection, problem.code)


def archive_digest(collection: str) -> bytes:
    """The digest of a collection, as it stands in the archive."""
    with open_archive(io.BytesIO(shop())) as archive:
        return archive.ends[collection].digest.encode()


TINY_END = tiny().splitlines()[-2]
ENDS: dict[str, Callable[[bytes], bytes]] = {
    "no comma": lambda end: end.removesuffix(b","),
    "two commas": lambda end: end + b",",
    "a member more": lambda end: end + b'"x":1,',
    "closed and opened": lambda end: end.removesuffix(b",") + b'},"x":{',
    "a seal already": lambda end: end + b'"seal":"",',
    "a seal and another member": lambda end: end + b'"seal":""},"x":{"y":{},',
    "collections twice": lambda end: end + end.removeprefix(b'"end":{'),
    "a list": lambda _: b'"end":{"collections":[],',
    "null": lambda _: b'"end":{"collections":null,',
    "a number": lambda _: b'"end":{"collections":5,',
    "no collections": lambda _: b'"end":{"collections":{},',
    "another collection": lambda end: end.replace(b'"t"', b'"u"'),
    "one more collection": lambda end: end.replace(b'"t":', b'"s":{},"t":'),
    "no count": lambda end: end.replace(b'"count":2,', b""),
    "count of text": lambda end: end.replace(b":2,", b':"2",'),
    "count with a fraction": lambda end: end.replace(b":2,", b":2.0,"),
    "count of true": lambda end: end.replace(b":2,", b":true,"),
    "negative count": lambda end: end.replace(b":2,", b":-2,"),
    "count with an exponent": lambda end: end.replace(b":2,", b":2e0,"),
    "no digest": lambda end: end[: end.index(b',"digest"')] + b"}},",
    "short digest": lambda end: end.replace(b'0b"}}', b'0"}}'),
    "long digest": lambda end: end.replace(b'0b"}}', b'0b0"}}'),
    "carriage return": lambda end: end + b"\r",
    "digest in capitals": lambda end: end.replace(b"ca8c", b"CA8C"),
    "digest of a number": lambda end: end[: end.index(b',"digest":')] + b',"digest":1}},',
    "total of a list": lambda _: b'"end":{"collections":{"t":[]},',
    "total of null": lambda _: b'"end":{"collections":{"t":null},',
    "a member in a total": lambda end: end.replace(b'"count"', b'"x":1,"count"'),
    "no JSON": lambda _: b'"end":{"collections":{',
    "invalid UTF-8": lambda end: end.replace(b'"t"', b'"\xff"'),
    "deep": lambda _: b'"end":{"collections":' + b"[" * 100_000,
    "NaN": lambda end: end.replace(b":2,", b":NaN,"),
    "a long number": lambda end: end.replace(b":2,", b":%s," % (b"9" * 5000)),
    "two lines": lambda end: end + b"\n" + end,
    "something before the seal": lambda end: end + b'\n"x":1,',
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_ends(name: str) -> None:
    """An end that is not as the format says is refused, though its seal fits."""
    archive = with_end(tiny(), ENDS[name](TINY_END))
    assert archive != tiny()
    with pytest.raises((ArchiveInvalid, SealBroken)):
        inspect_archive(io.BytesIO(archive))


@pytest.mark.parametrize("end", [b'"end":[],', b'"end":{},', b'"end": {"collections":{}},', b"{}"])
def test_no_end(end: bytes) -> None:
    """Where no line starts as the end does, the archive has no end."""
    with pytest.raises(ArchiveTruncated, match="no end"):
        opened(with_end(tiny(), end))


SEALS = [
    b'"seal":"sha256:%s"}}' % (b"0" * 64),
    b'"seal": "sha256:%s"}}' % (b"0" * 64),
    b'"seal":"sha256:%s"}}' % (b"g" * 64),
    b'"seal":"sha256:%s"}}' % (b"0" * 63),
    b'"seal":"sha512:%s"}}' % (b"0" * 64),
    b'"seal":"sha256:%s"}}\r' % (b"0" * 64),
]


@pytest.mark.parametrize("seal", SEALS)
def test_seals(seal: bytes) -> None:
    """A last line that is no seal, or another one's, is refused."""
    with pytest.raises((SealBroken, ArchiveTruncated)):
        opened(tiny()[:-83] + seal + b"\n")


def test_an_end_between_the_records() -> None:
    """A line like the end among the records of a file does not pass for the end."""
    end = tiny().splitlines(keepends=True)[-2]
    archive = with_lines(tiny(), lambda lines: lines.insert(6, end))
    with pytest.raises(SealBroken):
        opened(archive)
    whole = sealed(b"".join(tiny().splitlines(keepends=True)[:6]) + end)
    opened(whole)  # nothing was looked at but the header, the end and the seal
    with pytest.raises(ArchiveInvalid):
        verify_archive(io.BytesIO(whole))


# -- where -------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 4_000, 9_998])
def test_ill_separated_records_name_their_line(place: int) -> None:
    """A record without its comma is named by the number of its line, deep in a block too."""
    schema = Schema(collections=[Collection("t", key="i", fields={"i": int, "s": str})])
    archive = archive_of(schema, {"t": [(number, "x" * 100) for number in range(10_000)]})

    def change(lines: list[bytes]) -> None:
        lines[6 + place] = lines[6 + place].replace(b",\n", b"\n") + b"" if place < 9_999 else b""

    with pytest.raises(ArchiveInvalid) as caught:
        verify_archive(io.BytesIO(with_lines(archive, change)), schema)
    assert 7 + place == caught.value.line


def test_a_comma_in_the_wrong_place_of_the_right_number() -> None:
    """As many commas as there should be, but behind the last record, are refused."""

    def change(lines: list[bytes]) -> None:
        lines[6], lines[7] = lines[6].replace(b",\n", b"\n"), lines[7].replace(b"\n", b",\n")

    with pytest.raises(ArchiveInvalid) as caught:
        verify_archive(io.BytesIO(with_lines(tiny(), change)))
    assert 7 == caught.value.line


@pytest.mark.parametrize("line", [6, 8, 11, 15, 20])
def test_lines_out_of_place_name_their_line(line: int) -> None:
    """A line that opens or closes a collection and is not as it should be is named."""

    def change(lines: list[bytes]) -> None:
        lines[line - 1] = b"]x\n" if lines[line - 1].startswith(b"]") else b'"x":[\n'

    with pytest.raises((ArchiveInvalid, InvalidRecords)) as caught:
        verify_archive(io.BytesIO(with_lines(shop(), change)))
    if isinstance(caught.value, ArchiveInvalid):
        assert caught.value.line is not None
        assert line == caught.value.line


# -- limits ------------------------------------------------------------------------------------


def test_a_line_over_the_limit() -> None:
    """A record longer than the limit is refused before it is held, and the limit is named."""
    schema = Schema(collections=[SHOP["log"]])
    archive = archive_of(schema, {"log": [("x",), ("y" * 2_000_000,)]})
    verify_archive(io.BytesIO(archive), limits=Limits(record=4_000_000))
    verify_archive(io.BytesIO(archive), limits=Limits(record=None))
    with pytest.raises(LimitExceeded, match="'record'") as caught:
        verify_archive(io.BytesIO(archive), limits=Limits(record=1_000_000))
    assert ("record", 8) == (caught.value.limit, caught.value.line)


@pytest.mark.parametrize("filler", [b"x", b"x\n", b'"data":\n'])
def test_a_header_without_an_end(filler: bytes) -> None:
    """A header that goes on and on is refused before it is held."""
    data = b'{"format":"databackup",' + filler * 3_000_000
    with pytest.raises((LimitExceeded, ArchiveInvalid)):
        inspect_archive(io.BytesIO(data), limits=Limits(header=1_000_000))


def test_sales_are_what_was_sold() -> None:
    """The archive that these tests damage is sound."""
    report = verify_archive(io.BytesIO(shop()), SHOP)
    assert {name: len(rows) for name, rows in SALES.items()} == dict(report.collections)
