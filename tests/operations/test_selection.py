"""Selections by example: what comes along, what is named, what is left alone, what is refused."""

import asyncio
import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    Collection,
    ImportOptions,
    Reference,
    Schema,
    diff,
    export_all,
    export_all_async,
    import_all,
    import_all_async,
    inspect_archive,
    iter_export,
    verify_archive,
)
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import (
    InvalidRecords,
    KeyRequired,
    NeededCollection,
    RecordsNotTaken,
    SchemaError,
    SchemaMismatch,
    UnknownCollection,
)
from databackup.repository import Row
from tests.operations.conftest import Make
from tests.support import sqlite
from tests.support.archives import Lines, exported
from tests.support.club import CLUB, LOG, MEMBERS, PLAYS, TEAMS, club, memory
from tests.support.migrating import rows_in
from tests.support.selecting import part, told
from tests.support.wrappers import Passed, PassedTransaction

EMPTY: dict[str, list[Row]] = {"members": [], "teams": [], "plays": [], "log": []}

# -- exports ---------------------------------------------------------------------------------------


def test_what_is_referred_to_comes_along(make: Make) -> None:
    """Collections that are pointed at, and what those point at; the header has all of them."""
    archive, report = told(make(CLUB, club()), collections=["plays"])
    assert {"members": 4, "teams": 3, "plays": 3} == report.collections
    info = inspect_archive(io.BytesIO(archive))
    assert ("members", "teams", "plays") == report.selection == info.selection
    assert (10, ()) == (info.records, info.excluded)
    assert () == report.warnings


def test_one_name_may_be_text(make: Make) -> None:
    """A name alone, a name twice, and names from a generator are what they seem to be."""
    source = make(CLUB, club())
    for names in ("log", ["log", "log"], iter(["log"]), {"log": 1}):
        assert ("log",) == told(source, collections=names)[1].selection
    assert None is told(source)[1].selection


def test_without_what_is_referred_to(make: Make) -> None:
    """Then the report names each reference that leads out, and the archive keeps it."""
    archive, report = told(make(CLUB, club()), collections=["plays", "log"], closure=False)
    assert ("plays", "log") == report.selection
    warnings = (
        "plays (member) points at members, which the archive leaves out, from up to 3 records",
        "plays (team) points at teams, which the archive leaves out, from up to 3 records",
    )
    assert warnings == report.warnings
    assert warnings == verify_archive(io.BytesIO(archive)).warnings
    assert warnings == verify_archive(io.BytesIO(archive), CLUB).warnings
    described = json.loads(archive)["schema"]["collections"]["plays"]["references"]
    assert [["id"], ["code"]] == [reference["to"] for reference in described]
    assert () == told(make(CLUB, {}), collections=["plays"], closure=False)[1].warnings


def test_one_record_is_one() -> None:
    """A single record is not counted as several."""
    (warning,) = told(
        memory({**EMPTY, "plays": [(1, "A")]}, Schema(collections=[PLAYS, MEMBERS, TEAMS])),
        collections=["plays", "teams"],
        closure=False,
    )[1].warnings
    assert warning.endswith("from up to 1 record")


def test_left_out_with_a_reason(make: Make) -> None:
    """The header says of a whole collection that it is left out, and why, as of a table."""
    schema = Schema(app="club", collections=CLUB.collections, exclude={"cache": "made anew"})
    archive, report = told(make(schema, club()), exclude={"log": "too long", "plays": "secret"})
    assert {"members": 4, "teams": 3} == report.collections
    header = json.loads(archive)
    assert ["members", "teams"] == header["selection"]
    assert [
        {"name": "cache", "reason": "made anew"},
        {"name": "log", "reason": "too long"},
        {"name": "plays", "reason": "secret"},
    ] == header["excluded"]
    assert report.excluded == inspect_archive(io.BytesIO(archive)).excluded


def test_what_is_needed_cannot_be_left_out(make: Make) -> None:
    """A reference would bring it along: the reference is named, and closure=False does without."""
    source = make(CLUB, club())
    with pytest.raises(NeededCollection) as caught:
        told(source, exclude={"members": "private", "log": "long"})
    error = caught.value
    assert ("plays (member) points at members",) == error.references
    assert "what is excluded, members: plays (member) points at members" in str(error)
    _, report = told(source, exclude={"members": "private", "log": "long"}, closure=False)
    assert {"teams": 3, "plays": 3} == report.collections
    (warning,) = report.warnings
    assert warning.startswith("plays (member) points at members, which the archive leaves out")
    chain = Schema(
        collections=[
            Collection("a", key="i", fields={"i": int}, references=[Reference("i", "b")]),
            Collection("b", key="i", fields={"i": int}, references=[Reference("i", "log")]),
            Collection("log", key="i", fields={"i": int}),
        ]
    )
    with pytest.raises(NeededCollection, match=r"b \(i\) points at log"):
        told(memory({}, chain), collections=["a"], exclude={"log": "far away"})
    with pytest.raises(
        NeededCollection, match=r"what is excluded, b: a \(i\) points at b\. "
    ) as two:
        told(memory({}, chain), exclude={"log": "far away", "b": "on the way there"})
    assert ("a (i) points at b",) == two.value.references


def test_named_and_excluded(make: Make) -> None:
    """Both may be given, as long as they do not contradict each other."""
    source = make(CLUB, club())
    archive, report = told(source, collections=["teams"], exclude={"log": "long"})
    assert ("teams",) == report.selection
    assert ["log"] == [e.name for e in inspect_archive(io.BytesIO(archive)).excluded]


@pytest.mark.parametrize(
    "options, error, match",
    [
        ({"collections": ["team"]}, UnknownCollection, "'team'; there are plays, log, members"),
        ({"exclude": {"team": "x"}}, UnknownCollection, "no collection 'team'"),
        ({"collections": []}, ValueError, "no collection is named"),
        ({"collections": [1]}, TypeError, "not by 1"),
        ({"collections": 1}, TypeError, "not 1"),
        ({"collections": ["log"], "closure": 1}, TypeError, "closure is true or false"),
        ({"collections": ["log"], "exclude": {"log": "x"}}, ValueError, "both asked for"),
        ({"exclude": {"log": " "}}, SchemaError, "no reason"),
        ({"exclude": {"log": None}}, SchemaError, "no reason"),
        ({"exclude": dict.fromkeys(EMPTY, "x")}, ValueError, "every collection is excluded"),
    ],
)
def test_wrong_arguments(
    options: dict[str, Any], error: type[Exception], match: str, tmp_path: Path
) -> None:
    """What makes no sense is refused before a file is made, or a piece of one asked for."""
    with pytest.raises(error, match=match):
        export_all(memory(), tmp_path / "a.json", **options)
    with pytest.raises(error, match=match):
        iter_export(memory(), **options)
    assert [] == list(tmp_path.iterdir())


def test_counters_of_the_selection(tmp_path: Path) -> None:
    """The last numbers that a store gave out are those of what is selected."""
    names = ("a", "b")
    schema = Schema(collections=[Collection(n, key="id", fields={"id": int}) for n in names])
    paths = [tmp_path / "one.db", tmp_path / "two.db"]
    for path, last in zip(paths, (50, 70), strict=True):
        for name in names:
            sqlite.run(
                path,
                f"CREATE TABLE {name} (id INTEGER PRIMARY KEY AUTOINCREMENT)",
                f"INSERT INTO {name} VALUES ({last})",
                f"DELETE FROM {name}",
                f"INSERT INTO {name} VALUES (1)",
            )
    one, two = (SQLiteRepository(path, schema) for path in paths)
    archive = part(two, "b")
    assert {"counters": {"b": 70}} == json.loads(archive)["extensions"]
    import_all(one, io.BytesIO(archive))
    assert {"a": 50, "b": 70} == _counters(one)
    whole = exported(two)
    assert {"counters": {"a": 70, "b": 70}} == json.loads(whole)["extensions"]
    import_all(one, io.BytesIO(whole), collections="b")
    assert {"a": 50, "b": 70} == _counters(one)


def _counters(repository: SQLiteRepository) -> dict[str, int]:
    with repository.snapshot() as snapshot:
        return dict(snapshot.counters())


# -- imports ---------------------------------------------------------------------------------------


def test_others_are_left_alone(make: Make) -> None:
    """Nothing is written to them, and the report says which they are."""
    archive = part(make(CLUB, club()), "plays")
    target = Passed(make(CLUB, {"log": club()["log"], "teams": [("x", 0.5, None)]}))
    report = import_all(target, io.BytesIO(archive))
    assert {"members", "teams", "plays"} == {name for _, name, _ in target.calls}
    assert ("log",) == report.left_alone == tuple(report.as_json()["left_alone"])
    assert ({"members", "teams", "plays"}, 10) == (set(report.collections), report.records)
    assert {**club()} == {
        n: sorted(rows, key=club()[n].index) for n, rows in rows_in(target).items()
    }


def test_records_left_behind_are_named(make: Make) -> None:
    """Records outside of the selection that would point at nothing; once kept, warned of."""
    fewer = {**club(), "members": club()["members"][:3], "plays": []}
    archive = part(make(CLUB, fewer), "members")
    target = make(CLUB, club())
    with pytest.raises(InvalidRecords) as caught:
        import_all(target, io.BytesIO(archive))
    (problem,) = caught.value.problems
    assert ("dangling-reference", "plays", None, None) == (
        problem.code, problem.collection, problem.record, problem.pointer,
    )  # fmt: skip
    assert (("b", 4), "member") == (problem.key, problem.field)
    assert "points at members int 4, which would not be there after the import" in problem.message
    assert club()["members"] == rows_in(target)["members"]
    report = import_all(target, io.BytesIO(archive), dangling="keep")
    assert 1 == report.deleted
    assert (str(problem),) == report.warnings
    assert club()["plays"] == sorted(rows_in(target)["plays"], key=club()["plays"].index)


def test_what_the_store_has_is_pointed_at(make: Make) -> None:
    """Without what is referred to, references must hold in the store; the archive's are named."""
    archive = part(make(CLUB, club()), "plays", closure=False)
    target = make(CLUB, {**club(), "plays": []})
    assert 3 == import_all(target, io.BytesIO(archive)).added
    assert 3 == import_all(target, io.BytesIO(archive), collections="plays").unchanged
    other = make(CLUB, {**club(), "plays": [], "members": club()["members"][:3]})
    with pytest.raises(InvalidRecords) as caught:
        import_all(other, io.BytesIO(archive))
    (problem,) = caught.value.problems
    assert ("plays", 3, ("b", 4)) == (problem.collection, problem.record, problem.key)
    assert "/data/plays/2/member" == problem.pointer


def test_what_dangled_elsewhere_may_dangle(make: Make) -> None:
    """References among collections that are left alone are not the import's."""
    schema = Schema(app="club", version=3, collections=[MEMBERS, TEAMS, PLAYS, LOG])
    target = memory({**club(), "plays": [(77, "nowhere")]}, schema)
    report = import_all(target, io.BytesIO(part(memory(), "log")))
    assert () == report.warnings
    assert [(77, "nowhere")] == rows_in(target)["plays"]


def test_a_selection_of_the_archive(make: Make) -> None:
    """An import takes some collections of a whole archive, with what they refer to."""
    archive = exported(make(CLUB, club()))
    target = make(CLUB, {})
    report = import_all(target, io.BytesIO(archive), collections=["teams"])
    assert (("plays", "log", "members"), 3) == (report.left_alone, report.records)
    report = import_all(target, io.BytesIO(archive), collections="plays")
    assert (("log",), 7) == (report.left_alone, report.added)
    with pytest.raises(UnknownCollection, match="'team' in the archive; there are") as caught:
        import_all(target, io.BytesIO(archive), collections=["team"])
    assert ("team", {"plays", "log", "members", "teams"}) == (
        caught.value.name, set(caught.value.known),
    )  # fmt: skip
    partial = part(make(CLUB, club()), "teams")
    with pytest.raises(UnknownCollection, match="'plays' in the archive; there are teams"):
        import_all(target, io.BytesIO(partial), collections=["plays"])


def test_the_app_knows_more_references_than_the_archive() -> None:
    """What today's schema says is referred to comes along, too."""
    without = Schema(
        app="club",
        version=3,
        collections=[Collection("plays", key=PLAYS.key, fields=PLAYS.fields), MEMBERS, TEAMS, LOG],
    )
    target = memory({})
    import_all(target, io.BytesIO(exported(memory(club(), without))), collections="plays")
    assert {"members": 4, "teams": 3, "plays": 3, "log": 0} == {
        name: len(rows) for name, rows in rows_in(target).items()
    }


def test_records_that_are_not_asked_for_need_not_be_sound(make: Make) -> None:
    """They are passed over; so are collections that the store does not have."""
    lines = Lines.of(exported(make(CLUB, club())))
    lines.collections["log"][0] = b'{"line":5,"amount":"1.0"}'
    schema = Schema(app="club", version=3, collections=[MEMBERS, TEAMS, PLAYS])
    target = make(schema, {})
    archive = lines.sealed(schema)
    import_all(target, io.BytesIO(archive), collections=["members", "teams"])
    assert club()["members"] == rows_in(target)["members"]
    with pytest.raises(SchemaMismatch, match="'log'"):
        import_all(target, io.BytesIO(archive), collections=["log"])


def test_a_whole_archive_has_to_have_everything(make: Make) -> None:
    """What an archive lacks that says nothing of a selection is refused, as ever."""
    schema = Schema(app="club", version=3, collections=[MEMBERS, TEAMS, PLAYS])
    with pytest.raises(SchemaMismatch, match="'log', the archive does not"):
        import_all(make(CLUB, club()), io.BytesIO(exported(make(schema, club()))))


def test_modes_need_keys_of_the_selection_alone(make: Make) -> None:
    """A log without a key is in nobody's way that is not asked for."""
    target = make(CLUB, club())
    archive = exported(make(CLUB, {**club(), "teams": [("A", 9.5, None)]}))
    with pytest.raises(KeyRequired):
        import_all(target, io.BytesIO(archive), mode="merge")
    report = import_all(target, io.BytesIO(archive), mode="merge", collections=["teams"])
    assert (1, 2) == (report.changed, report.only_in_store)
    with pytest.raises(KeyRequired) as caught:
        import_all(target, io.BytesIO(part(memory(), "log")), mode="add")
    assert ("log",) == caught.value.collections


@pytest.mark.parametrize("wrong", [{"collections": []}, {"collections": [2]}, {"closure": "no"}])
def test_wrong_options(wrong: dict[str, Any]) -> None:
    """Options are checked before the archive is opened."""
    with pytest.raises((ValueError, TypeError)):
        import_all(memory(), "nowhere.json", **wrong)
    with pytest.raises((ValueError, TypeError)):
        ImportOptions(**wrong)
    assert ("log",) == ImportOptions(collections="log").collections
    assert ("log", "a") == ImportOptions(collections=["log", "a", "log"]).collections


def test_on_an_event_loop() -> None:
    """The options are those of the functions that wait."""
    file, target = io.BytesIO(), memory({})
    done = asyncio.run(
        export_all_async(memory(), file, collections=["log", "teams"], exclude={"plays": "x"})
    )
    assert ({"log", "teams"}, ["plays"]) == (
        set(done.collections), [e.name for e in done.excluded],
    )  # fmt: skip
    archive = io.BytesIO(file.getvalue())
    report = asyncio.run(import_all_async(target, archive, collections=["log"]))
    assert ("plays", "members", "teams") == report.left_alone
    whole = io.BytesIO(exported(memory()))
    options: dict[str, Any] = {"collections": "plays", "closure": False, "dangling": "keep"}
    report = asyncio.run(import_all_async(target, whole, **options))
    assert ["plays"] == list(report.collections)
    alone = asyncio.run(
        export_all_async(memory(), io.BytesIO(), collections="plays", closure=False)
    )
    assert ("plays",) == alone.selection


# -- stores that do more than they are asked to ----------------------------------------------------


class Meddling(PassedTransaction):
    """Takes a record of another collection away with each one that is deleted."""

    def delete(self, collection: Collection, keys: list[Any]) -> None:
        """Delete more than asked for."""
        super().delete(collection, keys)
        self.transaction.delete(PLAYS, [("b", 4)])


def test_what_a_store_carries_off_is_found() -> None:
    """A collection that was to be left alone and is not: all is rolled back, and it is named."""
    archive = part(memory({**club(), "teams": []}), "teams")
    target = Passed(memory(), transaction=Meddling)
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(target, io.BytesIO(archive), dangling="keep")
    (problem,) = caught.value.problems
    assert ("read-back", "plays") == (problem.code, problem.collection)
    assert club()["plays"] == sorted(rows_in(target)["plays"], key=club()["plays"].index)


class Triggered(PassedTransaction):
    """A trigger of the host's writes to another collection what was not asked for."""

    def insert(self, collection: Collection, rows: list[Row]) -> None:
        """Insert, and let the trigger fire."""
        super().insert(collection, rows)
        self.transaction.update(TEAMS, [("A", 0.0, "touched")])

    def triggers(self) -> list[str]:
        """The one that there is."""
        return ["touch of members"]


class Quiet(Triggered):
    """The same where no trigger is known."""

    def triggers(self) -> list[str]:
        """None."""
        return []


def _into(transaction: type[PassedTransaction], **options: Any) -> Any:
    archive = part(memory(), "members")
    target = Passed(memory({**EMPTY, "teams": [("A", 1.5, None)]}), transaction=transaction)
    return import_all(target, io.BytesIO(archive), **options)


def test_what_a_trigger_changes_is_found() -> None:
    """Where triggers fire, what is left alone is compared record by record, and they are blamed."""
    with pytest.raises(RecordsNotTaken, match="perhaps by the trigger touch of members") as caught:
        _into(Triggered)
    assert ["teams"] == [problem.collection for problem in caught.value.problems]
    assert 4 == _into(Triggered, read_back=False).added
    assert 4 == _into(Quiet).added


# -- diff ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _sides(*archives: bytes) -> Iterator[list[Any]]:
    yield [io.BytesIO(archive) for archive in archives]


def test_diff_of_a_selection() -> None:
    """What a selection leaves out is not compared, and a note says so."""
    whole, some = exported(memory()), part(memory(), "teams")
    for sides in ((some, whole), (whole, some)):
        found = diff(*map(io.BytesIO, sides), names=("one", "two"))
        assert (True, ["teams"]) == (found.identical, list(found.collections))
        which = "one" if sides[0] is some else "two"
        (note,) = found.notes
        assert note.startswith(f"{which} holds a selection: not compared are ")
        assert {"plays", "log", "members"} == set(note.partition("are ")[2].split(", "))
        with pytest.raises(UnknownCollection, match="there are teams"):
            diff(*map(io.BytesIO, sides), collections=["log"])
    everything = part(memory(), "plays", "log")
    assert () == diff(io.BytesIO(everything), io.BytesIO(whole)).notes


def test_diff_of_selections_without_a_common_collection() -> None:
    """They are not the same only because there is nothing to compare."""
    one, other = part(memory(), "teams"), part(memory(), "log")
    found = diff(io.BytesIO(one), io.BytesIO(other))
    assert not found.identical
    assert {"teams", "log"} == set(found.collections)
    assert () == found.notes


# -- new tables ------------------------------------------------------------------------------------


def test_tables_that_the_archive_does_not_describe(tmp_path: Path) -> None:
    """How large their values will be nobody knows: they are not made, and named."""
    path = tmp_path / "new.db"
    path.touch()
    target = SQLiteRepository(path, CLUB)
    with pytest.raises(SchemaMismatch, match="lacks the table of the collection 'log'") as caught:
        import_all(target, io.BytesIO(part(memory(), "plays")), create=True)
    assert 1 == len(caught.value.differences)
    assert 13 == import_all(target, io.BytesIO(exported(memory())), create=True).added


def test_references_of_what_is_there_are_not_the_archives(tmp_path: Path) -> None:
    """A table that is there need not have the references that the archive describes."""
    path = tmp_path / "new.db"
    sqlite.run(path, "CREATE TABLE plays (member INTEGER, team TEXT, PRIMARY KEY (team, member))")
    target = SQLiteRepository.reflect(path, types="declared")
    archive = part(memory(), "plays", "log", closure=False)
    assert ("log",) == import_all(target, io.BytesIO(archive), create=True).created
