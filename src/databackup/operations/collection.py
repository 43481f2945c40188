"""One collection of an import: checked record by record, compared with the store, written."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import attrs

from databackup.errors import Problem, RecordsRefused
from databackup.operations import readback
from databackup.operations.apply import Writer
from databackup.operations.compare import Comparison
from databackup.operations.fit import has_identity, in_key_order
from databackup.operations.keys import UniqueKeys
from databackup.operations.reports import Changes, Told, reported
from databackup.operations.tally import Tally
from databackup.repository import BATCH_SIZE, BulkTransaction, Row, forms_of
from databackup.schema import StructuringError
from databackup.schema.compiled import json_pointer
from databackup.schema.secrets import WITHHELD, may_be_shown
from databackup.spill import RowQueue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from databackup.archive.records import Batch
    from databackup.operations.compare import Difference, Sides
    from databackup.operations.locate import ProblemList, Unlocated
    from databackup.operations.options import Mode
    from databackup.operations.readable import Readable, Total
    from databackup.operations.reports import ProgressCallback
    from databackup.repository import Transaction
    from databackup.schema import Collection, Schema

_OF_TODAY = frozenset({"secret-omitted"})  # problems of batches, found after a migration


@attrs.frozen
class Outcome:
    """What was written to a collection, and the count and digest that it must have from then on."""

    changes: Changes
    end: Total


class Watch:
    """What is told of everything that an import does to a collection. This one takes no notice."""

    def differ(self, found: Sequence[Difference]) -> None:
        """Records are added, changed or deleted."""

    def insert(self, batch: Batch) -> None:
        """Records are put into a collection that is empty, by now."""

    def clear(self, stored: Iterator[list[Row]]) -> None:
        """All records of the store, which are given, are deleted."""


class CollectionImport:
    """Brings one collection of an archive into a store, by the smallest set of changes.

    "replace" makes the store's collection equal to the archive's; "merge" and "add" leave what the
    archive lacks, and "add" all that is there. An empty collection takes the bulk path. Without a
    key, records have no identity: the collection is left alone where it is equal, and replaced as a
    whole where not.
    """

    def __init__(
        self,
        archive: Readable,
        collection: Collection,
        transaction: Transaction,
        problems: ProblemList,
        schema: Schema,
        *,
        mode: Mode,
        store_in_order: bool,
        watch: Watch,
        progress: ProgressCallback | None = None,
    ) -> None:
        self._collection = collection
        self._progress = progress
        self._transaction = transaction
        self._problems = problems
        self._archive = archive
        self._mode = mode
        self._watch = watch
        self._in_order = in_key_order(archive.header, collection)
        self._store_in_order = store_in_order
        self._outside_columns = _may_have_outside_columns(collection, schema)
        self._writer = Writer(transaction, collection, outside_columns=self._outside_columns)

    def run(self, batches: Iterable[Batch]) -> Outcome:
        """Read all batches; write what differs unless there are problems."""
        if self._problems:
            # Nothing is written any more, but all that is wrong is to be told at once.
            return self._as_archived(self._unchanged(batches))
        stored = self._transaction.count(self._collection)
        if stored == 0:
            return self._as_archived(self._insert_all(batches))
        if self._mode != "replace":
            return self._merge_or_add(self._checked(batches, "validating"))
        if has_identity(self._archive.header, self._collection):
            return self._as_archived(self._replace(self._checked(batches, "validating")))
        return self._as_archived(self._replace_as_a_whole(batches, stored))

    def _unchanged(self, batches: Iterable[Batch]) -> Changes:
        return Changes(unchanged=_drained(self._checked(batches, "validating")))

    def _as_archived(self, changes: Changes) -> Outcome:
        return Outcome(changes, self._archive.ends[self._collection.name])

    def _replace_as_a_whole(self, batches: Iterable[Batch], stored: int) -> Changes:
        if self._store_equals_archive(stored):
            return self._unchanged(batches)
        if self._outside_columns:
            self._problems.add([self._cannot_replace()])
        else:
            self._watch.clear(self._transaction.rows(self._collection))
            self._transaction.clear(self._collection)
        return attrs.evolve(self._insert_all(batches), deleted=stored)

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

    def _checked(self, batches: Iterable[Batch], stage: str) -> Iterator[Batch]:
        """The batches, with what is wrong in them noted: values, keys, what the model refuses."""
        collection = self._collection
        end = self._archive.ends[collection.name]
        batches = reported(batches, stage, collection.name, end, self._progress)
        with UniqueKeys(collection, collection.codec, in_order=self._in_order) as keys:
            for batch in batches:
                self._problems.add([p for p in batch.problems if p.code not in _OF_TODAY])
                self._problems.add_of_today([p for p in batch.problems if p.code in _OF_TODAY])
                self._problems.add_of_today([*self._structured(batch), *keys.check(batch)])
                if self._problems.are_enough:
                    return
                yield batch

    def _structured(self, batch: Batch) -> Iterator[Problem]:
        structurer = self._collection.structurer
        if not structurer.may_object:
            return
        for number, row in zip(batch.numbers, batch.rows, strict=True):
            try:
                field = structurer.changed_field(row)
            except StructuringError as error:
                told = may_be_shown(self._collection, error.field)
                message = error.message if told else f"the model objects; {WITHHELD}"
                yield self._objection(number, row, error.field, message)
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
        """Insert what is read, in the same pass that validates it."""
        batches = self._watched(self._checked(batches, "writing"))
        if isinstance(self._transaction, BulkTransaction):
            return self._insert_in_bulk(self._transaction, batches)
        return Changes(added=self._insert(batches))

    def _watched(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            self._watch.insert(batch)
            yield batch

    def _insert(self, batches: Iterable[Batch]) -> int:
        added = 0
        for batch in batches:
            if not self._problems and len(batch):
                self._note_refused(self._writer.insert(batch.rows))
            added += len(batch)
        return added

    def _insert_in_bulk(self, transaction: BulkTransaction, batches: Iterator[Batch]) -> Changes:
        """Insert all at once; where the store refuses that, batch by batch, to name the record."""
        added = 0
        count = self._archive.ends[self._collection.name].count
        try:
            with (
                self._transaction.savepoint(),
                transaction.bulk(self._collection, count) as insert,
            ):
                for batch in batches:
                    added += len(batch)
                    if not self._problems and len(batch):
                        insert(batch.rows if batch.forms is None else batch.forms)
        except RecordsRefused:
            added += _drained(batches)
            if not self._problems:
                again = readback.records_of(self._archive, self._collection)
                end = self._archive.ends[self._collection.name]
                name = self._collection.name
                self._insert(reported(again, "writing", name, end, self._progress))
        return Changes(added=added)

    def _replace(self, batches: Iterable[Batch]) -> Changes:
        comparison = Comparison(self._collection, in_place=self._outside_columns)
        stored = comparison.all_stored(forms_of(self._transaction, self._collection))
        key = self._collection.codec.key
        with RowQueue() as deleted, RowQueue() as changed, RowQueue() as added:
            for chunk in self._differences(comparison, batches, stored):
                self._watch.differ(chunk)
                deleted.put([key(d.old) for d in chunk if d.new is None and d.old is not None])
                changed.put([d.new for d in chunk if d.new is not None and d.old is not None])
                added.put([d.new for d in chunk if d.new is not None and d.old is None])
            self._write(deleted, changed, added)
            return Changes(
                added=added.count,
                changed=changed.count,
                deleted=deleted.count,
                unchanged=comparison.unchanged,
            )

    def _merge_or_add(self, batches: Iterable[Batch]) -> Outcome:
        """Write what is new, and, in a merge, what differs.

        The tally follows what is written, and so ends with what the store must hold.
        """
        comparison = Comparison(self._collection, in_place=True)
        tally = Tally(self._collection)
        stored = comparison.all_stored(forms_of(self._transaction, self._collection))
        key = self._collection.codec.key
        added = changed = kept = 0
        with RowQueue() as deletes, RowQueue() as updates, RowQueue() as inserts:
            for chunk in self._differences(comparison, batches, tally.add_passing(stored)):
                theirs = [d for d in chunk if d.new is not None]
                if self._mode == "add":
                    kept += sum(d.old is not None for d in theirs)
                    theirs = [d for d in theirs if d.old is None]
                self._watch.differ(theirs)
                new = [d.new for d in theirs if d.new is not None and d.old is None]
                pairs = [(d.new, d.old) for d in theirs if d.new is not None and d.old is not None]
                updated, moved = self._split(comparison, pairs)
                deletes.put([key(old) for _, old in moved])
                updates.put([row for row, _ in updated])
                inserts.put([*(row for row, _ in moved), *new])
                tally.remove([old for _, old in pairs])
                tally.add([*(row for row, _ in pairs), *new])
                added += len(new)
                changed += len(pairs)
            self._write(deletes, updates, inserts)
        met = comparison.unchanged + kept + changed + added
        changes = Changes(
            added=added,
            changed=changed,
            unchanged=comparison.unchanged,
            kept=kept,
            only_in_store=tally.count - met,
        )
        return Outcome(changes, tally.end)

    def _split(
        self, comparison: Comparison, pairs: list[tuple[Row, Row]]
    ) -> tuple[list[tuple[Row, Row]], list[tuple[Row, Row]]]:
        """New and old records of one key, split into those that are updated and those that move.

        A record whose key is written otherwise, 1.10 for 1.1, is taken out and put in anew.
        """
        if self._outside_columns:
            return pairs, []
        stay = [comparison.same_key_as_written(*pair) for pair in pairs]
        moves = [not stays for stays in stay]
        return list(itertools.compress(pairs, stay)), list(itertools.compress(pairs, moves))

    def _differences(
        self, comparison: Comparison, batches: Iterable[Batch], stored: Iterable[Sides]
    ) -> Iterator[list[Difference]]:
        """The differences between archive and store, some at a time."""
        archived = map(comparison.archived, batches)
        in_order = self._in_order and self._store_in_order
        compare = comparison.by_merging if in_order else comparison.by_index
        differences = compare(archived, stored)
        while chunk := list(itertools.islice(differences, BATCH_SIZE)):
            yield chunk

    def _write(self, deleted: RowQueue, changed: RowQueue, added: RowQueue) -> None:
        """Write the differences, once all of them are known."""
        if self._problems:
            return
        queues = (deleted, changed, added)
        told = Told("writing", self._collection.name, sum(q.count for q in queues), self._progress)
        self._note_refused(self._writer.apply(*(told.passing(q.batches()) for q in queues)))

    def _store_equals_archive(self, stored: int) -> bool:
        end = self._archive.ends[self._collection.name]
        return (
            stored == end.count
            and readback.digest_of(self._transaction, self._collection) == end
            and readback.written_alike(self._archive, self._collection, self._transaction)
        )

    def _note_refused(self, refused: list[Unlocated]) -> None:
        for found in refused:
            self._problems.add_unlocated(found)


def _drained(batches: Iterable[Batch]) -> int:
    """Read on to the end; how many records there were."""
    return sum(map(len, batches))


def _may_have_outside_columns(collection: Collection, schema: Schema) -> bool:
    """Whether the store's records may hold more than the schema says.

    A column is excluded by the name of its collection or by that of its table, which only the store
    knows: what is not of another collection may be of this one.
    """
    owners = {exclusion.name.rpartition(".")[0] for exclusion in schema.excluded} - {""}
    return any(owner == collection.name or owner not in schema for owner in owners)
