"""Flows carried out on batches of rows."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Final, Self

import attrs

from databackup.errors import Problem
from databackup.migrations.flows import Flow, LookUp, Map, Project
from databackup.migrations.lookups import Index
from databackup.migrations.stages import Counts, Failed, LeftOut, Projecting, RecordMapping, Running
from databackup.schema.compiled import Row, json_pointer
from databackup.schema.secrets import WITHHELD, may_be_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from databackup.migrations.stages import Rows

    Read = Callable[[str], Iterable["Numbered"]]
    """The records of a collection as it was, by its name."""
    Report = Callable[[Problem], None]

_ENOUGH: Final = 10_000
_LONGEST: Final = 500  # characters of what a host's function says


@attrs.frozen
class Numbered:
    """Rows, and the numbers of the records that they are of, or were made of."""

    rows: Sequence[Row]
    numbers: Sequence[int]


class Enough(Exception):
    """There are so many problems that to go on would tell nothing more."""


class Findings:
    """The problems of one pass over an archive, each noted once, whoever meets it again.

    Raises `Enough` where there are too many.
    """

    def __init__(self) -> None:
        self._known: set[tuple[object, ...]] = set()
        self._new: list[Problem] = []

    def __call__(self, problem: Problem) -> None:
        """Note a problem."""
        known = (problem.collection, problem.record, problem.field, problem.message)
        if known in self._known:
            return
        if len(self._known) >= _ENOUGH:
            raise Enough
        self._known.add(known)
        self._new.append(problem)

    def taken(self) -> list[Problem]:
        """What was noted since this was last asked."""
        new, self._new = self._new, []
        return new


class Runner:
    """Carries out one flow.

    `read` gives the records of collections as they were, for lookups into others: they are read
    when the runner is entered. `report` gets a problem for each record that an operation fails on,
    which is left out.
    """

    def __init__(self, flow: Flow, read: Read, report: Report) -> None:
        self.dropped: Counter[str] = Counter()
        self.filled: Counter[str] = Counter()
        self._flow = flow
        self._report = report
        self._stages = [_running(stage, read, report) for stage in flow.stages]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            for stage in self._stages:
                opened.callback(stage.close)
                stage.prepare()
            opened.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        for stage in self._stages:
            stage.close()

    def finish(self) -> None:
        """Count what is lost once all records have been through."""
        for stage in self._stages:
            stage.finish(self.dropped, self.filled)

    def run(self, batch: Numbered) -> Numbered:
        """The rows at the flow's end, of those at its start."""
        rows: Rows = batch.rows
        counts = Counts()
        try:
            for stage in self._stages:
                rows = stage.all(rows, counts)
        except Exception:  # noqa: BLE001 - a host's function raises what it likes
            return self._one_by_one(batch)
        self._add(counts)
        return Numbered(rows, batch.numbers)

    def _one_by_one(self, batch: Numbered) -> Numbered:
        rows, numbers = [], []
        for number, start in zip(batch.numbers, batch.rows, strict=True):
            row, counts = start, Counts()
            try:
                for stage in self._stages:
                    row = stage.one(row, counts)
            except LeftOut:
                continue
            except Failed as failed:
                self._report(self._problem(failed, number, start))
                continue
            self._add(counts)
            rows.append(row)
            numbers.append(number)
        return Numbered(rows, numbers)

    def _add(self, counts: Counts) -> None:
        self.dropped.update(counts.dropped)
        self.filled.update(counts.filled)

    def _problem(self, failed: Failed, number: int, row: Row) -> Problem:
        source = self._flow.source
        name = "" if source is None else source.name
        key = None if source is None else source.codec.key(row) or None
        told = source is None or may_be_shown(source, None)
        said = _said(failed.cause) if told else f"it failed; {WITHHELD}"
        return Problem(
            code="migration-failed",
            message=f"{failed.origin}: {said}",
            collection=name,
            record=number,
            key=key,
            pointer=json_pointer(("data", name, number - 1)),
            expected="what the migration can take",
        )


def _said(cause: object) -> str:
    """What an operation met, in words; a host's exception may have very many, or none at all."""
    if not isinstance(cause, Exception):
        return str(cause)
    try:
        text = str(cause)
    except Exception:  # noqa: BLE001 - a host's exception says what it likes
        text = ""
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return f"{type(cause).__name__}: {text}" if text else type(cause).__name__


def _running(stage: Project | Map | LookUp, read: Read, report: Report) -> Running:
    if isinstance(stage, Project):
        return Projecting(stage)
    if isinstance(stage, Map):
        return RecordMapping(stage)
    return _LookingUp(stage, read, report)


class _LookingUp(Running):
    """Looks into an index on disk of the other flow's rows."""

    def __init__(self, stage: LookUp, read: Read, report: Report) -> None:
        self._stage = stage
        self._read = read
        self._report = report
        self._index = Index(stage)
        self._other = Runner(stage.other, read, self._note)
        self._is_whole = True

    def _note(self, problem: Problem) -> None:
        self._is_whole = False
        self._report(problem)

    def prepare(self) -> None:
        with self._other as other:
            for batch in self._batches():
                done = other.run(batch)
                for number, row in zip(done.numbers, done.rows, strict=True):
                    refusal = self._index.add(row)
                    if refusal is not None:
                        start = batch.rows[batch.numbers.index(number)]
                        self._note(self._problem(number, start, refusal))
            other.finish()

    def _batches(self) -> Iterable[Numbered]:
        source = self._stage.other.source
        return () if source is None else self._read(source.name)

    def _problem(self, number: int, start: Row, refusal: str) -> Problem:
        source = self._stage.other.source
        name = str(source)
        return Problem(
            code="migration-failed",
            message=f"{self._stage.origin}: {refusal}",
            collection=name,
            record=number,
            key=None if source is None else source.codec.key(start) or None,
            pointer=json_pointer(("data", name, number - 1)),
            expected="what the migration can take",
        )

    def all(self, rows: Rows, counts: Counts) -> Rows:
        return [self.one(row, counts) for row in rows]

    def one(self, row: Row, counts: Counts) -> Row:
        found = self._index.find(tuple(row[position] for position in self._stage.key))
        if found is not None:
            return (*row, *found)
        if not self._is_whole:
            raise LeftOut
        if self._stage.is_counted:
            counts.filled[self._stage.filled] += 1
        return (*row, *self._stage.nothing)

    def finish(self, dropped: Counter[str], filled: Counter[str]) -> None:
        stage = self._stage
        if not stage.is_counted:
            return
        if stage.is_end:
            dropped.update(self._other.dropped)
            filled.update(self._other.filled)
        dropped[stage.dropped] += self._index.unused(self._again)

    def _again(self) -> Iterator[Row]:
        """The other flow's rows once more."""
        with Runner(self._stage.other, self._read, lambda _problem: None) as other:
            for batch in self._batches():
                yield from other.run(batch).rows

    def close(self) -> None:
        self._index.close()
