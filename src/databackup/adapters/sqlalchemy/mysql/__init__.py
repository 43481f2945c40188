"""MariaDB and MySQL behind SQLAlchemy."""

from databackup.adapters.sqlalchemy.mysql.dialect import MySQLDialect

__all__ = ["DIALECT", "MySQLDialect"]

DIALECT = MySQLDialect()
