"""From a URL to a repository, for the registry of targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy
from sqlalchemy import exc, pool

from databackup.adapters.sqlalchemy.drivers import plain_url
from databackup.adapters.sqlalchemy.facade import SQLAlchemyRepository
from databackup.errors import MissingExtra, TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import URL

# By the package of a driver, the extra that brings it.
_EXTRAS: Final = {"psycopg": "postgresql", "pymysql": "mysql"}


def open_url(
    target: str,
    shown: str,
    exclude: Mapping[str, str],
    *,
    secret: Sequence[str] = (),
    wait: float,
    create: bool = False,
) -> SQLAlchemyRepository:
    """The repository of a database whose schema is read from itself.

    `shown` is the URL as it may stand in messages. With `create` the database may be empty.
    Raises `TargetError`, `MissingExtra`, `StoreError`.
    """
    # What the causes say of a URL may have the password in it: there are none.
    try:
        url = plain_url(sqlalchemy.make_url(target))
    except (exc.ArgumentError, ValueError):
        raise TargetError(
            f"{shown} is no URL of SQLAlchemy's, which is DIALECT+DRIVER://USER:PASSWORD@HOST/NAME "
            "with a driver that is installed, and names and password percent-encoded"
        ) from None
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise TargetError(f"{shown} names no file")
    repository = SQLAlchemyRepository.reflect(
        _engine(url, shown), exclude=exclude, secret=secret, wait=wait
    )
    if not repository.schema.collections and not create:
        raise TargetError(f"{shown} holds no tables to back up")
    return repository


def _engine(url: URL, shown: str) -> sqlalchemy.Engine:
    try:
        return sqlalchemy.create_engine(url, poolclass=pool.NullPool)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(str(error.name))
        if extra is None:
            raise TargetError(f"{shown} needs the package {error.name}") from error
        raise MissingExtra.of(extra, shown) from error
    except (exc.ArgumentError, TypeError, ValueError):
        raise TargetError(f"{shown} has options that its driver does not take") from None
