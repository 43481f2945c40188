"""PostgreSQL's text of arrays, rows, spans of time and float4."""

import datetime
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from databackup.adapters.sqlalchemy.postgresql.arrays import array_text, parse_array
from databackup.adapters.sqlalchemy.postgresql.copytext import copied, copy_text
from databackup.adapters.sqlalchemy.postgresql.forms import _float4
from databackup.adapters.sqlalchemy.postgresql.times import _timedelta, _timedelta_text
from databackup.schema import KindError

_TEXTS = st.text(alphabet="ab\\\"{},\t\n\r NULnul'é")


@given(st.lists(_TEXTS | st.none()))
@example(["NULL", None, "", "null", " a", "a b", "\\N"])
def test_arrays_come_back(items: list[str | None]) -> None:
    """Whatever their elements hold."""
    assert items == parse_array(array_text(items))


@pytest.mark.parametrize(
    "text", ["{{1},{2}}", "[2:3]={1,2}", "{1,}", "{,1}", "{1", "1}", '{"a}', "{1}2}", "{a\\b}"]
)
def test_no_plain_array(text: str) -> None:
    """More dimensions, bounds of their own, and what is no array."""
    assert parse_array(text) is None


@given(
    st.integers(1, 3).flatmap(
        lambda width: st.lists(st.tuples(*[_TEXTS | st.none()] * width), max_size=4)
    )
)
@example([("\\N", None)])
@example([("a\tb", "c")])
@example([("a\nb",)])
def test_rows_are_escaped_where_they_have_to_be(rows: list[tuple[str | None, ...]]) -> None:
    """The text of all is that of each value, escaped or not."""
    assert copy_text(rows) == "".join("\t".join(map(copied, row)) + "\n" for row in rows)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float4_keeps_what_it_writes(single: float) -> None:
    """The shortest decimal number that a float4 gives back is taken, and is what it gives back."""
    text = next(
        t
        for t in (format(single, f".{n}g") for n in range(1, 10))
        if struct.unpack("f", struct.pack("f", float(t)))[0] == single
    )
    assert text == _float4(float(text))


@pytest.mark.parametrize("value", [0.1234567890123, 1e39, 1 / 3])
def test_float4_refuses_what_it_would_round(value: float) -> None:
    """A double with more digits than it has."""
    with pytest.raises(KindError):
        _float4(value)


@given(st.timedeltas())
@example(datetime.timedelta(seconds=-1.5))
@example(datetime.timedelta(days=-1, microseconds=1))
def test_spans_of_time_have_one_sign(value: datetime.timedelta) -> None:
    """Days and seconds of one sign, as PostgreSQL itself makes them of a difference."""
    text = _timedelta_text(value)
    months, _, days, _, seconds, _ = text.split()
    assert "0" == months
    assert int(days) * 86400 * 10**6 + round(float(seconds) * 10**6) == pytest.approx(
        value // datetime.timedelta(microseconds=1)
    )
    assert not (int(days) > 0 and seconds.startswith("-"))
    assert not (int(days) < 0 < float(seconds))


@pytest.mark.parametrize(
    "text, value",
    [
        ("PT0S", datetime.timedelta()),
        ("P1DT2H3M4.5S", datetime.timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("P-1DT-0.000001S", datetime.timedelta(days=-1, microseconds=-1)),
        ("PT-2H-3M-4S", -datetime.timedelta(hours=2, minutes=3, seconds=4)),
    ],
)
def test_spans_are_read(text: str, value: datetime.timedelta) -> None:
    """As PostgreSQL writes them in ISO 8601."""
    assert value == _timedelta(text)
