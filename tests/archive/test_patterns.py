"""Long hostile text takes the patterns that look through it a few passes, and little memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator

import pytest

from databackup.archive.limits import DEFAULTS
from databackup.archive.lines import EditedLines, NotInLines
from databackup.schema.jsonshort import _SOUND
from databackup.schema.jsontext import more_values_than
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


@pytest.mark.parametrize("text", [rb"\a", rb"\aXX", rb"\ud800X\nY", b"\x01X", b"\x01"])
def test_flaws_close_to_each_other_are_passed_over_at_once(text: bytes) -> None:
    """There may be 30 million of them in a record."""
    assert sum(1 for _ in _SOUND.finditer(text * 1000)) <= 2
