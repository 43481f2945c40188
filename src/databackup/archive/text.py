"""JSON text: what is written, and the two lanes it is read by.

The fast lane is msgspec, and is believed only where writing what it read gives the same bytes: that
proves compact text without duplicate keys or numbers that lose digits. Everything else goes the
strict lane, the standard json with hooks, which alone decides and explains.
"""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from typing import Any, Final, NoReturn

import msgspec

from databackup.errors import DatabackupError
from databackup.schema.jsonvalues import MAX_DEPTH, number
from databackup.schema.kind import KindError, shown

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()
# A record holds its fields' values one level further in; tags and $json add two at each level.
_MAX_BRACKETS: Final = 3 * MAX_DEPTH

# It matches from every quote on: were it to fail at the end, it would be tried from the next one.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))

_FLOATS: Final = (
    (0.0, 1.0, -0.0, 0.00001, 1e-06, 1.5e-07, 123456.789, 1e15, 1e16, 1.5e22, 5e-324, 1e300),
    b"[0.0,1.0,-0.0,0.00001,1e-6,1.5e-7,123456.789,1000000000000000.0,1e16,1.5e22,5e-324,1e300]",
)


class JsonTextError(ValueError):
    """Text that is no JSON, or JSON that an archive does not hold."""


@functools.cache
def check_float_layout() -> None:
    """See once that msgspec writes floats in the documented layout, on which digests rest."""
    floats, expected = _FLOATS
    if _ENCODER.encode(floats) != expected:
        raise DatabackupError(
            f"msgspec {msgspec.__version__} writes floats in another layout than the archive format"
        )


def dump(value: Any) -> bytes:
    """A value as compact JSON. Raises UnicodeEncodeError for lone surrogates."""
    return _ENCODER.encode(value)


def dump_lines(values: list[Any]) -> bytes:
    """Values as compact JSON, each followed by a line feed."""
    return _ENCODER.encode_lines(values)


def load_lines(block: bytes) -> list[Any] | None:
    """The values of lines in the fast lane; None where the strict lane has to decide."""
    try:
        values = _DECODER.decode_lines(block)
        return values if _ENCODER.encode_lines(values) == block else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def load(text: bytes) -> Any:
    """The value of a JSON text in the strict lane. Raises `JsonTextError`."""
    _check_depth(text)
    try:
        value = json.loads(
            text.decode(),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=number,
            parse_int=number,
        )
        # JSON's \ud800 makes a text that no UTF-8 can hold; only encoding it again tells.
        _ENCODER.encode(value)
    except UnicodeDecodeError as error:
        raise JsonTextError(f"byte {error.start + 1} is not UTF-8") from error
    except UnicodeEncodeError as error:
        raise JsonTextError("a lone surrogate, which is no text") from error
    except json.JSONDecodeError as error:
        raise JsonTextError(f"no JSON at character {error.pos + 1}: {error.msg}") from error
    except KindError as error:
        raise JsonTextError(str(error)) from error
    except RecursionError:
        raise JsonTextError(f"JSON deeper than {MAX_DEPTH} levels") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise JsonTextError(f"the name {shown(twice)} stands twice in one object")
    return members


def _constant(text: str) -> NoReturn:
    raise JsonTextError(f"{text} is no JSON")


def _check_depth(text: bytes) -> None:
    if text.count(b"[") + text.count(b"{") <= _MAX_BRACKETS:
        return
    depth = 0
    for bracket in _STRING.sub(b"", text).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > _MAX_BRACKETS:
            raise JsonTextError(f"JSON deeper than {MAX_DEPTH} levels")
