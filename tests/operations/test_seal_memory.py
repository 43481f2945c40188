"""Sealing takes no more memory for a large edited archive than for a small one."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss in KiB"),
    pytest.mark.unmeasured,
]

_PROGRAM = """
import resource, sys

from databackup import Collection, Schema, seal_archive
from tests.archive.support import chunks_of

schema = Schema(collections=[Collection("t", key="i", fields={"i": int, "s": str})])


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def edited(count):
    # Written line by line, so that this program does not hold it either: no commas, out of order.
    head, _, rest = b"".join(chunks_of(schema, {"t": [(1, "x")]})).partition(b'{"i":1,"s":"x"}')
    with open(sys.argv[1], "wb") as file:
        file.write(head)
        for number in range(count):
            file.write(b'{"i":%d,"s":"%s"}\\r\\n' % (number ^ 1, b"x" * 1000))
        file.write(rest.lstrip())
    report = seal_archive(sys.argv[1], sys.argv[2])
    assert count == report.records


edited(2000)
base = peak()
edited(52_000)
print(peak() - base)
"""


def test_memory(tmp_path: Path) -> None:
    """50 MB of edited lines stay within 40 MB of a small run, though their keys need an index."""
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM, "utf-8")
    root = str(Path(__file__).parents[2])
    output = subprocess.check_output(
        [sys.executable, str(program), str(tmp_path / "edited"), str(tmp_path / "sealed")],
        env={"PYTHONPATH": ":".join([root, *sys.path])},
        text=True,
    )
    assert int(output) < 40
