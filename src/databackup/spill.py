"""What does not fit in memory: temporary files that vanish by themselves.

`KeyIndex` is a set of byte strings with a value each, kept in a temporary SQLite file.
`RowQueue` holds batches of rows, first in, first out.
"""

from __future__ import annotations

import pickle
import sqlite3
import tempfile
from typing import TYPE_CHECKING, Any, Self

from databackup.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CACHE_KIB = 2 * 1024
_MEMORY = 1024 * 1024


class KeyIndex:
    """Byte keys, each with a byte value, in constant memory. What is empty has no file yet.

    An empty path makes SQLite keep a private file that is deleted when the index is closed, or
    when the process ends in any way. Threads may take turns with it. Every method raises
    `FileError` where that file cannot be written.
    """

    def __init__(self) -> None:
        self._opened: sqlite3.Connection | None = None

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
            cursor = self._execute("INSERT OR IGNORE INTO entries VALUES (?, ?)", entry)
            if cursor.rowcount == 0:
                taken.append(position)
        return taken

    def __contains__(self, key: bytes) -> bool:
        found = self._execute("SELECT 1 FROM entries WHERE key = ?", (key,))
        return found.fetchone() is not None

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None where it is not there."""
        if self._opened is None:
            return None
        row = self._execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values, in the order of the keys."""
        if self._opened is None:
            return
        for key, value in self._execute("SELECT key, value FROM entries ORDER BY key"):
            yield bytes(key), bytes(value)

    def pop(self, key: bytes) -> bytes | None:
        """Remove a key and return its value, None where the key is not there."""
        row = self._execute("DELETE FROM entries WHERE key = ? RETURNING value", (key,)).fetchone()
        return None if row is None else bytes(row[0])

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


class RowQueue:
    """Batches of rows, first in, first out; a file past 1 MiB.

    The file has no name and nobody else reads or writes it, so rows are pickled as they are.
    Batches may be put while others are read. Raises `FileError` where the file cannot be written.

    `trees` says that no value is part of itself: then nothing has to be noted of each, which takes
    more memory than a million short texts.
    """

    def __init__(self, *, trees: bool = False) -> None:
        self._trees = trees
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY)  # noqa: SIM115 - see close()
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
