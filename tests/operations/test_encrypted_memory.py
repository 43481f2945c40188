"""An encrypted archive of 100 MB takes no more memory than a small one."""

import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc"),
    pytest.mark.unmeasured,
    pytest.mark.slow,
]

_PROGRAM = """
import sys
from pathlib import Path

from databackup import export_all, verify_archive
from tests.support import keys
from tests.support.made import Made


def peak():
    # Not ru_maxrss, which begins with what the process had that started this one.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024


def both(size):
    made = Made(size, lambda number: "x" * 1000, key="id", ordered=True)
    written = export_all(made, path, encryption=keys.recipients(1, 2)).size
    found = verify_archive(path, decryption=keys.identity())
    assert size == found.records
    return written // 1_000_000


path = sys.argv[1]
both(2_000)
base = peak()
print(both(102_000), peak() - base)
"""


def test_memory(tmp_path: object) -> None:
    """Writing, and reading twice, stay within 30 MB of a small run, in a process of its own."""
    command = [sys.executable, "-c", _PROGRAM, f"{tmp_path}/backup.json.age"]
    size, more = map(int, subprocess.check_output(command, text=True).split())
    assert size > 100
    assert more < 30
