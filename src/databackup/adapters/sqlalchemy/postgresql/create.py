"""How tables are made in PostgreSQL: types that hold all of a kind, and read back as that kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from sqlalchemy import types
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateSchema
from sqlalchemy.sql.elements import quoted_name

from databackup.adapters._newtables import INT64
from databackup.schema import Kind, composite, kinds
from databackup.schema.interval import IntervalKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from databackup.adapters._newtables import NewColumn
    from databackup.repository import Extent

    Type = types.TypeEngine[Any]

_LONGEST_NAME: Final = 63
_USUAL_PRECISION: Final = 38
_LARGEST_PRECISION: Final = 1000
_TYPES: Final[Mapping[type[Kind], Callable[[], Type]]] = {
    IntervalKind: postgresql.INTERVAL,
    kinds.Bool: postgresql.BOOLEAN,
    kinds.Bytes: postgresql.BYTEA,
    kinds.Date: postgresql.DATE,
    kinds.DateTime: postgresql.TIMESTAMP,
    kinds.DateTimeTz: lambda: postgresql.TIMESTAMP(timezone=True),
    kinds.Float: postgresql.DOUBLE_PRECISION,
    kinds.Time: postgresql.TIME,
    kinds.TimeTz: lambda: postgresql.TIME(timezone=True),
    kinds.Timedelta: postgresql.INTERVAL,
    kinds.UUID: postgresql.UUID,
    composite.Dict: postgresql.JSON,
    composite.Json: postgresql.JSON,
    composite.Nested: postgresql.JSON,
}


class PostgreSQLCreation:
    """PostgreSQL makes tables within the transaction."""

    undone = True
    default_schema = "SELECT pg_catalog.current_schema()"

    def options(self, _connection: sqlalchemy.Connection) -> Mapping[str, str]:
        return {}

    def type_of(self, column: NewColumn, _connection: sqlalchemy.Connection) -> Type:
        return _type(column.kind, column.extent)

    def numbering(self, _column: NewColumn) -> Sequence[sqlalchemy.Identity]:
        return [sqlalchemy.Identity(always=False)]

    def unfit(self, name: str) -> str | None:
        if "\0" in name or not name:
            return "is empty or has a NUL in it"
        if len(name.encode()) > _LONGEST_NAME:
            return f"is longer than PostgreSQL's {_LONGEST_NAME} bytes"
        return None

    def make_schema(self, connection: sqlalchemy.Connection, name: str) -> None:
        connection.execute(CreateSchema(quoted_name(name, quote=True)))

    def begin_again(self, connection: sqlalchemy.Connection) -> None:
        """The transaction goes on."""


def _type(kind: Kind, extent: Extent) -> Type:
    if isinstance(kind, composite.Optional):
        return _type(kind.inner, extent)
    if isinstance(kind, kinds.Int) or _is_of_integers(kind):
        return postgresql.BIGINT() if extent.fits(*INT64) else postgresql.NUMERIC()
    if isinstance(kind, kinds.Decimal):
        return _numeric(kind, extent)
    if isinstance(kind, composite.List):
        return _list(kind, extent)
    return _TYPES.get(type(kind), postgresql.TEXT)()


def _numeric(kind: kinds.Decimal, extent: Extent) -> Type:
    """A numeric of the kind's scale where all values have it; without one it keeps each value's."""
    scale = kind.scale
    if scale is None or not extent.has_scale(scale) or not 0 <= scale <= _USUAL_PRECISION:
        return postgresql.NUMERIC()
    precision = max(_USUAL_PRECISION, extent.digits + scale)
    return postgresql.NUMERIC(*((precision, scale) if precision <= _LARGEST_PRECISION else ()))


def _is_of_integers(kind: Kind) -> bool:
    return isinstance(kind, composite.Enum) and type(kind.values[0]) is int


def _list(kind: composite.List, extent: Extent) -> Type:
    """An array, whose items may always be null; of what is itself an array or object, JSON."""
    items = kind.items.inner if isinstance(kind.items, composite.Optional) else kind.items
    if isinstance(items, composite.List | composite.Dict | composite.Nested | composite.Json):
        return postgresql.JSON()
    return postgresql.ARRAY(_type(items, extent))
