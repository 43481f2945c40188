"""`SQLAlchemyRepository`: a database behind SQLAlchemy as a store."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Self

from databackup.adapters.sqlalchemy.catalogue import Catalogue
from databackup.adapters.sqlalchemy.connections import DEFAULT_WAIT, Connections, bind_of
from databackup.adapters.sqlalchemy.dialects import dialect_of
from databackup.adapters.sqlalchemy.metadata import described
from databackup.adapters.sqlalchemy.reflect import reflected_schema
from databackup.adapters.sqlalchemy.repository import ServerRepository
from databackup.adapters.sqlalchemy.sqlite import PooledConnections
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import SchemaError
from databackup.schema.narrowed import with_secrets

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    import sqlalchemy
    from sqlalchemy.ext.asyncio import AsyncEngine

    from databackup.adapters._sql import Table
    from databackup.repository import Capabilities, Mark, Needs, Place, Snapshot, Transaction
    from databackup.schema import Schema
    from databackup.schema.recording import Migration

    Bind = sqlalchemy.Engine | sqlalchemy.Connection | AsyncEngine
    _Store = ServerRepository | SQLiteRepository


class SQLAlchemyRepository:
    """A PostgreSQL, MariaDB, MySQL or SQLite database that a host reaches through SQLAlchemy.

    bind
        An engine; an `AsyncEngine`, whose URL is used with a plain driver; or a connection of the
        host's. On a connection that is in a transaction, exports and imports run in a savepoint:
        what the host began is neither committed nor rolled back.
    schema
        What is backed up. A table or column of the database that it overlooks is refused; the
        tables of Alembic and of Django's migrations are excluded.
    tables
        By collection, the table's name or a `Table`, where names differ. Tables of another than
        the default schema are named `schema.table`.
    schemas
        The database schemas beside the default one that are looked at; SQLite has none.
    wait
        Seconds to wait for a lock when the catalogue or the records are read.

    Raises `SchemaError` for names that do not fit, `StoreError` for an engine that is not known.
    """

    def __init__(
        self,
        bind: Bind,
        schema: Schema,
        *,
        tables: Mapping[str, str | Table] | None = None,
        schemas: Sequence[str] = (),
        wait: float = DEFAULT_WAIT,
    ) -> None:
        self._store: _Store = _store(bind_of(bind), schema, tables, tuple(schemas), wait)

    @classmethod
    def from_metadata(
        cls,
        bind: Bind,
        metadata: sqlalchemy.MetaData,
        *,
        app: str | None = None,
        version: int = 1,
        exclude: Mapping[str, str] | None = None,
        secret: Iterable[str] = (),
        migrations: Iterable[Migration] = (),
        versions: str | os.PathLike[str] | None = None,
        schemas: Sequence[str] = (),
        wait: float = DEFAULT_WAIT,
    ) -> Self:
        """The repository of all tables of a `MetaData`, those without a mapped class as well.

        Values are read and written as they are stored: neither the defaults of columns nor type
        decorators play a part. `exclude` has tables ("name") and columns ("table.column") that are
        not backed up, with the reason; `secret` has columns ("table.column") that are secret. A
        table of the database that is in neither is refused when the repository is used. The
        database is asked about types of an engine's own. `migrations` and `versions` are those of
        the `Schema`.

        Raises `SchemaError` for all columns whose type has no sure kind; `StoreError`.
        """
        found = bind_of(bind)
        catalogue = _CatalogueOf(found, schemas, wait)
        result = described(
            metadata,
            found,
            app=app,
            version=version,
            exclude=exclude or {},
            migrations=migrations,
            versions=versions,
            kind_in_store=catalogue.kind,
        )
        more = dict.fromkeys([*result.schemas, *schemas])
        schema = with_secrets(result.schema, secret)
        return cls(found, schema, tables=result.tables, schemas=tuple(more), wait=wait)

    @classmethod
    def reflect(
        cls,
        bind: Bind,
        *,
        app: str | None = None,
        version: int = 1,
        exclude: Mapping[str, str] | None = None,
        migrations: Iterable[Migration] = (),
        versions: str | os.PathLike[str] | None = None,
        secret: Iterable[str] = (),
        schemas: Sequence[str] = (),
        wait: float = DEFAULT_WAIT,
    ) -> Self:
        """The repository of a database whose catalogue says what there is.

        Declared types are mapped to kinds, so that digests compare with other stores. `exclude`,
        `secret`, `migrations` and `versions` are as for `from_metadata`.

        Raises `SchemaError`, `StoreError`; `StoreMismatch` for tables that cannot be backed up.
        """
        found = bind_of(bind)
        if found.dialect.name == "sqlite":
            _require_no_schemas(schemas)
            schema = SQLiteRepository.reflect(
                PooledConnections(found, wait),
                types="declared",
                app=app,
                version=version,
                exclude=exclude,
                migrations=migrations,
                versions=versions,
                datetimes="sqlalchemy",
            ).schema
        else:
            dialect = dialect_of(found)
            schema = reflected_schema(
                _CatalogueOf(found, schemas, wait).read(),
                dialect,
                app=app,
                version=version,
                exclude=exclude or {},
                migrations=migrations,
                versions=versions,
            )
        return cls(found, with_secrets(schema, secret), schemas=schemas, wait=wait)

    def __repr__(self) -> str:
        inner = repr(self._store)
        return type(self).__name__ + inner[inner.index("(") :]

    @property
    def schema(self) -> Schema:
        """What is backed up. Raises `StoreError` where the database cannot be read."""
        return self._store.schema

    @property
    def capabilities(self) -> Capabilities:
        """What the database can do. Raises as `schema` does."""
        return self._store.capabilities

    @property
    def place(self) -> Place | None:
        """The database, without its user; see `PlacedRepository`."""
        return self._store.place

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        return self._store.snapshot()

    def transaction(
        self, *, wait: float = 5.0, mark: Mark | None = None
    ) -> AbstractContextManager[Transaction]:
        return self._store.transaction(wait=wait, mark=mark)

    def marks(self, import_id: str | None = None, *, wait: float = 5.0) -> list[Mark]:
        """The marks that are committed, once no import is under way; see `MarkingRepository`."""
        return self._store.marks(import_id, wait=wait)

    # -- making tables -------------------------------------------------------------------------

    @property
    def made(self) -> tuple[str, ...]:
        """The collections whose tables the last transaction has made."""
        return self._store.made

    def missing(self) -> tuple[str, ...]:
        """The collections whose tables are not there. Raises as `schema` does."""
        return self._store.missing()

    def creating(self, schema: Schema, needs: Needs) -> Self:
        """The same database with another schema, whose transactions make what tables are missing.

        On MariaDB and MySQL each of them is committed at once, and dropped again where the
        transaction fails. Raises, when a transaction begins, `CannotCreate`.
        """
        found = copy.copy(self)
        found._store = self._store.creating(schema, needs)  # noqa: SLF001 - one of this class
        return found


def _store(
    bind: sqlalchemy.Engine | sqlalchemy.Connection,
    schema: Schema,
    tables: Mapping[str, str | Table] | None,
    schemas: tuple[str, ...],
    wait: float,
) -> _Store:
    """SQLite's own adapter does its reading and writing here as well: its traps are the same."""
    if bind.dialect.name != "sqlite":
        return ServerRepository(bind, schema, tables=tables, schemas=schemas, wait=wait)
    _require_no_schemas(schemas)
    connections = PooledConnections(bind, wait)
    return SQLiteRepository(connections, schema, tables=tables, datetimes="sqlalchemy")


def _require_no_schemas(schemas: Sequence[str]) -> None:
    if schemas:
        named = ", ".join(map(repr, schemas))
        raise SchemaError.of(
            "the schemas of a SQLite database",
            [f"attached databases are not backed up: {named}; give an engine of their own"],
        )


class _CatalogueOf:
    """What a server says about the types of its columns; asked once, and only where needed."""

    def __init__(
        self,
        bind: sqlalchemy.Engine | sqlalchemy.Connection,
        schemas: Sequence[str],
        wait: float,
    ) -> None:
        self._bind = bind
        self._wait = wait
        self._schemas = tuple(schemas)
        self._read: dict[tuple[str, ...], Catalogue] = {}

    def read(self, schemas: Sequence[str] = ()) -> Catalogue:
        dialect = dialect_of(self._bind)
        wanted = tuple(dict.fromkeys([*self._schemas, *schemas]))
        if wanted not in self._read:
            connections = Connections(self._bind, dialect, self._wait)
            with connections.reading() as connection, connections.errors("the catalogue"):
                self._read[wanted] = dialect.catalogue(connection, wanted)
        return self._read[wanted]

    def kind(self, table: str, column: str, schemas: Sequence[str]) -> Any:
        """The kind of a column, None where the engine cannot say."""
        if self._bind.dialect.name == "sqlite":
            return None
        info = self.read(schemas).tables.get(table)
        found = info.columns.get(column) if info else None
        return None if found is None else dialect_of(self._bind).kind(found)
