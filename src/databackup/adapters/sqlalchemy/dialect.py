"""What differs between engines: the protocol that each implements in a package of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy

    from databackup.adapters._binding import Form
    from databackup.adapters._newtables import NewColumn
    from databackup.adapters.sqlalchemy.catalogue import Catalogue, Column, TableInfo
    from databackup.adapters.sqlalchemy.session import Scope, SQLSnapshot, SQLTransaction
    from databackup.errors import DatabackupError
    from databackup.schema import Collection, Field, Kind
    from databackup.schema.model import OffKind


class Creation(Protocol):
    """How one engine's tables are made."""

    undone: bool
    """Whether a rollback undoes that a table was made; otherwise making one commits."""
    default_schema: str
    """The query for the schema that tables are in unless it is said."""

    def options(self, connection: sqlalchemy.Connection) -> Mapping[str, str]:
        """The options of a `sqlalchemy.Table`."""

    def type_of(
        self, column: NewColumn, connection: sqlalchemy.Connection
    ) -> sqlalchemy.types.TypeEngine[Any]:
        """The type of a column that is to hold what a field's kind and extent say."""

    def numbering(self, column: NewColumn) -> Sequence[sqlalchemy.Identity]:
        """What lets the engine give out numbers for a column of the key."""

    def unfit(self, name: str) -> str | None:
        """Why the engine has no such name."""

    def make_schema(self, connection: sqlalchemy.Connection, name: str) -> None:
        """Make a database schema, where that is a part of the transaction."""

    def begin_again(self, connection: sqlalchemy.Connection) -> None:
        """Begin the transaction anew that making tables has ended."""


class Dialect(Protocol):
    """How one engine is read and written."""

    name: str
    """The adapter's name in `Capabilities` and in an archive's header."""
    snapshot_isolation: str
    """The isolation level of a snapshot, as SQLAlchemy calls it."""
    write_isolation: str
    ddl_commits: bool
    """Whether a statement that makes a table commits what was written before it."""
    errors: tuple[type[Exception], ...]
    """What SQLAlchemy raises, and the driver where it is used directly."""
    creation: Creation
    """How tables are made."""

    def suspends_triggers(self, catalogue: Catalogue, tables: Iterable[str]) -> bool:
        """Whether triggers do not fire on what is written to these tables."""

    def is_disconnect(self, error: BaseException) -> bool:
        """Whether an error, SQLAlchemy's or the driver's, says that the connection is gone."""

    def quoted(self, name: str) -> str:
        """A name as SQL."""

    def begin_snapshot(self, connection: sqlalchemy.Connection, wait: float) -> None:
        """Prepare a transaction that has just begun for reading one moment's state.

        What waits for a lock in it gives up after `wait` seconds.
        """

    def begin_transaction(self, connection: sqlalchemy.Connection, wait: float) -> None:
        """Prepare a transaction that has just begun for writing, and keep other imports out.

        Raises `StoreLocked` after `wait` seconds, `StoreError` for what cannot be undone.
        """

    def end(self, connection: sqlalchemy.Connection) -> None:
        """Give back what outlives a transaction: session settings and locks of the session."""

    def is_replica(self, connection: sqlalchemy.Connection) -> bool:
        """Whether a server only follows another one, so that it may lag behind."""

    def lock(
        self, connection: sqlalchemy.Connection, tables: Sequence[TableInfo], *, write: bool
    ) -> None:
        """Keep others from changing these tables' definitions, and with `write` their rows.

        May raise `StoreLocked` itself, to say who is in the way.
        """

    def catalogue(self, connection: sqlalchemy.Connection, schemas: Sequence[str]) -> Catalogue:
        """What the database says about its default schema and these others."""

    def kind(self, column: Column) -> Kind:
        """The kind of what a column holds, for reflection; without `Optional`."""

    def off_kind(self, column: Column) -> OffKind:
        """Whether reflection lets a field keep what is off its kind: where the type can hold it."""

    def form(self, field: Field, column: Column) -> Form:
        """How a field's values stand in a column."""

    def unsuitable(self, field: Field, column: Column) -> str | None:
        """Why a column cannot hold a field's values, where its declaration makes that plain."""

    def is_ordered(self, collection: Collection, columns: Mapping[str, Column]) -> bool:
        """Whether rows can be had in the order of their keys' values; `columns` are by field."""

    def snapshot(self, scope: Scope) -> SQLSnapshot:
        """A view of the transaction that `begin_snapshot` has prepared."""

    def transaction(self, scope: Scope) -> SQLTransaction:
        """The transaction that `begin_transaction` has prepared."""

    def error(self, error: BaseException, doing: str) -> DatabackupError:
        """The error of this library for one of the driver's or of SQLAlchemy's.

        `RecordsRefused` where the engine refuses what was written, `StoreLocked`, `StoreFailed`.
        """
