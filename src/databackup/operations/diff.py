"""Diff: what two archives or stores hold, collection by collection and record by record."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import attrs

from databackup.archive.encryption import Decryption
from databackup.archive.limits import required_limits
from databackup.errors import UnknownCollection
from databackup.operations.compare import Comparison, Difference, Side, Sides
from databackup.operations.differences import Diff
from databackup.operations.matching import lacking, match_all
from databackup.operations.operands import Comparable, opened
from databackup.operations.reports import Progress
from databackup.operations.samples import Sampler
from databackup.operations.unkeyed import by_counting, identified
from databackup.schema.compiled import Codec
from databackup.spill import RowQueue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from databackup.archive.limits import Limits
    from databackup.operations.differences import CollectionDiff
    from databackup.operations.matching import Match
    from databackup.operations.operands import Operand
    from databackup.operations.reports import ProgressCallback
    from databackup.schema import Collection

SAMPLE = 10


def diff(
    a: Comparable,
    b: Comparable,
    *,
    collections: Iterable[str] | None = None,
    sample: int = SAMPLE,
    names: tuple[str, str] | None = None,
    limits: Limits | None = None,
    decryption: Decryption | None = None,
    progress: ProgressCallback | None = None,
) -> Diff:
    """What `b`, the new side, has added, changed and removed since `a`, the old one.

    Each side is an archive, as a path or an open binary file, or a repository. An archive is read
    with the kinds it describes itself, a repository by its own schema. Records are equal if an
    import would leave them alone.

    collections
        The names of those to compare; None compares all. Of an archive that holds a selection, what
        it leaves out is not compared, and a note says so.
    sample
        How many records are shown at most, of each collection and kind of change.
    names
        What the sides are called in texts and errors; their paths, or "a" and "b".
    decryption
        What opens the sides that are encrypted.

    Reads everything once, in constant memory, and raises what `verify_archive` raises, the
    `StoreError`s of a snapshot, `KeysDiffer`, `UnknownCollection`, TypeError and ValueError for
    wrong arguments, and whatever `progress` raises.
    """
    require_sample(sample)
    if names is not None and len(names) != len((a, b)):
        raise ValueError(f"names are those of two sides, not {names!r}")
    limits = required_limits(limits)
    names = names or (_name(a, "a"), _name(b, "b"))
    with opened(a, b, names, limits, decryption) as (old, new):
        chosen = _chosen(old, new, collections)
        one, other = lacking(old.schema, new.omitted), lacking(new.schema, old.omitted)
        matches = match_all(one, other, chosen, names)
        found = {match.name: _compared(match, old, new, sample, progress) for match in matches}
        old.finish()
        new.finish()
        notes = (*_notes(old, new), *_notes_of_selections(old, new))
    return Diff(a=names[0], b=names[1], collections=found, notes=notes)


def require_sample(sample: object) -> None:
    """See that a sample is a number of records. Raises ValueError."""
    if type(sample) is not int or sample < 0:
        raise ValueError(f"sample is a number of records from 0 on, not {sample!r}")


def _name(side: Comparable, otherwise: str) -> str:
    return os.fspath(side) if isinstance(side, str | os.PathLike) else otherwise


def _chosen(old: Operand, new: Operand, wanted: Iterable[str] | None) -> list[str]:
    """The collections to compare, in an order in which both sides have theirs if there is one."""
    known: dict[str, None] = {}
    places = {name: place for place, name in enumerate(new.order)}
    passed = 0
    for name in old.order:
        place = places.get(name, 0)
        before = new.order[passed:place]  # what stands further ahead is known already
        known |= dict.fromkeys(other for other in before if other not in old.schema)
        passed = max(passed, place)
        known[name] = None
    known |= dict.fromkeys(new.order)
    known = {name: None for name in known if not _is_left_out(name, old, new)} or known
    if wanted is None:
        return list(known)
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if not names:
        raise ValueError("no collection is named, so there is nothing to compare")
    for name in names:
        if name not in known:
            there = ", ".join(known) or "none at all"
            raise UnknownCollection(
                f"there is no collection {name!r}; there are {there}", name, tuple(known)
            )
    return [name for name in known if name in names]


def _is_left_out(name: str, old: Operand, new: Operand) -> bool:
    """Whether one side holds a selection without a collection, and so says nothing of it."""
    return any(side.is_selection and name not in side.schema for side in (old, new))


def _notes_of_selections(old: Operand, new: Operand) -> Iterator[str]:
    """What is not compared, since one side holds a selection without it."""
    for one, other in ((old, new), (new, old)):
        if one.is_selection:
            there = set(one.order) & set(other.order)
            left_out = [name for name in other.order if name not in one.schema]
            if left_out and there:
                yield f"{one.name} holds a selection: not compared are {', '.join(left_out)}"


def _notes(old: Operand, new: Operand) -> Iterator[str]:
    """What differs and is no difference in what is stored."""
    one, other = old.schema, new.schema
    if one.app is not None and other.app is not None and one.app != other.app:
        yield f"{old.name} is of the app {one.app!r}, {new.name} of {other.app!r}"
    elif (one.app is None) == (other.app is None) and one.version != other.version:
        yield (
            f"{old.name} has schema version {one.version}, {new.name} has version {other.version}"
        )
    for operand in (old, new):
        for name, fields in operand.omitted.items():
            listed = ", ".join(f"{name}.{field}" for field in sorted(fields))
            yield f"{operand.name} omits secrets, which are not compared: {listed}"


# -- one collection ----------------------------------------------------------------------------


def _compared(
    match: Match, old: Operand, new: Operand, sample: int, progress: ProgressCallback | None
) -> CollectionDiff:
    name = match.name
    operands = [operand for operand in (old, new) if name in operand.schema]
    meter = _Meter(name, sum(operand.count(name) for operand in operands), progress)
    before, after = _Reader(old, name, match.old, meter), _Reader(new, name, match.new, meter)
    in_order = match.same_order and all(operand.in_key_order(name) for operand in operands)
    sampler = Sampler(match, sample)
    for difference in _differences(match, after.sides(), before.sides(), in_order=in_order):
        sampler.note(difference)
    return sampler.result(before.records)


@attrs.define
class _Meter:
    """Tells how many records of a collection have been read, on both sides together."""

    collection: str
    total: int
    progress: ProgressCallback | None
    done: int = 0

    def add(self, records: int) -> None:
        self.done += records
        if self.progress is not None:
            self.progress(
                Progress(
                    stage="comparing",
                    collection=self.collection,
                    done=self.done,
                    total=self.total,
                )
            )


class _Reader:
    """Reads the records of a collection from one operand, with the fields that are compared."""

    def __init__(self, operand: Operand, name: str, part: Collection, meter: _Meter) -> None:
        self._operand = operand
        self._name = name
        self._part = part
        self._meter = meter
        self.records = 0

    def sides(self) -> Iterator[Sides]:
        """The records, batch by batch, each with the form that it is compared by."""
        if self._name not in self._operand.schema:
            return
        own = self._operand.schema[self._name]
        places = own.positions(self._part.field_names)
        is_whole = len(places) == len(own.fields)
        as_it_is = places == tuple(range(len(own.fields)))
        comparison = Comparison(self._part, codec=Codec(self._part, validated=False))
        for batch in self._operand.batches(self._name):
            if as_it_is and batch.of_archive is not None:
                yield comparison.archived(batch.of_archive)
            elif as_it_is:
                yield from comparison.all_stored([batch.of_store])
            else:
                rows = [tuple([row[place] for place in places]) for row in batch.rows]
                if is_whole and batch.of_archive is not None:
                    yield comparison.sides(rows, batch.of_archive.canonical)
                else:
                    yield from comparison.all_stored([rows])
            self.records += len(batch)
            self._meter.add(len(batch))


def _differences(
    match: Match, new: Iterable[Sides], old: Iterable[Sides], *, in_order: bool
) -> Iterator[Difference]:
    if match.nothing_shared:
        yield from (Difference(None, side.row) for side in itertools.chain.from_iterable(old))
        yield from (Difference(side.row, None) for side in itertools.chain.from_iterable(new))
    elif not match.key:
        yield from by_counting(new, old)
    else:
        with RowQueue() as new_aside, RowQueue() as old_aside:
            ours = identified(new, match.new, new_aside)
            theirs = identified(old, match.old, old_aside)
            yield from _by_key(match.either, ours, theirs, in_order=in_order)
            yield from by_counting(_again(new_aside), _again(old_aside))


def _again(aside: RowQueue) -> Iterator[Sides]:
    return (Sides.of(itertools.starmap(Side, batch)) for batch in aside.batches())


def _by_key(
    keyed: Collection, new: Iterable[Sides], old: Iterable[Sides], *, in_order: bool
) -> Iterator[Difference]:
    codec = Codec(keyed, validated=False)
    comparison = Comparison(keyed, codec=codec, in_place=True)
    yield from (comparison.by_merging if in_order else comparison.by_index)(new, old)
