"""The kind of what a column holds, from its type in a `MetaData`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import types
from sqlalchemy.dialects import mysql, postgresql

from databackup.schema import Kind, composite, kinds
from databackup.schema.interval import IntervalKind

if TYPE_CHECKING:
    import sqlalchemy

    Type = types.TypeEngine[Any]

# What they hold is not what the generic type that they extend would.
_OF_ENGINES: Final = (
    mysql.BIT,
    mysql.SET,
    mysql.TIME,
    mysql.YEAR,
    postgresql.BIT,
    postgresql.CITEXT,
    postgresql.DOMAIN,
)
_WITH_OFFSETS: Final = ("postgresql",)
"""The engines that keep the offset of `timezone=True`; others drop it."""


def kind_of(type_: Type, dialect: sqlalchemy.Dialect) -> Kind | None:
    """The kind of a type's stored values, None where the type alone does not say it.

    Type decorators count as what they are stored as.
    """
    declared = _undecorated(type_)
    if isinstance(declared, _OF_ENGINES):
        return None
    stored = _undecorated(type_.dialect_impl(dialect))
    if isinstance(declared, types.Interval):
        return kinds.Timedelta()
    if isinstance(stored, types.Enum):
        return composite.Enum(tuple(stored.enums)) if stored.enums else kinds.Str()
    if isinstance(stored, types.ARRAY | postgresql.ARRAY):
        return _array(stored, dialect)
    return _simple(stored, offsets=dialect.name in _WITH_OFFSETS)


def _undecorated(type_: Type) -> Type:
    while isinstance(type_, types.TypeDecorator) and not isinstance(type_, types.Interval):
        type_ = type_.impl_instance
    return type_


def _array(stored: types.ARRAY[Any], dialect: sqlalchemy.Dialect) -> Kind | None:
    kind = kind_of(stored.item_type, dialect)
    for _ in range(stored.dimensions or 1):
        kind = kind and composite.List(composite.Optional(kind))
    return kind


def _simple(stored: Type, *, offsets: bool) -> Kind | None:
    if isinstance(stored, types.Numeric) and not isinstance(stored, types.Float):
        return kinds.Decimal(stored.scale)
    if isinstance(stored, types.DateTime):
        return kinds.DateTimeTz() if stored.timezone and offsets else kinds.DateTime()
    if isinstance(stored, types.Time):
        return kinds.TimeTz() if stored.timezone and offsets else kinds.Time()
    for known, kind in _KINDS.items():
        if isinstance(stored, known):
            return kind
    return kinds.Bytes() if _is_binary(stored) else None


_KINDS: Final[dict[type[Type], Kind]] = {
    types.Boolean: kinds.Bool(),
    types.Integer: kinds.Int(),
    types.Float: kinds.Float(),
    types.Date: kinds.Date(),
    types.Uuid: kinds.UUID(),
    types.JSON: composite.Json(),
    types.String: kinds.Str(),
    postgresql.INTERVAL: IntervalKind(),
}


def _is_binary(stored: Type) -> bool:
    try:
        return stored.python_type is bytes
    except NotImplementedError:
        return False
