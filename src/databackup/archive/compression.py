"""Compression as streams of bytes: gzip (RFC 1952) and zstd (RFC 8878), one stream a file.

By suffix when writing, by content when reading. The optional zstd package is imported here alone.
"""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Any, Final, Literal

from databackup.errors import ArchiveInvalid, ArchiveTruncated, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Compression = Literal["gzip", "zstd"]

CHUNK: Final = 256 * 1024
_MAGIC: dict[Compression, bytes] = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_SUFFIXES: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
_GZIP_WBITS: Final = 31
_GZIP_LEVEL: Final = 6


def by_suffix(name: str) -> Compression | None:
    """The compression that a file's name asks for."""
    return next((found for suffix, found in _SUFFIXES.items() if name.endswith(suffix)), None)


def by_content(head: bytes) -> Compression | None:
    """The compression that a file's first bytes tell of."""
    return next((found for found, magic in _MAGIC.items() if head.startswith(magic)), None)


def compress(chunks: Iterable[bytes], compression: Compression | None) -> Iterator[bytes]:
    """The chunks, compressed."""
    if compression is None:
        yield from chunks
        return
    compressor: Any
    if compression == "gzip":
        compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WBITS)
    else:
        zstd = _zstd()
        parameter = zstd.CompressionParameter
        compressor = zstd.ZstdCompressor(options={parameter.checksum_flag: 1})
    for chunk in chunks:
        if packed := compressor.compress(chunk):
            yield packed
    yield compressor.flush()


def decompress(chunks: Iterable[bytes], compression: Compression | None) -> Iterator[bytes]:
    """The chunks, expanded, at most `CHUNK` bytes at a time.

    Raises `ArchiveTruncated` where the stream has no end, `ArchiveInvalid` where it is damaged or
    something follows it.
    """
    if compression is None:
        yield from chunks
    elif compression == "gzip":
        yield from _gunzip(iter(chunks))
    else:
        yield from _unzstd(iter(chunks))


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
