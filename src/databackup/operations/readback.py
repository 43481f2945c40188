"""What a store holds after the writes: references that dangle, digests, and what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from databackup.archive.digest import Digest
from databackup.archive.records import RecordCodec
from databackup.errors import PROBLEM_LIMIT, Problem
from databackup.operations.compare import Comparison, Difference, Forms
from databackup.operations.keys import dangling_problem, key_bytes_or_none
from databackup.operations.locate import Unlocated
from databackup.operations.reports import Progress
from databackup.operations.tally import Tally
from databackup.repository import forms_of
from databackup.schema.kind import shown
from databackup.schema.secrets import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from databackup.archive.format import CollectionEnd
    from databackup.archive.records import Batch
    from databackup.operations.options import Mode
    from databackup.operations.readable import Readable
    from databackup.operations.reports import Changes, ProgressCallback
    from databackup.repository import ChecksReferences, Snapshot, Transaction
    from databackup.schema import Collection, Reference, Schema

_NAMED: Final = 5  # triggers in a message


def dangling(
    schema: Schema, transaction: ChecksReferences, collection: Collection, reference: Reference
) -> Iterator[Unlocated]:
    """A problem for each value of a reference that points at no record, up to 100."""
    target = schema[reference.collection]
    for values in transaction.dangling(collection, reference, PROBLEM_LIMIT):
        problem = dangling_problem(collection, reference.fields, target, values)
        yield Unlocated(problem, reference.fields, values)


def tell_of_reference(collection: Collection, done: int, progress: ProgressCallback | None) -> None:
    """Tell how many references of a collection were looked at.

    Before each as well, for the look at one of them may take long.
    """
    if progress is not None:
        progress(
            Progress(
                stage="checking references",
                collection=collection.name,
                done=done,
                total=len(collection.references),
                unit="references",
            )
        )


def digest_of(
    snapshot: Snapshot,
    collection: Collection,
    progress: ProgressCallback | None = None,
) -> CollectionEnd:
    """Count and digest of what the store holds."""
    tally = Tally(collection)
    total = 0 if progress is None else snapshot.count(collection)
    for rows in forms_of(snapshot, collection):
        tally.add(rows)
        if progress is not None:
            name, done = collection.name, tally.count
            progress(Progress(stage="reading back", collection=name, done=done, total=total))
    return tally.end


def written_alike(archive: Readable, collection: Collection, transaction: Transaction) -> bool:
    """Whether records that have one digest also have decimals of the same scales."""
    forms = Forms(collection)
    if forms.are_canonical:
        return True
    ours, theirs = Digest(collection.name), Digest(collection.name)
    codec = RecordCodec(collection)
    for stored in transaction.rows(collection):
        for rows in codec.parts_held(stored):
            ours.add(forms.of(rows, codec.canonical(rows)))
    for batch in records_of(archive, collection):
        theirs.add(forms.of(batch.rows, batch.canonical))
    return ours.hex == theirs.hex


def problems_of_totals(archive: Readable, collection: Collection) -> list[Problem]:
    """What is wrong with the totals an archive has of one collection."""
    batches = records_of(archive, collection, digests=True)
    return [problem for batch in batches for problem in batch.problems]


def records_of(
    archive: Readable, collection: Collection, *, digests: bool = False
) -> Iterator[Batch]:
    """The records that an archive has of one collection."""
    for name, read in archive.collections():
        if name == collection.name:
            yield from read(RecordCodec(collection), digests=digests)
            return


def differences(
    archive: Readable,
    collection: Collection,
    transaction: Transaction,
    mode: Mode,
    changes: Changes,
) -> Iterator[Unlocated]:
    """What the store gives back otherwise than it was given, as far as the archive tells.

    After a merge or an add a store has records that the archive lacks; after an add that kept some,
    it has others than the archive.
    """
    comparison = Comparison(collection, exact=False, in_place=True)
    batches = records_of(archive, collection)
    new = map(comparison.archived, batches)
    old = comparison.all_stored(forms_of(transaction, collection))
    for difference in comparison.by_index(new, old):
        if difference.new is None:
            is_wrong = mode == "replace"
        else:
            is_wrong = difference.old is None or not changes.kept
        if is_wrong:
            yield _given_back(collection, difference)


def blamed_on(triggers: Sequence[str], problems: Iterable[Problem]) -> list[Problem]:
    """What is given back otherwise, with the triggers that may have made it so."""
    if not triggers:
        return list(problems)
    named = f"the trigger {triggers[0]}" if len(triggers) == 1 else _listed(triggers)
    return [
        attrs.evolve(problem, message=f"{problem.message}; perhaps by {named}")
        if problem.code == "read-back"
        else problem
        for problem in problems
    ]


def _listed(triggers: Sequence[str]) -> str:
    more = f" and {len(triggers) - _NAMED} more" if len(triggers) > _NAMED else ""
    return f"one of the triggers {', '.join(triggers[:_NAMED])}{more}"


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
            if key_bytes_or_none([part], [one]) != key_bytes_or_none([part], [other]):
                field, expected = part.name, MASK if part.secret else shown(one)
                back = MASK if part.secret else shown(other)
                message = f"the store gives back {back} for {expected}"
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
