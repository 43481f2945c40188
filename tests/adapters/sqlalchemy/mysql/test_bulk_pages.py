"""Pages of whole columns, and long inserts: order, failures, and what goes on at the same time."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy

from databackup import export_all, import_all
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import RecordsNotTaken, RecordsRefused, StoreError
from databackup.repository import BulkTransaction, FormsSnapshot
from databackup.schema import Collection, Reference, Row, Schema, composite
from databackup.schema.columns import Forms
from databackup.testing.harness import all_rows
from tests.support import mysql


def _forms(
    snapshot: FormsSnapshot, collection: Collection, size: int = 7
) -> list[Forms | list[Row]]:
    return list(snapshot.forms(collection, batch_size=size))


def _rows_of(batch: Forms | list[Row]) -> list[Row]:
    return batch.rows if isinstance(batch, Forms) else batch


# -- reading ---------------------------------------------------------------------------------------

PARENTS = Collection("parents", fields={"id": int, "name": str}, key="id")
CHILDREN = Collection(
    "children", fields={"id": int, "parent": int}, key="id",
    references=[Reference("parent", "parents")],
)  # fmt: skip
FAMILY = Schema(collections=[PARENTS, CHILDREN])


@pytest.fixture
def family(engine: sqlalchemy.Engine) -> SQLAlchemyRepository:
    """Three thousand parents, and a child of each."""
    mysql.run(
        engine,
        "CREATE TABLE parents (id INT PRIMARY KEY, name LONGTEXT NOT NULL, UNIQUE (name(99)))",
        "CREATE TABLE children (id INT PRIMARY KEY, parent INT NOT NULL, "
        "FOREIGN KEY (parent) REFERENCES parents (id))",
        *(
            f"INSERT INTO {table} SELECT seq, {value} FROM seq_1_to_3000"
            for table, value in (("parents", "concat('parent ', seq)"), ("children", "seq"))
        ),
    )
    return SQLAlchemyRepository(engine, FAMILY)


def _statements(engine: sqlalchemy.Engine) -> list[str]:
    """The statements that are run from now on."""
    seen: list[str] = []

    @sqlalchemy.event.listens_for(engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    return seen


def test_pages_are_joined(engine: sqlalchemy.Engine, family: SQLAlchemyRepository) -> None:
    """A table takes few statements, whose rows are thousands."""
    seen = _statements(engine)
    with family.snapshot() as snapshot:
        assert [(n, f"parent {n}") for n in range(1, 3001)] == all_rows(snapshot, PARENTS)
    assert 3 <= sum("group_concat" in sql for sql in seen) <= 6
    rows_alone = [sql for sql in seen if "group_concat" not in sql and "`name`" in sql]
    assert 1 == len(rows_alone)


def _joined(statements: list[str]) -> int:
    return sum("group_concat" in sql for sql in statements)


def test_pages_for_forms_are_longer(
    engine: sqlalchemy.Engine, family: SQLAlchemyRepository
) -> None:
    """Who reads forms holds more records than who reads rows, and waits less often."""
    mysql.run(engine, "INSERT INTO parents SELECT seq, seq FROM seq_3001_to_30000")
    seen = _statements(engine)
    with family.snapshot() as snapshot:
        assert isinstance(snapshot, FormsSnapshot)
        assert 30_000 == len(all_rows(snapshot, PARENTS))
        for_rows = _joined(seen)
        seen.clear()
        assert 30_000 == sum(map(len, _forms(snapshot, PARENTS, 350)))
    assert for_rows >= 15
    assert _joined(seen) <= 7


def test_batches_with_json_are_smaller(engine: sqlalchemy.Engine) -> None:
    """A value that is out of the usual makes rows of its own batch alone."""
    notes = Collection("notes", fields={"id": int, "data": composite.Json()}, key="id")
    mysql.run(
        engine,
        "CREATE TABLE notes (id INT PRIMARY KEY, data JSON NOT NULL)",
        "INSERT INTO notes SELECT seq, if(seq = 130, '[1e400]', '[1]') FROM seq_1_to_300",
    )
    with SQLAlchemyRepository(engine, Schema(collections=[notes])).snapshot() as snapshot:
        assert isinstance(snapshot, FormsSnapshot)
        batches = _forms(snapshot, notes, 100)
        assert [50] * 6 == list(map(len, batches))
        assert [2] == [place for place, batch in enumerate(batches) if isinstance(batch, list)]
        rows = [row for batch in batches for row in _rows_of(batch)]
        assert list(map(repr, rows)) == list(map(repr, all_rows(snapshot, notes)))


def test_long_records_come_in_small_pages(
    engine: sqlalchemy.Engine, family: SQLAlchemyRepository
) -> None:
    """What does not fit into a joined text is read row by row, and nothing is cut off."""
    mysql.run(engine, "UPDATE parents SET name = concat(repeat('é', 5000000), id) WHERE id = 700")
    with family.snapshot() as snapshot:
        rows = all_rows(snapshot, PARENTS)
    assert (700, "é" * 5_000_000 + "700") == rows[699]
    assert list(range(1, 3001)) == [number for number, _ in rows]


@pytest.mark.parametrize("length", [1, 300])
def test_one_long_column_of_many_is_joined(engine: sqlalchemy.Engine, length: int) -> None:
    """Where a text may hold less than a page, pages have as many rows as it holds."""
    numbers = [f"n{number}" for number in range(60)]
    fields = {"id": int, "text": str, **dict.fromkeys(numbers, int)}
    wide = Collection("wide", fields=fields, key="id")
    mysql.run(
        engine,
        f"CREATE TABLE wide (id INT PRIMARY KEY, text TEXT NOT NULL, "
        f"{', '.join(f'{name} INT NOT NULL DEFAULT 0' for name in numbers)})",
        f"INSERT INTO wide (id, text) SELECT seq, repeat('x', {length}) FROM seq_1_to_4000",
    )
    seen = _statements(engine)
    with SQLAlchemyRepository(engine, Schema(collections=[wide])).snapshot() as snapshot:
        assert isinstance(snapshot, FormsSnapshot)
        assert 4000 == sum(map(len, _forms(snapshot, wide, 350)))
    rows_alone = [sql for sql in seen if "group_concat" not in sql and "`text`" in sql]
    assert 1 == len(rows_alone)


def test_partitions_are_read_in_order(engine: sqlalchemy.Engine) -> None:
    """The server reads one partition after the other; records come by their keys all the same."""
    mysql.run(
        engine,
        "CREATE TABLE parents (id INT PRIMARY KEY, name TEXT NOT NULL) "
        "PARTITION BY HASH (id) PARTITIONS 3",
        "CREATE TABLE children (id INT PRIMARY KEY, parent INT NOT NULL)",
        "INSERT INTO parents SELECT seq, 'x' FROM seq_1_to_900",
    )
    repository = SQLAlchemyRepository(engine, FAMILY)
    with repository.snapshot() as snapshot:
        assert isinstance(snapshot, FormsSnapshot)
        rows = [row for batch in _forms(snapshot, PARENTS) for row in _rows_of(batch)]
        assert list(range(1, 901)) == [number for number, _ in rows]
        assert rows == all_rows(snapshot, PARENTS)


def test_a_server_that_joins_otherwise_is_read_row_by_row(
    family: SQLAlchemyRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first page is read both ways."""
    from databackup.adapters.sqlalchemy.mysql.joined import JoinedColumns  # noqa: PLC0415

    stored = JoinedColumns.stored

    def lossy(self: JoinedColumns, *arguments: Any) -> Any:
        columns = stored(self, *arguments)
        return columns and [[f"{v}?" if type(v) is str else v for v in c] for c in columns]

    monkeypatch.setattr(JoinedColumns, "stored", lossy)
    with family.snapshot() as snapshot:
        assert [(n, f"parent {n}") for n in range(1, 3001)] == all_rows(snapshot, PARENTS)


def test_what_is_read_ahead_is_not_in_the_way(family: SQLAlchemyRepository) -> None:
    """Two iterators, other questions and an early end go together with a page under way."""
    with family.snapshot() as snapshot:
        assert isinstance(snapshot, FormsSnapshot)
        one, other = snapshot.forms(PARENTS), snapshot.forms(CHILDREN)
        found: list[tuple[int, int]] = []
        for mine, yours in zip(one, other, strict=True):
            assert 3000 == snapshot.count(PARENTS)
            found += zip(_first(mine), _first(yours), strict=True)
        assert [(n, n) for n in range(1, 3001)] == found
        third = iter(snapshot.forms(PARENTS))
        next(third)
        third.close()  # type: ignore[attr-defined]
        assert [(7, 7)] == snapshot.get(CHILDREN, [(7,)])


@contextlib.contextmanager
def _undone(repository: SQLAlchemyRepository) -> Iterator[Any]:
    """A transaction that keeps nothing."""
    with contextlib.suppress(ZeroDivisionError), repository.transaction() as transaction:
        yield transaction
        raise ZeroDivisionError


def _first(batch: Forms | list[Row]) -> list[Any]:
    return [row[0] for row in _rows_of(batch)]


def test_what_was_read_ahead_is_read_again_after_a_write(family: SQLAlchemyRepository) -> None:
    """A transaction sees what it has written, in pages too that were under way before."""
    with _undone(family) as transaction:
        batches = iter(transaction.forms(PARENTS))
        seen = _first(next(batches))
        transaction.delete(PARENTS, [(number,) for number in range(401, 3001)])
        seen += [number for batch in batches for number in _first(batch)]
        assert set(range(1, 351)) <= set(seen)
        assert max(seen) <= 400 + 350
        assert 400 == transaction.count(PARENTS)


# -- writing ---------------------------------------------------------------------------------------


def test_a_bulk_insert_that_fails_is_told(family: SQLAlchemyRepository) -> None:
    """A statement's failure comes out of a later call, or of the block's end."""
    with family.transaction() as transaction:
        assert isinstance(transaction, BulkTransaction)
        transaction.clear(PARENTS)
        with pytest.raises(RecordsRefused, match="parents"), transaction.savepoint():
            _insert_in_parts(transaction, [(1, "a"), (1, "b")])
        rows = [(n % 4000, f"{n:050}") for n in range(9000)]
        with pytest.raises(RecordsRefused, match="parents"), transaction.savepoint():
            _insert_in_parts(transaction, rows)
        assert 0 == transaction.count(PARENTS)
        with transaction.bulk(PARENTS, 3000) as insert:
            insert([(n, f"%s '\\ {n}") for n in range(1, 3001)])
    with family.snapshot() as snapshot:
        assert [(n, f"%s '\\ {n}") for n in range(1, 3001)] == all_rows(snapshot, PARENTS)


def _insert_in_parts(transaction: Any, rows: list[Row]) -> None:
    with transaction.bulk(PARENTS, len(rows)) as insert:
        for start in range(0, len(rows), 300):
            insert(rows[start : start + 300])


def _fail_in_bulk(transaction: Any, rows: list[Row]) -> None:
    with transaction.bulk(PARENTS, len(rows)) as insert:
        insert(rows)
        raise ZeroDivisionError


def test_an_exception_leaves_a_bulk_insert_as_it_is(family: SQLAlchemyRepository) -> None:
    """It comes out unchanged, nothing is under way any more, and all is rolled back."""
    with _undone(family) as transaction:
        transaction.clear(PARENTS)
        with pytest.raises(ZeroDivisionError):
            _fail_in_bulk(transaction, [(n, f"{n:050}") for n in range(4000)])
    with family.snapshot() as snapshot:
        assert 3000 == snapshot.count(PARENTS)


def test_an_import_names_the_record_that_a_bulk_insert_refuses(
    engine: sqlalchemy.Engine, family: SQLAlchemyRepository, tmp_path: Any
) -> None:
    """Records are named, whatever statement they stood in, and nothing is changed."""
    archive = tmp_path / "family.json"
    export_all(family, archive)
    mysql.run(
        engine,
        "DELETE FROM children",
        "DELETE FROM parents",
        "ALTER TABLE parents ADD CHECK (id <> 1234)",
    )
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(family, archive)
    assert [(1234,)] == [problem.key for problem in caught.value.problems]
    with family.snapshot() as snapshot:
        assert 0 == snapshot.count(PARENTS)
    mysql.run(engine, "ALTER TABLE parents DROP CONSTRAINT CONSTRAINT_1")
    assert 6000 == import_all(family, archive).records


def test_a_reference_is_checked_again_after_a_write(family: SQLAlchemyRepository) -> None:
    """That none dangled before says nothing once something was written."""
    (reference,) = CHILDREN.references
    with _undone(family) as transaction:
        assert [] == transaction.dangling(CHILDREN, reference, 9)
        transaction.delete(PARENTS, [(5,)])
        with pytest.raises(StoreError, match="children"):
            transaction.finish({})


def test_a_reference_is_checked_again_after_a_rollback(family: SQLAlchemyRepository) -> None:
    """That none dangled within a savepoint says nothing once it was rolled back."""
    (reference,) = CHILDREN.references
    with _undone(family) as transaction:
        transaction.delete(PARENTS, [(5,)])
        with contextlib.suppress(KeyError), transaction.savepoint():
            transaction.delete(CHILDREN, [(5,)])
            assert [] == transaction.dangling(CHILDREN, reference, 9)
            raise KeyError
        with pytest.raises(StoreError, match="children"):
            transaction.finish({})
