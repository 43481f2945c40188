"""A database of a server, behind SQLAlchemy, as a `Repository`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from databackup.adapters._sql import Table, differences, tables_of
from databackup.adapters.sqlalchemy.connections import DEFAULT_WAIT, Connections
from databackup.adapters.sqlalchemy.create import NewTables
from databackup.adapters.sqlalchemy.dialects import dialect_of
from databackup.adapters.sqlalchemy.drivers import place_of_url
from databackup.adapters.sqlalchemy.marks import Marks
from databackup.adapters.sqlalchemy.plan import Plan
from databackup.adapters.sqlalchemy.session import Scope
from databackup.errors import StoreMismatch
from databackup.repository import Capabilities

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import sqlalchemy

    from databackup.adapters.sqlalchemy.catalogue import Catalogue
    from databackup.adapters.sqlalchemy.session import SQLSnapshot, SQLTransaction
    from databackup.repository import Mark, Needs, Place
    from databackup.schema import Schema


class ServerRepository:
    """A PostgreSQL, MariaDB or MySQL database, for `SQLAlchemyRepository`, which explains it."""

    def __init__(
        self,
        bind: sqlalchemy.Engine | sqlalchemy.Connection,
        schema: Schema,
        *,
        tables: Mapping[str, str | Table] | None = None,
        schemas: Sequence[str] = (),
        wait: float = DEFAULT_WAIT,
    ) -> None:
        self._dialect = dialect_of(bind)
        self._connections = Connections(bind, self._dialect, wait)
        self._stated_schema = schema
        self._tables = tables_of(schema, tables)
        self._schemas = tuple(schemas)
        self._marks = Marks(self._connections)
        self._seen: tuple[Schema, Capabilities] | None = None
        self._new_tables: NewTables | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._connections)!r})"

    @property
    def schema(self) -> Schema:
        """What is backed up. Raises `StoreError` where the database cannot be read."""
        return self._look()[0]

    @property
    def capabilities(self) -> Capabilities:
        """What the database can do. Raises as `schema` does."""
        return self._look()[1]

    @property
    def place(self) -> Place | None:
        """The database, without its user; see `PlacedRepository`."""
        return place_of_url(self._connections.engine.url)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[SQLSnapshot]:
        with self._connections.reading() as connection:
            catalogue = self._catalogue(connection)
            plans = self._plans(catalogue)
            with self._connections.errors("the tables cannot be read"):
                self._dialect.lock(connection, [p.info for p in plans.values()], write=False)
            snapshot = self._dialect.snapshot(Scope(connection, plans, catalogue, self._dialect))
            with contextlib.closing(snapshot):
                yield snapshot

    @contextlib.contextmanager
    def transaction(
        self, *, wait: float = 5.0, mark: Mark | None = None
    ) -> Iterator[SQLTransaction]:
        if mark is not None:
            self._marks.prepare(wait)
        new = self._new_tables
        with (
            new.dropped_on_failure(wait) if new else contextlib.nullcontext(),
            self._connections.writing(wait) as connection,
        ):
            if mark is not None:
                self._marks.begin(connection)
            catalogue = self._catalogue(connection)
            if new and new.make(connection, catalogue):
                catalogue = self._catalogue(connection)
            plans = self._plans(catalogue)
            with self._connections.errors("the tables cannot be locked"):
                self._dialect.lock(connection, [p.info for p in plans.values()], write=True)
            transaction = self._dialect.transaction(
                Scope(connection, plans, catalogue, self._dialect)
            )
            with contextlib.closing(transaction):
                yield transaction
                if not transaction.finished:
                    transaction.finish({})
                transaction.before_commit()
            if mark is not None:
                self._marks.leave(connection, mark)

    def marks(self, import_id: str | None = None, *, wait: float = 5.0) -> list[Mark]:
        """The marks that are committed, once no import is under way; see `MarkingRepository`."""
        return self._marks.found(import_id, wait)

    # -- making tables -------------------------------------------------------------------------

    @property
    def made(self) -> tuple[str, ...]:
        """The collections whose tables the last transaction has made."""
        return self._new_tables.made if self._new_tables else ()

    def missing(self) -> tuple[str, ...]:
        """The collections whose tables are not there. Raises as `schema` does."""
        with self._connections.reading() as connection:
            catalogue = self._catalogue(connection)
        return tuple(n for n, table in self._tables.items() if table.name not in catalogue.tables)

    def creating(self, schema: Schema, needs: Needs) -> ServerRepository:
        """The same database with another schema, whose transactions make missing tables."""
        tables = {name: table for name, table in self._tables.items() if name in schema}
        found = ServerRepository(
            self._connections.bind,
            schema,
            tables=tables,
            schemas=self._schemas,
            wait=self._connections.wait,
        )
        found._new_tables = NewTables(
            self._connections, schema, found._tables, self._schemas, needs
        )
        return found

    # -- schema and store ----------------------------------------------------------------------

    def _look(self) -> tuple[Schema, Capabilities]:
        if self._seen is None:
            with self._connections.reading() as connection:
                return self._observe(self._catalogue(connection))
        return self._seen

    def _catalogue(self, connection: sqlalchemy.Connection) -> Catalogue:
        with self._connections.errors("the catalogue cannot be read"):
            return self._dialect.catalogue(connection, self._schemas)

    def _plans(self, catalogue: Catalogue) -> dict[str, Plan]:
        """How each collection is read and written. Raises `StoreMismatch`."""
        schema, _ = self._observe(catalogue)
        found = list(self._differences(schema, catalogue))
        if found:
            raise StoreMismatch(
                f"{self._connections} does not fit the schema: " + "; ".join(found), tuple(found)
            )
        return {
            c.name: Plan(
                c,
                self._tables[c.name],
                catalogue.tables[self._tables[c.name].name],
                self._dialect,
            )
            for c in schema.collections
        }

    def _observe(self, catalogue: Catalogue) -> tuple[Schema, Capabilities]:
        """Schema and capabilities, kept for those who ask outside a transaction."""
        covered = {table.name for table in self._tables.values()}
        more = {n: why for n, why in catalogue.housekeeping.items() if n not in covered}
        schema = self._stated_schema.excluding(more) if more else self._stated_schema
        ordered = set()
        for collection in schema.collections:
            table = self._tables[collection.name]
            info = catalogue.tables.get(table.name)
            if info is None or not collection.key:
                continue
            columns = {name: info.columns.get(table.column(name)) for name in collection.key}
            found = {name: column for name, column in columns.items() if column is not None}
            if len(found) == len(columns) and self._dialect.is_ordered(collection, found):
                ordered.add(collection.name)
        capabilities = Capabilities(
            name=self._dialect.name,
            consistent_snapshot=True,
            atomic=True,
            savepoints=True,
            ordered_rows=frozenset(ordered),
            suspends_triggers=self._dialect.suspends_triggers(catalogue, covered),
        )
        self._seen = schema, capabilities
        return self._seen

    def _differences(self, schema: Schema, catalogue: Catalogue) -> Iterator[str]:
        """What does not fit: names, columns that cannot hold their field, keys not unique."""
        store = {name: info.columns for name, info in catalogue.tables.items()}
        yield from differences(schema, self._tables, store)
        for collection in schema.collections:
            table = self._tables[collection.name]
            info = catalogue.tables.get(table.name)
            if info is None:
                continue
            if info.problem:
                yield info.problem
            for field in collection.fields:
                column = info.columns.get(table.column(field.name))
                reason = column and self._dialect.unsuitable(field, column)
                if column and reason:
                    yield f"the column {table.name}.{column.name} ({column.declared}) {reason}"
            key = [table.column(name) for name in collection.key]
            if key and set(key) <= info.columns.keys() and not info.is_unique(key):
                columns = ", ".join(f"{table.name}.{column}" for column in key)
                yield f"the key of {collection.name!r}, {columns}, is not unique in the store"
