"""What a store makes of a merge or an add is compared with what it must be, before the commit."""

import io
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databackup import Collection, Schema, import_all
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import InvalidRecords, Problem
from databackup.operations.compare import Comparison
from databackup.operations.tally import Tally
from databackup.repository import Row
from databackup.testing.harness import stored
from databackup.testing.strategies import datasets, schemas
from tests.support import sqlite
from tests.support.archives import exported
from tests.support.club import memory
from tests.support.wrappers import Passed, PassedTransaction

BOOTHS = Collection("booths", key="id", fields={"id": int, "name": str, "fee": Decimal})
FAIR = Schema(app="fair", collections=[BOOTHS])

OURS: list[Row] = [
    (1, "one", Decimal("1.10")),
    (2, "two", Decimal(2)),
    (3, "three", Decimal("3.0")),
]
THEIRS: list[Row] = [
    (1, "one", Decimal("1.10")),
    (2, "deux", Decimal("2.0")),
    (4, "quatre", Decimal(4)),
]
MODES = pytest.mark.parametrize("mode", ["merge", "add"])


def _refused(store: type[PassedTransaction], mode: Any, **options: Any) -> tuple[Problem, ...]:
    target = Passed(memory({"booths": options.pop("ours", OURS)}, FAIR), transaction=store)
    theirs = options.pop("theirs", THEIRS)
    before = stored(target.inner)
    with pytest.raises(InvalidRecords) as caught:
        import_all(
            target, io.BytesIO(exported(memory({"booths": theirs}, FAIR))), mode=mode, **options
        )
    assert before == stored(target.inner)
    assert {"read-back"} == {problem.code for problem in caught.value.problems}
    return caught.value.problems


class _AtTheEnd(PassedTransaction):
    """Does something of its own to the records when all is written, as a trigger might."""

    def finish(self, counters: Mapping[str, int], *, allow_cascade: bool = False) -> None:
        super().finish(counters, allow_cascade=allow_cascade)
        self.spoil()

    def spoil(self) -> None:
        raise NotImplementedError


class _LosesAnother(_AtTheEnd):
    def spoil(self) -> None:
        self.transaction.delete(BOOTHS, [(3,)])


class _ChangesAnother(_AtTheEnd):
    def spoil(self) -> None:
        self.transaction.update(BOOTHS, [(3, "drei", Decimal(3))])


class _ExchangesAnother(_AtTheEnd):
    def spoil(self) -> None:
        self.transaction.delete(BOOTHS, [(3,)])
        self.transaction.insert(BOOTHS, [(5, "three", Decimal(3))])


class _Invents(_AtTheEnd):
    def spoil(self) -> None:
        self.transaction.insert(BOOTHS, [(5, "five", Decimal(5))])


class _LosesWhatIsNew(_AtTheEnd):
    def spoil(self) -> None:
        self.transaction.delete(BOOTHS, [(4,)])


class _ChangesWhatIsNew(_AtTheEnd):
    def spoil(self) -> None:
        self.transaction.update(BOOTHS, [(4, "vier", Decimal(4))])


class _ChangesWhatIsEqual(_AtTheEnd):
    def spoil(self) -> None:
        self.transaction.update(BOOTHS, [(1, "eins", Decimal("1.10"))])


class _ChangesWhatBothHave(_AtTheEnd):
    def spoil(self) -> None:
        self.transaction.update(BOOTHS, [(2, "zwei", Decimal(2))])


class _UpdatesNothing(PassedTransaction):
    def update(self, collection: Collection, rows: list[Row]) -> None:
        pass


@MODES
@pytest.mark.parametrize("store", [_LosesAnother, _ChangesAnother, _ExchangesAnother, _Invents])
def test_record_that_the_archive_never_mentions(store: type[PassedTransaction], mode: Any) -> None:
    """A record only in the store that is lost, changed or invented is noticed: D_before knows."""
    (problem,) = _refused(store, mode)
    assert ("booths", None, None) == (problem.collection, problem.record, problem.key)
    assert "something else than its own records with those written" in problem.message


@MODES
@pytest.mark.parametrize("store", [_LosesAnother, _Invents, _LosesWhatIsNew])
def test_counts_are_compared_without_read_back(store: type[PassedTransaction], mode: Any) -> None:
    """What read_back=False leaves out is the comparison of values, not of numbers."""
    assert 1 == len(_refused(store, mode, read_back=False))


@MODES
def test_record_that_a_store_loses_is_named(mode: Any) -> None:
    """What was inserted and is not there is told with its place in the archive."""
    (problem,) = _refused(_LosesWhatIsNew, mode)
    assert (3, (4,), "/data/booths/2") == (problem.record, problem.key, problem.pointer)
    assert "the store does not hold the record that was written" == problem.message


@pytest.mark.parametrize(
    "store,place,message",
    [
        (_ChangesWhatIsNew, (3, (4,)), "gives back str 'vier' for str 'quatre'"),
        (_ChangesWhatIsEqual, (1, (1,)), "gives back str 'eins' for str 'one'"),
        (_ChangesWhatBothHave, (2, (2,)), "gives back str 'zwei' for str 'deux'"),
        (_UpdatesNothing, (2, (2,)), "gives back str 'two' for str 'deux'"),
    ],
)
def test_value_that_a_store_changes_in_a_merge_is_named(
    store: type[PassedTransaction], place: Any, message: str
) -> None:
    """After a merge the store holds what the archive has: record, field and values are told."""
    (problem,) = _refused(store, "merge")
    assert (*place, "name") == (problem.record, problem.key, problem.field)
    assert message in problem.message


@pytest.mark.parametrize("store", [_ChangesWhatIsNew, _ChangesWhatIsEqual, _ChangesWhatBothHave])
def test_value_that_a_store_changes_in_an_add(store: type[PassedTransaction]) -> None:
    """Beside records that were kept, and differ, no record can be blamed: the collection is."""
    (problem,) = _refused(store, "add")
    assert (None, None) == (problem.record, problem.key)


def test_value_that_a_store_changes_in_an_add_that_kept_nothing_is_named() -> None:
    """Where nothing was kept, each record of the archive must be there as the archive has it."""
    (problem,) = _refused(_ChangesWhatIsNew, "add", theirs=THEIRS[::2])
    assert (2, (4,), "name") == (problem.record, problem.key, problem.field)


@MODES
def test_value_that_a_store_changes_on_the_bulk_path_is_named(mode: Any) -> None:
    """Into an empty collection, too, what a store makes of a record is told."""
    (problem,) = _refused(_ChangesWhatIsNew, mode, ours=[])
    assert (3, (4,), "name") == (problem.record, problem.key, problem.field)


@MODES
def test_without_read_back_values_are_not_compared(mode: Any) -> None:
    """read_back=False takes the store's word for values."""
    target = Passed(memory({"booths": OURS}, FAIR), transaction=_ChangesAnother)
    archive = exported(memory({"booths": THEIRS}, FAIR))
    report = import_all(target, io.BytesIO(archive), mode=mode, read_back=False)
    assert (False, 4) == (report.read_back, report.records)


@MODES
def test_a_store_may_keep_another_scale_of_a_decimal(tmp_path: Path, mode: Any) -> None:
    """Digests know no scale: a store that gives back 4.00 for 4 has kept the number."""
    path = tmp_path / "t.db"
    sqlite.run(
        path,
        "CREATE TABLE booths (id INTEGER PRIMARY KEY, name TEXT, fee NUMERIC(10, 2))",
        "INSERT INTO booths VALUES (1, 'one', 1.1), (2, 'two', 2), (3, 'three', 3)",
    )
    target = SQLiteRepository(path, FAIR)
    import_all(target, io.BytesIO(exported(memory({"booths": THEIRS}, FAIR))), mode=mode)
    second = "deux" if mode == "merge" else "two"
    assert [(1, "one"), (2, second), (3, "three"), (4, "quatre")] == sqlite.query(
        path, "SELECT id, name FROM booths ORDER BY id"
    )


_PRICES = Collection("prices", key="price", fields={"price": Decimal, "what": str})


class _LosesTea(_AtTheEnd):
    def spoil(self) -> None:
        self.transaction.delete(_PRICES, [(Decimal(3),)])


@pytest.mark.parametrize("mode,told", [("merge", (2, (Decimal(3),))), ("add", (None, None))])
def test_key_written_otherwise_is_not_blamed(mode: Any, told: Any) -> None:
    """A record that was kept under the key 1.1 is not missing under 1.10."""
    schema = Schema(collections=[_PRICES])
    ours: list[Row] = [(Decimal("1.1"), "milk"), (Decimal(3), "tea")]
    theirs: list[Row] = [(Decimal("1.10"), "oats"), (Decimal("3.0"), "tea")]
    if mode == "add":
        del theirs[1]
    target = Passed(memory({"prices": ours}, schema), transaction=_LosesTea)
    with pytest.raises(InvalidRecords) as caught:
        import_all(target, io.BytesIO(exported(memory({"prices": theirs}, schema))), mode=mode)
    assert [told] == [(problem.record, problem.key) for problem in caught.value.problems]


class _ForgetsScales(PassedTransaction):
    """Writes decimals in its own scale, and loses the last record."""

    def insert(self, collection: Collection, rows: list[Row]) -> None:
        super().insert(collection, [(*row[:2], row[2].normalize()) for row in rows[:-1]])


@pytest.mark.parametrize("mode", ["replace", "merge", "add"])
def test_scale_of_a_decimal_is_not_blamed(mode: Any) -> None:
    """Beside a record that a store lost, those that it holds in another scale are sound."""
    theirs: list[Row] = [(7, "seven", Decimal("7.00")), (8, "eight", Decimal(8))]
    (problem,) = _refused(_ForgetsScales, mode, ours=theirs[:0], theirs=theirs)
    assert (2, (8,)) == (problem.record, problem.key)


class _SpoilsOffKind(_AtTheEnd):
    """Changes a record that the schema does not allow to another one that it does not allow."""

    def spoil(self) -> None:
        connection = self.transaction._connection  # type: ignore[attr-defined]
        connection.execute("UPDATE booths SET name = X'FF' WHERE id = 3")


@MODES
def test_record_off_its_kinds_that_changes_is_noticed(tmp_path: Path, mode: Any) -> None:
    """What has no canonical form is compared as well."""
    path = tmp_path / "t.db"
    sqlite.repository(path, FAIR, {"booths": OURS})
    sqlite.run(path, "UPDATE booths SET name = X'00' WHERE id = 3")
    before = sqlite.dump(path)
    target = Passed(SQLiteRepository(path, FAIR), transaction=_SpoilsOffKind)
    with pytest.raises(InvalidRecords, match="something else than its own records"):
        import_all(target, io.BytesIO(exported(memory({"booths": THEIRS}, FAIR))), mode=mode)
    assert before == sqlite.dump(path)


@settings(max_examples=40)
@given(data=st.data())
def test_tally_follows_what_is_written(data: st.DataObject) -> None:
    """Counted in and out in any order, records leave the count and digest of those that remain."""
    schema = data.draw(schemas(portable=False))
    dataset = data.draw(datasets(schema, portable=False))
    for collection in schema.collections:
        rows = dataset[collection.name]
        gone = data.draw(st.integers(0, len(rows)))
        # No kind has sets; what Python cannot write in decimal is told apart all the same.
        strange = ({data.draw(st.sampled_from([1, 10**5000]))},) * len(collection.fields)
        comparison = Comparison(collection)
        passing, direct, left = Tally(collection), Tally(collection), Tally(collection)
        sides = list(passing.add_passing([comparison.stored([*rows, strange])]))
        assert [[*rows, strange]] == [[side.row for side in batch] for batch in sides]
        direct.add([strange, *rows])
        assert passing.end == direct.end
        assert len(rows) + 1 == direct.count
        direct.remove([*rows[:gone], strange])
        left.add(rows[gone:])
        assert left.end == direct.end
        assert left.end != passing.end
