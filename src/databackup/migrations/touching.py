"""Which operations have had to do with a field's values, a key, a reference: the steps backwards.

Fields are followed through renames, splits and moves to where the archive has them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, Literal

import attrs

from databackup.schema import evolution, linking
from databackup.schema.across import JoinCollection, MoveField, SplitCollection
from databackup.schema.evolution import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from databackup.migrations.way import Way
    from databackup.schema.recording import Migration
    from databackup.schema.requirements import Collections

    Place = tuple[str, str]
    """A field: the name of its collection, and its own."""

About = Literal["values", "key", "reference"]
_NAMED: Final = 5  # operations of one step in a message


@attrs.define
class _Search:
    """Fields that are followed back: as they are called after an operation, and then before it."""

    places: set[Place]
    about: About
    before: Collections

    def of(self, collection: str) -> set[Place]:
        """Those of one collection."""
        return {place for place in self.places if place[0] == collection}

    def has(self, collection: str, names: Iterable[str]) -> bool:
        """Whether all these fields of a collection are among them."""
        return all((collection, name) in self.places for name in names)

    def turn(self, were: Callable[[Place], Place]) -> None:
        """Go on with what the fields were before."""
        self.places = set(map(were, self.places))

    def leave(self, places: set[Place]) -> bool:
        """Go on without some, which were not there before; whether they were among them."""
        found = self.places & places
        self.places -= found
        return bool(found)


def touching(
    way: Way, places: Iterable[Place], about: About = "values"
) -> list[tuple[Migration, list[Operation]]]:
    """The operations on a way that fields at its end depend on, by step, the first step first.

    About a "key" it is also asked what made these fields the key, and about a "reference" what let
    one lead between them.
    """
    search = _Search(set(places), about, way.before)
    found: list[tuple[Migration, list[Operation]]] = []
    for step, start in zip(reversed(way.steps), reversed(way.states[:-1]), strict=True):
        states = [start, *step.states(start)]
        touched = []
        for operation, before in reversed(list(zip(step.operations, states, strict=False))):
            search.before = before
            if _touches(operation, search):
                touched.append(operation)
        if touched:
            found.append((step, touched[::-1]))
    return found[::-1]


def named(touched: Iterable[tuple[Migration, list[Operation]]]) -> str:
    """Steps and their operations, in words."""
    return "; ".join(
        f"the migration {step}, {', '.join(_shortened(operations))}" for step, operations in touched
    )


def _shortened(operations: list[Operation]) -> list[str]:
    shown = list(map(str, operations[:_NAMED]))
    more = len(operations) - len(shown)
    return [*shown, f"and {more} more"] if more else shown


@functools.singledispatch
def _touches(operation: Operation, search: _Search) -> bool:
    """Whether an operation has to do with the fields; they are then what they were before it."""
    del operation, search
    return False


@_touches.register
def _(operation: evolution.RenameCollection, search: _Search) -> bool:
    search.turn(lambda place: (operation.old, place[1]) if place[0] == operation.new else place)
    return False


@_touches.register
def _(operation: evolution.RenameField, search: _Search) -> bool:
    new, old = (operation.collection, operation.new), (operation.collection, operation.old)
    search.turn(lambda place: old if place == new else place)
    return False


@_touches.register
def _(operation: evolution.AddField, search: _Search) -> bool:
    return search.leave({(operation.collection, operation.field.name)})


@_touches.register
def _(operation: evolution.ChangeKind, search: _Search) -> bool:
    return (operation.collection, operation.field) in search.places


@_touches.register
def _(operation: evolution.MapRecords, search: _Search) -> bool:
    found = {name for _, name in search.of(operation.collection)}
    if not operation.changes_key:
        found -= set(search.before[operation.collection].key)
    return bool(found)


@_touches.register
def _(operation: evolution.AddCollection, search: _Search) -> bool:
    return search.leave(search.of(operation.collection.name))


@_touches.register
def _(operation: linking.ChangeKey, search: _Search) -> bool:
    made = search.about == "key" and search.has(operation.collection, operation.key)
    if made:
        search.about = "values"  # what was the key before has nothing to do with it
    return made


@_touches.register
def _(operation: linking.AddReference, search: _Search) -> bool:
    reference = operation.reference
    return (
        search.about == "reference"
        and search.has(operation.collection, reference.fields)
        and bool(search.of(reference.collection))
    )


@_touches.register
def _(operation: SplitCollection, search: _Search) -> bool:
    found = bool(search.of(operation.into))
    search.turn(
        lambda place: (operation.collection, place[1]) if place[0] == operation.into else place
    )
    return found


@_touches.register
def _(operation: JoinCollection, search: _Search) -> bool:
    source = search.before[operation.collection]
    joined = {(operation.into, name) for name in source.field_names if name not in source.key}
    found = bool(joined & search.places)
    search.turn(lambda place: (source.name, place[1]) if place in joined else place)
    return found


@_touches.register
def _(operation: MoveField, search: _Search) -> bool:
    moved = (operation.target, operation.field)
    found = moved in search.places
    search.turn(lambda place: (operation.source, operation.field) if place == moved else place)
    return found
