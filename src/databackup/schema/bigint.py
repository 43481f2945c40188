"""Integers of many digits to text and back, in halves: Python's own ways take the square."""

from __future__ import annotations

import decimal
import functools
from typing import Final

_DIGITS: Final = 1000  # up to here Python's own way is fast, and allowed
_BITS: Final = 3 * _DIGITS
_EXACT = decimal.Context(
    prec=decimal.MAX_PREC, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[decimal.Inexact]
)


def digits_of(value: int) -> str:
    """An integer in decimal digits, with a minus sign where it is negative."""
    if value.bit_length() <= _BITS:
        return str(value)
    digits = str(_decimal(abs(value), value.bit_length()))
    return "-" + digits if value < 0 else digits


def from_digits(text: str) -> int:
    """The integer of decimal digits, ASCII, with or without a minus sign."""
    if len(text) <= _DIGITS:
        return int(text)
    if text.startswith("-"):
        return -from_digits(text[1:])
    low = len(text) // 2
    # 10^n is 5^n, shifted.
    high = from_digits(text[:-low]) * _power_of_five(low) << low
    return high + from_digits(text[-low:])


def _decimal(value: int, bits: int) -> decimal.Decimal:
    """A natural number as a decimal, whose multiplication is the faster one."""
    if bits <= _BITS:
        return decimal.Decimal(value)
    low = bits // 2
    high = _EXACT.multiply(_decimal(value >> low, bits - low), _power_of_two(low))
    return _EXACT.add(high, _decimal(value & ((1 << low) - 1), low))


# Halves of halves: a number needs a power or two of each size, the next one of its length the same.


@functools.lru_cache(maxsize=32)
def _power_of_five(exponent: int) -> int:
    return int(5**exponent)


@functools.lru_cache(maxsize=32)
def _power_of_two(exponent: int) -> decimal.Decimal:
    return _EXACT.power(decimal.Decimal(2), exponent)
