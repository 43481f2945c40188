"""New, empty databases on real servers, for a test each; without its server a test is skipped."""

import contextlib
import os
import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Connection, create_engine, make_url
from sqlalchemy.pool import NullPool

from tests.support.servers import SERVERS, NotThere, Server

REQUIRE = "DATABACKUP_REQUIRE"
"""The environment variable that names, with commas, the servers without which tests fail."""


@contextlib.contextmanager
def postgresql(*, icu: bool = False) -> Iterator[str]:
    """The URL of a new PostgreSQL database; `icu` gives its text the order of ICU's `en-US`."""
    options = "TEMPLATE template0 ENCODING 'UTF8'"
    if icu:
        options += " LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'"
    url = _server("postgresql-icu" if icu else "postgresql", "postgresql+psycopg")
    with _new_database(url, options) as made:
        yield made


@contextlib.contextmanager
def mysql() -> Iterator[str]:
    """The URL of a new MariaDB or MySQL database, whose text is utf8mb4."""
    url = _server("mysql", "mysql+pymysql").update_query_dict({"charset": "utf8mb4"})
    with _new_database(url, "CHARACTER SET utf8mb4") as made:
        yield made


def connections(url: str) -> int:
    """How many connections to a database there are, beside the one that asks."""
    with _connected(make_url(url)) as connection:
        return len(_others(connection, make_url(url)))


@contextlib.contextmanager
def _new_database(url: URL, options: str) -> Iterator[str]:
    name = f"databackup_{secrets.token_hex(6)}"
    with _connected(url) as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} {options}")
    made = url.set(database=name)
    try:
        yield made.render_as_string(hide_password=False)
    finally:
        with _connected(url) as connection:
            _drop(connection, made)


def _drop(connection: Connection, url: URL) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"DROP DATABASE {url.database} WITH (FORCE)")
        return
    for number in _others(connection, url):  # they may hold locks on tables
        connection.exec_driver_sql(f"KILL {number}")
    connection.exec_driver_sql(f"DROP DATABASE {url.database}")


def _others(connection: Connection, url: URL) -> list[int]:
    if connection.dialect.name == "postgresql":
        query = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    else:
        query = "SELECT id FROM information_schema.processlist WHERE db = %s AND id <> connection_id()"
    return list(connection.exec_driver_sql(query, (url.database,)).scalars())


@contextlib.contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


def _server(name: str, driver: str) -> URL:
    server = SERVERS[name]
    try:
        return make_url(server.url()).set(drivername=driver)
    except NotThere as error:
        left_out(server, str(error))
        raise


def required() -> frozenset[str]:
    """The servers that DATABACKUP_REQUIRE names."""
    names = frozenset(filter(None, map(str.strip, os.environ.get(REQUIRE, "").split(","))))
    if unknown := names - SERVERS.keys():
        raise pytest.UsageError(
            f"{REQUIRE} names {', '.join(sorted(unknown))}; there are {', '.join(SERVERS)}"
        )
    return names


def left_out(server: Server, reason: str) -> None:
    """Skip a test, or fail it if it may not be left out."""
    message = f"{server.title} was not tested: {reason}"
    if server.name in required():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
