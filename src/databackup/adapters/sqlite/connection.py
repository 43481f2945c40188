"""Connections to SQLite: opened, set up and given back, and what their errors mean."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from databackup.errors import (
    FileError,
    RecordsRefused,
    StoreError,
    StoreFailed,
    StoreLocked,
    reason_of,
)
from databackup.schema import RawText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Database = str | os.PathLike[str] | sqlite3.Connection | Callable[[], sqlite3.Connection]

T = TypeVar("T")

DEFAULT_WAIT: Final = 5.0
_CACHE_KIB: Final = 16 * 1024  # an index of a hundred thousand records fits in
_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_REFUSED: Final = (
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_RANGE,
)
# What of a statement may be missing: that is the store's fault, not that of the records.
_MISSING: Final = ("no such", "unable to use", "unknown", "malformed database")
_NO_COLLATION: Final = "no such collation sequence"
_HINT: Final = (
    "; instead of a path, give a callable that opens a connection and registers the collation"
)


class Connections:
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
        self._database = database
        self._wait = wait
        self._lent = threading.Lock()

    @property
    def are_lent(self) -> bool:
        """Whether there is only the host's one connection."""
        return isinstance(self._database, sqlite3.Connection)

    def __str__(self) -> str:
        if isinstance(self._database, str | os.PathLike):
            return str(self._database)
        return "the SQLite database"

    @contextlib.contextmanager
    def connection(self, wait: float | None = None) -> Iterator[sqlite3.Connection]:
        """A connection outside any transaction, with the settings that the adapter needs."""
        wait = self._wait if wait is None else wait
        database = self._database
        if isinstance(database, sqlite3.Connection):
            with self._lend(database, wait):
                yield database
            return
        if isinstance(database, str | os.PathLike):
            opened, cache = _open_file(Path(database)), _CACHE_KIB
        else:
            opened, cache = _call(database), None
        with contextlib.closing(opened) as connection:
            self._require_no_transaction(connection)
            with store_errors(f"{self} cannot be opened"):
                _set_up(connection, wait)
                if cache is not None:
                    set_pragma(connection, "cache_size", -cache)
            yield connection

    @contextlib.contextmanager
    def _lend(self, connection: sqlite3.Connection, wait: float) -> Iterator[None]:
        if not self._lent.acquire(timeout=wait):
            raise StoreLocked("the connection is in use by another export or import")
        try:
            self._require_no_transaction(connection)
            with store_errors("the connection cannot be used"):
                give_back = _settings_of(connection)
                _set_up(connection, wait)
            try:
                yield
            finally:
                give_back()
        finally:
            self._lent.release()

    def _require_no_transaction(self, connection: sqlite3.Connection) -> None:
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
    _require_file(path)
    with store_errors(f"{path} cannot be opened"):
        # mode=rw never creates a file. A snapshot may be pulled by another thread than opened it.
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            check_same_thread=False,
        )


def _require_file(path: Path) -> None:
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


_PRAGMAS: Final = ("busy_timeout", "foreign_keys", "query_only")


def _set_up(connection: sqlite3.Connection, wait: float) -> None:
    connection.isolation_level = None
    connection.row_factory = None
    connection.text_factory = str
    set_pragma(connection, "busy_timeout", int(wait * 1000))


def _settings_of(connection: sqlite3.Connection) -> Callable[[], None]:
    attributes = {
        name: getattr(connection, name)
        for name in ("isolation_level", "row_factory", "text_factory")
    }
    connection.row_factory = None
    pragmas = {name: pragma(connection, name) for name in _PRAGMAS}

    def give_back() -> None:
        # The host may have closed its connection meanwhile.
        with contextlib.suppress(sqlite3.Error):
            for name, value in pragmas.items():
                set_pragma(connection, name, value)
            for name, value in attributes.items():
                setattr(connection, name, value)

    return give_back


def pragma(connection: sqlite3.Connection, name: str) -> Any:
    """The value of a pragma."""
    row = connection.execute(f"PRAGMA {name}").fetchone()
    return row[0] if row else None


def set_pragma(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Set a pragma, whose answer is read, so that no statement stays open."""
    connection.execute(f"PRAGMA {name} = {value}").fetchall()


def roll_back(connection: sqlite3.Connection) -> None:
    """End the transaction without keeping anything, if there still is one."""
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


# -- errors ------------------------------------------------------------------------------------


@contextlib.contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn the engine's errors into `StoreLocked` and `StoreFailed`."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise store_error(error, doing) from error


@contextlib.contextmanager
def write_errors(collection: str) -> Iterator[None]:
    """Turn the engine's errors on writing records into errors of this library."""
    try:
        yield
    except sqlite3.Error as error:
        if _blames_records(error):
            raise RecordsRefused(f"{collection}: {error}") from error
        raise store_error(error, f"{collection} cannot be written") from error
    except (OverflowError, UnicodeEncodeError) as error:
        raise RecordsRefused(f"{collection}: {error}") from error


def store_error(error: BaseException, doing: str) -> StoreError:
    """The error of this library for one of the engine's that is not about records."""
    code = primary_code(error)
    if code in _LOCKED:
        return StoreLocked(f"{doing}: {error}")
    return StoreFailed(f"{doing}: {error}{_HINT if _NO_COLLATION in str(error) else ''}")


def primary_code(error: BaseException) -> int | None:
    """The primary result code of SQLite, None where the module itself objected."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _blames_records(error: sqlite3.Error) -> bool:
    code = primary_code(error)
    if code is None:
        closed = isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error)
        return not closed
    if code == sqlite3.SQLITE_ERROR:
        # An expression of the table fails on a value: malformed JSON, an overflow.
        return not str(error).startswith(_MISSING)
    return code in _REFUSED


# -- reading -----------------------------------------------------------------------------------


def fetch(
    connection: sqlite3.Connection, cursor: sqlite3.Cursor, size: int | None = None
) -> list[tuple[Any, ...]]:
    """Up to `size` rows of a cursor, or all; text that is no UTF-8 as `RawText`."""
    rows: list[tuple[Any, ...]] = []
    try:
        rows.extend(itertools.islice(cursor, size))
    except sqlite3.OperationalError as error:
        if primary_code(error) is not None:
            raise
        _fetch_raw(connection, cursor, rows, size)
    return rows


def _fetch_raw(
    connection: sqlite3.Connection,
    cursor: sqlite3.Cursor,
    rows: list[tuple[Any, ...]],
    size: int | None,
) -> None:
    """Go on where a text could not be decoded: the cursor still stands on that row."""
    here = len(rows)
    connection.text_factory = _text
    try:
        rows.extend(itertools.islice(cursor, None if size is None else size - here))
    finally:
        connection.text_factory = str
    if len(rows) == here or not any(type(value) is RawText for value in rows[here]):
        raise StoreFailed("a record with text that is no UTF-8 cannot be read")


def _text(data: bytes) -> str | RawText:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return RawText(data)


def query(
    connection: sqlite3.Connection, sql: str, values: Iterable[Any] = ()
) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    cursor = connection.execute(sql, tuple(values))
    try:
        return fetch(connection, cursor)
    finally:
        cursor.close()


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'
