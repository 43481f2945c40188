"""What an adapter says of its store, and the face it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from databackup.errors import StoreError
from databackup.repository import Capabilities, Repository, Snapshot, Transaction
from databackup.testing.harness import all_rows, expect, expect_equal, expect_raises
from databackup.testing.promises.examples import CLUB, PEOPLE

if TYPE_CHECKING:
    from databackup.testing.harness import Make, Promise


def capabilities_are_declared(make: Make) -> None:
    """An adapter declares every capability; nothing is guessed and nothing has a default."""
    with make(CLUB) as repository:
        declared = repository.capabilities
        names = [field.name for field in attrs.fields(Capabilities)]
        missing = [name for name in names if not hasattr(declared, name)]
        expect(not missing, f"not declared: {', '.join(missing)}")
        expect(isinstance(declared, Capabilities), f"no Capabilities, but {declared!r}")
        expect(
            type(declared.name) is str and declared.name != "",
            f"the name is text that is not empty, not {declared.name!r}",
        )
        for name in ("consistent_snapshot", "atomic", "savepoints", "suspends_triggers"):
            value = getattr(declared, name)
            expect(type(value) is bool, f"{name} is True or False, not {value!r}")
        keyed = {collection.name for collection in CLUB.collections if collection.key}
        expect(
            type(declared.ordered_rows) is frozenset,
            f"ordered_rows is a frozenset, not {declared.ordered_rows!r}",
        )
        unkeyed = declared.ordered_rows - keyed
        expect(not unkeyed, f"ordered_rows names what has no key: {sorted(unkeyed)}")


def every_method_is_there(make: Make) -> None:
    """A repository, its snapshots and its transactions have all methods of the protocol."""
    with make(CLUB) as repository:
        expect(isinstance(repository, Repository), f"{repository!r} is no Repository")
        with repository.snapshot() as snapshot:
            expect(isinstance(snapshot, Snapshot), f"{snapshot!r} is no Snapshot")
        if repository.capabilities.atomic:
            with repository.transaction() as transaction:
                expect(isinstance(transaction, Transaction), f"{transaction!r} is no Transaction")


def the_schema_is_the_one_given(make: Make) -> None:
    """A repository has the app, the version and the collections it was made for."""
    with make(CLUB) as repository:
        schema = repository.schema
        expect_equal(CLUB.app, schema.app, "the app")
        expect_equal(CLUB.version, schema.version, "the version")
        expect_equal(CLUB.collections, schema.collections, "the collections")


def an_empty_store_is_empty(make: Make) -> None:
    """A collection without records counts none, has no batch, and finds no key."""
    with make(CLUB) as repository, repository.snapshot() as snapshot:
        for collection in CLUB.collections:
            expect_equal(0, snapshot.count(collection), f"the count of {collection}")
            expect_equal([], list(snapshot.rows(collection)), f"the batches of {collection}")
        expect_equal([], snapshot.get(PEOPLE, [(1,)]), "the records of a key")


def a_store_that_is_not_atomic_refuses_transactions(make: Make) -> None:
    """A transaction of a store that declares not to be atomic raises `StoreError`."""
    with make(CLUB) as repository:
        if repository.capabilities.atomic:
            return
        with (
            expect_raises(StoreError, "a transaction without atomicity"),
            repository.transaction() as transaction,
        ):
            all_rows(transaction, PEOPLE)


PROMISES: tuple[Promise, ...] = (
    capabilities_are_declared,
    every_method_is_there,
    the_schema_is_the_one_given,
    an_empty_store_is_empty,
    a_store_that_is_not_atomic_refuses_transactions,
)
