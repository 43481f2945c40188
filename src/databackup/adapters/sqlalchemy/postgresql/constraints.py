"""Foreign keys, triggers and identities, which an owner takes off while an import writes.

PostgreSQL checks a reference at each statement, cascades at once, and only a superuser can switch
that off. What a transaction drops and makes anew is checked anew, and nobody else sees it go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import sqlalchemy

from databackup.adapters.sqlalchemy.postgresql.catalogue import driver_sql, quoted
from databackup.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from databackup.adapters.sqlalchemy.plan import Plan

_CONSTRAINTS: Final = """
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), k.conname,
  pg_catalog.pg_get_constraintdef(k.oid), pg_catalog.obj_description(k.oid, 'pg_constraint'),
  coalesce(pg_catalog.pg_partition_root(k.conrelid)::oid, k.conrelid),
  coalesce(pg_catalog.pg_partition_root(k.confrelid)::oid, k.confrelid),
  k.condeferrable, k.confmatchtype = 'f', k.confdeltype::text, k.confupdtype::text,
  pg_catalog.quote_ident(pn.nspname) || '.' || pg_catalog.quote_ident(p.relname), ARRAY(
  SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(attnum, n)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n),
  ARRAY(
  SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(attnum, n)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n),
  ARRAY(
  SELECT a.attname::text FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = k.conrelid AND a.attnum = ANY(k.conkey) AND NOT a.attnotnull),
  c.relkind = 'p', p.relkind = 'p', pg_catalog.pg_partition_root(k.conrelid) IS NOT NULL
  AND pg_catalog.pg_partition_root(k.conrelid) <> k.conrelid
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = k.confrelid
JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND (
  coalesce(pg_catalog.pg_partition_root(k.conrelid), k.conrelid) = ANY(%s)
  OR coalesce(pg_catalog.pg_partition_root(k.confrelid), k.confrelid) = ANY(%s))
ORDER BY k.conrelid, k.conname
"""
_TRIGGERS: Final = """
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), g.tgname,
  g.tgenabled::text
FROM pg_catalog.pg_trigger g
JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE coalesce(pg_catalog.pg_partition_root(g.tgrelid), g.tgrelid) = ANY(%s)
  AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')
ORDER BY c.relname, g.tgname
"""
_UNCHECKED: Final = ("NOT VALID", "NOT ENFORCED")
_ENABLE: Final = {"O": "ENABLE TRIGGER", "A": "ENABLE ALWAYS TRIGGER"}


@attrs.frozen
class Constraint:
    """A foreign key. `child` and `parent` are tables' numbers, of partitions that of the whole."""

    table: str
    name: str
    definition: str
    comment: str | None
    child: int
    parent: int
    is_deferrable: bool
    matches_full: bool
    on_delete: str
    on_update: str
    parent_name: str
    columns: tuple[str, ...] = attrs.field(converter=tuple)
    to: tuple[str, ...] = attrs.field(converter=tuple)
    nullable: tuple[str, ...] = attrs.field(converter=tuple)
    child_is_whole: bool
    parent_is_whole: bool
    is_of_a_part: bool

    @property
    def dangling(self) -> str:
        """The condition on a row of the table `s` that points at nothing."""
        given = " AND ".join(f"s.{quoted(name)} IS NOT NULL" for name in self.columns)
        only = "" if self.parent_is_whole else "ONLY "
        matches = " AND ".join(
            f"p.{quoted(to)} = s.{quoted(name)}"
            for name, to in zip(self.columns, self.to, strict=True)
        )
        return f"{given} AND NOT EXISTS (SELECT 1 FROM {only}{self.parent_name} p WHERE {matches})"

    @property
    def source(self) -> str:
        """The table as a statement reads it."""
        return self.table if self.child_is_whole else f"ONLY {self.table}"

    @property
    def says_all(self) -> bool:
        """Whether making it checks all rows of its table.

        One with a period compares otherwise; but no reference is by a range.
        """
        return not self.definition.endswith(_UNCHECKED) and not self.is_of_a_part


def read_constraints(connection: sqlalchemy.Connection, tables: list[int]) -> list[Constraint]:
    """The foreign keys that these tables have, and those that point at them."""
    found = connection.exec_driver_sql(_CONSTRAINTS, (tables, tables))
    return [Constraint(*row) for row in found]


def read_triggers(
    connection: sqlalchemy.Connection, tables: list[int]
) -> list[tuple[str, str, str]]:
    """The host's triggers that fire on these tables: table, name, state."""
    found = connection.exec_driver_sql(_TRIGGERS, (tables,))
    return [(table, name, state) for table, name, state in found]


def references(constraint: Constraint) -> str:
    """The condition on a row of the parent `t` that another row refers to it."""
    matches = [
        f"s.{quoted(name)} = t.{quoted(to)}"
        for name, to in zip(constraint.columns, constraint.to, strict=True)
    ]
    if constraint.child == constraint.parent:
        matches.append("(s.tableoid, s.ctid) <> (t.tableoid, t.ctid)")
    return f"EXISTS (SELECT 1 FROM {constraint.source} s WHERE {' AND '.join(matches)})"


def refers_from_outside(constraint: Constraint, *, allow_cascade: bool) -> StoreError:
    """The error of records outside the schema that refer to what an import would delete."""
    return StoreError(
        f"{constraint.table} ({', '.join(constraint.columns)}) refers to records of "
        f"{constraint.parent_name} that an import would delete. The schema leaves that table out"
        + ("" if allow_cascade else "; allow_cascade lets the store carry them off")
    )


class SuspendedConstraints:
    """The foreign keys that touch the covered tables, and the triggers on these."""

    def __init__(self, connection: sqlalchemy.Connection, plans: Mapping[str, Plan]) -> None:
        self._connection = connection
        self._covered = {plan.info.details.oid for plan in plans.values()}
        self._constraints: list[Constraint] = []
        self._triggers: list[tuple[str, str, str]] = []
        self._identities = [
            (plan.info.details.name, name)
            for plan in plans.values()
            for name in plan.info.details.always
        ]
        self._anew: list[Constraint] = []
        self._is_begun = False

    @property
    def are_suspended(self) -> bool:
        """Whether nothing of them stands in the way of a write."""
        return self._is_begun and not self._anew

    def suspend(self) -> None:
        """Take them off, before a write."""
        if not self._is_begun:
            self._begin()
        for constraint in self._anew:
            self._drop(constraint)
        self._anew.clear()

    def _begin(self) -> None:
        oids = sorted(self._covered)
        self._constraints += read_constraints(self._connection, oids)
        self._triggers = read_triggers(self._connection, oids)
        for constraint in self._constraints:
            self._drop(constraint)
        for table, name, _ in self._triggers:
            # Those of partitions have states of their own.
            self._run(f"ALTER TABLE ONLY {table} DISABLE TRIGGER {quoted(name)}")
        for table, name in self._identities:  # or PostgreSQL would let nobody update them
            self._run(f"ALTER TABLE {table} ALTER {quoted(name)} SET GENERATED BY DEFAULT")
        self._is_begun = True

    def _drop(self, constraint: Constraint) -> None:
        self._run(f"ALTER TABLE {constraint.table} DROP CONSTRAINT {quoted(constraint.name)}")

    def hold(self, child: int, columns: Sequence[str], parent: int, to: Sequence[str]) -> bool:
        """Whether a foreign key says that these columns of a table refer to rows that are there.

        It is made anew, which checks it, and stands until `suspend`. It may not where False is
        said.
        """
        pairs = set(zip(columns, to, strict=True))
        for found in self._constraints:
            is_same = (found.child, found.parent) == (child, parent) and pairs == set(
                zip(found.columns, found.to, strict=True)
            )
            if is_same and found.says_all:
                return found in self._anew or self._could_make(found)
        return False

    def _could_make(self, constraint: Constraint) -> bool:
        self._run("SAVEPOINT databackup_key")
        try:
            self._make(constraint)
        except sqlalchemy.exc.DBAPIError as error:
            if error.connection_invalidated:
                raise
            self._run("ROLLBACK TO SAVEPOINT databackup_key")
        else:
            self._anew.append(constraint)
        self._run("RELEASE SAVEPOINT databackup_key")
        return constraint in self._anew

    def settle(self, *, allow_cascade: bool) -> None:
        """Carry off what refers to deleted records from outside the schema, where that is allowed.

        Raises `StoreError` where it is not, or where a reference has no action that does it.
        """
        outside = [c for c in self._constraints if c.child not in self._covered]
        while left := [c for c in outside if self._dangles(c)]:
            for constraint in left:
                if not allow_cascade or constraint.on_delete not in "cnd":
                    raise refers_from_outside(constraint, allow_cascade=allow_cascade)
                self._carry_off(constraint)
                if constraint.on_delete == "d" and self._dangles(constraint):
                    raise StoreError(
                        f"{constraint.table} refers to records of {constraint.parent_name} that do "
                        "not exist, by default"
                    )

    def _dangles(self, constraint: Constraint) -> bool:
        sql = f"SELECT EXISTS (SELECT 1 FROM {constraint.source} s WHERE {constraint.dangling})"
        ((found,),) = self._connection.exec_driver_sql(driver_sql(sql))
        return bool(found)

    def _carry_off(self, constraint: Constraint) -> None:
        if constraint.on_delete == "c":
            self._run(f"DELETE FROM {constraint.source} s WHERE {constraint.dangling}")
            return
        value = "NULL" if constraint.on_delete == "n" else "DEFAULT"
        changes = ", ".join(f"{quoted(name)} = {value}" for name in constraint.columns)
        self._run(f"UPDATE {constraint.source} s SET {changes} WHERE {constraint.dangling}")

    def restore(self) -> None:
        """Make the foreign keys anew, which checks them, and let the triggers fire again."""
        self._run("SET CONSTRAINTS ALL IMMEDIATE")
        for constraint in self._constraints:
            if constraint not in self._anew:
                self._make(constraint)
        for table, name, state in self._triggers:
            self._run(f"ALTER TABLE ONLY {table} {_ENABLE[state]} {quoted(name)}")
        if self._is_begun:
            for table, name in self._identities:
                self._run(f"ALTER TABLE {table} ALTER {quoted(name)} SET GENERATED ALWAYS")
        self._constraints, self._triggers, self._anew = [], [], []

    def _make(self, constraint: Constraint) -> None:
        table, name = constraint.table, quoted(constraint.name)
        self._run(f"ALTER TABLE {table} ADD CONSTRAINT {name} {constraint.definition}")
        if constraint.comment is not None:
            comment = constraint.comment.replace("\\", "\\\\").replace("'", "''")
            self._run(f"COMMENT ON CONSTRAINT {name} ON {table} IS E'{comment}'")

    def _run(self, sql: str) -> Any:
        return self._connection.exec_driver_sql(driver_sql(sql))
