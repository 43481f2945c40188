"""What adapters that break a promise are made of: a sound repository, one thing of it spoilt."""

# ruff: noqa: D102 - a method passes on to the one of its name

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from databackup.adapters.memory import MemoryRepository
from databackup.repository import Key, Row, Snapshot, Transaction
from databackup.schema import Collection, Reference, Schema

Cases = dict[str, tuple[Callable[[Schema], Any], str]]
"""By name, a factory of broken repositories and the promise that they break."""


def sound(schema: Schema) -> MemoryRepository:
    """A repository that keeps all promises, and is empty."""
    return MemoryRepository(schema, {c.name: [] for c in schema.collections})


class View:
    """Passes everything on to a sound snapshot or transaction; broken ones override a method."""

    def __init__(self, inner: Any) -> None:
        self.inner: Any = inner

    def count(self, collection: Collection) -> int:
        return self.inner.count(collection)  # type: ignore[no-any-return]

    def rows(self, collection: Collection, *, batch_size: int = 1000) -> Iterator[list[Row]]:
        return self.inner.rows(collection, batch_size=batch_size)  # type: ignore[no-any-return]

    def get(self, collection: Collection, keys: Iterable[Key]) -> list[Row]:
        return self.inner.get(collection, keys)  # type: ignore[no-any-return]

    def counters(self) -> Mapping[str, int]:
        return self.inner.counters()  # type: ignore[no-any-return]

    def insert(self, collection: Collection, rows: list[Row]) -> None:
        self.inner.insert(collection, rows)

    def update(self, collection: Collection, rows: list[Row]) -> None:
        self.inner.update(collection, rows)

    def delete(self, collection: Collection, keys: list[Key]) -> None:
        self.inner.delete(collection, keys)

    def clear(self, collection: Collection) -> None:
        self.inner.clear(collection)

    def savepoint(self) -> contextlib.AbstractContextManager[None]:
        return self.inner.savepoint()  # type: ignore[no-any-return]

    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]:
        return self.inner.dangling(collection, reference, limit)  # type: ignore[no-any-return]

    def finish(self, counters: Mapping[str, int], *, allow_cascade: bool = False) -> None:
        self.inner.finish(counters, allow_cascade=allow_cascade)


class Broken:
    """A repository that hands out views of the class `view`."""

    view: ClassVar[type[View]] = View

    def __init__(self, schema: Schema) -> None:
        self.inner = sound(schema)
        self.schema = self.inner.schema
        self.capabilities: Any = self.inner.capabilities

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        with self.inner.snapshot() as snapshot:
            yield self.view(snapshot)

    @contextlib.contextmanager
    def transaction(self, *, wait: float = 5.0) -> Iterator[Transaction]:
        with self.inner.transaction(wait=wait) as transaction:
            yield self.view(transaction)


def broken_view(name: str, **methods: Callable[..., Any]) -> type[Broken]:
    """A repository whose views have these methods."""
    return type(name, (Broken,), {"view": type("View", (View,), methods)})


def stored_as(change: Callable[[Any], Any]) -> type[Broken]:
    """A repository that changes each value on its way in."""

    def changed(rows: list[Row]) -> list[Row]:
        return [tuple(map(change, row)) for row in rows]

    return broken_view(
        "Changed",
        insert=lambda self, collection, rows: self.inner.insert(collection, changed(rows)),
        update=lambda self, collection, rows: self.inner.update(collection, changed(rows)),
    )


def with_view(view: type[View]) -> type[Broken]:
    """A repository whose views are of a class."""
    return type(view.__name__, (Broken,), {"view": view})
