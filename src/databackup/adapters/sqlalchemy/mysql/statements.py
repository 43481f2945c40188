"""The SQL of one collection."""

from __future__ import annotations

import datetime
import functools
from typing import TYPE_CHECKING, Any

from databackup.adapters.sqlalchemy.mysql.catalogue import quoted
from databackup.adapters.sqlalchemy.mysql.columns import (
    TEXTS,
    can_page,
    details,
    has_byte_order,
    has_digit_order,
)
from databackup.adapters.sqlalchemy.mysql.times import time_text
from databackup.schema import composite, kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from databackup.adapters.sqlalchemy.catalogue import Column, TableInfo
    from databackup.adapters.sqlalchemy.plan import Plan
    from databackup.repository import Row
    from databackup.schema import Collection, Kind, Reference


class Statements:
    """The statements on one collection's table, for rows and keys as the driver takes them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._columns = plan.columns
        self._key = plan.columns_of(plan.collection.key)

    # -- reading -----------------------------------------------------------------------------------

    @functools.cached_property
    def position(self) -> tuple[Column, ...]:
        """The columns, of a unique index, that tell where reading goes on; none where none do.

        The key's where its index is in the order of the key; the primary key's otherwise.
        """
        columns = self._plan.info.columns
        names = tuple(column.name for column in self._key)
        orders: list[tuple[str, ...]] = list(self._plan.info.details.orders)
        for order in sorted(orders, key=lambda order: order != names):
            found = [columns[name] for name in order if name in columns]
            if len(found) == len(order) and all(map(can_page, found)):
                return tuple(found)
        return ()

    @property
    def is_primary(self) -> bool:
        """Whether the position is the primary key's."""
        names = tuple(column.name for column in self.position)
        return bool(names) and names == self._plan.info.primary_key

    @property
    def is_ordered(self) -> bool:
        """Whether rows in the order of the position are in that of their keys' values."""
        key = dict(zip(self._plan.collection.key, self._key, strict=True))
        return self.position == self._key and is_ordered(self._plan.collection, key)

    def page(self, size: int, *, after: bool) -> str:
        """So many rows in the order of the position, after a place or from the first one on.

        Behind the fields stand what columns of the position are none of them.
        """
        names = [quoted(column.name) for column in self.position]
        where = f" WHERE {self._after(names)}" if after else ""
        more = [column for column in self.position if column not in self._columns]
        selected = ", ".join(map(selected_column, (*self._columns, *more)))
        ordered = ", ".join(f"t.{name}" for name in names)
        return (
            f"SELECT {selected} FROM {self._plan.sql} AS t{where} ORDER BY {ordered} LIMIT {size}"
        )

    def place_ahead(self, count: int, *, after: bool) -> str:
        """The place of the last of so many rows, if there are so many."""
        names = [quoted(column.name) for column in self.position]
        where = f" WHERE {self._after(names)}" if after else ""
        ordered = ", ".join(f"t.{name}" for name in names)
        selected = ", ".join(map(selected_column, self.position))
        return (
            f"SELECT {selected} FROM {self._plan.sql} AS t{where} "
            f"ORDER BY {ordered} LIMIT 1 OFFSET {count - 1}"
        )

    def joined(self, selected: str, size: int, *, after: bool, up_to: bool) -> str:
        """What is selected of the rows between two places, joined to texts of a size in bytes.

        Rows are read in the order of the position, which is the primary key's.
        """
        names = [quoted(column.name) for column in self.position]
        terms = [self._after(names)] * after + [self._up_to(names)] * up_to
        where = f" WHERE {' AND '.join(terms)}" if terms else ""
        return (
            f"SET STATEMENT group_concat_max_len={size} FOR SELECT {selected} "
            f"FROM {self._plan.sql} AS t{by_primary_key(self._plan.info)}{where}"
        )

    def place_of(self, row: Row) -> Row:
        """The place of a row of a page."""
        return tuple(row[number] for number in self._place_numbers)

    @functools.cached_property
    def _place_numbers(self) -> list[int]:
        more = [column for column in self.position if column not in self._columns]
        return [(*self._columns, *more).index(column) for column in self.position]

    def _after(self, names: Sequence[str]) -> str:
        """What only rows behind a place meet."""
        return self._beside(names, ">", ">")

    def _up_to(self, names: Sequence[str]) -> str:
        """What only rows up to a place meet, the one there among them."""
        return self._beside(names, "<", "<=")

    def _beside(self, names: Sequence[str], beyond: str, at_last: str) -> str:
        """What rows on one side of a place meet; the first term is for the index."""
        marks = [_place_mark(column) for column in self.position]
        signs = [*[beyond] * (len(names) - 1), at_last]
        terms = [
            " AND ".join(
                [f"t.{names[n]} = {marks[n]}" for n in range(last)]
                + [f"t.{names[last]} {signs[last]} {marks[last]}"]
            )
            for last in range(len(names))
        ]
        first = f"t.{names[0]} {beyond}= {marks[0]}"
        return f"{first} AND ({' OR '.join(f'({term})' for term in terms)})"

    def place_values(self, place: Sequence[Any]) -> tuple[Any, ...]:
        """The values that a statement takes for a place it reads from, or up to."""
        values = [time_text(v) if type(v) is datetime.timedelta else v for v in place]
        parts = [values[: n + 1] for n in range(len(values))]
        return (values[0], *(value for part in parts for value in part))

    @functools.cached_property
    def select(self) -> str:
        """All rows, in no order."""
        selected = ", ".join(map(selected_column, self._columns))
        return f"SELECT {selected} FROM {self._plan.sql} AS t"

    # -- keys --------------------------------------------------------------------------------------

    def get(self, count: int) -> str:
        """The rows of so many keys."""
        return f"{self.select} WHERE {self._has_key(count)}"

    def delete(self, count: int) -> str:
        """Delete the rows of so many keys."""
        return f"DELETE t FROM {self._plan.sql} AS t WHERE {self._has_key(count)}"

    def key_values(self, keys: Iterable[Sequence[Any]]) -> tuple[Any, ...]:
        """The values that statements with a condition on keys take."""
        given = [tuple(key) for key in keys]
        flat = tuple(value for key in given for value in key)
        if not self._has_text:
            return flat
        return flat + tuple(_exact_value(value) for value in flat)

    @functools.cached_property
    def _has_text(self) -> bool:
        return any(is_folded(column) for column in self._key)

    def _has_key(self, count: int) -> str:
        """The condition on keys: one for the index, and one to the byte where that folds text."""
        natural = [f"t.{quoted(column.name)}" for column in self._key]
        marks = _marks([key_mark(column) for column in self._key], count)
        condition = f"{_row(natural)} IN {marks}"
        if self._has_text:
            exact = [exact_column(column, "t") for column in self._key]
            condition += f" AND {_row(exact)} IN {_marks(['%s'] * len(exact), count)}"
        return condition

    # -- writing -----------------------------------------------------------------------------------

    def insert(self, rows: Sequence[str]) -> str:
        """Insert rows that are literals: a statement without parameters."""
        return f"{self._insert} VALUES ({'),('.join(rows)})"

    @functools.cached_property
    def _insert(self) -> str:
        names = ", ".join(self._plan.quoted(self._columns))
        return f"INSERT INTO {self._plan.sql} ({names})".replace("%%", "%")

    @functools.cached_property
    def update(self) -> str:
        """Give the row with a row's key the row's values; the key's values come last.

        What the server would set to the time of an update is written as it is.
        """
        given = {column.name: f"t.{quoted(column.name)} = %s" for column in self._columns}
        kept = {
            name: f"t.{quoted(name)} = t.{quoted(name)}"
            for name, column in self._plan.info.columns.items()
            if name not in given and details(column).on_update
        }
        changes = ", ".join([*given.values(), *kept.values()])
        return f"UPDATE {self._plan.sql} AS t SET {changes} WHERE {self._has_key(1)}"

    # -- references --------------------------------------------------------------------------------

    def dangling(self, reference: Reference, target: Plan, limit: int) -> str:
        """Values of a reference, each once, that no record of the target has, to the byte."""
        own = self._plan.columns_of(reference.fields)
        to = target.columns_of(reference.to or target.collection.key)
        pairs = list(zip(own, to, strict=True))
        matches = [
            f"p.{quoted(b.name)} = t.{quoted(a.name)}"
            for a, b in pairs
            if details(a).collation == details(b).collation
        ]
        matches += [
            f"{exact_column(b, 'p')} = {exact_column(a, 't')}"
            for a, b in pairs
            if is_folded(a) or is_folded(b)
        ]
        given = " AND ".join(f"t.{quoted(column.name)} IS NOT NULL" for column in own)
        tables = f"{self._plan.sql} AS t{by_primary_key(self._plan.info)}"
        if any(is_folded(column) for column in (*own, *to)):
            # MariaDB caches NOT EXISTS under the collation, where A finds the answer for a.
            tables += f" LEFT JOIN {target.sql} AS p ON {' AND '.join(matches)}"
            nowhere = f"p.{quoted(to[0].name)} IS NULL"
        else:
            nowhere = f"NOT EXISTS (SELECT 1 FROM {target.sql} AS p WHERE {' AND '.join(matches)})"
        return (
            f"SELECT {', '.join(map(selected_column, own))} FROM {tables} "
            f"WHERE {given} AND {nowhere} "
            f"GROUP BY {', '.join(exact_column(column, 't') for column in own)} LIMIT {limit}"
        )


def by_primary_key(info: TableInfo) -> str:
    """What makes the server read a table by its primary key.

    For a row that its own transaction has written it looks into the primary key anyway, row by
    row, where it reads another index.
    """
    return " FORCE INDEX (PRIMARY)" if info.primary_key else ""


def selected_column(column: Column) -> str:
    """A column as it is read: a FLOAT with all of its digits, bits as a number."""
    name = f"t.{quoted(column.name)}"
    return (
        f"{name} + 0{'e0' if details(column).type == 'float' else ''}"
        if _is_summed(column)
        else name
    )


def _is_summed(column: Column) -> bool:
    return details(column).type in ("float", "bit")


def is_folded(column: Column) -> bool:
    """Whether several texts may be equal in a column."""
    return details(column).type in (*TEXTS, "enum", "set")


def exact_column(column: Column, table: str) -> str:
    """A column as it compares to the byte."""
    name = f"{table}.{quoted(column.name)}"
    if is_folded(column):
        return f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)"
    return f"{name} + 0e0" if details(column).type == "float" else name


def key_mark(column: Column) -> str:
    """The parameter that a key's column is compared with."""
    known = details(column)
    if known.type == "float":
        return "%s + 0e0"
    return "%s" if known.charset in (None, "utf8mb4") else _place_mark(column)


def _place_mark(column: Column) -> str:
    """The parameter that a column is compared with under its collation, in its character set."""
    known = details(column)
    if known.charset is None:
        return "%s"
    return f"CONVERT(%s USING {known.charset}) COLLATE {known.collation}"


def _exact_value(value: Any) -> Any:
    return value.encode() if type(value) is str else value


def _row(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _marks(parts: Sequence[str], count: int) -> str:
    return f"({', '.join([_row(parts)] * count)})"


# -- order -----------------------------------------------------------------------------------------


def is_ordered(collection: Collection, columns: Mapping[str, Column]) -> bool:
    """Whether a unique index has rows in the order of their keys' values."""
    shared = set.intersection(
        *(
            {index for index, found, width in details(columns[name]).places
             if (found, width) == (place, len(collection.key))}
            for place, name in enumerate(collection.key)
        )
    )  # fmt: skip
    return bool(shared) and all(
        collection.field(name).off_kind == "refuse"
        and _is_in_order(collection.field(name).value_kind, column)
        for name, column in columns.items()
    )


_AS_VALUES = (
    kinds.Bool
    | kinds.Int
    | kinds.Float
    | kinds.Decimal
    | kinds.Date
    | kinds.Time
    | kinds.DateTime
    | kinds.DateTimeTz
    | kinds.Timedelta
    | kinds.Bytes
    | kinds.UUID
    | composite.Enum
)


def _is_in_order(kind: Kind, column: Column) -> bool:
    type_ = details(column).type
    # MariaDB's UUIDs are in the order of another part first.
    if type_ == "uuid" or not can_page(column):
        return False
    if type_ not in TEXTS:
        return isinstance(kind, _AS_VALUES)
    if isinstance(kind, kinds.UUID):
        return has_byte_order(column) or has_digit_order(column)
    return isinstance(kind, kinds.Str | composite.Enum) and has_byte_order(column)
