"""What savepoints promise."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from databackup.errors import RecordsRefused, StoreError
from databackup.testing.exact import exact_rows
from databackup.testing.harness import (
    RollBack,
    expect,
    expect_equal,
    expect_raises,
    expected,
    fill,
    seen,
    stored,
    writing,
)
from databackup.testing.promises.examples import CLUB, DATA, GROUPS, LOG, PEOPLE, VISITS, people

if TYPE_CHECKING:
    from databackup.repository import Transaction
    from databackup.testing.harness import Make, Promise


def _write_everywhere(transaction: Transaction) -> None:
    transaction.insert(PEOPLE, [(60, "undone", None, None)])
    transaction.update(PEOPLE, [(3, "undone", "x", None)])
    transaction.delete(VISITS, [(2,)])
    transaction.clear(LOG)
    transaction.insert(LOG, [("undone", 0)])


def a_store_without_savepoints_refuses_them(make: Make) -> None:
    """`savepoint` raises `StoreError` in a store that declares not to have them."""
    with make(CLUB) as repository:
        if repository.capabilities.savepoints:
            return
        with (
            repository.transaction() as transaction,
            expect_raises(StoreError, "a savepoint where there are none"),
            transaction.savepoint(),
        ):
            transaction.count(PEOPLE)


def an_exception_undoes_the_savepoint(make: Make) -> None:
    """An exception that leaves a savepoint's block undoes what was written in it, and nothing else.

    The very same exception comes out, and the transaction goes on.
    """
    with make(CLUB) as repository:
        if not repository.capabilities.savepoints:
            return
        fill(repository, DATA)
        for error in (RollBack("on purpose"), KeyboardInterrupt()):
            with writing(repository) as transaction:
                transaction.insert(LOG, [("before", None)])
                try:
                    with transaction.savepoint():
                        _write_everywhere(transaction)
                        raise error
                except type(error) as caught:
                    expect(caught is error, "the very same exception comes out")
                wanted = expected(CLUB, DATA | {"log": [*DATA["log"], ("before", None)]})
                expect_equal(wanted, seen(transaction, CLUB), "what an undone savepoint leaves")
                transaction.delete(PEOPLE, [(-4,)])
                transaction.insert(PEOPLE, DATA["people"][-1:])
                transaction.clear(LOG)
                transaction.insert(LOG, DATA["log"])
            expect_equal(expected(CLUB, DATA), stored(repository), "what is committed after it")


def a_savepoint_that_ends_keeps_what_was_written(make: Make) -> None:
    """What was written in a savepoint whose block ends is committed with the transaction."""
    with make(CLUB) as repository:
        if not repository.capabilities.savepoints:
            return
        with writing(repository) as transaction:
            for number in range(3):
                with transaction.savepoint():
                    transaction.insert(PEOPLE, people(1, first=number))
        wanted = expected(CLUB, {"people": people(3, first=0)})
        expect_equal(wanted, stored(repository), "the store after savepoints that ended")


def savepoints_nest(make: Make) -> None:
    """An inner savepoint is undone alone; an outer one undoes inner ones that ended, too."""
    with make(CLUB) as repository:
        if not repository.capabilities.savepoints:
            return
        fill(repository, DATA)
        with writing(repository) as transaction:
            with transaction.savepoint():
                transaction.insert(LOG, [("outer", 1)])
                with contextlib.suppress(RollBack), transaction.savepoint():
                    _write_everywhere(transaction)
                    raise RollBack
                with transaction.savepoint():
                    transaction.insert(LOG, [("inner", 2)])
            kept = expected(CLUB, DATA | {"log": [*DATA["log"], ("outer", 1), ("inner", 2)]})
            expect_equal(kept, seen(transaction, CLUB), "what an undone inner savepoint leaves")
            with contextlib.suppress(RollBack), transaction.savepoint():
                with transaction.savepoint():
                    _write_everywhere(transaction)
                raise RollBack
            expect_equal(kept, seen(transaction, CLUB), "what an undone outer savepoint leaves")
        expect_equal(kept, stored(repository), "the store after nested savepoints")


def a_refused_call_is_undone_by_its_savepoint(make: Make) -> None:
    """After `RecordsRefused` has left a savepoint's block, the transaction goes on and commits."""
    with make(CLUB) as repository:
        if not repository.capabilities.savepoints:
            return
        fill(repository, DATA)
        with writing(repository) as transaction:
            for batch in ([(70, "x", None, None), (1, "taken", None, None)], people(1, first=71)):
                with contextlib.suppress(RecordsRefused), transaction.savepoint():
                    transaction.insert(PEOPLE, batch)
        wanted = expected(CLUB, DATA | {"people": DATA["people"] + people(1, first=71)})
        expect_equal(wanted, stored(repository), "the store after a refused call and another one")


def an_open_iterator_outlives_an_undone_savepoint(make: Make) -> None:
    """An iterator that is open while another collection's writes are undone goes on as before."""
    with make(CLUB) as repository:
        if not repository.capabilities.savepoints:
            return
        fill(repository, {"people": people(10), "groups": DATA["groups"]})
        with repository.transaction() as transaction:
            iterator = transaction.rows(PEOPLE, batch_size=3)
            found = list(next(iterator))
            with contextlib.suppress(RollBack), transaction.savepoint():
                transaction.clear(GROUPS)
                transaction.insert(GROUPS, [("z", "undone")])
                found += next(iterator)
                raise RollBack
            found += [row for batch in iterator for row in batch]
            what = "the rows of an iterator open over an undone savepoint"
            expect_equal(exact_rows(PEOPLE, people(10)), exact_rows(PEOPLE, found), what)
            left = seen(transaction, CLUB)["groups"]
            expect_equal(exact_rows(GROUPS, DATA["groups"]), left, "what the savepoint leaves")


PROMISES: tuple[Promise, ...] = (
    a_store_without_savepoints_refuses_them,
    an_exception_undoes_the_savepoint,
    a_savepoint_that_ends_keeps_what_was_written,
    savepoints_nest,
    a_refused_call_is_undone_by_its_savepoint,
    an_open_iterator_outlives_an_undone_savepoint,
)
