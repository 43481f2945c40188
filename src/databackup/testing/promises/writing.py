"""What insert, update, delete and clear promise."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from databackup.testing.harness import (
    expect_equal,
    expect_refused,
    expected,
    fill,
    seen,
    stored,
    writing,
)
from databackup.testing.promises.examples import (
    CLUB,
    DATA,
    GROUPS,
    LOG,
    MEMBERS,
    PEOPLE,
    VISITS,
    people,
)

if TYPE_CHECKING:
    from databackup.testing.harness import Dataset, Make, Promise


def inserted_records_are_there(make: Make) -> None:
    """`insert` adds the records it is given, to an empty collection and beside others."""
    more: Dataset = {"people": [(11, "Fa", None, 1)], "log": [("opened", 1), ("late", None)]}
    with make(CLUB) as repository:
        fill(repository, DATA)
        expect_equal(expected(CLUB, DATA), stored(repository), "the store after the first insert")
        fill(repository, more)
        both = {name: DATA[name] + list(more.get(name, [])) for name in DATA}
        expect_equal(expected(CLUB, both), stored(repository), "the store after the second insert")


def a_call_takes_many_records(make: Make) -> None:
    """insert, update and delete take any number of records in one call."""
    changed = [(number, "new", "n", None) for number in range(1, 2501)]
    with make(CLUB) as repository:
        with writing(repository) as transaction:
            transaction.insert(PEOPLE, people(2500))
            expect_equal(2500, transaction.count(PEOPLE), "the count after inserting 2,500")
            transaction.update(PEOPLE, changed)
        found = stored(repository)
        expect_equal(expected(CLUB, {"people": changed}), found, "2,500 records updated at once")
        with writing(repository) as transaction:
            transaction.delete(PEOPLE, [(number,) for number in range(1, 2500)])
        wanted = expected(CLUB, {"people": changed[-1:]})
        expect_equal(wanted, stored(repository), "the store after deleting 2,499")


def a_call_takes_no_records(make: Make) -> None:
    """insert, update and delete of nothing do nothing."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        with writing(repository) as transaction:
            transaction.insert(PEOPLE, [])
            transaction.update(PEOPLE, [])
            transaction.delete(PEOPLE, [])
        expect_equal(expected(CLUB, DATA), stored(repository), "the store after empty calls")


def inserting_a_taken_key_is_refused(make: Make) -> None:
    """`insert` raises `RecordsRefused` for a key that is there, or comes twice in the call."""
    day = datetime.date(2020, 1, 1)
    with make(CLUB) as repository:
        fill(repository, DATA)
        for collection, rows in (
            (PEOPLE, [(99, "new", None, None), (3, "taken", None, None)]),
            (PEOPLE, [(98, "new", None, None), (98, "again", None, None)]),
            (MEMBERS, [("a", 1, "taken", day)]),
        ):
            what = f"inserting a taken key into {collection}"
            expect_refused(repository, lambda t, c=collection, r=rows: t.insert(c, r), what)  # type: ignore[misc]


def updated_records_have_the_new_values(make: Make) -> None:
    """`update` gives the records of the rows' keys the rows' values, and touches no others."""
    new: Dataset = {
        "people": [(1, "Anna", None, None), (10, "", "D", 3)],
        "members": [("a", 10, "chair", datetime.date(2025, 1, 1))],
    }
    with make(CLUB) as repository:
        fill(repository, DATA)
        with writing(repository) as transaction:
            transaction.update(PEOPLE, list(new["people"]))
            transaction.update(MEMBERS, list(new["members"]))
        after = DATA | {
            "people": [row for row in DATA["people"] if row[0] not in (1, 10)] + new["people"],
            "members": [row for row in DATA["members"] if row[:2] != ("a", 10)] + new["members"],
        }
        expect_equal(expected(CLUB, after), stored(repository), "the store after updates")


def updating_a_missing_key_is_refused(make: Make) -> None:
    """`update` raises `RecordsRefused` for a key without a record, and inserts nothing."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        rows = [(1, "Anna", None, None), (77, "nobody", None, None)]
        what = "updating a key without a record"
        expect_refused(repository, lambda t: t.update(PEOPLE, rows), what)
        composite = [("b", 1, "nobody", None)]
        expect_refused(repository, lambda t: t.update(MEMBERS, composite), what)


def deleted_records_are_gone(make: Make) -> None:
    """`delete` removes the records of the keys, and no others."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        with writing(repository) as transaction:
            transaction.delete(VISITS, [(4,), (3,)])
            transaction.delete(MEMBERS, [("b", 2), ("a", 10)])
        after = DATA | {
            "visits": DATA["visits"][:2],
            "members": [row for row in DATA["members"] if row[:2] not in (("b", 2), ("a", 10))],
        }
        expect_equal(expected(CLUB, after), stored(repository), "the store after deletes")


def deleting_a_missing_key_is_refused(make: Make) -> None:
    """`delete` raises `RecordsRefused` for a key without a record."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        what = "deleting a key without a record"
        expect_refused(repository, lambda t: t.delete(VISITS, [(1,), (77,)]), what)
        expect_refused(repository, lambda t: t.delete(MEMBERS, [("b", 1)]), what)


def cleared_collections_are_empty(make: Make) -> None:
    """`clear` removes all records of a collection, with and without a key; they may come anew."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        with writing(repository) as transaction:
            transaction.clear(VISITS)
            transaction.clear(LOG)
            transaction.clear(LOG)
            expect_equal(0, transaction.count(VISITS), "the count of a cleared collection")
            transaction.insert(VISITS, DATA["visits"][:1])
        after = DATA | {"visits": DATA["visits"][:1], "log": []}
        expect_equal(expected(CLUB, after), stored(repository), "the store after clear")


def nothing_else_goes_with_what_is_removed(make: Make) -> None:
    """`delete` and `clear` remove no record that refers to a removed one."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        with writing(repository) as transaction:
            transaction.delete(PEOPLE, [(1,), (2,)])
            gone = DATA | {"people": [row for row in DATA["people"] if row[0] not in (1, 2)]}
            expect_equal(expected(CLUB, gone), seen(transaction, CLUB), "what a delete leaves")
            transaction.clear(GROUPS)
            transaction.clear(MEMBERS)
            gone |= {"groups": [], "members": []}
            expect_equal(expected(CLUB, gone), seen(transaction, CLUB), "what a clear leaves")
            transaction.insert(PEOPLE, [row for row in DATA["people"] if row[0] in (1, 2)])
            transaction.insert(MEMBERS, DATA["members"])
            transaction.insert(GROUPS, DATA["groups"])
        expect_equal(expected(CLUB, DATA), stored(repository), "the store with all put back")


def a_transaction_sees_what_it_wrote(make: Make) -> None:
    """rows, count and get of a transaction show its own writes at once."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        with writing(repository) as transaction:
            transaction.insert(PEOPLE, [(50, "new", None, None)])
            transaction.update(PEOPLE, [(3, "Cyd", None, None)])
            transaction.delete(PEOPLE, [(-4,)])
            found = transaction.get(PEOPLE, [(50,), (3,), (-4,)])
            wanted = [(3, "Cyd", None, None), (50, "new", None, None)]
            expect_equal(wanted, sorted(found), "get of what was written, changed and deleted")
            expect_equal(5, transaction.count(PEOPLE), "the count after an insert and a delete")
            rest = [row for row in DATA["people"] if row[0] not in (3, -4)]
            after = expected(CLUB, DATA | {"people": rest + wanted})
            expect_equal(after, seen(transaction, CLUB), "the rows of the transaction")


def equal_records_without_a_key_are_kept(make: Make) -> None:
    """Where there is no key, equal records are several records."""
    with make(CLUB) as repository:
        fill(repository, {"log": [("same", None)] * 3 + [("other", 1)]})
        fill(repository, {"log": [("same", None)]})
        wanted = expected(CLUB, {"log": [("same", None)] * 4 + [("other", 1)]})
        expect_equal(wanted, stored(repository), "equal records without a key")


PROMISES: tuple[Promise, ...] = (
    inserted_records_are_there,
    a_call_takes_many_records,
    a_call_takes_no_records,
    inserting_a_taken_key_is_refused,
    updated_records_have_the_new_values,
    updating_a_missing_key_is_refused,
    deleted_records_are_gone,
    deleting_a_missing_key_is_refused,
    cleared_collections_are_empty,
    nothing_else_goes_with_what_is_removed,
    a_transaction_sees_what_it_wrote,
    equal_records_without_a_key_are_kept,
)
