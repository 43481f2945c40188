"""What a store must hold, kept in plain dicts; it shares no code with any adapter."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from databackup.testing.exact import exact_row

if TYPE_CHECKING:
    from databackup.repository import Key, Row
    from databackup.schema import Collection, Reference, Schema


class Oracle:
    """Rows by key for each collection; where there is no key, by a running number."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._rows: dict[str, dict[Any, Row]] = {c.name: {} for c in schema.collections}
        self._next = 0

    def copy(self) -> Oracle:
        """An oracle of the same rows that changes apart from this one."""
        return copy.deepcopy(self, {id(self._schema): self._schema})

    def keys(self, collection: Collection) -> list[Key]:
        """The keys of a collection's records."""
        return list(self._rows[collection.name])

    def rows(self, collection: Collection) -> list[Row]:
        """A collection's records."""
        return list(self._rows[collection.name].values())

    def shown(self) -> dict[str, list[tuple[str, ...]]]:
        """All records in a form that compares exactly."""
        return {
            c.name: sorted(exact_row(c, row) for row in self.rows(c))
            for c in self._schema.collections
        }

    def key(self, collection: Collection, row: Row) -> Any:
        """What a row is kept under."""
        if not collection.key:
            self._next += 1
            return self._next
        return self.picked(collection, collection.key, row)

    def put(self, collection: Collection, rows: list[Row]) -> None:
        """Add records, or give those that are there new values."""
        for row in rows:
            self._rows[collection.name][self.key(collection, row)] = row

    def delete(self, collection: Collection, keys: list[Key]) -> None:
        """Remove records."""
        for key in keys:
            del self._rows[collection.name][key]

    def clear(self, collection: Collection) -> None:
        """Remove all records of a collection."""
        self._rows[collection.name] = {}

    def dangling(self, collection: Collection, reference: Reference) -> set[Key]:
        """The values of a reference that point at no record."""
        target = self._schema[reference.collection]
        to = reference.to or target.key
        known = [self.picked(target, to, row) for row in self.rows(target)]
        pointing = (self.picked(collection, reference.fields, r) for r in self.rows(collection))
        return {value for value in pointing if None not in value and value not in known}

    def keys_that_dangle(self, collection: Collection) -> list[Key]:
        """The keys of records with a reference that points at no record."""
        lost = [(r, self.dangling(collection, r)) for r in collection.references]
        return [
            key
            for key, row in self._rows[collection.name].items()
            if any(self.picked(collection, r.fields, row) in values for r, values in lost)
        ]

    @staticmethod
    def picked(collection: Collection, names: tuple[str, ...], row: Row) -> Key:
        """The values of some fields of a row."""
        values = dict(zip(collection.field_names, row, strict=True))
        return tuple(values[name] for name in names)
