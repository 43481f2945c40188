"""Long JSON text with its strings cut: what a parser refuses in it, it refuses in the whole.

A refused record of 60 MiB would otherwise be held several times, with four bytes a character where
one of them is beyond the BMP. Only values are cut: of a string stay its first lone surrogate and
its first flaw of syntax, of a number that is too long so many digits that it still is. Names
stay, but for what stands behind such a flaw.
"""

from __future__ import annotations

import array
import bisect
import json
import re
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from databackup.schema.jsontext import JsonTextError, parse_json, syntax_error
from databackup.schema.jsonvalues import MAX_NUMBER_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONG: Final = 1024 * 1024  # bytes; what is shorter is held as it is
_LONG_NAME: Final = 4096  # bytes of a name that is looked at
_PIECE: Final = 1024 * 1024
_WORTH: Final = 16  # bytes of a string's text that are worth a cut
# More digits than a number may have: no parser gets further than through the first of these.
_TOO_LONG: Final = rb"(?<![0-9])[0-9]{%d}([0-9]++)" % (MAX_NUMBER_LENGTH + 1)
_DIGITS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_RUN: Final = b"0" * (MAX_NUMBER_LENGTH + 2)
_PAIR: Final = rb"[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_SOUND: Final = re.compile(
    rb'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u(?:(?![dD][89a-fA-F])[0-9a-fA-F]{4}|%s))'
    rb'[^"\\\x00-\x1f]*+)*+' % _PAIR
)
_ANY: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_STRING: Final = rb'"(%s)(?:"[ \t\r\n]*+(:)?|\\?\Z)' % _ANY.pattern
# Strings that stay, but for those with escapes, and what is between.
_PASSED_OVER: Final = rb'(?:[^"]++|"[^"\\]{0,%d}+"|"[^"\\]{0,%d}+"[ \t\r\n]*+:)*+'
_RAW: Final = msgspec.json.Decoder(msgspec.Raw)
_LONE_SURROGATE: Final = re.compile(rb"\\u[0-9a-fA-F]{4}")  # where what is sound ends
_VALID: Final = re.compile(
    rb'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+'
)
_FLAW: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{0,4}+|[\xc0-\xff][\x80-\xbf]*+|.)|.", re.DOTALL)
_CONTINUATIONS: Final = bytes(range(0x80, 0xC0))


@attrs.frozen
class Shortened:
    """A text without most of its strings' text; positions in it tell those in the whole.

    `_places` are where something was cut, in bytes, and `_sizes` how much up to and with there.
    """

    text: str
    _whole: bytes
    _places: Sequence[int]
    _sizes: Sequence[int]

    def offset(self, position: int) -> int:
        """Where in the bytes of the whole a character stands."""
        place = position if self.text.isascii() else len(self.text[:position].encode())
        cuts = bisect.bisect_right(self._places, place)
        return place + (self._sizes[cuts - 1] if cuts else 0)

    def position(self, position: int) -> int:
        """The number of a character in the whole."""
        end = self.offset(position)
        starts = range(0, end, _PIECE)
        pieces = (self._whole[start : min(start + _PIECE, end)] for start in starts)
        return sum(len(piece.translate(None, _CONTINUATIONS)) for piece in pieces)

    def between(self, start: int, end: int) -> str:
        """What stands in the whole between two places."""
        return self._whole[self.offset(start) : self.offset(end)].decode()


def uncut(whole: bytes) -> Shortened:
    """A text as it is. Raises UnicodeDecodeError."""
    return Shortened(whole.decode(), whole, (), ())


def shortened(whole: bytes) -> Shortened:
    """A text with its strings cut where it is long. Raises UnicodeDecodeError."""
    if len(whole) <= LONG:
        return uncut(whole)
    _require_utf8(whole)
    kept = bytearray()
    view = memoryview(whole)
    places, sizes = array.array("q"), array.array("q")
    end = 0
    for start, stop in _cuts(whole):
        if start == stop:
            continue
        kept += view[end:start]
        end = stop
        places.append(len(kept))
        sizes.append(end - len(kept))
    if not places:
        return uncut(whole)
    kept += view[end:]
    return Shortened(kept.decode(), whole, places, sizes)


def _cuts(whole: bytes) -> Iterator[tuple[int, int]]:
    view = memoryview(whole)
    passed_over = b"" if _has_long_digits(whole) else _PASSED_OVER % (_WORTH, _LONG_NAME)
    end = 0
    # Behind a lone surrogate others are no news, and behind a flaw of syntax nothing is.
    for sound in (_SOUND, _VALID, _ANY):
        parts = (passed_over, sound.pattern, _STRING, _TOO_LONG)
        pattern = re.compile(rb'%s(?:"(%s)"(?![ \t\r\n]*+:)|%s|%s|\Z)' % parts, re.DOTALL)
        for found in pattern.finditer(whole, end):
            match found.lastindex:
                case 1 | 4:  # a sound value, or digits
                    yield found.span(found.lastindex)
                case 2:
                    yield from _cuts_in_string(view, *found.span(2), is_name=False)
                    if sound is not _ANY:
                        end = found.end()
                        break
                case 3 if found.end(2) - found.start(2) > _LONG_NAME:
                    yield from _cuts_in_string(view, *found.span(2), is_name=True)
        else:
            return


def _has_long_digits(whole: bytes) -> bool:
    step = _PIECE + len(_LONG_RUN)
    pieces = (whole[start : start + step] for start in range(0, len(whole), _PIECE))
    return any(_LONG_RUN in piece.translate(_DIGITS) for piece in pieces)


def _cuts_in_string(
    view: memoryview, start: int, end: int, *, is_name: bool
) -> Iterator[tuple[int, int]]:
    """All of a string's text but its first lone surrogate and its first flaw of syntax.

    Of a name, only what stands behind such a flaw.
    """
    if is_name:
        place = _end(_VALID, view, start, end)
    else:
        place = _end(_SOUND, view, start, end)
        yield start, place
        if surrogate := _LONE_SURROGATE.match(view, place, end):
            start = surrogate.end()
            place = _end(_VALID, view, start, end)
            yield start, place
    if flaw := _FLAW.match(view, place, end):
        yield flaw.end(), end


def _end(pattern: re.Pattern[bytes], view: memoryview, start: int, end: int) -> int:
    found = pattern.match(view, start, end)
    return start if found is None else found.end()


def _require_utf8(whole: bytes) -> None:
    """As `whole.decode()`, without the text."""
    if whole.isascii():
        return
    start = 0
    while start < len(whole):
        end = min(start + _PIECE, len(whole))
        for _ in range(3):  # as many bytes of a character may follow its first
            if end < len(whole) and whole[end] in _CONTINUATIONS:
                end -= 1
        try:
            whole[start:end].decode()
        except UnicodeDecodeError as error:
            found = (start + error.start, start + error.end, error.reason)
            raise UnicodeDecodeError("utf-8", whole, *found) from None
        start = end


def parse_bytes(whole: bytes) -> Any:
    """As `parse_json`; long text is refused without having been held as a whole.

    Raises `JsonTextError`, UnicodeDecodeError.
    """
    if len(whole) <= LONG:
        return parse_json(whole.decode())
    short = _much_shorter(whole)
    try:
        if short is not None:
            _see_that_it_parses(short)
            short = None
        return parse_json(whole.decode())
    except JsonTextError as error:
        _forget_the_text(error)
        error.read = short
        raise


def as_read(whole: bytes, error: JsonTextError) -> Shortened:
    """A text as `parse_bytes` has read it when it raised an error, which tells of places in it."""
    return error.read or uncut(whole)


def _much_shorter(whole: bytes) -> Shortened | None:
    short = shortened(whole)
    return short if 2 * len(short.text) < len(whole) else None


def _forget_the_text(error: BaseException | None) -> None:
    """Let go of what an error tells of, which is long: it may be looked at once more."""
    while error is not None:
        error.__traceback__ = None
        if isinstance(error, json.JSONDecodeError):
            error.doc = ""
        error = error.__cause__ or error.__context__


def is_refused(whole: bytes) -> bool:
    """Whether a long line is known not to parse, before its characters are made of its bytes.

    One beyond the BMP takes four bytes for each of the text's.
    """
    if len(whole) <= LONG or whole.isascii() or b"\n" in whole:
        return False
    try:
        _RAW.decode(whole)  # in no time; it is refused, or too deep for one of both
        parse_json(shortened(whole).text)
    except (msgspec.DecodeError, RecursionError, JsonTextError, UnicodeDecodeError):
        return True
    return False


def _see_that_it_parses(short: Shortened) -> None:
    try:
        parse_json(short.text)
    except JsonTextError as error:
        found = syntax_error(error)
        if found is None:
            raise
        raise JsonTextError.of_syntax(short.position(found.pos), found) from found


def line_and_column(error: JsonTextError, found: json.JSONDecodeError) -> tuple[int, int]:
    """Where in a text `parse_bytes` has met a syntax error, both from 1 on."""
    if error.read is None:
        return found.lineno, found.colno
    start = error.read.position(found.pos - found.colno + 1)
    return found.lineno, error.read.position(found.pos) - start + 1
