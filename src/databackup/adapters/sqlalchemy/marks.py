"""The table of marks, by which it is told later whether an import was committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import sqlalchemy

from databackup.adapters._sql import MARKS, NEWEST_MARKS
from databackup.errors import StoreDenied, StoreError
from databackup.repository import Mark

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from databackup.adapters.sqlalchemy.connections import Connections

_TABLE: Final = sqlalchemy.Table(
    MARKS,
    sqlalchemy.MetaData(),
    sqlalchemy.Column("id", sqlalchemy.String(36), primary_key=True),
    sqlalchemy.Column("seal", sqlalchemy.String(80), nullable=False),
    sqlalchemy.Column("time", sqlalchemy.String(30), nullable=False),
    mysql_engine="InnoDB",
    mariadb_engine="InnoDB",
)


@attrs.frozen
class Marks:
    """The marks in a database of a server."""

    _connections: Connections

    def prepare(self, wait: float) -> None:
        """See that the table is there where making it within a transaction would commit that.

        Raises `StoreError` where it would commit what the host has begun.
        """
        connections = self._connections
        if not connections.dialect.ddl_commits:
            return
        with connections.reading() as connection, self._making():
            if _is_there(connection):
                return
        if connections.are_within:
            raise StoreError(
                f"the table {MARKS} is missing, and to make it would commit your transaction; "
                f"make it first: {_ddl(connections)}"
            )
        with connections.writing(wait) as connection:
            self._make(connection)

    def begin(self, connection: sqlalchemy.Connection) -> None:
        """See that the table is there, within an import's transaction."""
        if not self._connections.dialect.ddl_commits:
            self._make(connection)

    def leave(self, connection: sqlalchemy.Connection, mark: Mark) -> None:
        """Write a mark, as the last of a transaction."""
        row = {"id": mark.import_id, "seal": mark.seal, "time": mark.time}
        with self._connections.errors(f"no mark can be left in {MARKS}"):
            connection.execute(sqlalchemy.insert(_TABLE), row)

    def found(self, import_id: str | None, wait: float) -> list[Mark]:
        """The mark of an import, or the newest ones, once no import is under way.

        Raises `StoreError` for a lent connection, whose transaction may not see what is committed
        and may see what is not, and for a replica, which may lag behind.
        """
        if self._connections.are_lent:
            raise StoreError(
                "a lent connection does not say for sure what is committed; give the engine"
            )
        query = sqlalchemy.select(_TABLE)
        if import_id is None:
            query = query.order_by(_TABLE.c.time.desc(), _TABLE.c.id).limit(NEWEST_MARKS)
        else:
            query = query.where(_TABLE.c.id == import_id)
        connections = self._connections
        cannot = connections.errors(f"{MARKS} cannot be read")
        with connections.between_imports(wait) as connection, cannot:
            if connections.dialect.is_replica(connection):
                raise StoreDenied(
                    f"{connections} is a replica, or read-only, and may lag behind; ask the server "
                    "that was imported into"
                )
            rows = connection.execute(query).all() if _is_there(connection) else []
        return [Mark(import_id=row.id, seal=row.seal, time=row.time) for row in rows]

    def _make(self, connection: sqlalchemy.Connection) -> None:
        with self._making():
            if not _is_there(connection):
                connection.execute(sqlalchemy.schema.CreateTable(_TABLE))

    def _making(self) -> AbstractContextManager[None]:
        return self._connections.errors(
            f"no table of marks can be made; let somebody who may make it, and let this user read "
            f"it and add to it: {_ddl(self._connections)}"
        )


def _is_there(connection: sqlalchemy.Connection) -> bool:
    return sqlalchemy.inspect(connection).has_table(MARKS)


def _ddl(connections: Connections) -> str:
    made = sqlalchemy.schema.CreateTable(_TABLE).compile(dialect=connections.bind.dialect)
    return " ".join(str(made).split())
