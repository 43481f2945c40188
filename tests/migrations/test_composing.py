"""Steps composed into one pass give what they give one operation after the other."""

import copy
import itertools
from typing import Any

from hypothesis import assume, given, reject
from hypothesis import strategies as st

from databackup.errors import Problem
from databackup.migrations.running import Numbered, Runner
from databackup.migrations.way import Way
from databackup.repository import Row
from databackup.schema.evolution import Operation
from databackup.schema.recording import Migration
from databackup.testing.exact import exact_rows
from databackup.testing.strategies import datasets, schemas
from tests.support import naive
from tests.support.evolutions import Evolution, evolutions

Rows = dict[str, list[Row]]


class Fast(Runner):
    """Carries whole batches out, and nothing else."""

    def _one_by_one(self, batch: Numbered) -> Numbered:
        raise AssertionError(f"{batch} is not carried out as a batch")


class Slow(Runner):
    """Carries records out one by one."""

    def run(self, batch: Numbered) -> Numbered:
        """As where one of them fails."""
        return self._one_by_one(batch)


def carried(
    way: Way,
    rows: Rows,
    problems: list[Problem] | None = None,
    runner_of: type[Runner] = Runner,
) -> Rows:
    """Rows at the end of a way, in batches of two."""
    found: list[Problem] = [] if problems is None else problems

    def read(name: str) -> list[Numbered]:
        given_rows = rows[name]
        return [
            Numbered(
                given_rows[start : start + 2],
                range(start + 1, start + 3)[: len(given_rows) - start],
            )
            for start in range(0, len(given_rows), 2)
        ]

    made: Rows = {}
    for name, flow in way.flows().items():
        made[name] = []
        if flow.source is not None:
            with runner_of(flow, read, found.append) as runner:
                for batch in read(flow.source.name):
                    made[name] += runner.run(batch).rows
                runner.finish()
    if problems is None:
        assert [] == found
    return made


def steps_of(draw: st.DrawFn, operations: list[Operation]) -> list[Migration]:
    """Operations, shared out to a few steps."""
    cuts = sorted(draw(st.lists(st.integers(0, len(operations)), max_size=3)))
    bounds = [0, *cuts, len(operations)]
    return [
        Migration(n, n + 1, f"step_{n}", tuple(operations[start:end]))
        for n, (start, end) in enumerate(itertools.pairwise(bounds), 1)
    ]


@st.composite
def cases(draw: st.DrawFn, *, invertible: bool = False) -> tuple[Evolution, Way, Rows]:
    """An evolution, a way of its operations in some steps, and rows at its start."""
    schema = draw(schemas())
    found = draw(evolutions(schema, invertible=invertible))
    rows = draw(datasets(schema))
    return found, Way.of(found.before, steps_of(draw, found.operations)), rows


def exact(way: Way, rows: Any) -> Any:
    """Rows in a form that compares exactly."""
    return {name: exact_rows(c, rows[name]) for name, c in way.after.items()}


@given(cases())
def test_as_operation_by_operation(case: tuple[Evolution, Way, Rows]) -> None:
    """One pass over each collection gives what each operation on all records gives."""
    found, way, rows = case
    records = naive.as_records(found.before, rows)
    try:
        expected = naive.as_rows(naive.carried(found.operations, found.before, records))
    except naive.Disagree:
        reject()
    before = copy.deepcopy(rows)
    assert exact(way, expected) == exact(way, carried(way, rows, runner_of=Fast))
    assert exact(way, expected) == exact(way, carried(way, rows, runner_of=Slow))
    assert repr(before) == repr(rows), "a function has changed what it was read from"


@given(cases(invertible=True))
def test_down_and_up_again(case: tuple[Evolution, Way, Rows]) -> None:
    """What was migrated, undone and migrated again is what it was."""
    _, way, rows = case
    inverses = [step.inverse(state) for step, state in zip(way.steps, way.states, strict=False)]
    back = Way.of(way.after, [step for step in reversed(inverses) if isinstance(step, Migration)])
    assert len(back.steps) == len(way.steps)
    problems: list[Problem] = []
    once = carried(way, rows, problems)
    assume(not problems)  # values that do not agree
    undone = carried(back, once)
    ordered = {
        name: [
            tuple(row[p] for p in back.after[name].positions(c.field_names)) for row in undone[name]
        ]
        for name, c in way.before.items()
    }
    assert exact(way, once) == exact(way, carried(way, ordered))


@given(cases(invertible=True))
def test_inverses_lead_to_the_same_collections(case: tuple[Evolution, Way, Rows]) -> None:
    """Each operation and its inverse give the collections that were before, but for the order."""
    _, way, _ = case
    for step, state in zip(way.steps, way.states, strict=False):
        states = [state, *step.states(state)]
        for operation, before in zip(step.operations, states, strict=False):
            inverse = operation.inverse(before)
            assert inverse is not None
            after = inverse.apply(operation.apply(before))
            assert {**before}.keys() == after.keys()
            for name, collection in before.items():
                assert collection.fields == after[name].fields
                assert collection.key == after[name].key
                assert set(collection.references) == set(after[name].references)
