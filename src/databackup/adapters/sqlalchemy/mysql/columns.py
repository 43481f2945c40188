"""The types of columns: what each holds, and in which order it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from databackup.adapters.sqlalchemy.catalogue import Column

INTEGERS: Final = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
TEXTS: Final = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
BLOBS: Final = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
GEOMETRIES: Final = (
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
)
TIMES: Final = ("time", "datetime", "timestamp")
DATES: Final = ("date", "datetime", "timestamp")


@attrs.frozen(kw_only=True)
class Details:
    """What is known of a column's type.

    `length` is in characters for text of a limited length, in bytes for all else that has one.
    `places` are those of the column in unique indexes over whole columns that hold no NULL: the
    index's name, the place in it from 0, and how many columns it has. `default` is its SQL.
    """

    type: str
    unsigned: bool = False
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    fraction: int = 0
    charset: str | None = None
    collation: str | None = None
    members: tuple[str, ...] = ()
    is_json: bool = False
    on_update: bool = False
    places: tuple[tuple[str, int, int], ...] = ()
    default: str | None = None


def details(column: Column) -> Details:
    """What is known of a column's type."""
    found: Details = column.details
    return found


def integer_range(column: Column) -> tuple[int, int] | None:
    """The least and the largest integer that a column holds; None where it holds none."""
    known = details(column)
    if known.type in INTEGERS:
        size = 1 << INTEGERS[known.type]
        return (0, size - 1) if known.unsigned else (-size // 2, size // 2 - 1)
    if known.type == "bit":
        return 0, (1 << (known.precision or 1)) - 1
    if known.type == "decimal" and not known.scale:
        largest = 10 ** (known.precision or 10) - 1
        return (0 if known.unsigned else -largest), largest
    return None


# A Danish collation, for one, has aa behind z: only these have hexadecimal digits in order.
_PLAIN_COLLATIONS: Final = ("_bin", "_general_ci", "_unicode_ci", "_unicode_520_ci", "_0900_ai_ci")
_IN_BYTE_ORDER: Final = (
    "utf8mb4_nopad_bin",
    "utf8mb3_nopad_bin",
    "utf8_nopad_bin",
    "ascii_nopad_bin",
    "utf8mb4_0900_bin",
)


def has_byte_order(column: Column) -> bool:
    """Whether text stands in the order of its UTF-8 bytes; padding puts a tab before the end."""
    return details(column).collation in _IN_BYTE_ORDER


def has_digit_order(column: Column) -> bool:
    """Whether hexadecimal digits of one length stand in order."""
    return (details(column).collation or "").endswith(_PLAIN_COLLATIONS)


def can_page(column: Column) -> bool:
    """Whether what is read of a column tells where in the column's own order reading goes on.

    An ENUM is ordered by numbers and compared as text; a FLOAT compares as nothing that is read.
    """
    return details(column).type not in ("enum", "set", "float", *GEOMETRIES)
