"""JSON text, read by the standard json with hooks: what it silently mends is refused here."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from databackup.schema.jsonvalues import MAX_DEPTH, is_plain, number
from databackup.schema.kind import KindError, shown

if TYPE_CHECKING:
    from collections.abc import Callable

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()
_LIST: Final = msgspec.json.Decoder(list[Any])
_SPACES: Final = b" \t\r\n"
_SPACES_IN_LINES: Final = b" \t\r"
_SHORT: Final = 2 * MAX_DEPTH  # the shortest text that may be too deep, or have too long a number
# A record holds its fields' values one level further in; tags and $json add two at each level.
_MAX_BRACKETS: Final = 3 * MAX_DEPTH
# It matches from every quote on: were it to fail at the end, it would be tried from the next one.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")


class JsonTextError(ValueError):
    """Text that is no JSON, or JSON whose values would not be written as they stand."""


def parse_json(text: str) -> Any:
    """The value of a JSON text, whose numbers lose nothing.

    Raises `JsonTextError` for text that is no JSON, a name twice in one object, NaN, lone
    surrogates, numbers beyond a double or too long, too many levels.
    """
    if deeper_than(_MAX_BRACKETS, text):
        raise JsonTextError(f"JSON deeper than {MAX_DEPTH} levels")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=number,
            parse_int=number,
        )
        # JSON's \\ud800 makes a text that no UTF-8 can hold; only encoding it again tells.
        _ENCODER.encode(value)
    except UnicodeEncodeError as error:
        raise JsonTextError("a lone surrogate, which is no text") from error
    except json.JSONDecodeError as error:
        raise JsonTextError(f"no JSON at character {error.pos + 1}: {error.msg}") from error
    except KindError as error:
        raise JsonTextError(str(error)) from error
    except RecursionError:
        raise JsonTextError(f"JSON deeper than {MAX_DEPTH} levels") from None
    return value


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
    return (value,) if len(given) <= _SHORT or is_plain(value) else None


def parse_all_fast(texts: list[str]) -> list[Any] | None:
    """The values of JSON texts, all at once; None where not all of them are for `parse_fast`.

    Each text is on a line of its own, before and after.
    """
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
    return values if longest <= _SHORT or all(map(is_plain, values)) else None


def _alike(given: bytes, written: bytes, spaces: bytes) -> bool:
    return written == given or written.translate(None, spaces) == given.translate(None, spaces)


def steps_to_flaw(text: str) -> tuple[str | int, ...]:
    """The names and positions that lead to the first value that `parse_json` refuses.

    For text that is JSON by its syntax; empty where no single value is to blame.
    """
    try:
        document = json.loads(
            text,
            object_pairs_hook=_or_flaw(_object),
            parse_constant=_or_flaw(_constant),
            parse_float=_or_flaw(number),
            parse_int=_or_flaw(number),
        )
    except (ValueError, RecursionError):
        return ()
    left: list[tuple[Any, tuple[str | int, ...]]] = [(document, ())]
    while left:
        value, steps = left.pop()
        if value is _FLAW or (type(value) is str and not _is_text(value)):
            return steps
        if type(value) is dict:
            if not all(map(_is_text, value)):
                return steps
            left += [(inner, (*steps, name)) for name, inner in reversed(value.items())]
        elif type(value) is list:
            left += [(value[i], (*steps, i)) for i in reversed(range(len(value)))]
    return ()


_FLAW: Final = object()


def _or_flaw(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def convert(found: Any) -> Any:
        try:
            return hook(found)
        except (JsonTextError, KindError):
            return _FLAW

    return convert


def _is_text(value: str) -> bool:
    return value.isascii() or value.encode(errors="replace").decode() == value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise JsonTextError(f"the name {shown(twice)} stands twice in one object")
    return members


def _constant(text: str) -> NoReturn:
    raise JsonTextError(f"{text} is no JSON")


def deeper_than(levels: int, text: str) -> bool:
    """Whether more arrays and objects stand in each other in a JSON text, which may be unsound."""
    if text.count("[") + text.count("{") <= levels:
        return False
    depth = 0
    for bracket in _BRACKETS.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > levels:
            return True
    return False
