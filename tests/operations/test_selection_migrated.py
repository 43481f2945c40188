"""Selections of older versions: what can be migrated without the rest is, all else is refused."""

import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from databackup import (
    Collection,
    Recorder,
    Reference,
    Schema,
    export_all,
    import_all,
    inspect_archive,
    migrate_archive,
    migration,
    verify_archive,
)
from databackup.errors import InvalidRecords, SchemaMismatch, UnknownCollection
from databackup.migrations.way import way_of
from databackup.repository import Row
from databackup.testing.harness import expected, stored
from tests.operations.test_migrated_imports import cases
from tests.support.club import memory
from tests.support.migrating import freeze_as_is, of_today, old, rows_in
from tests.support.selecting import part
from tests.support.stores import STORES


@given(data=st.data())
def test_any_selection_is_migrated_or_refused(data: st.DataObject) -> None:
    """Collections come in as they do with the whole archive, or none does; no other is touched."""
    with tempfile.TemporaryDirectory() as folder:
        case = data.draw(cases(Path(folder)))
        names = [collection.name for collection in case.old.collections]
        chosen = set(data.draw(st.lists(st.sampled_from(names), min_size=1)))
        with STORES["memory"](case.old, {}) as source:
            import_all(source, io.BytesIO(case.archive), dangling="keep")
            archive = part(source, *chosen, closure=False)
        flows = way_of(case.new, 1, 3).flows()
        mixed = any(f.made_of & chosen and f.made_of - chosen for f in flows.values())
        with STORES["memory"](case.new, {}) as target:
            if mixed:
                event("refused")
                with pytest.raises(SchemaMismatch, match="which has a selection, lacks"):
                    import_all(target, io.BytesIO(archive), dangling="keep")
                return
            try:
                report = import_all(target, io.BytesIO(archive), dangling="keep")
            except InvalidRecords:  # keys that a migration makes the same, and the like
                event("unsound")
                return
            written = {name for name, flow in flows.items() if flow.made_of & chosen}
            rows = {n: found if n in written else [] for n, found in case.rows.items()}
            assert written == set(report.collections)
            assert expected(case.new, rows) == stored(target)
        verify_archive(io.BytesIO(archive), case.new, dangling="keep")
        made = io.BytesIO()
        migrate_archive(io.BytesIO(archive), made, case.new)
        assert written == set(inspect_archive(io.BytesIO(made.getvalue())).selection or ())
        verify_archive(io.BytesIO(made.getvalue()), case.new, dangling="keep")


# -- by example ------------------------------------------------------------------------------------

PEOPLE = Collection("people", key="id", fields={"id": int, "name": str, "mail": str | None})
DISHES = Collection(
    "dishes",
    key="id",
    fields={"id": int, "title": str, "cook": int},
    references=[Reference("cook", "people")],
)
LOGS = Collection("logs", key="id", fields={"id": int, "line": str})
MENUS = Collection(
    "menus",
    key="id",
    fields={"id": int, "title": str, "cook": int, "guests": int},
    references=[Reference("cook", "people")],
)
NOTES = Collection("notes", key="id", fields={"id": int})
EVENTS = Collection("events", key="id", fields={"id": int})
ROWS: dict[str, list[Row]] = {
    "people": [(1, "Ana", "a@x"), (2, "Bo", None)],
    "dishes": [(7, "Soup", 2)],
    "logs": [(1, "in")],
    "notes": [(1,), (2,)],
}
NOW: dict[str, list[Row]] = {
    "people": [(1, "Ana", None), (9, "Zoe", None)],
    "menus": [(8, "Pie", 9, 4)],
    "logs": [(5, "out")],
    "events": [(3,)],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where versions are frozen."""
    return tmp_path / "versions"


def _today(folder: Path) -> Schema:
    def second(m: Recorder) -> None:
        m.rename_collection("dishes", "menus")
        m.add_field("menus", "guests", int, default=2)
        m.add_collection("events", fields={"id": int}, key="id")
        m.remove_collection("notes")

    return of_today(folder, [PEOPLE, MENUS, LOGS, EVENTS], migration(1, 2, second))


def test_an_older_selection(folder: Path) -> None:
    """It is migrated, and what it lacks and what the migration adds is left alone."""
    before = old(folder, PEOPLE, DISHES, LOGS, NOTES)
    archive = part(memory(ROWS, before), "dishes", closure=True)
    target = memory(NOW, _today(folder))
    report = import_all(target, io.BytesIO(archive))
    assert {"people": ROWS["people"], "menus": [(7, "Soup", 2, 2)]} | {
        name: NOW[name] for name in ("logs", "events")
    } == rows_in(target)
    assert ("logs", "events") == report.left_alone
    assert report.migrated is not None
    assert {"menus.guests": 1} == report.migrated.defaulted


def test_an_older_selection_rewritten(folder: Path) -> None:
    """A new archive is a selection of today's names, and warns of what leads out of it."""
    archive = part(memory(ROWS, old(folder, PEOPLE, DISHES, LOGS, NOTES)), "dishes", closure=False)
    made = io.BytesIO()
    freeze_as_is(_today(folder), folder)
    report = migrate_archive(io.BytesIO(archive), made, _today(folder))
    assert ("menus",) == report.selection
    (warning,) = (found for found in report.warnings if "frozen" not in found)
    assert warning.startswith("menus (cook) points at people, which the archive leaves out")
    assert (warning,) == verify_archive(io.BytesIO(made.getvalue())).warnings
    assert (warning,) == verify_archive(io.BytesIO(archive), _today(folder)).warnings


def test_a_selection_of_an_older_archive(folder: Path) -> None:
    """Collections are named as today; their migration is reported, and that of no other."""
    before = old(folder, PEOPLE, DISHES, LOGS, NOTES)
    file = io.BytesIO()
    export_all(memory(ROWS, before), file)
    target = memory(NOW, _today(folder))
    with pytest.raises(UnknownCollection, match="'dishes' in the archive; there are people, menus"):
        import_all(target, io.BytesIO(file.getvalue()), collections=["dishes"])
    report = import_all(target, io.BytesIO(file.getvalue()), collections=["logs"])
    assert {**NOW, "logs": ROWS["logs"]} == rows_in(target)
    assert report.migrated is not None
    assert ({}, {}) == (report.migrated.defaulted, report.migrated.dropped)
    whole = import_all(memory({}, _today(folder)), io.BytesIO(file.getvalue())).migrated
    assert whole is not None
    assert {"notes": 2} == whole.dropped
    import_all(target, io.BytesIO(file.getvalue()), collections=["menus"])
    assert ROWS["people"] == rows_in(target)["people"]


def test_what_needs_the_rest_is_refused(folder: Path) -> None:
    """A value that moves between what is there and what is not: the step and both are named."""

    def second(m: Recorder) -> None:
        m.move_field("people", "mail", "dishes", via="cook")

    people = Collection("people", key="id", fields={"id": int, "name": str})
    dishes = Collection(
        "dishes",
        key="id",
        fields={"id": int, "title": str, "cook": int, "mail": str | None},
        references=[Reference("cook", "people")],
    )
    before = old(folder, PEOPLE, DISHES, LOGS, NOTES)
    today = of_today(folder, [people, dishes, LOGS, NOTES], migration(1, 2, second))
    source, target = memory(ROWS, before), memory({}, today)
    for alone, other in (("people", "dishes"), ("dishes", "people")):
        archive = part(source, alone, closure=False)
        with pytest.raises(SchemaMismatch) as caught:
            import_all(target, io.BytesIO(archive), dangling="keep")
        assert "makes dishes of dishes, people" in caught.value.differences[0]
        assert f"lacks {other}" in caught.value.differences[0]
        outlook = inspect_archive(io.BytesIO(archive), today).outlook
        assert outlook is not None
        assert outlook.refused == caught.value.message
        assert "move_field people.mail" in caught.value.differences[0]
    both = part(source, "dishes")
    report = import_all(target, io.BytesIO(both))
    assert ("logs", "notes") == report.left_alone
    assert [(7, "Soup", 2, None)] == rows_in(target)["dishes"]


def test_the_step_that_needs_the_rest_is_named(folder: Path) -> None:
    """Not one before it, whose values are all there."""

    def second(m: Recorder) -> None:
        m.move_field("people", "mail", "dishes", via="cook")
        m.move_field("rooms", "name", "dishes", via="room")

    ids = {"id": int}
    links = [Reference("cook", "people"), Reference("room", "rooms")]
    at_first = (
        Collection("people", key="id", fields={**ids, "mail": str | None}),
        Collection("rooms", key="id", fields={**ids, "name": str | None}),
        Collection("dishes", key="id", fields={**ids, "cook": int, "room": int}, references=links),
    )
    now = [Collection(name, key="id", fields=ids) for name in ("people", "rooms")]
    fields = {**ids, "cook": int, "room": int, "mail": str | None, "name": str | None}
    now.append(Collection("dishes", key="id", fields=fields, references=links))
    before = old(folder, *at_first)
    today = of_today(folder, now, migration(1, 2, second))
    archive = part(memory({}, before), "dishes", "people", closure=False)
    with pytest.raises(SchemaMismatch, match=r"second\), move_field rooms.name .* lacks rooms"):
        import_all(memory({}, today), io.BytesIO(archive))


def test_a_selection_that_contradicts_its_version(folder: Path) -> None:
    """What is there must be as it was frozen, with the references that lead out of it."""
    old(folder, PEOPLE, DISHES, LOGS, NOTES)
    other = Collection("dishes", key="id", fields={"id": int, "title": str, "cook": int})
    liar = Schema(app="club", version=1, collections=[PEOPLE, other, LOGS, NOTES])
    archive = part(memory(ROWS, liar), "dishes")
    with pytest.raises(SchemaMismatch, match=r"the reference of dishes .* is gone"):
        import_all(memory({}, _today(folder)), io.BytesIO(archive))


def test_an_older_version_of_a_selection(folder: Path) -> None:
    """An export as an older version takes that version's names, and what they refer to."""
    old(folder, PEOPLE, DISHES, LOGS, NOTES)
    source = memory(NOW, _today(folder))
    file = io.BytesIO()
    with pytest.raises(UnknownCollection, match="'menus'; there are people, dishes"):
        export_all(source, io.BytesIO(), version=1, collections=["menus"])
    report = export_all(source, file, version=1, collections=["dishes"])
    assert ("people", "dishes") == report.selection
    assert {"people": 2, "dishes": 1} == report.collections
    assert report.migrated is not None
    assert {"menus.guests": 1} == report.migrated.dropped
    target = memory(ROWS, Schema(app="club", collections=[PEOPLE, DISHES, LOGS]))
    done = import_all(target, io.BytesIO(file.getvalue()))
    assert ("logs",) == done.left_alone
    assert {
        "people": NOW["people"],
        "dishes": [(8, "Pie", 9)],
        "logs": ROWS["logs"],
    } == rows_in(target)
