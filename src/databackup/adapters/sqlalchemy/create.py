"""Tables made in a server's database through SQLAlchemy's DDL.

Names are quoted, types come from a dialect's own list, and nothing else of an archive gets into a
statement.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy.schema import (
    AddConstraint,
    CreateTable,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    UniqueConstraint,
)
from sqlalchemy.sql.elements import quoted_name

from databackup.adapters._newtables import new_tables
from databackup.errors import CannotCreate, CommitUnknown, DatabackupError, StoreLocked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from databackup.adapters._newtables import NewColumn, NewReference, NewTable
    from databackup.adapters._sql import Table
    from databackup.adapters.sqlalchemy.catalogue import Catalogue
    from databackup.adapters.sqlalchemy.connections import Connections
    from databackup.repository import Needs
    from databackup.schema import Schema


class NewTables:
    """The tables that transactions of one repository make, where they are missing."""

    def __init__(
        self,
        connections: Connections,
        schema: Schema,
        tables: Mapping[str, Table],
        schemas: Sequence[str],
        needs: Needs,
    ) -> None:
        self._connections = connections
        self._dialect = connections.dialect
        self._creation = connections.dialect.creation
        self._schema = schema
        self._tables = tables
        self._schemas = schemas
        self._needs = needs
        self._made: list[tuple[NewTable, sqlalchemy.Table]] = []

    @property
    def made(self) -> tuple[str, ...]:
        """The collections whose tables the last transaction has made."""
        return tuple(table.collection for table, _ in self._made)

    def make(self, connection: sqlalchemy.Connection, catalogue: Catalogue) -> bool:
        """Make the tables that a catalogue lacks; whether there were any.

        Raises `CannotCreate`, `StoreError`.
        """
        self._made = []
        missing = new_tables(self._schema, self._tables, catalogue.tables, self._needs)
        if not missing:
            return False
        self._require_names(missing)
        if not self._creation.undone and connection.in_nested_transaction():
            raise CannotCreate.of(
                self._connections,
                ["making a table would commit your transaction; give the engine instead"],
            )
        places = self._places(connection)
        for table in missing:
            made = self._table(table, places, connection)
            self._run(connection, table, CreateTable(made, include_foreign_key_constraints=[]))
            self._made.append((table, made))
        # Afterwards: references may go in circles.
        for table, made in self._made:
            for reference in table.references:
                self._run(connection, table, AddConstraint(_foreign_key(made, reference, places)))
        if not self._creation.undone:
            with self._connections.errors("no transaction can begin"):
                self._creation.begin_again(connection)
        return True

    def _require_names(self, tables: Sequence[NewTable]) -> None:
        problems = [
            f"the name {name!r} of {what} {why}"
            for table in tables
            for name, what in self._names(table)
            if (why := self._creation.unfit(name))
        ]
        if problems:
            raise CannotCreate.of(self._connections, problems)

    def _names(self, table: NewTable) -> Iterator[tuple[str, str]]:
        """The names in a table, and what each is the name of."""
        yield self._place_of(table.name)[1], "a table"
        yield from ((column.name, f"a column of {table.name!r}") for column in table.columns)

    def _place_of(self, name: str) -> tuple[str | None, str]:
        """The database schema and the name of a table; a schema is one that was asked for."""
        for schema in self._schemas:
            if name.startswith(f"{schema}."):
                return schema, name.removeprefix(f"{schema}.")
        return None, name

    def _places(self, connection: sqlalchemy.Connection) -> _Places:
        """The places of all tables, in schemas that are there."""
        with self._connections.errors("the catalogue cannot be read"):
            ((default,),) = connection.exec_driver_sql(self._creation.default_schema)
            there = set(sqlalchemy.inspect(connection).get_schema_names())
        if default is None:
            raise CannotCreate.of(self._connections, ["there is no schema to make tables in"])
        found = {table.name: self._place_of(table.name) for table in self._tables.values()}
        for schema in sorted({schema for schema, _ in found.values() if schema} - there):
            with self._connections.errors(f"the schema {schema!r} cannot be made"):
                self._creation.make_schema(connection, schema)
        return {name: (schema or default, table) for name, (schema, table) in found.items()}

    def _table(
        self, table: NewTable, places: _Places, connection: sqlalchemy.Connection
    ) -> sqlalchemy.Table:
        schema, name = places[table.name]
        options: dict[str, Any] = dict(self._creation.options(connection))
        return sqlalchemy.Table(
            _quoted(name),
            sqlalchemy.MetaData(),
            *(self._column(column, table, connection) for column in table.columns),
            *([PrimaryKeyConstraint(*map(_quoted, table.key))] if table.key else []),
            *(UniqueConstraint(*map(_quoted, names)) for names in table.unique),
            schema=_quoted(schema),
            **options,
        )

    def _column(
        self, column: NewColumn, table: NewTable, connection: sqlalchemy.Connection
    ) -> sqlalchemy.Column[object]:
        numbering = self._creation.numbering(column) if column.counted else ()
        return sqlalchemy.Column(
            _quoted(column.name),
            self._creation.type_of(column, connection),
            *numbering,
            nullable=column.nullable and column.name not in table.key,
            autoincrement=column.counted,
        )

    def _run(
        self, connection: sqlalchemy.Connection, table: NewTable, statement: sqlalchemy.Executable
    ) -> None:
        try:
            connection.execute(statement)
        except self._dialect.errors as error:
            what = f"the table {table.name!r} cannot be made"
            found = self._dialect.error(error, what)
            if isinstance(found, StoreLocked) or self._dialect.is_disconnect(error):
                raise found from error
            raise CannotCreate.of(what, [_reason(found, what)]) from error

    # -- where making a table commits ----------------------------------------------------------

    @contextlib.contextmanager
    def dropped_on_failure(self, wait: float) -> Iterator[None]:
        """Drop what was made where the block fails, and a rollback does not undo it.

        A table that holds something by then is left: somebody else has used it.
        """
        try:
            yield
        except CommitUnknown:
            raise
        except BaseException as error:
            if self._made and not self._creation.undone:
                self._drop(wait, error)
            raise

    def _drop(self, wait: float, cause: BaseException) -> None:
        left = [table.name for table, _ in self._made]
        try:
            with self._connections.writing(wait) as connection:
                empty = [m for _, m in self._made if not _has_rows(connection, m)]
                for table in reversed(empty):
                    with self._connections.errors("a table cannot be dropped"):
                        connection.execute(sqlalchemy.schema.DropTable(table))
                    left.remove(table.name)
        except DatabackupError as error:
            text = f"tables that were made are left, empty: {', '.join(left)} ({error.message})"
            if isinstance(cause, DatabackupError):
                cause.message += f"; {text}"
            else:
                cause.add_note(text)


_Places = dict[str, tuple[str, str]]


def _has_rows(connection: sqlalchemy.Connection, table: sqlalchemy.Table) -> bool:
    return (
        connection.execute(
            sqlalchemy.select(sqlalchemy.literal(1)).select_from(table).limit(1)
        ).first()
        is not None
    )


def _foreign_key(
    table: sqlalchemy.Table, reference: NewReference, places: _Places
) -> ForeignKeyConstraint:
    schema, name = places[reference.parent]
    parent = sqlalchemy.Table(
        _quoted(name),
        sqlalchemy.MetaData(),
        *(sqlalchemy.Column(_quoted(column)) for column in reference.to),
        schema=_quoted(schema),
    )
    constraint = ForeignKeyConstraint(
        [table.c[column] for column in reference.columns],
        [parent.c[column] for column in reference.to],
        name=_constraint_name(table.name, reference),
    )
    table.append_constraint(constraint)
    return constraint


def _constraint_name(table: str, reference: NewReference) -> str:
    """A short name: what engines make of a long table's name may be too long for themselves."""
    text = repr((table, reference.columns, reference.parent, reference.to))
    return f"fk_{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def _quoted(name: str) -> quoted_name:
    return quoted_name(name, quote=True)


def _reason(error: DatabackupError, what: str) -> str:
    return error.message.removeprefix(f"{what}: ")
