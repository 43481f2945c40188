"""Connections of a host's engine, or the one that it lends, and the transactions on them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import attrs
import sqlalchemy
from sqlalchemy import exc
from sqlalchemy.exc import SQLAlchemyError

from databackup.adapters.sqlalchemy.drivers import plain_engine, shown
from databackup.errors import CommitUnknown, StoreError, StoreLocked, StoreUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.adapters.sqlalchemy.dialect import Dialect

DEFAULT_WAIT: Final = 5.0


@attrs.frozen
class Connections:
    """Where transactions come from: an engine, or one connection that the host lends.

    A lent connection within a transaction of the host gets a savepoint: the host's transaction is
    neither committed nor rolled back. `wait` is how many seconds what reads waits for a lock.
    """

    bind: sqlalchemy.Engine | sqlalchemy.Connection
    dialect: Dialect
    wait: float = DEFAULT_WAIT

    @property
    def engine(self) -> sqlalchemy.Engine:
        """The engine, which is never asked for more than a connection."""
        return self.bind.engine

    @property
    def are_lent(self) -> bool:
        """Whether there is only the host's one connection."""
        return isinstance(self.bind, sqlalchemy.Connection)

    @property
    def are_within(self) -> bool:
        """Whether the host has begun a transaction on its connection."""
        return isinstance(self.bind, sqlalchemy.Connection) and self.bind.in_transaction()

    def __str__(self) -> str:
        return shown(self.engine)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlalchemy.Connection]:
        """A connection in a transaction that shows one moment's state, and is rolled back."""
        with self._begun(self.dialect.snapshot_isolation) as (connection, transaction):
            try:
                with self.errors(f"{self} cannot be read"):
                    self.dialect.begin_snapshot(connection, self.wait)
                yield connection
            finally:
                self._roll_back(connection, transaction)

    @contextlib.contextmanager
    def writing(self, wait: float) -> Iterator[sqlalchemy.Connection]:
        """A connection in a transaction for one import; the block's end commits."""
        with self._begun(self.dialect.write_isolation) as (connection, transaction):
            try:
                self._keep_imports_out(connection, wait)
                yield connection
            except BaseException:
                self._roll_back(connection, transaction)
                raise
            self._commit(connection, transaction)

    @contextlib.contextmanager
    def between_imports(self, wait: float) -> Iterator[sqlalchemy.Connection]:
        """A connection in a transaction while no import is under way; it is rolled back."""
        with self._begun(self.dialect.write_isolation) as (connection, transaction):
            try:
                self._keep_imports_out(connection, wait)
                yield connection
            finally:
                self._roll_back(connection, transaction)

    def _keep_imports_out(self, connection: sqlalchemy.Connection, wait: float) -> None:
        with self.errors("no transaction can begin"):
            self.dialect.begin_transaction(connection, wait)

    @contextlib.contextmanager
    def _begun(
        self, isolation: str
    ) -> Iterator[tuple[sqlalchemy.Connection, sqlalchemy.Transaction]]:
        if isinstance(self.bind, sqlalchemy.Connection):
            with self.errors("the connection cannot be used"):
                within = self.bind.in_transaction()
                begun = self.bind.begin_nested() if within else self.bind.begin()
            yield self.bind, begun
            return
        with contextlib.closing(self._connected(self.bind)) as connection:
            with self.errors(f"{self} cannot be reached"):
                begun = connection.execution_options(isolation_level=isolation).begin()
            yield connection, begun

    def _connected(self, engine: sqlalchemy.Engine) -> sqlalchemy.Connection:
        try:
            return engine.connect()
        except exc.TimeoutError as error:
            raise StoreLocked(f"{self}: all connections of the pool are in use") from error
        except self.dialect.errors as error:
            found = self.dialect.error(error, f"{self} cannot be reached")
            raise StoreUnreachable(found.message) from error

    def _roll_back(
        self, connection: sqlalchemy.Connection, transaction: sqlalchemy.Transaction
    ) -> None:
        """End without keeping anything; a connection that cannot is given up."""
        try:
            transaction.rollback()
        except self.dialect.errors:
            if connection is not self.bind:
                with contextlib.suppress(SQLAlchemyError):
                    connection.invalidate()
        self._end(connection)

    def _commit(
        self, connection: sqlalchemy.Connection, transaction: sqlalchemy.Transaction
    ) -> None:
        try:
            transaction.commit()
        except self.dialect.errors as error:
            within = isinstance(transaction, sqlalchemy.NestedTransaction)
            # A host's transaction is given up with its connection, and its savepoints are.
            unknown = self.dialect.is_disconnect(error) and not within
            self._roll_back(connection, transaction)
            if unknown:
                reason = getattr(error, "orig", None) or error
                raise CommitUnknown(
                    f"the connection was lost during the commit: {reason}"
                ) from error
            raise self.dialect.error(error, "nothing was committed") from error
        self._end(connection)

    def _end(self, connection: sqlalchemy.Connection) -> None:
        """Give back what outlives a transaction; a connection that cannot is given up."""
        try:
            self.dialect.end(connection)
        except self.dialect.errors:
            if connection is not self.bind:
                with contextlib.suppress(SQLAlchemyError):
                    connection.invalidate()

    @contextlib.contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn the driver's errors and SQLAlchemy's into errors of this library."""
        with engine_errors(self.dialect, doing):
            yield


@contextlib.contextmanager
def engine_errors(dialect: Dialect, doing: str) -> Iterator[None]:
    """Turn the driver's errors and SQLAlchemy's into errors of this library."""
    try:
        yield
    except dialect.errors as error:
        raise dialect.error(error, doing) from error


def bind_of(bind: Any) -> sqlalchemy.Engine | sqlalchemy.Connection:
    """The engine or connection that was given; for an async engine a sync one of the same URL.

    Raises `StoreError` for anything else.
    """
    on_a_loop = isinstance(getattr(bind, "sync_engine", None), sqlalchemy.Engine)
    if on_a_loop and not hasattr(bind, "sync_connection"):
        return plain_engine(bind)
    if not on_a_loop and not isinstance(bind, sqlalchemy.Engine | sqlalchemy.Connection):
        what = f"{type(bind).__module__}.{type(bind).__qualname__}"
        raise StoreError(f"an Engine or a Connection of SQLAlchemy is needed, not {what}")
    if on_a_loop or bind.dialect.is_async:
        raise StoreError("a connection of an AsyncEngine cannot be used; give the AsyncEngine")
    found: sqlalchemy.Engine | sqlalchemy.Connection = bind
    return found
