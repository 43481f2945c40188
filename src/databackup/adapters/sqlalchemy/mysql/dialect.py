"""MariaDB and MySQL as a dialect of the SQLAlchemy adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

from databackup.adapters.sqlalchemy.mysql import (
    catalogue,
    errors,
    forms,
    locks,
    settings,
    statements,
)
from databackup.adapters.sqlalchemy.mysql.create import MySQLCreation
from databackup.adapters.sqlalchemy.mysql.offkind import off_kind_of
from databackup.adapters.sqlalchemy.mysql.session import MySQLSnapshot, MySQLTransaction
from databackup.errors import StoreError, StoreLocked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy

    from databackup.adapters._binding import Form
    from databackup.adapters.sqlalchemy.catalogue import Catalogue, Column, TableInfo
    from databackup.adapters.sqlalchemy.session import Scope
    from databackup.errors import DatabackupError
    from databackup.schema import Collection, Field, Kind
    from databackup.schema.model import OffKind

_LOCK: Final = "concat('databackup.', sha1(database()))"
_REPEATABLE: Final = ("REPEATABLE READ", "SERIALIZABLE")


class MySQLDialect:
    """How MariaDB and MySQL are read and written."""

    name = "mysql"
    snapshot_isolation = "REPEATABLE READ"
    # Reads lock what they read: what is checked stays true until the commit.
    write_isolation = "SERIALIZABLE"
    ddl_commits = True
    errors: tuple[type[Exception], ...] = (SQLAlchemyError,)
    creation = MySQLCreation()

    def suspends_triggers(self, catalogue: Catalogue, tables: Iterable[str]) -> bool:
        del catalogue, tables
        return False

    def is_disconnect(self, error: BaseException) -> bool:
        return errors.is_disconnect(error)

    def quoted(self, name: str) -> str:
        return catalogue.quoted(name)

    def begin_snapshot(self, connection: sqlalchemy.Connection, wait: float) -> None:
        settings.change(connection, settings.reading(wait))
        self._begin(connection, self.snapshot_isolation, " WITH CONSISTENT SNAPSHOT, READ ONLY")

    def begin_transaction(self, connection: sqlalchemy.Connection, wait: float) -> None:
        settings.change(connection, settings.writing(wait))
        self._take_lock(connection, wait)
        # Without READ WRITE, which would override a default of the host's.
        self._begin(connection, self.write_isolation)

    def _begin(self, connection: sqlalchemy.Connection, isolation: str, how: str = "") -> None:
        """Begin a transaction of the server's, except where the host has: that would commit it."""
        if not connection.in_nested_transaction():
            connection.exec_driver_sql(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
            connection.exec_driver_sql(f"START TRANSACTION{how}")
            return
        ((autocommit,),) = connection.exec_driver_sql("SELECT @@autocommit")
        if autocommit:
            raise StoreError("the connection commits each statement; lend one that does not")
        level = connection.get_isolation_level()
        if level not in _REPEATABLE:
            raise StoreError(
                f"the connection's transaction is {level}, in which reading twice may give two "
                f"answers; begin it as {' or '.join(_REPEATABLE)}"
            )

    def _take_lock(self, connection: sqlalchemy.Connection, wait: float) -> None:
        # The session that has the lock would be given it once more.
        if settings.is_used(connection):
            raise StoreLocked("an export or import is under way on this connection")
        if not settings.take_lock(connection, _LOCK, wait):
            holder = locks.holder(connection, _LOCK)
            raise StoreLocked(
                f"another import into this database is under way, in {holder} (waited {wait} s)"
            )

    def end(self, connection: sqlalchemy.Connection) -> None:
        if connection.closed or connection.invalidated:
            return
        within = connection.in_transaction()
        settings.give_back(connection)
        if not within:
            connection.rollback()  # of what SQLAlchemy has begun for these statements

    def is_replica(self, connection: sqlalchemy.Connection) -> bool:
        return bool(connection.exec_driver_sql("SELECT @@global.read_only").scalar())

    def lock(
        self, connection: sqlalchemy.Connection, tables: Sequence[TableInfo], *, write: bool
    ) -> None:
        """Open each table, so that nobody truncates or alters it; reads and writes lock rows."""
        unsafe = [t for t in tables if write and not t.details.transactional]
        if unsafe:
            named = ", ".join(f"{t.name} ({t.details.engine})" for t in unsafe)
            raise StoreError(
                f"tables whose engine cannot undo what is written: {named}; "
                "ALTER TABLE … ENGINE=InnoDB makes them safe"
            )
        for table in tables:
            connection.exec_driver_sql(f"SELECT 1 FROM {table.sql} LIMIT 0", ())

    def catalogue(self, connection: sqlalchemy.Connection, schemas: Sequence[str]) -> Catalogue:
        return catalogue.read_catalogue(connection, schemas)

    def kind(self, column: Column) -> Kind:
        return forms.kind_of(column)

    def off_kind(self, column: Column) -> OffKind:
        return off_kind_of(column, self.kind(column))

    def form(self, field: Field, column: Column) -> Form:
        return forms.form_of(field, column)

    def unsuitable(self, field: Field, column: Column) -> str | None:
        return forms.unsuitable(field, column)

    def is_ordered(self, collection: Collection, columns: Mapping[str, Column]) -> bool:
        return statements.is_ordered(collection, columns)

    def snapshot(self, scope: Scope) -> MySQLSnapshot:
        return MySQLSnapshot(scope)

    def transaction(self, scope: Scope) -> MySQLTransaction:
        return MySQLTransaction(scope)

    def error(self, error: BaseException, doing: str) -> DatabackupError:
        return errors.store_error(error, doing)
