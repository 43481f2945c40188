"""Hostile archives below the limits of size are read or refused in good time and little memory.

By import, verification and seal, in a process of its own for each. To be quick, they are smaller
here than the limits allow, and so are time and memory: large records have 16 MB, not 64 MiB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.archive.heavy import HEAVY, SIZE, written

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

ROOT = Path(__file__).parents[2]
# Or glibc would keep for later what is freed, up to 32 MiB at once.
ENVIRONMENT = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1024 * 1024)}
SECONDS = 2.0
MEBIBYTES = 110
SMALL = SIZE * 9 // 2
"""MiB for a large record: four times the record, and some more."""

# What each is refused as, by import, verification and seal, and the most MiB that it takes.
FOUND: dict[str, tuple[str | None, str | None, str | None, int]] = {
    "brackets behind a name twice": ("twice in one object", "twice", "twice", SMALL),
    "brackets behind brackets": ("Expecting ','", "Expecting ','", "Expecting ','", SMALL),
    "a surrogate before a long text": ("surrogate", "surrogate", "surrogate", SMALL),
    "a surrogate in a long text": ("surrogate", "surrogate", "surrogate", SMALL),
    "a name twice behind a long text": ("'a' stands twice", "twice", "twice", SMALL),
    "bad syntax behind a long text": (
        "Expecting value",
        "Expecting value",
        "Expecting value",
        SMALL,
    ),
    "no UTF-8 in a long text": ("is not UTF-8", "is not UTF-8", "is not UTF-8", SMALL),
    "escapes and a name twice": ("twice", "twice", "twice", SMALL),
    "large exponents": ("'record'", "'record'", "'record'", MEBIBYTES),
    "large exponents, not too many": ("digest", "digest", None, MEBIBYTES),
    "long fractions": ("digest", "digest", None, MEBIBYTES),
    "arrays, half as many as the limit": ("digest", "digest", None, MEBIBYTES),
    "objects, half as many as the limit": ("digest", "digest", None, MEBIBYTES),
    "arrays beyond the limit": ("'values'", "'values'", "'values'", MEBIBYTES),
    "records that are none": ("expected an object", "reading was stopped", "stopped", MEBIBYTES),
    "blank lines": ("not one record each", "not one record each", None, SMALL),
    "empty collections": ("differ", None, None, MEBIBYTES),
    "wide collections": ("differ", None, None, MEBIBYTES),
}


@pytest.mark.parametrize("name", HEAVY)
def test_heavy_archives(name: str, tmp_path: Path) -> None:
    """Each is answered within time and memory, and what is refused says why."""
    written(name, tmp_path / "heavy.json")
    command = [sys.executable, "-m", "tests.archive.heavy", str(tmp_path / "heavy.json")]
    answer: dict[str, Any] = json.loads(subprocess.check_output(command, cwd=ROOT, env=ENVIRONMENT))
    *expected, mebibytes = FOUND[name]
    for operation, message in zip(("import", "verify", "seal"), expected, strict=True):
        found = answer[operation]
        if message is None:
            assert found["error"] is None, operation
        else:
            assert message in json.dumps(found["error"], ensure_ascii=False), operation
        assert found["seconds"] <= SECONDS, operation
    assert answer["mebibytes"] <= mebibytes, answer["mebibytes"]


def test_each_is_expected() -> None:
    """The table has an answer for each, and for nothing else."""
    assert set(HEAVY) == set(FOUND)
