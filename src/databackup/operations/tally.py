"""Count and digest of what a collection holds, and of what it must hold after a merge or an add.

The digest is a sum, so what is written need not be read to know it:
D_after = D_before − D(overwritten) + D(written).
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

from databackup.archive.digest import Digest
from databackup.archive.format import CollectionEnd
from databackup.archive.records import RecordCodec
from databackup.errors import InvalidRecords
from databackup.schema.columns import Forms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from databackup.operations.compare import Sides
    from databackup.operations.readable import Total
    from databackup.repository import Row
    from databackup.schema import Collection


class Tally:
    """Counts a store's records, those included that its schema does not allow."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._codec = RecordCodec(collection)
        self._digest = Digest(collection.name)

    @property
    def count(self) -> int:
        """How many records there are so far."""
        return self._digest.count

    @property
    def end(self) -> CollectionEnd:
        """Count and digest so far."""
        return CollectionEnd(self._digest.count, self._digest.hex)

    def add(self, rows: Forms | list[Row]) -> None:
        """Count records in."""
        self._add_to(self._digest, rows)

    def add_passing(self, batches: Iterable[Sides]) -> Iterator[Sides]:
        """As `add`, for records on their way to a comparison, whose forms are known."""
        for sides in batches:
            self._digest.add([side.canonical or _loose_form(side.row) for side in sides])
            yield sides

    def remove(self, rows: list[Row]) -> None:
        """Count out records that were counted in."""
        gone = Digest(self._collection.name)
        self._add_to(gone, rows)
        self._digest.subtract(gone)

    def end_before(self, after: Total, gone: Tally) -> CollectionEnd:
        """What a collection held that now holds `after`, if these were written and others gone."""
        digest = Digest.of(self._collection.name, after.count, after.digest)
        digest.subtract(self._digest)
        digest.join(gone._digest)
        return CollectionEnd(digest.count, digest.hex)

    def _add_to(self, digest: Digest, rows: Forms | list[Row]) -> None:
        for part in self._codec.parts_held(rows):
            digest.add(self._forms(part))

    def _forms(self, rows: Forms | list[Row]) -> list[bytes]:
        try:
            return self._codec.canonical(rows)
        except InvalidRecords:
            if isinstance(rows, Forms):
                raise
            if len(rows) == 1:
                return [_loose_form(rows[0])]
            return [form for row in rows for form in self._forms([row])]


def _loose_form(row: Row) -> bytes:
    """What stands for a record that has no canonical form; no canonical form begins like it."""
    try:
        return repr(row).encode()
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return pickle.dumps(row)
