"""Writes in an order that enforced foreign keys allow.

What a constraint forbids waits until the rest is written: a record until the one that it refers to
is there, a deletion until nothing refers to the record any more, so that nothing cascades. Records
that refer to each other are written without their references first, where these may be NULL.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from typing import TYPE_CHECKING, Final

import attrs
import psycopg
from psycopg import errors

from databackup.adapters.sqlalchemy.postgresql.backlog import Backlog, Waiting
from databackup.adapters.sqlalchemy.postgresql.catalogue import driver_sql
from databackup.adapters.sqlalchemy.postgresql.constraints import (
    Constraint,
    read_constraints,
    references,
)
from databackup.adapters.sqlalchemy.postgresql.graph import can_be_empty, in_cycles, is_immediate
from databackup.adapters.sqlalchemy.postgresql.session import PostgreSQLTransaction
from databackup.errors import OwnerRequired, RecordsRefused, StoreError
from databackup.repository import BATCH_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from databackup.adapters.sqlalchemy.plan import Plan
    from databackup.adapters.sqlalchemy.session import Scope
    from databackup.repository import Key, Row
    from databackup.schema import Collection

_FORBIDDEN: Final = (errors.ForeignKeyViolation, errors.RestrictViolation, errors.UniqueViolation)


class OrderedWrites(PostgreSQLTransaction):
    """A write transaction whose writes wait for others where a constraint forbids them for now."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._plan_of = {plan.info.details.oid: plan for plan in scope.plans.values()}
        self._backlog = Backlog()
        self._may_cascade = False

    def close(self) -> None:
        super().close()
        self._backlog.close()

    # -- constraints ---------------------------------------------------------------------------

    @functools.cached_property
    def _foreign_keys(self) -> list[Constraint]:
        return read_constraints(self._connection, sorted(self._plan_of))

    def _own(self, plan: Plan) -> list[Constraint]:
        return [k for k in self._foreign_keys if k.child == plan.info.details.oid]

    def _pointing_at(self, plan: Plan) -> Iterator[Constraint]:
        """Those that forbid deleting a record that they refer to, or would change others."""
        for key in self._foreign_keys:
            allowed = self._may_cascade and self._is_outside(key)
            if key.parent == plan.info.details.oid and is_immediate(key) and not allowed:
                yield key

    def _is_outside(self, key: Constraint) -> bool:
        return key.child not in self._plan_of

    @functools.cached_property
    def _in_cycles(self) -> frozenset[str]:
        inside = [key for key in self._foreign_keys if not self._is_outside(key)]
        return frozenset(key.name for key in in_cycles(inside))

    # -- reading -------------------------------------------------------------------------------

    def count(self, collection: Collection) -> int:
        self._catch_up(collection)
        return super().count(collection)

    def rows(self, collection: Collection, *, batch_size: int = BATCH_SIZE) -> Iterator[list[Row]]:
        self._catch_up(collection)
        return super().rows(collection, batch_size=batch_size)

    def get(self, collection: Collection, keys: Iterable[Key]) -> list[Row]:
        self._catch_up(collection)
        return super().get(collection, keys)

    def _catch_up(self, collection: Collection) -> None:
        """Write what waits before anybody looks. Raises where it has to wait for more."""
        if self._backlog.has(collection.name):
            with self._errors(f"{collection} cannot be written"):
                self._carry_out()
                self._require_nothing_waits()

    # -- writing -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        with self._backlog.savepoint(), super().savepoint():
            yield

    def clear(self, collection: Collection) -> None:
        plan = self._plan(collection)
        held = " OR ".join(references(key) for key in self._pointing_at(plan))
        if held:
            sql = f"SELECT EXISTS (SELECT 1 FROM {plan.info.details.source} AS t WHERE {held})"
            ((found,),) = self._query(driver_sql(sql), doing=f"{collection} cannot be read")
            if found:
                raise OwnerRequired(
                    f"{collection}: records without a key are replaced as a whole, and others "
                    "refer to them"
                )
        super().clear(collection)

    def _insert(self, plan: Plan, rows: list[Row]) -> None:
        self._write_or_wait(Waiting("insert", plan.collection.name, rows))

    def _update(self, plan: Plan, rows: list[Row]) -> int:
        return self._write_or_wait(Waiting("update", plan.collection.name, rows))

    def _delete(self, plan: Plan, keys: list[Row]) -> int:
        return self._write_or_wait(Waiting("delete", plan.collection.name, keys))

    def _write_or_wait(self, write: Waiting, *, again: bool = False) -> int:
        """Write, or let wait what a constraint forbids; how many records were there."""
        plan = self._plans[write.collection]
        # Another write may make way: a new record, a value that a record gives up.
        may_wait = again or self._backlog.has(write.collection)
        try:
            with self._driver.transaction() as attempt:
                done = int(getattr(self, f"_{write.what}_now")(plan, write.rows))
                if done < len(write.rows) and may_wait:
                    raise psycopg.Rollback(attempt)
        except _FORBIDDEN as error:
            if isinstance(error, errors.UniqueViolation) and not may_wait:
                raise
            self._backlog.put(_forbidden(write, error))
            return len(write.rows)
        if done < len(write.rows) and may_wait:
            self._backlog.put(attrs.evolve(write, constraint="", said="a record is not there"))
            return len(write.rows)
        return done

    def _insert_now(self, plan: Plan, rows: list[Row]) -> int:
        super()._insert(plan, rows)
        return len(rows)

    def _update_now(self, plan: Plan, rows: list[Row]) -> int:
        done = super()._update(plan, rows)
        fixed = self._fixed(plan)
        if fixed:
            self._renumber(plan, fixed, rows)
        return done

    def _delete_now(self, plan: Plan, keys: list[Row]) -> int:
        done = super()._delete(plan, keys)
        if done == len(keys):
            return done
        held = [key for key in keys if self._stored_at(plan, key)]
        holder = self._holder(plan, held[0]) if held else None
        name, said = (holder.name, f"{holder.table} refers to it") if holder else ("", "")
        self._backlog.put(Waiting("delete", plan.collection.name, held, name, said))
        return done + len(held)

    def _holder(self, plan: Plan, key: Row) -> Constraint | None:
        """A constraint by which another record refers to one."""
        held = (k for k in self._pointing_at(plan) if self._stored_at(plan, key, references(k)))
        return next(held, None)

    def _deletable(self, plan: Plan) -> list[str]:
        return [f"NOT {references(key)}" for key in self._pointing_at(plan)]

    # -- identities ----------------------------------------------------------------------------

    def _fixed(self, plan: Plan) -> list[int]:
        """The places of columns that PostgreSQL lets nobody update."""
        always, key = plan.info.details.always, plan.collection.key_positions
        return [n for n, c in enumerate(plan.columns) if c.name in always and n not in key]

    def _changed(self, plan: Plan) -> list[int]:
        fixed = self._fixed(plan)
        return [n for n in super()._changed(plan) if n not in fixed]

    def _renumber(self, plan: Plan, fixed: list[int], rows: list[Row]) -> None:
        """Put records anew whose fixed values are to be others."""
        for row in rows:
            key = tuple(row[n] for n in plan.collection.key_positions)
            for stored in self._stored_at(plan, key):
                if all(stored[n] == row[n] for n in fixed):
                    continue
                if len(plan.columns) < len(plan.info.columns) or super()._delete(plan, [key]) == 0:
                    names = ", ".join(plan.columns[n].name for n in fixed)
                    raise OwnerRequired(
                        f"{plan.collection}: {names} is GENERATED ALWAYS AS IDENTITY, and a record "
                        "can only be put in anew to change it, which others refer to or which has "
                        "columns that the schema leaves out"
                    )
                super()._insert(plan, [row])

    # -- what waits ----------------------------------------------------------------------------

    def _carry_out(self) -> None:
        """Do what waits, as far as one write makes way for another."""
        if not self._backlog:
            return
        if self._backlog.is_nested:
            raise StoreError("what waits for other records cannot be read within a savepoint")
        if self._go_round():
            return
        for write in self._backlog.drained():
            self._ease(write)
        if self._go_round():
            return
        self._insert_at_once()
        while not self._go_round() and self._halve():
            pass

    def _go_round(self) -> bool:
        """Try again, as long as that gets something done; whether nothing is left."""
        left = self._backlog.records + 1
        while self._backlog and self._backlog.records < left:
            left = self._backlog.records
            for write in self._backlog.drained():
                self._write_or_wait(write, again=True)
        return not self._backlog

    def _ease(self, write: Waiting) -> None:
        """Write records without the references that may be NULL, which then wait alone."""
        plan = self._plans[write.collection]
        soft = (k for k in self._own(plan) if is_immediate(k) and can_be_empty(k))
        names = {name for key in soft for name in key.nullable}
        key_places = plan.collection.key_positions
        empty = [n for n, c in enumerate(plan.columns) if c.name in names and n not in key_places]
        if not empty:
            self._backlog.put(write)
            return
        rows = write.rows
        if write.what == "delete":
            rows = [row for key in write.rows for row in self._stored_at(plan, key)]
        eased = [tuple(None if n in empty else v for n, v in enumerate(row)) for row in rows]
        now = self._insert_now if write.what == "insert" else self._update_now
        rest = attrs.evolve(write, what="update") if write.what == "insert" else write
        try:
            with self._driver.transaction():
                now(plan, eased)
        except errors.IntegrityError:
            rest = write
        self._backlog.put(rest)

    def _insert_at_once(self) -> None:
        """Insert all that waits of a table whose records refer to each other by one statement."""
        waiting = Counter(w.collection for w in self._backlog.waiting() if w.what == "insert")
        for name in waiting:
            plan = self._plans[name]
            if not any(key.parent == key.child for key in self._own(plan)):
                continue
            batches = (
                w.rows
                for w in self._backlog.waiting()
                if (w.what, w.collection) == ("insert", name)
            )
            with contextlib.suppress(*_FORBIDDEN):
                with self._driver.transaction():
                    self._copy(plan, batches)
                for write in self._backlog.drained():
                    if (write.what, write.collection) != ("insert", name):
                        self._backlog.put(write)

    def _halve(self) -> bool:
        """Let less wait for one record that cannot be written; whether there is less than that."""
        larger = False
        for write in self._backlog.drained():
            half = (len(write.rows) + 1) // 2
            larger = larger or half < len(write.rows)
            for rows in (write.rows[:half], write.rows[half:]):
                self._backlog.put(attrs.evolve(write, rows=rows))
        return larger

    def _require_no_cycle(self) -> None:
        for write in self._backlog.waiting():
            if write.constraint in self._in_cycles:
                raise OwnerRequired(
                    f"{write.collection}: the constraint {write.constraint!r} is checked at each "
                    "statement, NOT DEFERRABLE, and is part of a cycle of references none of "
                    "which may be NULL, so that no record of it can be written or deleted first",
                    write.constraint,
                )

    def _require_nothing_waits(self) -> None:
        self._require_no_cycle()
        for write in self._backlog.waiting():
            if write.what == "delete" or not write.constraint:
                raise OwnerRequired(
                    f"{write.collection}: a record cannot be put or deleted while the constraint "
                    f"{write.constraint!r} is enforced: {write.said}",
                    write.constraint,
                )
            raise RecordsRefused(f"{write.collection}: {write.said}")


def _forbidden(write: Waiting, error: psycopg.Error) -> Waiting:
    said = error.diag.message_primary or str(error)
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    return attrs.evolve(write, constraint=error.diag.constraint_name or "", said=said + detail)
