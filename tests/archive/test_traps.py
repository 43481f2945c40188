"""Hostile files are refused within 2 seconds and 256 MiB, with a typed error, and nothing changed.

Each large one is imported in a process of its own, whose peak of memory is its own. Times are CPU
times of the import, since other work on the machine is nobody's fault.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.archive.trap import LARGE, LONG, VALUES

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc"),
    pytest.mark.unmeasured,
]

ROOT = Path(__file__).parents[2]
SECONDS = 2.0
MEBIBYTES = 256

REFUSED_AS: dict[str, tuple[str, str | None, int | None]] = {
    "a record of 100 MB": ("limit-exceeded", "record", 8),
    "a record of 1 GB": ("limit-exceeded", "record", 8),
    "a record of 100 MB of brackets": ("limit-exceeded", "record", 8),
    "a header of 1 GB": ("limit-exceeded", "header", 3),
    "an end of 1 GB": ("limit-exceeded", "header", 12),
    "a name of 1 GB": ("limit-exceeded", "record", 6),
    "gzip, spaces": ("limit-exceeded", "record", 8),
    "zstd, spaces": ("limit-exceeded", "record", 8),
    "gzip, spaces in the header": ("limit-exceeded", "header", 3),
    "gzip, spaces alone": ("not-an-archive", None, None),
    "gzip, zeros": ("limit-exceeded", "record", 8),
    "zstd, zeros": ("limit-exceeded", "record", 8),
    "gzip, zeros alone": ("not-an-archive", None, None),
    "zstd, zeros alone": ("not-an-archive", None, None),
    "gzip, line feeds": ("limit-exceeded", "expansion", None),
    "zstd, line feeds": ("limit-exceeded", "expansion", None),
    "gzip, line feeds in the header": ("archive-invalid", None, 5),
    "gzip, spaces behind the seal": ("seal-broken", None, 14),
    "gzip, records": ("limit-exceeded", "expansion", None),
    "zstd, records": ("limit-exceeded", "expansion", None),
    "zstd, a window of 128 MiB": ("limit-exceeded", "expansion", None),
    "zstd, a window of 2 GiB": ("archive-invalid", None, None),
}


def _fallen_into(*names: str) -> list[dict[str, Any]]:
    """The errors of traps in a process of their own, within time and memory, nothing changed."""
    command = [sys.executable, "-m", "tests.archive.trap", *names]
    output = subprocess.check_output(command, cwd=ROOT, text=True)
    found = [json.loads(line) for line in output.splitlines()]
    assert len(names) == len(found)
    for name, one in zip(names, found, strict=True):
        assert one["seconds"] <= SECONDS, name
        assert one["mebibytes"] <= MEBIBYTES, name
        assert one["unchanged"], name
        assert one["error"], name
    return [one["error"] for one in found]


@pytest.mark.parametrize("name", LARGE)
def test_large_traps(name: str) -> None:
    """What is too large is refused by a limit, which the error names, with the line."""
    (error,) = _fallen_into(name)
    assert REFUSED_AS[name] == (error["code"], error.get("limit"), error["line"])
    if error["code"] == "limit-exceeded":
        assert repr(error["limit"]) in error["message"]
        assert f"{error['allowed']:,}" in error["message"]


@pytest.mark.parametrize("operation", ["", "sealing: "])
@pytest.mark.parametrize("name", LONG)
def test_long_traps(name: str, operation: str) -> None:
    """A record as long as may be is refused with the place, by an import and by a seal."""
    (error,) = _fallen_into(operation + name)
    if "digits" in name:
        assert ("limit-exceeded", "values", 8) == (error["code"], error["limit"], error["line"])
    else:
        (problem,) = error["problems"]
        assert ([2], "value") == (problem["key"], problem["field"])
        assert problem["pointer"].startswith("/data/notes/1/value")


def test_hostile_values_in_a_record() -> None:
    """A value that JSON does not have is a problem of its record, which is named."""
    for name, error in zip(VALUES, _fallen_into(*(f"record: {n}" for n in VALUES)), strict=True):
        (problem,) = error["problems"]
        found = (problem["collection"], problem["record"], problem["pointer"])
        inner = "/value/0" if name == "minus infinity" else "/value"
        assert ("notes", 2, f"/data/notes/1{inner}") == found, name
        assert ([2], "value") == (problem["key"], problem["field"]), name


@pytest.mark.parametrize(
    "place, code, message",
    [
        ("header", "archive-invalid", "the header cannot be read: "),
        ("end", "archive-invalid", "the end cannot be read: "),
        ("file", "not-an-archive", "the file "),
    ],
)
def test_hostile_values_elsewhere(place: str, code: str, message: str) -> None:
    """The same in the header, in the end, and as the whole file: refused, saying where."""
    for error in _fallen_into(*(f"{place}: {name}" for name in VALUES)):
        assert code == error["code"]
        assert error["message"].startswith(message)
