"""Compression as streams of bytes: gzip (RFC 1952) and zstd (RFC 8878), one stream a file.

By suffix when writing, by content when reading. The optional zstd package is imported here alone.
"""

from __future__ import annotations

import math
import sys
import zlib
from typing import TYPE_CHECKING, Any, Final, Literal

from databackup.errors import ArchiveInvalid, ArchiveTruncated, LimitExceeded, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Compression = Literal["gzip", "zstd"]

CHUNK: Final = 64 * 1024
_MAGIC: dict[Compression, bytes] = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_SUFFIXES: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
_GZIP_WBITS: Final = 31
_GZIP_LEVEL: Final = 6

EXPANSION: Final[dict[Compression, int]] = {"gzip": 200, "zstd": 2500}
"""How many times its size honest data may grow; docs/explanation/decisions.md has the numbers."""
_HARMLESS: Final = 128 * 1024 * 1024  # bytes that may come out at any ratio
_JOB: Final = 2 * 1024 * 1024  # bytes that zstd's thread takes at once; it holds a few times that
_PIECE: Final = 16 * 1024


def by_suffix(name: str) -> Compression | None:
    """The compression that a file's name asks for."""
    return next((found for suffix, found in _SUFFIXES.items() if name.endswith(suffix)), None)


def by_content(head: bytes) -> Compression | None:
    """The compression that a file's first bytes tell of."""
    return next((found for found, magic in _MAGIC.items() if head.startswith(magic)), None)


def best() -> Compression:
    """The compression that is fast and packs well, of those that are there."""
    try:
        _zstd()
    except MissingExtra:
        return "gzip"
    return "zstd"


class Ratio:
    """How many times its packed size a stream grows to, while it is packed or expanded.

    `largest` is the largest ratio so far, counted once enough has come out to do harm.
    """

    def __init__(self) -> None:
        self.largest = 0.0
        self._packed = 0
        self._plain = 0

    def add_packed(self, size: int) -> None:
        """Note bytes on the packed side."""
        self._packed += size

    def add_plain(self, size: int) -> None:
        """Note bytes on the plain side."""
        self._plain += size
        if self._plain > _HARMLESS:
            self.largest = max(self.largest, self._plain / max(self._packed, 1))


def needed_expansion(compression: Compression | None, ratio: Ratio) -> int | None:
    """How far a reader has to raise its limit for what was compressed, None where it need not."""
    if compression is None or ratio.largest <= EXPANSION[compression]:
        return None
    return math.ceil(ratio.largest)


def compress(
    chunks: Iterable[bytes], compression: Compression | None, ratio: Ratio | None = None
) -> Iterator[bytes]:
    """The chunks, compressed. `ratio` will hold one that no reader finds exceeded."""
    ratio = ratio or Ratio()
    if compression is None:
        yield from chunks
        return
    compressor: Any
    if compression == "gzip":
        compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WBITS)
    else:
        compressor = _zstd_compressor()
    for piece in _pieces(chunks, CHUNK):
        ratio.add_plain(len(piece))  # before its packed bytes: a reader has at least as many
        if packed := compressor.compress(piece):
            ratio.add_packed(len(packed))
            yield packed
    yield compressor.flush()


def decompress(
    chunks: Iterable[bytes], compression: Compression | None, expansion: int | None = None
) -> Iterator[bytes]:
    """The chunks, expanded, at most `CHUNK` bytes at a time.

    Raises `ArchiveTruncated` where the stream has no end, `ArchiveInvalid` where it is damaged or
    something follows it, `LimitExceeded` where more comes out than `expansion` times what went in.
    """
    if compression is None:
        yield from chunks
        return
    ratio = Ratio()

    def packed() -> Iterator[bytes]:
        for piece in _pieces(chunks, _PIECE):  # small ones, for each may grow a thousandfold
            ratio.add_packed(len(piece))
            yield piece

    for piece in _EXPANDERS[compression](packed()):
        ratio.add_plain(len(piece))
        if expansion is not None and ratio.largest > expansion:
            what = f"the {compression} stream expands to more"
            raise LimitExceeded.of("expansion", expansion, what)
        yield piece


def _pieces(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    expander = zlib.decompressobj(_GZIP_WBITS)
    for chunk in chunks:
        if expander.eof:
            raise _trailing("gzip")
        rest = chunk
        while rest and not expander.eof:
            try:
                expanded = expander.decompress(rest, CHUNK)
            except zlib.error as error:
                raise _damaged("gzip", error) from error
            if expanded:
                yield expanded
            rest = expander.unconsumed_tail
        if expander.unused_data:
            raise _trailing("gzip")
    if not expander.eof:
        raise _no_end("gzip")


def _unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    zstd = _zstd()
    expander = zstd.ZstdDecompressor()
    for chunk in chunks:
        if expander.eof:
            raise _trailing("zstd")
        rest = chunk
        while True:
            try:
                expanded = expander.decompress(rest, CHUNK)
            except zstd.ZstdError as error:
                raise _damaged("zstd", error) from error
            if expanded:
                yield expanded
            rest = b""
            if expander.eof or (expander.needs_input and not expanded):
                break
        if expander.eof and expander.unused_data:
            raise _trailing("zstd")
    if not expander.eof:
        raise _no_end("zstd")


_EXPANDERS: dict[Compression, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    "gzip": _gunzip,
    "zstd": _unzstd,
}


def _zstd_compressor() -> Any:
    """A compressor with a thread of its own, where the library was built for that."""
    zstd = _zstd()
    parameter = zstd.CompressionParameter
    options = {parameter.checksum_flag: 1}
    if parameter.nb_workers.bounds()[1]:
        options |= {parameter.nb_workers: 1, parameter.job_size: _JOB}
    return zstd.ZstdCompressor(options=options)


def _zstd() -> Any:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415 - optional
        else:
            from backports import zstd  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingExtra.of("zstd", "zstd compression") from error
    return zstd


def _damaged(name: str, error: Exception) -> ArchiveInvalid:
    return ArchiveInvalid(f"the {name} stream is damaged: {error}")


def _trailing(name: str) -> ArchiveInvalid:
    return ArchiveInvalid(f"something follows the end of the {name} stream")


def _no_end(name: str) -> ArchiveTruncated:
    return ArchiveTruncated(f"the {name} stream has no end")
