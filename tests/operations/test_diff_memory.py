"""A comparison holds a few batches, whatever is compared."""

import tracemalloc
from typing import Any

import pytest

from databackup import diff
from tests.support.made import BATCH, Made


def _wide(number: int) -> str:
    return f"{number}-" * 100


def _other(number: int) -> str:
    return _wide(number) if number % 3 else "other"


def test_in_key_order_neither_side_runs_ahead() -> None:
    """Where both sides are in key order they are read side by side, a batch or two apart."""
    one = Made(100 * BATCH, _wide, key="id", ordered=True)
    two = Made(100 * BATCH, _other, key="id", ordered=True)
    apart: list[int] = []
    found = diff(one, two, progress=lambda _: apart.append(abs(one.pulled - two.pulled)))
    assert (0, 3334, 0, 6666) == (found.added, found.changed, found.removed, found.unchanged)
    assert 200 == len(apart)
    assert max(apart) <= 1


@pytest.mark.parametrize(
    "options",
    [{"key": "id", "ordered": True}, {"key": "id"}, {}],
    ids=["in key order", "by index", "without a key"],
)
def test_memory(options: dict[str, Any]) -> None:
    """Ten times the records take no more memory; all of them would take twenty megabytes."""
    peaks = []
    diff(Made(BATCH, _wide, **options), Made(BATCH, _other, **options))
    for size in (3_000, 30_000):
        tracemalloc.start()
        found = diff(Made(size, _wide, **options), Made(size, _other, **options))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert size == found.unchanged + max(found.changed, found.removed)
    assert peaks[1] - peaks[0] < 1_000_000
    assert peaks[1] < 4_000_000
