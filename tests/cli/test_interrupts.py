"""Ctrl-C in real processes, at every stage of an import and at any time."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Workshop
from tests.support.sqlite import dump, run

COMMAND = (sys.executable, "-m", "databackup")
CANCELLED = "cancelled; nothing was changed\n"

STALLING = """
import contextlib, os, signal, time
import databackup.cli.imports
from {app} import repository as inner

signal.signal(signal.SIGINT, signal.default_int_handler)  # may have been ignored
inner = inner()

def stall(stage):
    if stage == os.environ["STAGE"]:
        print("reached", flush=True)
        time.sleep(30)

@contextlib.contextmanager
def bar(first, *, wanted=True):
    yield lambda progress: stall(progress.stage)

databackup.cli.imports.progress_bar = bar

class Stalling:
    schema = inner.schema
    capabilities = inner.capabilities
    place = inner.place
    snapshot = inner.snapshot
    @contextlib.contextmanager
    def transaction(self, *, wait=5.0):
        stall("waiting")
        with inner.transaction(wait=wait) as transaction:
            finish = transaction.finish
            def finishing(*args, **options):
                finish(*args, **options)
                stall("finishing")
            transaction.finish = finishing
            yield transaction

repository = Stalling()
"""
STAGES = (
    "checking",
    "waiting",
    "backing up",
    "verifying",
    "validating",
    "writing",
    "checking references",
    "finishing",
    "reading back",
    "committing",
)


def _start(*arguments: str, stage: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "STAGE": stage},
    )


def _files() -> list[Path]:
    """What is in the current folder, but for what Python puts there."""
    return sorted(path for path in Path().iterdir() if path.name != "__pycache__")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("times", [1, 3])
def test_at_each_stage(workshop: Workshop, stage: str, times: int) -> None:
    """SIGINT, once or again and again: the store is as it was, the terminal says so, exit 130."""
    app = workshop.app()
    archive = workshop.archive(app)
    run(
        workshop.database,
        "DELETE FROM orders WHERE id > 10",
        "UPDATE people SET name = 'Al' WHERE id = 1",
    )
    before, files = workshop.dump(), _files()
    target = workshop.module(STALLING.format(app=app.partition(":")[0]))
    files.append(Path(f"{target}.py"))
    child = _start("import", str(archive), f"{target}:repository", "--yes", stage=stage)
    try:
        assert child.stdout
        assert "reached\n" == child.stdout.readline()
        for _ in range(times):
            child.send_signal(signal.SIGINT)
            time.sleep(0.01)
        _, told = child.communicate(timeout=30)
    finally:
        child.kill()
        child.communicate()
    assert (130, CANCELLED) == (child.returncode, told)
    assert before == workshop.dump()
    assert sorted(files) == _files()


@pytest.mark.slow
@pytest.mark.unmeasured
def test_at_any_time(workshop: Workshop) -> None:
    """Whenever it comes: either it is cancelled, and says so, or it is done, and says so."""
    rows = ", ".join(f"({number}, 'name {number}')" for number in range(10, 20_000))
    run(workshop.database, f"INSERT INTO people VALUES {rows}")
    archive = workshop.archive()
    new = workshop.dump()
    run(workshop.database, "DELETE FROM orders", "UPDATE people SET name = 'x' || id WHERE id % 2")
    original = workshop.database.read_bytes()
    old = workshop.dump()
    (workshop.folder / "safety").mkdir()
    arguments = ("import", str(archive), "shop.db", "--yes", "--safety-backup", "safety")
    start = time.perf_counter()
    child = _start(*arguments)
    child.communicate(timeout=60)
    takes = time.perf_counter() - start
    draw = random.Random(1)
    ends = []
    for _ in range(12):
        workshop.database.write_bytes(original)
        for path in Path("safety").iterdir():
            path.unlink()
        child = _start(*arguments)
        time.sleep(draw.uniform(0.3, 1.1) * takes)
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=60)
        ends.append(child.returncode)
        held = dump(workshop.database)
        if child.returncode == 0:
            assert (new, 1) == (held, len(list(Path("safety").iterdir())))
            assert "imported" in told
        else:
            assert old == held
            if child.returncode == 130:  # else it came while Python itself began
                assert told.lstrip("\n") in (CANCELLED, "")  # click ends the line
                assert [] == list(Path("safety").iterdir())
    assert 130 in ends
