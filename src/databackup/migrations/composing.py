"""Recorded steps, composed into a flow for each collection that there is after the last one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import attrs

from databackup.migrations.flows import (
    Constant,
    Converted,
    Expression,
    Flow,
    Given,
    LookUp,
    Map,
    Origin,
    Project,
    Stage,
    depth,
    is_filled,
    root,
)
from databackup.schema import evolution
from databackup.schema.across import JoinCollection, MoveField, SplitCollection
from databackup.schema.adopting import adopter, null_is_value, null_of
from databackup.schema.composite import Dict, Json, List, Nested
from databackup.schema.evolution import NO_DEFAULT, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from databackup.schema import Collection, Field
    from databackup.schema.compiled import Row
    from databackup.schema.recording import Migration
    from databackup.schema.requirements import Collections

_DEPTH: Final = 20  # conversions in one expression: Python nests brackets only so deep


@attrs.define
class _Course:
    """A flow in the making: its stages, and the fields made of what comes out of the last."""

    source: Collection | None
    stages: list[Stage]
    fields: dict[str, Expression]
    dropped: list[tuple[str, int | None]] = attrs.field(factory=list)
    filled: list[tuple[str, int | None]] = attrs.field(factory=list)

    @classmethod
    def starting_at(cls, collection: Collection) -> _Course:
        fields: dict[str, Expression] = {
            name: Given(position) for position, name in enumerate(collection.field_names)
        }
        return cls(collection, [], fields)

    def copy(self) -> _Course:
        """The same course once more, which counts nothing a second time."""
        stages = [stage if isinstance(stage, Map) else stage.uncounted() for stage in self.stages]
        return _Course(self.source, stages, dict(self.fields))

    def settle(self) -> None:
        """Make a stage of what is done to the fields, so that another can follow."""
        expressions = tuple(self.fields.values())
        if self.dropped or self.filled or not self._is_as_before(expressions):
            self.stages.append(Project(expressions, tuple(self.dropped), tuple(self.filled)))
        self.dropped, self.filled = [], []
        self.fields = {name: Given(position) for position, name in enumerate(self.fields)}

    def _is_as_before(self, expressions: tuple[Expression, ...]) -> bool:
        if expressions != tuple(map(Given, range(len(expressions)))):
            return False
        return self._width == len(expressions)

    @property
    def _width(self) -> int:
        """How many values a row has where the fields take theirs."""
        if not self.stages:
            return 0 if self.source is None else len(self.source.fields)
        last = self.stages[-1]
        if isinstance(last, Project):
            return len(last.expressions)
        return len(last.names) if isinstance(last, Map) else last.start + len(last.fields)

    def look_up(
        self,
        other: Flow,
        key: Sequence[Field],
        taken: Sequence[Field],
        *,
        nothing: Row,
        dropped: str,
        filled: str,
        origin: Origin,
        agree: bool = False,
        is_end: bool = False,
    ) -> None:
        """Take over fields of another flow, whose rows have the key before them: see `LookUp`."""
        self.settle()
        places = {name: position for position, name in enumerate(self.fields)}
        start = len(self.fields)
        self.fields |= {field.name: Given(place) for place, field in enumerate(taken, start)}
        looking = LookUp(
            other=other,
            fields=tuple(taken),
            nothing=nothing,
            start=start,
            key=tuple(places[field.name] for field in key),
            key_fields=tuple(key),
            agree=agree,
            is_end=is_end,
            dropped=dropped,
            filled=filled,
            origin=origin,
        )
        self.stages.append(looking)

    def flow(self, names: Iterable[str]) -> Flow:
        """The flow, its rows with the fields of these names in this order."""
        end = attrs.evolve(self, stages=list(self.stages))
        end.fields = {name: self.fields[name] for name in names}
        end.settle()
        return Flow(self.source, tuple(end.stages))


@attrs.frozen
class _Place:
    """Where an operation is carried out: on which courses, and what the collections were before."""

    courses: dict[str, _Course]
    removed: list[Removed]
    before: Collections
    origin: Origin


@attrs.frozen
class Removed:
    """A collection that a step removes, by the name that it had then, and the flow up to there."""

    name: str
    flow: Flow


@attrs.frozen
class Composition:
    """The flows to the collections after the last step, and to those removed on the way."""

    flows: Mapping[str, Flow]
    removed: Sequence[Removed]


def composed(
    before: Collections, steps: Iterable[Migration], after: Mapping[str, Iterable[str]]
) -> Composition:
    """The flows to the collections of `after`, each with the names of its fields in order.

    Raises `SchemaError` where a step does not fit what is before it.
    """
    courses = {name: _Course.starting_at(collection) for name, collection in before.items()}
    removed: list[Removed] = []
    for step in steps:
        states = [before, *step.states(before)]
        for operation, state in zip(step.operations, states, strict=False):
            origin = Origin(str(step), str(operation))
            _carry_out(operation, _Place(courses, removed, state, origin))
        before = states[-1]
    return Composition(
        {name: courses[name].flow(fields) for name, fields in after.items()}, removed
    )


@functools.singledispatch
def _carry_out(operation: Operation, place: _Place) -> None:
    """What an operation does to the courses; most leave records as they are."""


@_carry_out.register
def _(operation: evolution.RenameCollection, place: _Place) -> None:
    place.courses[operation.new] = place.courses.pop(operation.old)


@_carry_out.register
def _(operation: evolution.RenameField, place: _Place) -> None:
    course = place.courses[operation.collection]
    course.fields = {
        operation.new if name == operation.old else name: expression
        for name, expression in course.fields.items()
    }


@_carry_out.register
def _(operation: evolution.AddField, place: _Place) -> None:
    course = place.courses[operation.collection]
    course.fields[operation.field.name] = Constant(operation.value, place.origin)
    course.filled.append((f"{operation.collection}.{operation.field.name}", None))


@_carry_out.register
def _(operation: evolution.RemoveField, place: _Place) -> None:
    course = place.courses[operation.collection]
    lost = course.fields.pop(operation.field)
    label = f"{operation.collection}.{operation.field}"
    kind = place.before[operation.collection].field(operation.field).kind
    if is_filled(lost) or null_is_value(kind):
        course.dropped.append((label, None))
    elif isinstance(given := root(lost), Given):
        course.dropped.append((label, given.position))


@_carry_out.register
def _(operation: evolution.ChangeKind, place: _Place) -> None:
    course = place.courses[operation.collection]
    has_default = operation.default is not NO_DEFAULT
    value = course.fields[operation.field]
    old = place.before[operation.collection].field(operation.field)
    using = operation.using or adopter(old.kind, operation.kind)
    for_null = operation.default if has_default else null_of(old.kind, operation.kind)
    fills = has_default and for_null is not None
    if old.nullable and null_is_value(operation.kind):
        fills = True  # None is the JSON value null from here on
    if (fills and isinstance(value, Converted)) or depth(value) >= _DEPTH:
        course.settle()  # nulls are counted as they come out of what was done before
        value = course.fields[operation.field]
    hands_null = null_is_value(old.kind) and operation.using is not None
    takes_null = hands_null and for_null is None and not has_default
    if using is not None or for_null is not None:
        copied = operation.using is not None and _can_change(old)
        converted = Converted(value, using, for_null, copied, place.origin, takes_null)
        course.fields[operation.field] = converted
    if fills and not is_filled(value):
        given = root(value)
        position = given.position if isinstance(given, Given) else None  # null for all records
        course.filled.append((f"{operation.collection}.{operation.field}", position))


@_carry_out.register
def _(operation: evolution.MapRecords, place: _Place) -> None:
    course = place.courses[operation.collection]
    course.settle()
    fields = map(place.before[operation.collection].field, course.fields)
    copied = tuple(position for position, field in enumerate(fields) if _can_change(field))
    names = tuple(course.fields)
    key = () if operation.changes_key else place.before[operation.collection].key
    kept = tuple(map(names.index, key))
    course.stages.append(Map(names, copied, kept, operation.function, place.origin))


@_carry_out.register
def _(operation: evolution.AddCollection, place: _Place) -> None:
    collection = operation.collection
    place.courses[collection.name] = attrs.evolve(_Course.starting_at(collection), source=None)


@_carry_out.register
def _(operation: evolution.RemoveCollection, place: _Place) -> None:
    course = place.courses.pop(operation.collection)
    place.removed.append(Removed(operation.collection, course.flow(course.fields)))


@_carry_out.register
def _(operation: SplitCollection, place: _Place) -> None:
    course = place.courses[operation.collection]
    new = course.copy()
    kept = {*place.before[operation.collection].key, *operation.fields}
    new.fields = {name: value for name, value in new.fields.items() if name in kept}
    for name in operation.fields:
        del course.fields[name]
    place.courses[operation.into] = new


@_carry_out.register
def _(operation: JoinCollection, place: _Place) -> None:
    source, target = place.before[operation.collection], place.before[operation.into]
    taken = [field for field in source.fields if field.name not in source.key]
    names = [field.name for field in taken]
    other = place.courses.pop(operation.collection).flow((*source.key, *names))
    course = place.courses[operation.into]
    course.look_up(
        other,
        _fields(target, target.key),
        taken,
        nothing=(None,) * len(taken),
        is_end=True,
        dropped=f"{source}.{', '.join(names)}",
        filled=f"{target}.{', '.join(names)}",
        origin=place.origin,
    )


@_carry_out.register
def _(operation: MoveField, place: _Place) -> None:
    reference = operation.reference(place.before)
    source, target = place.before[operation.source], place.before[operation.target]
    points_back = reference.collection == operation.target
    theirs, ours = reference.fields, reference.to
    if not points_back:
        theirs, ours = ours, theirs
    left = place.courses[operation.source]
    field = source.field(operation.field)
    moved = operation.apply(place.before)[operation.target].field(operation.field)
    if (for_null := null_of(field.kind, moved.kind)) is not None:
        value = left.fields[operation.field]
        left.fields[operation.field] = Converted(
            value, None, for_null, copied=False, origin=place.origin
        )
    other = left.flow((*theirs, operation.field))
    course = place.courses[operation.target]
    course.look_up(
        other,
        _fields(target, ours),
        [moved],
        nothing=(operation.value,),
        agree=points_back,
        dropped=f"{source}.{operation.field}",
        filled=f"{target}.{operation.field}",
        origin=place.origin,
    )
    del left.fields[operation.field]


def _fields(collection: Collection, names: Iterable[str]) -> list[Field]:
    return [collection.field(name) for name in names]


def _can_change(field: Field) -> bool:
    """Whether a function could change a value of a field in its place."""
    return isinstance(field.value_kind, Json | List | Dict | Nested)
