"""Databases behind SQLAlchemy: PostgreSQL, MariaDB and MySQL, SQLite (extra `sqlalchemy`)."""

from databackup.adapters._sql import Table
from databackup.adapters.sqlalchemy.facade import SQLAlchemyRepository

__all__ = ["SQLAlchemyRepository", "Table"]
