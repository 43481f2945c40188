"""New, empty databases on real servers, for a test each; without its server a test is skipped."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import URL, Connection, create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from servers.sessions import SERVERS, NotThere, Server

REQUIRE = "DATABACKUP_REQUIRE"
"""The environment variable that names, with commas, the servers without which tests fail."""

LEFT_OUT = "was not tested"
"""Stands in the reason of each test that is skipped for want of a server."""

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder with a name of its own is made in it
_ROOM = 4 * 1024**3  # bytes; three servers take one or two

_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}


@contextlib.contextmanager
def postgresql(*, icu: bool = False) -> Iterator[str]:
    """The URL of a new PostgreSQL database, its text in the order of code points.

    `icu` gives it the order of ICU's `en-US`, which PostgreSQL 15 or later knows.
    """
    options = "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'"
    if icu:
        options += " LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
    url = url_of(SERVERS["postgresql-icu" if icu else "postgresql"])
    with _new_database(url, options) as made:
        yield made


@contextlib.contextmanager
def mysql() -> Iterator[str]:
    """The URL of a new MariaDB or MySQL database, whose text is utf8mb4."""
    query = {"charset": "utf8mb4"}
    if not SERVERS["mysql"].given():
        # It has no TLS; or PyMySQL would read all certificates of the system to connect.
        query["ssl_disabled"] = "true"
    url = url_of(SERVERS["mysql"]).update_query_dict(query)
    with _new_database(url, "CHARACTER SET utf8mb4") as made:
        yield made


def connections(url: str) -> int:
    """How many connections to a database there are, beside the one that asks."""
    return len(others(url))


def others(url: str) -> list[int]:
    """The sessions of a database, beside the one that asks, by their numbers."""
    with _connected(make_url(url)) as connection:
        return _others(connection, make_url(url))


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
        with contextlib.suppress(DBAPIError):  # it has ended in the meantime
            connection.exec_driver_sql(f"KILL {number}")
    connection.exec_driver_sql(f"DROP DATABASE {url.database}")


def _others(connection: Connection, url: URL) -> list[int]:
    if connection.dialect.name == "postgresql":
        query = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    else:
        query = (
            "SELECT id FROM information_schema.processlist WHERE db = %s AND id <> connection_id()"
        )
    return list(connection.exec_driver_sql(query, (url.database,)).scalars())


@contextlib.contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    engine = create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 10},
    )
    with engine.connect() as connection:
        yield connection


def url_of(server: Server) -> URL:
    """Where a server runs; a test that asks for one that is not there is skipped, or fails."""
    try:
        return with_driver(server.url())
    except NotThere as error:
        leave_out(server.name, f"{server.title} {LEFT_OUT}: {error}")


def leave_out(name: str, reason: str) -> NoReturn:
    """Skip a test for want of a server, or fail it if the server is required."""
    if name in required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def with_driver(url: str) -> URL:
    """A URL whose driver is the one of the extras."""
    parsed = make_url(url)
    return parsed.set(drivername=_DRIVERS[parsed.get_backend_name()])


def required() -> frozenset[str]:
    """The servers that DATABACKUP_REQUIRE names."""
    names = frozenset(filter(None, map(str.strip, os.environ.get(REQUIRE, "").split(","))))
    if unknown := names - SERVERS.keys():
        raise pytest.UsageError(
            f"{REQUIRE} names {', '.join(sorted(unknown))}; there are {', '.join(SERVERS)}"
        )
    return names


def folder() -> Path | None:
    """Where the servers' files cost least: in memory, if there is room; or where all else goes."""
    with contextlib.suppress(OSError):
        if os.access(_MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(_MEMORY).free >= _ROOM:
            return _MEMORY
    return None


def versions() -> str:
    """Which servers tests will get, in one line."""
    found = [f"{server.title} {version}" for server in SERVERS.values() if (version := _of(server))]
    return f"servers: {', '.join(found) or 'none'}"


def _of(server: Server) -> str | None:
    given = server.given()
    if not given:
        return server.version()
    url = with_driver(given)
    try:
        with _connected(url) as connection:
            says = connection.exec_driver_sql("SELECT version()").scalar_one()
    except DBAPIError as error:
        says = f"does not answer: {error.orig}"
    return f"at {url.host} ({says})"
