import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from databackup import Schema, export_all, export_all_async, import_all_async
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import SealBroken
from databackup.operations.reports import Progress
from databackup.repository import Repository
from databackup.schema import Collection
from tests.support import sqlite

SCHEMA = Schema(
    collections=[Collection("items", key="id", fields={"id": int, "name": str, "price": float})]
)


def _database(path: Path, count: int) -> Repository:
    repository = SQLiteRepository(sqlite.create(path, SCHEMA), SCHEMA)
    with repository.transaction() as transaction:
        rows = [(number, f"item {number} " * 5, number / 7) for number in range(count)]
        transaction.insert(SCHEMA["items"], rows)
    return repository


@contextlib.asynccontextmanager
async def _stalls() -> AsyncIterator[list[float]]:
    """The longest time for which the loop did nothing else, in seconds."""
    longest = [0.0]

    async def tick() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            longest[0] = max(longest[0], now - last)
            last = now

    task = asyncio.create_task(tick())
    await asyncio.sleep(0)
    yield longest
    await asyncio.sleep(0.01)
    task.cancel()


def test_the_loop_goes_on(tmp_path: Path) -> None:
    """Neither an export nor an import of 20,000 records holds it for a quarter of a second."""
    full, empty = _database(tmp_path / "a.db", 20_000), _database(tmp_path / "b.db", 0)

    async def both() -> list[float]:
        async with _stalls() as longest:
            await export_all_async(full, tmp_path / "a.json")
            report = await import_all_async(empty, tmp_path / "a.json")
        assert report.added == 20_000
        return longest

    (longest,) = asyncio.run(both())
    assert 0 < longest < 0.25


def test_options_and_errors_are_those_of_the_plain_functions(tmp_path: Path) -> None:
    """Both come through the thread; progress is told there."""
    repository = _database(tmp_path / "a.db", 2)
    threads = set()

    async def both() -> None:
        await export_all_async(
            repository, tmp_path / "a.json", progress=lambda _: threads.add(threading.get_ident())
        )
        sqlite.run(
            tmp_path / "a.db", "DELETE FROM items WHERE id = 0", "UPDATE items SET name = ''"
        )
        report = await import_all_async(repository, tmp_path / "a.json", mode="add")
        assert (report.added, report.kept) == (1, 1)
        (tmp_path / "a.json").write_bytes((tmp_path / "a.json").read_bytes() + b" ")
        with pytest.raises(SealBroken):
            await import_all_async(repository, tmp_path / "a.json")

    asyncio.run(both())
    assert threading.get_ident() not in threads


class _Stop(Exception):
    pass


def test_what_progress_raises_comes_out(tmp_path: Path) -> None:
    """As it does without a loop."""

    def stop(_: Progress) -> None:
        raise _Stop

    with pytest.raises(_Stop):
        asyncio.run(
            export_all_async(_database(tmp_path / "a.db", 2), tmp_path / "a", progress=stop)
        )


async def _cancelled_at(
    stage: str, start: Callable[[Any], Any], *, times: int = 1
) -> BaseException:
    """Cancel when a stage is told of for the first time, while the thread waits."""
    reached, go_on = threading.Event(), threading.Event()

    def progress(step: Progress) -> None:
        if step.stage == stage:
            reached.set()
            go_on.wait(10)

    task = asyncio.ensure_future(start(progress))
    await asyncio.to_thread(reached.wait, 10)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


@pytest.mark.parametrize("stage", ["checking", "writing", "reading back"])
@pytest.mark.parametrize("times", [1, 3])
def test_cancelling_an_import_rolls_back(tmp_path: Path, stage: str, times: int) -> None:
    """However often, and before the error comes out; nobody holds the store any more."""
    full, empty = _database(tmp_path / "a.db", 2_000), _database(tmp_path / "b.db", 0)
    export_all(full, tmp_path / "a.json")
    error = asyncio.run(
        _cancelled_at(
            stage,
            lambda progress: import_all_async(empty, tmp_path / "a.json", progress=progress),
            times=times,
        )
    )
    assert not hasattr(error, "__notes__")
    assert sqlite.query(tmp_path / "b.db", "SELECT count(*) FROM items") == [(0,)]
    with empty.transaction(wait=0):
        pass


def test_cancelling_an_export_leaves_no_file(tmp_path: Path) -> None:
    """Neither a part of the archive nor a temporary file."""
    full = _database(tmp_path / "a.db", 2_000)
    folder = tmp_path / "out"
    folder.mkdir()
    asyncio.run(
        _cancelled_at(
            "exporting",
            lambda progress: export_all_async(full, folder / "a.json", progress=progress),
        )
    )
    assert not list(folder.iterdir())


def test_cancelling_too_late(tmp_path: Path) -> None:
    """What was committed by then is, and the error has a note that says so."""
    full, empty = _database(tmp_path / "a.db", 2), _database(tmp_path / "b.db", 0)
    export_all(full, tmp_path / "a.json")
    error = asyncio.run(
        _cancelled_at(
            "committing",
            lambda progress: import_all_async(empty, tmp_path / "a.json", progress=progress),
        )
    )
    assert error.__notes__ == ["the work was done already when it was cancelled"]
    assert sqlite.query(tmp_path / "b.db", "SELECT count(*) FROM items") == [(2,)]
