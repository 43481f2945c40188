"""One collection of an import: checked record by record, compared with the store, written."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import attrs

from databackup.errors import InvalidRecords, Problem
from databackup.operations import readback
from databackup.operations.apply import Writer
from databackup.operations.compare import Comparison
from databackup.operations.fit import in_key_order
from databackup.operations.keys import UniqueKeys, key_fields
from databackup.operations.reports import Changes
from databackup.repository import BATCH_SIZE, Row
from databackup.schema import StructuringError
from databackup.schema.compiled import json_pointer
from databackup.spill import RowQueue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from databackup.archive.reader import Archive
    from databackup.archive.records import Batch
    from databackup.operations.locate import ProblemList, Unlocated
    from databackup.repository import Transaction
    from databackup.schema import Collection, Schema


class CollectionImport:
    """Makes one collection of a store equal to the archive's, by the smallest set of changes.

    An empty collection takes the bulk path. Without a key, records have no identity: the collection
    is left alone where it is equal, and replaced as a whole where not.
    """

    def __init__(
        self,
        archive: Archive,
        collection: Collection,
        transaction: Transaction,
        problems: ProblemList,
        schema: Schema,
        *,
        store_in_order: bool,
    ) -> None:
        self._collection = collection
        self._transaction = transaction
        self._problems = problems
        self._archive = archive
        self._in_order = in_key_order(archive.header, collection)
        self._store_in_order = store_in_order
        self._outside_columns = _may_have_outside_columns(collection, schema)
        self._writer = Writer(transaction, collection, outside_columns=self._outside_columns)

    def run(self, batches: Iterable[Batch]) -> Changes:
        """Read all batches; write what differs unless there are problems."""
        checked = self._checked(batches)
        if self._problems:
            # Nothing is written any more, but all that is wrong is to be told at once.
            return Changes(unchanged=sum(len(batch.rows) for batch in checked))
        stored = self._transaction.count(self._collection)
        if stored == 0:
            return self._insert_all(checked)
        if self._has_identity():
            return self._change_what_differs(checked)
        if self._store_equals_archive(stored):
            return Changes(unchanged=sum(len(batch.rows) for batch in checked))
        if self._outside_columns:
            self._problems.add([self._cannot_replace()])
        else:
            self._transaction.clear(self._collection)
        return attrs.evolve(self._insert_all(checked), deleted=stored)

    def _cannot_replace(self) -> Problem:
        return Problem(
            code="store-refuses",
            message=(
                "records without a key can only be replaced as a whole, and the columns that the "
                "schema leaves out would be lost"
            ),
            collection=self._collection.name,
            expected="a key, or no column that is left out",
        )

    def _has_identity(self) -> bool:
        """Whether every record has a key: an archive without one may hold nulls in ours."""
        described = self._archive.header.schema["collections"][self._collection.name]
        fields = key_fields(self._collection)
        return bool(fields) and (bool(described["key"]) or not any(f.nullable for f in fields))

    def _checked(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, with what is wrong in them noted: values, keys, what the model refuses."""
        collection = self._collection
        with UniqueKeys(collection, collection.codec, in_order=self._in_order) as keys:
            for batch in batches:
                self._problems.add([*batch.problems, *self._structured(batch), *keys.check(batch)])
                yield batch

    def _structured(self, batch: Batch) -> Iterator[Problem]:
        structurer = self._collection.structurer
        if not structurer.may_object:
            return
        for number, row in zip(batch.numbers, batch.rows, strict=True):
            try:
                field = structurer.changed_field(row)
            except StructuringError as error:
                yield self._objection(number, row, error.field, error.message)
            else:
                if field is not None:
                    yield self._objection(number, row, field, "the model changes the value")

    def _objection(self, number: int, row: Row, field: str | None, message: str) -> Problem:
        name = self._collection.name
        place: list[str | int] = [number - 1] if field is None else [number - 1, field]
        model = self._collection.model
        return Problem(
            code="model-refuses",
            message=message,
            collection=name,
            record=number,
            key=self._collection.codec.key(row) or None,
            field=field,
            pointer=json_pointer(["data", name, *place]),
            expected=f"what {model.__name__ if model else 'the model'} takes unchanged",
        )

    def _insert_all(self, batches: Iterable[Batch]) -> Changes:
        added = 0
        for batch in batches:
            if not self._problems and batch.rows:
                self._note_refused(self._writer.insert(batch.rows))
            added += len(batch.rows)
        return Changes(added=added)

    def _change_what_differs(self, batches: Iterable[Batch]) -> Changes:
        comparison = Comparison(self._collection, in_place=self._outside_columns)
        new = (comparison.sides(batch.rows, batch.canonical) for batch in batches)
        old = map(comparison.stored, self._transaction.rows(self._collection))
        compare = (
            comparison.by_merging
            if self._in_order and self._store_in_order
            else comparison.by_index
        )
        with RowQueue() as added, RowQueue() as changed, RowQueue() as deleted:
            differences = compare(new, old)
            while chunk := list(itertools.islice(differences, BATCH_SIZE)):
                key = self._collection.codec.key
                deleted.put([key(d.old) for d in chunk if d.new is None and d.old is not None])
                changed.put([d.new for d in chunk if d.new is not None and d.old is not None])
                added.put([d.new for d in chunk if d.new is not None and d.old is None])
            if not self._problems:
                self._note_refused(
                    self._writer.apply(deleted.batches(), changed.batches(), added.batches())
                )
            return Changes(
                added=added.count,
                changed=changed.count,
                deleted=deleted.count,
                unchanged=comparison.unchanged,
            )

    def _store_equals_archive(self, stored: int) -> bool:
        end = self._archive.ends[self._collection.name]
        if stored != end.count:
            return False
        try:
            found = readback.digest_of(self._transaction, self._collection)
        except InvalidRecords:
            return False
        return found == end and readback.written_alike(
            self._archive, self._collection, self._transaction
        )

    def _note_refused(self, refused: list[Unlocated]) -> None:
        for found in refused:
            self._problems.add_unlocated(found)


def _may_have_outside_columns(collection: Collection, schema: Schema) -> bool:
    """Whether the store's records may hold more than the schema says.

    A column is excluded by the name of its collection or by that of its table, which only the store
    knows: what is not of another collection may be of this one.
    """
    owners = {exclusion.name.rpartition(".")[0] for exclusion in schema.excluded} - {""}
    return any(owner == collection.name or owner not in schema for owner in owners)
