"""The lines of an edited document that still has one record on each.

Line ends, spaces around a line, blank lines and the commas between records are as they come.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from databackup.archive import compression, text
from databackup.errors import LimitExceeded, NotSealable
from databackup.schema.jsontext import JsonTextError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.archive.limits import Limits

_SPACES: Final = b" \t\r"
_DATA: Final = re.compile(rb'"data"[ \t]*:[ \t]*\{')
_COLLECTION: Final = re.compile(rb'("(?:[^"\\]|\\.)*")[ \t]*:[ \t]*\[')
_OBJECTS: Final = msgspec.json.Decoder(dict)


class NotInLines(Exception):
    """The document may be sound, but `line` is where it does not have one record on each."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class EditedLines:
    """The parts of a document in lines, to be read one after the other.

    `NotInLines` is raised where the document is laid out in another way, `LimitExceeded` for a line
    that is too long. Where the lines end too early, the parts do, and `end` raises `NotSealable`.
    """

    def __init__(self, chunks: Iterator[bytes], limits: Limits) -> None:
        self._chunks = chunks
        self._limits = limits
        self._limited = "header"  # what a line is to be bounded by
        self._hash = hashlib.sha256()
        self._lines = self._stripped()
        self.number = 0

    @property
    def hex(self) -> str:
        """The hash of all bytes read."""
        return self._hash.hexdigest()

    def header(self) -> dict[str, Any]:
        """The members before the data, and an empty `data`."""
        lines: list[bytes] = []
        length = 0
        try:
            for line in self._lines:
                length += len(line)
                if _DATA.fullmatch(line):
                    members = self._object(b"\n".join([*lines, line]) + b"}}")
                    if "format" in members:  # not where names are sorted, and most come later
                        return members
                    break
                if self._limits.header is not None and length > self._limits.header:
                    break
                lines.append(line)
        except LimitExceeded:
            pass
        raise self._not_in_lines()

    def collections(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each collection's name, and its records as `blocks` gives them, which must be read."""
        self._limited = "record"
        for line in self._lines:
            if _bare(line) == b"}":
                return
            opening = _COLLECTION.fullmatch(line)
            if opening is None:
                raise self._not_in_lines()
            (name,) = self._object(b"{" + opening[1] + b":0}")
            yield name, self._blocks()

    def _blocks(self) -> Iterator[bytes]:
        """The lines of records, many at a time, each without its comma, ended by a line feed."""
        held: list[bytes] = []
        length = 0
        for line in self._lines:
            record = _bare(line)
            if record == b"]":
                break
            if not (record.startswith(b"{") and record.endswith(b"}")):
                raise self._not_in_lines()
            held += (record, b"\n")
            length += len(record)
            if length >= compression.CHUNK:
                yield b"".join(held)
                held, length = [], 0
        if held:
            yield b"".join(held)

    def end(self) -> None:
        """Read what follows the data: totals and seal, whatever they say."""
        self._limited = "header"
        lines: list[bytes] = []
        length = 0
        for line in self._lines:
            lines.append(line)
            length += len(line)
            if self._limits.header is not None and length > self._limits.header:
                raise NotSealable("too much follows the data", self.number)
        if not lines:  # nor, it may be, all records and collections before
            raise NotSealable("the document has no end, as if it were cut off", self.number)
        try:
            members = text.load(b"{" + b"\n".join(lines))
        except JsonTextError as error:
            message = f"the end cannot be read, as if the document were cut off: {error}"
            raise NotSealable(message, self.number) from error
        for name in members.keys() - {"end"}:
            raise NotSealable(f"the unknown member {name!r} follows the data", self.number)

    def _object(self, found: bytes) -> dict[str, Any]:
        try:
            members: dict[str, Any] = text.load(found)
        except JsonTextError as error:
            raise self._not_in_lines() from error
        return members

    def _stripped(self) -> Iterator[bytes]:
        """The lines that are not blank."""
        for line in self._split():
            self.number += 1
            self._require_length(len(line), self.number)
            if stripped := line.strip(_SPACES):
                yield stripped

    def _split(self) -> Iterator[bytes]:
        parts: list[bytes] = []
        length = 0
        for chunk in self._chunks:
            self._hash.update(chunk)
            start, *others = chunk.split(b"\n")
            parts.append(start)
            length += len(start)
            self._require_length(length, self.number + 1)
            if others:
                yield b"".join(parts)
                yield from others[:-1]
                parts, length = [others[-1]], len(others[-1])
        yield b"".join(parts)

    def _require_length(self, length: int, number: int) -> None:
        name = self._limited
        limit = getattr(self._limits, name)
        if limit is not None and length > limit:
            raise LimitExceeded.of(name, limit, "a line is longer", number)

    def _not_in_lines(self) -> NotInLines:
        return NotInLines(self.number)


def _bare(line: bytes) -> bytes:
    return line.removesuffix(b",").rstrip(_SPACES)


def are_objects(block: bytes) -> bool:
    """Whether each line of a block is a JSON object by its syntax."""
    try:
        _OBJECTS.decode_lines(block)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True
