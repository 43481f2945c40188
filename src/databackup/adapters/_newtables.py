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
    """Keys, unique columns and references of a schema, and what fields are alike by them.

    A description may have very many references: nothing here takes the square of them.
    """

    def __init__(self, schema: Schema, tables: Mapping[str, Table], needs: Needs) -> None:
        self._schema = schema
        self._tables = tables
        self._needs = needs
        self._alike = _Alike()
        self._shared: dict[int, _Shared] = {}
        self._unique: dict[str, set[tuple[str, ...]]] = {c.name: set() for c in schema.collections}
        self._referring: set[Place] = set()
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
            self._referring.add((collection.name, own))
            self._alike.join((collection.name, own), (target, other))

    def _pairs(self, reference: Reference) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """A reference's fields, and those they point at in the order of these in their index."""
        target = self._schema[reference.collection]
        pairs = dict(zip(reference.to or target.key, reference.fields, strict=True))
        is_key = pairs.keys() == set(target.key)
        to = target.key if is_key else sorted(pairs, key=lambda name: target.positions([name]))
        return tuple(pairs[name] for name in to), tuple(to)

    def _index(self, collection: str, fields: Sequence[str]) -> None:
        for name in fields:
            place = collection, name
            self._parts[place] = max(self._parts.get(place, 0), len(fields))

    def table(self, collection: Collection) -> NewTable:
        """The table of a collection."""
        table = self._tables[collection.name]
        pairs = [
            (reference.collection, *self._pairs(reference))
            for reference in collection.references
            if (collection.name, reference) not in self._needs.dangling
        ]
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
        shared = self._shared_by(self._alike.of((collection.name, name)))
        has_scale = isinstance(field.value_kind, kinds.Decimal) and not shared.of_one_kind
        return NewColumn(
            name=self._tables[collection.name].column(name),
            kind=kinds.Decimal() if has_scale else field.value_kind,
            nullable=field.nullable,
            extent=shared.extent,
            parts=shared.parts,
            counted=collection.key == (name,)
            and (collection.name, name) not in self._referring
            and isinstance(field.value_kind, kinds.Int)
            and shared.extent.fits(*INT64),
        )

    def _shared_by(self, alike: list[Place]) -> _Shared:
        """What fields have in common that are compared with each other."""
        found = self._shared.get(id(alike))
        if found is None:
            extent = Extent()
            for place in alike:
                extent = extent.joined(self._needs.extent(*place))
            of_fields = {self._schema[c].field(name).value_kind for c, name in alike}
            for kind in of_fields:
                extent = extent.joined(_extent_of_values(kind))
            parts = max(self._parts.get(place, 0) for place in alike)
            found = self._shared[id(alike)] = _Shared(extent, parts, len(of_fields) == 1)
        return found


@attrs.frozen
class _Shared:
    """The extent of fields that are alike, their widest index, and whether their kinds differ."""

    extent: Extent
    parts: int
    of_one_kind: bool


def _extent_of_values(kind: Kind) -> Extent:
    """The extent of an enumeration of integers, which its values are known of."""
    if isinstance(kind, composite.Enum) and type(kind.values[0]) is int:
        return Extent(least=min(kind.values), largest=max(kind.values))
    return Extent()


class _Alike:
    """The fields that references make comparable, directly or by others."""

    def __init__(self) -> None:
        self._groups: dict[Place, list[Place]] = {}

    def join(self, one: Place, other: Place) -> None:
        small, large = sorted((self.of(one), self.of(other)), key=len)
        if small is not large:
            large += small
            self._groups |= dict.fromkeys(small, large)

    def of(self, place: Place) -> list[Place]:
        return self._groups.setdefault(place, [place])
