"""Rows through a cursor of the server's, for those who ask for other things meanwhile."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from databackup.spill import RowQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from databackup.repository import Row

_SET_ASIDE: Final = 1000
_CURSORS: Final = itertools.count()


class Reader:
    """The rows of a query, through a cursor of the server's."""

    def __init__(self, driver: psycopg.Connection[Any], sql: str) -> None:
        self._cursor = driver.cursor(f"databackup_{next(_CURSORS)}")
        self._queue: RowQueue | None = None
        self._rest: Iterator[Row] = iter(())
        self._cursor.execute(sql)

    def fetch(self, size: int) -> list[Row]:
        """Up to so many rows, none at the end."""
        if self._queue is None:
            return self._cursor.fetchmany(size)
        return list(itertools.islice(self._rest, size))

    def set_aside(self) -> None:
        """Read what is left to a place on disk, and close the cursor."""
        if self._queue is not None:
            return
        self._queue = RowQueue()
        while rows := self._cursor.fetchmany(_SET_ASIDE):
            self._queue.put(rows)
        self._rest = itertools.chain.from_iterable(self._queue.batches())
        self._cursor.close()

    def close(self) -> None:
        """End reading."""
        if self._queue is not None:
            self._queue.close()
        self._cursor.close()
