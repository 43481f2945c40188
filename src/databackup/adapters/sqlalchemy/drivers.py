"""URLs of engines: as they may be shown, and with the plain drivers of asynchronous ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from sqlalchemy import pool

from databackup.errors import StoreError
from databackup.repository import Place

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

# By a driver, the one that is used in its place: it streams, and knows the same options.
_DRIVERS: Final = {
    **dict.fromkeys(
        [
            f"postgresql+{driver}"
            for driver in ("asyncpg", "pg8000", "psycopg2", "psycopg2cffi", "psycopg_async")
        ],
        "postgresql+psycopg",
    ),
    **{
        f"{server}+{driver}": f"{server}+pymysql"
        for server in ("mysql", "mariadb")
        for driver in (
            "aiomysql",
            "asyncmy",
            "cymysql",
            "mariadbconnector",
            "mysqlconnector",
            "mysqldb",
        )
    },
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite+aiosqlite": "sqlite+pysqlite",
}
_DEFAULTS: Final = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_SAME: Final = {"mariadb": "mysql"}  # one server, whatever its dialect is called
_PORTS: Final = {"mysql": 3306, "postgresql": 5432}
_PLACES: Final = ("host", "port", "service", "unix_socket")
_ASYNCPG_ONLY: Final = ("prepared_statement_cache_size", "prepared_statement_name_func")


def plain_engine(engine: Any) -> sqlalchemy.Engine:
    """An engine of an asynchronous one's URL, with a driver that is not.

    It keeps no connection, so that nothing is left to close; arguments that are not in the URL are
    not known. Raises `StoreError` for an engine whose data is in its own connection, or whose
    driver is not known.
    """
    if engine.url.get_backend_name() == "sqlite" and isinstance(
        engine.sync_engine.pool, pool.StaticPool
    ):
        raise StoreError(
            "a database in the memory of an AsyncEngine's connection cannot be reached from "
            "outside; use a file"
        )
    url = plain_url(engine.url.set(drivername=f"{engine.dialect.name}+{engine.dialect.driver}"))
    return sqlalchemy.create_engine(url, poolclass=pool.NullPool)


def shown(engine: sqlalchemy.Engine) -> str:
    """An engine's URL as it may stand in messages: its options may have secrets, too."""
    return engine.url.set(query={}).render_as_string(hide_password=True)


def place_of_url(url: URL) -> Place | None:
    """Where a URL leads, whoever goes there and by which driver; None where it names nothing."""
    if not url.database:
        return None
    engine = _SAME.get(url.get_backend_name(), url.get_backend_name())
    where = {name: url.query[name] for name in _PLACES if name in url.query}
    host = (url.host or ("" if where else "localhost")).lower()
    port = url.port or _PORTS.get(engine)
    more = "".join(f"?{name}={value}" for name, value in where.items())
    return Place(url.database, f"{engine}://{host}:{port or ''}/{url.database}{more}")


def plain_url(url: URL) -> URL:
    """A URL with the driver that this library uses, for one with another driver or none.

    Raises `StoreError` for an asynchronous driver that is not known.
    """
    name = url.drivername
    if name in _DEFAULTS:
        return url.set(drivername=_DEFAULTS[name])
    if name not in _DRIVERS:
        if url.get_dialect().is_async:
            raise StoreError(f"there is no plain driver known for {name}; give an Engine")
        return url
    query = {key: value for key, value in url.query.items() if key not in _ASYNCPG_ONLY}
    if name == "postgresql+asyncpg" and "ssl" in query:
        query["sslmode"] = query.pop("ssl")
    return url.set(drivername=_DRIVERS[name], query=query)
