"""What a PostgreSQL database holds beside tables of values: named as left out, never in silence."""

import io
from collections.abc import Iterator

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from databackup import import_all, inspect_archive
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import StoreMismatch
from databackup.schema import Collection, Schema
from tests.support import databases
from tests.support.pgsql import exported, query, run

_FOREIGN = (
    "CREATE FOREIGN DATA WRAPPER nothing",
    "CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing",
    "CREATE FOREIGN TABLE remote (id int NOT NULL, v text) SERVER elsewhere",
)
_REMOTE = "a foreign table: its data is elsewhere"


@pytest.fixture
def engine() -> Iterator[sqlalchemy.Engine]:
    """A database of its own: large objects are of no schema."""
    with databases.postgresql() as url:
        made = sqlalchemy.create_engine(url, poolclass=NullPool)
        run(made, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
        yield made


def _excluded(
    engine: sqlalchemy.Engine, *, exclude: dict[str, str] | None = None
) -> dict[str, str]:
    """What an archive says it leaves out; the table t is all that is in it, and goes back."""
    repository = SQLAlchemyRepository.reflect(engine, exclude=exclude)
    archive = exported(repository)
    info = inspect_archive(io.BytesIO(archive))
    assert {"t": 1} == {name: found.records for name, found in info.collections.items()}
    run(engine, "DELETE FROM t")
    assert 1 == import_all(repository, io.BytesIO(archive)).added
    return {exclusion.name: exclusion.reason for exclusion in info.excluded}


def test_nothing_else_there(engine: sqlalchemy.Engine) -> None:
    """Then nothing is said to be left out."""
    assert {} == _excluded(engine)


def test_a_foreign_table(engine: sqlalchemy.Engine) -> None:
    """Is left out with the reason, or with a reason of the host's."""
    run(engine, *_FOREIGN)
    assert {"remote": _REMOTE} == _excluded(engine)
    assert {"remote": "logs"} == _excluded(engine, exclude={"remote": "logs"})


def test_models_of_tables_leave_out_a_foreign_one(engine: sqlalchemy.Engine) -> None:
    """Metadata that does not have it, and a schema that does not."""
    run(engine, *_FOREIGN)
    metadata = sqlalchemy.MetaData()
    sqlalchemy.Table("t", metadata, sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True))
    archive = exported(SQLAlchemyRepository.from_metadata(engine, metadata))
    (exclusion,) = inspect_archive(io.BytesIO(archive)).excluded
    assert ("remote", _REMOTE) == (exclusion.name, exclusion.reason)


def test_a_schema_that_wants_a_foreign_table(engine: sqlalchemy.Engine) -> None:
    """Is told that there is no data of its own in it."""
    run(engine, *_FOREIGN)
    fields = {"id": int, "v": str | None}
    schema = Schema(
        collections=[
            Collection("remote", fields=fields),
            Collection("t", key="id", fields={"id": int}),
        ]
    )
    with pytest.raises(StoreMismatch, match=f"remote is {_REMOTE}") as caught:
        exported(SQLAlchemyRepository(engine, schema))
    assert (f"remote is {_REMOTE}",) == caught.value.differences


def test_a_table_without_columns(engine: sqlalchemy.Engine) -> None:
    """Its rows say nothing; neither do those of generated columns alone."""
    run(
        engine,
        "CREATE TABLE nothing ()",
        "INSERT INTO nothing DEFAULT VALUES",
        "CREATE TABLE made (one int GENERATED ALWAYS AS (1) STORED)",
    )
    why = "no column of it holds a value of its own"
    assert {"nothing": why, "made": why} == _excluded(engine)
    assert [(1,)] == query(engine, "SELECT count(*) FROM nothing")


def test_large_objects(engine: sqlalchemy.Engine) -> None:
    """Are named while there are any."""
    run(engine, "SELECT lo_from_bytea(4711, 'large')")
    why = "large objects, which are of no table"
    assert {"pg_catalog.pg_largeobject": why} == _excluded(engine)
    run(engine, "SELECT lo_unlink(4711)")
    assert {} == _excluded(engine)


def test_housekeeping_with_a_reason_of_the_hosts(engine: sqlalchemy.Engine) -> None:
    """What is left out anyway may be left out by name."""
    run(engine, "CREATE TABLE alembic_version (version_num text)")
    assert {"alembic_version": "theirs"} == _excluded(engine, exclude={"alembic_version": "theirs"})
