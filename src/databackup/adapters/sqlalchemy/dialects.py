"""The dialect of an engine, by the name SQLAlchemy has for it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from databackup.errors import StoreError

if TYPE_CHECKING:
    import sqlalchemy

    from databackup.adapters.sqlalchemy.dialect import Dialect

_HOMES: Final = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
_DRIVERS: Final = {"postgresql": "psycopg", "mysql": "pymysql"}


def dialect_of(bind: sqlalchemy.Engine | sqlalchemy.Connection) -> Dialect:
    """The dialect of an engine or a connection. Raises `StoreError` for one that is not known."""
    name = bind.dialect.name
    if name not in _HOMES:
        raise StoreError(
            f"there is no support for {name} databases; there is for {', '.join(sorted(_HOMES))}"
        )
    driver = _DRIVERS[_HOMES[name]]
    if bind.dialect.driver != driver:
        raise StoreError(
            f"the driver {bind.dialect.driver} is not supported; make another engine for this: "
            f'create_engine(engine.url.set(drivername="{name}+{driver}"))'
        )
    home = importlib.import_module(f"databackup.adapters.sqlalchemy.{_HOMES[name]}")
    dialect: Dialect = home.DIALECT
    return dialect
