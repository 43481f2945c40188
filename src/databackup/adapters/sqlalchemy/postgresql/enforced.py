"""A write transaction of a role that does not own the tables.

Foreign keys hold after each statement then, and triggers fire. What can be checked at the end is.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from databackup.adapters.sqlalchemy.postgresql.backlog import Waiting
from databackup.adapters.sqlalchemy.postgresql.constraints import (
    read_triggers,
    references,
    refers_from_outside,
)
from databackup.adapters.sqlalchemy.postgresql.ordered import OrderedWrites
from databackup.errors import OwnerRequired
from databackup.spill import KeyIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from databackup.adapters.sqlalchemy.catalogue import Catalogue
    from databackup.adapters.sqlalchemy.plan import Plan
    from databackup.adapters.sqlalchemy.postgresql.sequences import Restart
    from databackup.adapters.sqlalchemy.session import Scope
    from databackup.repository import Key, Row
    from databackup.schema import Collection, Reference


def may_alter(catalogue: Catalogue, tables: Iterable[str]) -> bool:
    """Whether a role may take off, and make anew, all that stands in the way of writing tables."""
    covered = {name for name in tables if name in catalogue.tables}
    touching = (k for k in catalogue.foreign_keys if k.table in covered or k.parent in covered)
    return all(catalogue.tables[name].details.is_owned for name in covered) and all(
        key.details for key in touching
    )


class EnforcedTransaction(OrderedWrites):
    """A write transaction that leaves foreign keys and triggers as they are."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._is_deferred = False
        self._due: dict[str, Restart] = {}

    def _suspend(self) -> None:
        """Let what can be checked at the end be checked then."""
        if not self._is_deferred:
            with self._errors("references cannot be deferred"):
                self._connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")
            self._is_deferred = True

    def triggers(self) -> list[str]:
        """The triggers that fire on what is written, each with its table."""
        self._require_open()
        with self._errors("the triggers cannot be read"):
            found = read_triggers(self._connection, sorted(self._plan_of))
        return [f"{name} of {table}" for table, name, _ in found]

    # -- the end -------------------------------------------------------------------------------

    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]:
        with self._errors(f"{collection} cannot be written"):
            self._carry_out()
            self._require_no_cycle()
        found = dict.fromkeys(super().dangling(collection, reference, limit))
        more = itertools.chain(
            self._pointing_nowhere(collection, reference),
            self._pointing_at_deleted(collection, reference),
        )
        for values in more:
            if len(found) >= limit:
                break
            found.setdefault(values)
        return list(found)

    def _pointing_nowhere(self, collection: Collection, reference: Reference) -> Iterator[Key]:
        """Values of records that wait for one that never comes."""
        plan = self._plan(collection)
        columns = {column.name for column in plan.columns_of(reference.fields)}
        names = {key.name for key in self._own(plan) if set(key.columns) == columns}
        places = collection.positions(reference.fields)
        for write in self._backlog.waiting():
            is_record = write.what != "delete" and write.collection == collection.name
            if is_record and write.constraint in names:
                for row in plan.binder.load(write.rows):
                    values = tuple(row[place] for place in places)
                    if None not in values and not self._comes(reference, values):
                        yield values

    def _comes(self, reference: Reference, values: Key) -> bool:
        """Whether a record that is referred to waits itself."""
        target = self._plans[reference.collection]
        places = target.collection.positions(reference.to or target.collection.key)
        return any(
            values == tuple(row[place] for place in places)
            for write in self._backlog.waiting()
            if (write.what, write.collection) == ("insert", reference.collection)
            for row in target.binder.load(write.rows)
        )

    def _pointing_at_deleted(self, collection: Collection, reference: Reference) -> Iterator[Key]:
        """Values by which records that stay refer to one that is to be deleted."""
        plan, target = self._plan(collection), self._plans[reference.collection]
        own = plan.columns_of(reference.fields)
        places = target.collection.positions(reference.to or target.collection.key)
        with KeyIndex() as leaving:
            for key in self._leaving(plan):
                leaving.add([(repr(key).encode(), b"")])
            for key in self._leaving(target):
                for row in self._stored_at(target, key):
                    found = self._stored_with(plan, own, tuple(row[n] for n in places))
                    keys = (tuple(r[n] for n in collection.key_positions) for r in found)
                    if any(repr(key).encode() not in leaving for key in keys):
                        (loaded,) = target.binder.load([row])
                        yield tuple(loaded[n] for n in places)

    def _leaving(self, plan: Plan) -> Iterator[Row]:
        for write in self._backlog.waiting():
            if (write.what, write.collection) == ("delete", plan.collection.name):
                yield from write.rows

    def _settle(self, *, allow_cascade: bool) -> None:
        self._carry_out()
        for write in self._backlog.waiting():
            if write.what == "delete":
                self._require_no_outsider(write, allow_cascade=allow_cascade)
        if self._backlog:
            self._may_cascade = True
            self._carry_out()
        self._require_nothing_waits()

    def _require_no_outsider(self, write: Waiting, *, allow_cascade: bool) -> None:
        plan = self._plans[write.collection]
        for key, row in itertools.product(self._pointing_at(plan), write.rows):
            if not self._is_outside(key) or (allow_cascade and key.on_delete in "cnd"):
                continue
            if self._stored_at(plan, row, references(key)):
                raise refers_from_outside(key, allow_cascade=allow_cascade)

    def _restore(self) -> None:
        self._connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    def _restart(self, restart: Restart) -> None:
        """Remember to set a sequence forward, which no rollback undoes; none is ever set back."""
        if not restart.is_forward:
            return
        ((may_set,),) = self._query(
            "SELECT pg_catalog.has_sequence_privilege(%s, 'UPDATE')",
            (restart.sequence,),
            doing="the counters cannot be read",
        )
        if not may_set:
            raise OwnerRequired(
                f"the sequence {restart.sequence} has to go on behind {restart.last}, or the app's "
                "next record would get a number that is taken; GRANT UPDATE on it is enough"
            )
        self._due[restart.sequence] = restart

    def before_commit(self) -> None:
        with self._errors("the counters cannot be set"):
            for restart in self._due.values():
                self._query(
                    "SELECT pg_catalog.setval(%s::regclass, %s)",
                    (restart.sequence, restart.last),
                    doing="the counters cannot be set",
                )
