"""Repositories around another one: one that writes down what it is asked, and ones that lie."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import attrs

from databackup.repository import (
    BATCH_SIZE,
    Capabilities,
    Key,
    Repository,
    Row,
    Snapshot,
    Transaction,
)
from databackup.schema import Collection, Reference, Schema

Call = tuple[str, str, list[Any]]


class PassedSnapshot:
    """Passes every question on."""

    def __init__(self, inner: Snapshot) -> None:
        self.inner = inner

    def count(self, collection: Collection) -> int:
        return self.inner.count(collection)

    def rows(self, collection: Collection, *, batch_size: int = BATCH_SIZE) -> Iterator[list[Row]]:
        return self.inner.rows(collection, batch_size=batch_size)

    def get(self, collection: Collection, keys: Iterable[Key]) -> list[Row]:
        return self.inner.get(collection, keys)

    def counters(self) -> Mapping[str, int]:
        return self.inner.counters()


class PassedTransaction(PassedSnapshot):
    """Passes every call on, and writes down those that write."""

    def __init__(self, inner: Transaction, calls: list[Call]) -> None:
        super().__init__(inner)
        self.transaction = inner
        self.calls = calls

    def insert(self, collection: Collection, rows: list[Row]) -> None:
        self.transaction.insert(collection, rows)
        self.calls.append(("insert", collection.name, rows))

    def update(self, collection: Collection, rows: list[Row]) -> None:
        self.transaction.update(collection, rows)
        self.calls.append(("update", collection.name, rows))

    def delete(self, collection: Collection, keys: list[Key]) -> None:
        self.transaction.delete(collection, keys)
        self.calls.append(("delete", collection.name, keys))

    def clear(self, collection: Collection) -> None:
        self.transaction.clear(collection)
        self.calls.append(("clear", collection.name, []))

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        before = len(self.calls)
        try:
            with self.transaction.savepoint():
                yield
        except BaseException:
            del self.calls[before:]
            raise

    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]:
        return self.transaction.dangling(collection, reference, limit)

    def finish(self, counters: Mapping[str, int], *, allow_cascade: bool = False) -> None:
        self.transaction.finish(counters, allow_cascade=allow_cascade)


class Passed:
    """A repository that passes everything on; `calls` has what was written and not undone.

    Tests give classes of their own for the view and the transaction, and other capabilities.
    """

    def __init__(
        self,
        inner: Repository,
        *,
        snapshot: type[PassedSnapshot] = PassedSnapshot,
        transaction: type[PassedTransaction] = PassedTransaction,
        **capabilities: Any,
    ) -> None:
        self.inner = inner
        self.calls: list[Call] = []
        self.open = 0
        self._snapshot = snapshot
        self._transaction = transaction
        self._capabilities = attrs.evolve(inner.capabilities, **capabilities)

    @property
    def schema(self) -> Schema:
        return self.inner.schema

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        self.open += 1
        try:
            with self.inner.snapshot() as view:
                yield self._snapshot(view)
        finally:
            self.open -= 1

    def transaction(self, *, wait: float = 5.0) -> AbstractContextManager[Transaction]:
        return self._transact(wait)

    @contextlib.contextmanager
    def _transact(self, wait: float) -> Iterator[Transaction]:
        self.open += 1
        try:
            with self.inner.transaction(wait=wait) as transaction:
                yield self._transaction(transaction, self.calls)
        finally:
            self.open -= 1


def unordered(repository: Repository) -> Passed:
    """A repository that gives its records last first and promises no order."""

    class Backwards(PassedTransaction):
        def rows(
            self, collection: Collection, *, batch_size: int = BATCH_SIZE
        ) -> Iterator[list[Row]]:
            return _backwards(self.inner, collection, batch_size)

    class BackwardsSnapshot(PassedSnapshot):
        def rows(
            self, collection: Collection, *, batch_size: int = BATCH_SIZE
        ) -> Iterator[list[Row]]:
            return _backwards(self.inner, collection, batch_size)

    return Passed(
        repository,
        snapshot=BackwardsSnapshot,
        transaction=Backwards,
        name="backwards",
        ordered_rows=frozenset(),
    )


def _backwards(inner: Snapshot, collection: Collection, batch_size: int) -> Iterator[list[Row]]:
    rows = [row for batch in inner.rows(collection) for row in batch][::-1]
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]
