"""The foreign keys of a database, which are not checked while an import writes.

What dangled before an import may dangle after it; what newly does is refused, or, outside the
schema and where that is allowed, carried off by the reference's own action.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from databackup.adapters._dangling import Dangling, settle
from databackup.adapters.sqlalchemy.mysql.catalogue import quoted
from databackup.adapters.sqlalchemy.mysql.statements import by_primary_key, exact_column

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from databackup.adapters.sqlalchemy.catalogue import Catalogue, ForeignKey
    from databackup.adapters.sqlalchemy.plan import Plan

Values = tuple[Any, ...]
Query = Callable[[str, Values], Iterable[Values]]
Execute = Callable[[str, Values], int]
_ACTIONS: Final = ("CASCADE", "SET NULL")


class ForeignKeys:
    """The foreign keys from and to covered tables, and which of their values dangled before."""

    def __init__(self, query: Query, catalogue: Catalogue, plans: Mapping[str, Plan]) -> None:
        self._query = query
        self._catalogue = catalogue
        self._covered = {plan.info.name for plan in plans.values()}
        self._holding: set[tuple[str, str, frozenset[tuple[str, str]]]] = set()
        self._before = {found.identity for found in self._dangling()}

    def note_holding(
        self, own: Plan, columns: Sequence[str], target: Plan, to: Sequence[str]
    ) -> None:
        """Remember that no value of these columns dangles, not even to the byte."""
        pairs = frozenset(zip(columns, to, strict=True))
        self._holding.add((own.info.name, target.info.name, pairs))

    def note_write(self) -> None:
        """Forget what was seen to hold."""
        self._holding.clear()

    def settle(self, execute: Execute, *, allow_cascade: bool) -> None:
        """Carry off what newly dangles outside the schema where that is allowed.

        Raises `StoreError` for what may not be, or has no action that carries it off.
        """
        settle(
            lambda: [found for found in self._dangling() if found.identity not in self._before],
            self._covered,
            functools.partial(self._carry_off, execute),
            actions=_ACTIONS,
            allow_cascade=allow_cascade,
        )

    def _dangling(self) -> Iterator[Dangling[ForeignKey]]:
        for key in self._catalogue.foreign_keys:
            pairs = frozenset(zip(key.columns, key.to, strict=True))
            if (key.table, key.parent, pairs) in self._holding:
                continue
            for *values, rows in self._query(self._sql(key), ()):
                yield Dangling(key, tuple(values), int(rows))

    def _sql(self, key: ForeignKey) -> str:
        """Values that refer to nothing, and in how many rows, as the server compares them."""
        child, parent = key.details
        given = " AND ".join(f"t.{quoted(name)} IS NOT NULL" for name in key.columns)
        matches = " AND ".join(
            f"p.{quoted(to)} = t.{quoted(name)}"
            for name, to in zip(key.columns, key.to, strict=True)
        )
        values = ", ".join(self._exact(key, name) for name in key.columns)
        info = self._catalogue.tables.get(key.table)
        index = by_primary_key(info) if info else ""
        return (
            f"SELECT {values}, count(*) FROM {child} AS t{index} WHERE {given} AND NOT EXISTS "
            f"(SELECT 1 FROM {parent} AS p WHERE {matches}) GROUP BY {values}"
        )

    def _exact(self, key: ForeignKey, name: str) -> str:
        info = self._catalogue.tables.get(key.table)
        if info is None:  # of a database that is not looked at
            return f"CAST(t.{quoted(name)} AS BINARY)"
        # A generated column may refer, too.
        column = info.columns.get(name)
        return exact_column(column, "t") if column else f"t.{quoted(name)}"

    def _carry_off(self, execute: Execute, found: Dangling[ForeignKey]) -> None:
        key = found.key
        child, _ = key.details
        terms = " AND ".join(f"{self._exact(key, name)} = %s" for name in key.columns)
        if key.on_delete == "CASCADE":
            done = execute(f"DELETE t FROM {child} AS t WHERE {terms}", found.values)
        else:
            changes = ", ".join(f"t.{quoted(name)} = NULL" for name in key.columns)
            done = execute(f"UPDATE {child} AS t SET {changes} WHERE {terms}", found.values)
        if not done:
            raise found.error("that cannot be carried off")
