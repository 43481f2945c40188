"""Where the records of a collection come from, and what is done to them on the way.

A flow starts at one collection as it was, and has stages. No stage drops or adds a record, so the
nth row at the end is made of the nth row at the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from databackup.schema import Collection, Field
    from databackup.schema.compiled import Row


@attrs.frozen
class Origin:
    """The operation that something comes from, and its step, as a problem names them."""

    step: str
    operation: str

    def __str__(self) -> str:
        return f"the migration {self.step}, {self.operation}"


@attrs.frozen
class Given:
    """The value at a position of the row before."""

    position: int


@attrs.frozen
class Constant:
    """One value for all records."""

    value: Any
    origin: Origin


@attrs.frozen
class Converted:
    """What a function makes of a value, and something else of null; None hands on as it is.

    With `copied` the function gets a copy, which it may change. With `takes_null` it gets nulls,
    too: they are the JSON value.
    """

    value: Expression
    function: Callable[[Any], Any] | None
    for_null: Any
    copied: bool
    origin: Origin
    takes_null: bool = False


Expression = Given | Constant | Converted


@attrs.frozen
class Project:
    """Makes each row of values of the row before.

    `dropped` and `filled` are counted, by a label and a position in the row before: values that are
    lost, and nulls that are filled in. A position of None counts every record.
    """

    expressions: tuple[Expression, ...]
    dropped: tuple[tuple[str, int | None], ...] = ()
    filled: tuple[tuple[str, int | None], ...] = ()

    def uncounted(self) -> Project:
        """The same for records that are counted elsewhere."""
        return Project(self.expressions)


@attrs.frozen
class Map:
    """Makes each record anew, as a dict of names.

    The function gets copies of the values at the positions `copied`, which it may change. It has to
    leave the values at the positions `kept` as they are.
    """

    names: tuple[str, ...]
    copied: tuple[int, ...]
    kept: tuple[int, ...]
    function: Callable[[dict[str, Any]], dict[str, Any]]
    origin: Origin


@attrs.frozen
class LookUp:
    """Puts values behind a row: those of the other flow's row with the same key, or `nothing`.

    The rows before have `start` values. The other flow's rows have the key first, and then a value
    for each of the `fields`. Several rows of one key, which only `agree` allows, must have the same
    values. `is_end` says that the other flow ends here: what is lost on it is counted here as well.

    Values that no row has the key of are counted as `dropped`, rows without a partner as `filled`.
    """

    other: Flow
    fields: tuple[Field, ...]
    nothing: Row
    start: int
    key: tuple[int, ...]
    key_fields: tuple[Field, ...]
    agree: bool
    is_end: bool
    dropped: str
    filled: str
    origin: Origin
    is_counted: bool = True

    def uncounted(self) -> LookUp:
        """The same for records that are counted elsewhere."""
        return attrs.evolve(self, is_counted=False)


Stage = Project | Map | LookUp


@attrs.frozen
class Flow:
    """The way of a collection's records, from the collection `source`; None is for a new one."""

    source: Collection | None
    stages: tuple[Stage, ...]

    @property
    def made_of(self) -> frozenset[str]:
        """The names of the collections that its records take values from."""
        own = frozenset() if self.source is None else frozenset([self.source.name])
        return own.union(*(s.other.made_of for s in self.stages if isinstance(s, LookUp)))

    @property
    def counts(self) -> bool:
        """Whether something that its records lose, or are filled in with, is counted."""
        return any(
            stage.is_counted
            if isinstance(stage, LookUp)
            else isinstance(stage, Project) and bool(stage.dropped or stage.filled)
            for stage in self.stages
        )


def is_filled(expression: Expression) -> bool:
    """Whether an expression has a value for every record, as no function gives null for one."""
    while isinstance(expression, Converted):
        if expression.for_null is not None or expression.takes_null:
            return True
        expression = expression.value
    return isinstance(expression, Constant) and expression.value is not None


def depth(expression: Expression) -> int:
    """How many conversions an expression is made of."""
    found = 0
    while isinstance(expression, Converted):
        expression = expression.value
        found += 1
    return found


def root(expression: Expression) -> Given | Constant:
    """What an expression is made of."""
    while isinstance(expression, Converted):
        expression = expression.value
    return expression
