"""Reading an archive: a first pass that checks its seal, a second that yields its records.

Both run in constant memory. The second hashes again, so that a file that was changed in between is
found before anything rests on it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from typing import IO, TYPE_CHECKING, Final

import attrs

from databackup.archive import compression, files, text
from databackup.archive.digest import Digest
from databackup.archive.format import (
    DATA_LINE,
    END_START,
    HEADER_LINES,
    SEAL_LENGTH,
    read_end,
    read_header,
    read_seal,
    require_first_bytes,
)
from databackup.archive.records import Batch, RecordCodec
from databackup.errors import (
    ArchiveError,
    ArchiveInvalid,
    ArchiveSwapped,
    ArchiveTruncated,
    FileError,
    LimitExceeded,
    Problem,
    SealBroken,
    reason_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from databackup.archive.format import CollectionEnd, Header

_MIB: Final = 1024 * 1024
_CLOSE: Final = re.compile(rb"\n\]")  # twice as fast as bytes.find


@attrs.frozen
class Limits:
    """What a reader accepts at most, in bytes; None is no limit."""

    record: int | None = 1024 * _MIB
    header: int | None = 64 * _MIB


class _Scanner:
    """Lines and blocks of lines of a stream of chunks; hashes all but the seal."""

    def __init__(self, chunks: Iterator[bytes], limits: Limits) -> None:
        self._chunks = chunks
        self._limits = limits
        self._buffer = b""
        self._hash = hashlib.sha256()
        self._tail = b""
        self.line_number = 0
        self.size = 0

    def _fill(self) -> bool:
        chunk = next(self._chunks, b"")
        if not chunk:
            return False
        self.size += len(chunk)
        held = self._tail + chunk
        self._hash.update(held[:-SEAL_LENGTH])
        self._tail = held[-SEAL_LENGTH:]
        self._buffer += chunk
        return True

    @property
    def tail(self) -> bytes:
        """The last bytes read, not hashed yet."""
        return self._tail

    @property
    def hex(self) -> str:
        """The hash of all bytes read but the tail."""
        return self._hash.hexdigest()

    def peek(self, size: int) -> bytes:
        """The next bytes, fewer at the end of the stream."""
        while len(self._buffer) < size and self._fill():
            pass
        return self._buffer[:size]

    def line(self) -> bytes:
        """The next line, without its line feed. Raises `ArchiveTruncated` at the end."""
        self._await_line(self._limits.header, "header")
        line, _, self._buffer = self._buffer.partition(b"\n")
        self.line_number += 1
        return line

    def _await_line(self, limit: int | None, name: str) -> None:
        searched = 0
        parts = [self._buffer]
        while b"\n" not in parts[-1]:
            searched += len(parts[-1])
            if limit is not None and searched > limit:
                raise LimitExceeded(
                    f"a line is longer than {limit} bytes; raise the limit {name!r} to read it",
                    self.line_number + 1,
                    name,
                )
            self._buffer = b""
            if not self._fill():
                raise ArchiveTruncated("the archive ends within a line", self.line_number + 1)
            parts.append(self._buffer)
        self._buffer = b"".join(parts)

    def blocks(self) -> Iterator[bytes]:
        """The record lines up to the line that closes their collection, many at a time.

        Lines are separated by a comma and a line feed; the last one of a block has neither.
        """
        while self.peek(1) != b"]":
            self._await_line(self._limits.record, "record")
            close = _CLOSE.search(self._buffer)
            cut = close.start() if close else self._buffer.rfind(b"\n")
            block, self._buffer = self._buffer[:cut], self._buffer[cut + 1 :]
            self.line_number += block.count(b"\n") + 1
            is_last = self.peek(1) == b"]"
            if block.endswith(b",") == is_last:
                self.lines(block)  # there may be an earlier one
                raise _ill_separated(self.line_number)
            yield block if is_last else block[:-1]

    def lines(self, block: bytes) -> list[bytes]:
        """The lines of the block just read, without their commas."""
        *lines, last = block.split(b"\n")
        for number, line in enumerate(lines, self.line_number - len(lines)):
            if not line.endswith(b","):
                raise _ill_separated(number)
        return [*(line[:-1] for line in lines), last]

    def skip_to_end(self) -> bytes:
        """Read to the line of the end, and return it without its line feed."""
        marker = b"\n" + END_START
        while (start := self._buffer.find(marker)) < 0:
            passed, kept = self._buffer[: -len(marker)], self._buffer[-len(marker) :]
            self.line_number += passed.count(b"\n")
            self._buffer = kept
            if not self._fill():
                line = self.line_number + kept.count(b"\n") + 1
                raise ArchiveTruncated("the archive has no end", line)
        self.line_number += self._buffer.count(b"\n", 0, start + 1)
        self._buffer = self._buffer[start + 1 :]
        return self.line()

    def drain(self) -> None:
        """Read what is left."""
        self._buffer = b""
        while self._fill():
            self._buffer = b""


@attrs.frozen(kw_only=True)
class Archive:
    """An archive whose seal has been checked: header, totals, and its records on demand."""

    header: Header
    ends: dict[str, CollectionEnd]
    seal: str
    size: int
    file_size: int
    compression: compression.Compression | None
    _open: Callable[[], _Scanner] = attrs.field(repr=False)

    def collections(self) -> Iterator[tuple[str, Callable[[RecordCodec], Iterator[Batch]]]]:
        """Each collection's name, and a function that reads its records.

        The function takes the codec to read them with; what it has not read when the next
        collection is asked for is passed over. A count or digest that differs from the totals is a
        `Problem` of the last batch. After the last collection the seal is checked once more.
        Raises `ArchiveSwapped` where the file was changed since it was opened.
        """
        scanner = self._open()
        with self._noticing_a_swap(scanner):
            yield from self._collections(scanner)
        if not self._is_same(scanner):
            raise _swapped()

    @contextlib.contextmanager
    def _noticing_a_swap(self, scanner: _Scanner) -> Iterator[None]:
        """What the first pass has sealed may be ill-formed; what differs from it was swapped."""
        try:
            yield
        except ArchiveError as error:
            if not self._is_same(scanner):
                raise _swapped() from error
            raise

    def _is_same(self, scanner: _Scanner) -> bool:
        try:
            scanner.drain()
        except ArchiveError:
            return False  # the first pass could expand it
        return scanner.hex == self.seal == read_seal(scanner.tail)

    def _collections(
        self, scanner: _Scanner
    ) -> Iterator[tuple[str, Callable[[RecordCodec], Iterator[Batch]]]]:
        _read_header(scanner)
        names = self.header.collections
        for position, name in enumerate(names):
            _expect(scanner, text.dump(name) + b":[")
            yield name, functools.partial(self._batches, scanner, name)
            for _ in scanner.blocks():
                pass  # records that nobody asked for
            _expect(scanner, b"]," if position + 1 < len(names) else b"]")
        _expect(scanner, b"},")
        if not scanner.line().startswith(END_START):
            raise ArchiveInvalid("the end is not where it should be", scanner.line_number)

    def _batches(self, scanner: _Scanner, name: str, codec: RecordCodec) -> Iterator[Batch]:
        digest = Digest(name)
        before, count = scanner.line_number, 0
        with self._noticing_a_swap(scanner):
            for block in scanner.blocks():
                batch = codec.batch(block, count + 1)
                if batch is None:
                    batch = codec.strict_batch(scanner.lines(block), count + 1)
                digest.add(batch.canonical)
                count = scanner.line_number - before
                yield batch
        end = self.ends[name]
        if count != end.count:
            yield _only(name, "count", f"the end counts {end.count} records, there are {count}")
        elif digest.count == end.count and digest.hex != end.digest:
            yield _only(name, "digest", "the records are not those the end has the digest of")


def _only(collection: str, code: str, message: str) -> Batch:
    return Batch([], [], [], [Problem(code=code, message=message, collection=collection)])


def _ill_separated(line: int) -> ArchiveInvalid:
    return ArchiveInvalid(
        "the lines of a collection are not one record each, separated by commas", line
    )


def _swapped() -> ArchiveSwapped:
    return ArchiveSwapped("the archive was changed while it was read")


def _expect(scanner: _Scanner, line: bytes) -> None:
    found = scanner.line()
    if found != line:
        raise ArchiveInvalid(
            f"expected the line {line[:80]!r}, found {found[:80]!r}", scanner.line_number
        )


def _read_header(scanner: _Scanner) -> Header:
    lines = [scanner.line() for _ in range(HEADER_LINES)]
    _expect(scanner, DATA_LINE)
    return read_header(b"\n".join([*lines, DATA_LINE]))


@contextlib.contextmanager
def open_archive(source: files.PathOrFile, limits: Limits | None = None) -> Iterator[Archive]:
    """Open an archive and check its seal.

    The source is read from where it stands. Raises `FileError`, `NotAnArchive`, `NewerFormat`,
    `ArchiveTruncated`, `SealBroken`, `ArchiveInvalid`, `LimitExceeded`.
    """
    limits = limits or Limits()
    with files.open_source(source) as file:
        start = file.tell()
        packing = compression.by_content(_read(file, 4))

        def scan() -> _Scanner:
            file.seek(start)
            return _Scanner(compression.decompress(_chunks(file), packing), limits)

        yield _checked(scan, packing, file, start)


def _checked(
    scan: Callable[[], _Scanner],
    packing: compression.Compression | None,
    file: IO[bytes],
    start: int,
) -> Archive:
    scanner = scan()
    require_first_bytes(scanner.peek(256))
    header = _read_header(scanner)
    end = scanner.skip_to_end()
    last = scanner.peek(SEAL_LENGTH + 1)
    number = scanner.line_number + 1
    if len(last) < SEAL_LENGTH:
        raise ArchiveTruncated("the archive ends within its last line", number)
    sealed = read_seal(last[:SEAL_LENGTH])
    if sealed is None:
        raise SealBroken("the line behind the end is not the archive's seal", number)
    if len(last) > SEAL_LENGTH:
        raise SealBroken("something follows the archive's last line", number + 1)
    if sealed != scanner.hex:
        raise SealBroken("the archive was changed after it was written: its seal does not fit")
    return Archive(
        header=header,
        ends=read_end(end, header),
        seal=sealed,
        size=scanner.size,
        file_size=file.seek(0, 2) - start,
        compression=packing,
        open=scan,
    )


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := _read(file, compression.CHUNK):
        yield chunk


def _read(file: IO[bytes], size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise FileError(f"the source cannot be read: {reason_of(error)}") from error
