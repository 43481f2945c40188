"""Reading an archive: a first pass that checks its seal, a second that yields its records.

Both run in constant memory. The second hashes again, so that a file that was changed in between is
found before anything rests on it.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from databackup.archive import compression, decrypting, files, text
from databackup.archive.digest import Digest
from databackup.archive.encryption import Decryption
from databackup.archive.format import (
    DATA_LINE,
    END_START,
    FIRST_BYTES,
    HEADER_LINES,
    SEAL_LENGTH,
    format_of,
    read_end,
    read_header,
    read_seal,
)
from databackup.archive.limits import Limits, required_limits
from databackup.archive.records import Batch, RecordCodec
from databackup.archive.scanner import Scanner
from databackup.errors import (
    ArchiveError,
    ArchiveInvalid,
    ArchiveSwapped,
    ArchiveTruncated,
    LimitExceeded,
    Problem,
    SealBroken,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from databackup.archive.format import CollectionEnd, Header


_HEAD: Final = 256  # bytes that tell what a file is


class ReadRecords(Protocol):
    """A function that reads the records of one collection."""

    def __call__(self, codec: RecordCodec, *, digests: bool = True) -> Iterator[Batch]:
        """The records, batch by batch."""


@attrs.frozen(kw_only=True)
class Archive:
    """An archive whose seal has been checked: header, totals, and its records on demand."""

    header: Header
    ends: dict[str, CollectionEnd]
    seal: str
    size: int
    file_size: int
    compression: compression.Compression | None
    encryption: decrypting.Way | None
    _limits: Limits = attrs.field(repr=False)
    _open: Callable[[], Scanner] = attrs.field(repr=False)

    def collections(self) -> Iterator[tuple[str, ReadRecords]]:
        """Each collection's name, and a function that reads its records.

        The function takes the codec to read them with; what it has not read when the next
        collection is asked for is passed over. A count or digest that differs from the totals is a
        `Problem` of the last batch; with `digests=False`, for callers that compare them with what
        they make of the records, a count alone. After the last collection the seal is checked once
        more.
        Raises `ArchiveSwapped` where the file was changed since it was opened.
        """
        scanner = self._open()
        with self._noticing_a_swap(scanner):
            yield from self._collections(scanner)
        if not self._is_same(scanner):
            raise _swapped()

    @contextlib.contextmanager
    def _noticing_a_swap(self, scanner: Scanner) -> Iterator[None]:
        """What the first pass has sealed may be ill-formed; what differs from it was swapped."""
        try:
            yield
        except ArchiveError as error:
            if not self._is_same(scanner):
                raise _swapped() from error
            raise

    def _is_same(self, scanner: Scanner) -> bool:
        try:
            scanner.drain()
        except ArchiveError:
            return False  # the first pass could expand it
        return scanner.hex == self.seal == read_seal(scanner.tail)

    def _collections(self, scanner: Scanner) -> Iterator[tuple[str, ReadRecords]]:
        _header_lines(scanner)
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

    def _batches(
        self, scanner: Scanner, name: str, codec: RecordCodec, *, digests: bool = True
    ) -> Iterator[Batch]:
        digest = Digest(name) if digests else None
        count = 0
        with self._noticing_a_swap(scanner):
            for block in scanner.blocks(codec.block_size):
                self._require_within_limits(block, count + 1, scanner, codec)
                for batch, records in _batches_of(block, count + 1, scanner, codec):
                    count += records
                    if digest is not None:
                        digest.add(batch.canonical)
                    yield batch
        end = self.ends[name]
        if count != end.count:
            yield _only(name, "count", f"the end counts {end.count} records, there are {count}")
        elif digest is not None and digest.count == end.count and digest.hex != end.digest:
            yield _only(name, "digest", "the records are not those the end has the digest of")

    def _require_within_limits(
        self, block: bytes, first: int, scanner: Scanner, codec: RecordCodec
    ) -> None:
        decimals = bool(codec.codec.decimals)
        if not self._limits.may_be_exceeded(block, decimals=decimals):
            return
        name = codec.collection.name
        lines = block.split(b"\n")
        for position, line in enumerate(lines):
            try:
                what = f"record {first + position} of {name}"
                self._limits.require_record(line, what, decimals=decimals)
            except LimitExceeded as error:
                error.line = scanner.line_number - len(lines) + position + 1
                raise


def _batches_of(
    block: bytes, first: int, scanner: Scanner, codec: RecordCodec
) -> Iterator[tuple[Batch, int]]:
    """The batches of a block just read, nearly always one, each with how many records it is of."""
    if codec.may_be_held(block):
        batch = codec.batch(block, first)
        if batch is None:
            lines = scanner.lines(block)
            yield codec.strict_batch(lines, first), len(lines)
        else:
            yield batch, len(batch)
        return
    for lines in codec.lines_held(scanner.lines(block)):
        batch = codec.batch(b",\n".join(lines), first)
        yield codec.strict_batch(lines, first) if batch is None else batch, len(lines)
        first += len(lines)


def _only(collection: str, code: str, message: str) -> Batch:
    return Batch([], [], [Problem(code=code, message=message, collection=collection)])


def _swapped() -> ArchiveSwapped:
    return ArchiveSwapped("the archive was changed while it was read")


def _expect(scanner: Scanner, line: bytes) -> None:
    found = scanner.line()
    if found != line:
        raise ArchiveInvalid(
            f"expected the line {line[:80]!r}, found {found[:80]!r}", scanner.line_number
        )


def _header_lines(scanner: Scanner) -> bytes:
    lines = [scanner.line() for _ in range(HEADER_LINES)]
    _expect(scanner, DATA_LINE)
    return b"\n".join([*lines, DATA_LINE])


def begins_an_archive(start: bytes) -> bool:
    """Whether the first bytes of a file are those of an archive, packed or not."""
    try:
        plain = next(compression.decompress([start], compression.by_content(start)), b"")
    except ArchiveError:
        return False
    return plain.startswith(FIRST_BYTES)


@contextlib.contextmanager
def open_archive(
    source: files.PathOrFile,
    limits: Limits | None = None,
    decryption: Decryption | None = None,
    checked: Callable[[int, int], None] | None = None,
) -> Iterator[Archive]:
    """Open an archive and check its seal; `decryption` opens one that is encrypted.

    The source is read from where it stands; `checked` is told how many bytes of how many were read
    so far, and may raise to cancel. Raises `FileError`, `NotAnArchive`, `NewerFormat`,
    `ArchiveTruncated`, `SealBroken`, `ArchiveInvalid`, `LimitExceeded`, `DecryptionRequired`,
    `WrongPassphrase`, `WrongKey`, `EncryptionBroken`.
    """
    limits = required_limits(limits)
    with (
        files.open_source(source, limits.size) as file,
        decrypting.opened(file, limits, decryption) as content,
    ):
        packing = compression.by_content(content.start)

        def stream(told: Callable[[int, int], None] | None = None) -> Iterator[bytes]:
            expansion = limits.expansion_of(packing)
            chunks = content.chunks()
            if told is not None:
                chunks = files.counted(chunks, content.file_size, told)
            return compression.decompress(chunks, packing, expansion)

        def lines_before(offset: int) -> int:
            return _count_lines(stream(), offset)

        def scan() -> Scanner:
            return Scanner(stream(), limits, lines_before)

        scanner = Scanner(stream(checked), limits, lines_before)
        # What has no version is told what is wrong with it as an archive of the first format is.
        read = FORMATS.get(format_of(scanner.peek(_HEAD)), _format_1)
        yield read(scanner, scan, limits, packing, content)


def _count_lines(chunks: Iterator[bytes], size: int) -> int:
    """How many lines end within the first bytes of a stream."""
    count = 0
    while size > 0 and (chunk := next(chunks, b"")):
        count += chunk.count(b"\n", 0, size)
        size -= len(chunk)
    return count


def _format_1(
    scanner: Scanner,
    scan: Callable[[], Scanner],
    limits: Limits,
    packing: compression.Compression | None,
    content: decrypting.Content,
) -> Archive:
    """An archive of format 1, once its seal has been checked."""
    lines = _header_lines(scanner)
    limits.require_values(lines + b"}}", "the header", 1)
    header = read_header(lines)
    end = scanner.skip_to_end()
    last = scanner.peek(SEAL_LENGTH + 1)
    if len(last) < SEAL_LENGTH:
        raise ArchiveTruncated("the archive ends within its last line", scanner.line_number + 1)
    sealed = read_seal(last[:SEAL_LENGTH])
    if sealed is None:
        number = scanner.line_number + 1
        raise SealBroken("the line behind the end is not the archive's seal", number)
    if len(last) > SEAL_LENGTH:
        raise SealBroken("something follows the archive's last line", scanner.line_number + 2)
    if sealed != scanner.hex:
        raise SealBroken("the archive was changed after it was written: its seal does not fit")
    return Archive(
        header=header,
        ends=_ends(end, header, scanner, limits),
        seal=sealed,
        size=scanner.size,
        file_size=content.file_size,
        compression=packing,
        encryption=content.encryption,
        limits=limits,
        open=scan,
    )


FORMATS: Final[Mapping[int, Callable[..., Archive]]] = {1: _format_1}
"""What opens an archive of each format version. That has nothing to do with an app's versions."""


def _ends(
    line: bytes, header: Header, scanner: Scanner, limits: Limits
) -> dict[str, CollectionEnd]:
    try:
        limits.require_values(line, "the end")
        return read_end(line, header)
    except (ArchiveInvalid, LimitExceeded) as error:
        error.line = scanner.line_number
        raise
