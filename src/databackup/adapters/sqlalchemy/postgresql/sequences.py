"""Sequences: what they have given out, and behind what they go on after an import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs

from databackup.adapters.sqlalchemy.postgresql.catalogue import driver_sql, quoted
from databackup.adapters.sqlalchemy.postgresql.expressions import source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from databackup.adapters.sqlalchemy.plan import Plan
    from databackup.repository import Row


class Query(Protocol):
    """Runs a statement and gives its rows; `doing` says what an error stops."""

    def __call__(self, sql: str, values: Any = None, *, doing: str) -> list[Row]: ...


@attrs.frozen
class Restart:
    """A sequence is to go on behind `last`; `before` is the last number that it gave out."""

    sequence: str
    last: int
    before: int | None
    step: int

    @property
    def is_forward(self) -> bool:
        """Whether it skips numbers, and gives none a second time."""
        return self.before is None or (self.last - self.before) * self.step > 0


class Sequences:
    """The sequences that give out numbers for columns of collections."""

    def __init__(self, query: Query) -> None:
        self._query = query

    def counters(self, plans: Mapping[str, Plan]) -> dict[str, int]:
        """The last number that was given out for the key of each collection that has a counter."""
        given = (
            (name, self._last_given(sequence))
            for name, plan in plans.items()
            for sequence in _of_key(plan)
        )
        return {name: last for name, last in given if last is not None}

    def restarts(self, plans: Mapping[str, Plan], counters: Mapping[str, int]) -> Iterator[Restart]:
        """What lets each go on behind what it gave out, and behind what its columns hold.

        Each is to be carried out, or noted, before the next is asked for: a sequence may be that
        of several columns.
        """
        known: dict[str, int] = {}
        for name, plan in plans.items():
            covered = {column.name for column in plan.columns}
            for column, sequence in plan.info.details.sequences.items():
                if column not in covered:
                    continue
                counter = counters.get(name) if sequence in _of_key(plan) else None
                restart = self._restart(plan, column, sequence, (counter, known.get(sequence)))
                if restart is not None:
                    known[sequence] = restart.last
                    if restart.last != restart.before:
                        yield restart

    def _restart(
        self, plan: Plan, column: str, sequence: str, given: tuple[int | None, int | None]
    ) -> Restart | None:
        """Where a sequence goes on for a column, by its counter and by what other columns need."""
        ((step, lowest, highest, largest),) = self._query(
            driver_sql(
                "SELECT seqincrement, seqmin, seqmax, (SELECT CASE WHEN seqincrement > 0 "
                f"THEN max({quoted(column)}) ELSE min({quoted(column)}) END FROM {source(plan)}) "
                "FROM pg_catalog.pg_sequence "
            )
            + "WHERE seqrelid = %s::regclass",
            (sequence,),
            doing="the counters cannot be read",
        )
        before = self._last_given(sequence)
        counter, shared = given
        found = (largest, before if counter is None else counter, shared)
        numbers = _within((int(n) for n in found if n is not None), lowest, highest, step)
        if not numbers:
            return None
        return Restart(sequence, max(numbers) if step > 0 else min(numbers), before, step)

    def _last_given(self, sequence: str) -> int | None:
        """The last number that a sequence has given out; None where it has given none."""
        ((last, called),) = self._query(
            driver_sql(f"SELECT last_value, is_called FROM {sequence}"),
            doing="the counters cannot be read",
        )
        ((start, step),) = self._query(
            "SELECT seqstart, seqincrement FROM pg_catalog.pg_sequence "
            "WHERE seqrelid = %s::regclass",
            (sequence,),
            doing="the counters cannot be read",
        )
        if called:
            return int(last)
        return None if last == start else int(last - step)


def _of_key(plan: Plan) -> list[str]:
    """The sequences that give out numbers for a collection's key."""
    sequences = plan.info.details.sequences
    names = [column.name for column in plan.columns_of(plan.collection.key)]
    return [sequences[name] for name in names if name in sequences] if len(names) == 1 else []


def _within(numbers: Iterable[int], lowest: int, highest: int, step: int) -> list[int]:
    """Of the numbers of a column those that a sequence has given out, or will never get past."""
    if step > 0:
        return [min(n, highest) for n in numbers if n >= lowest]
    return [max(n, lowest) for n in numbers if n <= highest]
