"""Old archives by example: what becomes of records, and what is counted."""

import contextlib
import datetime
import io
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
    inspect_archive,
    migrate_archive,
    migration,
)
from databackup.errors import (
    InvalidRecords,
    VersionMismatch,
    WrongApp,
)
from databackup.schema import Field, composite, kinds
from databackup.spill import KeyIndex
from tests.archive.support import resealed
from tests.operations.conftest import Make
from tests.support.club import memory
from tests.support.migrating import (
    FIRST,
    PEOPLE,
    ROWS,
    after,
    archive_of,
    failing,
    imported,
    old,
    restored,
    rows_in,
    step,
)


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
        "menus": [(1, "a", 9), (2, "a", 9), (3, "b", 1), (4, "c", None)],
    }
    archive = archive_of(FIRST, rows)
    report = imported(new, archive).migrated
    assert report is not None
    assert {"menus.dish": 3} == report.dropped


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
    new = after(tmp_path, step(lambda m: m.remove_collection("menus")))
    archive = archive_of(new, {})
    with pytest.raises(VersionMismatch):
        migrate_archive(io.BytesIO(archive), io.BytesIO(), new, version=0)
    with pytest.raises(VersionMismatch):
        export_all(memory({}, new), io.BytesIO(), version=0)


@pytest.mark.parametrize("changes_key, order", [(False, "key"), (True, "none")])
def test_the_order_of_keys_is_kept(tmp_path: Path, changes_key: bool, order: str) -> None:
    """Where nothing is done to a key, an archive goes on saying that it is in its order."""

    def kept(m: Recorder) -> None:
        m.rename_field("menus", "id", "no")
        m.move_field("people", "city", "menus", via="cook_id")
        m.map_records("people", dict, changes_key=changes_key)
        m.add_collection("notes", fields={"id": int}, key="id")
        m.add_collection("log", fields={"line": str})

    new = after(tmp_path, step(kept))
    archive = archive_of(FIRST, ROWS)
    if b'"order":"key"' not in archive:
        archive = resealed(archive.replace(b'"order":"none"', b'"order":"key"'))
    written = io.BytesIO()
    migrate_archive(io.BytesIO(archive), written, new)
    found = inspect_archive(io.BytesIO(written.getvalue())).collections
    orders = {name: collection.order for name, collection in found.items()}
    assert {"people": order, "menus": "key", "notes": "key", "log": "none"} == orders


def test_a_key_that_a_function_changes(tmp_path: Path) -> None:
    """It is a problem of its record, unless the migration says that keys change."""

    def next_number(record: dict[str, Any]) -> dict[str, Any]:
        return record | {"id": record["id"] + (100 if record["id"] == 2 else 0)}

    archive = archive_of(FIRST, ROWS)
    new = after(tmp_path / "kept", step(lambda m: m.map_records("people", next_number)))
    with pytest.raises(InvalidRecords) as caught:
        imported(new, archive)
    (problem,) = caught.value.problems
    assert ("migration-failed", "people", (2,)) == (
        problem.code,
        problem.collection,
        problem.key,
    )
    assert "it changed id, of the key, to int 102: say changes_key=True" in problem.message
    changing = step(lambda m: m.map_records("people", next_number, changes_key=True))
    report = imported(after(tmp_path / "changed", changing), archive)
    assert len(ROWS["people"]) == report.collections["people"].added


def test_what_is_not_migrated(tmp_path: Path) -> None:
    """An archive of another app, of whatever version, and one for a schema without a past."""
    new = after(tmp_path, step(lambda m: m.remove_collection("menus")))
    other = Schema(app="other", version=1, collections=new.collections)
    report = imported(new, archive_of(other, {}), wrong_app="allow")
    assert None is report.migrated
    without = Schema(app="club", version=2, collections=FIRST.collections)
    with pytest.raises(VersionMismatch, match="has schema version 1, older than this app's 2"):
        imported(without, archive_of(FIRST, ROWS))


def test_functions_after_a_split(tmp_path: Path) -> None:
    """Each side's function gets the fields that its collection has by then, and no others."""
    seen = set[tuple[str, ...]]()

    def noted(record: dict[str, Any]) -> dict[str, Any]:
        seen.add(tuple(record))
        return record

    def split(m: Recorder) -> None:
        m.split_collection("people", "cities", fields="city")
        m.map_records("people", noted)
        m.map_records("cities", noted)

    found = restored(after(tmp_path, step(split)), archive_of(FIRST, ROWS))
    assert {("id", "name"), ("id", "city")} == seen
    assert ([(1, "Ana"), (2, "Bo"), (3, "Cy")], [(1, "Rom"), (2, None), (3, "Bern")]) == (
        found["people"],
        found["cities"],
    )


@pytest.mark.parametrize("name", ["other", None])
def test_rewriting_for_another_app(tmp_path: Path, name: str | None) -> None:
    """An archive is rewritten only for its own app; both are named."""
    new = after(tmp_path, step(lambda m: m.remove_collection("menus")))
    other = Schema(app=name, version=1, collections=FIRST.collections)
    with pytest.raises(WrongApp) as caught:
        migrate_archive(io.BytesIO(archive_of(other, {})), io.BytesIO(), new)
    assert (name or "", "club") == (caught.value.found, caught.value.expected)
    assert f"belongs to the app {name!r}, this is 'club'" in str(caught.value)
