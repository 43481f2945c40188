"""Long hostile text takes the patterns that look through it a few passes, and little memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator

import pytest

from databackup.archive.limits import DEFAULTS
from databackup.archive.lines import EditedLines, NotInLines
from databackup.schema.jsonshort import shortened
from databackup.schema.jsontext import _LONG_NUMBERS, more_values_than
from tests.archive.trap import BEFORE

MB = 1_000_000


@pytest.fixture
def traced() -> Iterator[None]:
    """Memory is traced, that of patterns as well."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("text", [b"1" * 200_000, b"1." * 100_000, b"9" * 100_000 + b"x,"])
def test_long_numbers_are_looked_at_once(text: bytes) -> None:
    """Not once for each of their digits, which would be half a minute here, and days for 50 MB."""
    started = time.process_time()
    more_values_than(1_000, b"[" + text + b"]")
    assert time.process_time() - started < 1


@pytest.mark.usefixtures("traced")
def test_strings_beyond_the_limit_are_not_cut_out() -> None:
    """They would be held in pieces, each several times as large as its text."""
    text = b"{" + b'"a":0,' * 500_000 + b"}"
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    assert more_values_than(200_000, text)
    assert tracemalloc.get_traced_memory()[1] - before < 4 * MB


@pytest.mark.parametrize("character", [b"x", rb"\n"])
@pytest.mark.usefixtures("traced")
def test_a_long_name_of_a_collection_takes_no_memory_for_each_character(character: bytes) -> None:
    """Where lines are looked for that begin a collection."""
    header = BEFORE[: BEFORE.index(b'"data":{\n') + len(b'"data":{\n')]
    lines = EditedLines(iter([header, b'"' + character * MB + b"\n"]), DEFAULTS)
    lines.header()
    with pytest.raises(NotInLines):
        next(lines.collections())
    assert tracemalloc.get_traced_memory()[1] < 20 * MB


FLAWS = [rb"\a", rb"\aXX", rb"\ud800X\nY", rb"\ud800\a", rb"\u12", b"\x01X", b"\x01"]


@pytest.mark.parametrize("text", FLAWS)
def test_of_many_flaws_the_first_is_kept(text: bytes) -> None:
    """There may be 30 million of them in a record, and each parser would look at them anew."""
    assert len(shortened(b'["%s"]' % (text * 2 * MB)).text) < 20


def test_behind_a_flaw_strings_are_cut_as_well() -> None:
    """Lone surrogates behind the first one, and whatever else behind bad syntax."""
    text = b"x" * MB
    whole = rb'["\ud800%b","\ud801%b","\a%b","\b%b","\a%b"]' % ((text,) * 5)
    assert r'["\ud800","","\a","",""]' == shortened(whole).text


def test_of_a_name_is_kept_what_stands_before_its_first_flaw() -> None:
    """Nobody reads what follows it, be it a collection's name of 60 MB."""
    assert '{"name\\a":1}' == shortened(b'{"name%s":1}' % (rb"\a" * MB)).text


@pytest.mark.parametrize("start", [b"", b"-", b"0.", b"1e"])
def test_of_a_number_that_is_too_long_enough_is_kept(start: bytes) -> None:
    """It is refused as it stands, and nobody parses 50 million digits."""
    short = shortened(b"[%s%s,1]" % (start, b"7" * 2 * MB))
    assert f"[{start.decode()}{'7' * 1001},1]" == short.text
    assert 2 * MB + len(start) + 2 == short.offset(short.text.index(",1") + 1)


def test_digits_within_strings_are_no_number() -> None:
    """They are cut with their string, or kept where that is a name."""
    digits = b"7" * MB
    whole = b'{"%s":"%s","a":%s}' % (digits, digits, digits)
    assert f'{{"{digits.decode()}":"","a":{"7" * 1001}}}' == shortened(whole).text


def test_a_long_number_is_one() -> None:
    """It is found once, as a whole."""
    (found,) = _LONG_NUMBERS.finditer(b"[" + b"7" * MB + b"]")
    assert (1, MB + 1) == found.span()
