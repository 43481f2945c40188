"""Old archives that are refused: functions that fail on records, damage, and versions."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    Collection,
    Json,
    Recorder,
    Reference,
    Schema,
    import_all,
    migrate_archive,
    migration,
    verify_archive,
)
from databackup.errors import (
    InvalidRecords,
    SchemaError,
    SchemaMismatch,
    VersionMismatch,
)
from tests.archive.support import resealed
from tests.operations.conftest import Make
from tests.support.migrating import (
    FIRST,
    MENUS,
    PEOPLE,
    ROWS,
    after,
    archive_of,
    failing,
    freeze_as_is,
    of_today,
    old,
    restored,
    rows_in,
    step,
)


def test_a_function_that_raises(tmp_path: Path) -> None:
    """Step, operation, collection, record, key and cause are named; nothing is written."""

    def bad_name(record: dict[str, Any]) -> dict[str, Any]:
        if record["id"] != 2:
            raise ValueError("no such name")
        return record

    def broken(m: Recorder) -> None:
        m.rename_collection("people", "cooks")
        m.map_records("cooks", bad_name)

    archive = archive_of(FIRST, ROWS)
    error = failing(after(tmp_path, step(broken)), archive, {"cooks": [(9, "x", "y")]})
    assert [
        ("migration-failed", "people", 1, (1,), "/data/people/0"),
        ("migration-failed", "people", 3, (3,), "/data/people/2"),
    ] == [(p.code, p.collection, p.record, p.key, p.pointer) for p in error.problems]
    qualified = f"{bad_name.__qualname__}"
    assert (
        f"the migration 1 to 2 (broken), map_records cooks using {qualified}: "
        "ValueError: no such name"
    ) == error.problems[0].message


def test_one_that_fails_among_others(tmp_path: Path) -> None:
    """Whatever else is done to the records of its batch, it is the only problem."""

    def odd(record: dict[str, Any]) -> dict[str, Any]:
        if record["id"] == 3:
            raise ValueError(record["more"], record["city"], record["name"])
        return record

    def broken(m: Recorder) -> None:
        m.add_field("people", "more", list[int], default=[1])
        m.change_kind("people", "city", str, default="none")
        m.change_kind("people", "name", str, using=str.upper)
        m.map_records("people", odd)
        m.remove_field("people", "name")

    error = failing(after(tmp_path, step(broken)), archive_of(FIRST, ROWS))
    (problem,) = error.problems
    assert problem.message.endswith("ValueError: ([1], 'Bern', 'CY')")
    assert 3 == problem.record


class Mute(Exception):
    """An exception that cannot be told."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "raised,said",
    [
        (KeyError("x"), "KeyError: 'x'"),
        (StopIteration(), "StopIteration"),
        (RecursionError("deep"), "RecursionError: deep"),
        (Mute(), "Mute"),
        (ValueError("y" * 5000), "ValueError: " + "y" * 499 + "…"),
    ],
)
@pytest.mark.parametrize("how", ["map_records", "change_kind"])
def test_whatever_a_function_raises(tmp_path: Path, how: str, raised: Exception, said: str) -> None:
    """The cause is told as far as it can be."""

    def function(_value: Any) -> Any:
        raise raised

    def broken(m: Recorder) -> None:
        if how == "map_records":
            m.map_records("people", function)
        else:
            m.change_kind("people", "name", str, using=function)

    archive = archive_of(FIRST, ROWS)
    error = failing(after(tmp_path, step(broken)), archive)
    assert error.problems[0].message.endswith(f": {said}")
    assert 3 == error.total


@pytest.mark.parametrize(
    "returned,said",
    [
        (None, "it returned null, which is no dict"),
        ([1], "it returned list [1], which is no dict"),
        ({"id": 1}, "it returned other fields: no name, no city"),
        (
            {"id": 1, "name": "", "city": "", 5: 1, "x": 2},
            "it returned other fields: unknown 5, unknown x",
        ),
    ],
)
def test_what_is_no_record(tmp_path: Path, returned: Any, said: str) -> None:
    """A function that does not return all fields of a record and no others is told which."""
    archive = archive_of(FIRST, ROWS)
    error = failing(
        after(tmp_path, step(lambda m: m.map_records("people", lambda _: returned))), archive
    )
    assert error.problems[0].message.endswith(f"<lambda>: {said}")


def test_a_record_that_was_changed_is_not_changed_twice(tmp_path: Path) -> None:
    """A batch that is carried out anew to find what fails blames nobody else."""
    things = Collection("things", key="id", fields={"id": int, "data": Json})
    first = old(tmp_path, things)

    def popped(record: dict[str, Any]) -> dict[str, Any]:
        record["data"].pop("x")
        return record

    new = after(tmp_path, step(lambda m: m.map_records("things", popped)), first=first)
    rows = [(1, {"x": 1}), (2, {}), (3, {"x": 1})]
    error = failing(new, archive_of(first, {"things": rows}))
    assert [2] == [problem.record for problem in error.problems]


def test_values_of_a_wrong_kind(tmp_path: Path) -> None:
    """The field is named, and the first step whose outcome is not valid."""

    def first_step(m: Recorder) -> None:
        m.rename_collection("people", "cooks")

    def second_step(m: Recorder) -> None:
        m.move_field("menus", "dish", "cooks", via="cook_id")
        m.map_records("cooks", lambda r: r | {"name": 5 if r["id"] == 3 else r["name"]})

    def third_step(m: Recorder) -> None:
        m.rename_field("cooks", "name", "called")
        m.split_collection("cooks", "towns", fields=["city"])

    steps = [migration(1, 2, first_step), migration(2, 3, second_step), migration(3, 4, third_step)]
    rows: dict[str, list[Any]] = {**ROWS, "menus": ROWS["menus"][1:]}
    archive = archive_of(FIRST, rows)
    error = failing(after(tmp_path, *steps), archive)
    (problem,) = error.problems
    assert ("invalid-value", "cooks", 3, (3,), "called") == (
        problem.code, problem.collection, problem.record, problem.key, problem.field
    )  # fmt: skip
    assert "after the migration 2 to 3 (second_step): expected text, found int 5" == problem.message


def test_text_that_no_archive_can_hold(tmp_path: Path) -> None:
    """A lone surrogate is a problem of its record, also in what is looked up by."""
    new = after(tmp_path, step(lambda m: m.map_records("people", lambda r: r | {"name": "\ud800"})))
    archive = archive_of(FIRST, ROWS)
    error = failing(new, archive)
    assert 3 == error.total
    assert "name" == error.problems[0].field


def test_what_fails_in_a_lookup_is_told_once(tmp_path: Path) -> None:
    """A record that fails, and is looked up as well, is one problem, and who looks for it none."""

    def odd(record: dict[str, Any]) -> dict[str, Any]:
        if record["id"] == 1:
            raise ValueError("odd")
        return record

    def broken(m: Recorder) -> None:
        m.change_kind("people", "city", str, default="?")
        m.map_records("people", odd)
        m.move_field("people", "city", "menus", via="cook_id", default="!")

    archive = archive_of(FIRST, ROWS)
    error = failing(after(tmp_path, step(broken)), archive)
    assert [("people", 1)] == [(p.collection, p.record) for p in error.problems]
    assert 1 == error.total


def test_what_is_referred_to_is_unique(tmp_path: Path) -> None:
    """Where two records have what a field is looked up by, neither is taken."""
    people = Collection("people", key="id", fields={"id": int, "code": str, "city": str})
    menus = Collection(
        "menus",
        key="id",
        fields={"id": int, "cook": str},
        references=[Reference("cook", "people", "code")],
    )
    first = old(tmp_path, people, menus)
    new = after(
        tmp_path, step(lambda m: m.move_field("people", "city", "menus", via="cook")), first=first
    )
    rows: dict[str, list[Any]] = {
        "people": [(1, "a", "Rom"), (2, "a", "Rom")],
        "menus": [(1, "a")],
    }
    (problem,) = failing(new, archive_of(first, rows)).problems
    assert ("people", 2) == (problem.collection, problem.record)
    assert problem.message.endswith("by cook: another record has the same key")


def test_many_failures(tmp_path: Path) -> None:
    """A hundred are named; where nearly all fail, reading is stopped."""

    def fails(record: dict[str, Any]) -> dict[str, Any]:
        raise ValueError(record["id"])

    first = old(tmp_path, Collection("t", key="id", fields={"id": int}))
    new = after(tmp_path, step(lambda m: m.map_records("t", fails)), first=first)
    archive = archive_of(first, {"t": [(n,) for n in range(12_000)]})
    with pytest.raises(InvalidRecords, match="reading was stopped") as caught:
        restored(new, archive)
    assert 100 == len(caught.value.problems)
    assert 10_000 == caught.value.total
    some = archive_of(first, {"t": [(n,) for n in range(3000)]})
    with pytest.raises(InvalidRecords) as caught:
        restored(new, some)
    assert (100, 3000) == (len(caught.value.problems), caught.value.total)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_interrupted(tmp_path: Path, raised: type[BaseException], make: Make) -> None:
    """What is no error goes through, and nothing is written."""

    def interrupted(_record: dict[str, Any]) -> dict[str, Any]:
        raise raised

    new = after(tmp_path, step(lambda m: m.map_records("people", interrupted)))
    repository = make(new, {"people": [(7, "x", None)]})
    archive = archive_of(FIRST, ROWS)
    with pytest.raises(raised):
        import_all(repository, io.BytesIO(archive))
    assert [(7, "x", None)] == rows_in(repository)["people"]


# -- archives that are refused ---------------------------------------------------------------------


def _removing(m: Recorder) -> None:
    m.remove_collection("menus")


@pytest.mark.parametrize(
    "damage,code",
    [
        (lambda a: a.replace(b'"dish":"pie"', b'"dish":{}'), "invalid-value"),
        (lambda a: a.replace(b'"dish":"pie"', b'"dish":x'), "invalid-json"),
        (lambda a: a.replace(b'"id":3,"dish"', b'"id":2,"dish"'), "duplicate-key"),
        (lambda a: a.replace(b'"dish":"pie"', b'"dish":"pia"'), "digest"),
        (lambda a: a.replace(b'"menus":{"count":4', b'"menus":{"count":5'), "count"),
    ],
)
@pytest.mark.parametrize("how", ["removed", "moved out of", "kept"])
def test_damage(tmp_path: Path, how: str, damage: Callable[[bytes], bytes], code: str) -> None:
    """Whatever becomes of a collection, damage to it is found."""

    def moved_out_of(m: Recorder) -> None:
        m.move_field("menus", "dish", "people", via="cook_id")
        m.remove_collection("menus")

    def kept(m: Recorder) -> None:
        m.remove_field("menus", "dish")
        m.change_key("menus", ())

    record = {"removed": _removing, "moved out of": moved_out_of, "kept": kept}[how]
    new = after(tmp_path, step(record))
    rows: dict[str, list[Any]] = {
        **ROWS,
        "menus": [(1, "soup", 1), (2, "cake", 2), (3, "pie", 3), (4, "ice", None)],
    }
    archive = archive_of(FIRST, rows)
    damaged = resealed(damage(archive))
    assert damaged != archive
    error = failing(new, damaged)
    assert code in {problem.code for problem in error.problems}
    assert {"menus"} == {problem.collection for problem in error.problems}


def test_it_contradicts_the_frozen_version(tmp_path: Path) -> None:
    """An archive that says it is of a version, and is of something else, is refused."""
    new = after(tmp_path, step(_removing))
    other = Schema(
        app="club",
        collections=[Collection("people", key="name", fields={"id": str, "name": str, "x": int})],
    )
    with pytest.raises(SchemaMismatch) as caught:
        restored(new, archive_of(other, {}))
    assert (
        "the collection 'menus' is gone",
        "the field people.city is gone",
        "the field people.id was int, is str",
        "the field people.x is new",
        "the key of people was (id), is (name)",
    ) == caught.value.differences
    assert "the archive contradicts version 1 as it was frozen: the collection" in str(caught.value)


def test_no_frozen_version(tmp_path: Path) -> None:
    """Without the frozen version an archive is not read, and it is said which is missing."""
    new = after(tmp_path, step(_removing))
    archive = archive_of(FIRST, ROWS)
    (tmp_path / "v1.json").unlink()
    with pytest.raises(VersionMismatch, match="version 1 was never frozen: freeze it") as caught:
        restored(new, archive)
    assert (1, 2) == (caught.value.found, caught.value.supported)
    unversioned = Schema(
        app="club", version=2, collections=new.collections, migrations=new.migrations
    )
    with pytest.raises(VersionMismatch, match="no folder of frozen versions: say Schema"):
        restored(unversioned, archive)
    freeze_as_is(FIRST, tmp_path)
    without = Schema(app="club", version=2, collections=new.collections, versions=tmp_path)
    with pytest.raises(VersionMismatch, match="no migration leads from version 1"):
        restored(without, archive)


def test_a_newer_archive(tmp_path: Path) -> None:
    """Both versions are named, and what to upgrade."""
    new = after(tmp_path, step(_removing))
    newer = Schema(app="club", version=7, collections=new.collections)
    archive = archive_of(newer, {})
    for read in (
        lambda: restored(new, archive),
        lambda: verify_archive(io.BytesIO(archive), new),
        lambda: migrate_archive(io.BytesIO(archive), io.BytesIO(), new),
    ):
        with pytest.raises(
            VersionMismatch, match=r"version 7.* newer than this app's 2\. .*, upgrade the app;"
        ):
            read()


def test_a_step_that_does_not_lead_to_today(tmp_path: Path) -> None:
    """It is found before any record is read, and says what differs."""
    old(tmp_path, PEOPLE, MENUS)
    new = of_today(tmp_path, [PEOPLE, MENUS], step(_removing))
    archive = archive_of(FIRST, ROWS)
    with pytest.raises(SchemaError) as caught:
        restored(new, archive)
    assert "the migration 1 to 2 (_removing) does not make version 2" in str(caught.value)
    assert ("after it, the collection 'menus' is gone",) == tuple(caught.value.problems)


def test_keys_that_are_not_unique_any_more(tmp_path: Path) -> None:
    """An archive is not rewritten with keys that no import would take."""
    new = after(
        tmp_path, step(lambda m: m.change_key("people", "name")), first=old(tmp_path, PEOPLE)
    )
    archive = archive_of(
        Schema(app="club", collections=[PEOPLE]), {"people": [(1, "A", None), (2, "A", None)]}
    )
    error = failing(new, archive)
    assert ["duplicate-key"] == [problem.code for problem in error.problems]
