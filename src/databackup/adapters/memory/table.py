"""The records of one collection while a snapshot or a transaction lasts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from databackup.adapters.memory.contents import (
    Contents,
    Entry,
    copier,
    dict_key,
    key_refusal,
    mark,
    shown,
)
from databackup.errors import RecordsRefused
from databackup.repository import Key, Row
from databackup.schema import StructuringError

if TYPE_CHECKING:
    from databackup.schema import Collection


class Table:
    """The records of one collection by key; where there is none, by their place."""

    def __init__(self, collection: Collection, entries: dict[Any, Entry]) -> None:
        self.collection = collection
        self.entries = entries
        self._original = entries
        self._places = itertools.count(len(entries))

    @property
    def is_changed(self) -> bool:
        """Whether anything was written."""
        return self.entries is not self._original

    def sorted_rows(self) -> list[Row]:
        """The rows in key order; without a key in the order of the contents."""
        rows = [entry.row for entry in self.entries.values()]
        if not self.collection.key:
            return rows
        keys = self.collection.codec.sort_keys(rows)
        return [rows[i] for i in sorted(range(len(rows)), key=keys.__getitem__)]

    def values_of(self, names: tuple[str, ...]) -> dict[tuple[Any, ...], None]:
        """The values of fields, each once, in the order of the records."""
        positions = [self.collection.field_names.index(name) for name in names]
        rows = (entry.row for entry in self.entries.values())
        return {tuple(row[position] for position in positions): None for row in rows}

    def made(
        self, rows: Iterable[Row], *, in_place_of: Mapping[Any, Entry] | None = None
    ) -> dict[Any, Entry]:
        """Entries for rows by key; what the schema leaves out is kept from the entries before.

        Raises `RecordsRefused` where the model does not take a row.
        """
        made = {}
        structurer = self.collection.structurer
        for row, place in zip(map(copier(self.collection), rows), self._places, strict=False):
            key = self.collection.codec.key(row)
            refusal = key_refusal(self.collection, key)
            if refusal is not None:
                raise RecordsRefused(f"{self.collection}, key {shown(key)}: {refusal[1]}")
            try:
                instance = structurer.instance(row)
                if in_place_of is not None:
                    instance = structurer.with_excluded_of(in_place_of[key].instance, instance)
            except StructuringError as error:
                where = f"{self.collection}, key {shown(key)}" if key else str(self.collection)
                field = f", field {error.field}" if error.field else ""
                raise RecordsRefused(f"{where}{field}: {error}") from error
            made[key or place] = Entry(place, row, instance)
        return made

    def present(self, keys: Iterable[Key]) -> dict[Any, Entry]:
        """The entries of keys. Raises `RecordsRefused` for a key without a record."""
        found = {}
        for key in keys:
            if key not in self.entries:
                raise RecordsRefused(f"{self.collection}: no record has the key {shown(key)}")
            found[key] = self.entries[key]
        return found

    def put(self, entries: dict[Any, Entry]) -> None:
        """Add entries, or put them in place of those with the same keys."""
        self._writable().update(entries)

    def drop(self, keys: Iterable[Any]) -> None:
        """Remove the entries of keys."""
        entries = self._writable()
        for key in keys:
            del entries[key]

    def _writable(self) -> dict[Any, Entry]:
        if not self.is_changed:
            self.entries = dict(self._original)
        return self.entries

    def filled(self, contents: Mapping[str, Contents]) -> Contents:
        """What the contents are to be."""
        kept = self._kept()
        if isinstance(contents[self.collection.name], MutableMapping):
            return {
                dict_key(self.collection, entry.row, entry.instance): entry.instance
                for entry in kept
            }
        return [entry.instance for entry in kept]

    def _kept(self) -> list[Entry]:
        """The entries, each record that did not change as the instance it was, in its place."""
        gone: dict[Any, list[Entry]] = {}
        if not self.collection.key:
            for place, entry in reversed(self._original.items()):
                if place not in self.entries:
                    gone.setdefault(mark(entry.row), []).append(entry)
        kept = []
        for key, entry in self.entries.items():
            old = self._original.get(key)
            if old is None and gone:
                same = gone.get(mark(entry.row))
                old = same.pop() if same else None
            kept.append(entry if old is None else _unless_changed(old, entry))
        return sorted(kept, key=lambda entry: entry.place)


def _unless_changed(old: Entry, new: Entry) -> Entry:
    if old is new or mark(old.row) == mark(new.row):
        return old
    return Entry(old.place, new.row, new.instance)
