"""SQLite, through Python's own `sqlite3` module."""

from databackup.adapters._sql import Table
from databackup.adapters.sqlite.repository import SQLiteRepository

__all__ = ["SQLiteRepository", "Table"]
