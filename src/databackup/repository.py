"""The protocol between databackup and a store: what an adapter must promise, method by method.

A row is a tuple of plain Python values in the collection's field order. Batches are lists of rows,
of any length. An adapter is sound when `databackup.testing.check_adapter` passes.

Errors: an adapter raises only errors of `databackup.errors`, with the engine's own as their cause.
What is wrong with the data of one call is `RecordsRefused`; what is wrong with the store itself is
`StoreFailed`, `StoreLocked` or `StoreMismatch`, after which nothing more is asked of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

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
    "ChecksReferences",
    "CreatesTables",
    "Extent",
    "FiresTriggers",
    "FormsSnapshot",
    "Key",
    "KnowsReferrers",
    "Mark",
    "MarkingRepository",
    "Needs",
    "Place",
    "PlacedRepository",
    "Repository",
    "Row",
    "Snapshot",
    "TableMaker",
    "Transaction",
    "forms_of",
    "place_of",
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
class FiresTriggers(Protocol):
    """What a transaction may have beside its promises where triggers of the host fire."""

    def triggers(self) -> list[str]:
        """The triggers that fire on what is written, each named as the host knows it."""


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
class ChecksReferences(Protocol):
    """A snapshot that can say which references point at no record, as every transaction can."""

    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]:
        """As `Transaction.dangling`."""


@runtime_checkable
class KnowsReferrers(Protocol):
    """A snapshot that knows what refers to a collection from outside the schema."""

    def referrers(self, collection: Collection) -> list[str]:
        """The foreign keys of other tables, each as the host knows it."""


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


@attrs.frozen(kw_only=True)
class Mark:
    """What an import leaves in the store beside its records: a row of the table of marks.

    `seal` is its archive's, and `time`, in UTC as ISO 8601, when it began.
    """

    import_id: str
    seal: str
    time: str


@runtime_checkable
class MarkingRepository(Repository, Protocol):
    """A repository that can tell later whether an import was committed."""

    def transaction(
        self, *, wait: float = 5.0, mark: Mark | None = None
    ) -> AbstractContextManager[Transaction]:
        """As `Repository.transaction`; the mark is there afterwards if what was written is.

        The place for marks is made where it is missing, which alone may stay after a rollback.
        """

    def marks(self, import_id: str | None = None, *, wait: float = 5.0) -> list[Mark]:
        """The marks that are committed, the newest first: that of one import, or up to a hundred.

        Waits up to `wait` seconds for an import that is under way and then raises `StoreLocked`:
        what is not there afterwards never comes.
        """


@attrs.frozen
class Place:
    """Where the data of a store live.

    `name` is what people call the store, as a part of a file's name. `identity` is the same
    whenever and however the store is opened, and no other store's; neither has a user or a
    password in it.
    """

    name: str
    identity: str


@runtime_checkable
class PlacedRepository(Protocol):
    """A repository that can say where its data live; so that its safety backups are found again."""

    @property
    def place(self) -> Place | None:
        """Where the data live, None where that cannot be told. Raises nothing."""


def place_of(repository: Repository) -> Place | None:
    """Where the data of a repository live, None where it cannot tell."""
    return repository.place if isinstance(repository, PlacedRepository) else None


# -- stores that can make tables -------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Extent:
    """What a new column has to hold, beyond what its field's kind says.

    least, largest
        The least and the largest value, of numbers and times; None where there is none.
    digits
        The most digits that a decimal has before its point.
    scales
        The fewest and the most digits that one has behind it; None where there is none.
    regular
        No decimal is NaN or infinite, every UUID is of a variant that RFC 9562 defines.
    off_kind
        The Python types of values off their kind, of texts, integers and floats.
    """

    least: Any = None
    largest: Any = None
    digits: int = 0
    scales: tuple[int, int] | None = None
    regular: bool = True
    off_kind: frozenset[type[Any]] = frozenset()

    def fits(self, least: Any, largest: Any) -> bool:
        """Whether all values are within these bounds."""
        return self.least is None or (least <= self.least and self.largest <= largest)

    def has_scale(self, scale: int) -> bool:
        """Whether all decimals have as many digits behind the point."""
        return self.regular and self.scales in (None, (scale, scale))

    def joined(self, other: Extent) -> Extent:
        """The extent of the values of both."""
        bounds = [e for e in (self, other) if e.least is not None]
        scales = [*(self.scales or ()), *(other.scales or ())]
        return Extent(
            least=min((e.least for e in bounds), default=None),
            largest=max((e.largest for e in bounds), default=None),
            digits=max(self.digits, other.digits),
            scales=(min(scales), max(scales)) if scales else None,
            regular=self.regular and other.regular,
            off_kind=self.off_kind | other.off_kind,
        )


@attrs.frozen
class Needs:
    """What new tables have to hold: extents by collection and field.

    `counted` are the collections whose store remembered the last number that it gave out as a key,
    `dangling` the references, each with its collection's name, that no foreign key may enforce.
    """

    extents: Mapping[str, Mapping[str, Extent]] = attrs.field(factory=dict)
    counted: frozenset[str] = frozenset()
    dangling: frozenset[tuple[str, Reference]] = frozenset()

    def extent(self, collection: str, field: str) -> Extent:
        """The extent of a field's values."""
        return self.extents.get(collection, {}).get(field, Extent())


@runtime_checkable
class CreatesTables(Protocol):
    """A repository that can make the tables of collections; no store has to."""

    def missing(self) -> tuple[str, ...]:
        """The collections of the schema whose tables are not there."""

    def creating(self, schema: Schema, needs: Needs) -> TableMaker:
        """The same store with another schema, whose transactions make what tables are missing.

        Where the transaction is not committed, the tables are gone again. Tables that are there
        stay as they are. What cannot be made raises `CannotCreate`.
        """


@runtime_checkable
class TableMaker(Repository, Protocol):
    """A repository whose transactions begin with making the tables that are missing."""

    @property
    def made(self) -> tuple[str, ...]:
        """The collections whose tables the last transaction has made."""


def forms_of(snapshot: Snapshot, collection: Collection) -> Iterator[Forms | list[Row]]:
    """All records of a collection, as forms where the store has them."""
    if isinstance(snapshot, FormsSnapshot):
        return snapshot.forms(collection)
    return iter(snapshot.rows(collection))
