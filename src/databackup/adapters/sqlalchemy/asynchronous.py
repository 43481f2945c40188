"""Engines of hosts that run on an event loop, as the plain engines that this library works with."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy
from sqlalchemy import pool

from databackup.errors import StoreError

# By an asynchronous driver, the one that is used instead.
_DRIVERS: Final = {
    "postgresql+asyncpg": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "postgresql+psycopg_async": "postgresql+psycopg",
    "mysql+aiomysql": "mysql+pymysql",
    "mysql+asyncmy": "mysql+pymysql",
    "mariadb+aiomysql": "mariadb+pymysql",
    "mariadb+asyncmy": "mariadb+pymysql",
    "sqlite+aiosqlite": "sqlite+pysqlite",
}
_ASYNCPG_ONLY: Final = ("prepared_statement_cache_size", "prepared_statement_name_func")


def plain_engine(engine: Any) -> sqlalchemy.Engine:
    """An engine of an asynchronous one's URL, with a driver that is not.

    It keeps no connection, so that nothing is left to close; arguments that are not in the URL are
    not known. Raises `StoreError` for an engine whose data is in its own connection, or whose
    driver is not known.
    """
    url = engine.url
    name = f"{url.get_backend_name()}+{engine.dialect.driver}"
    if name not in _DRIVERS:
        raise StoreError(f"there is no plain driver known for {name}; give an Engine")
    if name.startswith("sqlite") and isinstance(engine.sync_engine.pool, pool.StaticPool):
        raise StoreError(
            "a database in the memory of an AsyncEngine's connection cannot be reached from "
            "outside; use a file"
        )
    query = {key: value for key, value in url.query.items() if key not in _ASYNCPG_ONLY}
    if name == "postgresql+asyncpg" and "ssl" in query:
        query["sslmode"] = query.pop("ssl")
    return sqlalchemy.create_engine(
        url.set(drivername=_DRIVERS[name], query=query), poolclass=pool.NullPool
    )
