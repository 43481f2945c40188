"""A state machine that drives a repository and an oracle through the same steps."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from databackup.errors import RecordsRefused
from databackup.testing.exact import exact_rows
from databackup.testing.harness import RollBack, expect, expect_equal, expect_raises, opening, seen
from databackup.testing.oracle import Oracle
from databackup.testing.strategies.datasets import datasets, pointed, rows, unique_fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from databackup.repository import Row, Transaction
    from databackup.schema import Collection, Schema
    from databackup.testing.harness import Factory, Make

_LIMIT = 1000
_STEPS = 30


def _in_transaction(machine: AdapterMachine) -> bool:
    return machine.open is not None


def _outside(machine: AdapterMachine) -> bool:
    return machine.open is None


def _with_savepoints(machine: AdapterMachine) -> bool:
    return _in_transaction(machine) and machine.repository.capabilities.savepoints


def _in_savepoint(machine: AdapterMachine) -> bool:
    return bool(machine.savepoints)


class AdapterMachine(RuleBasedStateMachine):
    """Random transactions on a repository and on an oracle, which must agree throughout.

    Made for one factory and one schema by `adapter_state_machine`.
    """

    make: ClassVar[Callable[[Schema], AbstractContextManager[Any]]]
    schema: ClassVar[Schema]

    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        self.repository = self._stack.enter_context(type(self).make(self.schema))
        self.committed = Oracle(self.schema)
        self.current = self.committed
        self.open: AbstractContextManager[Transaction] | None = None
        self.savepoints: list[tuple[AbstractContextManager[None], Oracle]] = []

    def teardown(self) -> None:
        """Roll back what is open, and close the repository."""
        with self._stack:
            if self.open is not None:
                self.roll_back()

    # -- the steps -----------------------------------------------------------------------------

    @initialize(data=st.data())
    def fill(self, data: st.DataObject) -> None:
        """Commit a dataset to begin with."""
        dataset = data.draw(datasets(self.schema, max_records=4))
        self.begin()
        for collection in self.schema.collections:
            if dataset[collection.name]:
                self.transaction.insert(collection, dataset[collection.name])
                self.current.put(collection, dataset[collection.name])
        self.commit()

    @rule()
    @precondition(_outside)
    def begin(self) -> None:
        """Open a transaction."""
        self.open = self.repository.transaction(wait=0.1)
        self.transaction = self.open.__enter__()
        self.current = self.committed.copy()

    def look_from_outside(self) -> None:
        """A new snapshot shows what was committed."""
        with self.repository.snapshot() as snapshot:
            expect_equal(self.committed.shown(), seen(snapshot, self.schema), "a new snapshot")

    @rule(data=st.data())
    @precondition(_in_transaction)
    def look(self, data: st.DataObject) -> None:
        """rows, count, get and dangling show what the transaction wrote."""
        self._look_at_rows("the rows in the transaction")
        collection = self._draw_collection(data)
        wanted = self.current.rows(collection)
        found = self.transaction.count(collection)
        expect_equal(len(wanted), found, f"the count of {collection}")
        if collection.key:
            keys = self.current.keys(collection)
            got = exact_rows(collection, self.transaction.get(collection, keys))
            expect_equal(exact_rows(collection, wanted), got, f"get of all keys of {collection}")
        for reference in collection.references:
            dangling = self.transaction.dangling(collection, reference, _LIMIT)
            lost = self.current.dangling(collection, reference)
            expect_equal(lost, set(dangling), f"dangling of {collection} {reference.fields}")
            expect_equal(len(lost), len(dangling), "how often dangling gives each value")

    @rule(data=st.data())
    @precondition(_in_transaction)
    def insert(self, data: st.DataObject) -> None:
        """Insert records with new keys into some collections."""
        for collection in data.draw(st.permutations(self.schema.collections)):
            new = [self._draw_row(data, collection) for _ in range(data.draw(st.integers(0, 2)))]
            kept = self._acceptable(collection, new)
            self.transaction.insert(collection, kept)
            self.current.put(collection, kept)

    @rule(data=st.data())
    @precondition(_in_transaction)
    def update(self, data: st.DataObject) -> None:
        """Give records new values."""
        collection = self._draw_collection(data)
        if not self.current.keys(collection) or not collection.key:
            return
        key = data.draw(st.sampled_from(self.current.keys(collection)))
        row = self._with_key(collection, self._draw_row(data, collection), key)
        self.current.delete(collection, [key])
        if not self._acceptable(collection, [row]):
            self.transaction.delete(collection, [key])
            return
        self.transaction.update(collection, [row])
        self.current.put(collection, [row])

    @rule(data=st.data())
    @precondition(_in_transaction)
    def delete(self, data: st.DataObject) -> None:
        """Delete some records."""
        collection = self._draw_collection(data)
        if collection.key:
            known = self.current.keys(collection)
            keys = data.draw(st.lists(st.sampled_from(known), unique=True)) if known else []
            self.transaction.delete(collection, keys)
            self.current.delete(collection, keys)

    @rule(data=st.data())
    @precondition(_in_transaction)
    def clear(self, data: st.DataObject) -> None:
        """Delete all records of a collection."""
        collection = self._draw_collection(data)
        self.transaction.clear(collection)
        self.current.clear(collection)

    @rule(data=st.data())
    @precondition(_with_savepoints)
    def be_refused(self, data: st.DataObject) -> None:
        """A taken key cannot be inserted, a missing one neither updated nor deleted."""
        collection = self._draw_collection(data)
        if not collection.key:
            return
        row = self._draw_row(data, collection)
        key = self.current.key(collection, row)
        known = self.current.keys(collection)
        if len(known) > 0 and data.draw(st.booleans()):
            taken = self._with_key(collection, row, data.draw(st.sampled_from(known)))
            with expect_raises(RecordsRefused, "a taken key"), self.transaction.savepoint():
                self.transaction.insert(collection, [taken])
        elif key not in known:
            with expect_raises(RecordsRefused, "a missing key"), self.transaction.savepoint():
                self.transaction.update(collection, [row])
            with expect_raises(RecordsRefused, "a missing key"), self.transaction.savepoint():
                self.transaction.delete(collection, [key])

    @rule()
    @precondition(_with_savepoints)
    def open_savepoint(self) -> None:
        """Open a savepoint in the transaction or in another savepoint."""
        savepoint = self.transaction.savepoint()
        savepoint.__enter__()
        self.savepoints.append((savepoint, self.current.copy()))

    @rule()
    @precondition(_in_savepoint)
    def end_savepoint(self) -> None:
        """Keep what was written in the savepoint."""
        savepoint, _before = self.savepoints.pop()
        savepoint.__exit__(None, None, None)

    @rule()
    @precondition(_in_savepoint)
    def undo_savepoint(self) -> None:
        """Undo what was written in the savepoint."""
        savepoint, self.current = self.savepoints.pop()
        _leave(savepoint)
        self._look_at_rows("what an undone savepoint leaves")

    @rule()
    @precondition(_in_transaction)
    def commit(self) -> None:
        """Remove what refers to nothing, and commit."""
        while self.savepoints:
            self.end_savepoint()
        while sum(map(self._removed_dangling, self.schema.collections)):
            pass
        self.transaction.finish({})
        transaction, self.open = self.open, None
        if transaction is not None:
            transaction.__exit__(None, None, None)
        self.committed = self.current
        self.look_from_outside()

    @rule()
    @precondition(_in_transaction)
    def roll_back(self) -> None:
        """Leave the transaction with an exception."""
        while self.savepoints:
            self.undo_savepoint()
        transaction, self.open = self.open, None
        if transaction is not None:
            _leave(transaction)
        self.look_from_outside()

    # -- what the steps share ------------------------------------------------------------------

    def _look_at_rows(self, what: str) -> None:
        expect_equal(self.current.shown(), seen(self.transaction, self.schema), what)

    def _draw_collection(self, data: st.DataObject) -> Collection:
        return data.draw(st.sampled_from(self.schema.collections))

    def _draw_row(self, data: st.DataObject, collection: Collection) -> Row:
        """A row whose references mostly point at records that are there."""
        row = data.draw(rows(collection))
        draw = cast("st.DrawFn", data.draw)
        there = {c.name: self.current.rows(c) for c in self.schema.collections}
        return pointed(draw, self.schema, there, collection, row)

    def _acceptable(self, collection: Collection, new: list[Row]) -> list[Row]:
        """The rows whose key and unique fields neither a record nor an earlier row has."""
        unique = {collection.key, *unique_fields(self.schema, collection)} - {()}
        taken = {
            (names, Oracle.picked(collection, names, row))
            for names in unique
            for row in self.current.rows(collection)
        }
        kept = []
        for row in new:
            own = {(names, Oracle.picked(collection, names, row)) for names in unique}
            if taken.isdisjoint(own):
                taken |= {(names, values) for names, values in own if None not in values}
                kept.append(row)
        return kept

    @staticmethod
    def _with_key(collection: Collection, row: Row, key: tuple[Any, ...]) -> Row:
        values = list(row)
        for position, part in zip(collection.key_positions, key, strict=True):
            values[position] = part
        return tuple(values)

    def _removed_dangling(self, collection: Collection) -> bool:
        keys = self.current.keys_that_dangle(collection)
        if not keys:
            return False
        if collection.key:
            self.transaction.delete(collection, keys)
            self.current.delete(collection, keys)
        else:
            self.transaction.clear(collection)
            self.current.clear(collection)
        return True


def _leave(block: AbstractContextManager[object]) -> None:
    error = RollBack("on purpose")
    suppressed = block.__exit__(RollBack, error, None)
    expect(not suppressed, "a block left with an exception swallowed it")


def adapter_state_machine(factory: Factory, schema: Schema) -> type[AdapterMachine]:
    """A Hypothesis state machine for a factory of repositories and one schema.

    It drives a repository and an oracle of plain dicts through snapshots, transactions, inserts,
    updates, deletes, savepoints, commits and rollbacks. Its `TestCase` runs under pytest.
    """
    make: Make = opening(factory)
    members = {"make": staticmethod(make), "schema": schema}
    return type("AdapterStateMachine", (AdapterMachine,), members)


def run_machine(factory: Factory, schema: Schema, examples: int) -> None:
    """Run the state machine with so many examples, the same ones each time."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=_STEPS,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        derandomize=True,
        # To explain a failure takes longer than to find it.
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(adapter_state_machine(factory, schema), settings=chosen)
