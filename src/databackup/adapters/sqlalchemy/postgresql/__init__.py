"""PostgreSQL through psycopg 3 (extra `postgresql`)."""

from databackup.adapters.sqlalchemy.postgresql.dialect import PostgreSQL

DIALECT = PostgreSQL()
