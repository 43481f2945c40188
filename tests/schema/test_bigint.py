"""Integers of many digits, against Python's own slow ways."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from databackup.schema.bigint import digits_of, from_digits
from databackup.schema.kind import KindError
from databackup.schema.kinds import MAX_DECIMAL_DIGITS, Int
from tests.support.clock import within


@given(
    digits=st.one_of(st.integers(1, 40), st.integers(890, 1010), st.integers(1, 9000)),
    low=st.integers(0, 10**30),
    first=st.integers(1, 9),
    negative=st.booleans(),
)
@example(digits=1, low=0, first=1, negative=True)
@example(digits=8000, low=0, first=9, negative=True)
def test_both_ways(digits: int, low: int, first: int, negative: bool) -> None:
    """The text is what a Decimal of the integer gives, and the integer comes back."""
    value = first * 10 ** (digits - 1) + low
    value = -value if negative else value
    text = digits_of(value)
    assert f"{Decimal(value):f}" == text
    assert value == from_digits(text)


@given(st.integers(0, 200), st.integers(4000, 5000))
def test_zeros_and_nines(zeros: int, length: int) -> None:
    """Digits are not lost where a half of them begins with zeros."""
    for text in ("1" + "0" * length + "9" * zeros, "9" * length, "1" + "0" * length):
        assert text == digits_of(from_digits(text))


def test_the_longest_take_no_time() -> None:
    """Twenty integers of as many digits as the format allows are read and written in seconds."""
    text = "7" * MAX_DECIMAL_DIGITS
    kind = Int()
    with within(4):  # it was 0.7 seconds for each
        for _ in range(20):
            assert text == kind.encode(kind.decode(text))


def test_longer_ones_are_refused() -> None:
    """One digit more than the format allows is refused, on the way in and out."""
    with pytest.raises(KindError):
        Int().decode("7" * (MAX_DECIMAL_DIGITS + 1))
    with pytest.raises(KindError, match="at most 131072 digits"):
        Int().encode(10**MAX_DECIMAL_DIGITS)
