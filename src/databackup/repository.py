"""The protocol between databackup and a store: what an adapter must promise, method by method.

A row is a tuple of plain Python values in the collection's field order. Batches are lists of rows,
of any length. An adapter is sound when `databackup.testing.check_adapter` passes.

Errors: an adapter raises only errors of `databackup.errors`, with the engine's own as their cause.
What is wrong with the data of one call is `RecordsRefused`; what is wrong with the store itself is
`StoreFailed`, `StoreLocked` or `StoreMismatch`, after which nothing more is asked of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

from databackup.schema import Key, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from databackup.schema import Collection, Reference, Schema
    from databackup.schema.columns import Forms

__all__ = [
    "BATCH_SIZE",
    "BulkTransaction",
    "Capabilities",
    "FormsSnapshot",
    "Key",
    "Repository",
    "Row",
    "Snapshot",
    "Transaction",
    "forms_of",
]

BATCH_SIZE = 350
"""As many records as are worked on at once: more fall out of the caches, and wake the collector."""


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a store can do. An adapter states all of it; nothing has a default.

    name
        The adapter's name, as an archive's header shows it.
    consistent_snapshot
        A snapshot shows the store as it was at one moment, whatever is written meanwhile.
    atomic
        A transaction is kept whole or not at all. A store without it cannot be imported into:
        `transaction` raises `StoreError`.
    savepoints
        What a failed call did can be undone within the transaction. Without it `savepoint` raises
        `StoreError`.
    ordered_rows
        The collections whose rows come in key order: numbers by value, text by its UTF-8 bytes,
        bytes and UUIDs byte by byte, dates and times in time.
    suspends_triggers
        The host's triggers do not fire on what a transaction writes.
    """

    name: str
    consistent_snapshot: bool
    atomic: bool
    savepoints: bool
    ordered_rows: frozenset[str]
    suspends_triggers: bool


@runtime_checkable
class Snapshot(Protocol):
    """A consistent read-only view of a store."""

    def count(self, collection: Collection) -> int:
        """How many records the collection has."""

    def rows(self, collection: Collection, *, batch_size: int = BATCH_SIZE) -> Iterator[list[Row]]:
        """All records in batches of at most `batch_size`, none of them empty.

        Lazy: nothing is read before the first batch is pulled, and no more is held than a batch
        or two. Each record comes once; in key order where `ordered_rows` names the collection. Two
        iterators may be open at once. Values are exactly of their field's kind, or of an off kind
        where the field keeps them; a store that holds another value yields it as it is, and the
        caller names it.
        """

    def get(self, collection: Collection, keys: Iterable[Key]) -> list[Row]:
        """The records of these keys, in no particular order; keys without a record yield none."""

    def counters(self) -> Mapping[str, int]:
        """By collection, the last number that the store itself gave out as a key.

        Only where that is remembered beyond the records, so that a deleted record's number is
        never given out again; empty otherwise.
        """


@runtime_checkable
class Transaction(Snapshot, Protocol):
    """A snapshot that can also write, and sees what it wrote.

    References need to hold only at the end: rows may be written and deleted in any order. What a
    call could not do in full raises `RecordsRefused`, and the caller rolls back to a savepoint.
    """

    def insert(self, collection: Collection, rows: list[Row]) -> None:
        """Add records. A key or unique value that is there already raises `RecordsRefused`."""

    def update(self, collection: Collection, rows: list[Row]) -> None:
        """Give the records with these rows' keys these rows' values.

        A key without a record raises `RecordsRefused`. Columns outside the schema keep their
        values.
        """

    def delete(self, collection: Collection, keys: list[Key]) -> None:
        """Remove the records of these keys; nothing else goes with them.

        A key without a record raises `RecordsRefused`.
        """

    def clear(self, collection: Collection) -> None:
        """Remove all records of the collection; nothing else goes with them."""

    def savepoint(self) -> AbstractContextManager[None]:
        """A part of the transaction that an exception leaving its block undoes."""

    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]:
        """Up to `limit` values of the reference's fields that point at no record.

        Each value once. A reference with a null in it points nowhere and does not dangle.
        """

    def finish(self, counters: Mapping[str, int], *, allow_cascade: bool = False) -> None:
        """Put what the store keeps beside its records in order, as the last write.

        Counters are set as given, and never below the largest key. Triggers are restored. Records
        outside the schema that refer to a record that is gone raise `StoreError`, unless
        `allow_cascade` lets the store's own cascade carry them off.
        """


@runtime_checkable
class Repository(Protocol):
    """Where an app's data lives."""

    @property
    def schema(self) -> Schema:
        """What is backed up."""

    @property
    def capabilities(self) -> Capabilities:
        """What the store can do."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """A view for one export. Raises `StoreMismatch` where the store does not fit the schema."""

    def transaction(self, *, wait: float = 5.0) -> AbstractContextManager[Transaction]:
        """A transaction for one import; only one at a time holds the store.

        The block's end commits. Any exception rolls back and comes out unchanged. After a rollback,
        and after the process was killed at any moment before the commit, the store is as it was. A
        second transaction waits up to `wait` seconds and then raises `StoreLocked`. A commit
        whose outcome cannot be known raises `CommitUnknown`.
        """


# -- what a store may offer beyond that --------------------------------------------------------


@runtime_checkable
class FormsSnapshot(Protocol):
    """A snapshot that gives records as the archive has them, without a value made of each."""

    def forms(
        self, collection: Collection, *, batch_size: int = BATCH_SIZE
    ) -> Iterator[Forms | list[Row]]:
        """As `rows`, for callers that write or count records and look at none.

        A batch that has something out of the usual in it, of whatever sort, comes as rows.
        """


@runtime_checkable
class BulkTransaction(Protocol):
    """A transaction with a faster way to put many records into an empty collection."""

    def bulk(
        self, collection: Collection, count: int
    ) -> AbstractContextManager[Callable[[Forms | list[Row]], None]]:
        """A function that adds records, to be called within the block alone.

        `count` is how many there will be. Until the block has ended nothing else is asked of the
        transaction. The function, or the block's end, raises `RecordsRefused` for any record that
        it was given since the block began; the caller rolls back to a savepoint outside the block,
        and `insert` says which one. An exception that leaves the block comes out unchanged.
        """


def forms_of(snapshot: Snapshot, collection: Collection) -> Iterator[Forms | list[Row]]:
    """All records of a collection, as forms where the store has them."""
    if isinstance(snapshot, FormsSnapshot):
        return snapshot.forms(collection)
    return iter(snapshot.rows(collection))
