"""Recorded steps, composed into a flow for each collection that there is after the last one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

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
    root,
)
from databackup.schema import evolution
from databackup.schema.across import JoinCollection, MoveField, SplitCollection
from databackup.schema.evolution import NO_DEFAULT, Collections, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from databackup.schema import Collection, Field
    from databackup.schema.recording import Migration


@attrs.define
class _Course:
    """A flow in the making: its stages, and the fields made of what comes out of the last."""

    source: Collection | None
    stages: list[Stage]
    fields: dict[str, Expression]
    dropped: list[tuple[str, int]] = attrs.field(factory=list)
    filled: list[tuple[str, int | None]] = attrs.field(factory=list)

    @classmethod
    def starting_at(cls, collection: Collection) -> _Course:
        fields: dict[str, Expression] = {
            name: Given(position) for position, name in enumerate(collection.field_names)
        }
        return cls(collection, [], fields)

    def copy(self) -> _Course:
        """The same course once more, which counts nothing a second time."""
        stages = [
            Project(stage.expressions) if isinstance(stage, Project) else stage
            for stage in self.stages
        ]
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
    def _width(self) -> int | None:
        """How many values a row has where the fields take theirs; None where it is not known."""
        if not self.stages:
            return 0 if self.source is None else len(self.source.fields)
        last = self.stages[-1]
        if isinstance(last, Project):
            return len(last.expressions)
        return len(last.names) if isinstance(last, Map) else None

    def look_up(
        self,
        other: Flow,
        names: Sequence[str],
        key: tuple[Field, ...],
        label: str,
        origin: Origin,
        *,
        agree: bool = False,
    ) -> None:
        """Take over fields from another flow, whose rows have a key and then these fields."""
        self.settle()
        places = {name: position for position, name in enumerate(self.fields)}
        positions = tuple(places[field.name] for field in key)
        self.stages.append(LookUp(other, len(names), positions, key, agree, label, origin))
        for position, name in enumerate(names, len(self.fields)):
            self.fields[name] = Given(position)

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
    before: Collections
    origin: Origin


def composed(
    before: Collections, steps: Iterable[Migration], after: Mapping[str, Iterable[str]]
) -> dict[str, Flow]:
    """The flows to the collections of `after`, each with the names of its fields in order.

    Raises `SchemaError` where a step does not fit what is before it.
    """
    courses = {name: _Course.starting_at(collection) for name, collection in before.items()}
    for step in steps:
        states = [before, *step.states(before)]
        for operation, state in zip(step.operations, states, strict=False):
            _carry_out(operation, _Place(courses, state, Origin(str(step), str(operation))))
        before = states[-1]
    return {name: courses[name].flow(fields) for name, fields in after.items()}


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
    lost = root(course.fields.pop(operation.field))
    if isinstance(lost, Given):
        course.dropped.append((f"{operation.collection}.{operation.field}", lost.position))


@_carry_out.register
def _(operation: evolution.ChangeKind, place: _Place) -> None:
    course = place.courses[operation.collection]
    for_null = None if operation.default is NO_DEFAULT else operation.default
    value = course.fields[operation.field]
    if operation.using is not None or for_null is not None:
        course.fields[operation.field] = Converted(value, operation.using, for_null, place.origin)
    if for_null is not None and isinstance(filled := root(value), Given):
        course.filled.append((f"{operation.collection}.{operation.field}", filled.position))


@_carry_out.register
def _(operation: evolution.MapRecords, place: _Place) -> None:
    course = place.courses[operation.collection]
    course.settle()
    course.stages.append(Map(tuple(course.fields), operation.function, place.origin))


@_carry_out.register
def _(operation: evolution.AddCollection, place: _Place) -> None:
    collection = operation.collection
    place.courses[collection.name] = attrs.evolve(_Course.starting_at(collection), source=None)


@_carry_out.register
def _(operation: evolution.RemoveCollection, place: _Place) -> None:
    del place.courses[operation.collection]


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
    names = [name for name in source.field_names if name not in source.key]
    other = place.courses.pop(operation.collection).flow((*source.key, *names))
    label = f"{source}.{', '.join(names)}"
    course = place.courses[operation.into]
    course.look_up(other, names, _key(target, target.key), label, place.origin)


@_carry_out.register
def _(operation: MoveField, place: _Place) -> None:
    reference = operation.reference(place.before)
    source, target = place.courses[operation.source], place.before[operation.target]
    points_back = reference.collection == operation.target
    theirs, ours = reference.fields, reference.to
    if not points_back:
        theirs, ours = ours, theirs
    other = source.flow((*theirs, operation.field))
    label = f"{operation.source}.{operation.field}"
    course = place.courses[operation.target]
    key = _key(target, ours)
    course.look_up(other, [operation.field], key, label, place.origin, agree=points_back)
    del source.fields[operation.field]


def _key(collection: Collection, names: Iterable[str]) -> tuple[Field, ...]:
    return tuple(map(collection.field, names))
