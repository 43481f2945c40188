"""A function that reads from one file and writes to another, as an iterator of what it writes.

It runs in a thread of its own, and only while the iterator waits for it: what it reads comes from
an iterator that is advanced in the caller's thread, where a database's connection may belong, and
whose file others may read in between.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class PumpFailed(Exception):
    """The function raised its cause; `at_end` says whether it had read all that there was."""

    def __init__(self, *, at_end: bool) -> None:
        super().__init__(at_end)
        self.at_end = at_end


class _LeftError(Exception):
    """Raised in the thread where nobody wants its output any more."""


@attrs.frozen
class _Turn:
    """What the function has written since it was last waited for; whether and how it has ended."""

    written: bytes
    has_ended: bool = False
    error: BaseException | None = None


class Reader:
    """What the function reads: a file of the chunks that are handed over."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        self._chunk = b""
        self._place = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end."""
        if self._place >= len(self._chunk) and not self._pipe.at_end:
            self._chunk, self._place = self._pipe.next_chunk(), 0
        start = self._place
        self._place += size
        return self._chunk[start : self._place]


class Writer:
    """What the function writes to."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe

    def write(self, data: bytes) -> int:
        """Keep bytes until the iterator's next turn: no more than a little over what was read."""
        self._pipe.written.append(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


class _Pipe:
    """The thread's end: it has turns, and waits between them."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.at_end = False
        self._chunks: SimpleQueue[bytes | None] = SimpleQueue()
        self._turns: SimpleQueue[_Turn] = SimpleQueue()

    def run(self, function: Callable[[Reader, Writer], None]) -> None:
        error = None
        try:
            function(Reader(self), Writer(self))
        except BaseException as raised:  # noqa: BLE001 - it comes out in the caller's thread
            error = raised
        self._turns.put(_Turn(self._taken(), has_ended=True, error=error))

    def next_chunk(self) -> bytes:
        self._turns.put(_Turn(self._taken()))
        chunk = self._chunks.get()
        if chunk is None:
            raise _LeftError
        self.at_end = not chunk
        return chunk

    def _taken(self) -> bytes:
        taken, self.written = b"".join(self.written), []
        return taken

    def turn(self) -> _Turn:
        """What the thread hands over at its next turn."""
        return self._turns.get()

    def give(self, chunk: bytes | None) -> None:
        """Hand over what is to be read: nothing at the end, None to give up."""
        self._chunks.put(chunk)


def pumped(chunks: Iterable[bytes], function: Callable[[Reader, Writer], None]) -> Iterator[bytes]:
    """What a function writes that reads the chunks. Raises `PumpFailed` with what it raised."""
    pipe = _Pipe()
    left = (chunk for chunk in chunks if chunk)
    thread = threading.Thread(target=pipe.run, args=(function,), daemon=True)
    thread.start()
    try:
        while True:
            turn = pipe.turn()
            if turn.error is not None:
                raise PumpFailed(at_end=pipe.at_end) from turn.error
            if turn.written:
                yield turn.written
            if turn.has_ended:
                return
            pipe.give(next(left, b""))
    finally:
        pipe.give(None)
        thread.join()
