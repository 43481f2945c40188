"""Where connections to SQLite come from: opened or lent, set up and given back."""

from __future__ import annotations

import abc
import contextlib
import os
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from databackup.adapters.sqlite.connection import pragma, set_pragma, store_errors
from databackup.adapters.sqlite.lease import Lease
from databackup.errors import DatabackupError, FileError, StoreError, StoreLocked, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Database = str | os.PathLike[str] | sqlite3.Connection | Callable[[], sqlite3.Connection]

T = TypeVar("T")

DEFAULT_WAIT: Final = 5.0
_CACHE_KIB: Final = 16 * 1024  # an index of a hundred thousand records fits in


class Connections(abc.ABC):
    """Where connections to one database come from, each for one use."""

    def __init__(self, wait: float = DEFAULT_WAIT) -> None:
        self._wait = wait
        self._lent = threading.Lock()

    @property
    @abc.abstractmethod
    def are_lent(self) -> bool:
        """Whether there is only the host's one connection."""

    @property
    @abc.abstractmethod
    def file(self) -> str | None:
        """The path of the database's file, None where it has none or that cannot be told."""

    @abc.abstractmethod
    def connection(self, wait: float | None = None) -> AbstractContextManager[Lease]:
        """A connection with the settings that the adapter needs, for one use."""

    @contextlib.contextmanager
    def one_user(self, wait: float) -> Iterator[None]:
        """Keep others from the host's one connection. Raises `StoreLocked`."""
        if not self._lent.acquire(timeout=wait):
            raise StoreLocked("the connection is in use by another export or import")
        try:
            yield
        finally:
            self._lent.release()


class OpenedConnections(Connections):
    """Where connections to one database come from.

    A path and a callable give a fresh one each time, which is closed again. A connection of the
    host's own is lent, to one user at a time, and gets its settings back.
    """

    def __init__(self, database: Database, wait: float = DEFAULT_WAIT) -> None:
        if not (isinstance(database, str | os.PathLike | sqlite3.Connection) or callable(database)):
            raise TypeError(
                "a path, a sqlite3.Connection or a callable that returns one, "
                f"not {type(database).__name__}"
            )
        super().__init__(wait)
        self._database = database

    @property
    def are_lent(self) -> bool:
        return isinstance(self._database, sqlite3.Connection)

    @property
    def file(self) -> str | None:
        database = self._database
        if isinstance(database, str | os.PathLike):
            return os.fspath(database)
        with contextlib.suppress(sqlite3.Error, DatabackupError):
            if isinstance(database, sqlite3.Connection):
                return _file_of(database)
            with contextlib.closing(_call(database)) as connection:
                return _file_of(connection)
        return None

    def __str__(self) -> str:
        if isinstance(self._database, str | os.PathLike):
            return str(self._database)
        return "the SQLite database"

    @contextlib.contextmanager
    def connection(self, wait: float | None = None) -> Iterator[Lease]:
        wait = self._wait if wait is None else wait
        database = self._database
        if isinstance(database, sqlite3.Connection):
            with self.one_user(wait), lent(database, wait) as lease:
                yield lease
            return
        if isinstance(database, str | os.PathLike):
            opened, cache = _open_file(Path(database)), _CACHE_KIB
        else:
            opened, cache = _call(database), None
        with contextlib.closing(opened) as connection:
            _require_no_transaction(connection)
            with store_errors(f"{self} cannot be opened"):
                _set_up(connection, wait)
                if cache is not None:
                    set_pragma(connection, "cache_size", -cache)
            yield Lease(connection)


def _file_of(connection: sqlite3.Connection) -> str | None:
    for _, name, file in connection.execute("PRAGMA database_list").fetchall():
        if name == "main":
            return os.fsdecode(file) or None
    return None


def connections_to(database: Database | Connections, wait: float) -> Connections:
    """Where connections to a database come from."""
    return database if isinstance(database, Connections) else OpenedConnections(database, wait)


@contextlib.contextmanager
def lent(connection: sqlite3.Connection, wait: float, *, within: bool = False) -> Iterator[Lease]:
    """The host's own connection, which gets its settings back; `within` a transaction of its own.

    Raises `StoreError` where it is in a transaction otherwise.
    """
    if not within:
        _require_no_transaction(connection)
    with store_errors("the connection cannot be used"):
        give_back = _settings_of(connection, within=within)
        _set_up(connection, wait, within=within)
    try:
        yield Lease(connection, within)
    finally:
        give_back()


def _require_no_transaction(connection: sqlite3.Connection) -> None:
    with store_errors("the connection cannot be used"):
        in_transaction = connection.in_transaction
    if in_transaction:
        raise StoreError(
            "the connection is in a transaction; commit or roll back first, "
            "or give a path or a callable that opens a connection"
        )


def _call(database: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
    with store_errors("the connection cannot be opened"):
        connection = database()
    if not isinstance(connection, sqlite3.Connection):
        raise StoreError(
            f"the callable returned {type(connection).__name__}, not a sqlite3.Connection"
        )
    return connection


def _open_file(path: Path) -> sqlite3.Connection:
    require_file(path)
    with store_errors(f"{path} cannot be opened"):
        # mode=rw never creates a file. A snapshot may be pulled by another thread than opened it.
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            check_same_thread=False,
        )


def require_file(path: Path) -> None:
    """See that there is a file, which can be read: SQLite's own message names neither."""
    try:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "no regular file"
            raise FileError(f"{path} is {what}, and cannot be a SQLite database", str(path))
        path.open("rb").close()
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist", str(path)) from error
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {reason_of(error)}", str(path)) from error


class Shared(Generic[T]):
    """A context that its users share: the first one enters it, the last one leaves it."""

    def __init__(self, context: Callable[[], contextlib.AbstractContextManager[T]]) -> None:
        self._context = context
        self._changing = threading.Lock()
        self._entered = contextlib.ExitStack()
        self._values: list[T] = []
        self._users = 0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[T]:
        with self._changing:
            if not self._users:
                self._values = [self._entered.enter_context(self._context())]
            self._users += 1
        try:
            yield self._values[0]
        finally:
            with self._changing:
                self._users -= 1
                if not self._users:
                    self._entered.close()


# To set the isolation level would commit what the host has begun.
_ATTRIBUTES: Final = ("row_factory", "text_factory", "isolation_level")
_PRAGMAS: Final = ("busy_timeout", "query_only", "foreign_keys")
_PRAGMAS_WITHIN: Final = ("busy_timeout", "query_only", "defer_foreign_keys")


def _set_up(connection: sqlite3.Connection, wait: float, *, within: bool = False) -> None:
    if not within:
        connection.isolation_level = None
    connection.row_factory = None
    connection.text_factory = str
    set_pragma(connection, "busy_timeout", int(wait * 1000))


def _settings_of(connection: sqlite3.Connection, *, within: bool) -> Callable[[], None]:
    names = _ATTRIBUTES[:2] if within else _ATTRIBUTES
    attributes = {name: getattr(connection, name) for name in names}
    connection.row_factory = None
    pragmas = {name: pragma(connection, name) for name in (_PRAGMAS_WITHIN if within else _PRAGMAS)}

    def give_back() -> None:
        # The host may have closed its connection meanwhile.
        with contextlib.suppress(sqlite3.Error):
            for name, value in pragmas.items():
                set_pragma(connection, name, value)
            for name, value in attributes.items():
                setattr(connection, name, value)

    return give_back
