"""Exports that leave secret fields out: records without them, and a header that says so."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Literal

import attrs

from databackup.schema.columns import Forms
from databackup.schema.document import describe, description_digest
from databackup.schema.narrowed import Omitted, secret_fields, without, without_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from databackup.archive.format import Header
    from databackup.repository import Row
    from databackup.schema import Collection, Schema

Secrets = Literal["included", "omitted"]


@attrs.frozen(slots=False)
class Omission:
    """What an archive of a schema leaves out: `omitted`, none where there are no secrets."""

    schema: Schema
    omitted: Omitted

    @classmethod
    def of(cls, schema: Schema, secrets: Secrets) -> Omission:
        """What an export leaves out."""
        return cls(schema, secret_fields(schema) if secrets == "omitted" else {})

    def among(self, names: Container[str]) -> Omission:
        """What an archive leaves out that has collections of these names alone."""
        found = {name: fields for name, fields in self.omitted.items() if name in names}
        return attrs.evolve(self, omitted=found)

    @property
    def recorded(self) -> Schema:
        """The schema of what records have."""
        return without(self.schema, self.omitted)

    @property
    def listed(self) -> dict[str, tuple[str, ...]]:
        """The fields that are left out, by collection, in the order of the schema."""
        return {
            c.name: tuple(name for name in c.field_names if name in self.omitted[c.name])
            for c in self.schema.collections
            if c.name in self.omitted
        }

    def of_records(
        self, collection: Collection, batches: Iterable[Forms | list[Row]]
    ) -> tuple[Collection, Iterator[Forms | list[Row]]]:
        """A collection and its records as the archive has them."""
        names = self.omitted.get(collection.name)
        if names is None:
            return collection, iter(batches)
        return without_fields(collection, names), map(leaving_out(collection, names), batches)

    def header(self, header: Header) -> Header:
        """A header that describes the schema whole, and says what its records lack.

        Its collections are those of the given one, in the order that it says.
        """
        if not self.omitted:
            return attrs.evolve(header, secrets="included")
        whole, given = describe(self.schema)["collections"], header.schema["collections"]
        described = {"collections": {name: whole[name] for name in given}}
        for name, collection in described["collections"].items():
            lacking = self.omitted.get(name, frozenset())
            for field, kind in collection["fields"].items():
                kind.pop("secret", None)
                if field in lacking:
                    kind["secret"] = True
            collection["order"] = given[name]["order"]
        digest = description_digest(described)
        return attrs.evolve(header, schema=described, schema_digest=digest, secrets="omitted")

    def warnings(self) -> Iterator[str]:
        """What an import of such an archive cannot do."""
        for name, fields in self.listed.items():
            if not self.schema[name].key:
                yield (
                    f"{name} has no key by which an import could tell whose secrets it keeps "
                    f"({', '.join(fields)}): where a store has records of it, the import is refused"
                )


def leaving_out(
    collection: Collection, names: AbstractSet[str]
) -> Callable[[Forms | list[Row]], Forms | list[Row]]:
    """A function that takes fields out of batches of records."""
    kept = [place for place, name in enumerate(collection.field_names) if name not in names]
    rows_of = rows_leaving_out(collection, names)

    def left(batch: Forms | list[Row]) -> Forms | list[Row]:
        if not isinstance(batch, Forms):
            return rows_of(batch)
        return Forms([batch.columns[place] for place in kept], lambda: rows_of(batch.rows))

    return left


def rows_leaving_out(
    collection: Collection, names: AbstractSet[str]
) -> Callable[[list[Row]], list[Row]]:
    """As `leaving_out`, for batches of rows."""
    kept = [place for place, name in enumerate(collection.field_names) if name not in names]
    if len(kept) == 1:
        return lambda rows: [(row[kept[0]],) for row in rows]
    pick = operator.itemgetter(*kept)
    return lambda rows: list(map(pick, rows))
