"""The table of marks, by which it is told later whether an import was committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from databackup.adapters._sql import MARKS, NEWEST_MARKS
from databackup.adapters.sqlite.connection import query, store_errors
from databackup.repository import Mark

if TYPE_CHECKING:
    import sqlite3

_DDL: Final = (
    f"CREATE TABLE IF NOT EXISTS main.{MARKS} "
    "(id TEXT PRIMARY KEY NOT NULL, seal TEXT NOT NULL, time TEXT NOT NULL)"
)


def make(connection: sqlite3.Connection) -> None:
    """See that the table is there."""
    with store_errors(f"the table {MARKS} cannot be made"):
        connection.execute(_DDL)


def leave(connection: sqlite3.Connection, mark: Mark) -> None:
    """Write a mark, as the last of a transaction."""
    row = (mark.import_id, mark.seal, mark.time)
    with store_errors(f"no mark can be left in {MARKS}"):
        connection.execute(f"INSERT INTO main.{MARKS} (id, seal, time) VALUES (?, ?, ?)", row)


def found(connection: sqlite3.Connection, import_id: str | None) -> list[Mark]:
    """The mark of an import, or the newest ones."""
    with store_errors(f"{MARKS} cannot be read"):
        there = "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?"
        if not query(connection, there, (MARKS,)):
            return []
        select = f"SELECT id, seal, time FROM main.{MARKS}"
        if import_id is None:
            rows = query(connection, f"{select} ORDER BY time DESC, id LIMIT {NEWEST_MARKS}")
        else:
            rows = query(connection, f"{select} WHERE id = ?", (import_id,))
    return [Mark(import_id=id_, seal=seal, time=time) for id_, seal, time in rows]
