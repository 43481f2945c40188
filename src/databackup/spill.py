"""What does not fit in memory: temporary files that vanish by themselves.

`KeyIndex` is a set of byte strings with a value each, kept in a temporary SQLite file.
`RowQueue` holds batches of rows, first in, first out. Under `veil.veiling` their files hold noise.
"""

from __future__ import annotations

import heapq
import itertools
import pickle
import sqlite3
import tempfile
from typing import IO, TYPE_CHECKING, Any, Final, Self

from databackup import veil
from databackup.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CACHE_KIB = 2 * 1024
_MEMORY = 1024 * 1024
_LENGTH: Final = 8  # bytes that say how long a veiled key is
_SORTED: Final = 4 * 1024 * 1024  # bytes
_RUN: Final = 100  # entries


class KeyIndex:
    """Byte keys, each with a byte value, in constant memory. What is empty has no file yet.

    An empty path makes SQLite keep a private file that is deleted when the index is closed, or
    when the process ends in any way. Threads may take turns with it. Every method raises
    `FileError` where that file cannot be written.
    """

    def __init__(self) -> None:
        self._opened: sqlite3.Connection | None = None
        self._secret = veil.new_key() if veil.is_wanted() else None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = _private_file()
        return self._opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the index."""
        if self._opened is not None:
            self._opened.close()

    def add(self, entries: Iterable[tuple[bytes, bytes]]) -> list[int]:
        """Add keys with values; the positions of those whose key was there already are returned.

        The first value of a key stays.
        """
        taken = []
        for position, entry in enumerate(entries):
            cursor = self._execute(
                "INSERT OR IGNORE INTO entries VALUES (?, ?)", self._as_stored(*entry)
            )
            if cursor.rowcount == 0:
                taken.append(position)
        return taken

    def __contains__(self, key: bytes) -> bool:
        found = self._execute("SELECT 1 FROM entries WHERE key = ?", (self._stored_key(key),))
        return found.fetchone() is not None

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None where it is not there."""
        if self._opened is None:
            return None
        query = "SELECT value FROM entries WHERE key = ?"
        row = self._execute(query, (self._stored_key(key),)).fetchone()
        return None if row is None else self._entry(key, row[0])[1]

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values, in the order of the keys."""
        if self._opened is None:
            return
        entries = itertools.starmap(
            self._entry, self._execute("SELECT key, value FROM entries ORDER BY key")
        )
        yield from entries if self._secret is None else _in_order(entries)

    def pop(self, key: bytes) -> bytes | None:
        """Remove a key and return its value, None where the key is not there."""
        query = "DELETE FROM entries WHERE key = ? RETURNING value"
        row = self._execute(query, (self._stored_key(key),)).fetchone()
        return None if row is None else self._entry(key, row[0])[1]

    def _stored_key(self, key: bytes) -> bytes:
        return key if self._secret is None else veil.digest(self._secret, key)

    def _as_stored(self, key: bytes, value: bytes) -> tuple[bytes, bytes]:
        if self._secret is None:
            return key, value
        entry = len(key).to_bytes(_LENGTH) + key + value
        return self._stored_key(key), veil.hidden(self._secret, entry)

    def _entry(self, key: bytes, value: bytes) -> tuple[bytes, bytes]:
        if self._secret is None:
            return bytes(key), bytes(value)
        entry = veil.shown(self._secret, value)
        start = _LENGTH + int.from_bytes(entry[:_LENGTH])
        return entry[_LENGTH:start], entry[start:]

    def _execute(self, statement: str, values: tuple[bytes, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise _unusable(error) from error


def _private_file() -> sqlite3.Connection:
    connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(
        "CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
    )
    connection.execute("BEGIN")
    return connection


def _in_order(entries: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Entries by their keys: runs that fit in memory, merged."""
    with veil.veiling():
        queue = RowQueue()
    with queue:
        runs: list[range] = []
        held: list[tuple[bytes, bytes]] = []
        size = 0
        for entry in itertools.chain(entries, [None]):
            if held and (entry is None or size > _SORTED):
                held.sort()
                start = queue.batch_count
                for first in range(0, len(held), _RUN):
                    queue.put(held[first : first + _RUN])
                runs.append(range(start, queue.batch_count))
                held, size = [], 0
            if entry is not None:
                held.append(entry)
                size += sum(map(len, entry))
        sorted_runs = (itertools.chain.from_iterable(queue.part(run)) for run in runs)
        yield from heapq.merge(*sorted_runs)


class RowQueue:
    """Batches of rows, first in, first out; a file past 1 MiB.

    The file has no name and nobody else reads or writes it, so rows are pickled as they are.
    Batches may be put while others are read. Raises `FileError` where the file cannot be written.

    `trees` says that no value is part of itself: then nothing has to be noted of each, which takes
    more memory than a million short texts.
    """

    def __init__(self, *, trees: bool = False) -> None:
        self._trees = trees
        file: Any = tempfile.SpooledTemporaryFile(max_size=_MEMORY)  # noqa: SIM115 - see close()
        self._file: IO[bytes] | veil.VeiledFile = (
            veil.VeiledFile(file) if veil.is_wanted() else file
        )
        self._starts: list[int] = []
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the queue."""
        self._file.close()

    def put(self, rows: list[tuple[Any, ...]]) -> None:
        """Append a batch; an empty one is left out."""
        if not rows:
            return
        try:
            start = self._file.seek(0, 2)
            pickler = pickle.Pickler(self._file, pickle.HIGHEST_PROTOCOL)
            pickler.fast = self._trees
            pickler.dump(rows)
            self._file.flush()
        except OSError as error:
            raise _unusable(error) from error
        self._starts.append(start)
        self.count += len(rows)

    @property
    def batch_count(self) -> int:
        """How many batches were put."""
        return len(self._starts)

    def batches(self, *, backwards: bool = False) -> Iterator[list[tuple[Any, ...]]]:
        """The batches from the first on, or from the last."""
        return map(self._batch, reversed(self._starts) if backwards else self._starts)

    def part(self, positions: range) -> Iterator[list[tuple[Any, ...]]]:
        """The batches of some positions, counted from 0 in the order they were put."""
        return map(self._batch, map(self._starts.__getitem__, positions))

    def _batch(self, start: int) -> list[tuple[Any, ...]]:
        self._file.seek(start)
        rows: list[tuple[Any, ...]] = pickle.load(self._file)  # noqa: S301 - this process's own file
        return rows


def _unusable(error: Exception) -> FileError:
    return FileError(f"a temporary file cannot be written: {error}")
