"""Functions between the values of rows and what msgspec reads and writes, run per batch.

Where a value needs nothing done to it, as most do, the compiled code passes it on without a call.

Compiling takes a tenth of a millisecond a field. Plain loops do the same where that would not pay:
for a collection that is very wide, and for the first rows of one that a file describes.
"""

from __future__ import annotations

import datetime
import functools
import uuid
from typing import TYPE_CHECKING, Any, Final, Protocol

from databackup.schema.kind import ALWAYS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    _Convert = Callable[[list[Any]], list[Any]]
    _Step = Callable[[Any], Any] | None

    class _Maker(Protocol):
        def __call__(self, *, compiled: bool) -> Callable[..., Any]: ...


# What the kinds' expressions speak of.
SCOPE: Final = {
    "date": datetime.date,
    "time": datetime.time,
    "datetime": datetime.datetime,
    "UTC": datetime.UTC,
    "UUID": uuid.UUID,
}
PATIENCE: Final = 100  # rows of a described collection before functions are compiled for it


class Functions:
    """The functions of one collection, where the values at `plain` need nothing done to them.

    `maker` gives what makes a record of values, for loops or for compiled functions.
    """

    def __init__(
        self,
        forms: list[Kind],
        maker: _Maker,
        patience: int | None,
        plain: Sequence[int] = (),
    ) -> None:
        self._kinds = forms
        self._maker = maker
        self._patience = patience
        self._are_plain = frozenset(plain)

    @functools.cached_property
    def encode(self) -> _Convert:
        """Rows to records."""
        functions = [kind.encode for kind in self._kinds]
        return _converter(self._patience, self._encoded, functions, self._maker)

    @functools.cached_property
    def canonical(self) -> _Convert:
        """Rows to canonical records."""
        functions = [kind.canonical for kind in self._kinds]
        return _converter(self._patience, self._encoded, functions, self._maker)

    @functools.cached_property
    def read(self) -> _Convert:
        """Values as msgspec has read them to rows."""
        functions = [kind.decode for kind in self._kinds]
        return _converter(self._patience, self._decoded, functions)

    @functools.cached_property
    def read_narrow(self) -> _Convert:
        """As `read`, where they were read by the narrow type."""
        narrow = [
            condition if kind.narrow_wire is None else ALWAYS
            for condition, kind in zip(self._decoded, self._kinds, strict=True)
        ]
        return _converter(self._patience, narrow, [kind.decode for kind in self._kinds])

    @functools.cached_property
    def canonical_is_form(self) -> bool:
        """Whether canonical records differ from records in the order of names alone."""
        return all(
            kind.canonical_is_form or n in self._are_plain for n, kind in enumerate(self._kinds)
        )

    @property
    def _encoded(self) -> list[str]:
        return self._unless_plain(kind.encodes_itself for kind in self._kinds)

    @property
    def _decoded(self) -> list[str]:
        return self._unless_plain(kind.decodes_itself for kind in self._kinds)

    def _unless_plain(self, conditions: Iterable[str]) -> list[str]:
        return [ALWAYS if n in self._are_plain else itself for n, itself in enumerate(conditions)]


def _converter(
    patience: int | None,
    conditions: list[str],
    functions: list[Callable[[Any], Any]],
    maker: _Maker | None = None,
) -> _Convert:
    """What converts rows to what `maker` makes of their values, or to tuples.

    `patience` is for how many rows loops do; None is for all.
    """
    if maker is None and all(condition == ALWAYS for condition in conditions):
        return list

    def compiled() -> _Convert:
        if maker is None:
            return _compile_to_rows(conditions, functions)
        return _compile_to_records(conditions, functions, maker(compiled=True))

    if patience == 0:
        return compiled()
    steps = list(map(_step, conditions, functions))
    make = None if maker is None else maker(compiled=False)
    loop = functools.partial(_loop, steps, make)
    return loop if patience is None else _Patient(loop, compiled, patience)


class _Patient:
    """Converts rows in a loop, until there were so many that compiling a function pays."""

    def __init__(self, loop: _Convert, compile_: Callable[[], _Convert], patience: int) -> None:
        self._convert = loop
        self._compile: Callable[[], _Convert] | None = compile_
        self._left = patience

    def __call__(self, rows: list[Any]) -> list[Any]:
        if self._compile is not None:
            if self._left < len(rows):
                self._convert = self._compile()
                self._compile = None
            self._left -= len(rows)
        return self._convert(rows)


def _loop(
    steps: list[_Step], make: Callable[..., Any] | None, rows: Iterable[tuple[Any, ...]]
) -> list[Any]:
    made = []
    for row in rows:
        values = [
            value if step is None else step(value) for step, value in zip(steps, row, strict=True)
        ]
        made.append(tuple(values) if make is None else make(*values))
    return made


def _step(condition: str, function: Callable[[Any], Any]) -> _Step:
    """What is done to one value, None for nothing: the same as in a compiled function."""
    if condition == ALWAYS or not condition:
        return function if not condition else None
    test = _test(condition)
    return lambda value: value if test(value) else function(value)


@functools.lru_cache(maxsize=256)
def _test(condition: str) -> Callable[[Any], bool]:
    """A kind's condition as a function; there are not many of them."""
    return compile_function(f"def convert(v):\n    return {condition.format(v='v')}\n", {**SCOPE})


def compile_function(source: str, scope: dict[str, Any]) -> Callable[[Any], Any]:
    """The function `convert` of a source text that this library wrote itself, never input."""
    exec(compile(source, "<databackup codec>", "exec"), scope)
    function: Callable[[Any], Any] = scope["convert"]
    return function


def _compile_to_records(
    conditions: list[str], functions: list[Callable[[Any], Any]], make: Callable[..., Any]
) -> Callable[[list[Any]], list[Any]]:
    members, variables, scope = _calls(conditions, functions)
    source = f"return [make({members}) for {variables} in rows]"
    return compile_function(f"def convert(rows):\n    {source}\n", {**scope, "make": make})


def _compile_to_rows(
    conditions: list[str], functions: list[Callable[[Any], Any]]
) -> Callable[[list[Any]], list[Any]]:
    members, variables, scope = _calls(conditions, functions)
    source = f"return [({members}) for {variables} in rows]"
    return compile_function(f"def convert(rows):\n    {source}\n", scope)


def _calls(
    conditions: list[str], functions: list[Callable[[Any], Any]]
) -> tuple[str, str, dict[str, Any]]:
    """The source of a row's values, each passed through its function where it has to be."""
    names = range(len(conditions))
    members = [_inline(condition, f"v{n}", f"c{n}") for n, condition in enumerate(conditions)]
    scope = {**SCOPE, **{f"c{n}": function for n, function in enumerate(functions)}}
    return "".join(f"{m}, " for m in members), "".join(f"v{n}, " for n in names), scope


def _inline(condition: str, value: str, function: str) -> str:
    if condition == ALWAYS:
        return value
    call = f"{function}({value})"
    return f"({value} if {condition.format(v=value)} else {call})" if condition else call
