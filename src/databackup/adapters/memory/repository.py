"""The repository, its snapshots and its transactions."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from databackup.adapters.memory.contents import (
    Contents,
    copy_of,
    differences,
    fill,
    read,
    shown,
)
from databackup.adapters.memory.table import Table
from databackup.errors import InvalidRecords, Problem, RecordsRefused, StoreLocked, StoreMismatch
from databackup.repository import BATCH_SIZE, Capabilities, Key, Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from databackup.schema import Collection, Reference, Schema


class Lock(Protocol):
    """What a host's lock must be able to do; those of `threading` can."""

    def acquire(self, *, timeout: float = ...) -> bool:
        """Take the lock, or give up after `timeout` seconds and return False."""

    def release(self) -> None:
        """Give the lock back."""


class MemoryRepository:
    """Lists and dicts that hold an app's records.

    `contents` has for each collection of the schema a list of records, or, where the collection has
    a key, a dict from key to record: from a single value, or from a tuple where the key has several
    parts. A record is an instance of the collection's model, and without a model a dict of plain
    values. Keys of a dict are values as the instances hold them.

    A snapshot copies the records under the lock when it is opened. A transaction holds the lock
    until it ends. On commit the lists and dicts are changed in place: records that are equal stay
    the very same objects in their places, new ones follow after them.

    `lock` is the host's own where the host changes the contents from several threads; without one
    the repository makes its own. Raises `StoreMismatch` where schema and contents do not fit, and,
    when a snapshot or a transaction is opened, `InvalidRecords` for records that are no rows.
    """

    def __init__(
        self, schema: Schema, contents: Mapping[str, Contents], *, lock: Lock | None = None
    ) -> None:
        self.schema = schema
        self.capabilities = Capabilities(
            name="memory",
            consistent_snapshot=True,
            atomic=True,
            savepoints=True,
            ordered_rows=frozenset(c.name for c in schema.collections if c.key),
            suspends_triggers=True,
        )
        wrong = tuple(differences(schema, contents))
        if wrong:
            raise StoreMismatch(f"the contents do not fit the schema: {'; '.join(wrong)}", wrong)
        self._contents = dict(contents)
        self._lock: Lock = threading.RLock() if lock is None else lock
        self._holder: int | None = None

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[MemorySnapshot]:
        # Within a transaction the thread has the lock already, and a lock that is not reentrant
        # would never come.
        if self._holder == threading.get_ident():
            tables = self._tables()
        else:
            self._lock.acquire()
            try:
                tables = self._tables()
            finally:
                self._lock.release()
        yield MemorySnapshot(tables)

    @contextlib.contextmanager
    def transaction(self, *, wait: float = 5.0) -> Iterator[MemoryTransaction]:
        if self._holder == threading.get_ident():
            raise StoreLocked("this thread has a transaction open already")
        if not self._lock.acquire(timeout=min(max(wait, 0.0), threading.TIMEOUT_MAX)):
            raise StoreLocked(f"another transaction still held the contents after {wait:g} s")
        self._holder = threading.get_ident()
        try:
            tables = self._tables()
            yield MemoryTransaction(tables)
            self._replace([table for table in tables.values() if table.is_changed])
        finally:
            self._holder = None
            self._lock.release()

    def _tables(self) -> dict[str, Table]:
        problems: list[Problem] = []
        tables = {
            collection.name: Table(
                collection, read(collection, self._contents[collection.name], problems)
            )
            for collection in self.schema.collections
        }
        if problems:
            raise InvalidRecords.of("the contents cannot be turned into rows", problems)
        return tables

    def _replace(self, tables: list[Table]) -> None:
        """Change the contents in place: all of them or, should one of them raise, none."""
        work = [
            (self._contents[table.collection.name], table.filled(self._contents))
            for table in tables
        ]
        before = [(contents, copy_of(contents)) for contents, _ in work]
        try:
            for contents, after in work:
                fill(contents, after)
        except BaseException:
            for contents, old in before:
                fill(contents, old)
            raise


class MemorySnapshot:
    """The records as they were when the snapshot was opened."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = tables

    def count(self, collection: Collection) -> int:
        return len(self._tables[collection.name].entries)

    def rows(self, collection: Collection, *, batch_size: int = BATCH_SIZE) -> Iterator[list[Row]]:
        rows = self._tables[collection.name].sorted_rows()
        for start in range(0, len(rows), batch_size):
            yield rows[start : start + batch_size]

    def get(self, collection: Collection, keys: Iterable[Key]) -> list[Row]:
        entries = self._tables[collection.name].entries
        return [entries[key].row for key in dict.fromkeys(keys) if key in entries]

    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]:
        target = self._tables[reference.collection]
        known = target.values_of(reference.to or target.collection.key)
        pointing = self._tables[collection.name].values_of(reference.fields)
        lost = (value for value in pointing if value not in known and None not in value)
        return list(itertools.islice(lost, limit))

    def counters(self) -> Mapping[str, int]:
        return {}


class MemoryTransaction(MemorySnapshot):
    """Private copies of the records, which the transaction changes.

    While a savepoint is open, each change leaves behind what undoes it.
    """

    def __init__(self, tables: Mapping[str, Table]) -> None:
        super().__init__(tables)
        self._savepoints = 0
        self._undo: list[Callable[[], None]] = []

    def insert(self, collection: Collection, rows: list[Row]) -> None:
        table = self._tables[collection.name]
        new = table.made(rows)
        taken = next((key for key in new if key in table.entries), None)
        if taken is None and len(new) < len(rows):
            keys = [collection.codec.key(row) for row in rows]
            taken = next(key for key in keys if keys.count(key) > 1)
        if taken is not None:
            raise RecordsRefused(f"{collection}: the key {shown(taken)} is there already")
        table.put(new)
        self._undone_by(lambda: table.drop(new))

    def update(self, collection: Collection, rows: list[Row]) -> None:
        table = self._tables[collection.name]
        keys = [collection.codec.key(row) for row in rows]
        old = table.present(keys)
        new = table.made(rows, in_place_of=old)
        table.put(new)
        self._undone_by(lambda: table.put(old))

    def delete(self, collection: Collection, keys: list[Key]) -> None:
        table = self._tables[collection.name]
        old = table.present(keys)
        if len(old) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise RecordsRefused(f"{collection}: the key {shown(twice)} cannot be deleted twice")
        table.drop(old)
        self._undone_by(lambda: table.put(old))

    def clear(self, collection: Collection) -> None:
        table = self._tables[collection.name]
        old, table.entries = table.entries, {}

        def restore() -> None:
            table.entries = old

        self._undone_by(restore)

    def _undone_by(self, step: Callable[[], None]) -> None:
        if self._savepoints:
            self._undo.append(step)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        mark = len(self._undo)
        self._savepoints += 1
        try:
            yield
        except BaseException:
            while len(self._undo) > mark:
                self._undo.pop()()
            raise
        finally:
            self._savepoints -= 1
            if not self._savepoints:
                self._undo.clear()

    def finish(self, counters: Mapping[str, int], *, allow_cascade: bool = False) -> None:
        """Nothing: an app's lists remember no numbers, and nothing outside the schema refers."""
