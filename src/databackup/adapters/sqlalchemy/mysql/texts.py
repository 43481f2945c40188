"""How text stands in a column: what its length and its characters allow."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from databackup.adapters._binding import with_nulls
from databackup.adapters.sqlalchemy.mysql.columns import details
from databackup.schema import KindError
from databackup.schema.kind import shown
from databackup.schema.kinds import encodable

if TYPE_CHECKING:
    from collections.abc import Callable

    from databackup.adapters._binding import Whole
    from databackup.adapters.sqlalchemy.catalogue import Column

_BOUNDED: Final = ("char", "varchar")  # in characters, others in bytes
_UTF8MB3: Final = ("utf8", "utf8mb3", "ucs2")
_UNICODE: Final = ("utf8mb4", *_UTF8MB3)
_LAST_OF_UTF8MB3: Final = "\uffff"
_BYTES_OF_A_CHARACTER: Final = 4


def text_writer(column: Column) -> Callable[[Any], str]:
    """A function that checks text for a column."""
    known = details(column)
    if known.type in ("enum", "set"):
        return _members_writer(known.type, known.members)
    length, in_characters = known.length, known.type in _BOUNDED
    strips_spaces, is_utf8mb3 = known.type == "char", known.charset in _UTF8MB3

    def write(value: Any) -> str:
        if type(value) is not str:
            raise KindError("text", shown(value))
        encodable(value)
        if in_characters and len(value) > (length or 0):
            raise KindError(f"text of at most {length} characters", shown(value))
        if not in_characters and length is not None:
            _require_bytes(value, length, known.charset)
        if strips_spaces and value.endswith(" "):
            raise KindError("text without spaces at its end, which CHAR drops", shown(value))
        if is_utf8mb3 and not value.isascii() and max(value) > _LAST_OF_UTF8MB3:
            raise KindError(f"text whose characters {known.charset} has", shown(value))
        return value

    return write


def text_column_writer(column: Column) -> Whole | None:
    """As `text_writer`, for a column's values at once; None where each has to be looked at."""
    known = details(column)
    if known.type in ("enum", "set"):
        return None
    size = 1 if known.type in _BOUNDED else _BYTES_OF_A_CHARACTER
    longest = None if known.length is None else known.length // size
    strips_spaces, is_utf8mb3 = known.type == "char", known.charset in _UTF8MB3

    def write(values: list[Any]) -> list[Any] | None:
        if set(map(type, values)) != {str}:
            return None
        if longest is not None and max(map(len, values)) > longest:
            return None
        if strips_spaces and any(value.endswith(" ") for value in values):
            return None
        joined = "".join(values)
        return values if joined.isascii() or _is_held(joined, is_utf8mb3=is_utf8mb3) else None

    return with_nulls(write)


def _is_held(text: str, *, is_utf8mb3: bool) -> bool:
    try:
        units = len(text.encode("utf-16-le")) // 2
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return not is_utf8mb3 or units == len(text)


def _require_bytes(value: str, length: int, charset: str | None) -> None:
    # The server refuses what is too long in other character sets.
    if len(value) * _BYTES_OF_A_CHARACTER > length and charset in _UNICODE:
        size = len(value) * 2 if charset == "ucs2" else len(value.encode())
        if size > length:
            raise KindError(f"text of at most {length} bytes", f"text of {size} bytes")


def _members_writer(type_: str, members: tuple[str, ...]) -> Callable[[Any], str]:
    """ENUM and SET fold case, drop spaces, take numbers for places, and sort what a SET has."""
    places = {member: place for place, member in enumerate(members)}

    def write(value: Any) -> str:
        if type(value) is not str:
            raise KindError("text", shown(value))
        if type_ == "enum":
            if value not in places:
                raise KindError("one of " + ", ".join(map(repr, members)), shown(value))
            return value
        found = [places.get(part) for part in value.split(",")] if value else []
        known = [place for place in found if place is not None]
        if len(known) < len(found) or any(a >= b for a, b in itertools.pairwise(known)):
            raise KindError(f"some of {','.join(members)!r}, in this order", shown(value))
        return value

    return write
