"""No damaged file is accepted, and none ends in anything but an `ArchiveError`."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.errors import (
    ArchiveError,
    ArchiveInvalid,
    ArchiveTruncated,
    NotAnArchive,
    SealBroken,
)
from databackup.schema import Schema
from tests.archive.support import (
    SHOP,
    archive_of,
    content,
    opened,
    packed,
    shop,
    tiny,
)

if TYPE_CHECKING:
    from databackup.archive.compression import Compression

PACKINGS = [None, "gzip", "zstd"]
BARE = archive_of(Schema(collections=[]), {})


# -- truncated ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("packing", PACKINGS)
def test_every_prefix(packing: Compression | None) -> None:
    """A file that was cut off is refused at every length, as cut off where that can be told."""
    data = packed(shop(), packing)
    kinds = set()
    for length in range(len(data)):
        with pytest.raises(ArchiveError) as caught:
            opened(data[:length])
        kinds.add(type(caught.value))
    assert {ArchiveTruncated, NotAnArchive} == kinds
    with pytest.raises(ArchiveTruncated):
        opened(data[:-1])
    opened(data)


@pytest.mark.parametrize(
    "cut, line",
    [(b'"schema_digest"', 2), (b'"buyers":[', 6), (b'"orders":[', 11), (b'"end":', 22)],
)
def test_truncated_says_where(cut: bytes, line: int) -> None:
    """A file that was cut off says in which line it ends, with and without the end's start."""
    start = shop().index(b"\n" + cut) + 1
    for length in (start, start + 3):
        with pytest.raises(ArchiveTruncated) as caught:
            opened(shop()[:length])
        assert line == caught.value.line
    assert line == shop()[:start].count(b"\n") + 1


def test_truncated_in_the_last_lines() -> None:
    """A file that ends within its last two lines says so, with the line's number."""
    lines = shop().count(b"\n")
    seal = shop().index(b'"seal"')
    for length, line in [(seal, lines), (seal - 5, lines - 1), (len(shop()) - 1, lines)]:
        with pytest.raises(ArchiveTruncated) as caught:
            opened(shop()[:length])
        assert line == caught.value.line


# -- changed bytes -----------------------------------------------------------------------------


@pytest.mark.slow
def test_every_byte_to_every_value() -> None:
    """Any byte of an archive, one without collections, changed to any other value, is found."""
    data = bytearray(BARE)
    for place, byte in enumerate(data):
        for value in range(256):
            data[place] = value
            if value != byte:
                with pytest.raises(ArchiveError):
                    opened(bytes(data))
        data[place] = byte
    opened(bytes(data))


@pytest.mark.slow
@pytest.mark.parametrize("packing", PACKINGS)
def test_every_byte_to_some_values(packing: Compression | None) -> None:
    """A changed byte is found, or, in a compressed file's own slack, leaves the content as it is.

    The seal finds what the checksums miss.
    """
    expected = content(tiny())
    data = bytearray(packed(tiny(), packing))
    harmless = 0
    for place, byte in enumerate(data):
        for value in {byte ^ 1, byte ^ 0x80, 0, 0xFF, ord("\n"), ord('"')} - {byte}:
            data[place] = value
            try:
                found = content(bytes(data))
            except ArchiveError:
                continue
            finally:
                data[place] = byte
            assert expected == found
            harmless += 1
    assert (packing is None) == (harmless == 0)


@given(data=st.data())
def test_bytes_put_in_taken_out_and_moved(data: st.DataObject) -> None:
    """Whatever is put in, taken out or moved elsewhere is found."""
    archive = shop()
    start = data.draw(st.integers(0, len(archive)))
    end = data.draw(st.integers(start, min(len(archive), start + 40)))
    changed = archive[:start] + data.draw(st.binary(max_size=6)) + archive[end:]
    if changed != archive:
        with pytest.raises(ArchiveError):
            opened(changed)


@pytest.mark.parametrize("more", [b"\0", b"\n", b" ", b"x" * 83, b"\0" * 300_000, shop()[-83:]])
@pytest.mark.parametrize("packing", PACKINGS)
def test_appended_bytes(more: bytes, packing: Compression | None) -> None:
    """Bytes behind the archive, or behind its compressed stream, are found."""
    with pytest.raises(SealBroken, match="follows"):
        opened(packed(shop() + more, packing))
    with pytest.raises((SealBroken, ArchiveInvalid), match="follows"):
        opened(packed(shop(), packing) + more)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_second_stream(packing: Compression) -> None:
    """A second gzip member or zstd frame is refused, whether it is whole, empty or the rest."""
    whole = packed(shop(), packing)
    for second in (whole, packed(b"", packing), packed(shop()[:100], packing)):
        with pytest.raises(ArchiveInvalid, match=f"the {packing} stream"):
            opened(whole + second)
    halves = packed(shop()[:700], packing) + packed(shop()[700:], packing)
    with pytest.raises(ArchiveError):
        opened(halves)


def test_stream_in_a_stream() -> None:
    """An archive that was compressed twice is no archive."""
    with pytest.raises(NotAnArchive):
        opened(packed(packed(shop(), "gzip"), "gzip"))


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_damaged_stream_of_many_chunks(packing: Compression) -> None:
    """Damage far into a long stream is found, whatever was expanded before it."""
    rows = [(str(zlib.crc32(b"%d" % number)),) for number in range(100_000)]
    archive = archive_of(Schema(collections=[SHOP["log"]]), {"log": rows})
    data = bytearray(packed(archive, packing))
    opened(bytes(data))
    data[-len(data) // 3] ^= 0x55
    with pytest.raises(ArchiveError):
        opened(bytes(data))


# -- other files -------------------------------------------------------------------------------

FOREIGN = {
    "empty": (b"", "empty"),
    "SQLite": (b"SQLite format 3\0" + b"\0" * 84, "SQLite database"),
    "ZIP": (b"PK\x03\x04....", "ZIP"),
    "byte order mark": (b"\xef\xbb\xbf" + shop(), "byte order mark"),
    "UTF-32": (shop().decode().encode("utf-32"), "UTF-32"),
    "UTF-32 LE": (shop().decode().encode("utf-32-le"), "UTF-32"),
    "UTF-32 BE": (shop().decode().encode("utf-32-be"), "UTF-32"),
    "UTF-32 BE, marked": (b"\0\0\xfe\xff" + shop().decode().encode("utf-32-be"), "UTF-32"),
    "UTF-16": (shop().decode().encode("utf-16"), "UTF-16"),
    "UTF-16 LE": (shop().decode().encode("utf-16-le"), "UTF-16"),
    "UTF-16 BE": (shop().decode().encode("utf-16-be"), "UTF-16"),
    "UTF-16 BE, marked": (b"\xfe\xff" + shop().decode().encode("utf-16-be"), "UTF-16"),
    "JSON": (b'{"a":1}', "JSON, but no databackup"),
    "array": (b"[]", "JSON, but no databackup"),
    "pretty": (b'{\n  "format": "databackup",\n  "format_version": 1\n}', "reformatted or edited"),
    "text": (b"INSERT INTO", "no databackup archive"),
    "gzip of text": (gzip.compress(b"hello"), "no databackup archive"),
    "gzip of nothing": (gzip.compress(b""), "empty"),
    "start of the header": (b'{"format":"data', "ends within the header"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_archive(name: str) -> None:
    """A file that is something else is told apart, by its first bytes."""
    data, message = FOREIGN[name]
    with pytest.raises(NotAnArchive, match=message):
        opened(data)
