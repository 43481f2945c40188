"""Merge and add, by example: what is written, what is left alone, what is refused."""

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from databackup import Changes, Collection, Reference, Schema, import_all
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import InvalidRecords, KeyRequired, RecordsNotTaken
from databackup.schema import Field, kinds
from databackup.schema.composite import Optional
from databackup.testing.harness import expected, stored
from tests.operations.conftest import Make
from tests.support import sqlite
from tests.support.archives import data_of, exported
from tests.support.club import CLUB, MEMBERS, PLAYS, TEAMS, Dataset, club, many, memory
from tests.support.wrappers import Passed, unordered

KEYED = Schema(app="club", version=3, collections=[PLAYS, MEMBERS, TEAMS])
MODES = pytest.mark.parametrize("mode", ["merge", "add"])


def _club() -> Dataset:
    """The club without its log, which has no key."""
    return {name: rows for name, rows in club().items() if name != "log"}


def _other_club() -> Dataset:
    """One member is another, one is new to the archive, two are unknown here."""
    found = _club()
    found["members"] = [
        (1, "Eve", Decimal("1.10"), None),
        (2, "Bo", Decimal("20.00"), 1),
        (9, "Zoe", Decimal(0), 1),
    ]
    found["teams"] = [("b", -2.0, [None]), ("x", 0.0, 1)]
    found["plays"] = [(9, "x")]
    return found


def test_merge_updates_and_inserts_by_key(make: Make) -> None:
    """Of each collection what differs and what is new is written, and nothing is deleted."""
    target = Passed(make(KEYED, _other_club()))
    report = import_all(target, io.BytesIO(exported(make(KEYED, _club()))), mode="merge")
    ours, theirs = _other_club(), _club()
    assert [
        ("update", "members", [theirs["members"][0]]),
        ("insert", "members", theirs["members"][2:]),
        ("update", "teams", [theirs["teams"][1]]),
        ("insert", "teams", [theirs["teams"][0], theirs["teams"][2]]),
        ("insert", "plays", theirs["plays"]),
    ] == target.calls
    assert {
        "members": Changes(added=2, changed=1, unchanged=1, only_in_store=1),
        "teams": Changes(added=2, changed=1, only_in_store=1),
        "plays": Changes(added=3, only_in_store=1),
    } == report.collections
    assert ("merge", 13) == (report.mode, report.records)
    assert (7, 2, 0, 1) == (report.added, report.changed, report.deleted, report.unchanged)
    assert (0, 3) == (report.kept, report.only_in_store)
    then = {
        "members": [*theirs["members"], ours["members"][2]],
        "teams": [*theirs["teams"], ours["teams"][1]],
        "plays": [*theirs["plays"], *ours["plays"]],
    }
    assert expected(KEYED, then) == stored(target)


def test_add_inserts_and_touches_nothing(make: Make) -> None:
    """Of each collection what is new is written; what is there stays, and is counted as kept."""
    target = Passed(make(KEYED, _other_club()))
    report = import_all(target, io.BytesIO(exported(make(KEYED, _club()))), mode="add")
    ours, theirs = _other_club(), _club()
    assert [
        ("insert", "members", theirs["members"][2:]),
        ("insert", "teams", [theirs["teams"][0], theirs["teams"][2]]),
        ("insert", "plays", theirs["plays"]),
    ] == target.calls
    assert {
        "members": Changes(added=2, kept=1, unchanged=1, only_in_store=1),
        "teams": Changes(added=2, kept=1, only_in_store=1),
        "plays": Changes(added=3, only_in_store=1),
    } == report.collections
    assert ("add", 13) == (report.mode, report.records)
    assert (7, 0, 0, 1) == (report.added, report.changed, report.deleted, report.unchanged)
    assert (2, 3) == (report.kept, report.only_in_store)
    then = {
        "members": [*ours["members"], *theirs["members"][2:]],
        "teams": [*ours["teams"], theirs["teams"][0], theirs["teams"][2]],
        "plays": [*ours["plays"], *theirs["plays"]],
    }
    assert expected(KEYED, then) == stored(target)


@MODES
def test_into_an_empty_store(make: Make, mode: Any) -> None:
    """Where nothing is there, each mode puts everything in."""
    target = Passed(make(KEYED, {}))
    report = import_all(target, io.BytesIO(exported(make(KEYED, _club()))), mode=mode)
    assert {"insert"} == {name for name, _, _ in target.calls}
    assert (10, 10) == (report.added, report.records)
    assert expected(KEYED, _club()) == stored(target)


@MODES
def test_an_empty_archive_changes_nothing(make: Make, mode: Any) -> None:
    """What the archive lacks stays."""
    target = Passed(make(KEYED, _club()))
    report = import_all(target, io.BytesIO(exported(make(KEYED, {}))), mode=mode)
    assert [] == target.calls
    assert (10, 10) == (report.only_in_store, report.records)


@MODES
def test_many_batches(make: Make, mode: Any) -> None:
    """Batches that end at different records on both sides are brought together."""
    theirs = many(5000)["members"][::2]
    ours = [(i, "?", fee, i) for i, _, fee, _ in many(5000)["members"] if i % 3 == 0]
    target = make(KEYED, {"members": ours})
    report = import_all(
        target,
        io.BytesIO(exported(make(KEYED, {"members": [(*m[:3], None) for m in theirs]}))),
        mode=mode,
    )
    both = sum(1 for row in theirs if row[0] % 3 == 0)
    counted = {"changed" if mode == "merge" else "kept": both}
    alone = len(ours) - both
    assert (
        Changes(added=len(theirs) - both, only_in_store=alone, **counted)
        == (report.collections["members"])
    )


# -- keys ------------------------------------------------------------------------------------------


@MODES
def test_collections_without_a_key_are_refused(mode: Any) -> None:
    """All of them are named at once, before a transaction begins."""
    notes = Collection("notes", fields={"text": str})
    schema = Schema(collections=[*CLUB.collections, notes])
    target = Passed(memory(schema=schema))
    target.transaction = None  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyRequired) as caught:
        import_all(target, io.BytesIO(exported(memory({}, schema))), mode=mode)
    assert ("log", "notes") == caught.value.collections
    assert str(caught.value).startswith(f"{mode} tells records apart by their keys")
    assert "--mode replace" in caught.value.remedy


@MODES
def test_key_that_only_one_side_has_whole_is_refused(tmp_path: Path, mode: Any) -> None:
    """SQLite lets a key hold NULL; an archive without a key may have records without one."""
    for name in ("old.db", "new.db"):
        sqlite.run(tmp_path / name, "CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER)")
    sqlite.run(tmp_path / "old.db", "INSERT INTO t VALUES ('a', 1), (NULL, 2)")
    sqlite.run(tmp_path / "new.db", "INSERT INTO t VALUES ('a', 5)")
    one, two = (SQLiteRepository.reflect(tmp_path / name) for name in ("old.db", "new.db"))
    assert ((), ("k",)) == (one.schema["t"].key, two.schema["t"].key)
    for source, target in ((one, two), (two, one)):
        before = stored(target)
        with pytest.raises(KeyRequired, match="without one: t"):
            import_all(target, io.BytesIO(exported(source)), mode=mode)
        assert before == stored(target)


@MODES
def test_archive_without_a_key_for_a_target_with_one(make: Make, mode: Any) -> None:
    """The target's key tells records apart where all of the archive's have it."""
    fields: dict[str, Any] = {"a": int, "b": str}
    plain = Schema(collections=[Collection("t", fields=fields)])
    keyed = Schema(collections=[Collection("t", key="a", fields=fields)])
    target = make(keyed, {"t": [(1, "ours"), (2, "ours")]})
    archive = exported(make(plain, {"t": [(3, "theirs"), (1, "theirs")]}))
    import_all(target, io.BytesIO(archive), mode=mode)
    first = "theirs" if mode == "merge" else "ours"
    then: Dataset = {"t": [(1, first), (2, "ours"), (3, "theirs")]}
    assert expected(keyed, then) == stored(target)


PRICES = Schema(collections=[Collection("t", key="k", fields={"k": Decimal, "v": int})])


def test_merge_of_a_key_written_otherwise(make: Make) -> None:
    """A record of the key 1.1 becomes one of 1.10, and counts as changed, not as deleted."""
    archive = exported(make(PRICES, {"t": [(Decimal("1.10"), 1), (Decimal("2.0"), 2)]}))
    ours: list[Any] = [(Decimal("1.1"), 1), (Decimal(2), 3), (Decimal("9.0"), 9)]
    target = make(PRICES, {"t": ours})
    report = import_all(target, io.BytesIO(archive), mode="merge")
    assert Changes(changed=2, only_in_store=1) == report.collections["t"]
    then: list[Any] = [(Decimal("1.10"), 1), (Decimal("2.0"), 2), (Decimal("9.0"), 9)]
    assert expected(PRICES, {"t": then}) == stored(target)


def test_add_keeps_a_key_written_otherwise(make: Make) -> None:
    """1.10 is there already as 1.1, and stays what it is."""
    archive = exported(make(PRICES, {"t": [(Decimal("1.10"), 1), (Decimal("2.0"), 2)]}))
    ours: list[Any] = [(Decimal("1.1"), 1), (Decimal("2.0"), 3)]
    target = Passed(make(PRICES, {"t": ours}))
    report = import_all(target, io.BytesIO(archive), mode="add")
    assert ([], Changes(kept=2)) == (target.calls, report.collections["t"])
    assert expected(PRICES, {"t": ours}) == stored(target)


def test_merge_never_loses_columns_that_are_left_out(tmp_path: Path) -> None:
    """A record is not taken out for one of another scale where a column would go with it."""
    path = tmp_path / "prices.db"
    sqlite.run(path, "CREATE TABLE t (k TEXT PRIMARY KEY NOT NULL, v INTEGER, note TEXT)")
    sqlite.run(path, "INSERT INTO t VALUES ('1.1', 2, 'kept')")
    fields: dict[str, Any] = {"k": Decimal, "v": int}
    schema = Schema(collections=[Collection("t", key="k", fields=fields, exclude={"note": "ours"})])
    before = sqlite.dump(path)
    archive = exported(memory({"t": [(Decimal("1.10"), 1)]}, schema))
    with pytest.raises(InvalidRecords, match="1 of the records is not there"):
        import_all(SQLiteRepository(path, schema), io.BytesIO(archive), mode="merge")
    assert before == sqlite.dump(path)


@MODES
def test_scale_of_a_decimal_alone_differs(make: Make, mode: Any) -> None:
    """1.1 and 1.10 have one digest and are two contents: merge writes it, add keeps it."""
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int, "fee": Decimal})])
    archive = exported(make(schema, {"t": [(1, Decimal("1.10")), (2, Decimal(3))]}))
    target = make(schema, {"t": [(1, Decimal("1.1")), (2, Decimal(3))]})
    before = exported(target)
    report = import_all(target, io.BytesIO(archive), mode=mode)
    if mode == "merge":
        assert Changes(changed=1, unchanged=1) == report.collections["t"]
        assert data_of(archive) == data_of(exported(target))
    else:
        assert Changes(kept=1, unchanged=1) == report.collections["t"]
        assert data_of(before) == data_of(exported(target))


# -- what the store has beside ---------------------------------------------------------------------


@MODES
def test_records_that_the_schema_does_not_allow_stay(tmp_path: Path, mode: Any) -> None:
    """What a store holds off its kinds is none of a merge's business, unless it has the key."""
    path = tmp_path / "t.db"
    sqlite.run(path, "CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)")
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int, "v": int})])
    archive = exported(memory({"t": [(1, 1), (2, 2), (3, 3)]}, schema))
    sqlite.run(path, "INSERT INTO t VALUES (1, 'one'), (2, 2), ('x', 3), (X'00', 4), (7, 'seven')")
    report = import_all(SQLiteRepository(path, schema), io.BytesIO(archive), mode=mode)
    counted = {"changed" if mode == "merge" else "kept": 1}
    assert Changes(added=1, unchanged=1, only_in_store=3, **counted) == report.collections["t"]
    first = 1 if mode == "merge" else "one"
    assert [(1, first), (2, 2), (3, 3), (7, "seven"), ("x", 3), (b"\0", 4)] == sqlite.query(
        path, "SELECT * FROM t ORDER BY id"
    )


_PLACES = Schema(collections=[Collection("t", key="id", fields={"id": int, "place": int})])


def _places(path: Path, *rows: tuple[int, int]) -> Passed:
    sqlite.run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, place INT UNIQUE NOT NULL)")
    for row in rows:
        sqlite.run(path, f"INSERT INTO t VALUES {row}")
    return Passed(SQLiteRepository(path, _PLACES))


@pytest.mark.parametrize(
    "mode,rows,told",
    [
        ("merge", [(1, 30), (4, 40)], (1, (1,))),
        ("merge", [(1, 11), (4, 30)], (2, (4,))),
        ("add", [(1, 11), (4, 30)], (2, (4,))),
        ("add", [(1, 11), (4, 10)], (2, (4,))),
    ],
)
def test_unique_value_of_a_record_that_stays(
    tmp_path: Path, mode: Any, rows: Any, told: Any
) -> None:
    """The archive's record is named where a record only in the store has its unique value."""
    target = _places(tmp_path / "t.db", (1, 10), (3, 30))
    before = sqlite.dump(tmp_path / "t.db")
    archive = exported(memory({"t": rows}, _PLACES))
    with pytest.raises(InvalidRecords) as caught:
        import_all(target, io.BytesIO(archive), mode=mode)
    (problem,) = caught.value.problems
    assert ("store-refuses", *told) == (problem.code, problem.record, problem.key)
    assert before == sqlite.dump(tmp_path / "t.db")


def test_unique_values_move_in_a_merge(tmp_path: Path) -> None:
    """Records may exchange unique values, and hand them on to new ones."""
    target = _places(tmp_path / "t.db", (1, 10), (2, 20), (3, 30), (9, 90))
    archive = exported(memory({"t": [(1, 20), (2, 10), (3, 31), (4, 30)]}, _PLACES))
    report = import_all(target, io.BytesIO(archive), mode="merge")
    assert Changes(added=1, changed=3, only_in_store=1) == report.collections["t"]
    assert [(1, 20), (2, 10), (3, 31), (4, 30), (9, 90)] == sqlite.query(
        tmp_path / "t.db", "SELECT * FROM t ORDER BY id"
    )


@MODES
def test_references_are_checked_over_the_whole_store(make: Make, mode: Any) -> None:
    """A record of the archive may refer to one only in the store; one of either may dangle."""
    a = Collection("a", key="id", fields={"id": int})
    ref = Field("a", Optional(kinds.Int()))
    b = Collection(
        "b", key="id", fields=[Field("id", kinds.Int()), ref], references=[Reference("a", "a")]
    )
    schema = Schema(collections=[a, b])
    source = make(schema, {"a": [(1,)], "b": [(1, 1)]})
    archive = exported(source)
    target = make(schema, {"a": [(2,)], "b": [(2, 2)]})
    import_all(target, io.BytesIO(archive), mode=mode)
    assert expected(schema, {"a": [(1,), (2,)], "b": [(1, 1), (2, 2)]}) == stored(target)


def test_reference_that_dangled_before_is_refused_or_kept(tmp_path: Path) -> None:
    """What is wrong in the store itself is told like what is wrong in the archive."""
    path = tmp_path / "t.db"
    target = SQLiteRepository(sqlite.create(path, KEYED), KEYED)
    sqlite.run(path, "INSERT INTO plays VALUES (77, 'A')")
    before = sqlite.dump(path)
    archive = exported(memory(_club(), KEYED))
    with pytest.raises(InvalidRecords, match="points at members int 77") as caught:
        import_all(target, io.BytesIO(archive), mode="merge")
    assert [(None, "dangling-reference")] == [(p.record, p.code) for p in caught.value.problems]
    assert before == sqlite.dump(path)
    report = import_all(target, io.BytesIO(archive), mode="merge", dangling="keep")
    assert 1 == len(report.warnings)
    assert 1 == report.collections["plays"].only_in_store


# -- counters --------------------------------------------------------------------------------------


def _numbered(path: Path, *statements: str) -> SQLiteRepository:
    sqlite.run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)", *statements)
    return SQLiteRepository.reflect(path)


@pytest.mark.parametrize(
    "mode,last,following",
    [
        ("merge", 70, 101),
        ("add", 70, 101),
        ("merge", 300, 301),
        ("add", 300, 301),
        ("replace", 70, 71),
    ],
)
def test_counters_are_never_lowered(tmp_path: Path, mode: Any, last: int, following: int) -> None:
    """A number that either side gave out is not given out again; replace takes the archive's."""
    source = _numbered(
        tmp_path / "old.db",
        f"INSERT INTO t VALUES (1, 'a'), ({last}, 'b')",
        f"DELETE FROM t WHERE id = {last}",
    )
    target = _numbered(
        tmp_path / "new.db",
        "INSERT INTO t VALUES (2, 'a'), (100, 'b')",
        "DELETE FROM t WHERE id = 100",
    )
    import_all(target, io.BytesIO(exported(source)), mode=mode)
    sqlite.run(tmp_path / "new.db", "INSERT INTO t (v) VALUES ('c')")
    assert [(following,)] == sqlite.query(tmp_path / "new.db", "SELECT max(id) FROM t")


@pytest.mark.parametrize("in_order", [True, False])
@MODES
def test_zero_and_minus_zero_are_two_keys(mode: Any, in_order: bool) -> None:
    """No record is overwritten or kept for one of another key; a store of one alone says so."""
    schema = Schema(collections=[Collection("t", key="k", fields={"k": float, "v": int})])
    archive = exported(memory({"t": [(0.0, 1)]}, schema))
    target = memory({"t": [(-0.0, 2)]}, schema)
    before = repr(stored(target))
    repository: Any = target if in_order else unordered(target)
    with pytest.raises(RecordsNotTaken, match="the store refuses the record") as caught:
        import_all(repository, io.BytesIO(archive), mode=mode)
    assert "databackup seal" not in str(caught.value)
    assert before == repr(stored(target))
