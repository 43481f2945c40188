"""Flows carried out on batches of rows."""

from __future__ import annotations

import contextlib
import operator
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from databackup.errors import Problem
from databackup.migrations.flows import (
    Constant,
    Expression,
    Flow,
    Given,
    LookUp,
    Map,
    Origin,
    Project,
)
from databackup.migrations.lookups import Index
from databackup.schema.compiled import Row, json_pointer
from databackup.schema.functions import compile_function
from databackup.schema.kind import shown
from databackup.schema.secrets import WITHHELD, may_be_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Rows = Sequence[Row]
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


class _Failed(Exception):
    """What became of one record: the error that an operation met, or what is wrong in words."""

    def __init__(self, origin: Origin, cause: object) -> None:
        super().__init__(origin, cause)
        self.origin = origin
        self.cause = cause


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
        counts = _Counts()
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
            row, counts = start, _Counts()
            try:
                for stage in self._stages:
                    row = stage.one(row, counts)
            except _LeftOut:
                continue
            except _Failed as failed:
                self._report(self._problem(failed, number, start))
                continue
            self._add(counts)
            rows.append(row)
            numbers.append(number)
        return Numbered(rows, numbers)

    def _add(self, counts: _Counts) -> None:
        self.dropped.update(counts.dropped)
        self.filled.update(counts.filled)

    def _problem(self, failed: _Failed, number: int, row: Row) -> Problem:
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


@attrs.frozen
class _Counts:
    """What is dropped and filled in by a few rows."""

    dropped: Counter[str] = attrs.field(factory=Counter)
    filled: Counter[str] = attrs.field(factory=Counter)


class _Running:
    """A stage, ready to run: on all rows of a batch at once, or one by one to find which fails."""

    def prepare(self) -> None:
        """Read what is needed before the first row."""

    def all(self, rows: Rows, counts: _Counts) -> Rows:
        raise NotImplementedError

    def one(self, row: Row, counts: _Counts) -> Row:
        raise NotImplementedError

    def finish(self, dropped: Counter[str], filled: Counter[str]) -> None:
        """Count what no row has taken, once all have been through."""

    def close(self) -> None:
        """Give back what it holds."""


def _running(stage: Project | Map | LookUp, read: Read, report: Report) -> _Running:
    if isinstance(stage, Project):
        return _Projecting(stage)
    if isinstance(stage, Map):
        return _Mapping(stage)
    return _LookingUp(stage, read, report)


class _Projecting(_Running):
    def __init__(self, stage: Project) -> None:
        self._stage = stage
        self._expressions = stage.expressions
        self._convert = _compiled(stage.expressions)

    def all(self, rows: Rows, counts: _Counts) -> Rows:
        self._count(rows, counts)
        return self._convert(rows)

    def one(self, row: Row, counts: _Counts) -> Row:
        self._count([row], counts)
        return tuple(_value(expression, row) for expression in self._expressions)

    def _count(self, rows: Rows, counts: _Counts) -> None:
        for label, lost in self._stage.dropped:
            counts.dropped[label] += sum(row[lost] is not None for row in rows)
        for label, null in self._stage.filled:
            found = len(rows) if null is None else sum(row[null] is None for row in rows)
            counts.filled[label] += found


def _value(expression: Expression, row: Row) -> Any:
    if isinstance(expression, Given):
        return row[expression.position]
    if isinstance(expression, Constant):
        return expression.value
    value = _value(expression.value, row)
    if value is None:
        return expression.for_null
    if expression.function is None:
        return value
    with _failing_as(expression.origin):
        return expression.function(_copied(value))


def _copied(value: Any) -> Any:
    """A value that a function may change: what it was made of may be that of other records, too."""
    if type(value) is dict:
        return {name: _copied(item) for name, item in value.items()}
    if type(value) is list:
        return [_copied(item) for item in value]
    return value


def _compiled(expressions: Sequence[Expression]) -> Callable[[Rows], Rows]:
    """A function over batches, in which most values are handed on without a call."""
    scope: dict[str, Any] = {"copied": _copied}
    members = "".join(f"{_source(e, scope)}, " for e in expressions)
    return compile_function(f"def convert(rows):\n    return [({members}) for r in rows]\n", scope)


def _source(expression: Expression, scope: dict[str, Any]) -> str:
    """The source of an expression over the row `r`; what it needs goes into the scope."""
    if isinstance(expression, Given):
        return f"r[{expression.position}]"
    if isinstance(expression, Constant):
        return _constant(expression.value, scope)
    for_null = _constant(expression.for_null, scope)
    value = _source(expression.value, scope)
    held = f"v{len(scope)}"
    made = held
    if expression.function is not None:
        function = f"x{len(scope)}"
        scope[function] = expression.function
        made = f"{function}(copied({held}))" if expression.copied else f"{function}({held})"
    return f"({for_null} if ({held} := {value}) is None else {made})"


def _constant(value: Any, scope: dict[str, Any]) -> str:
    name = f"x{len(scope)}"
    scope[name] = value
    return name


class _Mapping(_Running):
    def __init__(self, stage: Map) -> None:
        self._stage = stage
        self._names = stage.names
        self._known = frozenset(stage.names)
        self._copied = [stage.names[position] for position in stage.copied]
        self._record = _record_maker(stage.names)
        self._values = _values_getter(stage.names)

    def all(self, rows: Rows, counts: _Counts) -> Rows:  # noqa: ARG002 - it loses nothing
        function, values, known = self._stage.function, self._values, self._known
        made = []
        for row in rows:
            record: object = function(self._record_of(row))
            if not isinstance(record, dict) or record.keys() != known:
                raise ValueError("other fields")
            made.append(values(record))
        for position in self._stage.kept:
            if [row[position] for row in made] != [row[position] for row in rows]:
                raise ValueError("another key")
        return made

    def _record_of(self, row: Row) -> dict[str, Any]:
        """A record that the function may change."""
        record = self._record(row)
        for name in self._copied:
            record[name] = _copied(record[name])
        return record

    def one(self, row: Row, counts: _Counts) -> Row:  # noqa: ARG002 - the same
        origin = self._stage.origin
        with _failing_as(origin):
            record: object = self._stage.function(self._record_of(row))
        if not isinstance(record, dict):
            raise _Failed(origin, f"it returned {shown(record)}, which is no dict")
        missing = [name for name in self._names if name not in record]
        unknown = [str(name) for name in record if name not in self._known]
        if missing or unknown:
            listed = [*(f"no {name}" for name in missing), *(f"unknown {name}" for name in unknown)]
            raise _Failed(origin, f"it returned other fields: {', '.join(listed)}")
        made = self._values(record)
        for position in self._stage.kept:
            if made[position] != row[position]:
                said = f"it changed {self._names[position]}, of the key, to {shown(made[position])}"
                raise _Failed(origin, f"{said}: say changes_key=True if that is meant")
        return made


def _record_maker(names: Sequence[str]) -> Callable[[Row], dict[str, Any]]:
    """A function that makes a dict of a row, in half the time of `zip`."""
    members = "".join(f"{name!r}: r[{position}], " for position, name in enumerate(names))
    return compile_function(f"def convert(r):\n    return {{{members}}}\n", {})


def _values_getter(names: Sequence[str]) -> Callable[[dict[str, Any]], Row]:
    """A function that takes the values out of a dict, as a row."""
    if len(names) == 1:
        (name,) = names
        return lambda record: (record[name],)
    return operator.itemgetter(*names)


class _LeftOut(Exception):
    """A record for which something is missing that another problem tells of."""


class _LookingUp(_Running):
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
                        self._note(self._problem(number, refusal))
            other.finish()

    def _batches(self) -> Iterable[Numbered]:
        source = self._stage.other.source
        return () if source is None else self._read(source.name)

    def _problem(self, number: int, refusal: str) -> Problem:
        name = str(self._stage.other.source)
        return Problem(
            code="migration-failed",
            message=f"{self._stage.origin}: {refusal}",
            collection=name,
            record=number,
            pointer=json_pointer(("data", name, number - 1)),
            expected="what the migration can take",
        )

    def all(self, rows: Rows, counts: _Counts) -> Rows:
        return [self.one(row, counts) for row in rows]

    def one(self, row: Row, counts: _Counts) -> Row:
        found = self._index.find(tuple(row[position] for position in self._stage.key))
        if found is not None:
            return (*row, *found)
        if not self._is_whole:
            raise _LeftOut
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


@contextlib.contextmanager
def _failing_as(origin: Origin) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise _Failed(origin, error) from error
