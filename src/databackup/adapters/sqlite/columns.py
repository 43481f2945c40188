"""Whole columns of a batch at once: what msgspec can read and write in one go, many times as fast.

Each function gives None where something is out of the usual, and each value has to be converted by
itself. What was read is believed only where writing it gives the same text again.
"""

from __future__ import annotations

import datetime
import decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from databackup.adapters._binding import with_nulls
from databackup.adapters._sql import read_json, write_json
from databackup.schema import composite, kinds

if TYPE_CHECKING:
    from databackup.adapters._binding import Whole
    from databackup.adapters.sqlite.forms import Datetimes
    from databackup.schema import Field

DIGITS: Final = 15
"""How many decimal digits a double holds of any number."""
_SEPARATORS: Final[dict[str, str]] = {"space": " ", "T": "T"}
_encode: Final = msgspec.json.Encoder().encode
_floats: Final = msgspec.json.Decoder(list[float]).decode
_decimals: Final = msgspec.json.Decoder(list[decimal.Decimal]).decode
_MOMENTS: Final = {
    zone: msgspec.json.Decoder(
        list[Annotated[datetime.datetime, msgspec.Meta(tz=zone is not None)]]
    ).decode
    for zone in (None, datetime.UTC)
}


def whole_column(
    field: Field, datetimes: Datetimes, scale: int | None
) -> tuple[Whole | None, Whole | None]:
    """The functions that read and write a field's column at once, None where there is none.

    `scale` is that of decimals which stand as numbers in their column.
    """
    kind = field.value_kind
    if isinstance(kind, kinds.DateTime | kinds.DateTimeTz) and datetimes in _SEPARATORS:
        separator = _SEPARATORS[datetimes]
        zone = datetime.UTC if isinstance(kind, kinds.DateTimeTz) else None
        return (
            with_nulls(read_datetimes(separator, zone)),
            with_nulls(write_datetimes(separator, zone)),
        )
    if isinstance(kind, kinds.Decimal) and scale is not None:
        return with_nulls(read_decimals(scale)), None
    if isinstance(kind, composite.Json):
        if field.nullable:
            return with_nulls(read_json), with_nulls(write_json)
        return read_json, write_json
    return None, None


# -- datetimes ---------------------------------------------------------------------------------


def read_datetimes(separator: str, zone: datetime.timezone | None) -> Whole:
    """For text as `datetime.isoformat(separator)` writes it, with the offset of a zone or none."""

    def read(stored: list[Any]) -> list[Any] | None:
        if set(map(type, stored)) != {str}:
            return None
        text = '["' + '","'.join(stored) + '"]'
        try:
            values = _MOMENTS[zone](text)
        except (msgspec.DecodeError, ValueError):
            return None
        if len(values) != len(stored) or {value.tzinfo for value in values} != {zone}:
            return None
        return values if _text(values, separator) == text else None

    return read


def write_datetimes(separator: str, zone: datetime.timezone | None) -> Whole:
    """The opposite of `read_datetimes`."""

    def write(values: list[Any]) -> list[Any] | None:
        if set(map(type, values)) != {datetime.datetime} or {v.tzinfo for v in values} != {zone}:
            return None
        return _text(values, separator)[2:-2].split('","')

    return write


def _text(values: list[datetime.datetime], separator: str) -> str:
    return _encode(values).decode().replace("T", separator).replace("Z", "+00:00")


# -- decimals ----------------------------------------------------------------------------------


def read_decimals(scale: int) -> Whole:
    """For numbers whose fraction has at most `scale` digits."""
    layout = f".{scale}f"

    def read(stored: list[Any]) -> list[Any] | None:
        if not {int, float}.issuperset(map(type, stored)):
            return None
        if any(type(number) is float and not number % 1.0 for number in stored):
            return None
        try:
            texts = [format(number, layout) for number in stored]
            joined = f"[{','.join(texts)}]"
            same = _floats(joined) == stored
        except (OverflowError, msgspec.DecodeError):
            return None
        return _decimals(joined) if same and max(map(len, texts)) <= DIGITS else None

    return read
