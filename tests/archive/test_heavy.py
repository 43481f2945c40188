"""Hostile archives below the limits of size are read or refused in good time and little memory.

By import, verification and seal, in a process of its own for each. What is promised is 2 s and 256
MiB; counted are CPU seconds, so that other work on the machine does not matter much.

Large records have 10 MB here, not 64 MiB, and less time and memory in proportion, but for twice the
time, since caches are shared with others. The rest is at its limits as it stands.

Two cases are no attacks: "arrays" and "objects, half as many as the limit" are sound big values, as
are "decimals in many records", each of which is small. They take what it takes to read them: with
more records more time, but no more memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.archive.heavy import HEAVY, SIZE, written

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc"),
    pytest.mark.unmeasured,
]

ROOT = Path(__file__).parents[2]
# Or glibc would keep for later what is freed, up to 32 MiB at once. Nor is coverage measured.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("COV")} | {
    "MALLOC_MMAP_THRESHOLD_": str(1024 * 1024)
}
SECONDS = 2.0
LARGE_SECONDS = 0.7
MEBIBYTES = 110
MOST = 225
"""MiB beside the 30 that the process has to begin with."""
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
    "bad escapes": ("Invalid \\\\escape", "Invalid \\\\escape", "Invalid \\\\escape", SMALL),
    "surrogates": ("lone surrogate", "lone surrogate", "lone surrogate", SMALL),
    "bad escapes in a collection's name": ("'header'", "'header'", "Invalid \\\\escape", SMALL),
    "a number": ("1000 characters", "1000 characters", "1000 characters", SMALL),
    "numbers": ("1000 characters", "1000 characters", "1000 characters", SMALL),
    "large exponents": ("'record'", "'record'", "'record'", MEBIBYTES),
    "large exponents, not too many": ("digest", "digest", None, MEBIBYTES),
    "decimals beyond the limit": ("'record'", "'record'", "'record'", MEBIBYTES),
    "decimals, as many as there may be": ("count", "count", None, MOST),
    "decimals in many records": ("count", "count", None, MEBIBYTES),
    "long fractions beyond the limit": ("'values'", "'values'", "'values'", MEBIBYTES),
    "long fractions": ("digest", "digest", None, MEBIBYTES),
    "arrays, half as many as the limit": ("digest", "digest", None, MEBIBYTES),
    "objects, half as many as the limit": ("digest", "digest", None, MEBIBYTES),
    "arrays beyond the limit": ("'values'", "'values'", "'values'", MEBIBYTES),
    "records that are none": ("expected an object", "reading was stopped", "stopped", MEBIBYTES),
    "blank lines": ("not one record each", "not one record each", None, SMALL),
    "empty collections": (None, None, None, MEBIBYTES),
    "wide collections": (None, None, None, MEBIBYTES),
}


OPERATIONS = ("import", "verify", "seal")


@pytest.fixture(scope="module")
def reader() -> Iterator[subprocess.Popen[str]]:
    """The program that reads them."""
    command = [sys.executable, "-m", "tests.archive.heavy"]
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.parametrize("name", HEAVY)
def test_heavy_archives(name: str, tmp_path: Path, reader: subprocess.Popen[str]) -> None:
    """Each is answered within time and memory, and what is refused says why."""
    path = tmp_path / "heavy.json"
    written(name, path)
    *expected, mebibytes = FOUND[name]
    seconds = LARGE_SECONDS if mebibytes == SMALL else SECONDS
    answer = _answer(reader, path)
    path.unlink()
    for operation, message in zip(OPERATIONS, expected, strict=True):
        found = answer[operation]
        if message is None:
            assert found["error"] is None, operation
        else:
            assert message in json.dumps(found["error"], ensure_ascii=False), operation
        assert found["seconds"] <= seconds, operation
    assert answer["mebibytes"] <= mebibytes, answer["mebibytes"]


def _answer(reader: subprocess.Popen[str], path: Path) -> dict[str, Any]:
    assert reader.stdin is not None
    assert reader.stdout is not None
    reader.stdin.write(f"{path}\n")
    reader.stdin.flush()
    answer: dict[str, Any] = json.loads(reader.stdout.readline())
    return answer


def test_each_is_expected() -> None:
    """The table has an answer for each, and for nothing else."""
    assert set(HEAVY) == set(FOUND)
