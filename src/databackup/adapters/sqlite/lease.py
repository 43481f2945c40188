"""A connection for one use, and the transaction which that use begins and ends.

Where the host lends its connection within a transaction of its own, that is a savepoint: what the
host began is neither committed nor rolled back.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

import attrs

from databackup.adapters.sqlite.connection import (
    pragma,
    primary_code,
    roll_back,
    set_pragma,
    store_error,
    store_errors,
)
from databackup.errors import CommitUnknown, StoreError, StoreFailed

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from databackup.adapters.sqlite.catalogue import Catalogue

_SAVEPOINT: Final = "databackup"


@attrs.frozen
class Lease:
    """A connection with the settings that the adapter needs.

    `within` says that the host has begun a transaction, and will end it.
    """

    connection: sqlite3.Connection
    within: bool = False

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that cannot write; it shows what it is first asked for, and from then."""
        connection = self.connection
        begun = not connection.in_transaction
        try:
            with store_errors("the database cannot be read"):
                set_pragma(connection, "query_only", 1)
                if begun:
                    connection.execute("BEGIN")
            yield connection
        finally:
            if begun:
                roll_back(connection)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that the end of the block commits, and any exception rolls back."""
        with _hosts(self.connection) if self.within else _own(self.connection):
            yield self.connection

    def require_no_transaction(self) -> None:
        """Raise `StoreError` within a transaction of the host: what it sees may not be kept."""
        if self.within:
            raise StoreError(
                "a connection in a transaction does not say for sure what is committed; commit or "
                "roll back first, or give the engine"
            )

    def require_no_actions(self, catalogue: Catalogue, covered: Container[str]) -> None:
        """Raise `StoreError` for foreign keys that would act on other rows in the meantime.

        A transaction of our own switches them off; within the host's that is not possible.
        """
        if not self.within or not pragma(self.connection, "foreign_keys"):
            return
        acting = [
            f"{key.table} ({', '.join(key.columns)})"
            for key in catalogue.foreign_keys
            if key.parent in covered and {key.on_delete, key.on_update} != {"NO ACTION"}
        ]
        if acting:
            raise StoreError(
                "SQLite enforces foreign keys that act when other rows change, and goes on doing "
                f"so within your transaction: {', '.join(acting)}; import outside a transaction, "
                "or begin it with PRAGMA foreign_keys off"
            )


@contextlib.contextmanager
def _own(connection: sqlite3.Connection) -> Iterator[None]:
    _begin(connection)
    try:
        yield
    except BaseException:
        roll_back(connection)
        raise
    _commit(connection)


def _begin(connection: sqlite3.Connection) -> None:
    """Begin to write, with references unchecked until the end and nothing that cascades.

    `PRAGMA foreign_keys` does nothing within a transaction. IMMEDIATE takes the lock at once: going
    from reading to writing later can fail with "locked", without any wait.
    """
    with store_errors("no transaction can begin"):
        _require_journal(connection)
        set_pragma(connection, "foreign_keys", 0)
        if pragma(connection, "foreign_keys"):
            raise StoreFailed("SQLite goes on enforcing foreign keys")
        connection.execute("BEGIN IMMEDIATE")


def _require_journal(connection: sqlite3.Connection) -> None:
    if pragma(connection, "main.journal_mode") == "off":
        raise StoreError(
            "the connection's journal_mode is off, so that nothing can be undone; "
            "set another journal mode, or give a path"
        )


def _commit(connection: sqlite3.Connection) -> None:
    """Keep what was written. What fails is rolled back, and is certain where it can be."""
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        # SQLite itself rolls back where the disk is full, before the point of no return.
        certain = connection.in_transaction or primary_code(error) == sqlite3.SQLITE_FULL
        roll_back(connection)
        if certain:
            raise store_error(error, "nothing was committed") from error
        raise CommitUnknown(f"the commit failed: {error}") from error


@contextlib.contextmanager
def _hosts(connection: sqlite3.Connection) -> Iterator[None]:
    """A savepoint. What drivers call a transaction may not have reached SQLite: then begin it."""
    with store_errors("no savepoint can be set"):
        _require_journal(connection)
        begun = not connection.in_transaction
        if begun:
            connection.execute("BEGIN IMMEDIATE")
        set_pragma(connection, "defer_foreign_keys", 1)
        connection.execute(f"SAVEPOINT {_SAVEPOINT}")
    try:
        yield
    except BaseException:
        if begun:
            roll_back(connection)
        elif connection.in_transaction:
            with store_errors("the savepoint cannot be rolled back; roll back your transaction"):
                connection.execute(f"ROLLBACK TO {_SAVEPOINT}")
                connection.execute(f"RELEASE {_SAVEPOINT}")
        raise
    with store_errors("the savepoint cannot be released; roll back your transaction"):
        connection.execute(f"RELEASE {_SAVEPOINT}")
