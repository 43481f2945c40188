"""Operations that take values from one collection to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from databackup.schema.composite import Optional
from databackup.schema.evolution import NO_DEFAULT, Operation
from databackup.schema.requirements import (
    CannotApply,
    evolved,
    require,
    require_alike,
    require_field,
    require_free,
    require_no_field,
    require_of_kind,
    require_reference,
    require_unused,
)

if TYPE_CHECKING:
    from databackup.schema.model import Collection, Field, Reference
    from databackup.schema.requirements import Collections


@attrs.frozen
class SplitCollection(Operation):
    """Fields go to a new collection of the same key, a record for each record."""

    name: ClassVar[str] = "split_collection"

    collection: str
    into: str
    fields: tuple[str, ...]

    def apply(self, before: Collections) -> Collections:
        source = require(before, self.collection)
        require_free(before, self.into)
        if not source.key:
            raise CannotApply(f"{self.collection} has no key by which records could be told apart")
        if not self.fields:
            raise CannotApply(f"no fields of {self.collection} are named")
        if len(set(self.fields)) < len(self.fields):
            raise CannotApply(f"a field of {self.collection} is named twice")
        for name in self.fields:
            require_field(source, name)
            require_unused(before, source, name)
        moved = {*source.key, *self.fields}
        new = evolved(
            source,
            name=self.into,
            fields=(field for field in source.fields if field.name in moved),
            references=(),
        )
        left = (field for field in source.fields if field.name not in self.fields)
        return {**before, self.collection: evolved(source, fields=left), self.into: new}

    def inverse(self, before: Collections) -> Operation:
        source = before[self.collection]
        return JoinCollection(self.into, self.collection, source.field_names)

    def describe(self) -> str:
        return f"split_collection {self.collection} into {self.into} ({', '.join(self.fields)})"


@attrs.frozen
class JoinCollection(Operation):
    """The fields of a collection go to another of the same key, which then has `order`."""

    name: ClassVar[str] = "join_collection"

    collection: str
    into: str
    order: tuple[str, ...]

    def apply(self, before: Collections) -> Collections:
        source, target = require(before, self.collection), require(before, self.into)
        if source.key != target.key:
            raise CannotApply(f"{self.collection} and {self.into} have other keys")
        for part in source.key:
            require_alike(source, part, target, part)
        fields = {field.name: field for field in (*target.fields, *source.fields)}
        if set(fields) != set(self.order):
            raise CannotApply(f"{self.into} and {self.collection} have other fields")
        after = evolved(target, fields=(fields[name] for name in self.order))
        left = {name: c for name, c in before.items() if name != self.collection}
        return {**left, self.into: after}

    def inverse(self, before: Collections) -> Operation:
        source = before[self.collection]
        moved = tuple(name for name in source.field_names if name not in source.key)
        return SplitCollection(self.into, self.collection, moved)

    def describe(self) -> str:
        return f"join_collection {self.collection} into {self.into}"


@attrs.frozen
class MoveField(Operation):
    """A field goes to another collection, along a reference that either of the two has."""

    name: ClassVar[str] = "move_field"

    source: str
    field: str
    target: str
    via: tuple[str, ...]
    position: int | None = None
    default: Any = NO_DEFAULT

    def apply(self, before: Collections) -> Collections:
        source, target = require(before, self.source), require(before, self.target)
        field = require_field(source, self.field)
        require_no_field(target, self.field)
        require_unused(before, source, self.field)
        moved = self._moved(before, field, target)
        fields = list(target.fields)
        fields.insert(len(fields) if self.position is None else self.position, moved)
        left = (found for found in source.fields if found.name != self.field)
        return {
            **before,
            self.source: evolved(source, fields=left),
            self.target: evolved(target, fields=fields),
        }

    def _moved(self, before: Collections, field: Field, target: Collection) -> Field:
        """The field as the target has it, where records may have no partner."""
        points_back = self.reference(before).collection == self.target
        if self.default is not NO_DEFAULT:
            require_of_kind(self.source, field, self.default)
        elif points_back or any(target.field(name).nullable for name in self.via):
            return _nullable(field)
        return field

    @property
    def value(self) -> Any:
        """What a record without a partner gets."""
        return None if self.default is NO_DEFAULT else self.default

    def reference(self, before: Collections) -> Reference:
        """The reference between the two. Raises `CannotApply`."""
        found = [
            (before[here], reference)
            for here, there in ((self.target, self.source), (self.source, self.target))
            for reference in before[here].references
            if reference.fields == self.via and reference.collection == there
        ]
        between = f"by {', '.join(self.via)} between {self.source} and {self.target}"
        if not found:
            raise CannotApply(f"no reference leads {between}")
        if len(found) > 1:
            raise CannotApply(f"several references lead {between}")
        require_reference(before, *found[0])  # kinds may differ in the middle of a step
        return found[0][1]

    def inverse(self, before: Collections) -> Operation | None:
        source = before[self.source]
        if self.default is NO_DEFAULT and not source.field(self.field).nullable:
            return None  # a record without a partner would have no value to go back to
        position = source.field_names.index(self.field)
        return MoveField(self.target, self.field, self.source, self.via, position, self.default)

    def describe(self) -> str:
        return f"move_field {self.source}.{self.field} to {self.target} by {', '.join(self.via)}"


def _nullable(field: Field) -> Field:
    return field if field.nullable else attrs.evolve(field, kind=Optional(field.kind))
