"""Values of every kind come back exactly, or are refused; they are never changed in silence."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from databackup.errors import RecordsRefused, StoreMismatch
from databackup.schema import Collection, Field, Schema, kinds
from databackup.schema.composite import Json, Optional
from databackup.testing.exact import exact_rows, exact_value
from databackup.testing.harness import all_rows, expect, expect_equal, fill, writing
from databackup.testing.promises.cases import CASES, JSON_OR_NOTHING, Case

if TYPE_CHECKING:
    from databackup.repository import Repository
    from databackup.testing.harness import Make, Promise


def _come_back_exactly(name: str) -> Promise:
    def promise(make: Make) -> None:
        for case in CASES[name]:
            try:
                _check(make, case)
            except StoreMismatch:
                if case.needed:
                    raise

    promise.__name__ = promise.__qualname__ = f"{name.replace(' ', '_')}_come_back_exactly"
    promise.__doc__ = f"{name.capitalize()} come back exactly, by type and value, or are refused."
    return promise


def _check(make: Make, case: Case) -> None:
    fields = [
        Field("id", kinds.Int()),
        Field("value", case.kind),
        Field("other", Optional(case.kind)),
    ]
    things = Collection("things", fields=fields, key="id")
    with make(Schema(collections=[things])) as repository:
        rows = [(number, value, value) for number, value in enumerate(case.holds)]
        fill(repository, {"things": rows})
        _expect_stored(repository, things, rows, "inserted")
        turned = [
            (number, value, None if number % 2 else value)
            for number, value in enumerate(reversed(case.holds))
        ]
        with writing(repository) as transaction:
            transaction.update(things, turned)
        _expect_stored(repository, things, turned, "updated")
        kept = list(turned)
        for number, value in enumerate(case.may_refuse, len(turned)):
            row = (number, value, value)
            with contextlib.suppress(RecordsRefused):
                fill(repository, {"things": [row]})
                kept.append(row)
            _expect_stored(repository, things, kept, "inserted where it was not refused")


def _expect_stored(
    repository: Repository, things: Collection, rows: list[tuple[Any, ...]], how: str
) -> None:
    with repository.snapshot() as snapshot:
        keys = [row[:1] for row in rows]
        for found in (all_rows(snapshot, things, 3), snapshot.get(things, keys)):
            by_key = {row[0]: row for row in found}
            for row in rows:
                expect(row[0] in by_key, f"the record with {row[1]!r} is not there")
                for field, given, got in zip(things.fields, row, by_key[row[0]], strict=True):
                    what = f"a value of the kind {field.value_kind.name}, {how}"
                    wanted, actual = exact_value(field.kind, given), exact_value(field.kind, got)
                    expect_equal(wanted, actual, what)
            what = f"all records of the kind {things.fields[1].value_kind.name}, {how}"
            expect_equal(exact_rows(things, rows), exact_rows(things, found), what)


def nothing_and_json_null_differ(make: Make) -> None:
    """In a nullable json field, None is no value and `JSON_NULL` is the JSON value null."""
    fields = [Field("id", kinds.Int()), Field("value", Optional(Json()))]
    things = Collection("things", fields=fields, key="id")
    with make(Schema(collections=[things])) as repository:
        rows = list(enumerate(JSON_OR_NOTHING))
        fill(repository, {"things": rows})
        _expect_stored(repository, things, rows, "inserted")


def names_are_only_names(make: Make) -> None:
    """Collections and fields may have any name: words of SQL, spaces, quotes, dots, `%`, `:`."""
    fields = {"select": int, 'a "b" c': str, "x.y": int, "%s": str, ":p": int, "$1": int, "é?": str}
    order = Collection('order by "1"; --', key=("select", "%s"), fields=fields)
    group = Collection("group", fields={"from": int, "`to`": str | None, "[x]": int, "it's": int})
    schema = Schema(collections=[order, group])
    dataset: dict[str, list[tuple[Any, ...]]] = {
        order.name: [(1, "b", 3, "d", 5, 6, "g"), (2, "", -3, "", 0, 0, "")],
        group.name: [(1, None, 2, 3), (1, "x", 2, 3)],
    }
    with make(schema) as repository:
        fill(repository, dataset)
        changed = (2, "new", -3, "", 1, 2, "h")
        with writing(repository) as transaction:
            transaction.update(order, [changed])
            expect_equal([changed], transaction.get(order, [(2, "")]), "a record that was updated")
            transaction.delete(order, [(1, "d")])
            transaction.clear(group)
        with repository.snapshot() as snapshot:
            expect_equal([changed], all_rows(snapshot, order), f"the records of {order.name}")
            expect_equal(0, snapshot.count(group), f"the count of {group.name}")


PROMISES: tuple[Promise, ...] = (
    *map(_come_back_exactly, CASES),
    nothing_and_json_null_differ,
    names_are_only_names,
)
