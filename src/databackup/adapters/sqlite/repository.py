"""A SQLite database as a `Repository`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from databackup.adapters._sql import Table, differences, tables_of
from databackup.adapters.sqlite import marks
from databackup.adapters.sqlite.catalogue import read_catalogue
from databackup.adapters.sqlite.connection import store_errors
from databackup.adapters.sqlite.connections import DEFAULT_WAIT, Shared, connections_to
from databackup.adapters.sqlite.create import make_tables
from databackup.adapters.sqlite.definitions import folded
from databackup.adapters.sqlite.forms import DATETIMES, unsuitable
from databackup.adapters.sqlite.plan import Plan
from databackup.adapters.sqlite.reflect import TYPES, reflected_schema
from databackup.adapters.sqlite.snapshot import SQLiteSnapshot
from databackup.adapters.sqlite.transaction import SQLiteTransaction
from databackup.errors import SchemaError, StoreMismatch
from databackup.repository import Capabilities, Place
from databackup.schema.narrowed import with_secrets

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

    from databackup.adapters.sqlite.catalogue import Catalogue
    from databackup.adapters.sqlite.connections import Connections, Database
    from databackup.adapters.sqlite.forms import Datetimes
    from databackup.adapters.sqlite.lease import Lease
    from databackup.adapters.sqlite.reflect import Types
    from databackup.repository import Mark, Needs
    from databackup.schema import Collection, Schema
    from databackup.schema.recording import Migration


class SQLiteRepository:
    """The data in a SQLite database, through Python's own `sqlite3`.

    database
        The path of a file, which is never created; a `sqlite3.Connection`, which must not be in a
        transaction when it is used; or a callable that returns a fresh connection, which is closed
        after each use.
    schema
        What is backed up. A table or column of the database that it overlooks is refused; the
        tables of Alembic, Django's migrations, SQLite itself and full-text indexes are excluded.
    tables
        By collection, the table's name or a `Table`, where names differ.
    datetimes
        How the host writes datetimes: "space" as sqlite3, Django and CURRENT_TIMESTAMP do, "T" as
        isoformat() does, "sqlalchemy" with a space and always six digits (times of day, too), or
        "epoch" as seconds. Another form is off its kind. With "sqlalchemy" UUIDs in CHAR(32) have
        no dashes, durations in DATETIME count from 1970, and decimals in NUMERIC need no scale.
    wait
        Seconds to wait for a lock when the catalogue or the records are read.

    Raises `SchemaError` for names or options that do not fit.
    """

    def __init__(
        self,
        database: Database | Connections,
        schema: Schema,
        *,
        tables: Mapping[str, str | Table] | None = None,
        datetimes: Datetimes = "space",
        wait: float = DEFAULT_WAIT,
    ) -> None:
        _require_choice("datetimes", datetimes, DATETIMES)
        self._connections = connections_to(database, wait)
        self._stated_schema = schema
        self._stated_tables = tables_of(schema, tables)
        _require_tables_of_their_own(self._stated_tables)
        self._datetimes: Datetimes = datetimes
        self._seen: tuple[Schema, Capabilities] | None = None
        self._needs: Needs | None = None
        self.made: tuple[str, ...] = ()
        self._shared = Shared(self._read)

    @classmethod
    def reflect(
        cls,
        database: Database | Connections,
        *,
        types: Types = "storage",
        app: str | None = None,
        version: int = 1,
        exclude: Mapping[str, str] | None = None,
        secret: Iterable[str] = (),
        migrations: Iterable[Migration] = (),
        versions: str | os.PathLike[str] | None = None,
        datetimes: Datetimes = "space",
        wait: float = DEFAULT_WAIT,
    ) -> Self:
        """The repository of a database whose catalogue says what there is.

        types
            "storage" takes every value as it is stored, to the bit; "declared" maps the declared
            types of columns to kinds, so that digests compare with other stores.
        exclude
            Tables ("name") and columns ("table.column") that are not backed up, with the reason.
        secret
            Columns ("table.column") that are secret.
        migrations, versions
            Those of the `Schema`.

        Raises `FileError`, `StoreError`, `SchemaError`; `StoreMismatch` for virtual tables of
        modules that are not known.
        """
        _require_choice("types", types, TYPES)
        _require_choice("datetimes", datetimes, DATETIMES)
        with (
            connections_to(database, wait).connection() as lease,
            _reading(lease) as (connection, catalogue),
            store_errors("the catalogue cannot be read"),
        ):
            schema = reflected_schema(
                connection,
                catalogue,
                types=types,
                app=app,
                version=version,
                exclude=exclude or {},
                migrations=migrations,
                versions=versions,
            )
        return cls(database, with_secrets(schema, secret), datetimes=datetimes, wait=wait)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._connections)!r})"

    @property
    def schema(self) -> Schema:
        """What is backed up. Raises `FileError` or `StoreError` where it cannot be read."""
        return self._look()[0]

    @property
    def capabilities(self) -> Capabilities:
        """What the database can do. Raises as `schema` does."""
        return self._look()[1]

    @property
    def place(self) -> Place | None:
        """The database's file; see `PlacedRepository`."""
        file = self._connections.file
        if file is None:
            return None
        return Place(Path(file).stem, f"sqlite:{os.path.realpath(file)}")

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[SQLiteSnapshot]:
        # On the host's one connection all that read at once read in one transaction.
        read = self._shared if self._connections.are_lent else self._read
        with read() as (connection, catalogue):
            snapshot = SQLiteSnapshot(connection, self._plans(catalogue), catalogue)
            with contextlib.closing(snapshot):
                yield snapshot

    @contextlib.contextmanager
    def transaction(
        self, *, wait: float = DEFAULT_WAIT, mark: Mark | None = None
    ) -> Iterator[SQLiteTransaction]:
        with self._connections.connection(wait) as lease, lease.writing() as connection:
            if mark is not None:
                marks.make(connection)
            with store_errors("the catalogue cannot be read"):
                catalogue = self._with_tables(connection, read_catalogue(connection))
            plans = self._plans(catalogue)
            lease.require_no_actions(catalogue, {plan.info.name for plan in plans.values()})
            with contextlib.closing(
                SQLiteTransaction(connection, plans, catalogue, lent=self._connections.are_lent)
            ) as transaction:
                yield transaction
                if not transaction.finished:
                    transaction.finish({})
            transaction.require_transaction()
            if mark is not None:
                marks.leave(connection, mark)

    def marks(self, import_id: str | None = None, *, wait: float = DEFAULT_WAIT) -> list[Mark]:
        """The marks that are committed, once no import is under way; see `MarkingRepository`."""
        with self._connections.connection(wait) as lease:
            lease.require_no_transaction()
            with lease.writing() as connection:
                return marks.found(connection, import_id)

    # -- making tables -------------------------------------------------------------------------

    def missing(self) -> tuple[str, ...]:
        """The collections whose tables are not there. Raises as `schema` does."""
        with self._read() as (_, catalogue):
            tables = self._stated_tables.items()
            return tuple(name for name, table in tables if catalogue.table(table.name) is None)

    def creating(self, schema: Schema, needs: Needs) -> Self:
        """The same database with another schema, whose transactions make what tables are missing.

        Their `made` names the collections whose tables the last one has made. A transaction that
        is rolled back leaves none of them.
        """
        tables = {name: t for name, t in self._stated_tables.items() if name in schema}
        found = type(self)(self._connections, schema, tables=tables, datetimes=self._datetimes)
        found._needs = needs  # noqa: SLF001 - one of this class
        return found

    def _with_tables(self, connection: sqlite3.Connection, catalogue: Catalogue) -> Catalogue:
        """The catalogue once the missing tables are made, where they are to be."""
        if self._needs is None:
            return catalogue
        tables = self._actual_tables(catalogue)
        self.made = make_tables(connection, catalogue, self._stated_schema, tables, self._needs)
        return read_catalogue(connection) if self.made else catalogue

    # -- schema and store ----------------------------------------------------------------------

    def _look(self) -> tuple[Schema, Capabilities]:
        if self._seen is None:
            with self._read() as (_, catalogue):
                return self._observe(catalogue)
        return self._seen

    @contextlib.contextmanager
    def _read(self) -> Iterator[tuple[sqlite3.Connection, Catalogue]]:
        with self._connections.connection() as lease, _reading(lease) as read:
            yield read

    def _plans(self, catalogue: Catalogue) -> dict[str, Plan]:
        """How each collection is read and written. Raises `StoreMismatch`."""
        schema, _ = self._observe(catalogue)
        tables = self._actual_tables(catalogue)
        found = list(_differences(schema, tables, catalogue, self._datetimes))
        if found:
            raise StoreMismatch(
                f"{self._connections} does not fit the schema: " + "; ".join(found), tuple(found)
            )
        return {c.name: self._plan(c, tables, catalogue) for c in schema.collections}

    def _actual_tables(self, catalogue: Catalogue) -> dict[str, Table]:
        return {
            c.name: catalogue.actual(c, self._stated_tables[c.name])
            for c in self._stated_schema.collections
        }

    def _observe(self, catalogue: Catalogue) -> tuple[Schema, Capabilities]:
        """Schema and capabilities, kept for those who ask outside a transaction."""
        tables = self._actual_tables(catalogue)
        schema = catalogue.excluding_housekeeping(self._stated_schema, tables)
        ordered = (
            c.name
            for c in schema.collections
            if not list(_missing(c, tables, catalogue))
            and self._plan(c, tables, catalogue).is_ordered(utf8=catalogue.utf8)
        )
        capabilities = Capabilities(
            name="sqlite",
            consistent_snapshot=True,
            atomic=True,
            savepoints=True,
            ordered_rows=frozenset(ordered),
            suspends_triggers=True,
        )
        self._seen = schema, capabilities
        return self._seen

    def _plan(
        self, collection: Collection, tables: Mapping[str, Table], catalogue: Catalogue
    ) -> Plan:
        table = tables[collection.name]
        return Plan(collection, table, catalogue.tables[table.name], self._datetimes)


@contextlib.contextmanager
def _reading(lease: Lease) -> Iterator[tuple[sqlite3.Connection, Catalogue]]:
    """A read transaction; the snapshot stands from the reading of the catalogue on."""
    with lease.reading() as connection:
        with store_errors("the database cannot be read"):
            catalogue = read_catalogue(connection)
        yield connection, catalogue


def _require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        listed = ", ".join(map(repr, choices))
        raise SchemaError.of(f"the option {name}", [f"expected one of {listed}, found {value!r}"])


def _require_tables_of_their_own(tables: Mapping[str, Table]) -> None:
    """Raise `SchemaError` for tables whose names are the same to SQLite, as t and T are."""
    by_name: dict[str, list[str]] = {}
    for collection, table in tables.items():
        by_name.setdefault(folded(table.name), []).append(f"{collection!r} in {table.name!r}")
    shared = [" and ".join(found) for found in by_name.values() if len(found) > 1]
    if shared:
        raise SchemaError.of("collections share a table of SQLite's", shared)


def _missing(
    collection: Collection, tables: Mapping[str, Table], catalogue: Catalogue
) -> Iterator[str]:
    table = tables[collection.name]
    info = catalogue.tables.get(table.name)
    if info is None:
        yield table.name
        return
    for field in collection.field_names:
        if table.column(field) not in info.columns:
            yield table.column(field)


def _differences(
    schema: Schema, tables: Mapping[str, Table], catalogue: Catalogue, datetimes: Datetimes
) -> Iterator[str]:
    """What does not fit: names, columns that cannot hold their field, keys that are not unique."""
    store = {name: info.columns for name, info in catalogue.tables.items()}
    yield from differences(schema, tables, store)
    for collection in schema.collections:
        table = tables[collection.name]
        if any(_missing(collection, tables, catalogue)):
            continue
        info = catalogue.tables[table.name]
        if info.problem:
            yield info.problem
        for field in collection.fields:
            column = info.columns[table.column(field.name)]
            reason = unsuitable(field, column, datetimes)
            if reason:
                yield f"the column {table.name}.{column.name} ({column.declared}) {reason}"
        key = [table.column(name) for name in collection.key]
        if key and info.unique_on(key) is None:
            columns = ", ".join(f"{table.name}.{column}" for column in key)
            yield f"the key of {collection.name!r}, {columns}, is not unique in the store"
