"""What a comparison says, by examples: samples, structure, records of an odd sort."""

import io
import json
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from databackup import (
    Collection,
    Diff,
    Json,
    RecordDiff,
    Schema,
    diff,
)
from databackup.adapters.memory import MemoryRepository
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import (
    KeysDiffer,
    SchemaMismatch,
)
from databackup.repository import Row
from databackup.schema import Field, kinds
from databackup.schema.composite import Enum, Optional
from tests.support.archives import exported
from tests.support.club import changed_club, memory
from tests.support.sqlite import create, run
from tests.support.wrappers import Passed, PassedSnapshot, unordered


def _of(fields: Any, rows: list[Row], *, key: Any = "id", **options: Any) -> MemoryRepository:
    """A repository of one collection `t`."""
    collection = Collection("t", key=key, fields=fields)
    return memory({"t": rows}, Schema(collections=[collection], **options))


def _only(found: Diff) -> tuple[RecordDiff, ...]:
    return found.collections["t"].sample


def test_a_comparison() -> None:
    """Counts and a sample with keys and values as an archive has them, in the order of the keys."""
    found = diff(memory(), memory(changed_club()))
    assert ("a", "b", False, ()) == (found.a, found.b, found.identical, found.notes)
    assert (3, 2, 3, 8) == (found.added, found.changed, found.removed, found.unchanged)
    members = found.collections["members"]
    assert (1, 2, 1, 1) == (members.added, members.changed, members.removed, members.unchanged)
    assert members.sample == (
        RecordDiff(
            what="added",
            key={"id": 5},
            old=None,
            new={"name": "Ed", "fee": "0", "recruited_by": None},
        ),
        RecordDiff(what="changed", key={"id": 1}, old={"fee": "1.10"}, new={"fee": "1.1"}),
        RecordDiff(
            what="changed", key={"id": 4}, old={"recruited_by": None}, new={"recruited_by": 1}
        ),
        RecordDiff(
            what="removed",
            key={"id": 3},
            old={"name": "Cy ✓", "fee": "-0.5", "recruited_by": 3},
            new=None,
        ),
    )
    assert found.collections["teams"].identical
    assert found == pickle.loads(pickle.dumps(found))  # noqa: S301 - our own


def test_records_without_a_key_are_counted() -> None:
    """Without a key equal records count as often as they are there, and none is a changed one."""
    log = diff(memory(), memory(changed_club())).collections["log"]
    assert (2, 0, 2, 1) == (log.added, log.changed, log.removed, log.unchanged)
    assert [{"line": "new", "amount": "3"}, {"line": "in", "amount": "1.00"}] == [
        record.new for record in log.sample if record.what == "added"
    ]
    removed = [record.old for record in log.sample if record.what == "removed"]
    assert [{"line": "in", "amount": "1.0"}, {"line": "out", "amount": "2"}] == sorted(
        removed, key=repr
    )
    assert {(): 4} == {tuple(record.key): len(log.sample) for record in log.sample}


def test_json() -> None:
    """`as_json` is JSON, with all that was found."""
    found = diff(memory(), memory(changed_club()), sample=1)
    report = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert (3, 2, 3, 8) == tuple(
        report[what] for what in ("added", "changed", "removed", "unchanged")
    )
    assert report["identical"] is False
    assert {
        "added": 0, "changed": 0, "removed": 0, "unchanged": 3, "structure": [], "sample": []
    } == report["collections"]["teams"]  # fmt: skip
    assert {"what": "changed", "key": {"id": 1}, "old": {"fee": "1.10"}, "new": {"fee": "1.1"}} in (
        report["collections"]["members"]["sample"]
    )


@pytest.mark.parametrize("order", [memory, lambda data: unordered(memory(data))])
def test_sample_is_bounded(order: Any) -> None:
    """Of each collection and each kind of change up to `sample` records are shown."""
    old = {"members": [(i, "x", Decimal(1), None) for i in range(2000)]}
    new = {"members": [(i, "y" if i % 2 else "x", Decimal(1), None) for i in range(1000, 3000)]}
    for limit in (0, 1, 10):
        members = diff(order(old), order(new), sample=limit).collections["members"]
        assert (1000, 500, 1000) == (members.added, members.changed, members.removed)
        assert members.unchanged == 500
        assert limit * 3 == len(members.sample)


LONG = "x" * 5000


def test_long_values_are_shortened() -> None:
    """Of long values the sample has the part from shortly before their first difference."""
    fields = {"id": int, "text": str, "data": Json}
    old = [(1, LONG, None), (2, LONG + "old" + LONG, [LONG]), (3, LONG, None)]
    new = [(1, "short", None), (2, LONG + "new" + LONG, [LONG]), (4, LONG, None)]
    added, first, second, removed = _only(diff(_of(fields, old), _of(fields, new)))
    assert first.new == {"text": "short"}
    assert first.old is not None
    assert '"xxx' == first.old["text"]["$shortened"][:4]
    assert second.old is not None
    assert second.new is not None
    for value, word in ((second.old, "old"), (second.new, "new")):
        assert ["text"] == list(value)
        part = value["text"]["$shortened"]
        assert f"xx{word}xx" in part
        assert "…x" == part[:2]
        assert "x…" == part[-2:]
    for record in (added.new, removed.old):
        assert record is not None
        assert 1001 == len(record["text"]["$shortened"])
    assert len(json.dumps([second.as_json(), added.as_json()])) < 6000


def test_forms_that_cannot_be_mistaken() -> None:
    """Values that look like a sample's own marks are written as in an archive, escaped."""
    fields = {"id": int, "data": Json}
    old = [(1, {"$shortened": "x"}), (2, [Decimal("12345678901234567890.5")])]
    one, two = _only(diff(_of(fields, old), _of(fields, [(1, 0), (2, 0)])))
    assert one.old == {"data": {"$json": {"$shortened": "x"}}}
    assert two.old == {"data": [{"$number": "12345678901234567890.5"}]}


# -- structure -------------------------------------------------------------------------------------


def test_collection_of_one_side() -> None:
    """The records of a collection that one side lacks are added or removed, and it is named."""
    one = Schema(collections=[Collection("t", key="id", fields={"id": int, "v": str})])
    both = Schema(collections=[*one.collections, Collection("u", fields={"w": str})])
    small, large = memory({"t": []}, one), memory({"u": [("x",), ("y",)]}, both)
    found = diff(small, large).collections["u"]
    assert (2, 0, 0, 0) == (found.added, found.changed, found.removed, found.unchanged)
    assert found.structure == ("the collection is only in b",)
    assert [{"w": "x"}, {"w": "y"}] == [record.new for record in found.sample]
    found = diff(large, small).collections["u"]
    assert (0, 0, 2, 0) == (found.added, found.changed, found.removed, found.unchanged)
    assert found.structure == ("the collection is only in a",)
    assert [{"w": "x"}, {"w": "y"}] == [record.old for record in found.sample]
    empty = memory({}, both)
    assert not diff(small, empty).identical
    assert (0, 0) == (diff(small, empty).added, diff(small, empty).removed)
    keyed = diff(memory({}, Schema(collections=[])), _of({"id": int}, [(7,)]))
    assert ({"id": 7}, {}) == (_only(keyed)[0].key, _only(keyed)[0].new)


def test_fields_that_differ() -> None:
    """Records are compared over the fields both have with the same kind; the others are named."""
    old = _of({"id": int, "name": str, "price": float, "fax": str}, [(1, "x", 1.0, "f")])
    new = _of(
        {"phone": str, "price": Decimal, "name": str | None, "id": int},
        [("p", Decimal(1), "x", 1), ("q", Decimal(2), None, 2)],
    )
    found = diff(old, new)
    assert (1, 0, 0, 1) == (found.added, found.changed, found.removed, found.unchanged)
    assert {"name": None} == _only(found)[0].new
    assert found.collections["t"].structure == (
        "field name: str in a, str or null in b",
        "field price: float in a, decimal in b",
        "field fax only in a",
        "field phone only in b",
    )
    assert not found.identical
    archives = [io.BytesIO(exported(store)) for store in (old, new)]
    assert found == diff(*archives)
    changed = diff(old, _of({"id": int, "name": str}, [(1, "y")]))
    assert [({"name": "x"}, {"name": "y"})] == [(r.old, r.new) for r in _only(changed)]


def test_nullability_alone_is_a_difference() -> None:
    """Where only one side may have nulls the two are not identical, equal records or not."""
    found = diff(
        _of({"id": int, "v": str}, [(1, "x")]), _of({"id": int, "v": str | None}, [(1, "x")])
    )
    assert (0, 0, 0, 1) == (found.added, found.changed, found.removed, found.unchanged)
    assert not found.identical


def test_kinds_that_count_as_the_same() -> None:
    """Enumerations are the texts they are made of; scales and off kinds are asked of values."""
    old = [
        Field("id", Enum(("a", "b", "c"))),
        Field("n", kinds.Decimal(2)),
        Field("x", kinds.Int(), off_kind="keep"),
    ]
    new = [Field("id", kinds.Str()), Field("n", kinds.Decimal()), Field("x", kinds.Int())]
    one = _of(old, [("a", Decimal("1.10"), 1), ("b", Decimal("2.00"), "off"), ("c", Decimal(3), 1)])
    two = _of(new, [("a", Decimal("1.10"), 1), ("b", Decimal("2.00"), 2), ("z", Decimal(3), 1)])
    for a, b in ((one, two), (unordered(one), unordered(two))):
        found = diff(a, b)
        assert (1, 1, 1, 1) == (found.added, found.changed, found.removed, found.unchanged)
        assert () == found.collections["t"].structure
        assert [({"x": {"$text": "off"}}, {"x": 2})] == [
            (r.old, r.new) for r in _only(found) if r.what == "changed"
        ]
        assert (found.added, found.changed) == (diff(b, a).removed, diff(b, a).changed)


def test_keys_of_which_one_side_keeps_others() -> None:
    """A key that is off its kind, which only one side keeps, is a key of that side's."""
    kept = [Field("id", kinds.Int(), off_kind="keep"), Field("v", kinds.Int())]
    one = _of(kept, [(1, 1), (2, 2), ("off", 3)])
    two = _of({"id": int, "v": int}, [(1, 1), (2, 0), (3, 3)])
    for a, b in ((one, two), (unordered(one), two)):
        found = diff(a, b)
        assert (1, 1, 1, 1) == (found.added, found.changed, found.removed, found.unchanged)
        assert {"id": {"$text": "off"}} == _only(found)[-1].key
        found = diff(b, a)
        assert (1, 1, 1, 1) == (found.added, found.changed, found.removed, found.unchanged)


def test_nothing_in_common() -> None:
    """Where no field is shared all records are other ones."""
    found = diff(_of({"v": int}, [(1,)], key=()), _of({"w": int}, [(1,), (2,)], key=()))
    assert (2, 0, 1, 0) == (found.added, found.changed, found.removed, found.unchanged)
    assert [{"w": 1}, {"w": 2}, None] == [record.new for record in _only(found)]
    assert {"v": 1} == _only(found)[2].old


def test_keys_that_differ() -> None:
    """Two keys tell no record of one side from one of the other: both are named, and no others."""
    one = _of({"id": int, "code": str}, [(1, "x")])
    two = _of({"id": int, "code": str}, [(1, "x")], key="code")
    three = _of({"id": str, "code": str}, [("1", "x")])
    with pytest.raises(
        KeysDiffer, match=r"the key of t is id \(int\) in a, code \(str\) in b"
    ) as info:
        diff(one, two)
    assert isinstance(info.value, SchemaMismatch)
    assert ("the key of t is id (int) in a, code (str) in b",) == info.value.differences
    with pytest.raises(KeysDiffer, match=r"id \(int\) in old, id \(str\) in new"):
        diff(one, three, names=("old", "new"))


def test_all_keys_that_differ_are_named() -> None:
    """All such collections are named at once, and the others can be compared without them."""

    def store(key: str) -> MemoryRepository:
        named = [Collection(n, key=key, fields={"x": int, "y": int}) for n in ("t", "u")]
        same = Collection("same", fields={"v": int})
        return memory({}, Schema(collections=[*named, same]))

    with pytest.raises(KeysDiffer) as info:
        diff(store("x"), store("y"))
    assert 2 == len(info.value.differences)
    assert diff(store("x"), store("y"), collections=["same"]).identical


def test_key_of_one_side() -> None:
    """Where one side has a key and the other none, records are counted, and the key is named."""
    fields = {"id": int, "v": str}
    found = diff(_of(fields, [(1, "x"), (2, "y")]), _of(fields, [(1, "x"), (2, "z")], key=()))
    assert (1, 0, 1, 1) == (found.added, found.changed, found.removed, found.unchanged)
    assert found.collections["t"].structure == ("key: id in a, none in b",)


def test_key_in_another_order() -> None:
    """A key of the same fields in another order tells the same records apart, and is named."""
    fields = {"x": int, "y": int, "v": str}
    rows = [(1, 2, "a"), (2, 1, "b"), (0, 9, "c")]
    found = diff(_of(fields, rows, key=("x", "y")), _of(fields, rows, key=("y", "x")))
    assert (0, 0, 0, 3) == (found.added, found.changed, found.removed, found.unchanged)
    assert found.collections["t"].structure == ("key: x, y in a, y, x in b",)


def test_notes() -> None:
    """Another app and another version are mentioned, and are no difference in what is stored."""

    def store(**options: Any) -> MemoryRepository:
        return _of({"id": int}, [(1,)], **options)

    for one, other, notes in (
        ({"app": "x"}, {"app": "y"}, ("a is of the app 'x', b of 'y'",)),
        (
            {"app": "x", "version": 1},
            {"app": "x", "version": 2},
            ("a has schema version 1, b has version 2",),
        ),
        ({"version": 3}, {"version": 2}, ("a has schema version 3, b has version 2",)),
        ({"app": "x", "version": 3}, {"version": 2}, ()),
    ):
        found = diff(store(**one), store(**other))
        assert (True, notes) == (found.identical, found.notes)
        assert found == diff(*(io.BytesIO(exported(store(**o))) for o in (one, other)))


# -- records that are not as they should be --------------------------------------------------------


def _odd(path: Path, *statements: str) -> SQLiteRepository:
    """A store whose values are not all of the kinds its schema says."""
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int, "v": int})])
    made = SQLiteRepository(create(path, schema), schema)
    run(path, "DROP TABLE t", "CREATE TABLE t (id PRIMARY KEY NOT NULL, v)", *statements)
    return made


def test_values_that_a_schema_does_not_allow(tmp_path: Path) -> None:
    """A store's records that its schema does not allow count as different, and are shown."""
    rows = "INSERT INTO t VALUES (1, 1), (2, 'x'), (3, 3), ('k', 4)"
    one, two = _odd(tmp_path / "one.db", rows), _odd(tmp_path / "two.db", rows)
    for a, b in ((one, two), (unordered(one), unordered(two))):
        found = diff(a, b)
        assert (1, 1, 1, 2) == (found.added, found.changed, found.removed, found.unchanged)
    added, changed, removed = _only(found)
    assert ({"id": 2}, {"v": {"$invalid": "str 'x'"}}) == (changed.key, changed.old)
    assert changed.old == changed.new
    assert {"id": {"$invalid": "str 'k'"}} == added.key == removed.key
    assert not diff(one, one).identical
    archive = io.BytesIO(exported(_of({"id": int, "v": int}, [(1, 1), (2, 2)])))
    found = diff(archive, two)
    assert (2, 1, 0, 1) == (found.added, found.changed, found.removed, found.unchanged)


def test_keys_with_a_null() -> None:
    """Records with a null in their key are counted: it does not tell them apart."""
    fields = [Field("id", Optional(kinds.Int()), off_kind="keep"), Field("v", kinds.Str())]
    collection = Collection("t", key="id", fields=fields)

    class Nulls(PassedSnapshot):
        held: ClassVar[list[Row]] = [(None, "x"), (None, "x"), (1, "y")]

        def count(self, collection: Collection) -> int:
            return len(self.held)

        def rows(self, collection: Collection, *, batch_size: int = 0) -> Any:
            yield self.held

    class Fewer(Nulls):
        held: ClassVar[list[Row]] = [(None, "x"), (None, "z"), (1, "Y")]

    inner = memory({}, Schema(collections=[collection]))
    for ordered in (frozenset({"t"}), frozenset[str]()):
        one = Passed(inner, snapshot=Nulls, ordered_rows=ordered)
        two = Passed(inner, snapshot=Fewer, ordered_rows=ordered)
        found = diff(one, two)
        assert (1, 1, 1, 1) == (found.added, found.changed, found.removed, found.unchanged)


def test_zeros_are_two_keys() -> None:
    """0.0 and -0.0 are two keys, also where they stand at one place in the order."""
    fields = {"id": float, "v": int}
    one, two = _of(fields, [(-0.0, 1), (1.0, 1)]), _of(fields, [(0.0, 1), (1.0, 2)])
    for a, b in ((one, two), (unordered(one), unordered(two))):
        found = diff(a, b)
        assert (1, 1, 1, 0) == (found.added, found.changed, found.removed, found.unchanged)


def test_keys_written_otherwise() -> None:
    """A key of another scale is the same key: the record is changed, and the key's field shown."""
    one, two = _of({"id": Decimal}, [(Decimal("1.1"),)]), _of({"id": Decimal}, [(Decimal("1.10"),)])
    (record,) = _only(diff(one, two))
    assert ("changed", {"id": "1.10"}) == (record.what, record.key)
    assert ({"id": "1.1"}, {"id": "1.10"}) == (record.old, record.new)
