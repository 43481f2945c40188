"""Making the tables that an archive describes, where the store has none.

The description says what kinds there are. How large numbers are, which decides between the types
of an engine, only the records say: they are read once more before the store is touched.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.archive.records import RecordCodec
from databackup.errors import SchemaError, SchemaMismatch, StoreError
from databackup.operations.fit import require_fit
from databackup.operations.keys import References
from databackup.operations.reports import reported
from databackup.operations.selection import pointer
from databackup.repository import CreatesTables, Extent, Needs
from databackup.schema import Schema, composite, kinds
from databackup.schema.compiled import Codec
from databackup.schema.narrowed import without
from databackup.schema.narrowing import leaving, within

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from databackup.archive.format import Header
    from databackup.operations.options import ImportOptions, WrongAppChoice
    from databackup.operations.readable import Readable
    from databackup.operations.reports import ProgressCallback
    from databackup.repository import Repository, Row, TableMaker
    from databackup.schema import Collection, Field, Kind, Reference


@attrs.frozen
class Creating:
    """A repository that makes tables, and what these have to hold.

    `nowhere` tells of references to collections that neither the store nor the archive has.
    """

    maker: TableMaker
    needs: Needs
    nowhere: tuple[str, ...] = ()

    def warnings(self) -> Iterator[str]:
        """What the tables that were made lack of what the archive describes."""
        schema, made = self.maker.schema, self.maker.made
        yield from _native_warnings(schema, made)
        for text in self.nowhere:
            yield f"{text}; the new table is made without a foreign key for it"
        for collection in schema.collections:
            for reference in collection.references if collection.name in made else ():
                if (collection.name, reference) in self.needs.dangling:
                    yield (
                        f"{collection} ({', '.join(reference.fields)}) points at records of "
                        f"{reference.collection} that the archive does not have; the new table is "
                        "made without a foreign key for it"
                    )


def creating(
    repository: Repository,
    archive: Readable,
    options: ImportOptions,
    progress: ProgressCallback | None,
) -> Creating:
    """A repository that makes the tables which an archive describes and the store lacks.

    Raises `StoreError` for a store without tables; `WrongApp`, `VersionMismatch` and
    `SchemaMismatch` where what is there does not fit.
    """
    store = creates_tables(repository)
    missing = set(store.missing())
    schema = joined_schema(repository.schema, archive.header, options.wrong_app)
    missing |= {c.name for c in schema.collections if c.name not in repository.schema}
    recorded = without(schema, archive.header.omitted)
    new = [c for c in recorded.collections if c.name in missing]
    _require_described(new, archive.header)
    nowhere = _leading_nowhere(new, schema, archive.header)
    if nowhere and options.dangling == "refuse":
        remedy = "dangling='keep' (--dangling keep) makes the tables without these references"
        raise SchemaMismatch("; ".join((*nowhere, remedy)), nowhere)
    keeps = options.dangling == "keep" and any(collection.references for collection in new)
    needs = Needs(
        extents=_extents(archive, new, progress),
        counted=frozenset(archive.header.counters),
        dangling=_dangling(archive, recorded, progress) if keeps else frozenset(),
    )
    return Creating(store.creating(schema, needs), needs, nowhere)


def creates_tables(repository: Repository) -> CreatesTables:
    """A repository that can make tables. Raises `StoreError` for any other."""
    if isinstance(repository, CreatesTables):
        return repository
    name = repository.capabilities.name
    raise StoreError(f"a store of the adapter {name!r} has no tables that could be made")


def joined_schema(own: Schema, header: Header, wrong_app: WrongAppChoice) -> Schema:
    """A store's schema with those collections of an archive that it lacks.

    An empty store has no version of its own. Raises `WrongApp`, `VersionMismatch`,
    `SchemaMismatch`.
    """
    if not own.collections and own.app is None:
        own = Schema(
            collections=[],
            version=header.schema_version,
            exclude={exclusion.name: exclusion.reason for exclusion in own.excluded},
        )
    require_fit(header, own, wrong_app, creating=True)
    known = {collection.name for collection in own.collections} | set(header.collections)
    more = [within(c, known) for c in header.whole if c.name not in own]
    try:
        return Schema(
            collections=[*own.collections, *more],
            app=own.app,
            version=own.version,
            exclude={exclusion.name: exclusion.reason for exclusion in own.excluded},
        )
    except SchemaError as error:
        raise SchemaMismatch(
            "archive and target differ: " + "; ".join(error.problems), error.problems
        ) from error


def _require_described(new: Iterable[Collection], header: Header) -> None:
    """See that an archive describes what is to be made: how large its values are nobody else knows.

    Raises `SchemaMismatch`.
    """
    described = frozenset(header.collections)
    wrong = tuple(
        f"the target lacks the table of the collection {c.name!r}, and so does the archive"
        for c in new
        if c.name not in described
    )
    if wrong:
        raise SchemaMismatch("tables cannot be made: " + "; ".join(wrong), wrong)


def _leading_nowhere(new: Iterable[Collection], schema: Schema, header: Header) -> tuple[str, ...]:
    """The references of what is to be made that lead to collections that nobody has."""
    known = {collection.name for collection in schema.collections}
    names = {collection.name for collection in new}
    return tuple(
        f"{pointer(*link)} points at {link[1].collection}, which neither the archive nor the "
        "target has"
        for link in leaving(header.whole, known)
        if link[0].name in names
    )


def _native_warnings(schema: Schema, made: Container[str]) -> Iterator[str]:
    """What new tables keep as text because its type is of one engine only."""
    for collection in schema.collections:
        if collection.name not in made:
            continue
        for field in collection.fields:
            for name in dict.fromkeys(_native_types(field.kind)):
                yield (
                    f"{collection}.{field.name} is of the type {name}, which only its own engine "
                    "has; the new table keeps it as text"
                )


def _native_types(kind: Kind) -> Iterator[str]:
    if isinstance(kind, composite.Native):
        yield kind.type_name
    elif isinstance(kind, composite.Optional):
        yield from _native_types(kind.inner)
    elif isinstance(kind, composite.List):
        yield from _native_types(kind.items)


def _dangling(
    archive: Readable, schema: Schema, progress: ProgressCallback | None
) -> frozenset[tuple[str, Reference]]:
    """The references of which a value points at no record of the archive."""
    with References(schema) as references:
        for name, read in archive.collections():
            codec = RecordCodec(schema[name], Codec(schema[name], validated=False))
            batches = read(codec, digests=False)
            for batch in reported(batches, "measuring", name, archive.ends[name], progress):
                references.add(schema[name], codec.codec, batch)
        return references.that_dangle()


# -- extents ---------------------------------------------------------------------------------------


def _extents(
    archive: Readable, wanted: Iterable[Collection], progress: ProgressCallback | None
) -> dict[str, dict[str, Extent]]:
    """The extents of the fields for which a type is chosen by them."""
    found = {c.name: seen for c in wanted if (seen := _measured(c))}
    if not found:
        return {}
    for name, read in archive.collections():
        fields = found.get(name)
        if fields is None:
            continue
        collection = fields[0].collection
        codec = RecordCodec(collection, Codec(collection, validated=False))
        batches = read(codec, digests=False)
        for batch in reported(batches, "measuring", name, archive.ends[name], progress):
            for field in fields:
                field.add(batch.rows)
    return {name: {f.name: f.extent for f in fields} for name, fields in found.items()}


def _measured(collection: Collection) -> list[_Measured]:
    return [
        _Measured(collection, field)
        for field in collection.fields
        if isinstance(_item_kind(field.value_kind), _WITH_EXTENTS) or field.off_kind == "keep"
    ]


def _item_kind(kind: Kind) -> Kind:
    """The kind of a list's items, or of what may be absent."""
    while isinstance(kind, composite.List | composite.Optional):
        kind = kind.items if isinstance(kind, composite.List) else kind.inner
    return kind


@attrs.define
class _Measured:
    """One field of a collection, and the extent of its values so far."""

    collection: Collection
    field: Field
    extent: Extent = attrs.field(factory=Extent)

    @property
    def name(self) -> str:
        """The field's name."""
        return self.field.name

    def add(self, rows: list[Row]) -> None:
        """Take the values of some rows in."""
        (place,) = self.collection.positions([self.field.name])
        values = [row[place] for row in rows]
        kind = _item_kind(self.field.value_kind)
        if isinstance(self.field.value_kind, composite.List):
            values = list(_items(values))
        if isinstance(kind, _WITH_EXTENTS):
            type_, extent_of = _EXTENTS[type(kind)]
            of_kind = [value for value in values if type(value) is type_]
            if of_kind:
                self.extent = self.extent.joined(extent_of(of_kind))
        if self.field.off_kind == "keep":
            self._note_off_kind(values)

    def _note_off_kind(self, values: list[Any]) -> None:
        usual = _PLAIN.get(type(self.field.value_kind))
        others = set(map(type, values)) - {usual, type(None)}
        if usual is not None and others:
            self.extent = self.extent.joined(Extent(off_kind=frozenset(others)))


def _items(values: Iterable[Any]) -> Iterator[Any]:
    """What stands in lists, and in lists in them."""
    for value in values:
        if type(value) is list:
            yield from _items(value)
        else:
            yield value


def _bounds(values: list[Any]) -> Extent:
    return Extent(least=min(values), largest=max(values))


def _digits(values: list[decimal.Decimal]) -> Extent:
    finite = [value for value in values if value.is_finite()]
    scales = [-int(value.as_tuple().exponent) for value in finite]
    return Extent(
        digits=max((value.adjusted() + 1 for value in finite if value), default=0),
        scales=(min(scales), max(scales)) if scales else None,
        regular=len(finite) == len(values),
    )


def _variants(values: list[uuid.UUID]) -> Extent:
    ends = (0, 2**128 - 1)
    return Extent(regular=all(v.variant == uuid.RFC_4122 or v.int in ends for v in values))


_WITH_EXTENTS: Final = kinds.Int | kinds.Decimal | kinds.Timedelta | kinds.DateTimeTz | kinds.UUID
_EXTENTS: Final[dict[type[Kind], tuple[type[Any], Callable[[list[Any]], Extent]]]] = {
    kinds.Int: (int, _bounds),
    kinds.Decimal: (decimal.Decimal, _digits),
    kinds.Timedelta: (datetime.timedelta, _bounds),
    kinds.DateTimeTz: (datetime.datetime, _bounds),
    kinds.UUID: (uuid.UUID, _variants),
}
# The values of these kinds are of one type, so that others are off their kind.
_PLAIN: Final[dict[type[Kind], type[Any]]] = {
    kinds.Int: int,
    kinds.Float: float,
    kinds.Str: str,
}
