"""What reading promises: rows, count, get, counters."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

from databackup.schema import Collection, Field, Schema
from databackup.testing.exact import exact_row, exact_rows
from databackup.testing.harness import (
    all_rows,
    expect,
    expect_equal,
    expected,
    fill,
    stored,
    writing,
)
from databackup.testing.promises.cases import KEYS
from databackup.testing.promises.examples import CLUB, DATA, LOG, MEMBERS, PEOPLE, people

if TYPE_CHECKING:
    from databackup.testing.harness import Make, Promise


def every_record_comes_once(make: Make) -> None:
    """Rows gives each record once, in snapshots and transactions, whatever the batch size."""
    with make(CLUB) as repository:
        fill(repository, DATA | {"people": people(257)} | {"members": [], "visits": []})
        with repository.snapshot() as snapshot:
            for size in (1, 2, 100, 256, 257, 1000):
                found = exact_rows(PEOPLE, all_rows(snapshot, PEOPLE, size))
                what = f"the records in batches of {size}"
                expect_equal(exact_rows(PEOPLE, people(257)), found, what)
            found = exact_rows(LOG, all_rows(snapshot, LOG, 1))
            expect_equal(exact_rows(LOG, DATA["log"]), found, "records without a key")
        with repository.transaction() as transaction:
            found = exact_rows(PEOPLE, all_rows(transaction, PEOPLE, 100))
            expect_equal(exact_rows(PEOPLE, people(257)), found, "the records in a transaction")


def batches_are_lists_of_the_size_asked_for(make: Make) -> None:
    """Batches are lists of tuples, none of them empty and none longer than `batch_size`."""
    with make(CLUB) as repository:
        fill(repository, {"people": people(20)})
        with repository.snapshot() as snapshot:
            for size in (1, 7, 10, 20, 21):
                for batch in snapshot.rows(PEOPLE, batch_size=size):
                    expect(type(batch) is list, f"a batch is a list, not {batch!r}")
                    expect(batch != [], f"an empty batch, where {size} rows were asked for")
                    expect(len(batch) <= size, f"a batch of {len(batch)} rows instead of {size}")
                    for row in batch:
                        exact_row(PEOPLE, row)


def rows_are_read_when_pulled(make: Make) -> None:
    """Nothing is read before the first batch is pulled."""
    with make(CLUB) as repository, writing(repository) as transaction:
        iterator = transaction.rows(PEOPLE, batch_size=2)
        transaction.insert(PEOPLE, people(3))
        count = sum(map(len, iterator))
        expect_equal(3, count, "records inserted between the call of rows and its first batch")


def few_rows_are_held(make: Make) -> None:
    """Reading in batches holds a batch or two in memory, not the collection."""
    length, count = 5_000, 400
    with make(CLUB) as repository:
        rows = [(number, f"{number:0{length}}", None, None) for number in range(count)]
        fill(repository, {"people": rows})
        del rows
        with repository.snapshot() as snapshot:
            running = tracemalloc.is_tracing()
            if not running:
                tracemalloc.start()
            try:
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                for _batch in snapshot.rows(PEOPLE, batch_size=10):
                    pass
                held = tracemalloc.get_traced_memory()[1] - before
            finally:
                if not running:
                    tracemalloc.stop()
        all_bytes = length * count
        expect(held < all_bytes / 2, f"{held} bytes held to read {all_bytes} in batches of 2.5 %")


def rows_come_in_key_order(make: Make) -> None:
    """The rows of the collections in `ordered_rows` come in key order, for every kind of key.

    Numbers by value, text by its UTF-8 bytes, bytes and UUIDs byte by byte, dates and times in
    time. Of the other collections each record comes once, in any order.
    """
    for name, (kinds, values) in KEYS.items():
        parts = [f"part{number}" for number in range(len(kinds))]
        fields = [Field(part, kind) for part, kind in zip(parts, kinds, strict=True)]
        collection = Collection(
            "sorted", fields=[*fields, Field("n", KEYS["int"][0][0])], key=parts
        )
        in_order = [(*value, number) for number, value in enumerate(values)]
        shuffled = in_order[1::2] + in_order[::2][::-1]
        with make(Schema(collections=[collection])) as repository:
            ordered = collection.name in repository.capabilities.ordered_rows
            with writing(repository) as transaction:
                transaction.insert(collection, shuffled)
                inside = all_rows(transaction, collection, 2)
            with repository.snapshot() as snapshot:
                for found in (inside, all_rows(snapshot, collection, 3)):
                    numbers = [row[-1] for row in found]
                    if not ordered:
                        numbers.sort()
                    what = f"the places of rows by keys of the kind {name}"
                    expect_equal(list(range(len(values))), numbers, what)


def two_iterators_may_be_open(make: Make) -> None:
    """Two iterators over rows, of one collection or of two, do not disturb each other."""
    with make(CLUB) as repository:
        fill(repository, DATA | {"people": people(10), "members": [], "visits": []})
        with repository.snapshot() as snapshot:
            first = snapshot.rows(PEOPLE, batch_size=3)
            seen = list(next(first))
            second = snapshot.rows(PEOPLE, batch_size=4)
            other = snapshot.rows(LOG, batch_size=1)
            also, log = list(next(second)), list(next(other))
            seen += [row for batch in first for row in batch]
            expect_equal(1, len(snapshot.get(PEOPLE, [(2,)])), "get beside open iterators")
            also += [row for batch in second for row in batch]
            log += [row for batch in other for row in batch]
        whole = exact_rows(PEOPLE, people(10))
        expect_equal(whole, exact_rows(PEOPLE, seen), "the first of two iterators")
        expect_equal(whole, exact_rows(PEOPLE, also), "the second of two iterators")
        expect_equal(exact_rows(LOG, DATA["log"]), exact_rows(LOG, log), "the third of iterators")


def get_gives_the_records_of_keys(make: Make) -> None:
    """`get` gives the record of each key once, and nothing for a key without a record.

    Any number of keys may be asked for, from any iterable.
    """
    with make(CLUB) as repository:
        fill(repository, DATA)
        with repository.snapshot() as snapshot, repository.snapshot() as again:
            for view in (snapshot, again):
                expect_equal([], view.get(PEOPLE, []), "the records of no key")
                found = exact_rows(PEOPLE, view.get(PEOPLE, ((n,) for n in (10, 77, -4, 10))))
                wanted = exact_rows(PEOPLE, [row for row in DATA["people"] if row[0] in (10, -4)])
                expect_equal(wanted, found, "get of two keys, one of them twice, and one of none")
            keys = [("a", 10), ("a", 2), ("b", 1), ("b", 2)]
            found = exact_rows(MEMBERS, snapshot.get(MEMBERS, keys))
            wanted = exact_rows(MEMBERS, [row for row in DATA["members"] if row[:2] in keys])
            expect_equal(wanted, found, "get of composite keys")
            count = len(snapshot.get(PEOPLE, [(number,) for number in range(1, 33_001)]))
            expect_equal(4, count, "records found with 33,000 keys")


def keys_are_compared_to_the_byte(make: Make) -> None:
    """Text keys that differ in case, accents, form or trailing spaces are different keys."""
    texts = ["a", "A", "a ", "é", "e\u0301", "É", "ß", "ss", "", " "]
    groups = CLUB["groups"]
    rows = [(text, f"title of {text!r}") for text in texts]
    with make(CLUB) as repository:
        fill(repository, {"groups": rows})
        with repository.snapshot() as snapshot:
            for row in rows:
                expect_equal([row], snapshot.get(groups, [row[:1]]), f"get of the key {row[0]!r}")


def count_counts_the_records(make: Make) -> None:
    """`count` is how many records a collection has, before and after writes of a transaction."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        with repository.snapshot() as snapshot:
            for collection in CLUB.collections:
                wanted, what = len(DATA[collection.name]), f"the count of {collection}"
                expect_equal(wanted, snapshot.count(collection), what)
        with repository.transaction() as transaction:
            transaction.insert(LOG, [("more", None)])
            expect_equal(5, transaction.count(LOG), "the count after an insert")


def counters_are_numbers_by_collection(make: Make) -> None:
    """`counters` gives whole numbers by the names of collections, none below the largest key."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        with repository.snapshot() as snapshot:
            for name, number in snapshot.counters().items():
                expect(name in CLUB, f"counters names {name!r}, which is no collection")
                expect(type(number) is int, f"the counter of {name} is {number!r}")
                keys = [row[0] for row in DATA[name]]
                expect(number >= max(keys), f"the counter of {name} is {number}, below its keys")


def reading_changes_nothing(make: Make) -> None:
    """A snapshot, and a transaction that only reads, leave the store as it is."""
    with make(CLUB) as repository:
        fill(repository, DATA)
        with repository.transaction() as transaction:
            for collection in CLUB.collections:
                all_rows(transaction, collection)
        expect_equal(expected(CLUB, DATA), stored(repository), "the store after reading")


PROMISES: tuple[Promise, ...] = (
    every_record_comes_once,
    batches_are_lists_of_the_size_asked_for,
    rows_are_read_when_pulled,
    few_rows_are_held,
    rows_come_in_key_order,
    two_iterators_may_be_open,
    get_gives_the_records_of_keys,
    keys_are_compared_to_the_byte,
    count_counts_the_records,
    counters_are_numbers_by_collection,
    reading_changes_nothing,
)
