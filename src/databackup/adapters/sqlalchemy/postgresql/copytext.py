r"""The texts of COPY: its text format, as it gives and takes rows, and CSV, as it takes columns.

A record whose values msgspec writes as a JSON array is nearly a line of CSV: a text stands in
double quotes, within which `\"` and `\\` mean what they do in JSON, and null is unquoted. No other
escape is known there, so the characters themselves take the place of those that JSON writes.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from databackup.repository import Row

TEXT: Final = "(FORMAT text, ENCODING 'UTF8')"
CSV: Final = r"(FORMAT csv, NULL 'null', ESCAPE E'\\', ENCODING 'UTF8')"

_ENCODER: Final = msgspec.json.Encoder()
_NULL: Final = "\\N"
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CONTROLS: Final = (
    (b"\\n", b"\n"),
    (b"\\t", b"\t"),
    (b"\\r", b"\r"),
    (b"\\b", b"\b"),
    (b"\\f", b"\f"),
)
_HEX: Final = re.compile(rb"\\u00([0-9a-f]{2})")
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def csv_lines(columns: Sequence[Sequence[Any]]) -> bytes | None:
    """Columns as lines of CSV; None where a text has a NUL, which PostgreSQL does not hold."""
    if not columns[0]:
        return b""
    arrays = list(map(_array_type(len(columns)), *columns))
    arrays_inside = _ENCODER.encode_lines(arrays)[1:-2].split(b"]\n[")  # faster than replacing
    lines = b"\n".join([*arrays_inside, b""])
    if lines.count(b"\\") == lines.count(b'\\"'):
        return lines  # no escape but that of the quote
    lines = lines.replace(b"\\\\", b"\0")  # JSON has no NUL of its own
    if b"\\u" in lines:
        if b"\\u0000" in lines:
            return None
        lines = _HEX.sub(lambda found: bytes.fromhex(found[1].decode()), lines)
    for escape, character in _CONTROLS:
        lines = lines.replace(escape, character)
    return lines.replace(b"\0", b"\\\\")


@functools.lru_cache(maxsize=256)
def _array_type(size: int) -> Callable[..., Any]:
    """A type that msgspec writes as an array; the garbage collector does not look at its values."""
    fields = [f"v{place}" for place in range(size)]
    return msgspec.defstruct("Array", fields, array_like=True, gc=False, eq=False)


def columns_of(lines: Iterable[bytes], width: int) -> list[list[Any]]:
    """Lines of the text format as columns: texts, and None for NULL."""
    text = b"".join(lines).decode()
    values: list[Any] = text.replace("\n", "\t").split("\t")
    values.pop()  # behind the last line's end
    columns = [values[place::width] for place in range(width)]
    left = text.count("\\")
    for place, column in enumerate(columns):
        if left and (nulls := column.count(_NULL)):
            columns[place] = [None if value == _NULL else value for value in column]
            left -= nulls
    return [list(map(_unescaped, column)) for column in columns] if left else columns


def _unescaped(value: str | None) -> str | None:
    if value is None or "\\" not in value:
        return value
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), value)


def copy_text(rows: list[Row]) -> str:
    """Rows in COPY's text format; hardly any value has a character that needs an escape."""
    nulls = sum(row.count(None) for row in rows)
    if nulls:
        text = _joined(
            [tuple(["\\N" if value is None else value for value in row]) for row in rows]
        )
    else:
        text = _joined(rows)
    found = (text.count("\\"), text.count("\t"), text.count("\n"), text.count("\r"))
    if found == (nulls, len(rows) * (len(rows[0]) - 1) if rows else 0, len(rows), 0):
        return text
    return _joined([tuple(map(copied, row)) for row in rows])


def _joined(rows: list[Row]) -> str:
    return "".join(["\t".join(row) + "\n" for row in rows])


def copied(value: str | None) -> str:
    """A value in COPY's text format."""
    return "\\N" if value is None else value.translate(_ESCAPES)
