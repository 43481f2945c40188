"""A transaction that keeps nothing of what is written to it, for what would come of an import."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from databackup.repository import BATCH_SIZE, ChecksReferences, KnowsReferrers, forms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

    from databackup.repository import Key, Row, Snapshot
    from databackup.schema import Collection, Reference
    from databackup.schema.columns import Forms


class Rehearsal:
    """A snapshot that takes every write, and stays as it is.

    The tables of `missing` collections are not there; `snapshot` is None where there are none.
    """

    def __init__(self, snapshot: Snapshot | None, missing: Container[str]) -> None:
        self._snapshot = snapshot
        self._missing = missing

    def has(self, collection: Collection) -> bool:
        """Whether there is a table."""
        return self._snapshot is not None and collection.name not in self._missing

    # -- what is there -------------------------------------------------------------------------

    def count(self, collection: Collection) -> int:
        """How many records there are."""
        return self._there(collection).count(collection) if self.has(collection) else 0

    def rows(self, collection: Collection, *, batch_size: int = BATCH_SIZE) -> Iterator[list[Row]]:
        """All records."""
        if self.has(collection):
            yield from self._there(collection).rows(collection, batch_size=batch_size)

    def forms(
        self, collection: Collection, *, batch_size: int = BATCH_SIZE
    ) -> Iterator[Forms | list[Row]]:
        """All records, as forms where the store has them."""
        del batch_size
        if self.has(collection):
            yield from forms_of(self._there(collection), collection)

    def get(self, collection: Collection, keys: Iterable[Key]) -> list[Row]:
        """The records of these keys."""
        return self._there(collection).get(collection, keys) if self.has(collection) else []

    def counters(self) -> Mapping[str, int]:
        """The numbers given out last."""
        return {} if self._snapshot is None else self._snapshot.counters()

    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]:
        """The references that point nowhere before anything is written."""
        snapshot = self._there(collection)
        if not isinstance(snapshot, ChecksReferences):
            raise TypeError("the snapshot cannot check references")
        return snapshot.dangling(collection, reference, limit)

    def can_check(self, collection: Collection) -> bool:
        """Whether `dangling` can be asked."""
        return self.has(collection) and isinstance(self._snapshot, ChecksReferences)

    def referrers(self, collection: Collection) -> list[str]:
        """What refers to a collection from outside the schema, as far as it is known."""
        if not self.has(collection):
            return []
        snapshot = self._there(collection)
        return snapshot.referrers(collection) if isinstance(snapshot, KnowsReferrers) else []

    def _there(self, collection: Collection) -> Snapshot:
        if self._snapshot is None:
            raise KeyError(collection.name)
        return self._snapshot

    # -- what is not done ----------------------------------------------------------------------

    def insert(self, collection: Collection, rows: list[Row]) -> None:
        """Nothing."""

    def update(self, collection: Collection, rows: list[Row]) -> None:
        """Nothing."""

    def delete(self, collection: Collection, keys: list[Key]) -> None:
        """Nothing."""

    def clear(self, collection: Collection) -> None:
        """Nothing."""

    def finish(self, counters: Mapping[str, int], *, allow_cascade: bool = False) -> None:
        """Nothing."""

    def savepoint(self) -> contextlib.AbstractContextManager[None]:
        """Nothing that would have to be undone."""
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def bulk(
        self, collection: Collection, count: int
    ) -> Iterator[Callable[[Forms | list[Row]], None]]:
        """A function that takes records, and does nothing."""
        del collection, count
        yield lambda _rows: None
