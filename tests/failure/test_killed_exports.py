import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from databackup import export_all, verify_archive
from tests.support import processes
from tests.support.club import CLUB, memory

pytestmark = pytest.mark.unmeasured

CALLS = {"open", "write", "flush", "fsync", "replace", "rename", "close", "fdopen", "unlink"}


class _Steps:
    """Counts the calls by which a file is written, before and after each; ends the process at one.

    Profiling sees the calls of C functions, whoever makes them.
    """

    def __init__(self, deadly: int | None = None) -> None:
        self.count = 0
        self._deadly = deadly

    def __call__(self, _frame: FrameType, event: str, called: Any) -> None:
        if event in ("c_call", "c_return") and getattr(called, "__name__", "") in CALLS:
            self.count += 1
            if self.count == self._deadly:
                processes.kill_self()


def _export(path: Path, deadly: int | None = None) -> int:
    steps = _Steps(deadly)
    before = sys.getprofile()
    sys.setprofile(steps)
    try:
        export_all(memory(), path)
    finally:
        sys.setprofile(before)
    return steps.count


@pytest.mark.slow
@pytest.mark.parametrize("old", [None, b"the old file"])
@pytest.mark.parametrize("name", ["club.json", "club.json.gz"])
def test_killed_at_every_step(tmp_path: Path, name: str, old: bytes | None) -> None:
    """A process killed at any write, sync or rename leaves the old file or a complete new one."""
    total = _export(tmp_path / f"whole-{name}")
    assert total > 20
    found = []
    for deadly in range(1, total + 2):
        folder = tmp_path / str(deadly)
        folder.mkdir()
        path = folder / name
        if old is not None:
            path.write_bytes(old)
        ended = processes.run(lambda path=path, deadly=deadly: _export(path, deadly))  # type: ignore[misc]
        assert (processes.KILLED if deadly <= total else processes.DONE) == ended
        now = path.read_bytes() if path.exists() else None
        if now != old:
            assert 13 == verify_archive(path, CLUB).records
        found.append(now != old)
        for left in folder.iterdir():
            # What is left over cannot be taken for an archive by its name.
            assert left == path or (left.name.startswith(f".{name}.") and left.suffix == _SUFFIX)
    assert sorted(found) == found
    assert (False, True) == (found[0], found[-1])


_SUFFIX = ".databackup-tmp"
