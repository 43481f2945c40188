"""The recorded operations of migrations: what each does to collections, and what undoes it.

An operation is frozen data. Here it is applied to descriptions alone; `databackup.migrations` does
the same to rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from databackup.schema.composite import Optional
from databackup.schema.defaults import NO_DEFAULT as NO_DEFAULT  # noqa: PLC0414 - for others
from databackup.schema.kind import Kind, shown
from databackup.schema.model import Collection, Field, Reference
from databackup.schema.requirements import CannotApply as CannotApply  # noqa: PLC0414 - for others
from databackup.schema.requirements import Collections as Collections  # noqa: PLC0414 - the same
from databackup.schema.requirements import (
    evolved,
    named,
    require,
    require_field,
    require_free,
    require_no_field,
    require_of_kind,
    require_reference,
    require_unused,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from databackup.schema.model import OffKind

    Value = Callable[[Any], Any]
    Record = dict[str, Any]


@attrs.frozen
class Operation:
    """The base of all operations.

    `name` is how a migration calls it.
    """

    name: ClassVar[str]

    def apply(self, before: Collections) -> Collections:
        """The collections after it. Raises `CannotApply`."""
        raise NotImplementedError

    def inverse(self, before: Collections) -> Operation | None:
        """What undoes it, given the collections before it; None where nothing does."""
        raise NotImplementedError

    def describe(self) -> str:
        """The operation as `schema history` and problems show it."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.describe()


@attrs.frozen
class RenameApp(Operation):
    """The app has another name; None stands for none. No collection has to do with it."""

    name: ClassVar[str] = "rename_app"

    old: str | None
    new: str | None

    def apply(self, before: Collections) -> Collections:
        return before

    def inverse(self, before: Collections) -> Operation:  # noqa: ARG002 - whatever was before
        return RenameApp(self.new, self.old)

    def describe(self) -> str:
        return f"rename_app {self.old or 'no name'} to {self.new or 'no name'}"


@attrs.frozen
class RenameCollection(Operation):
    """A collection has another name; references to it follow."""

    name: ClassVar[str] = "rename_collection"

    old: str
    new: str

    def apply(self, before: Collections) -> Collections:
        require(before, self.old)
        require_free(before, self.new)
        renamed = ((self.new if name == self.old else name, c) for name, c in before.items())
        return {
            name: evolved(c, name=name, references=map(self._renamed, c.references))
            for name, c in renamed
        }

    def _renamed(self, reference: Reference) -> Reference:
        if reference.collection != self.old:
            return reference
        return attrs.evolve(reference, collection=self.new)

    def inverse(self, before: Collections) -> Operation:  # noqa: ARG002 - whatever was before
        return RenameCollection(self.new, self.old)

    def describe(self) -> str:
        return f"rename_collection {self.old} to {self.new}"


@attrs.frozen
class RenameField(Operation):
    """A field has another name; the key and references that name it follow."""

    name: ClassVar[str] = "rename_field"

    collection: str
    old: str
    new: str

    def apply(self, before: Collections) -> Collections:
        collection = require(before, self.collection)
        require_field(collection, self.old)
        require_no_field(collection, self.new)
        after = evolved(
            collection,
            fields=(
                attrs.evolve(f, name=self.new) if f.name == self.old else f
                for f in collection.fields
            ),
            key=map(self._renamed, collection.key),
            references=(
                attrs.evolve(r, fields=tuple(map(self._renamed, r.fields)))
                for r in collection.references
            ),
        )
        changed = {**before, self.collection: after}
        return {name: self._following(c) for name, c in changed.items()}

    def _renamed(self, name: str) -> str:
        return self.new if name == self.old else name

    def _following(self, collection: Collection) -> Collection:
        if all(r.collection != self.collection or not r.to for r in collection.references):
            return collection
        return evolved(
            collection,
            references=(
                attrs.evolve(r, to=tuple(map(self._renamed, r.to)))
                if r.collection == self.collection
                else r
                for r in collection.references
            ),
        )

    def inverse(self, before: Collections) -> Operation:  # noqa: ARG002 - whatever was before
        return RenameField(self.collection, self.new, self.old)

    def describe(self) -> str:
        return f"rename_field {self.collection}.{self.old} to {self.new}"


@attrs.frozen
class AddField(Operation):
    """A new field, with one value for all records that are there."""

    name: ClassVar[str] = "add_field"

    collection: str
    field: Field
    default: Any = NO_DEFAULT
    position: int | None = None

    def apply(self, before: Collections) -> Collections:
        collection = require(before, self.collection)
        require_no_field(collection, self.field.name)
        require_of_kind(self.collection, self.field, self.value)
        fields = list(collection.fields)
        fields.insert(len(fields) if self.position is None else self.position, self.field)
        return {**before, self.collection: evolved(collection, fields=fields)}

    @property
    def value(self) -> Any:
        """What the records that are there get."""
        return None if self.default is NO_DEFAULT else self.default

    def inverse(self, before: Collections) -> Operation:  # noqa: ARG002 - whatever was before
        return RemoveField(self.collection, self.field.name, self.default)

    def describe(self) -> str:
        kind = self.field.value_kind.name + _off_kind_in_words(self.field.off_kind)
        return f"add_field {self.collection}.{self.field.name} ({kind}) = {shown(self.value)}"


@attrs.frozen
class RemoveField(Operation):
    """A field that is no more; `default` is what its inverse puts there."""

    name: ClassVar[str] = "remove_field"

    collection: str
    field: str
    default: Any = NO_DEFAULT

    def apply(self, before: Collections) -> Collections:
        collection = require(before, self.collection)
        field = require_field(collection, self.field)
        require_unused(before, collection, self.field)
        if self.default is not NO_DEFAULT:
            require_of_kind(self.collection, field, self.default)
        left = (found for found in collection.fields if found is not field)
        return {**before, self.collection: evolved(collection, fields=left)}

    def inverse(self, before: Collections) -> Operation | None:
        collection = require(before, self.collection)
        field = collection.field(self.field)
        if self.default is NO_DEFAULT and not field.nullable:
            return None
        position = collection.field_names.index(self.field)
        return AddField(self.collection, field, self.default, position)

    def describe(self) -> str:
        return f"remove_field {self.collection}.{self.field}"


@attrs.frozen
class ChangeKind(Operation):
    """A field of another kind.

    `using` makes the new value of the old one, `undo` the old of the new; a null is not handed to
    them. It stays null, or becomes `default`. Without `using` a value stays what it is: see
    `databackup.schema.adopting`. An `off_kind` of None is the one that the field has.
    """

    name: ClassVar[str] = "change_kind"

    collection: str
    field: str
    kind: Kind
    using: Value | None = None
    undo: Value | None = None
    default: Any = NO_DEFAULT
    off_kind: OffKind | None = None

    def apply(self, before: Collections) -> Collections:
        collection = require(before, self.collection)
        old = require_field(collection, self.field)
        new = attrs.evolve(old, kind=self.kind, off_kind=self.off_kind or old.off_kind)
        if self.default is not NO_DEFAULT:
            require_of_kind(self.collection, new, self.default)
        fields = (new if field is old else field for field in collection.fields)
        return {**before, self.collection: evolved(collection, fields=fields)}

    def inverse(self, before: Collections) -> Operation | None:
        if self.using is not None and self.undo is None:
            return None
        old = require(before, self.collection).field(self.field)
        if not old.nullable and isinstance(self.kind, Optional):
            return None  # what it made null cannot be told from what it found
        off_kind = None if self.off_kind is None else old.off_kind
        return ChangeKind(
            self.collection, self.field, old.kind, self.undo, self.using, off_kind=off_kind
        )

    def describe(self) -> str:
        using = f" using {named(self.using)}" if self.using else ""
        kind = self.kind.inner if isinstance(self.kind, Optional) else self.kind
        null = " or null" if isinstance(self.kind, Optional) else ""
        kept = _off_kind_in_words(self.off_kind)
        return f"change_kind {self.collection}.{self.field} to {kind.name}{null}{kept}{using}"


def _off_kind_in_words(off_kind: OffKind | None) -> str:
    return " or off kind" if off_kind == "keep" else ""


@attrs.frozen
class MapRecords(Operation):
    """A function makes each record of a collection anew: a dict of all of its fields of one.

    It has to leave the key as it is unless `changes_key` says otherwise.
    """

    name: ClassVar[str] = "map_records"

    collection: str
    function: Callable[[Record], Record]
    undo: Callable[[Record], Record] | None = None
    changes_key: bool = False

    def apply(self, before: Collections) -> Collections:
        require(before, self.collection)
        return before

    def inverse(self, before: Collections) -> Operation | None:  # noqa: ARG002 - the same
        if self.undo is None:
            return None
        return MapRecords(self.collection, self.undo, self.function, self.changes_key)

    def describe(self) -> str:
        return f"map_records {self.collection} using {named(self.function)}"


@attrs.frozen
class AddCollection(Operation):
    """A new collection, without records."""

    name: ClassVar[str] = "add_collection"

    collection: Collection

    def apply(self, before: Collections) -> Collections:
        require_free(before, self.collection.name)
        after = {**before, self.collection.name: self.collection}
        for reference in self.collection.references:
            require(after, reference.collection)
        added = evolved(self.collection, references=_explicit(after, self.collection))
        for reference in added.references:
            require_reference(after, added, reference)
        return {**before, added.name: added}

    def inverse(self, before: Collections) -> Operation:  # noqa: ARG002 - whatever was before
        return RemoveCollection(self.collection.name)

    def describe(self) -> str:
        return f"add_collection {self.collection.name}"


@attrs.frozen
class RemoveCollection(Operation):
    """A collection that is no more, with all of its records."""

    name: ClassVar[str] = "remove_collection"

    collection: str

    def apply(self, before: Collections) -> Collections:
        require(before, self.collection)
        for name, collection in before.items():
            if name != self.collection and any(
                r.collection == self.collection for r in collection.references
            ):
                raise CannotApply(f"{name} refers to {self.collection}: remove_reference first")
        return {name: c for name, c in before.items() if name != self.collection}

    def inverse(self, before: Collections) -> Operation:
        return AddCollection(before[self.collection])

    def describe(self) -> str:
        return f"remove_collection {self.collection}"


def described(collections: Iterable[Collection]) -> Collections:
    """Collections as operations are applied to them: without models, references' ends named."""
    given = {collection.name: collection for collection in collections}
    return {
        name: evolved(collection, references=_explicit(given, collection))
        for name, collection in given.items()
    }


def _explicit(collections: Collections, collection: Collection) -> list[Reference]:
    return [
        attrs.evolve(r, to=r.to or collections[r.collection].key) for r in collection.references
    ]
