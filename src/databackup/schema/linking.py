"""Operations on what tells records apart and connects them: keys and references."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from databackup.schema.evolution import Operation
from databackup.schema.requirements import (
    CannotApply,
    evolved,
    require,
    require_field,
    require_reference,
)

if TYPE_CHECKING:
    from databackup.schema.model import Collection, Reference
    from databackup.schema.requirements import Collections


@attrs.frozen
class ChangeKey(Operation):
    """Other fields are the key."""

    name: ClassVar[str] = "change_key"

    collection: str
    key: tuple[str, ...]

    def apply(self, before: Collections) -> Collections:
        collection = require(before, self.collection)
        for part in self.key:
            require_field(collection, part)
        # References to the old key go on naming its fields.
        return {**before, self.collection: evolved(collection, key=self.key)}

    def inverse(self, before: Collections) -> Operation:
        return ChangeKey(self.collection, before[self.collection].key)

    def describe(self) -> str:
        return f"change_key {self.collection} to {', '.join(self.key) or 'none'}"


@attrs.frozen
class AddReference(Operation):
    """Fields of a collection refer to another from now on."""

    name: ClassVar[str] = "add_reference"

    collection: str
    reference: Reference

    def apply(self, before: Collections) -> Collections:
        collection = require(before, self.collection)
        reference = self.named_in(before)
        require_reference(before, collection, reference)
        if reference in collection.references:
            raise CannotApply("there is such a reference already")
        references = (*collection.references, reference)
        return {**before, self.collection: evolved(collection, references=references)}

    def named_in(self, before: Collections) -> Reference:
        """The reference, whose end is named. Raises `CannotApply`."""
        target = require(before, self.reference.collection)
        return attrs.evolve(self.reference, to=self.reference.to or target.key)

    def inverse(self, before: Collections) -> Operation:
        found = self.named_in(before)
        return RemoveReference(self.collection, found.fields, found.collection, found.to)

    def describe(self) -> str:
        fields = ", ".join(self.reference.fields)
        return f"add_reference {self.collection} ({fields}) to {self.reference.collection}"


@attrs.frozen
class RemoveReference(Operation):
    """Fields of a collection refer to another no more; `to_fields` may say by which of its own."""

    name: ClassVar[str] = "remove_reference"

    collection: str
    fields: tuple[str, ...]
    to: str
    to_fields: tuple[str, ...] = ()

    def apply(self, before: Collections) -> Collections:
        collection = require(before, self.collection)
        found = self._found(collection)
        left = (reference for reference in collection.references if reference != found)
        return {**before, self.collection: evolved(collection, references=left)}

    def inverse(self, before: Collections) -> Operation:
        return AddReference(self.collection, self._found(before[self.collection]))

    def _found(self, collection: Collection) -> Reference:
        found = [
            reference
            for reference in collection.references
            if (reference.fields, reference.collection) == (self.fields, self.to)
            and self.to_fields in ((), reference.to)
        ]
        if not found:
            raise CannotApply("there is no such reference")
        if len(found) > 1:
            raise CannotApply("there are several such references: say to_fields")
        return found[0]

    def describe(self) -> str:
        return f"remove_reference {self.collection} ({', '.join(self.fields)}) to {self.to}"
