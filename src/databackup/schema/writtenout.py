"""How long JSON text is with its numbers written out, as in the canonical form: nothing is parsed.

`1e300` is 301 digits. So is `"1E+300"` where it is a decimal, which may have 131,073; no other kind
has a canonical form that is much longer than its text. Exponents below 10 are not counted.
"""

from __future__ import annotations

import decimal
import itertools
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_Item = TypeVar("_Item")
_STRINGS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_EXPONENTS: Final = re.compile(rb"[eE](?<=[0-9][eE])\+?0*+([1-9][0-9]{1,2})(?![0-9])")
_DECIMALS: Final = re.compile(rb'E\+(?<=[0-9]E\+)([1-9][0-9]{1,5})"')
_LARGEST_EXPONENT: Final = 308
_MANY: Final = 1000
_LONG: Final = 128 * 1024  # which only long records are; a look at all others would cost more
_MOST_GROWTH: Final = 60  # what is shorter than `1e308,` grows less
_MOST_DIGITS: Final = 10**6  # no exponent of a decimal has more than six
_HELD: Final = 16 * 1024 * 1024


def longer_written_out(limit: int, text: bytes, *, decimals: bool = False) -> bool:
    """Whether a JSON text, which may be unsound, is longer with its numbers written out.

    `decimals` says whether there may be decimals in it.
    """
    if not may_be_longer(limit, text, decimals=decimals):
        return False
    if len(text) > limit:
        return True
    lengths = itertools.accumulate(_exponents(text, decimals=decimals), initial=len(text))
    return any(length > limit for length in lengths)


def may_be_longer(limit: int, text: bytes, *, decimals: bool = False) -> bool:
    """As `longer_written_out`, by a glance; texts of many lines are mostly done with."""
    if decimals and b"+" in text:  # one character is found in a tenth of the time of two
        large = text.count(b"E+")
        if large and len(text) + _MOST_DIGITS * large > limit:
            return True
    if len(text) * _MOST_GROWTH <= limit:
        return False
    return len(text) + _LARGEST_EXPONENT * (text.count(b"e") + text.count(b"E")) > limit


def length_written_out(text: bytes, *, decimals: bool = False) -> int:
    """How long a sound JSON text is with its numbers written out: see `longer_written_out`."""
    return len(text) + sum(_exponents(text, decimals=decimals))


def has_many_exponents(text: bytes) -> bool:
    """Whether there are so many large exponents in a text that msgspec would take long over them.

    It takes some ten microseconds for each; the standard json takes one.
    """
    if len(text) < _LONG:
        return False
    if text.count(b"e2") + text.count(b"e3") + text.count(b"E") < _MANY:
        return False
    found = _EXPONENTS.finditer(_STRINGS.sub(b"0", text))
    return next(itertools.islice(found, _MANY, None), None) is not None


def may_be_held(text: bytes) -> bool:
    """Whether the canonical forms of a text with decimals can be held all at once."""
    return not longer_written_out(_HELD, text, decimals=True)


def parts_held(items: Sequence[_Item], lengths: Sequence[int]) -> Iterator[list[_Item]]:
    """Records, as many at a time as their lengths allow to hold at once, one at least."""
    part: list[_Item] = []
    total = 0
    for item, length in zip(items, lengths, strict=True):
        if part and total + length > _HELD:
            yield part
            part, total = [], 0
        part.append(item)
        total += length
    if part:
        yield part


def digits_may_be_held(values: Iterable[Any]) -> bool:
    """Whether the decimals in values, in plain notation, can be held all at once, by a glance."""
    present = [value for value in values if value is not None]
    try:
        return sum(map(abs, map(decimal.Decimal.adjusted, present))) <= _HELD
    except TypeError:
        return False  # values with decimals in them


def digits_of_decimals(value: Any) -> int:
    """About how many digits the decimals in a value have in plain notation."""
    if type(value) is decimal.Decimal:
        return abs(value.adjusted())
    if type(value) is list:
        return sum(map(digits_of_decimals, value))
    if type(value) is dict:
        return sum(map(digits_of_decimals, value.values()))
    return 0


def _exponents(text: bytes, *, decimals: bool) -> Iterator[int]:
    numbers = _EXPONENTS.finditer(_STRINGS.sub(b"0", text))
    in_strings = _DECIMALS.finditer(text) if decimals else ()
    return (int(found[1]) for found in itertools.chain(numbers, in_strings))
