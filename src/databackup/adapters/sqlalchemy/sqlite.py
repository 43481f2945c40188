"""SQLite behind SQLAlchemy: read and written by SQLite's own adapter, over the host's pool."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from sqlalchemy import exc, pool

from databackup.adapters.sqlalchemy.drivers import shown
from databackup.adapters.sqlite.connections import DEFAULT_WAIT, Connections, lent, require_file
from databackup.errors import StoreError, StoreFailed, StoreLocked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.adapters.sqlite.lease import Lease

_ONE_CONNECTION: Final = pool.StaticPool | pool.SingletonThreadPool


class PooledConnections(Connections):
    """The connections of an engine, or the one that the host lends.

    The engine's own events have set them up; they get their settings back, and go back to the pool.
    """

    def __init__(
        self, bind: sqlalchemy.Engine | sqlalchemy.Connection, wait: float = DEFAULT_WAIT
    ) -> None:
        super().__init__(wait)
        self._bind = bind

    @property
    def are_lent(self) -> bool:
        bind = self._bind
        return isinstance(bind, sqlalchemy.Connection) or isinstance(bind.pool, _ONE_CONNECTION)

    @property
    def file(self) -> str | None:
        found = self._bind.engine.url.database or ""
        return None if found in ("", ":memory:") or found.startswith("file:") else found

    def __str__(self) -> str:
        return shown(self._bind.engine)

    @contextlib.contextmanager
    def connection(self, wait: float | None = None) -> Iterator[Lease]:
        """A connection for one use; it is within a transaction of the host, or in none."""
        wait = self._wait if wait is None else wait
        with contextlib.ExitStack() as stack:
            if self.are_lent:
                stack.enter_context(self.one_user(wait))
            if isinstance(self._bind, sqlalchemy.Connection):
                connection, within = _of_host(self._bind)
            else:
                pooled = stack.enter_context(self._checked_out(self._bind))
                connection, within = _sqlite3(pooled), False
            yield stack.enter_context(lent(connection, wait, within=within))

    @contextlib.contextmanager
    def _checked_out(self, engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.PoolProxiedConnection]:
        _require_no_other_user(engine.pool)
        _require_file(engine.url)
        try:
            pooled = engine.raw_connection()
        except exc.TimeoutError as error:
            raise StoreLocked(f"{self}: all connections of the pool are in use") from error
        except (exc.SQLAlchemyError, sqlite3.Error) as error:
            reason = getattr(error, "orig", None) or error
            raise StoreFailed(f"{self} cannot be opened: {reason}") from error
        try:
            yield pooled
        finally:
            pooled.close()


def _of_host(connection: sqlalchemy.Connection) -> tuple[sqlite3.Connection, bool]:
    """The driver's connection, and whether the host has begun a transaction.

    The driver tells SQLite of it only at the first write, unless the host saw to that itself.
    """
    try:
        found = _sqlite3(connection.connection)
    except exc.SQLAlchemyError as error:
        raise StoreFailed(f"the connection cannot be used: {error}") from error
    autocommit = found.isolation_level is None
    return found, found.in_transaction or (connection.in_transaction() and not autocommit)


def _sqlite3(pooled: sqlalchemy.PoolProxiedConnection) -> sqlite3.Connection:
    found: Any = pooled.driver_connection
    if not isinstance(found, sqlite3.Connection):
        raise StoreError(
            f"the engine's driver has connections of {type(found).__module__}, not of sqlite3"
        )
    return found


def _require_no_other_user(found: pool.Pool) -> None:
    """Raise where the pool's one connection is in a transaction, which giving it back ends."""
    if isinstance(found, pool.StaticPool):
        connection: Any = found.connection.dbapi_connection
        if getattr(connection, "in_transaction", False):
            raise StoreError(
                "the engine's one connection is in a transaction; commit or roll back first, or "
                "give the Connection that began it"
            )


def _require_file(url: sqlalchemy.URL) -> None:
    """Raise `FileError` where there is no file: SQLite itself would make an empty one."""
    name = url.database
    if name and name != ":memory:" and not name.startswith("file:"):
        require_file(Path(name))
