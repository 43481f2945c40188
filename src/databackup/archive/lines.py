"""The lines of an edited document that still has whole records on each.

Line ends, spaces around a line, blank lines and the commas between records are as they come.
"""

from __future__ import annotations

import hashlib
import re
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, Final

import msgspec

from databackup.archive import compression, text
from databackup.errors import LimitExceeded, NotSealable
from databackup.schema.jsonshort import LONG
from databackup.schema.jsontext import JsonTextError
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.archive.limits import Limits

_SPACES: Final = b" \t\r"
_BLANKS: Final = re.compile(rb"\n[ \t\r\n]*\n")
_DATA: Final = re.compile(rb'"data"[ \t]*:[ \t]*\{')
_COLLECTION: Final = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")[ \t]*:[ \t]*\[')
_OBJECTS: Final = msgspec.json.Decoder(dict)
_RAW_VALUES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PARTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'  # closed or not
# Brackets that stand together are one, and so is all that stands between them.
_TOKEN: Final = re.compile(rb'([\[{]++)|([\]}]++)|(?:[^][{}"]++|%s)++' % _STRING, re.DOTALL)
_COMMA: Final = re.compile(rb"%s|(,)" % _STRING, re.DOTALL)
_BEHIND_RECORD: Final = re.compile(rb"\}[ \t\r\n]*,")
_NO_COMMA: Final = re.compile(rb"\}([ \t\r]*\n\s*\{)")
_COMMA_TOO_MANY: Final = re.compile(rb"\},([ \t\r]*\n\s*\])")


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
        self._comma = False  # whether one stood behind what was closed last
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
                    header = b"\n".join([*lines, line]) + b"}}"
                    self._limits.require_values(header, "the header", self.number)
                    members = self._object(header)
                    if "format" in members:  # not where names are sorted, and most come later
                        return members
                    break
                if self._limits.header is not None and length > self._limits.header:
                    break
                lines.append(line)
        except LimitExceeded as error:
            if error.limit == "values":  # of the header, in whatever layout
                raise
            raise NotInLines(error.line or self.number) from None
        raise self._not_in_lines()

    def collections(self) -> Iterator[tuple[str, Iterator[list[bytes]]]]:
        """Each collection's name, and its records as `blocks` gives them, which must be read."""
        self._limited = "record"
        is_first = True
        for line in self._lines:
            if _bare(line) == b"}":
                if self._comma:
                    raise NotSealable("a comma stands behind the last collection", self.number)
                self._comma = line.endswith(b",")
                return
            opening = None if self._is_too_long(line) else _COLLECTION.fullmatch(line)
            if opening is None:
                raise self._not_in_lines()
            (name,) = self._object(b"{" + opening[1] + b":0}")
            if not (self._comma or is_first):
                raise NotSealable(f"no comma stands before {shown(name)}", self.number)
            is_first = False
            yield name, self._blocks(name)

    def _blocks(self, name: str) -> Iterator[list[bytes]]:
        """The lines of records, many at a time, each without its comma."""
        held: list[bytes] = []
        length = 0
        number = 0  # enumerate would hold the line
        for line in self._lines:
            number += 1  # noqa: SIM113
            record = _bare(line)
            if record == b"]":
                self._comma = line.endswith(b",")
                break
            del line
            if not (record.startswith(b"{") and record.endswith(b"}")):
                raise self._not_in_lines()
            self._limits.require_record(record, f"record {number} of {name}", self.number)
            if held and len(record) > LONG:  # which is not copied with its neighbours
                yield held
                held, length = [], 0
            held.append(record)
            length += len(record)
            del record
            if length >= compression.CHUNK:
                yield held
                held, length = [], 0
        if held:
            yield held

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
        self._limits.require_values(b"\n".join(lines), "the end", self.number)
        before = b'{"data":{}' + (b"," if self._comma else b"")
        try:
            members = text.load(b"\n".join([before, *lines]))
        except JsonTextError as error:
            reason = error.__cause__.msg if isinstance(error.__cause__, JSONDecodeError) else error
            message = f"the end cannot be read, as if the document were cut off: {reason}"
            raise NotSealable(message, self.number) from error
        for name in members.keys() - {"data", "end"}:
            raise NotSealable(f"the unknown member {name!r} follows the data", self.number)
        require_end(members)

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
            stripped = [line.strip(_SPACES)]
            del line
            if stripped[0]:
                yield stripped.pop()

    def _split(self) -> Iterator[bytes]:
        held = bytearray()  # many chunks would leave their room in pieces behind
        for chunk in self._chunks:
            self._hash.update(chunk)
            for part, blank_lines in _between_blanks(chunk):
                start, *others = part.split(b"\n")
                held += start
                self._require_length(len(held), self.number + 1)
                if others:
                    lines = [bytes(held), *others[:-1]]
                    held = bytearray(others[-1])
                    lines.reverse()
                    while lines:
                        yield lines.pop()  # which may be long, and is held by its reader alone
                self.number += blank_lines
        yield bytes(held)

    def _is_too_long(self, line: bytes) -> bool:
        """Whether no collection of the header can have its name on a line."""
        return self._limits.header is not None and len(line) > self._limits.header

    def _require_length(self, length: int, number: int) -> None:
        name = self._limited
        limit = getattr(self._limits, name)
        if limit is not None and length > limit:
            raise LimitExceeded.of(name, limit, "a line is longer", number)

    def _not_in_lines(self) -> NotInLines:
        return NotInLines(self.number)


def _between_blanks(chunk: bytes) -> Iterator[tuple[bytes, int]]:
    """The parts of a chunk, and how many blank lines follow each: millions are one step."""
    start = 0
    for blanks in _BLANKS.finditer(chunk):
        yield chunk[start : blanks.start() + 1], blanks[0].count(b"\n") - 1
        start = blanks.end()
    yield chunk[start:], 0


def _bare(line: bytes) -> bytes:
    return line.removesuffix(b",").rstrip(_SPACES)


def require_end(members: dict[str, Any]) -> None:
    """See that a document has an end, whatever stands in it. Raises `NotSealable`."""
    if "end" not in members:
        raise NotSealable("the document has no end")
    if type(members["end"]) is not dict:
        raise NotSealable(f"the document's end is {shown(members['end'])}, expected an object")


def with_commas(document: bytes) -> bytes:
    """A document with the commas between records that lines may lack, and none behind the last.

    In a document that is JSON neither place exists.
    """
    return _COMMA_TOO_MANY.sub(rb"}\1", _NO_COMMA.sub(rb"},\1", document))


def records_of(lines: list[bytes]) -> tuple[list[bytes], bool]:
    """The records of lines, of which each may hold several, and whether all are closed.

    A record that is no JSON ends where its brackets say so, or else with its line: `False`.
    """
    records: list[bytes] = []
    are_closed = True
    for line in lines:
        try:
            found = _PARTS.decode(b"[%b]" % line)
            records += map(bytes, found) if len(found) > 1 else [line]
        except (msgspec.MsgspecError, ValueError, RecursionError):
            parts, closed = _parts(line)
            records += parts
            are_closed = are_closed and closed
    return records, are_closed


def may_hold_several(line: bytes) -> bool:
    """Whether a line that begins with a record may have another one on it."""
    return _BEHIND_RECORD.search(line) is not None


def _parts(line: bytes) -> tuple[list[bytes], bool]:
    """The parts of a line that is no JSON, cut at commas outside of brackets."""
    parts: list[bytes] = []
    start = depth = 0
    are_closed = True
    for token in _TOKEN.finditer(line):
        match token.lastindex:
            case 1:
                depth += token.end() - token.start()
            case 2:
                depth -= token.end() - token.start()
            case None if depth <= 0:
                for comma in _COMMA.finditer(line, *token.span()):
                    if comma[1] and (part := line[start : comma.start()].strip(_SPACES)):
                        parts.append(part)
                        are_closed = are_closed and depth == 0
                        start, depth = comma.end(), 0
    return [*parts, line[start:]], are_closed and depth == 0


def are_objects(lines: list[bytes]) -> bool:
    """Whether each line is a JSON object by its syntax."""
    try:
        if any(len(line) > LONG for line in lines):  # whose values are not to be held
            return all(map(_is_object, lines))
        _OBJECTS.decode_lines(b"\n".join(lines))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def _is_object(line: bytes) -> bool:
    return type(_RAW_VALUES.decode(line)) is dict
