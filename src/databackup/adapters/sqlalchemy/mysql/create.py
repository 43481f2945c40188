"""How tables are made in MariaDB and MySQL: types that hold all of a kind, as far as they can."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from sqlalchemy import types
from sqlalchemy.dialects import mysql

from databackup.errors import CannotCreate
from databackup.schema import Kind, composite, kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from databackup.adapters._newtables import NewColumn

    Type = types.TypeEngine[Any]

_LONGEST_NAME: Final = 64
_LAST_CHARACTER: Final = "\uffff"  # names have three bytes for a character
_INDEX: Final = 3072  # bytes that an index of InnoDB has room for
_CHARACTER: Final = 4
_DIGITS: Final = 65  # of a DECIMAL
_FRACTION: Final = 30
_LONGEST_TIME: Final = datetime.timedelta(hours=838, minutes=59, seconds=59)
_LONGEST_COUNT: Final = datetime.timedelta(microseconds=2**63 - 1)
# A TIMESTAMP counts seconds from 1970 in 32 bits; 0 is its zero date.
_FIRST_STAMP: Final = datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC)
_LAST_STAMP: Final = datetime.datetime(2038, 1, 19, tzinfo=datetime.UTC)

_TYPES: Final[Mapping[type[Kind], Callable[[], Type]]] = {
    kinds.Bool: lambda: mysql.TINYINT(1),
    kinds.Date: mysql.DATE,
    kinds.DateTime: lambda: mysql.DATETIME(fsp=6),
    kinds.Float: mysql.DOUBLE,
    kinds.Time: lambda: mysql.TIME(fsp=6),
    composite.Dict: mysql.JSON,
    composite.Json: mysql.JSON,
    composite.List: mysql.JSON,
    composite.Nested: mysql.JSON,
}


class _UUID(types.UserDefinedType[Any]):
    """MariaDB's own."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return "UUID"


class MySQLCreation:
    """MariaDB and MySQL commit with each table that they make."""

    undone = False
    default_schema = "SELECT database()"

    def options(self, connection: sqlalchemy.Connection) -> Mapping[str, str]:
        of_table = {
            "engine": "InnoDB",
            "charset": "utf8mb4",
            "collate": "utf8mb4_nopad_bin" if _is_mariadb(connection) else "utf8mb4_0900_bin",
        }
        # SQLAlchemy has two names for one dialect, and each knows its own options.
        return {
            f"{name}_{key}": value
            for name in ("mysql", "mariadb")
            for key, value in of_table.items()
        }

    def type_of(self, column: NewColumn, connection: sqlalchemy.Connection) -> Type:
        kind = column.kind
        if isinstance(kind, kinds.UUID):
            has_type = _is_mariadb(connection, since=(10, 7)) and column.extent.regular
            return _UUID() if has_type else mysql.BINARY(16)
        chosen = _BY_EXTENT.get(type(kind))
        if chosen is not None:
            return chosen(column) or _text(column)
        made = _TYPES.get(type(kind))
        return made() if made else _text(column)

    def numbering(self, _column: NewColumn) -> Sequence[sqlalchemy.Identity]:
        return ()  # an AUTO_INCREMENT

    def unfit(self, name: str) -> str | None:
        if not name or "\0" in name or name.endswith(" ") or max(name) > _LAST_CHARACTER:
            return "is empty, ends in a space, or has a character that names cannot have"
        if len(name) > _LONGEST_NAME:
            return f"is longer than {_LONGEST_NAME} characters"
        return None

    def make_schema(self, connection: sqlalchemy.Connection, name: str) -> None:
        database = connection.engine.url.database
        raise CannotCreate.of(database, [f"there is no database {name!r}; make it first"])

    def begin_again(self, connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        connection.exec_driver_sql("START TRANSACTION READ WRITE")


def _is_mariadb(connection: sqlalchemy.Connection, since: tuple[int, ...] = ()) -> bool:
    dialect: Any = connection.dialect
    return bool(dialect.is_mariadb and dialect.server_version_info >= since)


def _share(column: NewColumn) -> int | None:
    """The bytes that a column has in its widest index; None where it is in none."""
    return _INDEX // column.parts if column.parts else None


def _text(column: NewColumn) -> Type:
    share = _share(column)
    return mysql.LONGTEXT() if share is None else mysql.VARCHAR(share // _CHARACTER)


def _bytes(column: NewColumn) -> Type:
    share = _share(column)
    return mysql.LONGBLOB() if share is None else mysql.VARBINARY(share)


# -- by what there is to hold; None where only text does -------------------------------------------


def _int(column: NewColumn) -> Type | None:
    if column.is_small:
        return mysql.BIGINT()
    largest = 10**_DIGITS - 1
    return mysql.DECIMAL(_DIGITS, 0) if column.extent.fits(-largest, largest) else None


def _decimal(column: NewColumn) -> Type | None:
    """A DECIMAL of the one scale that there is, else of so many digits as it can have."""
    kind: Any = column.kind
    extent = column.extent
    least, most = extent.scales or (kind.scale, kind.scale)
    if most is None or least != most:
        most = max(most or 0, min(_FRACTION, _DIGITS - extent.digits))
    scale = max(0, most)
    fits = extent.regular and scale <= _FRACTION and extent.digits + scale <= _DIGITS
    return mysql.DECIMAL(_DIGITS, scale) if fits else None


def _duration(column: NewColumn) -> Type | None:
    if column.extent.fits(-_LONGEST_TIME, _LONGEST_TIME):
        return mysql.TIME(fsp=6)
    return mysql.BIGINT() if column.extent.fits(-_LONGEST_COUNT, _LONGEST_COUNT) else None


def _moment(column: NewColumn) -> Type:
    is_stamp = column.extent.fits(_FIRST_STAMP, _LAST_STAMP)
    return mysql.TIMESTAMP(fsp=6) if is_stamp else mysql.DATETIME(fsp=6)


def _enum(column: NewColumn) -> Type | None:
    kind: Any = column.kind
    return _int(column) if type(kind.values[0]) is int else None


_BY_EXTENT: Final[Mapping[type[Kind], Callable[[NewColumn], Type | None]]] = {
    kinds.Bytes: _bytes,
    kinds.DateTimeTz: _moment,
    kinds.Decimal: _decimal,
    kinds.Int: _int,
    kinds.Timedelta: _duration,
    composite.Enum: _enum,
}
