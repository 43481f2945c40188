import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    JSON_NULL,
    Changes,
    Collection,
    Reference,
    Schema,
    import_all,
    verify_archive,
)
from databackup.adapters.memory import MemoryRepository
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import InvalidRecords, RecordsRefused, SchemaMismatch
from databackup.schema import Field, composite, kinds
from databackup.testing.harness import stored
from tests.operations.conftest import Make
from tests.support import sqlite
from tests.support.archives import data_of, exported
from tests.support.club import CLUB, club, many, memory
from tests.support.wrappers import Passed, PassedTransaction, unordered


def test_into_an_empty_store(make: Make) -> None:
    """Everything is inserted, in the order of the archive, and reported as added."""
    target = Passed(make(CLUB, {}))
    report = import_all(target, io.BytesIO(exported(make(CLUB, club()))))
    assert [("insert", name, club()[name]) for name in ("members", "teams", "log")] == [
        call for call in target.calls if call[1] != "plays"
    ]
    assert {"members": 4, "teams": 3, "plays": 3, "log": 3} == {
        name: changes.added for name, changes in report.collections.items()
    }
    assert (13, 13, 0, 0, 0) == (
        report.records,
        report.added,
        report.changed,
        report.deleted,
        report.unchanged,
    )
    assert stored(make(CLUB, club())) == stored(target)


def test_into_an_equal_store_writes_nothing(make: Make) -> None:
    """Where store and archive are equal, nothing at all is written."""
    target = Passed(make(CLUB, club()))
    report = import_all(target, io.BytesIO(exported(make(CLUB, club()))))
    assert [] == target.calls
    assert (0, 0, 0, 13) == (report.added, report.changed, report.deleted, report.unchanged)


def test_writes_exactly_what_differs(make: Make) -> None:
    """Of a spoiled store, only the records that differ are touched, each in one way."""
    spoiled = club()
    spoiled["members"][0] = (1, "Eve", Decimal("1.10"), 2)
    spoiled["members"][3] = (9, "Di", Decimal(7), None)
    spoiled["plays"] = [(1, "A"), (9, "b")]
    del spoiled["teams"][1:]
    spoiled["teams"] += [("b", -2.0, [None]), ("x", 0.0, 1)]
    target = Passed(make(CLUB, spoiled))
    report = import_all(target, io.BytesIO(exported(make(CLUB, club()))))
    expected = [
        ("delete", "members", [(9,)]),
        ("update", "members", [club()["members"][0]]),
        ("insert", "members", [club()["members"][3]]),
        ("delete", "teams", [("x",)]),
        ("update", "teams", [club()["teams"][1]]),
        ("insert", "teams", [club()["teams"][2]]),
        ("delete", "plays", [("b", 9)]),
        ("insert", "plays", [(2, "A"), (4, "b")]),
    ]
    assert expected == target.calls
    assert Changes(added=1, changed=1, deleted=1, unchanged=2) == report.collections["members"]
    assert Changes(added=1, changed=1, deleted=1, unchanged=1) == report.collections["teams"]
    assert Changes(added=2, deleted=1, unchanged=1) == report.collections["plays"]
    assert Changes(unchanged=3) == report.collections["log"]
    assert (4, 2, 3, 7) == (report.added, report.changed, report.deleted, report.unchanged)
    assert stored(make(CLUB, club())) == stored(target)


def test_an_empty_archive_empties_the_store(make: Make) -> None:
    """What the archive lacks is deleted, all of it if need be."""
    target = make(CLUB, club())
    report = import_all(target, io.BytesIO(exported(make(CLUB, {}))))
    assert (13, 0) == (report.deleted, report.records)
    assert stored(make(CLUB, {})) == stored(target)


def test_without_a_key_differing_records_are_replaced_as_a_whole(make: Make) -> None:
    """Records without identity are cleared and inserted when the collections differ."""
    spoiled = club() | {"log": [("in", Decimal("1.0")), ("out", Decimal(2)), ("out", Decimal(2))]}
    target = Passed(make(CLUB, spoiled))
    report = import_all(target, io.BytesIO(exported(make(CLUB, club()))))
    assert [("clear", "log", []), ("insert", "log", club()["log"])] == target.calls
    assert Changes(added=3, deleted=3) == report.collections["log"]


def test_without_a_key_equal_records_in_another_order_are_left_alone(make: Make) -> None:
    """Order is no part of a collection without a key."""
    target = Passed(make(CLUB, club() | {"log": club()["log"][::-1]}))
    import_all(target, io.BytesIO(exported(make(CLUB, club()))))
    assert [] == target.calls


@pytest.mark.parametrize("backwards", ["source", "target", "both"])
def test_stores_without_order(make: Make, backwards: str) -> None:
    """The smallest set of changes is found whatever the order of archive and store."""
    spoiled = club()
    spoiled["members"][0] = (1, "Eve", Decimal("1.10"), 2)
    spoiled["teams"] = [*club()["teams"][:2], ("x", 0.0, 1)]
    source, inner = make(CLUB, club()), make(CLUB, spoiled)
    archive = exported(unordered(source) if backwards != "target" else source)
    target = unordered(inner) if backwards != "source" else Passed(inner)
    import_all(target, io.BytesIO(archive))
    expected = [
        ("update", "members", [club()["members"][0]]),
        ("delete", "teams", [("x",)]),
        ("insert", "teams", [club()["teams"][2]]),
    ]
    assert expected == target.calls
    assert stored(source) == stored(inner)


def test_many_batches(make: Make) -> None:
    """Batches that end at different records on both sides are compared record by record."""
    spoiled = many(5000)["members"]
    gone = [row for row in spoiled if row[0] % 7]
    target = Passed(
        make(CLUB, {"members": [(i, n + "!" * (not i % 5), f, i) for i, n, f, _ in gone]})
    )
    report = import_all(target, io.BytesIO(exported(make(CLUB, many(5000)))))
    changed = sum(1 for row in gone if not row[0] % 5)
    expected = Changes(added=714, changed=changed, unchanged=len(gone) - changed)
    assert expected == report.collections["members"]
    assert stored(make(CLUB, many(5000))) == stored(target)


def _key_schema(key: Any) -> Schema:
    return Schema(collections=[Collection("t", key=key, fields={"a": int, "b": str})])


@pytest.mark.parametrize("key", ["b", ("b", "a"), ("a", "b")])
def test_key_of_the_archive_differs_from_the_targets(make: Make, key: Any) -> None:
    """Records are told apart by the target's key, whatever the archive's was."""
    rows = [(1, "z"), (2, "y"), (3, "x")]
    archive = exported(make(_key_schema("a"), {"t": rows}))
    target = Passed(make(_key_schema(key), {"t": [(2, "y"), (3, "x"), (4, "w")]}))
    import_all(target, io.BytesIO(archive))
    gone = target.inner.schema["t"].codec.key((4, "w"))
    assert [("delete", "t", [gone]), ("insert", "t", [(1, "z")])] == target.calls


@pytest.mark.parametrize("filled", [False, True])
def test_archive_without_a_key_for_a_target_with_one(make: Make, filled: bool) -> None:
    """The target's key holds where the archive has none, too: repeated keys are refused."""
    plain = Schema(collections=[Collection("t", fields={"a": int, "b": str})])
    archive = exported(make(plain, {"t": [(1, "x"), (2, "y"), (1, "z")]}))
    target = Passed(make(_key_schema("a"), {"t": [(5, "w")] if filled else []}))
    before = stored(target)
    with pytest.raises(InvalidRecords) as caught:
        import_all(target, io.BytesIO(archive))
    (problem,) = caught.value.problems
    assert ("duplicate-key", 3, (1,)) == (problem.code, problem.record, problem.key)
    assert before == stored(target)


def test_archive_of_another_kind_of_key_order_is_compared_all_the_same(make: Make) -> None:
    """Where the archive describes the key otherwise, its order is not relied on."""
    colour = composite.Enum(("red", "blue"))
    named = Schema(collections=[Collection("t", key="a", fields={"a": colour})])
    plain = Schema(collections=[Collection("t", key="a", fields={"a": str})])
    archive = exported(make(named, {"t": [("blue",), ("red",)]}))
    target = make(plain, {"t": [("blue",), ("green",)]})
    report = import_all(target, io.BytesIO(archive))
    assert Changes(added=1, deleted=1, unchanged=1) == report.collections["t"]


@pytest.mark.parametrize(
    "theirs,ours,value,told",
    [
        (
            bytes,
            str,
            b"\0",
            "t.a is of the kind bytes in the archive, of the kind str in",
        ),
        (str, bytes, "word", "of the kind str in the archive, of the kind bytes in the target"),
        (float, str, float("nan"), "of the kind float in the archive, of the kind str"),
        (int, Decimal, 2**60, "of the kind int in the archive, of the kind decimal"),
        (
            list[str],
            list[int],
            [],
            "the kind list of str in the archive, of the kind list of int",
        ),
        (dict[str, str], dict[str, bytes], {}, "of the kind dict of str in the archive"),
    ],
)
def test_values_are_never_taken_for_another_kind(
    theirs: Any, ours: Any, value: Any, told: str
) -> None:
    """A field of another kind is refused and named, however well its values would read."""
    schemas = [
        Schema(collections=[Collection("t", key="id", fields={"id": int, "a": kind})])
        for kind in (theirs, ours)
    ]
    archive = exported(MemoryRepository(schemas[0], {"t": [{"id": 1, "a": value}]}))
    target = MemoryRepository(schemas[1], {"t": []})
    with pytest.raises(SchemaMismatch) as caught:
        import_all(target, io.BytesIO(archive))
    (difference,) = caught.value.differences
    assert told in difference
    with pytest.raises(SchemaMismatch):
        verify_archive(io.BytesIO(archive), schemas[1])


def test_columns_left_out_are_not_lost_with_a_key_written_otherwise(tmp_path: Path) -> None:
    """A record of the key 1.1 is not taken out for one of 1.10 where a column would go with it."""
    path = tmp_path / "prices.db"
    sqlite.run(path, "CREATE TABLE prices (k TEXT PRIMARY KEY NOT NULL, v INTEGER, note TEXT)")
    sqlite.run(path, "INSERT INTO prices VALUES ('1.10', 1, 'kept')")
    schema = Schema(
        collections=[
            Collection("prices", key="k", fields={"k": Decimal, "v": int}, exclude={"note": "ours"})
        ]
    )
    repository = SQLiteRepository(path, schema)
    archive = exported(repository)
    sqlite.run(path, "UPDATE prices SET k = '1.1', v = 2")
    before = sqlite.dump(path)
    with pytest.raises(InvalidRecords, match="1 of the records is not there"):
        import_all(repository, io.BytesIO(archive))
    assert before == sqlite.dump(path)


def test_columns_left_out_are_not_lost_with_a_table_without_a_key(tmp_path: Path) -> None:
    """Records without a key are replaced as a whole, and are not where that would lose a column."""
    path = tmp_path / "log.db"
    sqlite.run(
        path,
        "CREATE TABLE log (a INTEGER, secret TEXT)",
        "INSERT INTO log VALUES (1, 'one'), (2, 'two')",
    )
    repository = SQLiteRepository.reflect(path, exclude={"log.secret": "private"})
    archive = exported(repository)
    assert 2 == import_all(repository, io.BytesIO(archive)).unchanged
    sqlite.run(path, "UPDATE log SET a = 3 WHERE a = 2")
    before = sqlite.dump(path)
    with pytest.raises(InvalidRecords, match="columns that the schema leaves out would be"):
        import_all(repository, io.BytesIO(archive))
    assert before == sqlite.dump(path)


def test_scale_of_a_decimal_alone_differs(make: Make) -> None:
    """1.1 becomes 1.10, although the digest is the same; also inside lists."""
    fields = [
        Field("id", kinds.Int()),
        Field("fee", composite.Optional(kinds.Decimal())),
        Field("fees", composite.List(kinds.Decimal())),
    ]
    schema = Schema(collections=[Collection("t", key="id", fields=fields)])
    rows = [(1, Decimal("1.10"), []), (2, None, [Decimal("2.0")]), (3, Decimal(3), [Decimal(3)])]
    other = [(1, Decimal("1.1"), []), (2, None, [Decimal("2.00")]), (3, Decimal(3), [Decimal(3)])]
    archive = exported(make(schema, {"t": rows}))
    target = Passed(make(schema, {"t": other}))
    import_all(target, io.BytesIO(archive))
    assert [("update", "t", rows[:2])] == target.calls
    assert data_of(archive) == data_of(exported(target))


def test_scale_of_a_decimal_in_a_key(make: Make) -> None:
    """A record whose key is 1.1 gives way to one whose key is 1.10."""
    schema = Schema(collections=[Collection("t", key="k", fields={"k": Decimal, "v": int})])
    archive = exported(make(schema, {"t": [(Decimal("1.10"), 1), (Decimal("2.0"), 2)]}))
    target = make(schema, {"t": [(Decimal("1.1"), 1), (Decimal(2), 3)]})
    import_all(target, io.BytesIO(archive))
    assert data_of(archive) == data_of(exported(target))


def test_scale_of_a_decimal_without_a_key(make: Make) -> None:
    """A collection without a key is replaced when decimals differ in their scale alone."""
    archive = exported(make(CLUB, {"log": [("a", Decimal("1.10"))]}))
    target = make(CLUB, {"log": [("a", Decimal("1.1"))]})
    report = import_all(target, io.BytesIO(archive))
    assert Changes(added=1, deleted=1) == report.collections["log"]
    assert data_of(archive) == data_of(exported(target))


def test_null_and_the_json_null_are_two(make: Make) -> None:
    """In a nullable json field nothing and the JSON value null are told apart both ways."""
    fields = [Field("id", kinds.Int()), Field("v", composite.Optional(composite.Json()))]
    schema = Schema(collections=[Collection("t", key="id", fields=fields)])
    archive = exported(make(schema, {"t": [(1, None), (2, JSON_NULL), (3, {"$int": 1})]}))
    target = Passed(make(schema, {"t": [(1, JSON_NULL), (2, None), (3, {"$int": 1})]}))
    import_all(target, io.BytesIO(archive))
    assert [("update", "t", [(1, None), (2, JSON_NULL)])] == target.calls
    assert data_of(archive) == data_of(exported(target))


def test_nan_equals_nan() -> None:
    """A record with NaN is equal to itself, and is written where it is new."""
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int, "v": float})])
    nan = float("nan")
    archive = exported(memory({"t": [(1, nan), (2, nan), (3, -0.0)]}, schema))
    target = Passed(memory({"t": [(1, float("nan")), (2, 1.0), (3, 0.0)]}, schema))
    import_all(target, io.BytesIO(archive))
    assert [2, 3] == [row[0] for _, _, rows in target.calls for row in rows]
    assert data_of(archive) == data_of(exported(target))


def test_nan_that_sqlite_cannot_hold_is_refused(tmp_path: Path) -> None:
    """SQLite makes NULL of NaN: the record is named, and nothing is changed."""
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int, "v": float})])
    archive = exported(memory({"t": [(1, 1.0), (2, float("nan"))]}, schema))
    path = tmp_path / "t.db"
    target = sqlite.repository(path, schema, {"t": [(1, 5.0)]})
    before = sqlite.dump(path)
    with pytest.raises(InvalidRecords, match="t, record 2, key 2"):
        import_all(target, io.BytesIO(archive))
    assert before == sqlite.dump(path)


def test_rows_that_the_schema_does_not_allow_are_replaced(tmp_path: Path) -> None:
    """What a store holds off its kinds, even in keys, is put right by an import."""
    path = tmp_path / "t.db"
    sqlite.run(path, "CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)")
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int, "v": int})])
    archive = exported(memory({"t": [(1, 1), (2, 2), (3, 3)]}, schema))
    sqlite.run(
        path,
        "INSERT INTO t VALUES (1, 'one'), (2, 2), ('three', 3), (X'00', 4), (5.5, 5)",
    )
    report = import_all(SQLiteRepository(path, schema), io.BytesIO(archive))
    assert Changes(added=1, changed=1, deleted=3, unchanged=1) == report.collections["t"]
    assert [(1, 1), (2, 2), (3, 3)] == sqlite.query(path, "SELECT * FROM t ORDER BY id")


def test_record_that_cannot_be_deleted_is_named(tmp_path: Path) -> None:
    """What a store does not let go is told by its key, and has no number in the archive."""

    class Holds(PassedTransaction):
        def delete(self, collection: Collection, keys: list[Any]) -> None:
            if (3,) in keys:
                raise RecordsRefused("it is on hold")
            super().delete(collection, keys)

    target = Passed(memory(many(5)), transaction=Holds)
    before = stored(target)
    with pytest.raises(InvalidRecords, match=r"key 3: the store refuses .* on hold") as got:
        import_all(target, io.BytesIO(exported(memory({}))))
    assert [None] == [problem.record for problem in got.value.problems]
    assert before == stored(target)


def test_without_a_key_records_off_their_kinds_are_replaced(tmp_path: Path) -> None:
    """A store that holds what the schema does not allow is not equal to the archive."""
    path = tmp_path / "t.db"
    schema = Schema(collections=[Collection("t", fields={"v": int})])
    target = sqlite.repository(path, schema, {"t": [(1,)]})
    archive = exported(target)
    sqlite.run(path, "UPDATE t SET v = 'one'")
    report = import_all(target, io.BytesIO(archive))
    assert Changes(added=1, deleted=1) == report.collections["t"]
    assert [(1,)] == sqlite.query(path, "SELECT v FROM t")


# -- unique values ---------------------------------------------------------------------------------


_PLACES = Schema(
    app="places", collections=[Collection("t", key="id", fields={"id": int, "place": int})]
)


def _places(path: Path, rows: list[tuple[int, int]], extra: str = "") -> Passed:
    sqlite.run(path, f"CREATE TABLE t (id INTEGER PRIMARY KEY, place INT UNIQUE NOT NULL{extra})")
    for row in rows:
        sqlite.run(path, f"INSERT INTO t (id, place) VALUES {row}")
    schema = _PLACES.excluding({"t.note": "the server's"}) if extra else _PLACES
    return Passed(SQLiteRepository(path, schema))


@pytest.mark.parametrize(
    "old,new",
    [
        ([(1, 10), (2, 20)], [(1, 20), (2, 10)]),
        ([(1, 10), (2, 20), (3, 30)], [(1, 30), (2, 10), (3, 20)]),
        ([(1, 10), (2, 20), (3, 30)], [(1, 20), (2, 30), (3, 40)]),
        ([(1, 10), (2, 20)], [(1, 20), (3, 10)]),
        ([(1, 10), (2, 20)], [(2, 20), (3, 10)]),
        ([(1, 10), (2, 20), (3, 30)], [(1, 20), (2, 10), (3, 30), (4, 40)]),
        ([(1, 10), (2, 20)], [(2, 10), (3, 20)]),
        ([(i, i) for i in range(1, 3001)], [(i, i + 1) for i in range(1, 3001)]),
        ([(i, i + 1) for i in range(1, 3001)], [(i, i) for i in range(1, 3001)]),
    ],
    ids=["swap", "ring", "chain", "chain to new", "new", "mix", "insert", "shift up", "shift down"],
)
def test_unique_values_move(
    tmp_path: Path, old: list[tuple[int, int]], new: list[tuple[int, int]]
) -> None:
    """A unique value goes from one record to another, in rings, chains, and to new records."""
    target = _places(tmp_path / "t.db", [])
    sqlite.run(
        tmp_path / "t.db", f"INSERT INTO t SELECT * FROM (VALUES {', '.join(map(str, old))})"
    )
    import_all(target, io.BytesIO(exported(memory({"t": list(new)}, _PLACES))))
    assert new == sqlite.query(tmp_path / "t.db", "SELECT * FROM t ORDER BY id")


def test_chain_is_written_by_updates_alone(tmp_path: Path) -> None:
    """Where one order of updates does it, no record is taken out."""
    target = _places(tmp_path / "t.db", [(1, 10), (2, 20), (3, 30), (4, 40)])
    archive = exported(memory({"t": [(1, 20), (2, 30), (3, 50), (4, 40)]}, _PLACES))
    import_all(target, io.BytesIO(archive))
    assert {"update"} == {name for name, _, _ in target.calls}
    assert [1, 2, 3] == sorted(row[0] for _, _, rows in target.calls for row in rows)


def test_outside_columns_keep_their_values(tmp_path: Path) -> None:
    """Columns that are excluded keep what they hold, also where unique values move."""
    path = tmp_path / "t.db"
    target = _places(path, [(i, i) for i in range(1, 50)], extra=", note TEXT DEFAULT 'new'")
    sqlite.run(path, "UPDATE t SET note = 'note ' || id")
    rows = [(i, i + 1) for i in range(1, 50)]
    import_all(target, io.BytesIO(exported(memory({"t": [*rows, (99, 99)]}, _PLACES))))
    expected = [(i, place, f"note {i}") for i, place in rows] + [(99, 99, "new")]
    assert expected == sqlite.query(path, "SELECT id, place, note FROM t ORDER BY id")


def test_ring_beside_outside_columns_is_refused(tmp_path: Path) -> None:
    """A ring needs records to be taken out, which would lose excluded columns: it is refused."""
    path = tmp_path / "t.db"
    target = _places(path, [(1, 10), (2, 20)], extra=", note TEXT DEFAULT 'new'")
    before = sqlite.dump(path)
    archive = exported(memory({"t": [(1, 20), (2, 10)]}, _PLACES))
    with pytest.raises(InvalidRecords) as caught:
        import_all(target, io.BytesIO(archive))
    assert {"store-refuses"} == {problem.code for problem in caught.value.problems}
    assert before == sqlite.dump(path)


@pytest.mark.parametrize("excluded", ["crew.note", "people.note"])
def test_columns_excluded_by_either_name_are_not_lost(tmp_path: Path, excluded: str) -> None:
    """A column may be excluded by its collection's name or by its table's: a ring is refused."""
    path = tmp_path / "t.db"
    sqlite.run(path, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT UNIQUE, note TEXT)")
    sqlite.run(path, "INSERT INTO people VALUES (1, 'a', 'one'), (2, 'b', 'two')")
    crew = Collection("crew", key="id", fields={"id": int, "name": str})
    schema = Schema(collections=[crew], exclude={excluded: "private"})
    target = SQLiteRepository(path, schema, tables={"crew": "people"})
    before = sqlite.dump(path)
    archive = exported(memory({"crew": [(1, "b"), (2, "a")]}, Schema(collections=[crew])))
    with pytest.raises(InvalidRecords):
        import_all(target, io.BytesIO(archive))
    assert before == sqlite.dump(path)


def test_record_that_the_store_refuses_is_named_among_those_that_move(tmp_path: Path) -> None:
    """Of records that stand in each other's way, only the one that is wrong is named."""
    target = _places(tmp_path / "t.db", [(1, 10), (2, 20), (3, 30)], extra=" CHECK (place < 1000)")
    target = Passed(SQLiteRepository(tmp_path / "t.db", _PLACES))
    before = sqlite.dump(tmp_path / "t.db")
    archive = exported(memory({"t": [(1, 20), (2, 1000), (3, 30)]}, _PLACES))
    with pytest.raises(InvalidRecords) as caught:
        import_all(target, io.BytesIO(archive))
    assert [(2, (2,), "/data/t/1")] == [(p.record, p.key, p.pointer) for p in caught.value.problems]
    assert before == sqlite.dump(tmp_path / "t.db")


# -- references ------------------------------------------------------------------------------------


_RING = Schema(
    collections=[
        Collection("a", key="id", fields={"id": int, "b": int}, references=[Reference("b", "b")]),
        Collection("b", key="id", fields={"id": int, "a": int}, references=[Reference("a", "a")]),
    ]
)


def test_references_in_a_circle(make: Make) -> None:
    """Collections that refer to each other, and to themselves, go in and are changed."""
    one = {"a": [(1, 5), (2, 6)], "b": [(5, 2), (6, 1)]}
    two = {"a": [(1, 7), (3, 7)], "b": [(7, 3)]}
    target = make(_RING, {})
    for dataset in (one, two, one):
        import_all(target, io.BytesIO(exported(make(_RING, dataset))))
        assert stored(make(_RING, dataset)) == stored(target)


def test_self_references_to_later_records(make: Make) -> None:
    """A record may refer to one that comes later, or in a later batch."""
    rows = [(i, f"n{i}", Decimal(0), 2001 - i) for i in range(1, 2001)]
    target = make(CLUB, {})
    import_all(target, io.BytesIO(exported(make(CLUB, {"members": rows}))))
    assert stored(make(CLUB, {"members": rows})) == stored(target)


def test_counters_go_with_the_data(tmp_path: Path) -> None:
    """The number that a deleted record had is not given out again after an import."""
    ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)"
    for name in ("old.db", "new.db"):
        sqlite.run(tmp_path / name, ddl)
    sqlite.run(tmp_path / "old.db", "INSERT INTO t VALUES (1, 'a'), (70, 'b')")
    sqlite.run(tmp_path / "old.db", "DELETE FROM t WHERE id = 70")
    source, target = (SQLiteRepository.reflect(tmp_path / name) for name in ("old.db", "new.db"))
    import_all(target, io.BytesIO(exported(source)))
    sqlite.run(tmp_path / "new.db", "INSERT INTO t (v) VALUES ('c')")
    assert [(1,), (71,)] == sqlite.query(tmp_path / "new.db", "SELECT id FROM t ORDER BY id")
