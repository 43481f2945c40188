"""JSON text: what is written, and the two lanes it is read by.

The fast lane is msgspec, and is believed only where writing what it read gives the same bytes: that
proves compact text without duplicate keys or numbers that lose digits. Everything else goes the
strict lane, the standard json with hooks, which alone decides and explains.
"""

from __future__ import annotations

import datetime
import functools
import uuid
from typing import Any, Final

import msgspec

from databackup.errors import DatabackupError
from databackup.schema.jsonshort import LONG, parse_bytes
from databackup.schema.jsontext import JsonTextError

_ENCODER: Final = msgspec.json.Encoder()
_SORTED: Final = msgspec.json.Encoder(order="sorted")

_FLOATS: Final = (
    (0.0, 1.0, -0.0, 0.00001, 1e-06, 1.5e-07, 123456.789, 1e15, 1e16, 1.5e22, 5e-324, 1e300),
    b"[0.0,1.0,-0.0,0.00001,1e-6,1.5e-7,123456.789,1000000000000000.0,1e16,1.5e22,5e-324,1e300]",
)
_MOMENT: Final = datetime.datetime(1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
_OTHERS: Final = (
    (
        _MOMENT,
        _MOMENT.replace(microsecond=70),
        _MOMENT.replace(tzinfo=None),
        _MOMENT.date(),
        _MOMENT.time(),
        uuid.UUID(int=10),
        b"\xfb\xff",
    ),
    (
        b'["0001-02-03T04:05:06Z","0001-02-03T04:05:06.000070Z","0001-02-03T04:05:06","0001-02-03",'
        b'"04:05:06","00000000-0000-0000-0000-00000000000a","+/8="]'
    ),
)


@functools.cache
def check_layout() -> None:
    """See once that msgspec writes values in the documented layout, on which digests rest.

    Raises `DatabackupError`.
    """
    for what, (values, expected) in (("floats", _FLOATS), ("dates, UUIDs or bytes", _OTHERS)):
        if _ENCODER.encode(values) != expected:
            raise DatabackupError(
                f"msgspec {msgspec.__version__} writes {what} in another layout than the archive "
                "format: install another version of it"
            )


def dump(value: Any) -> bytes:
    """A value as compact JSON. Raises UnicodeEncodeError for lone surrogates."""
    return _ENCODER.encode(value)


def dump_lines(values: list[Any]) -> bytes:
    """Values as compact JSON, each followed by a line feed."""
    return _ENCODER.encode_lines(values)


def dump_sorted(values: list[Any]) -> list[bytes]:
    """Each value as compact JSON, with the members of every object sorted by name."""
    if len(values) == 1:  # which may be long, and is not to be held twice
        return [_SORTED.encode(values[0])]
    return _SORTED.encode_lines(values).split(b"\n")[:-1]


class BlockDecoder:
    """The fast lane: reads blocks of lines as values of a type.

    A block is the lines of values with a comma and a line feed between them.
    """

    def __init__(self, type_: Any) -> None:
        self._decoder: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[type_])
        self._line_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(type_)

    def load(self, block: bytes) -> tuple[list[Any], bytes] | None:
        """The values, and their lines as they would be written; None where the strict lane decides.

        Writing what was read gives the same bytes: each line is one value in its own layout.
        """
        is_line = len(block) > LONG and b"\n" not in block
        try:
            if is_line:  # is not copied
                values = [self._line_decoder.decode(block)]
            else:
                values = self._decoder.decode(b"[" + block + b"]")
            lines = _ENCODER.encode_lines(values)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        if is_line:
            same = len(lines) == len(block) + 1 and lines.startswith(block)
        else:
            same = lines.replace(b"\n", b",\n") == block + b",\n"
        return (values, lines) if same else None


def load(text: bytes) -> Any:
    """The value of a JSON text in the strict lane. Raises `JsonTextError`."""
    try:
        return parse_bytes(text)
    except UnicodeDecodeError as error:
        raise JsonTextError(f"byte {error.start + 1} is not UTF-8") from error
