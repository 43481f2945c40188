"""The same data has the same digest in every store, and goes from each into each."""

import contextlib
import io
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import sqlalchemy
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from databackup import diff, import_all, inspect_archive
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.repository import Repository
from databackup.schema import Schema
from databackup.testing.strategies import datasets, schemas
from tests.support import databases, mysql, pgtables, sqlite
from tests.support.archives import exported
from tests.support.club import memory

Store = Callable[[Schema], AbstractContextManager[Repository]]


@contextlib.contextmanager
def _sqlite(schema: Schema) -> Iterator[Repository]:
    with tempfile.TemporaryDirectory() as folder:
        yield sqlite.repository(Path(folder) / "app.db", schema)


@contextlib.contextmanager
def _sqlalchemy_on_sqlite(schema: Schema) -> Iterator[Repository]:
    with tempfile.TemporaryDirectory() as folder:
        path = sqlite.create(Path(folder) / "app.db", schema)
        engine = sqlalchemy.create_engine(f"sqlite:///{path}")
        yield SQLAlchemyRepository(engine, schema)
        engine.dispose()


@contextlib.contextmanager
def _postgresql(schema: Schema) -> Iterator[Repository]:
    with databases.postgresql() as url, pgtables.repository(url, schema) as repository:
        yield repository


@contextlib.contextmanager
def _postgresql_icu(schema: Schema) -> Iterator[Repository]:
    with databases.postgresql(icu=True) as url, pgtables.repository(url, schema) as repository:
        yield repository


STORES: dict[str, Store] = {
    "memory": lambda schema: contextlib.nullcontext(memory({}, schema)),
    "SQLite": _sqlite,
    "SQLAlchemy on SQLite": _sqlalchemy_on_sqlite,
    "PostgreSQL": _postgresql,
    "PostgreSQL with ICU": _postgresql_icu,
    "MariaDB": mysql.repository,
}


@pytest.mark.parametrize("names", list(itertools.product(STORES, STORES)), ids=" to ".join)
@settings(
    max_examples=3,
    phases=set(Phase) - {Phase.shrink},  # each example makes databases
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_from_each_store_into_each(names: tuple[str, str], data: st.DataObject) -> None:
    """Digests are those of the data, wherever it is; nothing differs, whoever is asked."""
    schema = data.draw(schemas())
    origin = exported(memory(data.draw(datasets(schema)), schema))
    with contextlib.ExitStack() as stack:
        source, target = (stack.enter_context(STORES[name](schema)) for name in names)
        import_all(source, io.BytesIO(origin))
        archive = exported(source)
        import_all(target, io.BytesIO(archive))
        assert _digests(origin) == _digests(archive) == _digests(exported(target))
        assert diff(source, target).identical
        assert 0 == import_all(target, io.BytesIO(origin)).changed


def _digests(archive: bytes) -> dict[str, tuple[int, str]]:
    info = inspect_archive(io.BytesIO(archive))
    return {name: (found.records, found.digest) for name, found in info.collections.items()}
