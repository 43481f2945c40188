"""Roles of PostgreSQL that may read and write tables, and own none of them."""

import contextlib
import secrets
from collections.abc import Iterator

import sqlalchemy
from sqlalchemy.pool import NullPool


@contextlib.contextmanager
def writer(owner: sqlalchemy.Engine, *, sequences: str = "ALL") -> Iterator[sqlalchemy.Engine]:
    """An engine as a new role with the right to read and write what is in the default schema."""
    role = f"databackup_{secrets.token_hex(6)}"
    with owner.begin() as connection:
        (schema,) = connection.exec_driver_sql("SELECT current_schema()::text").one()
        for statement in (
            f"CREATE ROLE {role}",
            f"GRANT USAGE ON SCHEMA {schema} TO {role}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
            f"GRANT {sequences} ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
        ):
            connection.exec_driver_sql(statement)
    made = sqlalchemy.create_engine(
        owner.url,
        poolclass=NullPool,
        connect_args={"options": f"-csearch_path={schema} -crole={role}"},
    )
    try:
        yield made
    finally:
        with owner.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")
