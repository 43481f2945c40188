"""What the promises share: opening repositories, filling and reading them, and saying what broke.

Nothing here uses `assert`: a promise must hold under `python -O`, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from databackup.errors import RecordsRefused
from databackup.testing.exact import exact_rows

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from databackup.repository import Repository, Row, Snapshot, Transaction
    from databackup.schema import Collection, Schema

    Factory = Callable[[Schema], Repository | AbstractContextManager[Repository]]
    Make = Callable[[Schema], AbstractContextManager[Repository]]
    Dataset = Mapping[str, list[Row]]

    Promise = Callable[[Make], None]
    """A function that raises AssertionError where an adapter breaks the promise it is named for."""


class RollBack(Exception):
    """Raised by a promise to leave a transaction's block."""


def opening(factory: Factory) -> Make:
    """A factory of context managers, from one of repositories or of context managers."""

    @contextlib.contextmanager
    def make(schema: Schema) -> Iterator[Repository]:
        made: Any = factory(schema)
        if hasattr(made, "__enter__"):
            with made as repository:
                yield repository
        else:
            yield made

    return make


def expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - what `assert` takes
    """Raise AssertionError with what is wrong unless something holds."""
    if not holds:
        raise AssertionError(otherwise)


def expect_equal(expected: object, found: object, what: str) -> None:
    """Raise AssertionError unless two things are equal; of many records, with those that differ."""
    if expected != found:
        raise AssertionError(f"{what}: {_difference(expected, found)}")


@contextlib.contextmanager
def expect_raises(kind: type[BaseException], what: str) -> Iterator[None]:
    """Raise AssertionError unless the block raises an exception of a kind."""
    try:
        yield
    except kind:
        return
    except Exception as error:
        raise AssertionError(f"{what}: expected {kind.__name__}, found {error!r}") from error
    raise AssertionError(f"{what}: expected {kind.__name__}, but nothing was raised")


def expect_refused(repository: Repository, write: Callable[[Transaction], None], what: str) -> None:
    """A write raises `RecordsRefused`, and rolled back it leaves the store as it was."""
    before = stored(repository)
    with contextlib.suppress(RollBack), repository.transaction() as transaction:
        with expect_raises(RecordsRefused, what):
            write(transaction)
        raise RollBack
    expect_equal(before, stored(repository), f"the store after {what} was rolled back")


@contextlib.contextmanager
def writing(repository: Repository) -> Iterator[Transaction]:
    """A transaction that is finished at its end, as an import does it."""
    with repository.transaction() as transaction:
        yield transaction
        transaction.finish({})


def fill(repository: Repository, dataset: Dataset) -> None:
    """Insert a dataset and commit it."""
    with writing(repository) as transaction:
        insert_all(transaction, repository.schema, dataset)


def insert_all(transaction: Transaction, schema: Schema, dataset: Dataset) -> None:
    """Insert a dataset, referred collections first."""
    for collection in schema.ordered:
        if dataset.get(collection.name):
            transaction.insert(collection, list(dataset[collection.name]))


def all_rows(snapshot: Snapshot, collection: Collection, batch_size: int = 1000) -> list[Row]:
    """All records of a collection."""
    return [row for batch in snapshot.rows(collection, batch_size=batch_size) for row in batch]


def seen(snapshot: Snapshot, schema: Schema) -> dict[str, list[tuple[str, ...]]]:
    """What a snapshot or a transaction shows, in a form that compares exactly."""
    return {c.name: exact_rows(c, all_rows(snapshot, c)) for c in schema.collections}


def stored(repository: Repository) -> dict[str, list[tuple[str, ...]]]:
    """What a new snapshot shows, in a form that compares exactly."""
    with repository.snapshot() as snapshot:
        return seen(snapshot, repository.schema)


def expected(schema: Schema, dataset: Dataset) -> dict[str, list[tuple[str, ...]]]:
    """What `stored` and `seen` give for a dataset."""
    return {c.name: exact_rows(c, dataset.get(c.name, [])) for c in schema.collections}


def _difference(expected: object, found: object) -> str:
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        differ = [name for name in expected if expected[name] != found[name]]
        return "; ".join(f"{name}: {_difference(expected[name], found[name])}" for name in differ)
    if isinstance(expected, list) and isinstance(found, list):
        missing, strange = _without(expected, found), _without(found, expected)
        if missing or strange:
            return f"missing {_short(missing)}, not expected {_short(strange)}"
    return f"expected {_short(expected)}, found {_short(found)}"


def _without(items: list[object], others: list[object]) -> list[object]:
    left, rest = [], list(others)
    for item in items:
        if item in rest:
            rest.remove(item)
        else:
            left.append(item)
    return left


def _short(value: object, limit: int = 300) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
