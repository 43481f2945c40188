"""The JSON value null on its way through migrations: it is a value, and null is none."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    JSON_NULL,
    Collection,
    Json,
    MigrationReport,
    Recorder,
    Reference,
    Schema,
    export_all,
    import_all,
    migrate_archive,
)
from tests.support.club import memory
from tests.support.migrating import Rows, after, archive_of, failing, old, restored, rows_in, step

LONE = {"id": int, "v": Json}
OWNERS = Collection("owners", key="id", fields={"id": int})


def there(first: Schema, new: Schema, rows: Rows) -> tuple[Rows, MigrationReport]:
    """What an import makes of rows of the first version, as a rewritten file does."""
    archive = archive_of(first, rows)
    written = io.BytesIO()
    report = migrate_archive(io.BytesIO(archive), written, new)
    assert restored(new, archive) == restored(new, written.getvalue())
    assert report.migrated is not None
    assert import_all(memory({}, new), io.BytesIO(archive)).migrated == report.migrated
    return restored(new, archive), report.migrated


def back(first: Schema, new: Schema, rows: Rows) -> tuple[Rows, MigrationReport]:
    """What the app of the first version gets of rows of today."""
    written = io.BytesIO()
    report = export_all(
        memory({name: list(found) for name, found in rows.items()}, new), written, version=1
    )
    found = memory({}, first)
    import_all(found, io.BytesIO(written.getvalue()))
    assert report.migrated is not None
    return rows_in(found), report.migrated


def moving(folder: Path, kind: Any, **options: Any) -> tuple[Schema, Schema]:
    """A field that moves from notes to the owners that they refer to."""
    notes = Collection(
        "notes",
        key="id",
        fields={"id": int, "owner": int | None, "v": kind},
        references=[Reference("owner", "owners")],
    )
    first = old(folder, OWNERS, notes)

    def move(m: Recorder) -> None:
        m.move_field("notes", "v", "owners", via="owner", **options)

    return first, after(folder, step(move), first=first)


def test_it_moves_to_where_there_may_be_none(tmp_path: Path) -> None:
    """It is told from an owner that no note refers to; what nobody took counts as dropped."""
    first, new = moving(tmp_path, Json)
    rows: Rows = {
        "owners": [(1,), (2,), (3,)],
        "notes": [(1, 1, None), (2, 1, None), (3, 2, [None]), (4, None, None)],
    }
    found, migrated = there(first, new, rows)
    assert [(1, JSON_NULL), (2, [None]), (3, None)] == found["owners"]
    assert ({"notes.v": 1}, {"owners.v": 1}) == (migrated.dropped, migrated.defaulted)


def test_it_moves_with_a_default(tmp_path: Path) -> None:
    """The field stays of its kind; what is lost is counted, up and back."""
    first, new = moving(tmp_path, Json, default=7)
    rows: Rows = {"owners": [(1,), (2,)], "notes": [(1, 1, None), (2, None, None), (3, None, 5)]}
    found, migrated = there(first, new, rows)
    assert [(1, None), (2, 7)] == found["owners"]
    assert ({"notes.v": 2}, {"owners.v": 1}) == (migrated.dropped, migrated.defaulted)
    now: Rows = {"owners": [(1, None), (2, None)], "notes": [(1, 1), (2, None)]}
    found, migrated = back(first, new, now)
    assert [(1, 1, None), (2, None, 7)] == found["notes"]
    assert ({"owners.v": 1}, {"notes.v": 1}) == (migrated.dropped, migrated.defaulted)


def test_it_moves_between_nullable_fields(tmp_path: Path) -> None:
    """It and null stay apart, up and back, and only it counts as dropped."""
    first, new = moving(tmp_path, Json | None)
    rows: Rows = {
        "owners": [(1,), (2,)],
        "notes": [(1, 1, JSON_NULL), (2, 2, None), (3, None, None), (4, None, JSON_NULL)],
    }
    found, migrated = there(first, new, rows)
    assert [(1, JSON_NULL), (2, None)] == found["owners"]
    assert {"notes.v": 1} == migrated.dropped
    now: Rows = {"owners": found["owners"], "notes": [(1, 1), (2, 2), (3, None)]}
    assert [(1, 1, JSON_NULL), (2, 2, None), (3, None, None)] == back(first, new, now)[0]["notes"]


def test_a_removed_value(tmp_path: Path) -> None:
    """It is counted like any other, as archived and as a step has filled it in."""
    first = old(tmp_path, Collection("t", key="id", fields=LONE))

    def remove(m: Recorder) -> None:
        m.remove_field("t", "v", default=None)
        m.add_field("t", "w", Json, default=None)
        m.remove_field("t", "w")

    new = after(tmp_path, step(remove), first=first)
    _, migrated = there(first, new, {"t": [(1, None), (2, {})]})
    assert ({"t.v": 2, "t.w": 2}, {"t.w": 2}) == (migrated.dropped, migrated.defaulted)


def changing(folder: Path, was: Any, now: Any, **options: Any) -> tuple[Schema, Schema]:
    """A field that becomes of another kind."""
    first = old(folder, Collection("t", key="id", fields={"id": int, "v": was}))

    def change(m: Recorder) -> None:
        m.change_kind("t", "v", now, **options)

    return first, after(folder, step(change), first=first)


@pytest.mark.parametrize("options", [{}, {"default": None}])
@pytest.mark.parametrize("was", [Json | None, str | None])
def test_null_becomes_it(tmp_path: Path, was: Any, options: dict[str, Any]) -> None:
    """Where there must be a JSON value, null is filled in with it, which is counted."""
    first, new = changing(tmp_path, was, Json, **options)
    found, migrated = there(first, new, {"t": [(1, None), (2, "a"), (3, None)]})
    assert [(1, None), (2, "a"), (3, None)] == found["t"]
    assert {"t.v": 2} == migrated.defaulted


def test_only_null_is_counted(tmp_path: Path) -> None:
    """A JSON null that becomes one is not filled in; the way back knows of no null."""
    first, new = changing(tmp_path, Json | None, Json)
    found, migrated = there(first, new, {"t": [(1, None), (2, JSON_NULL)]})
    assert [(1, None), (2, None)] == found["t"]
    assert {"t.v": 1} == migrated.defaulted
    found, migrated = back(first, new, found)
    assert [(1, JSON_NULL), (2, JSON_NULL)] == found["t"]
    assert ({}, {}) == (migrated.dropped, migrated.defaulted)


def test_what_a_step_before_makes_null(tmp_path: Path) -> None:
    """Nulls are counted as they come out of the operation before."""
    first = old(tmp_path, Collection("t", key="id", fields={"id": int, "v": str}))

    def change(m: Recorder) -> None:
        m.change_kind("t", "v", str | None, using=lambda text: text or None)
        m.change_kind("t", "v", Json)

    new = after(tmp_path, step(change), first=first)
    found, migrated = there(first, new, {"t": [(1, ""), (2, "a")]})
    assert [(1, None), (2, "a")] == found["t"]
    assert {"t.v": 1} == migrated.defaulted


def test_functions_get_it(tmp_path: Path) -> None:
    """A text of JSON becomes the JSON, and that the text, `null` like any other."""
    first, new = changing(tmp_path, str, Json, using=json.loads, inverse=json.dumps)
    rows: Rows = {"t": [(1, "null"), (2, "[null]")]}
    found, migrated = there(first, new, rows)
    assert [(1, None), (2, [None])] == found["t"]
    assert {} == migrated.defaulted
    assert rows == back(first, new, found)[0]


def test_functions_get_it_on_the_way_up(tmp_path: Path) -> None:
    """The same the other way."""
    first, new = changing(tmp_path, Json, str, using=json.dumps, inverse=json.loads)
    rows: Rows = {"t": [(1, None), (2, [None])]}
    found, _ = there(first, new, rows)
    assert [(1, "null"), (2, "[null]")] == found["t"]
    assert rows == back(first, new, found)[0]


def test_a_default_goes_before_the_function(tmp_path: Path) -> None:
    """Nulls become it, as its author says, and it is counted for each."""
    first, new = changing(tmp_path, Json, str, using=json.dumps, default="-")
    found, migrated = there(first, new, {"t": [(1, None), (2, 5)]})
    assert [(1, "-"), (2, "5")] == found["t"]
    assert {"t.v": 1} == migrated.defaulted


def test_what_a_function_made_of_it_is_removed(tmp_path: Path) -> None:
    """It was a value before and is one that is dropped."""
    first = old(tmp_path, Collection("t", key="id", fields=LONE))

    def remove(m: Recorder) -> None:
        m.change_kind("t", "v", str, using=json.dumps)
        m.remove_field("t", "v")

    _, migrated = there(first, after(tmp_path, step(remove), first=first), {"t": [(1, None)]})
    assert {"t.v": 1} == migrated.dropped


def test_functions_get_it_where_another_record_fails(tmp_path: Path) -> None:
    """Records are then done one by one, with the same outcome."""

    def numbered(value: Any) -> str:
        return f"{5 / (value or 1) if value != [] else 1 / 0}"

    first, new = changing(tmp_path, Json, str, using=numbered)
    error = failing(new, archive_of(first, {"t": [(1, None), (2, [])]}))
    assert [2] == [problem.record for problem in error.problems]


@pytest.mark.parametrize(
    "now, options, expected",
    [(Json | None, {}, JSON_NULL), (str | None, {"default": None}, None)],
)
def test_functions_do_not_get_it(
    tmp_path: Path, now: Any, options: dict[str, Any], expected: Any
) -> None:
    """It stays itself where it may, or becomes what the default says."""
    first, new = changing(tmp_path, Json, now, using=json.dumps, **options)
    found, _ = there(first, new, {"t": [(1, None), (2, 5)]})
    assert [(1, expected), (2, "5")] == found["t"]
