"""Compressed archives open with the standard tools, in constant memory, and in one stream."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.archive import compression
from databackup.archive.compression import by_content, by_suffix, compress, decompress
from databackup.errors import ArchiveError, ArchiveTruncated, MissingExtra
from tests.archive.support import packed, shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from databackup.archive.compression import Compression

BOTH = ["gzip", "zstd"]


@pytest.mark.parametrize(
    "name, expected",
    [
        ("backup.json", None),
        ("backup.json.gz", "gzip"),
        ("backup.json.zst", "zstd"),
        ("backup", None),
        ("gz", None),
        ("backup.gz.json", None),
    ],
)
def test_suffixes(name: str, expected: str | None) -> None:
    """The last suffix of a name says how it is compressed."""
    assert expected == by_suffix(name)


@pytest.mark.parametrize("packing", [None, *BOTH])
def test_content(packing: Compression | None) -> None:
    """The first four bytes say how a file is compressed."""
    assert packing == by_content(packed(shop(), packing)[:4])


@pytest.mark.parametrize("packing", [None, *BOTH])
@given(chunks=st.lists(st.binary(max_size=100)), size=st.integers(1, 50))
def test_what_is_compressed_comes_back(
    packing: Compression | None, chunks: list[bytes], size: int
) -> None:
    """What was compressed in any chunks is expanded from any chunks."""
    data = b"".join(compress(chunks, packing))
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert b"".join(chunks) == b"".join(decompress(pieces, packing))


@pytest.mark.parametrize("packing", BOTH)
@pytest.mark.parametrize("edge", [-1, 0, 1])
def test_expansion_is_bounded(packing: Compression, edge: int) -> None:
    """However much a file expands, it comes in chunks of at most one size, none of them empty."""
    whole = b"\0" * (20 * compression.CHUNK + edge)
    sizes = [len(chunk) for chunk in decompress([packed(whole, packing)], packing)]
    assert len(whole) == sum(sizes)
    assert compression.CHUNK >= max(sizes)
    assert 0 < min(sizes)


def test_gzip_opens_elsewhere() -> None:
    """The standard gzip module reads what was compressed; nothing in it tells of the moment."""
    data = packed(shop(), "gzip")
    assert shop() == gzip.decompress(data)
    assert b"\0\0\0\0" == data[4:8]


@pytest.mark.parametrize("tool, packing", [("zstd", "zstd"), ("gzip", "gzip")])
def test_tools(tool: str, packing: Compression, tmp_path: Path) -> None:
    """The command line tools read what was compressed, and it is read what they compressed."""
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool} here")
    path = tmp_path / "packed"
    path.write_bytes(packed(shop(), packing))
    with path.open("rb") as file:
        assert shop() == subprocess.check_output([tool, "-dc"], stdin=file)
        file.seek(0)
        subprocess.run([tool, "-t"], stdin=file, check=True, capture_output=True)
    theirs = subprocess.run([tool, "-c"], input=shop(), capture_output=True, check=True).stdout
    assert shop() == b"".join(decompress([theirs], packing))


def test_zstd_checksum() -> None:
    """A zstd frame carries its content's checksum: bit 2 of the frame's header."""
    assert packed(shop(), "zstd")[4] & 0b100


@pytest.mark.parametrize("packing", BOTH)
def test_one_byte_at_once(packing: Compression) -> None:
    """A stream that comes byte by byte is expanded, and one that stops is cut off."""
    data = packed(shop(), packing)
    pieces = [data[place : place + 1] for place in range(len(data))]
    assert shop() == b"".join(decompress(pieces, packing))
    with pytest.raises(ArchiveTruncated, match=f"the {packing} stream has no end"):
        b"".join(decompress(pieces[:-1], packing))
    with pytest.raises(ArchiveTruncated):
        b"".join(decompress([], packing))


@pytest.mark.parametrize("packing", BOTH)
@pytest.mark.parametrize("more", [b"\0", b"\n", b"\0" * 1000])
def test_trailing_bytes(packing: Compression, more: bytes) -> None:
    """Bytes behind the stream are refused, in the same chunk or the next, zeros too."""
    data = packed(shop(), packing)
    for pieces in ([data + more], [data, more]):
        with pytest.raises(ArchiveError, match=f"follows the end of the {packing} stream"):
            b"".join(decompress(pieces, packing))


@pytest.mark.parametrize("packing", BOTH)
@given(junk=st.binary(max_size=60))
def test_anything_behind_the_first_bytes(packing: Compression, junk: bytes) -> None:
    """Anything that starts as a compressed file does is expanded or refused with a typed error."""
    start = packed(b"x", packing)[:4]
    with contextlib.suppress(ArchiveError):
        b"".join(decompress([start + junk], packing))


@pytest.mark.parametrize("make", [lambda: compress([b"x"], "zstd"), lambda: decompress([], "zstd")])
def test_without_the_package(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package that zstd needs, the error names the extra that brings it."""
    missing = "compression" if sys.version_info >= (3, 14) else "backports"
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, f"{missing}.zstd", raising=False)
    with pytest.raises(MissingExtra, match=r"databackup\[zstd\]") as caught:
        list(make())
    assert "zstd" == caught.value.extra


def test_gzip_needs_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gzip works where the package for zstd is missing."""
    monkeypatch.setitem(sys.modules, "backports", None)
    assert shop() == b"".join(decompress(compress([shop()], "gzip"), "gzip"))


@pytest.mark.parametrize("packing", [None, *BOTH])
def test_lazy(packing: Compression | None) -> None:
    """Chunks are pulled as they are needed, and what makes them is closed with the stream."""
    log = []

    def chunks() -> Iterator[bytes]:
        try:
            for number in range(1000):
                log.append(number)
                yield str(number).encode() * 10_000
        finally:
            log.append(-1)

    stream = compress(chunks(), packing)
    assert [] == log
    next(stream)
    assert len(log) < 500
    stream.close()  # type: ignore[attr-defined]
    assert -1 == log[-1]
