"""What tests do with a PostgreSQL database: statements, questions, and archives of it."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import sqlalchemy

from databackup import import_all, iter_export, verify_archive
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.schema import Schema
from tests.support.sql import query, run

__all__ = ["Undo", "exported", "query", "records", "run", "there_and_back", "undone"]


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
