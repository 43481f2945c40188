"""Statements and questions to a PostgreSQL database, and archives of it, for tests."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import sqlalchemy

from databackup import import_all, iter_export, verify_archive
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.schema import Schema


def run(engine: sqlalchemy.Engine, *statements: str) -> None:
    """Run statements in a transaction of their own."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))


def query(engine: sqlalchemy.Engine, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql.replace("%", "%%"))]


def exported(repository: SQLAlchemyRepository) -> bytes:
    """The archive of a repository."""
    return b"".join(iter_export(repository))


def records(archive: bytes) -> bytes:
    """An archive without its header, and without its seal."""
    return archive[archive.index(b'"data":{\n') : archive.index(b'"seal"')]


def there_and_back(engine: sqlalchemy.Engine, schema: Schema, *spoil: str, **options: Any) -> None:
    """Export, spoil, import; the archive of what is there then is as before."""
    repository = SQLAlchemyRepository(engine, schema, **options)
    archive = exported(repository)
    verify_archive(io.BytesIO(archive), schema)
    run(engine, *spoil)
    import_all(SQLAlchemyRepository(engine, schema, **options), io.BytesIO(archive))
    after = exported(SQLAlchemyRepository(engine, schema, **options))
    assert records(archive) == records(after)


class Undo(Exception):
    """Raised to leave a transaction."""


@contextlib.contextmanager
def undone(repository: SQLAlchemyRepository) -> Iterator[Any]:
    """A transaction that is rolled back."""
    with contextlib.suppress(Undo), repository.transaction() as transaction:
        yield transaction
        raise Undo
