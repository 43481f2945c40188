"""What one stage of a flow does to rows: on all of a batch at once, or one by one."""

from __future__ import annotations

import contextlib
import operator
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs

from databackup.migrations.flows import Constant, Expression, Given, Map, Origin, Project
from databackup.schema.functions import compile_function
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from databackup.schema.compiled import Row

    Rows = Sequence[Row]


class Failed(Exception):
    """What became of one record: the error that an operation met, or what is wrong in words."""

    def __init__(self, origin: Origin, cause: object) -> None:
        super().__init__(origin, cause)
        self.origin = origin
        self.cause = cause


class LeftOut(Exception):
    """A record for which something is missing that another problem tells of."""


@attrs.frozen
class Counts:
    """What is dropped and filled in by a few rows."""

    dropped: Counter[str] = attrs.field(factory=Counter)
    filled: Counter[str] = attrs.field(factory=Counter)


class Running:
    """A stage, ready to run: on all rows of a batch at once, or one by one to find which fails."""

    def prepare(self) -> None:
        """Read what is needed before the first row."""

    def all(self, rows: Rows, counts: Counts) -> Rows:
        """The rows that come out, of those of a batch; what is lost goes to `counts`."""
        raise NotImplementedError

    def one(self, row: Row, counts: Counts) -> Row:
        """The same for one row. Raises `Failed` and `LeftOut`."""
        raise NotImplementedError

    def finish(self, dropped: Counter[str], filled: Counter[str]) -> None:
        """Count what no row has taken, once all have been through."""

    def close(self) -> None:
        """Give back what it holds."""


@contextlib.contextmanager
def _failing_as(origin: Origin) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise Failed(origin, error) from error


class Projecting(Running):
    """Each value by its expression."""

    def __init__(self, stage: Project) -> None:
        self._stage = stage
        self._expressions = stage.expressions
        self._convert = _compiled(stage.expressions)

    def all(self, rows: Rows, counts: Counts) -> Rows:
        self._count(rows, counts)
        return self._convert(rows)

    def one(self, row: Row, counts: Counts) -> Row:
        self._count([row], counts)
        return tuple(_value(expression, row) for expression in self._expressions)

    def _count(self, rows: Rows, counts: Counts) -> None:
        for label, lost in self._stage.dropped:
            kept = 0 if lost is None else sum(row[lost] is None for row in rows)
            counts.dropped[label] += len(rows) - kept
        for label, null in self._stage.filled:
            found = len(rows) if null is None else sum(row[null] is None for row in rows)
            counts.filled[label] += found


def _value(expression: Expression, row: Row) -> Any:
    if isinstance(expression, Given):
        return row[expression.position]
    if isinstance(expression, Constant):
        return expression.value
    value = _value(expression.value, row)
    if value is None and not expression.takes_null:
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
        given = value if expression.takes_null else held
        made = f"{function}(copied({given}))" if expression.copied else f"{function}({given})"
        if expression.takes_null:
            return made
    return f"({for_null} if ({held} := {value}) is None else {made})"


def _constant(value: Any, scope: dict[str, Any]) -> str:
    name = f"x{len(scope)}"
    scope[name] = value
    return name


class RecordMapping(Running):
    """Each record by the host's function."""

    def __init__(self, stage: Map) -> None:
        self._stage = stage
        self._names = stage.names
        self._known = frozenset(stage.names)
        self._copied = [stage.names[position] for position in stage.copied]
        self._record = _record_maker(stage.names)
        self._values = _values_getter(stage.names)

    def all(self, rows: Rows, counts: Counts) -> Rows:  # noqa: ARG002 - it loses nothing
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

    def one(self, row: Row, counts: Counts) -> Row:  # noqa: ARG002 - the same
        origin = self._stage.origin
        with _failing_as(origin):
            record: object = self._stage.function(self._record_of(row))
        if not isinstance(record, dict):
            raise Failed(origin, f"it returned {shown(record)}, which is no dict")
        missing = [name for name in self._names if name not in record]
        unknown = [str(name) for name in record if name not in self._known]
        if missing or unknown:
            listed = [*(f"no {name}" for name in missing), *(f"unknown {name}" for name in unknown)]
            raise Failed(origin, f"it returned other fields: {', '.join(listed)}")
        made = self._values(record)
        for position in self._stage.kept:
            if made[position] != row[position]:
                said = f"it changed {self._names[position]}, of the key, to {shown(made[position])}"
                raise Failed(origin, f"{said}: say changes_key=True if that is meant")
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
