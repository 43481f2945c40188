"""Which references the way itself has to answer for: that they held before says nothing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from databackup.migrations.flows import Origin
from databackup.schema.evolution import (
    AddCollection,
    ChangeKind,
    MapRecords,
    RenameCollection,
    RenameField,
)
from databackup.schema.linking import AddReference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from databackup.schema import Reference
    from databackup.schema.evolution import Operation
    from databackup.schema.recording import Migration
    from databackup.schema.requirements import Collections


@attrs.frozen
class Link:
    """A reference, whose end is named, and the collection that has it."""

    source: str
    reference: Reference

    def touches(self, collection: str, fields: Iterable[str]) -> bool:
        """Whether one of some fields of a collection is of it, at either end."""
        there = self.reference.collection == collection and {*self.reference.to} & {*fields}
        return bool(there or (self.source == collection and {*self.reference.fields} & {*fields}))


def doubtful(before: Collections, steps: Iterable[Migration]) -> dict[Link, Origin]:
    """The references after the last step that may not hold though all did before the first.

    Each with the last operation that has added it, or may have changed a value at either end.
    """
    done = []
    for step in steps:
        for operation, after in zip(step.operations, step.states(before), strict=True):
            done.append((step, operation, before))
            before = after
    found: dict[Link, Origin] = {}
    # By what each was called at the point that was reached, from the end on.
    left = {(link := Link(c.name, r)): link for c in before.values() for r in c.references}
    for step, operation, state in reversed(done):
        for end, link in list(left.items()):
            if _is_at_fault(operation, link, state):
                found[end] = Origin(str(step), str(operation))
            if end in found or _begins_with(operation, link):
                del left[end]
            else:
                left[end] = _before(operation, link)
    return found


def _is_at_fault(operation: Operation, link: Link, before: Collections) -> bool:
    if isinstance(operation, AddReference):
        return Link(operation.collection, operation.named_in(before)) == link
    if isinstance(operation, ChangeKind):
        return link.touches(operation.collection, [operation.field])
    if isinstance(operation, MapRecords):
        mapped = before[operation.collection]
        kept = () if operation.changes_key else mapped.key
        return link.touches(mapped.name, {*mapped.field_names} - {*kept})
    return False


def _begins_with(operation: Operation, link: Link) -> bool:
    """Whether what has the reference is new, and so has no record that could point anywhere."""
    return isinstance(operation, AddCollection) and operation.collection.name == link.source


def _before(operation: Operation, link: Link) -> Link:
    """A link as it was called before an operation."""
    reference = link.reference
    if isinstance(operation, RenameCollection):
        names = {operation.new: operation.old}
        source = names.get(link.source, link.source)
        target = names.get(reference.collection, reference.collection)
        return Link(source, attrs.evolve(reference, collection=target))
    if isinstance(operation, RenameField):
        names = {operation.new: operation.old}
        fields, to = reference.fields, reference.to
        if link.source == operation.collection:
            fields = tuple(names.get(name, name) for name in fields)
        if reference.collection == operation.collection:
            to = tuple(names.get(name, name) for name in to)
        return Link(link.source, attrs.evolve(reference, fields=fields, to=to))
    return link
