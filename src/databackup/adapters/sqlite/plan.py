"""The SQL of one collection, written once per snapshot or transaction."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from databackup.adapters.sqlite.binding import Binder
from databackup.adapters.sqlite.connection import quoted
from databackup.schema import RawText, composite, kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from databackup.adapters._sql import Table
    from databackup.adapters.sqlite.catalogue import Column, TableInfo
    from databackup.adapters.sqlite.forms import Datetimes
    from databackup.schema import Collection, Reference

NO_RAW: Final[frozenset[int]] = frozenset()


class Plan:
    """How one collection is read and written.

    Statements number their parameters, so that a row or a key is bound as it is. `raw` has the
    places whose value is the bytes of a text that is no UTF-8, which no parameter can be.
    """

    def __init__(
        self, collection: Collection, table: Table, info: TableInfo, datetimes: Datetimes
    ) -> None:
        self.collection = collection
        self.info = info
        self.name = f"main.{quoted(info.name)}"
        self._datetimes = datetimes
        self._column_of = {f.name: info.columns[table.column(f.name)] for f in collection.fields}
        self._columns = tuple(self._column_of.values())
        self._key = tuple(self._column_of[name] for name in collection.key)

    def columns_of(self, fields: Iterable[str]) -> tuple[Column, ...]:
        """The columns of fields."""
        return tuple(self._column_of[name] for name in fields)

    def field_blamed_by(self, message: str) -> str | None:
        """The field whose column one of SQLite's messages on constraints ends with."""
        for name, column in self._column_of.items():
            if message.endswith(f": {self.info.name}.{column.name}"):
                return name
        return None

    @functools.cached_property
    def binder(self) -> Binder:
        """The functions between rows and what SQLite holds."""
        return self.binder_of(self.collection.field_names)

    @functools.cached_property
    def key_binder(self) -> Binder:
        """The functions between keys and what SQLite holds."""
        return self.binder_of(self.collection.key)

    def binder_of(self, fields: Sequence[str]) -> Binder:
        """The functions between values of these fields and what SQLite holds."""
        found = [self.collection.field(name) for name in fields]
        return Binder(self.info.name, found, self.columns_of(fields), self._datetimes)

    # -- reading -------------------------------------------------------------------------------

    @functools.cached_property
    def position(self) -> tuple[str, ...]:
        """The columns that tell a row's place where no key does; they are read with the fields."""
        if self._key:
            return ()
        return (self.info.rowid,) if self.info.rowid else self.info.primary_key

    def place_of(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """The place in the order of a row that was read with its position."""
        count = len(self._columns)
        return tuple(row[place] for place in self.collection.key_positions) or row[count:]

    def select(self, *, position: bool = False, after: Sequence[Any] = ()) -> str:
        """All rows in order, or those after a place in it."""
        names = [column.name for column in self._columns]
        names += self.position if position else ()
        order = [column.name for column in self._key] or self.position
        where = ""
        if after:
            left = ", ".join(f"+t.{quoted(name)} COLLATE BINARY" for name in order)
            marks = ", ".join(parameter(n, raw=type(v) is RawText) for n, v in enumerate(after, 1))
            where = f" WHERE ({left}) > ({marks})"
        terms = [f"t.{quoted(name)}{self._collation(name)}" for name in order]
        ordered = f" ORDER BY {', '.join(terms)}" if terms else ""
        return f"SELECT {_selected(names)} FROM {self.name} AS t{where}{ordered}"

    def _collation(self, name: str) -> str:
        return "" if name in (self.info.rowid_alias, self.info.rowid) else " COLLATE BINARY"

    def get(self, raw: frozenset[int] = NO_RAW) -> str:
        """The row of one key."""
        names = [column.name for column in self._columns]
        return f"SELECT {_selected(names)} FROM {self.name} AS t WHERE {self._matches_key(raw)}"

    def _matches_key(self, raw: frozenset[int], places: Sequence[int] = ()) -> str:
        """The condition on the key, whose parts are the parameters at `places`.

        The first term finds a row by its index. The second one sees that the value is the same to
        the byte, whatever the column's collation and affinity take as equal.
        """
        index = self.info.unique_on(column.name for column in self._key)
        collations = dict(zip(index.columns, index.collations, strict=True)) if index else {}
        terms = []
        for part, column in zip(places or range(len(self._key)), self._key, strict=True):
            name, mark = quoted(column.name), parameter(part + 1, raw=part in raw)
            if column.name == self.info.rowid_alias:
                terms.append(f"{name} = {mark}")
                continue
            collation = quoted(collations.get(column.name, "BINARY"))
            terms.append(f"{name} COLLATE {collation} = {mark}")
            terms.append(f"+{name} = {mark} COLLATE BINARY")
        return " AND ".join(terms)

    # -- writing -------------------------------------------------------------------------------

    def insert(self, raw: frozenset[int] = NO_RAW, *, rows: int = 1) -> str:
        """Insert rows. OR ABORT overrides what the table's own ON CONFLICT clauses would do."""
        count = len(self._columns)
        names = ", ".join(quoted(column.name) for column in self._columns)
        values = ", ".join(
            f"({', '.join(parameter(first + n, raw=n in raw) for n in range(count))})"
            for first in range(1, rows * count + 1, count)
        )
        return f"INSERT OR ABORT INTO {self.name} ({names}) VALUES {values}"

    def inserted_at_once(self, parameters: int) -> int:
        """How many rows one statement inserts best, where it may have so many parameters."""
        if self.info.module:
            return 1
        return max(1, min(_AT_ONCE, parameters // len(self._columns)))

    def update(self, raw: frozenset[int] = NO_RAW) -> str:
        """Give the row with a row's key the row's values."""
        key = self.collection.key_positions
        # In a column without affinity 1 and 1.0 are one key, but two values.
        written = [
            place
            for place, column in enumerate(self._columns)
            if place not in key or (column.affinity == "BLOB" and not self.info.module)
        ]
        values = ", ".join(
            f"{quoted(self._columns[n].name)} = {parameter(n + 1, raw=n in raw)}"
            for n in written or key[:1]
        )
        condition = self._matches_key(raw, key)
        return f"UPDATE OR ABORT {self.name} SET {values} WHERE {condition}"

    def delete(self, raw: frozenset[int] = NO_RAW) -> str:
        """Delete the row of a key."""
        return f"DELETE FROM {self.name} WHERE {self._matches_key(raw)}"

    # -- references ----------------------------------------------------------------------------

    def dangling(self, reference: Reference, target: Plan) -> str:
        """Values of a reference, each once, that no record of the target has.

        Each value is looked up once, however many records have it.
        """
        own = [quoted(column.name) for column in self.columns_of(reference.fields)]
        to = target.columns_of(reference.to or target.collection.key)
        pairs = [(f"d.v{n}", f"p.{quoted(column.name)}") for n, column in enumerate(to)]
        matches = " AND ".join(f"{b} = {a} AND +{b} = +{a} COLLATE BINARY" for a, b in pairs)
        values = ", ".join(f"+s.{name} COLLATE BINARY AS v{n}" for n, name in enumerate(own))
        given = " AND ".join(f"s.{name} IS NOT NULL" for name in own)
        return (
            f"SELECT * FROM (SELECT DISTINCT {values} FROM {self.name} AS s WHERE {given}) AS d "
            f"WHERE NOT EXISTS (SELECT 1 FROM {target.name} AS p WHERE {matches})"
        )

    # -- order ---------------------------------------------------------------------------------

    def is_ordered(self, *, utf8: bool) -> bool:
        """Whether SQLite's order of the stored keys is the order of their values."""
        return bool(self._key) and all(
            self._part_is_ordered(name, utf8=utf8) for name in self.collection.key
        )

    def _part_is_ordered(self, name: str, *, utf8: bool) -> bool:
        field = self.collection.field(name)
        kind = field.value_kind
        if not utf8 and (field.off_kind == "keep" or isinstance(kind, kinds.Str | composite.Enum)):
            return False
        if isinstance(kind, kinds.Int) and self._column_of[name].affinity == "TEXT":
            return False  # 10 would come before 9
        if isinstance(kind, _ORDERED_AS_STORED):
            return True
        if field.off_kind == "keep":
            # Values off their kind stand among the others by their bytes, not apart from them.
            return False
        if isinstance(kind, kinds.Decimal):
            return self._column_of[name].affinity in ("INTEGER", "NUMERIC")
        return isinstance(kind, _ORDERED_AS_TEXT)


_AT_ONCE: Final = 32  # more do not pay
_ORDERED_AS_STORED: Final = (
    kinds.Int | kinds.Float | kinds.Str | kinds.Bytes | kinds.Bool | composite.Enum
)
_ORDERED_AS_TEXT: Final = kinds.Date | kinds.Time | kinds.DateTime | kinds.DateTimeTz | kinds.UUID


def parameter(number: int, *, raw: bool = False) -> str:
    """A numbered parameter; of text that is no UTF-8 it is given the bytes."""
    return f"CAST(?{number} AS TEXT)" if raw else f"?{number}"


def _selected(names: Iterable[str]) -> str:
    # The plus sign and the alias keep the converters of a host's connection away.
    return ", ".join(f"+t.{quoted(name)} AS c{place}" for place, name in enumerate(names))
