"""What snapshots and transactions promise: isolation, commit, rollback, one at a time."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from databackup.errors import DatabackupError, StoreFailed, StoreLocked
from databackup.testing.exact import exact_rows
from databackup.testing.harness import (
    RollBack,
    all_rows,
    expect,
    expect_equal,
    expect_raises,
    expected,
    fill,
    insert_all,
    seen,
    stored,
    writing,
)
from databackup.testing.promises.examples import (
    CLUB,
    DATA,
    GROUPS,
    LOG,
    PEOPLE,
    VISITS,
    people,
)

if TYPE_CHECKING:
    from databackup.repository import Transaction
    from databackup.testing.harness import Make, Promise

_PATIENCE = 5.0


def a_commit_is_seen_by_the_next_snapshot(make: Make) -> None:
    """The end of a transaction's block commits: every later snapshot shows all of it."""
    with make(CLUB) as repository:
        with writing(repository) as transaction:
            insert_all(transaction, CLUB, DATA)
        for _ in range(2):
            expect_equal(expected(CLUB, DATA), stored(repository), "the store after the commit")


def a_snapshot_stays_as_it_was(make: Make) -> None:
    """A snapshot shows one moment: a later transaction is refused or not seen.

    In a store that declares no consistent snapshot, each record read is an old or a new one.
    """
    old = DATA | {"people": people(10), "members": [], "visits": []}
    new = [(number, "new", None, None) for number in range(1, 13)]
    with make(CLUB) as repository:
        fill(repository, old)
        committed = False
        with repository.snapshot() as snapshot:
            iterator = snapshot.rows(PEOPLE, batch_size=3)
            found = list(next(iterator))
            with contextlib.suppress(StoreLocked):
                with repository.transaction(wait=0.05) as transaction:
                    transaction.clear(PEOPLE)
                    transaction.insert(PEOPLE, new)
                    transaction.clear(LOG)
                    transaction.finish({})
                committed = True
            found += [row for batch in iterator for row in batch]
            shown = seen(snapshot, CLUB)
            if repository.capabilities.consistent_snapshot:
                what = "the rows of an iterator open over another's commit"
                expect_equal(exact_rows(PEOPLE, people(10)), exact_rows(PEOPLE, found), what)
                expect_equal(expected(CLUB, old), shown, "a snapshot after another's commit")
                count = snapshot.count(PEOPLE)
                expect_equal(10, count, "the count of a snapshot after another's commit")
                got = snapshot.get(PEOPLE, [(1,), (11,)])
                expect_equal(people(1), got, "get of a snapshot after another's commit")
            else:
                strange = set(exact_rows(PEOPLE, found)) - set(exact_rows(PEOPLE, people(10) + new))
                expect(not strange, f"records that are neither old nor new: {strange}")
        after = old | {"people": new, "log": []} if committed else old
        expect_equal(expected(CLUB, after), stored(repository), "the store after both")


def _write_everywhere(transaction: Transaction) -> None:
    transaction.insert(PEOPLE, [(60, "undone", None, None)])
    transaction.update(PEOPLE, [(3, "undone", "x", None)])
    transaction.delete(VISITS, [(2,)])
    transaction.clear(LOG)
    transaction.insert(LOG, [("undone", 0)])
    transaction.finish({"people": 1000})


def an_exception_rolls_back(make: Make) -> None:
    """Any exception rolls back all that was written, and comes out as the very same object."""
    errors = (RollBack("on purpose"), KeyboardInterrupt(), StopIteration(), StoreFailed("mine"))
    with make(CLUB) as repository:
        fill(repository, DATA)
        for error in errors:
            caught: BaseException | None = None
            try:
                with repository.transaction() as transaction:
                    _write_everywhere(transaction)
                    raise error  # noqa: TRY301 - as a host would
            except BaseException as found:  # noqa: BLE001 - whatever comes out is looked at
                caught = found
            what = f"the store after {type(error).__name__}"
            expect_equal(expected(CLUB, DATA), stored(repository), what)
            same = "the very same exception comes out"
            expect(caught is error, f"{same}: {error!r} was raised, {caught!r} came out")


def a_failed_commit_writes_nothing(make: Make) -> None:
    """A transaction that ends with broken references is committed whole or refused whole."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        after = DATA | {"people": [*DATA["people"], (80, "x", None, 4711)], "log": []}
        failure: DatabackupError | None = None
        try:
            with writing(repository) as transaction:
                transaction.clear(LOG)
                transaction.insert(PEOPLE, after["people"][-1:])
        except DatabackupError as error:
            failure = error
        wanted = expected(CLUB, DATA if failure else after)
        expect_equal(wanted, stored(repository), f"the store after a commit ({failure!r})")


def references_may_be_broken_in_the_middle(make: Make) -> None:
    """References need to hold only at the end; rows are written and deleted in any order."""
    with make(CLUB) as repository:
        with writing(repository) as transaction:
            for collection in reversed(CLUB.ordered):
                transaction.insert(collection, DATA[collection.name])
        expect_equal(expected(CLUB, DATA), stored(repository), "the store filled backwards")
        with writing(repository) as transaction:
            transaction.delete(GROUPS, [("a",)])
            transaction.delete(PEOPLE, [(1,), (2,)])
            transaction.insert(GROUPS, [("a", "Arts")])
            transaction.insert(PEOPLE, [(2, "Bob", None, 1), (1, "Ann", None, 2)])
        after = DATA | {
            "groups": [("b", "Bikes"), ("a", "Arts"), ("B", "Books")],
            "people": [
                *(row for row in DATA["people"] if row[0] not in (1, 2)),
                (1, "Ann", None, 2),
                (2, "Bob", None, 1),
            ],
        }
        what = "the store after records were replaced that others refer to"
        expect_equal(expected(CLUB, after), stored(repository), what)
        with writing(repository) as transaction:
            for collection in CLUB.ordered:
                transaction.clear(collection)
        expect_equal(expected(CLUB, {}), stored(repository), "the store cleared forwards")


def a_second_transaction_is_refused(make: Make) -> None:
    """While a transaction is open, a second one waits `wait` seconds at most: `StoreLocked`.

    The first one goes on, commits, and afterwards the store can be written again.
    """
    with make(CLUB) as repository:
        with writing(repository) as transaction:
            transaction.insert(PEOPLE, people(1))
            start = time.monotonic()
            for wait in (0.0, 0.05):
                with (
                    expect_raises(StoreLocked, "a second transaction"),
                    repository.transaction(wait=wait) as second,
                ):
                    all_rows(second, PEOPLE)
            waited = time.monotonic() - start
            expect(waited < _PATIENCE, f"a second transaction waited {waited:.1f} s, not 0.05 s")
            transaction.insert(PEOPLE, people(1, first=2))
        what = "the store after a second transaction was refused"
        expect_equal(expected(CLUB, {"people": people(2)}), stored(repository), what)
        fill(repository, {"people": people(1, first=3)})
        what = "the store after the next transaction"
        expect_equal(expected(CLUB, {"people": people(3)}), stored(repository), what)


PROMISES: tuple[Promise, ...] = (
    a_commit_is_seen_by_the_next_snapshot,
    a_snapshot_stays_as_it_was,
    an_exception_rolls_back,
    a_failed_commit_writes_nothing,
    references_may_be_broken_in_the_middle,
    a_second_transaction_is_refused,
)
