"""What a store promises that offers more than rows: `FormsSnapshot` and `BulkTransaction`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from databackup.archive.records import RecordCodec
from databackup.errors import RecordsRefused
from databackup.repository import BulkTransaction, FormsSnapshot
from databackup.schema.columns import Forms
from databackup.testing.exact import exact_rows
from databackup.testing.harness import (
    RollBack,
    all_rows,
    expect,
    expect_equal,
    expect_raises,
    fill,
    writing,
)
from databackup.testing.promises.examples import CLUB, DATA, PEOPLE, people

if TYPE_CHECKING:
    from databackup.repository import Row, Snapshot, Transaction
    from databackup.schema import Collection
    from databackup.testing.harness import Make, Promise


def forms_are_the_records(make: Make) -> None:
    """Forms stand for the same records as rows, in the same order, each once.

    A store without forms keeps this promise, and so do those below.
    """
    with make(CLUB) as repository:
        fill(repository, DATA)
        with repository.snapshot() as snapshot:
            for collection in CLUB.collections:
                for size in (1, 2, 1000):
                    _compare(snapshot, collection, size)
        with repository.transaction() as transaction:
            _compare(transaction, PEOPLE, 2)


def _compare(snapshot: Snapshot, collection: Collection, size: int) -> None:
    if not isinstance(snapshot, FormsSnapshot):
        return
    codec = RecordCodec(collection)
    found: list[Row] = []
    for batch in snapshot.forms(collection, batch_size=size):
        expect(0 < len(batch) <= size, f"a batch of {len(batch)} records instead of {size}")
        rows = batch.rows if isinstance(batch, Forms) else batch
        expect_equal(codec.lines(rows), codec.lines(batch), f"the lines of forms of {collection}")
        found += rows
    expected = all_rows(snapshot, collection)
    expect_equal(
        exact_rows(collection, expected), exact_rows(collection, found), f"forms of {collection}"
    )
    if collection.key:
        keys = list(map(collection.codec.key, expected))
        expect_equal(keys, list(map(collection.codec.key, found)), f"the order of {collection}")


def other_calls_may_come_between_forms(make: Make) -> None:
    """What is left of forms comes all the same, and a reader that is closed is forgotten."""
    with make(CLUB) as repository:
        fill(repository, {"people": people(20)})
        with repository.snapshot() as snapshot:
            if not isinstance(snapshot, FormsSnapshot):
                return
            one, two = (snapshot.forms(PEOPLE, batch_size=4) for _ in range(2))
            done = [len(next(one)), len(next(two)), snapshot.count(PEOPLE) - 20, len(next(one))]
            done += [sum(map(len, one)), sum(map(len, two))]
            expect_equal(40, sum(done), "the records of two readers")
            with contextlib.closing(iter(snapshot.forms(PEOPLE, batch_size=4))) as given_up:  # type: ignore[type-var]
                next(given_up)
            expect_equal(20, snapshot.count(PEOPLE), "the records behind a reader given up")


def a_bulk_is_what_was_given(make: Make) -> None:
    """Rows and forms, in any number of batches, few or many, are there when the block has ended."""
    with make(CLUB) as repository:
        for count in (5, 5000):
            with contextlib.suppress(RollBack), writing(repository) as transaction:
                if not isinstance(transaction, BulkTransaction):
                    return
                with transaction.savepoint(), transaction.bulk(PEOPLE, count) as insert:
                    insert(people(2))
                    insert(_forms(people(count - 2, 3)))
                found = exact_rows(PEOPLE, all_rows(transaction, PEOPLE))
                expect_equal(exact_rows(PEOPLE, people(count)), found, "what was put in in bulk")
                raise RollBack


def a_bulk_is_refused_as_a_whole(make: Make) -> None:
    """A key twice is refused at the block's end at the latest; a savepoint undoes all of it."""
    with make(CLUB) as repository:
        for count in (5, 5000):
            with writing(repository) as transaction:
                if not isinstance(transaction, BulkTransaction):
                    return
                with expect_raises(RecordsRefused, "a key twice"):
                    _bulk_of_one_key_twice(transaction, count)
                expect_equal(0, transaction.count(PEOPLE), "records behind a refusal")
                with contextlib.suppress(RollBack):
                    _bulk_that_is_left(transaction, count)
                expect_equal(0, transaction.count(PEOPLE), "records behind a bulk that was left")


def _bulk_of_one_key_twice(transaction: Transaction, count: int) -> None:
    if isinstance(transaction, BulkTransaction):
        with transaction.savepoint(), transaction.bulk(PEOPLE, count) as insert:
            insert(people(count))
            insert(_forms(people(1)))


def _bulk_that_is_left(transaction: Transaction, count: int) -> None:
    if isinstance(transaction, BulkTransaction):
        with transaction.savepoint(), transaction.bulk(PEOPLE, count) as insert:
            insert(people(count))
            raise RollBack


def _forms(rows: list[Row]) -> Forms:
    codec = RecordCodec(PEOPLE, forms=True)
    batch = codec.batch(codec.lines(rows)[0][:-1].replace(b"\n", b",\n"), 1)
    if batch is None or batch.forms is None:
        raise AssertionError("these records have forms")
    return batch.forms


PROMISES: tuple[Promise, ...] = (
    forms_are_the_records,
    other_calls_may_come_between_forms,
    a_bulk_is_what_was_given,
    a_bulk_is_refused_as_a_whole,
)
