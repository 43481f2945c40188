"""Imports of some collections into tables with foreign keys, on every engine."""

import io
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from databackup import import_all, inspect_archive
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import InvalidRecords, RecordsNotTaken
from databackup.testing.strategies import datasets, schemas
from tests.adapters.sqlalchemy.targets import TARGETS
from tests.support import engines, pgroles
from tests.support.archives import exported
from tests.support.club import memory
from tests.support.migrating import rows_in
from tests.support.selecting import closure, dangling, part


@pytest.mark.parametrize("name", TARGETS)
@settings(
    max_examples=12,
    phases=set(Phase) - {Phase.shrink},  # each example makes a database
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
@given(data=st.data(), closed=st.booleans())
def test_imports_touch_their_own(name: str, data: st.DataObject, closed: bool) -> None:
    """What is selected is as in the archive and all else as it was, or a reference dangles."""
    schema = data.draw(schemas())
    names = [collection.name for collection in schema.collections]
    chosen = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    new, other = data.draw(datasets(schema)), data.draw(datasets(schema))
    same = data.draw(st.sets(st.sampled_from(names)))
    old = {n: new[n] if n in same else rows for n, rows in other.items()}
    written = closure(schema, chosen) if closed else set(chosen)
    after = {n: new[n] if n in written else rows for n, rows in old.items()}
    if dangling(schema, old, names):
        old = other
        after = {n: new[n] if n in written else rows for n, rows in old.items()}
    archive = part(memory(new, schema), *chosen, closure=closed)
    with TARGETS[name]() as target:
        import_all(target.reflected(), io.BytesIO(exported(memory(new, schema))), create=True)
        store = target.of(schema)
        try:
            import_all(store, io.BytesIO(exported(memory(old, schema))))
        except RecordsNotTaken:
            reject()  # the tables were made for other numbers
        if dangling(schema, after, written):
            with pytest.raises(InvalidRecords) as caught:
                import_all(store, io.BytesIO(archive))
            assert {"dangling-reference"} == {p.code for p in caught.value.problems}
            after = old
        else:
            report = import_all(store, io.BytesIO(archive))
            assert written == set(report.collections)
        assert _digests(exported(memory(after, schema))) == _digests(exported(store))


def _digests(archive: bytes) -> dict[str, Any]:
    info = inspect_archive(io.BytesIO(archive))
    return {name: (found.records, found.digest) for name, found in info.collections.items()}


MADE = (
    "CREATE TABLE parents (id INTEGER PRIMARY KEY, name VARCHAR(20))",
    """CREATE TABLE children (
        id INTEGER PRIMARY KEY, parent INTEGER,
        FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE
    )""",
    "INSERT INTO parents VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO children VALUES (10, 1), (20, 2)",
)


def test_nothing_cascades_into_what_is_left_alone(database: engines.Database) -> None:
    """A foreign key would carry records off with what the import deletes: they are named."""
    database.run(*MADE)
    store = SQLAlchemyRepository.reflect(database.engine)
    archive = part(store, "parents")
    database.run("INSERT INTO parents VALUES (3, 'c')", "INSERT INTO children VALUES (30, 3)")
    before = rows_in(store)
    with pytest.raises(InvalidRecords) as caught:
        import_all(store, io.BytesIO(archive))
    (problem,) = caught.value.problems
    assert ("children", (30,), "parent") == (problem.collection, problem.key, problem.field)
    assert before == rows_in(store)
    database.run("UPDATE children SET parent = 1 WHERE id = 30")
    report = import_all(store, io.BytesIO(archive))
    assert (1, ("children",)) == (report.deleted, report.left_alone)
    assert [(10, 1), (20, 2), (30, 1)] == rows_in(store)["children"]


def test_triggers_that_reach_what_is_left_alone() -> None:
    """On MariaDB they fire; what they change elsewhere is found, and they are named."""
    touch = """CREATE TRIGGER touch AFTER INSERT ON parents FOR EACH ROW
        UPDATE children SET parent = NULL WHERE id = 10"""
    with engines.database("mysql") as database:
        database.run(*MADE, touch)
        store = SQLAlchemyRepository.reflect(database.engine)
        archive = part(store, "parents")
        database.run("DELETE FROM children WHERE id = 20", "DELETE FROM parents WHERE id = 2")
        before = rows_in(store)
        with pytest.raises(RecordsNotTaken, match="trigger touch of parents") as caught:
            import_all(store, io.BytesIO(archive))
        assert ["children"] == [problem.collection for problem in caught.value.problems]
        assert before == rows_in(store)


def test_nothing_cascades_for_who_owns_nothing() -> None:
    """On PostgreSQL foreign keys then act while records are written; the outcome is the same."""
    with engines.database("postgresql") as database:
        database.run(*MADE)
        with pgroles.writer(database.engine) as engine:
            store = SQLAlchemyRepository.reflect(engine)
            archive = part(store, "parents")
            database.run(
                "INSERT INTO parents VALUES (3, 'c')", "INSERT INTO children VALUES (30, 3)"
            )
            before = rows_in(store)
            with pytest.raises(InvalidRecords, match="children is left alone"):
                import_all(store, io.BytesIO(archive))
            assert before == rows_in(store)
            database.run("UPDATE children SET parent = 1 WHERE id = 30")
            report = import_all(store, io.BytesIO(archive))
            assert (1, ("children",)) == (report.deleted, report.left_alone)
            assert [(10, 1), (20, 2), (30, 1)] == rows_in(store)["children"]
