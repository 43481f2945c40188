"""Problems, and where in the archive the record of each stands."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import attrs

from databackup.archive.records import RecordCodec
from databackup.errors import PROBLEM_LIMIT, Problem
from databackup.operations.keys import key_bytes_or_none
from databackup.operations.readable import migrated
from databackup.repository import Row
from databackup.schema.compiled import json_pointer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from databackup.operations.readable import Readable
    from databackup.schema import Collection, Schema


_ENOUGH = 10_000
_Wanted = dict[tuple[str, ...], dict[bytes | None, list[int]]]


@attrs.frozen
class Unlocated:
    """A problem of the first record that has these values in these fields."""

    problem: Problem
    fields: tuple[str, ...]
    values: tuple[Any, ...]


class ProblemList:
    """The first problems, and how many there were in all."""

    def __init__(self) -> None:
        self.located: list[Problem] = []
        self._of_today: list[int] = []
        self._unlocated: list[Unlocated] = []
        self.total = 0

    def __bool__(self) -> bool:
        return self.total > 0

    @property
    def are_enough(self) -> bool:
        """Whether there are so many that to read on would tell nothing more."""
        return self.total >= _ENOUGH

    def headline(self, text: str) -> str:
        """What an error begins with; whether reading stopped before the end."""
        return f"{text}, and reading was stopped" if self.are_enough else text

    def add(self, problems: Sequence[Problem]) -> None:
        """Add problems, of which as many are kept as one answer names."""
        self.located += itertools.islice(problems, PROBLEM_LIMIT - len(self.located))
        self.total += len(problems)

    def add_of_today(self, problems: Sequence[Problem]) -> None:
        """Add problems of records as today's schema has them, which may have been migrated."""
        before = len(self.located)
        self.add(problems)
        self._of_today += range(before, len(self.located))

    def add_unlocated(self, found: Unlocated) -> None:
        """Add a problem whose record is to be looked up."""
        if len(self._unlocated) < PROBLEM_LIMIT:
            self._unlocated.append(found)
        self.total += 1

    def locate(self, archive: Readable, schema: Schema) -> list[Problem]:
        """The problems kept, each with the number of its record in the archive.

        Of records that were migrated it is said by which steps, and what they were made of.
        """
        room = PROBLEM_LIMIT - len(self.located)
        if self._unlocated and room:
            before = len(self.located)
            self.located += _locate(archive, schema, self._unlocated[:room])
            self._of_today += range(before, len(self.located))
            self._unlocated = []
        found = migrated(archive)
        if self._of_today and found is not None:
            traced = found.traced([self.located[place] for place in self._of_today])
            for place, problem in zip(self._of_today, traced, strict=True):
                self.located[place] = problem
        self._of_today = []
        return self.located


def _locate(archive: Readable, schema: Schema, found: Sequence[Unlocated]) -> list[Problem]:
    """The problems, with number, key and pointer of their records, by reading the archive again."""
    wanted: dict[str, _Wanted] = defaultdict(lambda: defaultdict(dict))
    for position, item in enumerate(found):
        collection = schema[str(item.problem.collection)]
        form = _form(collection, item.fields, item.values)
        wanted[collection.name][item.fields].setdefault(form, []).append(position)
    located = {position: item.problem for position, item in enumerate(found)}
    for name, read in archive.collections():
        if name not in wanted:
            continue
        collection = schema[name]
        for batch in read(RecordCodec(collection), digests=False):
            for number, row in zip(batch.numbers, batch.rows, strict=True):
                for position in _matches(collection, row, wanted[name]):
                    located[position] = _placed(collection, located[position], number, row)
    return list(located.values())


def _matches(collection: Collection, row: Row, wanted: _Wanted) -> Iterator[int]:
    """The problems that this row is the first to match; they are looked for no longer."""
    for fields, by_form in wanted.items():
        values = tuple(row[place] for place in collection.positions(fields))
        yield from by_form.pop(_form(collection, fields, values), ())


def _form(collection: Collection, fields: Sequence[str], values: Row) -> bytes | None:
    return key_bytes_or_none([collection.field(name) for name in fields], values)


def _placed(collection: Collection, problem: Problem, number: int, row: Row) -> Problem:
    known = [problem.field] if problem.field in collection.field_names else []
    return attrs.evolve(
        problem,
        record=number,
        key=collection.codec.key(row) or None,
        pointer=json_pointer(("data", collection.name, number - 1, *known)),
    )
