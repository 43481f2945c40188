"""A thread that waits for the server while others compute."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

_Result = TypeVar("_Result")


class Worker:
    """Has the connection for one piece of work at a time; until it is done nobody else may use it.

    The thread begins with the first piece.
    """

    def __init__(self) -> None:
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._under_way: Future[object] | None = None
        self._thread: int | None = None

    def begin(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Begin a piece of work, when what is under way is done."""
        self.wait()
        if self._pool is None:
            self._pool = concurrent.futures.ThreadPoolExecutor(1, "databackup")

        def run() -> _Result:
            self._thread = threading.get_ident()
            return work()

        begun = self._pool.submit(run)
        self._under_way = begun  # type: ignore[assignment]
        return begun

    def wait(self) -> None:
        """Wait for what is under way, whatever comes of it; in the thread itself do nothing."""
        if self._under_way is not None and threading.get_ident() != self._thread:
            concurrent.futures.wait([self._under_way])
            self._under_way = None

    def close(self) -> None:
        """End the thread, after what is under way."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
