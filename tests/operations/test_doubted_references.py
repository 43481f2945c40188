"""What a migration writes holds the references that it adds, or is not written."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from databackup import (
    Collection,
    Recorder,
    Reference,
    Schema,
    export_all,
    iter_export,
    migrate_archive,
    verify_archive,
)
from databackup.errors import InvalidRecords, MadeOf, Problem
from databackup.migrations.way import Way
from databackup.schema.evolution import described
from databackup.spill import KeyIndex
from tests.support.club import memory
from tests.support.migrating import after, archive_of, old, restored, step

PEOPLE = Collection("people", key="id", fields={"id": int})
MENUS = Collection(
    "menus",
    key="id",
    fields={"id": int, "cook": int | None},
    references=[Reference("cook", "people")],
)
LOOSE = Collection("menus", key="id", fields={"id": int, "cook": int | None})


def nobody(m: Recorder) -> None:
    """No people any more, but what pointed at them is kept."""
    m.remove_reference("menus", "cook", "people")
    m.remove_collection("people")


def strict(m: Recorder) -> None:
    """What was any number becomes a cook."""
    m.add_reference("menus", "cook", "people")


def refused(write: Callable[[Path], object], folder: Path) -> tuple[Problem, ...]:
    """The problems of a write, which leaves nothing."""
    target = folder / "written.json"
    with pytest.raises(InvalidRecords) as caught:
        write(target)
    assert not list(folder.glob("*written*"))
    return caught.value.problems


def exported(new: Schema, rows: dict[str, list[Any]], folder: Path) -> tuple[Problem, ...]:
    """The problems of writing version 1, which are the same whoever writes."""
    found = refused(lambda target: export_all(memory(rows, new), target, version=1), folder)
    archive = io.BytesIO(archive_of(new, rows))
    again = refused(lambda target: migrate_archive(archive, target, new, version=1), folder)
    assert found == again
    streamed = io.BytesIO()
    with pytest.raises(InvalidRecords) as caught:
        streamed.writelines(iter_export(memory(rows, new), version=1))
    assert found == caught.value.problems
    assert b'"seal"' not in streamed.getvalue()
    return found


def test_a_reference_that_comes_back_without_its_records(tmp_path: Path) -> None:
    """Yesterday's app would refuse each of its values; the first record of each is named."""
    first = old(tmp_path, PEOPLE, MENUS)
    new = after(tmp_path, step(nobody), first=first)
    rows = {"menus": [(1, 7), (2, None), (4, 8), (5, 7)]}
    problems = exported(new, rows, tmp_path)
    assert ["dangling-reference"] * 2 == [problem.code for problem in problems]
    assert [("menus", 1, (1,), "cook"), ("menus", 3, (4,), "cook")] == [
        (p.collection, p.record, p.key, p.field) for p in problems
    ]
    said = (
        "after the migration 2 to 1 (nobody), add_collection people, add_reference menus (cook) "
        "to people: points at people int 7, which is not there"
    )
    assert said == problems[0].message
    assert "a record of people" == problems[0].expected


def test_a_reference_that_comes_back_to_nothing(tmp_path: Path) -> None:
    """Where no value points anywhere, the archive is written, and yesterday's app takes it."""
    first = old(tmp_path, PEOPLE, MENUS)
    new = after(tmp_path, step(nobody), first=first)
    archive = io.BytesIO()
    export_all(memory({"menus": [(1, None)]}, new), archive, version=1)
    assert {"people": [], "menus": [(1, None)]} == restored(first, archive.getvalue())


def test_up(tmp_path: Path) -> None:
    """A rewrite as today's version is held to the references that are new."""
    first = old(tmp_path, PEOPLE, LOOSE)
    new = after(tmp_path, step(strict), first=first)
    archive = io.BytesIO(archive_of(first, {"people": [(1,)], "menus": [(1, 1), (2, 3)]}))
    (problem,) = refused(lambda target: migrate_archive(archive, target, new), tmp_path)
    assert (2, (2,), "cook") == (problem.record, problem.key, problem.field)
    assert "after the migration 1 to 2 (strict), add_reference menus" in problem.message


def test_it_is_told_as_by_an_import(tmp_path: Path) -> None:
    """All operations that had to do with it, and what the record was made of."""
    first = old(tmp_path, PEOPLE, LOOSE)

    def dishes(m: Recorder) -> None:
        m.rename_collection("menus", "dishes")
        m.change_kind("dishes", "cook", str | None, using=str, inverse=int)
        m.change_kind("people", "id", str, using=str, inverse=int)
        m.add_reference("dishes", "cook", "people")

    new = after(tmp_path, step(dishes), first=first)
    rows: dict[str, list[Any]] = {"people": [(1,)], "menus": [(1, 1), (2, 3)]}
    archive = archive_of(first, rows)
    (problem,) = refused(lambda to: migrate_archive(io.BytesIO(archive), to, new), tmp_path)
    with pytest.raises(InvalidRecords) as caught:
        restored(new, archive)
    (told,) = caught.value.problems
    assert 3 == problem.message.count("change_kind") + problem.message.count("add_reference")
    assert (told.message, told.made_of, told.pointer) == (
        problem.message,
        problem.made_of,
        problem.pointer,
    )
    assert MadeOf("menus", 2, (2,)) == problem.made_of


def test_the_way_back_names_what_the_store_has(tmp_path: Path) -> None:
    """The record that it was made of, by the name of its collection there."""
    first = old(tmp_path, PEOPLE, MENUS)

    def dishes(m: Recorder) -> None:
        m.rename_collection("menus", "dishes")
        m.remove_reference("dishes", "cook", "people")

    new = after(tmp_path, step(dishes), first=first)
    (problem,) = exported(new, {"people": [(1,)], "dishes": [(1, 1), (2, 3)]}, tmp_path)
    assert "after the migration 2 to 1 (dishes), add_reference dishes" in problem.message
    assert MadeOf("dishes", 2, (2,)) == problem.made_of


def renamed(m: Recorder) -> None:
    """Both ends have other names, before and after the reference is there."""
    m.rename_collection("menus", "dishes")
    m.add_reference("dishes", "cook", "people")
    m.rename_field("dishes", "cook", "by")
    m.rename_field("people", "id", "number")
    m.rename_collection("people", "cooks")
    m.rename_collection("dishes", "meals")


def test_a_new_reference_whose_ends_are_renamed(tmp_path: Path) -> None:
    """It is found by what it was called where it was added."""
    first = old(tmp_path, PEOPLE, LOOSE)
    new = after(tmp_path, step(renamed), first=first)
    archive = io.BytesIO(archive_of(first, {"people": [(1,)], "menus": [(1, 1), (2, 3)]}))
    (problem,) = refused(lambda target: migrate_archive(archive, target, new), tmp_path)
    assert ("meals", 2, "by") == (problem.collection, problem.record, problem.field)
    assert "(renamed), add_reference dishes (cook) to people: points at cooks" in problem.message


def test_values_that_a_function_has_changed(tmp_path: Path) -> None:
    """A reference that held may hold no more where a function made its values."""

    def shift(record: dict[str, Any]) -> dict[str, Any]:
        return record | {"cook": record["cook"] + 1}

    def unshift(record: dict[str, Any]) -> dict[str, Any]:
        return record | {"cook": record["cook"] - 2}

    def shifted(m: Recorder) -> None:
        m.map_records("menus", shift, inverse=unshift)

    def moved(m: Recorder) -> None:
        m.map_records("people", lambda r: r, inverse=lambda r: {"id": -r["id"]}, changes_key=True)

    def text(m: Recorder) -> None:
        m.change_kind("people", "id", str, using=str, inverse=lambda t: int(t) * 2)
        m.change_kind("menus", "cook", str | None, using=str, inverse=int)

    numbers: dict[str, list[Any]] = {"people": [(2,)], "menus": [(1, 2)]}
    texts: dict[str, list[Any]] = {"people": [("2",)], "menus": [(1, "2")]}
    for function, today in ((shifted, numbers), (moved, numbers), (text, texts)):
        folder = tmp_path / function.__name__
        folder.mkdir()
        first = old(folder, PEOPLE, MENUS)
        (problem,) = exported(after(folder, step(function), first=first), today, folder)
        assert f"after the migration 2 to 1 ({function.__name__}), " in problem.message
        assert "points at people int" in problem.message


def test_what_held_before_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference that no step has touched keeps no index, whatever else happens around it."""

    def around(m: Recorder) -> None:
        m.rename_collection("people", "cooks")
        m.rename_field("menus", "cook", "by")
        m.add_field("menus", "dish", str, default="?")
        m.map_records("cooks", lambda record: record, inverse=lambda record: record)
        m.add_collection(
            "towns",
            fields={"id": int, "mayor": int},
            key="id",
            references=[Reference("mayor", "cooks")],
        )

    def forbidden(*_given: object) -> None:
        raise AssertionError("nothing has to be kept on disk")

    first = old(tmp_path, PEOPLE, MENUS)
    new = after(tmp_path, step(around), first=first)
    archive = archive_of(first, {"people": [(1,)], "menus": [(1, 1), (2, 3)]})
    monkeypatch.setattr(KeyIndex, "add", forbidden)
    target = io.BytesIO()
    migrate_archive(io.BytesIO(archive), target, new)
    back = io.BytesIO()
    migrate_archive(io.BytesIO(target.getvalue()), back, new, version=1)
    monkeypatch.undo()
    with pytest.raises(InvalidRecords):  # what it held is what it holds
        verify_archive(io.BytesIO(back.getvalue()))


def test_which_operation_is_at_fault() -> None:
    """The last one; none for a reference of a collection that is new, whose ends changed before."""
    fields = {"id": int, "mayor": str}

    def several(m: Recorder) -> None:
        m.change_kind("people", "id", str, using=str)
        m.change_kind("menus", "cook", str | None, using=str)
        mayors = [Reference("mayor", "people")]
        m.add_collection("towns", key="id", fields=fields, references=mayors)

    one = step(several)
    way = Way.of(described([PEOPLE, MENUS]), [one])
    ((link, origin),) = way.doubts().items()
    assert ("menus", "people") == (link.source, link.reference.collection)
    assert str(one.operations[1]) == origin.operation
    assert (
        {}
        == Way.of(
            described([PEOPLE]),
            [attrs.evolve(one, operations=(one.operations[0], one.operations[2]))],
        ).doubts()
    )


def test_records_that_fail_are_not_missed(tmp_path: Path) -> None:
    """What points at a record that a step cannot take is not told of as well."""

    def failing(m: Recorder) -> None:
        m.map_records("people", lambda record: {**record, "n": 1 // (record["id"] - 2)})
        m.add_reference("menus", "cook", "people")

    people = Collection("people", key="id", fields={"id": int, "n": int})
    first = old(tmp_path, people, LOOSE)
    new = after(tmp_path, step(failing), first=first)
    archive = io.BytesIO(archive_of(first, {"people": [(1, 1), (2, 2)], "menus": [(1, 2)]}))
    (problem,) = refused(lambda target: migrate_archive(archive, target, new), tmp_path)
    assert "migration-failed" == problem.code


def test_a_new_reference_is_told_from_others_of_its_fields(tmp_path: Path) -> None:
    """One that was there already is not taken for the one that is added."""

    def second(m: Recorder) -> None:
        m.add_reference("menus", "cook", "guests")

    guests = Collection("guests", key="id", fields={"id": int})
    first = old(tmp_path, PEOPLE, guests, MENUS)
    new = after(tmp_path, step(second), first=first)
    rows: dict[str, list[Any]] = {"people": [(1,)], "guests": [(2,)], "menus": [(1, 1)]}
    archive = io.BytesIO(archive_of(first, rows))
    (problem,) = refused(lambda target: migrate_archive(archive, target, new), tmp_path)
    assert "points at guests int 1" in problem.message
    archive = io.BytesIO(archive_of(first, rows | {"menus": [(1, 2)]}))
    migrate_archive(archive, io.BytesIO(), new)  # people 2 was not there before, either


def test_more_problems_than_are_listed(tmp_path: Path) -> None:
    """As many are kept as one answer names, and all are counted."""
    first = old(tmp_path, PEOPLE, MENUS)
    new = after(tmp_path, step(nobody), first=first)
    with pytest.raises(InvalidRecords) as caught:
        export_all(memory({"menus": [(n, n) for n in range(250)]}, new), io.BytesIO(), version=1)
    assert (100, 250) == (len(caught.value.problems), caught.value.total)


def test_a_key_that_its_function_makes_no_key(tmp_path: Path) -> None:
    """A value of the wrong kind in a key that was changed is a problem of its field."""

    def text(m: Recorder) -> None:
        m.change_kind("people", "id", str, using=str, inverse=lambda t: t)

    first = old(tmp_path, PEOPLE)
    new = after(tmp_path, step(text), first=first)
    (problem, *_) = exported_alike(new, {"people": [("1",), ("2",)]}, tmp_path)
    assert ("people", "id") == (problem.collection, problem.field)
    assert "after the migration 2 to 1 (text): expected an integer" in problem.message


def test_keys_that_a_function_makes_alike(tmp_path: Path) -> None:
    """Two records of one key are refused, up and back."""

    def halved(m: Recorder) -> None:
        m.change_kind("people", "id", int, using=lambda n: n // 2, inverse=lambda n: n // 2)

    first = old(tmp_path, PEOPLE)
    new = after(tmp_path, step(halved), first=first)
    rows = {"people": [(2,), (3,), (9,)]}
    (problem,) = exported_alike(new, rows, tmp_path)
    assert ("duplicate-key", 2, (1,)) == (problem.code, problem.record, problem.key)
    archive = io.BytesIO(archive_of(first, rows))
    (problem,) = refused(lambda target: migrate_archive(archive, target, new), tmp_path)
    assert ("duplicate-key", 2, (1,)) == (problem.code, problem.record, problem.key)


def exported_alike(new: Schema, rows: dict[str, list[Any]], folder: Path) -> tuple[Problem, ...]:
    """The problems of an export of version 1, which a rewrite has as well."""
    found = refused(lambda target: export_all(memory(rows, new), target, version=1), folder)
    archive = io.BytesIO(archive_of(new, rows))
    again = refused(lambda target: migrate_archive(archive, target, new, version=1), folder)
    assert [p.code for p in found] == [p.code for p in again]
    return found
