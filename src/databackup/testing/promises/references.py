"""What dangling and finish promise."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from databackup.errors import StoreError
from databackup.repository import ChecksReferences
from databackup.testing.harness import RollBack, expect, expect_equal, expected, fill, stored
from databackup.testing.promises.examples import (
    BADGES,
    CLUB,
    DATA,
    GROUPS,
    MEMBERS,
    PEOPLE,
    SCANS,
    VISITS,
    people,
)

if TYPE_CHECKING:
    from databackup.repository import Key, Row
    from databackup.schema import Collection
    from databackup.testing.harness import Make, Promise


def _lost(
    transaction: ChecksReferences, collection: Collection, field: str, limit: int = 100
) -> list[Key]:
    reference = next(r for r in collection.references if r.fields[0] == field)
    found = transaction.dangling(collection, reference, limit)
    for value in found:
        expect(type(value) is tuple, f"dangling gives tuples, not {value!r}")
    return sorted(found)


def _expect_lost(
    make: Make,
    collection: Collection,
    field: str,
    *,
    rows: list[Row],
    lost: list[Any],
    what: str,
    gone: tuple[Collection, list[Key]] | None = None,
) -> None:
    """Beside the data, in a transaction with more rows and without some, these values dangle."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        with contextlib.suppress(RollBack), repository.transaction() as transaction:
            expect_equal([], _lost(transaction, collection, field), "what dangles in sound data")
            transaction.insert(collection, rows)
            if gone is not None:
                transaction.delete(*gone)
            expect_equal(lost, _lost(transaction, collection, field), what)
            raise RollBack
        with contextlib.suppress(RollBack), repository.transaction() as transaction:
            expect_equal([], _lost(transaction, collection, field), "what dangles after a rollback")
            raise RollBack


def dangling_finds_values_that_point_nowhere(make: Make) -> None:
    """`dangling` gives each value of a reference that points at no record, once."""
    rows: list[Row] = [("a", 77, "", None), ("b", 77, "", None), ("a", -5, "", None)]
    what = "people that members dangle from"
    gone = (PEOPLE, [(2,)])
    _expect_lost(
        make, MEMBERS, "person", rows=rows, lost=[(-5,), (2,), (77,)], what=what, gone=gone
    )
    what = "groups that members dangle from"
    rows = [("A", 3, "", None), ("", 3, "", None), ("a ", 3, "", None)]
    _expect_lost(make, MEMBERS, "group", rows=rows, lost=[("",), ("A",), ("a ",)], what=what)


def dangling_sees_references_to_the_same_collection(make: Make) -> None:
    """A reference to the same collection dangles like any other, and may be to the same record."""
    rows: list[Row] = [(20, "self", None, 20), (21, "next", None, 20), (22, "lost", None, 23)]
    gone = (PEOPLE, [(2,)])
    _expect_lost(
        make, PEOPLE, "boss", rows=rows, lost=[(2,), (23,)], what="bosses that dangle", gone=gone
    )


def dangling_compares_composite_references_whole(make: Make) -> None:
    """A reference of several fields dangles unless one record has all the values together."""
    rows: list[Row] = [(20, "b", 1), (21, "a", 2), (22, "a", 10), (23, "b", 1)]
    what = "composite references whose parts are there one by one"
    _expect_lost(make, VISITS, "group", rows=rows, lost=[("a", 2), ("b", 1)], what=what)


def dangling_leaves_out_nulls(make: Make) -> None:
    """A reference with a null in it points nowhere and does not dangle."""
    rows: list[Row] = [(20, None, 4711), (21, "nowhere", None), (22, None, None), (23, "no", 1)]
    _expect_lost(make, VISITS, "group", rows=rows, lost=[("no", 1)], what="references with nulls")


def dangling_follows_references_to_unique_fields(make: Make) -> None:
    """A reference that names fields in `to` points at those, not at the key."""
    rows: list[Row] = [(20, 1), (21, 500), (22, 2)]
    what = "serials that no badge has, though badges have them as keys"
    gone = (BADGES, [(2,)])
    _expect_lost(make, SCANS, "serial", rows=rows, lost=[(1,), (2,), (400,)], what=what, gone=gone)


def snapshots_that_check_references_see_what_dangles(make: Make) -> None:
    """Where a snapshot has `dangling`, it says of what is committed what a transaction would."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        with contextlib.suppress(StoreError), repository.transaction() as transaction:
            transaction.insert(MEMBERS, [("b", 77, "", None), ("a", -5, "", None)])
            transaction.finish({})
        with contextlib.suppress(RollBack), repository.transaction() as transaction:
            lost = _lost(transaction, MEMBERS, "person")  # none, where the store forbids it
            raise RollBack
        with repository.snapshot() as snapshot:
            if isinstance(snapshot, ChecksReferences):
                found = _lost(snapshot, MEMBERS, "person")
                expect_equal(lost, found, "people that members dangle from, in a snapshot")
                for collection in CLUB.collections:
                    for reference in collection.references:
                        if reference.fields != ("person",):
                            found = snapshot.dangling(collection, reference, 100)
                            expect_equal([], found, f"what dangles of {reference}, in a snapshot")


def dangling_gives_no_more_than_the_limit(make: Make) -> None:
    """`dangling` gives up to `limit` values."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        with contextlib.suppress(RollBack), repository.transaction() as transaction:
            rows = [("b", number, "", None) for number in range(100, 120)]
            transaction.insert(MEMBERS, rows)
            for limit in (1, 7, 20, 21):
                count = len(set(_lost(transaction, MEMBERS, "person", limit)))
                expect_equal(min(limit, 20), count, f"values that dangle, {limit} asked for")
            transaction.clear(PEOPLE)
            transaction.clear(GROUPS)
            values = _lost(transaction, MEMBERS, "group")
            expect_equal([("B",), ("a",), ("b",)], values, "what dangles from an empty collection")
            raise RollBack


def finish_sets_the_counters(make: Make) -> None:
    """`finish` sets counters as given, never below the largest key, and changes no record."""
    dataset: dict[str, list[Row]] = DATA | {"people": [*DATA["people"], *people(1, first=90)]}
    with make(CLUB) as repository:
        fill(repository, DATA)
        for given, wanted in ((1000, 1000), (5, 90)):
            with repository.transaction() as transaction:
                if given == 1000:
                    transaction.insert(PEOPLE, people(1, first=90))
                transaction.finish({"people": given})
            what = "the store after finish"
            expect_equal(expected(CLUB, dataset), stored(repository), what)
            with repository.snapshot() as snapshot:
                found = snapshot.counters().get("people", wanted)
            expect(
                found == wanted or (given == 5 and found >= wanted),
                f"the counter was given as {given}, and is {found} instead of {wanted}",
            )


PROMISES: tuple[Promise, ...] = (
    dangling_finds_values_that_point_nowhere,
    dangling_sees_references_to_the_same_collection,
    dangling_compares_composite_references_whole,
    dangling_leaves_out_nulls,
    dangling_follows_references_to_unique_fields,
    dangling_gives_no_more_than_the_limit,
    finish_sets_the_counters,
)
