"""What is counted as dropped and filled in: as much as by each step alone, one after the other."""

import io
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, cast

from hypothesis import assume, given, settings

from databackup import (
    MigrationReport,
    Recorder,
    Schema,
    export_all,
    migrate_archive,
    migration,
    verify_archive,
)
from databackup.errors import InvalidRecords
from databackup.migrations.way import Way, way_of
from databackup.operations.migrating import run_removed
from tests.migrations.test_composing import Rows, cases
from tests.support.club import memory
from tests.support.evolutions import Evolution
from tests.support.migrating import (
    FIRST,
    ROWS,
    after,
    archive_of,
    freeze_as_is,
    imported,
    of_today,
    old,
    step,
)


def migrated(source: bytes, schema: Schema, version: int) -> tuple[bytes, MigrationReport]:
    """An archive as another version of its schema, and what was counted on the way."""
    written = io.BytesIO()
    report = migrate_archive(io.BytesIO(source), written, schema, version=version).migrated
    assert report is not None
    return written.getvalue(), report


def one_by_one(
    source: bytes, schema: Schema, versions: list[int]
) -> tuple[dict[str, int], dict[str, int]]:
    """What each step counts of an archive that the one before it has written."""
    dropped, defaulted = Counter[str](), Counter[str]()
    for version in versions:
        source, report = migrated(source, schema, version)
        dropped.update(report.dropped)
        defaulted.update(report.defaulted)
    return dict(dropped), dict(defaulted)


def frozen(folder: Path, way: Way) -> Schema:
    """Today's schema at the end of a way, each version of which is frozen."""
    for number, state in enumerate(way.states[:-1], 1):
        freeze_as_is(Schema(app="club", version=number, collections=list(state.values())), folder)
    return of_today(folder, way.after.values(), *way.steps)


@settings(deadline=None)
@given(cases())
def test_as_step_by_step(case: tuple[Evolution, Way, Rows]) -> None:
    """Taken through all versions at once, an archive is counted as if rewritten at each."""
    _, way, rows = case
    with tempfile.TemporaryDirectory() as folder:
        today = frozen(Path(folder), way)
        first = Schema(app="club", collections=list(way.before.values()))
        archive = archive_of(first, rows)
        try:
            _, report = migrated(archive, today, today.version)
        except InvalidRecords:
            assume(False)  # values that do not agree
        alone = one_by_one(archive, today, list(range(2, today.version + 1)))
        assert alone == (report.dropped, report.defaulted)


@settings(deadline=None)
@given(cases(invertible=True))
def test_as_step_by_step_back(case: tuple[Evolution, Way, Rows]) -> None:
    """The same holds for the way back, of an archive and of a store."""
    _, way, rows = case
    with tempfile.TemporaryDirectory() as folder:
        today = frozen(Path(folder), way)
        first = Schema(app="club", collections=list(way.before.values()))
        try:
            there, _ = migrated(archive_of(first, rows), today, today.version)
            _, report = migrated(there, today, 1)
        except InvalidRecords:
            assume(False)  # the same
        alone = one_by_one(there, today, list(range(today.version - 1, 0, -1)))
        assert alone == (report.dropped, report.defaulted)


# -- by example ------------------------------------------------------------------------------------


def counted(
    tmp_path: Path, *records: Any, first: Schema | None = None, rows: Any = ROWS
) -> tuple[dict[str, int], dict[str, int]]:
    """What an import counts after some steps; verifying and rewriting count the same."""
    steps = [migration(n, n + 1, record) for n, record in enumerate(records, 1)]
    new = after(tmp_path, *steps, first=first)
    archive = archive_of(FIRST if first is None else first, rows)
    report = imported(new, archive).migrated
    assert report is not None
    assert report == verify_archive(io.BytesIO(archive), new).migrated
    assert report == migrated(archive, new, new.version)[1]
    return dict(report.dropped), dict(report.defaulted)


def vip(m: Recorder) -> None:
    """Adds a field."""
    m.add_field("people", "vip", bool, default=False)


def no_people(m: Recorder) -> None:
    """Removes a collection."""
    m.remove_reference("menus", "cook_id", "people")
    m.rename_collection("people", "cooks")
    m.remove_collection("cooks")


def test_filled_in_and_removed_with_its_collection(tmp_path: Path) -> None:
    """What one step fills in is counted, though a later one removes the collection."""
    assert ({"cooks": 3}, {"people.vip": 3}) == counted(tmp_path, vip, no_people)


def test_filled_in_and_removed(tmp_path: Path) -> None:
    """A value that one step fills in and another removes is counted as both."""

    def no_vip(m: Recorder) -> None:
        m.remove_field("people", "vip")

    assert ({"people.vip": 3}, {"people.vip": 3}) == counted(tmp_path, vip, no_vip)


def test_nulls_filled_in_and_removed(tmp_path: Path) -> None:
    """Of a field whose nulls are filled in, every value is dropped."""

    def city(m: Recorder) -> None:
        m.change_kind("people", "city", str, default="?")
        m.add_field("people", "more", int | None)
        m.change_kind("people", "more", int, default=5)

    def gone(m: Recorder) -> None:
        m.change_kind("people", "city", str, using=str.upper)
        m.remove_field("people", "city")
        m.remove_field("people", "more")

    dropped, defaulted = counted(tmp_path, city, gone)
    assert {"people.city": 3, "people.more": 3} == dropped
    assert {"people.city": 1, "people.more": 3 + 3} == defaulted


def test_nulls_that_stay_null(tmp_path: Path) -> None:
    """A field that was added without a value has none that could be dropped."""

    def more(m: Recorder) -> None:
        m.add_field("people", "more", int | None)
        m.change_kind("people", "more", str | None, using=str)
        m.remove_field("people", "more")

    assert ({}, {"people.more": 3}) == counted(tmp_path, more)


def test_dropped_before_its_collection_is(tmp_path: Path) -> None:
    """Values that are removed, and later the records that they were of, also of a piece."""

    def split(m: Recorder) -> None:
        m.remove_field("people", "city")
        m.split_collection("people", "names", fields="name")

    def names(m: Recorder) -> None:
        m.add_field("names", "more", int, default=1)
        m.remove_collection("names")

    dropped, defaulted = counted(tmp_path, split, names)
    assert ({"people.city": 2, "names": 3}, {"names.more": 3}) == (dropped, defaulted)


def test_moved_into_what_is_removed(tmp_path: Path) -> None:
    """Values that no record has taken are counted, and records that got none."""

    def moved(m: Recorder) -> None:
        m.move_field("menus", "dish", "people", via="cook_id")

    rows = {**ROWS, "menus": [(1, "soup", 1), (3, "pie", 3), (4, "ice", None)]}
    dropped, defaulted = counted(tmp_path, moved, no_people, rows=rows)
    assert {"menus.dish": 1, "cooks": 3} == dropped
    assert {"people.dish": 1} == defaulted


def test_two_of_one_name(tmp_path: Path) -> None:
    """Collections that had one name when they were removed are counted together."""

    def both(m: Recorder) -> None:
        m.remove_reference("menus", "cook_id", "people")
        m.remove_collection("people")
        m.rename_collection("menus", "people")
        m.remove_collection("people")
        m.add_collection("people", fields={"id": int})
        m.remove_collection("people")

    assert ({"people": 3 + 4}, {}) == counted(tmp_path, both)


def test_a_record_that_is_lost_anyway(tmp_path: Path) -> None:
    """A function that fails on it harms nobody; it is left out of what was filled in."""

    def odd(record: dict[str, Any]) -> dict[str, Any]:
        if record["id"] == 2:
            raise ValueError(record)
        return record

    def fails(m: Recorder) -> None:
        m.map_records("people", odd)
        m.add_field("people", "vip", bool, default=False)

    assert ({"cooks": 3}, {"people.vip": 2}) == counted(tmp_path, fails, no_people)


def test_what_a_function_would_have_made_null(tmp_path: Path) -> None:
    """No function is called for a value that is removed: it is dropped as the archive has it."""

    def none(m: Recorder) -> None:
        m.change_kind("people", "city", str | None, using=lambda city: 1 // 0)
        m.remove_field("people", "city")

    assert ({"people.city": 2}, {}) == counted(tmp_path, none)


def test_an_export_of_an_older_version(tmp_path: Path) -> None:
    """What steps back fill in and then remove is counted as well."""

    def more(m: Recorder) -> None:
        m.add_collection("notes", fields={"id": int, "old": str}, key="id")

    def less(m: Recorder) -> None:
        m.remove_field("notes", "old", default="-")

    first = old(tmp_path, FIRST["people"], FIRST["menus"])
    new = after(tmp_path, migration(1, 2, more), migration(2, 3, less), first=first)
    rows = {**ROWS, "notes": [(1,), (2,)]}
    report = export_all(memory(rows, new), io.BytesIO(), version=1).migrated
    assert report is not None
    assert ({"notes": 2}, {"notes.old": 2}) == (report.dropped, report.defaulted)
    assert report == migrated(archive_of(new, rows), new, 1)[1]


def test_counting_reads_only_what_it_must(tmp_path: Path) -> None:
    """Where nothing was done to what is removed, its flow is not carried out."""
    new = after(tmp_path, step(no_people))
    way = way_of(new, 1, 2)
    (removed,) = way.composition().removed
    assert ("cooks", False) == (removed.name, removed.flow.counts)
    run_removed(way.composition(), cast("Any", None))


def test_a_key_that_is_none_of_its_kind_on_the_way_to_a_removal(tmp_path: Path) -> None:
    """What cannot be looked up in a collection that is removed anyway harms nobody, either."""

    def odd(m: Recorder) -> None:
        m.map_records("menus", lambda r: r | {"cook_id": "?" if r["id"] == 2 else r["cook_id"]})
        m.move_field("menus", "dish", "people", via="cook_id")
        m.map_records("menus", lambda r: r | {"cook_id": None})

    def gone(m: Recorder) -> None:
        m.remove_reference("menus", "cook_id", "people")
        m.remove_collection("people")

    rows = {**ROWS, "menus": [(1, "soup", 9), (2, "cake", 1), (3, "pie", 3)]}
    dropped, _ = counted(tmp_path, odd, gone, rows=rows)
    assert {"menus.dish": 1, "people": 3} == dropped


def test_what_moves_on_is_counted_where_it_was(tmp_path: Path) -> None:
    """What was counted of records before one of their fields moves is counted once."""

    def moves(m: Recorder) -> None:
        m.add_field("people", "vip", bool, default=False)
        m.remove_field("people", "city")
        m.move_field("people", "name", "menus", via="cook_id")

    dropped, defaulted = counted(tmp_path, moves)
    assert {"people.city": 2, "people.name": 1} == dropped
    assert {"people.vip": 3, "menus.name": 1} == defaulted
