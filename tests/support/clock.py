"""Bounds on the CPU time that a piece of a test takes."""

import contextlib
import gc
import sys
import time
from collections.abc import Iterator

_TRACED = 4  # times as long, at most, as code takes whose coverage is measured


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """See that the block takes less CPU time than this, whatever else is in memory."""
    gc.collect()
    gc.freeze()  # or each collection would look at all that other tests have left
    started = time.process_time()
    try:
        yield
        taken = time.process_time() - started
    finally:
        gc.unfreeze()
    allowed = seconds if sys.gettrace() is None else _TRACED * seconds
    assert taken < allowed, f"{taken:.2f} s of CPU time, and not less than {allowed:g}"
