"""One connection to SQLite: its settings, its queries, and what its errors mean."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from databackup.errors import RecordsRefused, StoreError, StoreFailed, StoreLocked
from databackup.schema import RawText

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
