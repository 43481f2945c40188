"""Long JSON text with its strings cut: what a parser refuses in it, it refuses in the whole.

A refused record of 60 MiB would otherwise be held several times, with four bytes a character where
one of them is beyond the BMP. Only the values of strings are cut, and of these only what is sound;
names, and whatever may be a flaw, stay.
"""

from __future__ import annotations

import bisect
import itertools
import json
import re
from typing import Any, Final

import attrs

from databackup.schema.jsontext import JsonTextError, parse_json, syntax_error

LONG: Final = 1024 * 1024  # bytes; what is shorter is held as it is
_PIECE: Final = 1024 * 1024
_WORTH: Final = 64  # bytes of a string's text that are worth a cut
_STRING: Final = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"[ \t\r\n]*+(:)?|\\?\Z)', re.DOTALL)
_ESCAPE: Final = rb'\\["\\/bfnrt]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
_CHARACTER: Final = rb'[^"\\\x00-\x1f\x80-\xff]|[\xc0-\xff][\x80-\xbf]*+'
_FLAW: Final = rb"(?:[\x00-\x1f]|\\(?:u[0-9a-fA-F]{0,4}+|.))(?:%(character)s|%(escape)s)?" % {
    b"escape": _ESCAPE,
    b"character": _CHARACTER,
}
# What may be a flaw is no part of it, nor what stands between two halves of a surrogate pair. Flaws
# with little between them are passed over all at once: there may be millions.
_SOUND: Final = re.compile(
    rb'((?:[^"\\\x00-\x1f]++|%(escape)s)++)'
    rb'|%(flaw)s(?:(?:[^"\\\x00-\x1f]|%(escape)s){0,32}+(?!%(escape)s)%(flaw)s)*+'
    % {b"escape": _ESCAPE, b"flaw": _FLAW},
    re.DOTALL,
)
_CONTINUATIONS: Final = bytes(range(0x80, 0xC0))


@attrs.frozen
class Shortened:
    """A text without most of its strings' text; positions in it tell those in the whole.

    `_places` are where something was cut, in bytes, and `_sizes` how much up to and with there.
    """

    text: str
    _whole: bytes
    _places: list[int]
    _sizes: list[int]

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


def shortened(whole: bytes) -> Shortened:
    """A text with its strings cut where it is long. Raises UnicodeDecodeError."""
    if len(whole) <= LONG:
        return Shortened(whole.decode(), whole, [], [])
    _require_utf8(whole)
    kept = bytearray()
    view = memoryview(whole)
    places: list[int] = []
    sizes: list[int] = []
    end = 0
    for start, stop in _cuts(whole):
        kept += view[end:start]
        end = stop
        places.append(len(kept))
        sizes.append(end - len(kept))
    if not places:
        return Shortened(whole.decode(), whole, [], [])
    kept += view[end:]
    return Shortened(kept.decode(), whole, places, sizes)


def _cuts(whole: bytes) -> itertools.chain[tuple[int, int]]:
    texts = (found.span(1) for found in _STRING.finditer(whole) if not found[2])
    values = ((start, end) for start, end in texts if end - start > _WORTH)
    runs = itertools.chain.from_iterable(_SOUND.finditer(whole, *span) for span in values)
    return itertools.chain.from_iterable(
        [run.span(1)] for run in runs if run.end(1) - run.start(1) > _WORTH
    )


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
    try:
        if (short := _much_shorter(whole)) is not None:
            _see_that_it_parses(short)
            del short
        return parse_json(whole.decode())
    except JsonTextError as error:
        _forget_the_text(error)
        raise


def as_parsed(whole: bytes) -> Shortened:
    """A text as `parse_bytes` has parsed it: positions of its syntax errors are those in here."""
    short = _much_shorter(whole) if len(whole) > LONG else None
    return short or Shortened(whole.decode(), whole, [], [])


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
        parse_json(shortened(whole).text)
    except (JsonTextError, UnicodeDecodeError):
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


def line_and_column(whole: bytes, error: json.JSONDecodeError) -> tuple[int, int]:
    """Where in a text `parse_bytes` has met a syntax error, both from 1 on."""
    short = _much_shorter(whole) if len(whole) > LONG else None
    if short is None:
        return error.lineno, error.colno
    start = short.position(error.pos - error.colno + 1)
    return error.lineno, short.position(error.pos) - start + 1
