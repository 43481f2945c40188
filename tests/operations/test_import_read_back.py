import contextlib
import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from databackup import Collection, Progress, Schema, import_all
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import CommitUnknown, InvalidRecords, StoreFailed
from databackup.repository import BATCH_SIZE, Row, Transaction
from databackup.testing.harness import stored
from tests.support import sqlite
from tests.support.archives import exported
from tests.support.club import CLUB, club, many, memory
from tests.support.wrappers import Passed, PassedTransaction


def _refused(target: Passed, dataset: Any = None, **options: Any) -> InvalidRecords:
    before = stored(target.inner)
    with pytest.raises(InvalidRecords) as caught:
        import_all(target, io.BytesIO(exported(memory(dataset or club()))), **options)
    assert before == stored(target.inner)
    return caught.value


class _Rounds(PassedTransaction):
    """Keeps one digit of each float."""

    def insert(self, collection: Collection, rows: list[Row]) -> None:
        super().insert(collection, [tuple(map(self._kept, row)) for row in rows])

    def _kept(self, value: Any) -> Any:
        return round(value) if type(value) is float else value


class _Rounding(_Rounds):
    def _kept(self, value: Any) -> Any:
        return float(round(value)) if type(value) is float else value


class _Truncating(_Rounds):
    def _kept(self, value: Any) -> Any:
        return value[:2] if type(value) is str else value


class _MakingText(_Rounds):
    def _kept(self, value: Any) -> Any:
        return str(value) if type(value) is float else value


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize(
    "store,place,values",
    [
        (_Rounding, ("teams", 1, ("A",), "rating"), ("float 2.0", "float 1.5")),
        (_Truncating, ("members", 1, (1,), "name"), ("str 'An'", "str 'Ana'")),
    ],
)
def test_value_that_a_store_changes_is_named(
    store: type[PassedTransaction],
    place: tuple[str, int, tuple[Any, ...], str],
    values: tuple[str, str],
    filled: bool,
) -> None:
    """Record, field and both values are told where a store gives back another value."""
    dataset = {"log": [("x", Decimal(1))]} if filled else {}
    error = _refused(Passed(memory(dataset), transaction=store))
    problem = next(p for p in error.problems if p.collection == place[0])
    assert {"read-back"} == {problem.code for problem in error.problems}
    assert place == (problem.collection, problem.record, problem.key, problem.field)
    assert f"the store gives back {values[0]} for {values[1]}" == problem.message
    assert (values[1], len(error.problems)) == (problem.expected, error.total)


def test_value_off_its_kind_is_a_read_back_problem(tmp_path: Path) -> None:
    """A store that gives back text for a number is told of like one that rounds."""
    target = Passed(sqlite.repository(tmp_path / "t.db", CLUB), transaction=_SpoilsAfterwards)
    problem = _refused(target).problems[0]
    assert ("read-back", "teams", 2, ("b",), "rating") == (
        problem.code,
        problem.collection,
        problem.record,
        problem.key,
        problem.field,
    )
    assert "the store gives back str 'high' for float -2.0" == problem.message


class _SpoilsAfterwards(PassedTransaction):
    """A trigger of a kind that nothing suspends: spoils a value as the last write."""

    def finish(self, counters: Any, *, allow_cascade: bool = False) -> None:
        super().finish(counters, allow_cascade=allow_cascade)
        connection = self.transaction._connection  # type: ignore[attr-defined]
        connection.execute("UPDATE teams SET rating = 'high' WHERE code = 'b'")


class _Losing(PassedTransaction):
    def insert(self, collection: Collection, rows: list[Row]) -> None:
        super().insert(collection, rows[:-1])


class _Inventing(PassedTransaction):
    def insert(self, collection: Collection, rows: list[Row]) -> None:
        invented = {"members": (99, "Eve", Decimal(0), None)}
        more = [invented[collection.name]] if collection.name in invented else []
        super().insert(collection, [*rows, *more])


@pytest.mark.parametrize("read_back", [True, False])
def test_record_that_a_store_loses_is_named(read_back: bool) -> None:
    """A store that drops a row is found, without reading back by its counts."""
    target = Passed(memory({}), transaction=_Losing)
    error = _refused(target, many(3), read_back=read_back)
    (problem,) = error.problems
    assert ("read-back", 3, (3,)) == (problem.code, problem.record, problem.key)
    assert "the store does not hold the record that was written" == problem.message


def test_record_that_a_store_invents_is_named() -> None:
    """A record that the archive does not have is told with its key, and has no number."""
    (problem,) = _refused(Passed(memory({}), transaction=_Inventing)).problems
    assert ("read-back", "members", None, (99,)) == (
        problem.code,
        problem.collection,
        problem.record,
        problem.key,
    )
    assert "the store holds a record that the archive does not" == problem.message


def test_collection_without_a_key_is_named() -> None:
    """Where records have no identity, the collection is what is told."""
    (problem,) = _refused(
        Passed(memory({}), transaction=_Losing), {"log": [("x", Decimal(1))]}
    ).problems
    assert ("read-back", "log", None) == (problem.code, problem.collection, problem.key)


def test_every_collection_that_differs_is_told() -> None:
    """One that has no key is named beside one whose records are."""
    error = _refused(Passed(memory({}), transaction=_Losing))
    assert {"members", "teams", "plays", "log"} == {p.collection for p in error.problems}


def test_problems_of_the_read_back_have_the_true_total() -> None:
    """100 of them are named, all of them are counted."""
    error = _refused(Passed(memory({}), transaction=_Truncating), many(2500))
    assert (100, 2500) == (len(error.problems), error.total)


def test_without_read_back_only_counts_are_compared() -> None:
    """What read_back=False leaves out is the comparison of values."""
    target = Passed(memory({}), transaction=_Truncating)
    report = import_all(target, io.BytesIO(exported(memory())), read_back=False)
    assert (False, 13) == (report.read_back, report.records)


def test_trigger_of_the_host_does_not_change_what_is_written(tmp_path: Path) -> None:
    """Triggers are suspended while an import writes, and are there again afterwards."""
    path = tmp_path / "club.db"
    target = sqlite.repository(path, CLUB, club() | {"members": club()["members"][:3], "plays": []})
    trigger = (
        "CREATE TRIGGER shout AFTER INSERT ON members BEGIN "
        "UPDATE members SET name = upper(name) WHERE id = NEW.id; END"
    )
    sqlite.run(path, trigger)
    import_all(target, io.BytesIO(exported(memory())))
    assert stored(memory()) == stored(target)
    assert [(trigger,)] == sqlite.query(path, "SELECT sql FROM sqlite_master WHERE type='trigger'")


def test_store_may_keep_another_scale_of_a_decimal(tmp_path: Path) -> None:
    """A declared scale is the store's: 1.1 comes back as 1.10, which is the same number."""
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int, "fee": Decimal})])
    path = tmp_path / "t.db"
    sqlite.run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, fee NUMERIC(10, 2) NOT NULL)")
    archive = exported(memory({"t": [(1, Decimal("1.1")), (2, Decimal("2.50"))]}, schema))
    target = SQLiteRepository(path, schema)
    import_all(target, io.BytesIO(archive))
    with target.snapshot() as view:
        assert [[(1, Decimal("1.10")), (2, Decimal("2.50"))]] == list(view.rows(schema["t"]))


# -- errors that pass through ----------------------------------------------------------------------


class _Fails(PassedTransaction):
    def insert(self, collection: Collection, rows: list[Row]) -> None:
        super().insert(collection, rows)
        if collection.name == "teams":
            raise StoreFailed("the disk is gone")


def test_failure_of_the_store_comes_out_unchanged() -> None:
    """What is wrong with the store itself is no problem of a record."""
    target = Passed(memory({}), transaction=_Fails)
    with pytest.raises(StoreFailed, match="the disk is gone"):
        import_all(target, io.BytesIO(exported(memory())))
    assert stored(memory({})) == stored(target)


class _Unknown(Passed):
    @contextlib.contextmanager
    def _transact(self, wait: float) -> Iterator[Transaction]:
        with super()._transact(wait) as transaction:
            yield transaction
        raise CommitUnknown("the connection was lost during the commit")


def test_unknown_outcome_comes_out_unchanged() -> None:
    """No report is made of a commit whose outcome nobody knows."""
    with pytest.raises(CommitUnknown):
        import_all(_Unknown(memory({})), io.BytesIO(exported(memory())))


class _Cancelled(Exception):
    pass


@pytest.mark.parametrize("stage", ["writing", "reading back"])
@pytest.mark.parametrize("filled", [False, True])
def test_progress_that_raises_cancels(tmp_path: Path, stage: str, filled: bool) -> None:
    """What progress raises comes out unchanged, and the store is as it was."""
    path = tmp_path / "club.db"
    target = sqlite.repository(path, CLUB, many(7) if filled else {})
    before = sqlite.dump(path)

    def cancel(progress: Progress) -> None:
        if progress.stage == stage and progress.collection == "log":
            raise _Cancelled

    with pytest.raises(_Cancelled):
        import_all(target, io.BytesIO(exported(memory())), progress=cancel)
    assert before == sqlite.dump(path)


def test_progress_counts_both_stages() -> None:
    """Each stage counts up to the total of each collection."""
    seen: list[Progress] = []
    size = 2 * BATCH_SIZE + 1
    import_all(memory({}), io.BytesIO(exported(memory(many(size)))), progress=seen.append)
    for stage in ("writing", "reading back"):
        done = [p.done for p in seen if p.stage == stage]
        assert sorted(done) == done
        assert size == done[-1]
    assert {("members", size)} == {
        (p.collection, p.total) for p in seen if p.stage in ("writing", "reading back")
    }
