"""The lines of an archive, from a stream of its bytes, which are counted and hashed on the way."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from databackup.archive.format import END_START, SEAL_LENGTH
from databackup.errors import ArchiveInvalid, ArchiveTruncated, LimitExceeded
from databackup.schema.jsonshort import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from databackup.archive.limits import Limits


_CLOSE: Final = re.compile(rb"\n\]")  # twice as fast as bytes.find


class Scanner:
    """Lines and blocks of lines of a stream of chunks; hashes all but the seal.

    Whatever it reads or passes over may raise `LimitExceeded`. Lines are counted for error messages
    alone: `lines_before` tells how many end within so many bytes of the stream.
    """

    def __init__(
        self, chunks: Iterator[bytes], limits: Limits, lines_before: Callable[[int], int]
    ) -> None:
        self._chunks = chunks
        self._limits = limits
        self._lines_before = lines_before
        self._buffer = b""
        self._unended = 0
        self._hash = hashlib.sha256()
        self._tail = b""
        self.size = 0

    def _fill(self) -> bool:
        chunk = next(self._chunks, b"")
        if not chunk:
            return False
        self.size += len(chunk)
        if self._limits.size is not None and self.size > self._limits.size:
            raise LimitExceeded.of("size", self._limits.size, "the archive is larger")
        if len(chunk) >= SEAL_LENGTH:  # nearly all are, and need not be copied
            self._hash.update(self._tail)
            self._hash.update(memoryview(chunk)[:-SEAL_LENGTH])
            self._tail = chunk[-SEAL_LENGTH:]
        else:
            held = self._tail + chunk
            self._hash.update(held[:-SEAL_LENGTH])
            self._tail = held[-SEAL_LENGTH:]
        self._buffer += chunk
        return True

    @property
    def _passed(self) -> int:
        """How many bytes have been taken."""
        return self.size - len(self._buffer)

    @property
    def line_number(self) -> int:
        """The number of the line taken last. It is counted from the beginning each time."""
        return self._lines_before(self._passed)

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
        limit = self._limits.header
        self._await_line("header", limit)
        line, _, self._buffer = self._buffer.partition(b"\n")
        if limit is not None and len(line) > limit:
            raise _too_long("header", limit, self.line_number)
        return line

    def _await_line(self, name: str, limit: int | None) -> None:
        start = self._passed
        held = bytearray()  # many chunks would leave their room in pieces behind
        while b"\n" not in self._buffer:
            held += self._buffer
            if limit is not None and len(held) > limit:
                raise _too_long(name, limit, self._lines_before(start) + 1)
            self._buffer = b""
            if not self._fill():
                line = self._lines_before(start) + 1
                raise ArchiveTruncated("the archive ends within a line", line)
        if held:
            held += self._buffer
            self._buffer = bytes(held)

    def blocks(self, size: int | None = None) -> Iterator[bytes]:
        """The record lines up to the line that closes their collection, many at a time.

        As many at a time as are in `size` bytes, one at least, or all that have been read. Lines
        are separated by a comma and a line feed; the last one of a block has neither.
        """
        while self.peek(1) != b"]":
            self._await_line("record", self._limits.record)
            cut = self._end_of_block(size)
            block, self._buffer = self._buffer[:cut], self._buffer[cut + 1 :]
            is_last = self.peek(1) == b"]"
            if block.endswith(b",") == is_last:
                self.lines(block)  # there may be an earlier one
                raise _ill_separated(self.line_number)
            if not is_last:
                block = block[:-1]
            yield block
            del block  # before the next one is read

    def _end_of_block(self, size: int | None) -> int:
        if len(self._buffer) > LONG and (first := self._buffer.find(b"\n")) > LONG:
            return first  # what is long is not copied with its neighbours
        close = _CLOSE.search(self._buffer)
        cut = close.start() if close else self._buffer.rfind(b"\n")
        if size is not None and cut > size:
            within = self._buffer.rfind(b"\n", 0, size)
            cut = within if within > 0 else self._buffer.find(b"\n")
        return cut

    def lines(self, block: bytes) -> list[bytes]:
        """The lines of the block just read, without their commas."""
        *lines, last = block.split(b"\n")
        for place, line in enumerate(lines):
            if not line.endswith(b","):
                raise _ill_separated(self.line_number - len(lines) + place)
        return [*(line[:-1] for line in lines), last]

    def skip_to_end(self) -> bytes:
        """Pass over the data to the line of the end, and return it without its line feed."""
        marker = b"\n" + END_START
        while (start := self._buffer.find(marker)) < 0:
            self._pass_over(len(self._buffer) - len(marker))
            if not self._fill():
                self._pass_over(len(self._buffer))
                raise ArchiveTruncated("the archive has no end", self.line_number + 1)
        self._pass_over(start + 1)
        return self.line()

    def _pass_over(self, size: int) -> None:
        """See that no line is too long; the last may go on in what follows."""
        if size <= 0:
            return
        limit = self._limits.record
        start = -self._unended  # of the line at hand
        while limit is not None and size - start > limit:
            end = self._buffer.rfind(b"\n", max(start, 0), min(start + limit + 1, size))
            if end < 0:
                line = self._lines_before(self._passed + max(start, 0)) + 1
                raise _too_long("record", limit, line)
            start = end + 1
        last = self._buffer.rfind(b"\n", 0, size)
        self._unended = size - last - 1 + (self._unended if last < 0 else 0)
        self._buffer = self._buffer[size:]

    def drain(self) -> None:
        """Read what is left."""
        self._buffer = b""
        while self._fill():
            self._buffer = b""


def _ill_separated(line: int) -> ArchiveInvalid:
    return ArchiveInvalid(
        "the lines of a collection are not one record each, separated by commas", line
    )


def _too_long(name: str, limit: int, line: int) -> LimitExceeded:
    what = "a record" if name == "record" else "a line of the header or the end"
    return LimitExceeded.of(name, limit, f"{what} is longer", line)
