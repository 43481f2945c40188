"""JSON text, read by the standard json with hooks: what it silently mends is refused here."""

from __future__ import annotations

import itertools
import json
import math
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from databackup.schema.jsonvalues import MAX_DEPTH, integer, is_plain, number
from databackup.schema.kind import KindError, shown

if TYPE_CHECKING:
    from databackup.schema.jsonshort import Shortened

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()
_LIST: Final = msgspec.json.Decoder(list[Any])
_SPACES: Final = b" \t\r\n"
_SPACES_IN_LINES: Final = b" \t\r"
SHORT: Final = 2 * MAX_DEPTH  # the shortest text that may be too deep, or have too long a number
# A record holds its fields' values one level further in; tags and $json add two at each level.
_MAX_BRACKETS: Final = 3 * MAX_DEPTH
# It matches from every quote on: were it to fail at the end, it would be tried from the next one.
_STRING_TEXT: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_BRACKETS: Final = re.compile(rf"{_STRING_TEXT}|[\[{{]++|[\]}}]++", re.DOTALL)
# What they look for is behind strings and whatever else there is, which are one step.
_OBJECT_ENDS: Final = re.compile(rf'(?:[^"}}]++|{_STRING_TEXT})*+(?:(\}})|\Z)', re.DOTALL)
_NUMBERS: Final = re.compile(
    rf'(?:[^-\dIN"]++|{_STRING_TEXT})*+(?:([-\dIN][-+.\w]*+)|\Z)', re.DOTALL
)
_SURROGATES: Final = r"[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
# Strings without a lone surrogate, and what stands between them.
_SOUND_TEXTS: Final = re.compile(
    rf'[^"]*+(?:"[^"\\]*+(?:\\(?:u{_SURROGATES}|u(?![dD][89a-fA-F])|[^u])[^"\\]*+)*+"[^"]*+)*+'
)
_EXPONENT: Final = re.compile(rb"e(?<=[0-9]e)")
_DIGITS: Final = 17  # as many as doubles need at most
# A number that may have more, and its digits but for zeros in front. It begins where no digit
# stands before: else long numbers took as many looks as they have digits.
_LONG_NUMBERS: Final = re.compile(rb"(?<![0-9.])(?=[0-9]{18}|[0-9.]{19})[0.]*+([0-9.]*+)")
_ZEROS: Final = bytes.maketrans(b".123456789", b"0" * 10)
_LONG_RUN: Final = b"0" * (_DIGITS + 1)
_PIECE: Final = 1024 * 1024
_STRING_BYTES: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


class JsonTextError(ValueError):
    """Text that is no JSON, or JSON whose values would not be written as they stand.

    `flaw` is which of some tokens is refused, from 1 on, where it is one; `read` is the text that
    was read in place of a longer one.
    """

    read: Shortened | None = None

    def __init__(self, message: str, flaw: tuple[re.Pattern[str], int] | None = None) -> None:
        super().__init__(message)
        self.flaw = flaw

    @classmethod
    def of_syntax(cls, position: int, error: json.JSONDecodeError) -> JsonTextError:
        """The error of text that is no JSON from a position on."""
        return cls(f"no JSON at character {position + 1}: {error.msg}")


def syntax_error(error: JsonTextError) -> json.JSONDecodeError | None:
    """What the parser says of text that is no JSON; None where it is, but not to be taken."""
    return error.__cause__ if isinstance(error.__cause__, json.JSONDecodeError) else None


class TooDeepError(JsonTextError):
    """JSON with more levels than there may be."""

    def __init__(self) -> None:
        super().__init__(f"JSON deeper than {MAX_DEPTH} levels")


def parse_json(text: str) -> Any:
    """The value of a JSON text, whose numbers lose nothing.

    Raises `JsonTextError` for text that is no JSON, a name twice in one object, NaN, lone
    surrogates, numbers beyond a double or too long, too many levels.
    """
    if deeper_than(_MAX_BRACKETS, text):
        raise TooDeepError
    hooks = _Hooks()
    try:
        value = json.loads(
            text,
            object_pairs_hook=hooks.object,
            parse_constant=hooks.constant,
            parse_float=hooks.number,
            parse_int=hooks.integer,
        )
        # JSON's \\ud800 makes a text that no UTF-8 can hold; only encoding it again tells.
        _ENCODER.encode(value)
    except UnicodeEncodeError as error:
        raise JsonTextError("a lone surrogate, which is no text") from error
    except json.JSONDecodeError as error:
        raise JsonTextError.of_syntax(error.pos, error) from error
    except KindError as error:
        raise JsonTextError(str(error), (_NUMBERS, hooks.numbers)) from error
    except RecursionError:
        raise TooDeepError from None
    return value


class _Hooks:
    """What json calls at each number and at the end of each object: both are counted."""

    def __init__(self) -> None:
        self.numbers = 0
        self.objects = 0

    def integer(self, text: str) -> int | float:
        self.numbers += 1
        return integer(text)

    def number(self, text: str) -> Any:
        self.numbers += 1
        return number(text)

    def constant(self, text: str) -> NoReturn:
        raise JsonTextError(f"{text} is no JSON", (_NUMBERS, self.numbers + 1))

    def object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self.objects += 1
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        # The names stand in the order in which they were met: where they differ, one was met again.
        met = itertools.chain(members, [None])
        twice = next(name for (name, _), first in zip(pairs, met, strict=False) if name != first)
        message = f"the name {shown(twice)} stands twice in one object"
        raise JsonTextError(message, (_OBJECT_ENDS, self.objects))


def parse_fast(text: str) -> tuple[Any] | None:
    """The value of a JSON text in a tuple, several times as fast; None where `parse_json` decides.

    What msgspec reads is believed where writing it gives the same text but for spaces: then no name
    stood twice, and no number has lost a digit. A short text is neither too deep nor has it too
    long a number; a longer one is looked through.
    """
    try:
        given = text.encode()
        value = _DECODER.decode(given)
        written = _ENCODER.encode(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if not _alike(given, written, _SPACES):
        return None
    return (value,) if len(given) <= SHORT or is_plain(value) else None


def parse_all_fast(texts: list[str]) -> list[Any] | None:
    """The values of JSON texts, all at once; None where not all of them are for `parse_fast`.

    Each text is on a line of its own, before and after.
    """
    found = _read_lines(texts)
    if found is None:
        return None
    values, longest, _ = found
    return values if longest <= SHORT or all(map(is_plain, values)) else None


def parse_all_plain(texts: list[str]) -> list[Any] | None:
    """As `parse_all_fast`; None as well where not all values are plain (`is_plain`)."""
    found = _read_lines(texts)
    if found is None:
        return None
    values, longest, written = found
    is_clear = longest <= SHORT and have_plain_look(written)
    return values if is_clear or all(map(is_plain, values)) else None


def have_plain_look(text: bytes) -> bool:
    """Whether compact JSON can have no tag in it, and no number but integers."""
    return b"$" not in text and b"." not in text and not _EXPONENT.search(text)


def _read_lines(texts: list[str]) -> tuple[list[Any], int, bytes] | None:
    """The values of JSON texts, the most bytes of one of them, and all as they are written."""
    try:
        given = ",\n".join(texts).encode()
        values: list[Any] = _LIST.decode(b"[" + given + b"]")
        written = _ENCODER.encode_lines(values).replace(b"\n", b",\n")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    # As many as there are texts, and each on one line: so each text is one value.
    if len(values) != len(texts) or not _alike(given + b",\n", written, _SPACES_IN_LINES):
        return None
    longest = max(map(len, texts), default=0) * (1 if given.isascii() else 4)
    return values, longest, written


def _alike(given: bytes, written: bytes, spaces: bytes) -> bool:
    return written == given or written.translate(None, spaces) == given.translate(None, spaces)


def find_flaw(text: str, error: JsonTextError) -> int | None:
    """Where the first value stands that `parse_json` refuses, not for its syntax or depth.

    `error` is what it has raised. There is a number, the bracket that closes an object, or the
    quote of a string with a lone surrogate; up to there the text is JSON by its syntax.
    """
    if error.flaw is None:
        end = _SOUND_TEXTS.match(text).end()  # type: ignore[union-attr] # matches always
        return end if end < len(text) else None
    tokens, count = error.flaw
    found = next(itertools.islice(tokens.finditer(text), count - 1, None), None)
    return None if found is None or found[1] is None else found.start(1)


def is_text(value: str) -> bool:
    """Whether UTF-8 can hold a text: whether it has no lone surrogates."""
    return value.isascii() or value.encode(errors="replace").decode() == value


def deeper_than(levels: int, text: str) -> bool:
    """Whether more arrays and objects stand in each other in a JSON text, which may be unsound."""
    if text.count("[") + text.count("{") <= levels:
        return False
    depth = 0
    for found in _BRACKETS.finditer(text):
        mark = found[0][0]
        if mark == '"':
            continue
        # Brackets that stand together are one step, however many they are.
        length = found.end() - found.start()
        depth += length if mark in "[{" else -length
        if depth > levels:
            return True
        if depth < 0:  # no parser gets further
            return False
    return False


def more_values_than(limit: int, text: bytes) -> bool:
    """Whether a JSON text, which may be unsound, has more values in it than a limit.

    Counted are the values in arrays and objects, not the outermost, and the names of members, as
    `values_in` has them.
    Nothing is parsed: the time is that of a few passes, whatever the text holds.
    """
    # Each is two bytes at least, with what stands by it; most texts are done with here.
    if len(text) <= 2 * limit:
        return False
    most = _separators(text) + text.count(b"{")
    if _may_have_long_numbers(text):
        most += len(text) // _DIGITS
    if most <= limit:
        return False
    # What is counted has one string at most; more of them are too many, and are not cut out.
    if text.count(b'"') > 2 * limit:
        strings = itertools.islice(_STRING_BYTES.finditer(text), limit + 1, None)
        if next(strings, None) is not None:
            return True
    return _values_in_bare(_STRING_BYTES.sub(b"0", text), limit) > limit


def values_in(text: bytes) -> int:
    """How many values and names a sound JSON text has in its arrays and objects, at all levels.

    A number of more than 17 digits, which is no double's, counts once for each 17 of them.
    """
    return _values_in_bare(_STRING_BYTES.sub(b"0", text))


def _values_in_bare(text: bytes, limit: float = math.inf) -> int:
    """The values and names of a text without strings; where they are beyond a limit, not all.

    There is a value behind each comma, one first in what has any, and a name before each colon.

    In text that is no JSON objects may follow each other, and parsers for lines read them all.
    """
    tight = text.translate(None, _SPACES)
    empty = tight.count(b"[]") + tight.count(b"{}")
    values = _separators(tight) - empty + tight.count(b"}{")
    return values + _more_for_digits(tight, limit - values)


def _more_for_digits(text: bytes, limit: float) -> int:
    """By how much long numbers count for more than one value each; beyond a limit, not all."""
    if limit < 0 or not _may_have_long_numbers(text):
        return 0
    more = 0
    for found in _LONG_NUMBERS.finditer(text):
        start, end = found.span(1)
        digits = end - start - text.count(b".", start, end)
        more += max(digits - 1, 0) // _DIGITS
        if more > limit:
            break
    return more


def _may_have_long_numbers(text: bytes) -> bool:
    """Whether many digits stand together somewhere; several times as fast as by the pattern."""
    pieces = (text[start : start + _PIECE + _DIGITS] for start in range(0, len(text), _PIECE))
    return any(_LONG_RUN in piece.translate(_ZEROS) for piece in pieces)


def _separators(text: bytes) -> int:
    return text.count(b",") + text.count(b":") + text.count(b"[") + text.count(b"{")
