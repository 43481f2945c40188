"""References that the schema does not cover: from tables outside it, and those it does not state.

SQLite's own enforcement is off during a transaction, so that nothing cascades and writes come in
any order. What dangled before an import may dangle after it; what newly does is refused, or carried
off by the reference's own action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from databackup.adapters._dangling import Dangling, settle
from databackup.adapters.sqlite.connection import query, quoted
from databackup.adapters.sqlite.plan import parameter
from databackup.schema import RawText

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

    from databackup.adapters.sqlite.catalogue import Catalogue, ForeignKey
    from databackup.adapters.sqlite.plan import Plan

Values = tuple[Any, ...]
_ACTIONS: Final = ("CASCADE", "SET NULL", "SET DEFAULT")


class OutsideReferences:
    """The foreign keys that the schema does not cover, and which of their values dangled before."""

    def __init__(
        self, connection: sqlite3.Connection, catalogue: Catalogue, plans: Mapping[str, Plan]
    ) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._covered = {plan.info.name for plan in plans.values()}
        stated = set(_stated(plans))
        self._keys = [key for key in catalogue.foreign_keys if _identity(key) not in stated]
        self._before = {found.identity for found in self._dangling()}
        self._carried: set[tuple[ForeignKey, Values]] = set()

    def settle(self, *, allow_cascade: bool) -> None:
        """Carry off what newly dangles outside the schema where that is allowed.

        Raises `StoreError` for what may not be, or has no action that carries it off.
        """
        self._carried.clear()
        settle(
            lambda: [found for found in self._dangling() if found.identity not in self._before],
            self._covered,
            self._carry_off,
            actions=_ACTIONS,
            allow_cascade=allow_cascade,
        )

    def _dangling(self) -> Iterator[Dangling[ForeignKey]]:
        for key in self._keys:
            for *values, rows in query(self._connection, _dangling_sql(key)):
                yield Dangling(key, tuple(values), rows)

    def _carry_off(self, found: Dangling[ForeignKey]) -> None:
        if found.identity in self._carried:
            raise found.error("that do not exist, by default")
        self._carried.add(found.identity)
        key, table = found.key, f"main.{quoted(found.key.table)}"
        if key.on_delete == "CASCADE":
            sql = f"DELETE FROM {table}"
        else:
            info = self._catalogue.tables[key.table]
            # A default is the text of an expression, as the table's definition has it.
            defaults = {n: f"({info.columns[n].default or 'NULL'})" for n in key.columns}
            default = key.on_delete == "SET DEFAULT"
            if default and any(type(info.columns[n].default) is RawText for n in key.columns):
                raise found.error("whose default is no UTF-8")
            changes = (f"{quoted(n)} = {defaults[n] if default else 'NULL'}" for n in key.columns)
            sql = f"UPDATE {table} SET {', '.join(changes)}"
        marks = [parameter(n, raw=type(v) is RawText) for n, v in enumerate(found.values, 1)]
        terms = (
            f"{quoted(name)} = {mark} AND +{quoted(name)} = {mark} COLLATE BINARY"
            for name, mark in zip(key.columns, marks, strict=True)
        )
        values = [v.data if type(v) is RawText else v for v in found.values]
        self._connection.execute(f"{sql} WHERE {' AND '.join(terms)}", values)


def _identity(key: ForeignKey) -> tuple[str, str, frozenset[tuple[str, str]]]:
    return key.table, key.parent, frozenset(zip(key.columns, key.to, strict=True))


def _stated(plans: Mapping[str, Plan]) -> Iterable[tuple[str, str, frozenset[tuple[str, str]]]]:
    """The foreign keys that references of the schema stand for."""
    for plan in plans.values():
        for reference in plan.collection.references:
            target = plans[reference.collection]
            own = plan.columns_of(reference.fields)
            to = target.columns_of(reference.to or target.collection.key)
            pairs = frozenset((a.name, b.name) for a, b in zip(own, to, strict=True))
            yield plan.info.name, target.info.name, pairs


def _dangling_sql(key: ForeignKey) -> str:
    """Values that refer to nothing, and in how many rows, as SQLite itself compares them."""
    values = ", ".join(f"+s.{quoted(name)} COLLATE BINARY" for name in key.columns)
    given = " AND ".join(f"s.{quoted(name)} IS NOT NULL" for name in key.columns)
    # The parent's affinity and collation decide; the plus sign takes the child's away.
    matches = " AND ".join(
        f"p.{quoted(to)} = +s.{quoted(name)}" for name, to in zip(key.columns, key.to, strict=True)
    )
    return (
        f"SELECT {values}, count(*) FROM main.{quoted(key.table)} AS s WHERE {given} "
        f"AND NOT EXISTS (SELECT 1 FROM main.{quoted(key.parent)} AS p WHERE {matches}) "
        f"GROUP BY {values}"
    )
