"""Writes that wait for others, on disk, and gone with the savepoint that they came in."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import attrs

from databackup.spill import RowQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.repository import Row


@attrs.frozen
class Waiting:
    """One write that a constraint forbids for now, and what PostgreSQL says of it.

    `rows` are as PostgreSQL is given them; of deletes they are keys.
    """

    what: str
    collection: str
    rows: list[Row]
    constraint: str = ""
    said: str = ""


class Backlog:
    """Writes that wait, in the order in which they came."""

    def __init__(self) -> None:
        self._levels = [_Level()]

    def __bool__(self) -> bool:
        return any(level.queue.count for level in self._levels)

    @property
    def records(self) -> int:
        """How many records wait."""
        return sum(level.records for level in self._levels)

    @property
    def is_nested(self) -> bool:
        """Whether a savepoint may yet take writes back."""
        return len(self._levels) > 1

    def has(self, collection: str) -> bool:
        """Whether writes to a collection wait."""
        return any(collection in level.collections for level in self._levels)

    def put(self, waiting: Waiting) -> None:
        """Let a write wait."""
        if waiting.rows:
            self._levels[-1].put(waiting)

    def waiting(self) -> Iterator[Waiting]:
        """What waits, from the first on. It goes on waiting."""
        for level in self._levels:
            yield from level.items()

    def drained(self) -> Iterator[Waiting]:
        """What waits, from the first on; what is put meanwhile waits for the next time."""
        level, self._levels[-1] = self._levels[-1], _Level()
        with contextlib.closing(level.queue):
            yield from level.items()

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """What is put in the block is forgotten if an exception leaves it."""
        self._levels.append(_Level())
        try:
            yield
        except BaseException:
            self._levels.pop().queue.close()
            raise
        with contextlib.closing(self._levels.pop().queue) as done:
            for ((waiting,),) in done.batches():
                self._levels[-1].put(waiting)

    def close(self) -> None:
        """Forget all."""
        for level in self._levels:
            level.queue.close()


class _Level:
    """What has come in since one savepoint."""

    def __init__(self) -> None:
        self.queue = RowQueue()
        self.records = 0
        self.collections: set[str] = set()

    def put(self, waiting: Waiting) -> None:
        self.queue.put([(waiting,)])
        self.records += len(waiting.rows)
        self.collections.add(waiting.collection)

    def items(self) -> Iterator[Waiting]:
        for ((waiting,),) in self.queue.batches():
            yield waiting
