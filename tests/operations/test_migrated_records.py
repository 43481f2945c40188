"""Old archives by example: what becomes of records, what is counted, and what is refused."""

import contextlib
import datetime
import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    Collection,
    Json,
    Migration,
    Recorder,
    Reference,
    Schema,
    export_all,
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
from databackup.repository import Repository
from databackup.schema import Field, composite, kinds
from databackup.schema.evolution import described
from databackup.spill import KeyIndex
from tests.archive.support import resealed
from tests.operations.conftest import Make
from tests.support.club import memory
from tests.support.migrating import (
    archive_of,
    freeze_as_is,
    imported,
    of_today,
    old,
    restored,
    rows_in,
)

PEOPLE = Collection("people", key="id", fields={"id": int, "name": str, "city": str | None})
MENUS = Collection(
    "menus",
    key="id",
    fields={"id": int, "dish": str, "cook_id": int | None},
    references=[Reference("cook_id", "people")],
)
FIRST = Schema(app="club", collections=[PEOPLE, MENUS])
ROWS: dict[str, list[Any]] = {
    "people": [(1, "Ana", "Rom"), (2, "Bo", None), (3, "Cy", "Bern")],
    "menus": [(1, "soup", 1), (2, "cake", 1), (3, "pie", 3), (4, "ice", None)],
}


def step(record: Callable[[Recorder], None]) -> Migration:
    """The migration from 1 to 2 that a function records."""
    return migration(1, 2, record)


def after(folder: Path, *migrations: Migration, first: Schema | None = None) -> Schema:
    """Today's schema as migrations make it of the first version."""
    first = old(folder, PEOPLE, MENUS) if first is None else first
    state = described(first.collections)
    for one in migrations:
        state = one.apply(state)
    return of_today(folder, state.values(), *migrations)


def test_references_follow_renames(tmp_path: Path, make: Make) -> None:
    """Collections, keys and fields are renamed, and what refers to them still does."""

    def renamed(m: Recorder) -> None:
        m.rename_collection("people", "cooks")
        m.rename_field("cooks", "id", "number")
        m.rename_field("menus", "cook_id", "cook")

    new = after(tmp_path, step(renamed))
    assert (Reference("cook", "cooks", "number"),) == new["menus"].references
    repository = make(new, {})
    report = import_all(repository, io.BytesIO(archive_of(FIRST, ROWS)))
    assert ROWS["people"] == rows_in(repository)["cooks"]
    assert report.migrated is not None
    assert {} == report.migrated.dropped


def test_self_references_and_cycles(tmp_path: Path, make: Make) -> None:
    """Collections that refer to themselves and to each other, read in another order."""
    one = Collection(
        "a",
        key="id",
        fields={"id": int, "up": int | None, "b": int | None},
        references=[Reference("up", "a"), Reference("b", "b")],
    )
    two = Collection(
        "b", key="id", fields={"id": int, "a": int | None}, references=[Reference("a", "a")]
    )
    first = old(tmp_path, one, two)

    def swapped(m: Recorder) -> None:
        m.rename_collection("a", "x")
        m.rename_collection("b", "a")
        m.rename_collection("x", "b")
        m.rename_field("b", "id", "key")

    new = after(tmp_path, step(swapped), first=first)
    rows: dict[str, list[Any]] = {"a": [(1, 2, 7), (2, 1, None)], "b": [(7, 2), (8, None)]}
    repository = make(new, {})
    import_all(repository, io.BytesIO(archive_of(first, rows)))
    assert {"b": rows["a"], "a": rows["b"]} == rows_in(repository)


# -- moving, splitting, and what is counted --------------------------------------------------------


def moved(**options: Any) -> Migration:
    """A step that moves the city to the menus."""
    return step(lambda m: m.move_field("people", "city", "menus", via="cook_id", **options))


def test_move_field_along_a_reference(tmp_path: Path) -> None:
    """Each menu gets the city of its cook; the city of who cooks nothing is counted."""
    new = after(tmp_path, moved())
    first = FIRST
    rows: dict[str, list[Any]] = {
        **ROWS,
        "people": [*ROWS["people"], (4, "Di", "Oslo"), (5, "Ed", None)],
    }
    found = restored(new, archive_of(first, rows))
    assert [
        (1, "soup", 1, "Rom"),
        (2, "cake", 1, "Rom"),
        (3, "pie", 3, "Bern"),
        (4, "ice", None, None),
    ] == found["menus"]
    report = imported(new, archive_of(first, rows)).migrated
    assert report is not None
    assert {"people.city": 1} == report.dropped
    assert {"menus.city": 1} == report.defaulted


def test_move_field_with_a_default(tmp_path: Path) -> None:
    """A record without a partner gets the default."""
    new = after(tmp_path, moved(default="?"))
    found = restored(new, archive_of(FIRST, ROWS))
    assert ["Rom", "Rom", "Bern", "?"] == [menu[-1] for menu in found["menus"]]


def back(m: Recorder) -> None:
    """The dish goes to the cook."""
    m.move_field("menus", "dish", "people", via="cook_id")


def test_move_field_against_a_reference(tmp_path: Path) -> None:
    """Records that refer to one agree; what refers to none is lost, and counted."""
    new = after(tmp_path, step(back))
    first = FIRST
    rows: dict[str, list[Any]] = {
        **ROWS,
        "menus": [(1, "soup", 1), (2, "soup", 1), (3, "pie", 3), (4, "ice", None)],
    }
    archive = archive_of(first, rows)
    assert ["soup", None, "pie"] == [person[-1] for person in restored(new, archive)["people"]]
    report = imported(new, archive).migrated
    assert report is not None
    assert ({"menus.dish": 1}, {"people.dish": 1}) == (report.dropped, report.defaulted)


def test_move_field_whose_target_is_not_there(tmp_path: Path) -> None:
    """Each of the records that point nowhere is counted."""

    def cut(m: Recorder) -> None:
        back(m)
        m.remove_reference("menus", "cook_id", "people")

    new = after(tmp_path, step(cut))
    rows: dict[str, list[Any]] = {
        "people": [(1, "Ana", None)],
        "menus": [(1, "a", 9), (2, "a", 9), (3, "b", 1)],
    }
    archive = archive_of(FIRST, rows)
    report = imported(new, archive).migrated
    assert report is not None
    assert {"menus.dish": 2} == report.dropped


def test_move_field_disagreeing(tmp_path: Path) -> None:
    """Where records that refer to one have other values, each that differs is named, once."""
    new = after(tmp_path, step(back))
    archive = archive_of(FIRST, ROWS)
    with pytest.raises(InvalidRecords) as caught:
        restored(new, archive)
    (problem,) = caught.value.problems
    assert ("migration-failed", "menus", 2) == (problem.code, problem.collection, problem.record)
    assert problem.message == (
        "the migration 1 to 2 (back), move_field menus.dish to people by cook_id: "
        "records that refer to one have other values"
    )
    assert "/data/menus/1" == problem.pointer
    assert 1 == caught.value.total


@pytest.mark.parametrize(
    "kind,one,other",
    [
        (Decimal, Decimal("1.0"), Decimal("1.00")),
        (Json, {"a": "xy", "b": "xy"}, {"b": "xyz"[:2], "a": "xy"}),
        (float, float("nan"), float("nan")),
    ],
)
def test_values_that_agree(tmp_path: Path, kind: Any, one: Any, other: Any) -> None:
    """Values agree where an archive takes them for equal."""
    menus = Collection(
        "menus",
        key="id",
        fields={"id": int, "v": kind, "cook_id": int},
        references=[Reference("cook_id", "people")],
    )
    first = old(tmp_path, PEOPLE, menus)
    new = after(
        tmp_path, step(lambda m: m.move_field("menus", "v", "people", via="cook_id")), first=first
    )
    rows: dict[str, list[Any]] = {
        "people": ROWS["people"][:1],
        "menus": [(1, one, 1), (2, other, 1)],
    }
    (person,) = restored(new, archive_of(first, rows))["people"]
    assert repr(one) == repr(person[-1])


def test_json_true_is_not_one(tmp_path: Path) -> None:
    """Values that Python takes for equal may not agree."""
    menus = Collection(
        "menus",
        key="id",
        fields={"id": int, "v": Json, "cook_id": int},
        references=[Reference("cook_id", "people")],
    )
    first = old(tmp_path, PEOPLE, menus)
    new = after(
        tmp_path, step(lambda m: m.move_field("menus", "v", "people", via="cook_id")), first=first
    )
    rows: dict[str, list[Any]] = {
        "people": ROWS["people"][:1],
        "menus": [(1, [True], 1), (2, [1], 1)],
    }
    with pytest.raises(InvalidRecords, match="other values"):
        restored(new, archive_of(first, rows))


def test_split_counts_once(tmp_path: Path) -> None:
    """What was dropped and looked up before a split is counted once."""

    def split(m: Recorder) -> None:
        m.add_field("people", "vip", bool, default=False)
        m.move_field("menus", "dish", "people", via="cook_id")
        m.remove_field("people", "city")
        m.split_collection("people", "names", fields="name")

    new = after(tmp_path, step(split))
    rows: dict[str, list[Any]] = {**ROWS, "menus": [(3, "pie", 3), (4, "ice", None)]}
    archive = archive_of(FIRST, rows)
    assert [(1, "Ana"), (2, "Bo"), (3, "Cy")] == restored(new, archive)["names"]
    report = imported(new, archive).migrated
    assert report is not None
    assert {"people.city": 2, "menus.dish": 1} == report.dropped
    assert {"people.vip": 3, "people.dish": 2} == report.defaulted


def test_what_is_split_off_and_removed_is_counted(tmp_path: Path) -> None:
    """Its records are dropped, though their collection goes on."""

    def split(m: Recorder) -> None:
        m.split_collection("people", "cities", fields=["city"])
        m.remove_collection("cities")

    report = imported(
        after(tmp_path, step(split)),
        archive_of(FIRST, ROWS),
    )
    assert report.migrated is not None
    assert {"cities": 3} == report.migrated.dropped


def test_what_is_moved_out_of_and_removed_is_counted(tmp_path: Path) -> None:
    """A collection of which one field was moved before it was removed is dropped, too."""

    def move(m: Recorder) -> None:
        m.move_field("people", "city", "menus", via="cook_id")
        m.remove_reference("menus", "cook_id", "people")
        m.rename_collection("people", "gone")
        m.remove_collection("gone")

    new = after(tmp_path, step(move))
    archive = archive_of(FIRST, ROWS)
    report = imported(new, archive).migrated
    assert report is not None
    assert {"gone": 3} == report.dropped
    assert ["Rom", "Rom", "Bern", None] == [menu[-1] for menu in restored(new, archive)["menus"]]


def test_counts_of_kinds_and_fields(tmp_path: Path) -> None:
    """Nulls that are filled in, fields that are added, and values that are dropped."""

    def changed(m: Recorder) -> None:
        m.change_kind("people", "city", str, default="?")
        m.change_kind("people", "city", str, using=str.upper, default="never")
        m.add_field("menus", "price", Decimal, default=Decimal("0.50"))
        m.remove_field("menus", "dish")

    new = after(tmp_path, step(changed))
    archive = archive_of(FIRST, ROWS)
    found = restored(new, archive)
    assert ["ROM", "?", "BERN"] == [person[-1] for person in found["people"]]
    report = imported(new, archive).migrated
    assert report is not None
    assert {"menus.dish": 4} == report.dropped
    assert {"people.city": 1, "menus.price": 4} == report.defaulted


def test_a_default_that_could_be_changed_is_each_records_own(tmp_path: Path) -> None:
    """A function that changes it in its place changes one record, and so does the host."""

    def tagged(record: dict[str, Any]) -> dict[str, Any]:
        record["tags"].append(record["id"])
        return record

    def add(m: Recorder) -> None:
        m.add_field("people", "tags", Json, default=[])
        m.map_records("people", tagged)
        m.add_field("people", "more", Json, default={})

    new = after(tmp_path, step(add))
    repository = memory({}, new)
    import_all(repository, io.BytesIO(archive_of(FIRST, ROWS)))
    found = rows_in(repository)["people"]
    assert [[1], [2], [3]] == [person[-2] for person in found]
    assert 3 == len({id(person[-1]) for person in found})


def test_null_is_not_handed_to_functions(tmp_path: Path) -> None:
    """It stays null; and what a function makes null is filled by the next default."""

    def changed(m: Recorder) -> None:
        m.change_kind(
            "people", "city", str | None, using=lambda city: None if city == "Rom" else city.upper()
        )
        m.change_kind("people", "city", str, default="none")

    new = after(tmp_path, step(changed))
    archive = archive_of(FIRST, ROWS)
    assert ["none", "none", "BERN"] == [person[-1] for person in restored(new, archive)["people"]]
    report = imported(new, archive).migrated
    assert report is not None
    assert {"people.city": 2} == report.defaulted


def test_many_conversions_of_one_field(tmp_path: Path) -> None:
    """However often a field was converted, Python can compile it."""
    steps = [
        migration(n, n + 1, lambda m: m.change_kind("t", "n", int, using=(1).__add__))
        for n in range(1, 301)
    ]
    first = old(tmp_path, Collection("t", key="id", fields={"id": int, "n": int}))
    new = after(tmp_path, *steps, first=first)
    assert [(1, 300)] == restored(new, archive_of(first, {"t": [(1, 0)]}))["t"]


def test_keyless_collections_and_fields_of_all_sorts(tmp_path: Path, make: Make) -> None:
    """Records without a key keep their repetitions; values off their kind and nulls are kept."""
    log = Collection(
        "log",
        fields=[
            Field("line", kinds.Str()),
            Field("n", kinds.Int(), "keep"),
            Field("data", composite.Optional(composite.Json())),
        ],
    )
    first = old(tmp_path, log)
    new = after(tmp_path, step(lambda m: m.rename_field("log", "line", "text")), first=first)
    rows = [("a", 1, {"$int": [1]}), ("a", 1, {"$int": [1]}), ("b", "off", None)]
    archive = archive_of(first, {"log": rows})
    assert rows == restored(new, archive)["log"]


@pytest.mark.parametrize("fails", [False, True])
def test_indexes_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """What was written to disk is gone once records have been through, or have failed."""
    opened: list[KeyIndex] = []

    class Noted(KeyIndex):
        def __init__(self) -> None:
            super().__init__()
            opened.append(self)

        def close(self) -> None:
            super().close()
            opened.remove(self)

    monkeypatch.setattr("databackup.migrations.lookups.KeyIndex", Noted)

    def maybe(record: dict[str, Any]) -> dict[str, Any]:
        if fails:
            raise KeyboardInterrupt
        return record

    def looks(m: Recorder) -> None:
        m.move_field("people", "city", "menus", via="cook_id")
        m.map_records("menus", maybe)

    new = after(tmp_path, step(looks))
    with contextlib.suppress(KeyboardInterrupt):
        restored(new, archive_of(FIRST, ROWS))
    assert [] == opened


# -- functions that fail ---------------------------------------------------------------------------


def failing(
    new: Schema, archive: bytes, rows: dict[str, list[Any]] | None = None
) -> InvalidRecords:
    """The error of an import, which changes nothing."""
    repository: Repository = memory(rows or {}, new)
    before = rows_in(repository)
    with pytest.raises(InvalidRecords) as caught:
        import_all(repository, io.BytesIO(archive))
    assert before == rows_in(repository)
    with pytest.raises(InvalidRecords) as verified:
        verify_archive(io.BytesIO(archive), new)
    assert caught.value.problems == verified.value.problems
    written = io.BytesIO()
    with pytest.raises(InvalidRecords):
        migrate_archive(io.BytesIO(archive), written, new)
    return caught.value


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
    with pytest.raises(VersionMismatch, match="version 1 was never frozen") as caught:
        restored(new, archive)
    assert (1, 2) == (caught.value.found, caught.value.supported)
    unversioned = Schema(
        app="club", version=2, collections=new.collections, migrations=new.migrations
    )
    with pytest.raises(VersionMismatch, match="no folder of frozen versions"):
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
            VersionMismatch, match=r"version 7.* newer than this app's 2: upgrade the app"
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


# -- modes and options -----------------------------------------------------------------------------


def test_modes(tmp_path: Path, make: Make) -> None:
    """Merge and add tell records apart by the keys they have today."""
    new = after(tmp_path, step(lambda m: m.rename_field("people", "id", "no")))
    archive = io.BytesIO(archive_of(FIRST, ROWS))
    there = {"people": [(2, "Old", "X"), (9, "Own", None)]}
    merged, added = make(new, there), make(new, there)
    report = import_all(merged, archive, mode="merge")
    assert (6, 1, 1) == (report.added, report.changed, report.only_in_store)
    assert sorted([*ROWS["people"], (9, "Own", None)]) == sorted(rows_in(merged)["people"])
    archive.seek(0)
    report = import_all(added, archive, mode="add")
    assert (6, 1, 1) == (report.added, report.kept, report.only_in_store)
    assert (2, "Old", "X") in rows_in(added)["people"]


def test_kinds_of_dates(tmp_path: Path, make: Make) -> None:
    """Values get another kind, as a host would write it."""
    days = Collection("days", key="id", fields={"id": int, "day": str})
    first = old(tmp_path, days)

    def parsed(m: Recorder) -> None:
        m.change_kind("days", "day", datetime.date, using=datetime.date.fromisoformat)

    new = after(tmp_path, step(parsed), first=first)
    repository = make(new, {})
    import_all(repository, io.BytesIO(archive_of(first, {"days": [(1, "2026-02-28")]})))
    assert [(1, datetime.date(2026, 2, 28))] == rows_in(repository)["days"]
    error = failing(new, archive_of(first, {"days": [(1, "2026-02-30")]}))
    assert "date.fromisoformat: ValueError: " in error.problems[0].message


def test_counters_of_renamed_collections(tmp_path: Path) -> None:
    """What a store has given out as keys goes with a collection, whatever it is called."""
    first = old(tmp_path, PEOPLE)
    archive = archive_of(first, {"people": ROWS["people"]})
    archive = resealed(
        archive.replace(b'"extensions":{}', b'"extensions":{"counters":{"people":77}}')
    )
    new = after(tmp_path, step(lambda m: m.rename_collection("people", "cooks")), first=first)
    written = io.BytesIO()
    migrate_archive(io.BytesIO(archive), written, new)
    assert b'"extensions":{"counters":{"cooks":77}}' in written.getvalue()


def test_export_of_nothing(tmp_path: Path) -> None:
    """A version 0 is no version, and not today's."""
    new = after(tmp_path, step(_removing))
    archive = archive_of(new, {})
    with pytest.raises(VersionMismatch):
        migrate_archive(io.BytesIO(archive), io.BytesIO(), new, version=0)
    with pytest.raises(VersionMismatch):
        export_all(memory({}, new), io.BytesIO(), version=0)
