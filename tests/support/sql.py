"""Statements and questions to a database behind SQLAlchemy, whatever the engine."""

from typing import Any

import sqlalchemy


def run(engine: sqlalchemy.Engine, *statements: str) -> None:
    """Run statements in one transaction; percent signs stand for themselves."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))


def query(engine: sqlalchemy.Engine, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query through a connection that is given back."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql.replace("%", "%%"))]
