"""How numbers stand in columns: their ranges, their digits, and what a FLOAT rounds."""

from __future__ import annotations

import decimal
import math
import re
import struct
from typing import TYPE_CHECKING, Any, Final

from databackup.adapters._binding import Form, with_nulls
from databackup.adapters.sqlalchemy.mysql.columns import details, integer_range
from databackup.schema import KindError
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from databackup.adapters._binding import Whole
    from databackup.adapters.sqlalchemy.catalogue import Column

_YEARS: Final = (1901, 2155)
_DIGITS: Final = 10  # of DECIMAL without a precision
_WIDE: Final = decimal.Context(prec=200)


def bool_form() -> Form:
    """Of true and false as 1 and 0."""

    def read(stored: Any) -> Any:
        return stored == 1 if type(stored) is int and 0 <= stored <= 1 else stored

    def write(value: Any) -> int:
        if type(value) is not bool:
            raise KindError("true or false", shown(value))
        return int(value)

    def write_all(values: list[Any]) -> list[Any] | None:
        return list(map(int, values)) if set(map(type, values)) == {bool} else None

    return Form(read, write, write_all=with_nulls(write_all))


def int_form(column: Column) -> Form:
    """Of integers in a column of integers, of years, or of decimals without a fraction."""
    is_year = details(column).type == "year"
    least, largest = _YEARS if is_year else integer_range(column) or (0, 0)

    def write(value: Any) -> int:
        if type(value) is not int:
            raise KindError("an integer", shown(value))
        if not least <= value <= largest and not (is_year and value == 0):
            raise KindError(f"an integer from {least} to {largest}", shown(value))
        return value

    def write_all(values: list[Any]) -> list[Any] | None:
        if set(map(type, values)) != {int}:
            return None
        return values if least <= min(values) and max(values) <= largest else None

    read = _int if details(column).type == "decimal" else None
    return Form(read, write, write_all=with_nulls(write_all))


def _int(stored: Any) -> Any:
    if type(stored) is decimal.Decimal and stored == stored.to_integral_value():
        return int(stored)
    return stored


def float_form(column: Column) -> Form:
    """Of doubles, also in a FLOAT, which holds few of them."""
    known = details(column)
    is_single, scale, unsigned = known.type == "float", known.scale, known.unsigned

    def write(value: Any) -> float:
        number = float(value) if type(value) is int and abs(value) <= 2**53 else value
        if type(number) is not float or not math.isfinite(number):
            raise KindError("a finite number", shown(value))
        if not number and math.copysign(1.0, number) < 0.0:
            raise KindError("0.0, as -0.0 would lose its sign", shown(value))
        if unsigned and number < 0.0:
            raise KindError("a number that is not negative", shown(value))
        if is_single and not _is_single(number):
            raise KindError("a number that 32 bits hold", shown(value))
        if scale is not None and round(number, scale) != number:
            raise KindError(f"a number of {scale} decimal places", shown(value))
        return number

    if is_single or scale is not None:
        return Form(None, write)
    return Form(None, write, write_all=with_nulls(_doubles(unsigned=unsigned)))


def _doubles(*, unsigned: bool) -> Whole:
    """A function that passes on finite doubles, none of which is −0.0."""

    def write_all(values: list[Any]) -> list[Any] | None:
        if set(map(type, values)) != {float} or not all(map(math.isfinite, values)):
            return None
        if unsigned and min(values) < 0.0:
            return None
        return None if 0.0 in values and "-0.0" in map(repr, values) else values

    return write_all


def _is_single(number: float) -> bool:
    try:
        (single,) = struct.unpack("f", struct.pack("f", number))
    except OverflowError:
        return False
    return bool(single == number)


def decimal_form(column: Column) -> Form:
    """Of decimals of a precision and a scale, beyond which the server rounds."""
    known = details(column)
    precision, scale, unsigned = known.precision or _DIGITS, known.scale or 0, known.unsigned
    step = decimal.Decimal(1).scaleb(-scale)
    largest = decimal.Decimal(10) ** (precision - scale)

    def write(value: Any) -> decimal.Decimal:
        if type(value) is not decimal.Decimal or not value.is_finite():
            raise KindError("a decimal number", shown(value))
        if abs(value) >= largest or (unsigned and value < 0):
            raise KindError(f"a decimal number as {column.declared} holds it", shown(value))
        if _WIDE.quantize(value, step) != value:
            raise KindError(f"a decimal number in steps of {step}", shown(value))
        return value

    are_held = held_decimals(column)

    def write_all(values: list[Any]) -> list[Any] | None:
        if set(map(type, values)) != {decimal.Decimal}:
            return None
        return values if are_held("\n".join(map(str, values))) else None

    return Form(None, write, write_all=with_nulls(write_all))


def _whole(digits: int) -> str:
    return f"(?:0|[1-9][0-9]{{0,{digits - 1}}}+)" if digits else "0"


def held_decimals(column: Column) -> Callable[[str], bool]:
    """Whether a column holds all of the decimals on some lines, in plain notation, as they are."""
    known = details(column)
    precision, scale = known.precision or _DIGITS, known.scale or 0
    fraction = rf"(?:\.[0-9]{{1,{scale}}}+)?" if scale else ""
    number = f"{'' if known.unsigned else '-?'}{_whole(precision - scale)}{fraction}"
    lines = re.compile(rf"{number}(?:\n{number})*+")
    return lambda text: lines.fullmatch(text) is not None
