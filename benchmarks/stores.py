"""Make and drop the shop's databases on a server; nothing of this is measured.

BENCHMARK_SERVER=postgresql://… python -m benchmarks.stores create shop --rows 1100000
"""

import argparse
import contextlib
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import sqlalchemy
from sqlalchemy.pool import NullPool

from benchmarks.data import customers, orders

_TABLES: Final = (
    """CREATE TABLE customers (
    id INTEGER PRIMARY KEY, name VARCHAR(255) NOT NULL, email VARCHAR(255) UNIQUE NOT NULL
)""",
    """CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL,
    total NUMERIC(10, 2) NOT NULL,
    ordered_at {moment} NOT NULL,
    status VARCHAR(20) NOT NULL,
    note TEXT,
    weight DOUBLE PRECISION NOT NULL,
    details {json} NOT NULL,
    FOREIGN KEY (customer_id) REFERENCES customers (id)
)""",
)
_TYPES: Final = {
    "postgresql": {"moment": "TIMESTAMP", "json": "JSONB"},
    "mysql": {"moment": "DATETIME", "json": "JSON"},
}
_DRIVERS: Final = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
_BATCH: Final = 10_000
_FEW_PAGES: Final = 100  # which MariaDB writes in no time
_PATIENCE: Final = 120.0  # seconds that a server may take to write what it holds in memory


def engine(url: str) -> sqlalchemy.Engine:
    """An engine with the driver of the extras."""
    parsed = sqlalchemy.make_url(url)
    driver = _DRIVERS[parsed.get_backend_name().replace("mariadb", "mysql")]
    return sqlalchemy.create_engine(parsed.set(drivername=driver), poolclass=NullPool)


def create(server: str, name: str, rows: int | None) -> None:
    """A new database with the shop's tables and rows, or for None without a table."""
    drop(server, name)
    with _autocommitting(engine(server)) as connection:
        options = "" if connection.dialect.name == "postgresql" else " CHARACTER SET utf8mb4"
        connection.exec_driver_sql(f"CREATE DATABASE {name}{options}")
    if rows is not None:
        url = sqlalchemy.make_url(server).set(database=name)
        _fill(engine(url.render_as_string(hide_password=False)), rows)
    settle(server)


def drop(server: str, *names: str) -> None:
    """Let databases be gone, if they are there."""
    with _autocommitting(engine(server)) as connection:
        for name in names:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")


def settle(server: str) -> None:
    """Let the server write what it holds in memory, so that no step waits for another's data."""
    with _autocommitting(engine(server)) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("CHECKPOINT")
        elif _dirty_pages(connection) > _FEW_PAGES:
            connection.exec_driver_sql("SET GLOBAL innodb_max_dirty_pages_pct = 0")
            end = time.monotonic() + _PATIENCE
            while _dirty_pages(connection) > _FEW_PAGES and time.monotonic() < end:
                time.sleep(0.05)
            connection.exec_driver_sql("SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT")


def _dirty_pages(connection: sqlalchemy.Connection) -> int:
    status = "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'"
    return int(connection.exec_driver_sql(status).one()[1])


def _fill(made: sqlalchemy.Engine, rows: int) -> None:
    with made.begin() as connection:
        for table in _TABLES:
            connection.exec_driver_sql(table.format(**_TYPES[made.dialect.name]))
        load = _copy if made.dialect.name == "postgresql" else _insert
        load(connection, "customers", customers(rows))
        load(connection, "orders", orders(rows))
    with _autocommitting(made) as connection:
        if made.dialect.name == "postgresql":
            connection.exec_driver_sql("VACUUM (FREEZE, ANALYZE)")
        else:
            connection.exec_driver_sql("ANALYZE TABLE customers, orders").all()


def _copy(connection: sqlalchemy.Connection, table: str, rows: Iterator[tuple[Any, ...]]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _insert(connection: sqlalchemy.Connection, table: str, rows: Iterator[tuple[Any, ...]]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        while batch := list(itertools.islice(rows, _BATCH)):
            values = ", ".join(["%s"] * len(batch[0]))
            cursor.executemany(f"INSERT INTO {table} VALUES ({values})", batch)


@contextlib.contextmanager
def _autocommitting(made: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    with made.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments; the variable BENCHMARK_SERVER has the URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["create", "drop"])
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--rows", type=int, help="of both tables; without it there are no tables")
    chosen = parser.parse_args(arguments)
    server = os.environ["BENCHMARK_SERVER"]
    if chosen.action == "drop":
        drop(server, *chosen.names)
        settle(server)
    for name in chosen.names if chosen.action == "create" else ():
        create(server, name, chosen.rows)


if __name__ == "__main__":
    main()
