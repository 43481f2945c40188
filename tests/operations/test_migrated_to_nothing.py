"""Values that go to a collection without records are counted, and those that fail are told."""

import io
from pathlib import Path

import pytest

from databackup import Collection, Recorder, Reference, export_all, migrate_archive, verify_archive
from databackup.errors import InvalidRecords
from tests.support.club import memory
from tests.support.migrating import after, archive_of, failing, imported, of_today, old, step


def test_values_moved_to_a_new_collection(tmp_path: Path) -> None:
    """It is empty, so that nobody takes them."""

    def towns(m: Recorder) -> None:
        m.add_collection("towns", fields={"id": int}, key="id")
        m.add_field("people", "town", int | None)
        m.add_reference("people", "town", "towns")
        m.move_field("people", "city", "towns", via="town")

    people = Collection("people", key="id", fields={"id": int, "city": str | None})
    first = old(tmp_path, people)
    new = after(tmp_path, step(towns), first=first)
    archive = archive_of(first, {"people": [(1, "Rom"), (2, None), (3, "Ulm")]})
    reports = [
        imported(new, archive).migrated,
        verify_archive(io.BytesIO(archive), new).migrated,
        migrate_archive(io.BytesIO(archive), io.BytesIO(), new).migrated,
    ]
    for migrated in reports:
        assert migrated is not None
        assert {"people.city": 2} == migrated.dropped


def test_the_way_back_to_a_collection_that_is_no_more(tmp_path: Path) -> None:
    """What was split off its records has nowhere to go."""

    def cities(m: Recorder) -> None:
        m.split_collection("people", "cities", fields=["city"])
        m.remove_collection("people")

    first = old(tmp_path, Collection("people", key="id", fields={"id": int, "city": str}))
    new = after(tmp_path, step(cities), first=first)
    today = memory({"cities": [(1, "Rom"), (2, "Ulm")]}, new)
    report = export_all(today, io.BytesIO(), version=1)
    assert 0 == report.records
    assert report.migrated is not None
    assert {"cities.city": 2} == report.migrated.dropped


def test_what_fails_for_no_record(tmp_path: Path) -> None:
    """A value that a function refuses is a problem, though no record would have had it."""

    def numbers(m: Recorder) -> None:
        m.change_kind("codes", "code", int, using=int, inverse=str)
        m.move_field("codes", "code", "menus", via="code_id", default=0)

    first = old(
        tmp_path,
        Collection("codes", key="id", fields={"id": int, "code": str}),
        Collection(
            "menus",
            key="id",
            fields={"id": int, "code_id": int},
            references=[Reference("code_id", "codes")],
        ),
    )
    new = after(tmp_path, step(numbers), first=first)
    archive = archive_of(first, {"codes": [(1, "5"), (2, "x")], "menus": []})
    (problem,) = failing(new, archive).problems
    assert ("codes", 2, (2,)) == (problem.collection, problem.record, problem.key)
    assert "ValueError" in problem.message
    failing(new, archive, {"codes": [(1,), (2,)]})
    with pytest.raises(InvalidRecords):
        verify_archive(io.BytesIO(archive), new)
    with pytest.raises(InvalidRecords):
        migrate_archive(io.BytesIO(archive), io.BytesIO(), new)


def test_what_fails_on_the_way_back_for_no_record(tmp_path: Path) -> None:
    """An inverse that raises stops an export, though no record would have had the value."""

    def numbers(m: Recorder) -> None:
        m.add_collection("codes", fields={"id": int}, key="id")
        m.add_reference("menus", "code_id", "codes")
        m.move_field("menus", "code", "codes", via="code_id", default="0")
        m.change_kind("codes", "code", int, using=int, inverse=lambda number: 1 // number and "1")

    fields = {"id": int, "code_id": int, "code": str}
    first = old(tmp_path, Collection("menus", key="id", fields=fields))
    new = after(tmp_path, step(numbers), first=first)
    today = memory({"codes": [(1, 0)], "menus": []}, new)
    with pytest.raises(InvalidRecords, match="ZeroDivisionError"):
        export_all(today, io.BytesIO(), version=1)


def test_an_inverse_that_gives_another_kind(tmp_path: Path) -> None:
    """The step is named, and the field."""

    def numbers(m: Recorder) -> None:
        m.change_kind("menus", "code", int, using=int, inverse=lambda number: number)

    old(tmp_path, Collection("menus", key="id", fields={"id": int, "code": str}))
    collections = [Collection("menus", key="id", fields={"id": int, "code": int})]
    new = of_today(tmp_path, collections, step(numbers))
    with pytest.raises(InvalidRecords, match="cannot be migrated back to version 1") as caught:
        export_all(memory({"menus": [(1, 5)]}, new), io.BytesIO(), version=1)
    (problem,) = caught.value.problems
    assert ("menus", 1, (1,), "code") == (
        problem.collection, problem.record, problem.key, problem.field
    )  # fmt: skip
    said = "after the migration 2 to 1 (numbers): expected text, found int 5"
    assert said == problem.message
