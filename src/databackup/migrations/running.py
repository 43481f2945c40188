"""Flows carried out on batches of rows."""

from __future__ import annotations

import contextlib
import pickle
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import attrs
import msgspec

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
    Stage,
)
from databackup.schema.compiled import Row, json_pointer
from databackup.schema.functions import compile_function
from databackup.schema.kind import KindError, shown
from databackup.spill import KeyIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from databackup.schema import Field

    Rows = Sequence[Row]
    Read = Callable[[str], Iterable["Numbered"]]
    """The records of a collection as it was, by its name."""
    Report = Callable[[Problem], None]


@attrs.frozen
class Numbered:
    """Rows, and the numbers of the records that they are of, or were made of."""

    rows: Sequence[Row]
    numbers: Sequence[int]


class _Failed(Exception):
    """What became of one record: the error that an operation met, and which field it was at."""

    def __init__(self, origin: Origin, cause: object, field: str | None = None) -> None:
        super().__init__(origin, cause, field)
        self.origin = origin
        self.cause = cause
        self.field = field


class Runner:
    """Carries out one flow.

    `read` gives the records of collections as they were, for lookups into others; `report` gets a
    problem for each record that an operation fails on, which is left out.
    """

    def __init__(self, flow: Flow, read: Read, report: Report) -> None:
        self.dropped: Counter[str] = Counter()
        self.filled: Counter[str] = Counter()
        self._flow = flow
        self._report = report
        self._stages = [_running(stage, read, report) for stage in flow.stages]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for stage in self._stages:
            stage.close()

    def finish(self) -> None:
        """Count what is lost once all records have been through."""
        for stage in self._stages:
            self.dropped += stage.never_used()

    def run(self, batch: Numbered) -> Numbered:
        """The rows at the flow's end, of those at its start."""
        rows: Rows = batch.rows
        try:
            for stage in self._stages:
                stage.count(rows, self.dropped, self.filled)
                rows = stage.all(rows)
        except Exception:  # noqa: BLE001 - a host's function raises what it likes
            return self._one_by_one(batch)
        return Numbered(rows, batch.numbers)

    def _one_by_one(self, batch: Numbered) -> Numbered:
        rows, numbers = [], []
        for number, start in zip(batch.numbers, batch.rows, strict=True):
            row = start
            try:
                for stage in self._stages:
                    row = stage.one(row)
            except _Failed as failed:
                self._report(self._problem(failed, number, start))
            else:
                rows.append(row)
                numbers.append(number)
        return Numbered(rows, numbers)

    def _problem(self, failed: _Failed, number: int, row: Row) -> Problem:
        source = self._flow.source
        name = "" if source is None else source.name
        key = None if source is None else source.codec.key(row) or None
        cause = failed.cause
        said = f"{type(cause).__name__}: {cause}" if isinstance(cause, Exception) else str(cause)
        return Problem(
            code="migration-failed",
            message=f"{failed.origin}: {said}",
            collection=name,
            record=number,
            key=key,
            field=failed.field,
            pointer=json_pointer(("data", name, number - 1)),
            expected="what the migration can take",
        )


class _Running:
    """A stage, ready to run: on all rows of a batch at once, or one by one to find which fails."""

    def all(self, rows: Rows) -> Rows:
        raise NotImplementedError

    def one(self, row: Row) -> Row:
        raise NotImplementedError

    def count(self, rows: Rows, dropped: Counter[str], filled: Counter[str]) -> None:
        """Count what is dropped of rows, and filled in."""

    def never_used(self) -> Counter[str]:
        """How many values that were looked for no record has taken."""
        return Counter()

    def close(self) -> None:
        """Give back what it holds."""


def _running(stage: Stage, read: Read, report: Report) -> _Running:
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

    def all(self, rows: Rows) -> Rows:
        return self._convert(rows)

    def one(self, row: Row) -> Row:
        return tuple(_value(expression, row) for expression in self._expressions)

    def count(self, rows: Rows, dropped: Counter[str], filled: Counter[str]) -> None:
        for label, lost in self._stage.dropped:
            dropped[label] += sum(row[lost] is not None for row in rows)
        for label, null in self._stage.filled:
            filled[label] += len(rows) if null is None else sum(row[null] is None for row in rows)


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
        return expression.function(value)


def _compiled(expressions: Sequence[Expression]) -> Callable[[Rows], Rows]:
    """A function over batches, in which most values are handed on without a call."""
    scope: dict[str, Any] = {}
    members = "".join(f"{_source(e, scope)}, " for e in expressions)
    return compile_function(f"def convert(rows):\n    return [({members}) for r in rows]\n", scope)


def _source(expression: Expression, scope: dict[str, Any]) -> str:
    """The source of an expression over the row `r`; what it needs goes into the scope."""
    if isinstance(expression, Given):
        return f"r[{expression.position}]"
    name = f"x{len(scope)}"
    if isinstance(expression, Constant):
        scope[name] = expression.value
        return name
    scope[name] = expression.for_null
    value = _source(expression.value, scope)
    held = f"v{len(scope)}"
    made = held
    if expression.function is not None:
        function = f"x{len(scope)}"
        scope[function] = expression.function
        made = f"{function}({held})"
    return f"({name} if ({held} := {value}) is None else {made})"


class _Mapping(_Running):
    def __init__(self, stage: Map) -> None:
        self._stage = stage
        self._names = stage.names

    def all(self, rows: Rows) -> Rows:
        function, names = self._stage.function, self._names
        known = set(names)
        made = []
        for row in rows:
            record = function(dict(zip(names, row, strict=True)))
            if record.keys() != known:
                raise ValueError("other fields")
            made.append(tuple(map(record.__getitem__, names)))
        return made

    def one(self, row: Row) -> Row:
        with _failing_as(self._stage.origin):
            record = self._stage.function(dict(zip(self._names, row, strict=True)))
        if not isinstance(record, dict):
            raise _Failed(self._stage.origin, f"it returned {shown(record)}, which is no dict")
        missing = [name for name in self._names if name not in record]
        unknown = [str(name) for name in record if name not in self._names]
        if missing or unknown:
            listed = [*(f"no {name}" for name in missing), *(f"unknown {name}" for name in unknown)]
            raise _Failed(self._stage.origin, f"it returned other fields: {', '.join(listed)}")
        return tuple(map(record.__getitem__, self._names))


class _LookingUp(_Running):
    """Looks into an index on disk, which is made when the first row comes."""

    def __init__(self, stage: LookUp, read: Read, report: Report) -> None:
        self._stage = stage
        self._read = read
        self._report = report
        self._index: KeyIndex | None = None
        self._used = KeyIndex()
        self._size = len(stage.key)
        self._nothing = (None,) * stage.width

    def all(self, rows: Rows) -> Rows:
        return [self.one(row) for row in rows]

    def one(self, row: Row) -> Row:
        stage = self._stage
        if self._index is None:
            self._index = self._indexed()
        key = _key(stage.key_fields, tuple(row[position] for position in stage.key))
        found = None if key is None else self._index.get(key)
        if key is not None and found is not None:
            self._used.add([(key, b"")])
        return (*row, *(self._nothing if found is None else pickle.loads(found)))  # noqa: S301 - own

    def _indexed(self) -> KeyIndex:
        stage = self._stage
        index = KeyIndex()
        source = stage.other.source
        if source is None:
            return index
        with Runner(stage.other, self._read, self._report) as runner:
            for batch in self._read(source.name):
                done = runner.run(batch)
                for number, row in zip(done.numbers, done.rows, strict=True):
                    key, values = self._entry(row)
                    if key is not None and index.add([(key, values)]) and stage.agree:
                        self._require_agreement(index, key, values, number)
        return index

    def _require_agreement(self, index: KeyIndex, key: bytes, values: bytes, number: int) -> None:
        if index.get(key) != values:
            name = str(self._stage.other.source)
            problem = Problem(
                code="migration-failed",
                message=f"{self._stage.origin}: records that refer to one have other values",
                collection=name,
                record=number,
                pointer=json_pointer(("data", name, number - 1)),
                expected="one value for all records that refer to one",
            )
            self._report(problem)

    def _entry(self, row: Row) -> tuple[bytes | None, bytes]:
        return _key(self._stage.key_fields, row[: self._size]), pickle.dumps(row[self._size :])

    def never_used(self) -> Counter[str]:
        if self._index is None:
            self._index = self._indexed()
        nothing = pickle.dumps(self._nothing)
        unused = (
            key
            for key, values in self._index.items()
            if values != nothing and key not in self._used
        )
        return Counter({self._stage.label: sum(1 for _ in unused)})

    def close(self) -> None:
        self._used.close()
        if self._index is not None:
            self._index.close()


def _key(fields: Iterable[Field], values: Row) -> bytes | None:
    """Values as bytes that are equal for equal ones; None for what points nowhere."""
    if None in values:
        return None
    try:
        forms = [field.form.canonical(v) for field, v in zip(fields, values, strict=True)]
    except KindError:
        return None
    return msgspec.json.encode(forms)


@contextlib.contextmanager
def _failing_as(origin: Origin) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise _Failed(origin, error) from error
