"""The records that a store would hold after an import, without the import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databackup.operations import readback
from databackup.operations.keys import key_bytes, key_fields
from databackup.spill import KeyIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from databackup.operations.options import Mode
    from databackup.operations.readable import Readable
    from databackup.repository import Row, Snapshot
    from databackup.schema import Collection, Schema

    Numbered = tuple[Sequence[Row], Sequence[int] | None]


class Outcomes:
    """What each collection would hold; records of the archive have their numbers there."""

    def __init__(self, archive: Readable, schema: Schema, store: Snapshot, mode: Mode) -> None:
        self._archive = archive
        self._archived = archive.ends.keys()
        self._schema = schema
        self._store = store
        self._mode = mode

    def records(self, collection: Collection) -> Iterator[Numbered]:
        """The records of one collection, some at a time."""
        if collection.name not in self._archived:
            yield from self._stored(collection)
        elif self._mode == "replace":
            yield from self._in_archive(collection)
        elif self._mode == "merge":
            yield from _first_of_each_key(
                collection, self._in_archive(collection), self._stored(collection)
            )
        else:
            yield from _first_of_each_key(
                collection, self._stored(collection), self._in_archive(collection)
            )

    def _in_archive(self, collection: Collection) -> Iterator[Numbered]:
        for batch in readback.records_of(self._archive, collection):
            yield batch.rows, batch.numbers

    def _stored(self, collection: Collection) -> Iterator[Numbered]:
        for rows in self._store.rows(collection):
            yield rows, None


def _first_of_each_key(
    collection: Collection, first: Iterable[Numbered], second: Iterable[Numbered]
) -> Iterator[Numbered]:
    """Records of two sources, of which the first has its way where both have a key."""
    fields, key = key_fields(collection), collection.codec.key
    with KeyIndex() as index:
        for rows, numbers in first:
            index.add((key_bytes(fields, key(row)), b"") for row in rows)
            yield rows, numbers
        for rows, numbers in second:
            new = [n for n, row in enumerate(rows) if key_bytes(fields, key(row)) not in index]
            yield [rows[n] for n in new], None if numbers is None else [numbers[n] for n in new]
