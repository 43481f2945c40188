"""What a store holds after the writes: references that dangle, digests, and what differs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from databackup.archive.digest import Digest
from databackup.archive.format import CollectionEnd
from databackup.archive.records import RecordCodec
from databackup.errors import PROBLEM_LIMIT, Problem
from databackup.operations.compare import Comparison, Difference
from databackup.operations.keys import dangling_problem
from databackup.operations.locate import Unlocated
from databackup.operations.reports import Progress, no_progress
from databackup.schema.kind import KindError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.archive.reader import Archive
    from databackup.operations.reports import ProgressCallback
    from databackup.repository import Transaction
    from databackup.schema import Collection, Field, Schema


def dangling(schema: Schema, transaction: Transaction) -> Iterator[Unlocated]:
    """A problem for each value of a reference that points at no record, up to 100 a reference."""
    for collection in schema.ordered:
        for reference in collection.references:
            target = schema[reference.collection]
            for values in transaction.dangling(collection, reference, PROBLEM_LIMIT):
                problem = dangling_problem(collection, reference.fields, target, values, None)
                yield Unlocated(problem, reference.fields, values)


def digest_of(
    transaction: Transaction,
    collection: Collection,
    progress: ProgressCallback = no_progress,
    total: int = 0,
) -> CollectionEnd:
    """Count and digest of what the store holds. Raises `InvalidRecords`."""
    codec = RecordCodec(collection)
    digest = Digest(collection.name)
    for rows in transaction.rows(collection):
        digest.add(codec.canonical(rows))
        progress(
            Progress(
                stage="reading back", collection=collection.name, done=digest.count, total=total
            )
        )
    return CollectionEnd(digest.count, digest.hex)


def differences(
    archive: Archive, collection: Collection, transaction: Transaction
) -> Iterator[Unlocated]:
    """What the store gives back otherwise than it was given, up to 100 records."""
    comparison = Comparison(collection)
    for name, read in archive.collections():
        if name != collection.name:
            continue
        new = (comparison.sides(b.rows, b.canonical) for b in read(RecordCodec(collection)))
        old = map(comparison.stored, transaction.rows(collection))
        for difference in itertools.islice(comparison.by_index(new, old), PROBLEM_LIMIT):
            yield _given_back(collection, difference)
        return


def _given_back(collection: Collection, difference: Difference) -> Unlocated:
    new, old = difference.new, difference.old
    field, expected = None, None
    if new is None:
        message = "the store holds a record that the archive does not"
    elif old is None:
        message = "the store does not hold the record that was written"
    else:
        message = "the store gives back another record than it was given"
        for part, one, other in zip(collection.fields, new, old, strict=True):
            if _text(part, one) != _text(part, other):
                field, expected = part.name, shown(one)
                message = f"the store gives back {shown(other)} for {shown(one)}"
                break
    key = collection.codec.key(new or old or ())
    problem = Problem(
        code="read-back",
        message=message,
        collection=collection.name,
        key=key,
        field=field,
        expected=expected,
    )
    return Unlocated(problem, collection.key, key)


def _text(field: Field, value: Any) -> str:
    try:
        return repr(field.form.encode(value))
    except KindError:
        return f"off kind {value!r}"
