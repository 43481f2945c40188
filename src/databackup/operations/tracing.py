"""Problems of migrated records: by which steps, and which records of the archive these are of."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import attrs

from databackup.errors import MadeOf, Problem
from databackup.migrations.touching import named, touching
from databackup.schema.compiled import json_pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from databackup.migrations.flows import Flow
    from databackup.migrations.running import Numbered
    from databackup.migrations.touching import About
    from databackup.migrations.way import Way
    from databackup.schema import Collection, Row
    from databackup.schema.recording import Migration

    Read = Callable[[str], Iterable[Numbered]]

_ABOUT_KEYS = frozenset({"duplicate-key", "key-order"})
# The store has made something else of what it was given, or lacks what the archive omits.
_OF_NO_STEP = frozenset({"read-back", "secret-omitted"})


def made_of(problem: Problem, source: Collection, start: Row) -> Problem:
    """The problem of a migrated record, with the one in the archive that it was made of.

    No step adds or leaves out records, so both have one number.
    """
    number = problem.record or 0
    return attrs.evolve(
        problem,
        pointer=json_pointer(("data", source.name, number - 1)),
        made_of=MadeOf(source.name, number, source.codec.key(start) or None),
    )


def after_steps(problem: Problem, way: Way) -> Problem:
    """The problem with the steps and operations that have to do with it, if there are any."""
    if problem.code in _OF_NO_STEP:
        return problem
    said = named(touching(way, _places(problem, way), _about(problem)))
    if said:
        return attrs.evolve(problem, message=f"after {said}: {problem.message}")
    if problem.code == "model-refuses":
        message = f"{problem.message}; no migration changes it, so the rule is a new one"
        return attrs.evolve(problem, message=message)
    return problem


def steps_of(problem: Problem, way: Way) -> list[Migration]:
    """The steps that have to do with a problem."""
    return [step for step, _ in touching(way, _places(problem, way), _about(problem))]


def _about(problem: Problem) -> About:
    if problem.code in _ABOUT_KEYS:
        return "key"
    return "reference" if problem.code == "dangling-reference" else "values"


def _places(problem: Problem, way: Way) -> Iterator[tuple[str, str]]:
    """The fields that a problem is about."""
    collection = way.after[str(problem.collection)]
    about = _about(problem)
    if about == "key":
        names: Sequence[str] = collection.key
    elif about == "reference":
        names = ()
        for reference in collection.references:
            if ", ".join(reference.fields) == problem.field:
                yield from ((collection.name, name) for name in reference.fields)
                yield from ((reference.collection, name) for name in reference.to)
    else:
        field = problem.field
        names = collection.field_names if field is None else (field,)
    yield from ((collection.name, name) for name in names)


def traced(
    problems: Sequence[Problem], way: Way, flows: Mapping[str, Flow], read: Read
) -> list[Problem]:
    """Problems of records at the end of a way, with steps and with what the records were.

    `read` gives the records of a collection at its start, by its name: it is asked once for each.
    """
    found = [after_steps(p, way) if p.collection in flows else p for p in problems]
    wanted: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for position, problem in enumerate(found):
        flow = flows.get(str(problem.collection))
        if flow is not None and flow.source is not None and problem.record is not None:
            wanted[flow.source.name][problem.record].append(position)
    for name, by_number in wanted.items():
        for number, start in _starts(read(name), by_number):
            for position in by_number[number]:
                found[position] = made_of(found[position], way.before[name], start)
    return found


def _starts(batches: Iterable[Numbered], wanted: Mapping[int, object]) -> Iterator[tuple[int, Row]]:
    """The records of some numbers; none is read beyond the last of them."""
    last = max(wanted)
    for batch in batches:
        for number, row in zip(batch.numbers, batch.rows, strict=True):
            if number in wanted:
                yield number, row
        if batch.numbers and batch.numbers[-1] >= last:
            return
