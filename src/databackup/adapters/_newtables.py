"""The tables that an import makes, as any engine of SQL is asked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from databackup.repository import Extent, Needs
from databackup.schema import composite, kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from databackup.adapters._sql import Table
    from databackup.schema import Collection, Kind, Reference, Schema

    Place = tuple[str, str]

INT64 = (-(2**63), 2**63 - 1)


@attrs.frozen(kw_only=True)
class NewColumn:
    """A column to be made.

    `kind` is that of a value that is there. `parts` is how many columns the widest index has that
    this one is in, 0 where it is in none. `counted` says that the store shall give out numbers.
    """

    name: str
    kind: Kind
    nullable: bool
    extent: Extent = attrs.field(factory=Extent)
    parts: int = 0
    counted: bool = False

    @property
    def is_small(self) -> bool:
        """Whether 64 bits hold its integers."""
        return self.extent.fits(*INT64)


@attrs.frozen
class NewReference:
    """A foreign key to be made: columns, the other table, and its columns."""

    columns: tuple[str, ...]
    parent: str
    to: tuple[str, ...]


@attrs.frozen(kw_only=True)
class NewTable:
    """A table to be made. `remembers` says that no number is ever given out twice."""

    collection: str
    name: str
    columns: tuple[NewColumn, ...]
    key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    references: tuple[NewReference, ...]
    remembers: bool


def new_tables(
    schema: Schema, tables: Mapping[str, Table], there: Iterable[str], needs: Needs
) -> list[NewTable]:
    """The tables of a schema that are not there yet, each after those it refers to where it can be.

    `tables` are by collection, `there` are names of tables.
    """
    made = {c.name for c in schema.collections} - {
        name for name, table in tables.items() if table.name in set(there)
    }
    layout = _Layout(schema, tables, needs)
    return [layout.table(c) for c in schema.ordered if c.name in made]


class _Layout:
    """Keys, unique columns and references of a schema, and what fields are alike by them."""

    def __init__(self, schema: Schema, tables: Mapping[str, Table], needs: Needs) -> None:
        self._schema = schema
        self._tables = tables
        self._needs = needs
        self._alike = _Alike()
        self._unique: dict[str, set[tuple[str, ...]]] = {c.name: set() for c in schema.collections}
        self._parts: dict[Place, int] = {}
        for collection in schema.collections:
            self._index(collection.name, collection.key)
            for reference in collection.references:
                self._refer(collection, reference)

    def _refer(self, collection: Collection, reference: Reference) -> None:
        fields, to = self._pairs(reference)
        target = reference.collection
        if to != self._schema[target].key:
            self._unique[target].add(to)
        self._index(target, to)
        self._index(collection.name, fields)
        for own, other in zip(fields, to, strict=True):
            self._alike.join((collection.name, own), (target, other))

    def _pairs(self, reference: Reference) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """A reference's fields, and those they point at in the order of these in their index."""
        target = self._schema[reference.collection]
        to = reference.to or target.key
        pairs = dict(zip(to, reference.fields, strict=True))
        order = target.key if set(to) == set(target.key) else target.field_names
        found = tuple(name for name in order if name in pairs)
        return tuple(pairs[name] for name in found), found

    def _index(self, collection: str, fields: Sequence[str]) -> None:
        for name in fields:
            place = collection, name
            self._parts[place] = max(self._parts.get(place, 0), len(fields))

    def table(self, collection: Collection) -> NewTable:
        """The table of a collection."""
        table = self._tables[collection.name]
        pairs = [(r.collection, *self._pairs(r)) for r in collection.references]
        references = [
            NewReference(
                tuple(table.column(name) for name in fields),
                self._tables[target].name,
                tuple(self._tables[target].column(name) for name in to),
            )
            for target, fields, to in pairs
        ]
        return NewTable(
            collection=collection.name,
            name=table.name,
            columns=tuple(self._column(collection, name) for name in collection.field_names),
            key=tuple(table.column(name) for name in collection.key),
            unique=tuple(
                tuple(table.column(name) for name in names)
                for names in sorted(self._unique[collection.name])
            ),
            references=tuple(dict.fromkeys(references)),
            remembers=collection.name in self._needs.counted,
        )

    def _column(self, collection: Collection, name: str) -> NewColumn:
        field = collection.field(name)
        place = collection.name, name
        alike = self._alike.of(place)
        extent = _extent_of_values(field.value_kind)
        for other in alike:
            extent = extent.joined(self._needs.extent(*other))
        refers = any(name in reference.fields for reference in collection.references)
        return NewColumn(
            name=self._tables[collection.name].column(name),
            kind=self._kind(field.value_kind, alike),
            nullable=field.nullable,
            extent=extent,
            parts=max(self._parts.get(other, 0) for other in alike),
            counted=collection.key == (name,)
            and not refers
            and isinstance(field.value_kind, kinds.Int)
            and extent.fits(*INT64),
        )

    def _kind(self, kind: Kind, alike: Iterable[Place]) -> Kind:
        """A field's kind; a decimal's scale only where all that it is compared with have it."""
        if not isinstance(kind, kinds.Decimal):
            return kind
        others = [self._schema[collection].field(name).value_kind for collection, name in alike]
        return kind if all(other == kind for other in others) else kinds.Decimal()


def _extent_of_values(kind: Kind) -> Extent:
    """The extent of an enumeration of integers, which its values are known of."""
    if isinstance(kind, composite.Enum) and type(kind.values[0]) is int:
        return Extent(least=min(kind.values), largest=max(kind.values))
    return Extent()


class _Alike:
    """The fields that references make comparable, directly or by others."""

    def __init__(self) -> None:
        self._groups: dict[Place, set[Place]] = {}

    def join(self, one: Place, other: Place) -> None:
        joined = self.of(one) | self.of(other)
        self._groups |= dict.fromkeys(joined, joined)

    def of(self, place: Place) -> set[Place]:
        return self._groups.get(place, {place})
