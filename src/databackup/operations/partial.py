"""Imports of some collections: what is read of the archive, and what is left alone in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from databackup.errors import PROBLEM_LIMIT, Problem
from databackup.operations import readback
from databackup.operations.keys import dangling_problem, key_bytes_or_none
from databackup.operations.locate import Unlocated
from databackup.operations.readable import Migrated
from databackup.operations.selection import Selection, narrowed_header, require_known
from databackup.repository import FiresTriggers
from databackup.schema.narrowing import closed

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from databackup.archive.format import CollectionEnd
    from databackup.operations.keys import Links
    from databackup.operations.readable import Readable, ReadRecords
    from databackup.operations.reports import MigrationReport
    from databackup.repository import Key, Transaction
    from databackup.schema import Collection, Reference, Schema


# -- the archive -----------------------------------------------------------------------------------


def selected(
    archive: Readable, schema: Schema, collections: Sequence[str] | None, *, closure: bool
) -> Readable:
    """The collections of an archive that are to be imported, with those that they refer to.

    Raises `UnknownCollection`.
    """
    if collections is None:
        return archive
    require_known(collections, archive.header.collections, " in the archive")
    names = set(collections)
    if closure:
        described = {collection.name: collection for collection in archive.header.whole}

        def pointed_at(name: str) -> Iterator[str]:
            own = schema[name].references if name in schema else ()
            found = (reference.collection for reference in (*described[name].references, *own))
            return (other for other in found if other in described)

        names = closed(names, pointed_at)
    if isinstance(archive, Migrated):
        return SelectedMigration(archive, names)
    return SelectedArchive(archive, names)


class SelectedArchive:
    """Some collections of an archive, read like an `Archive`; the others are passed over."""

    def __init__(self, archive: Readable, names: Iterable[str]) -> None:
        chosen = Selection(frozenset(names))
        self._archive = archive
        self.header = narrowed_header(archive.header, chosen)
        self.seal = archive.seal
        self.ends = {name: archive.ends[name] for name in self.header.collections}

    def collections(self) -> Iterator[tuple[str, ReadRecords]]:
        """Each collection's name, and a function that reads its records: see `Archive`."""
        for name, read in self._archive.collections():
            if name in self.ends:
                yield name, read


class SelectedMigration(SelectedArchive):
    """Some collections of an archive that is migrated on the way."""

    def __init__(self, archive: Migrated, names: Iterable[str]) -> None:
        super().__init__(archive, names)
        self.report: Callable[[], MigrationReport] = archive.report
        self.traced: Callable[[Sequence[Problem]], list[Problem]] = archive.traced


# -- the store -------------------------------------------------------------------------------------


def links(schema: Schema, written: Container[str]) -> Links:
    """The references from and to what is written, each with its collection's name."""
    return [
        (collection.name, reference)
        for collection in schema.ordered
        for reference in collection.references
        if collection.name in written or reference.collection in written
    ]


def dangling(
    schema: Schema, transaction: Transaction, written: Container[str], among: Links
) -> Iterator[Unlocated]:
    """A problem for each value that points at no record, of some references of `links`.

    A record that is left alone is named as the store has it. References among such records are as
    they were.
    """
    for name, reference in among:
        found = readback.dangling if name in written else _left_behind
        yield from found(schema, transaction, schema[name], reference)


def _left_behind(
    schema: Schema, transaction: Transaction, collection: Collection, reference: Reference
) -> Iterator[Unlocated]:
    """Problems of records that are left alone, each of the first one that has the value."""
    names = reference.fields
    fields, places = [collection.field(name) for name in names], collection.positions(names)
    found = transaction.dangling(collection, reference, PROBLEM_LIMIT)
    wanted = {key_bytes_or_none(fields, values): values for values in found}
    keys: dict[bytes | None, Key] = {}
    for rows in transaction.rows(collection) if wanted else ():
        for row in rows:
            form = key_bytes_or_none(fields, [row[place] for place in places])
            if form in wanted:
                keys.setdefault(form, collection.codec.key(row))
        if len(keys) == len(wanted):
            break
    for form, values in wanted.items():
        target = schema[reference.collection]
        problem = dangling_problem(collection, names, target, values)
        named = attrs.evolve(problem, key=keys.get(form) or None)
        yield Unlocated(of_left_behind(named), names, values)


def of_left_behind(problem: Problem) -> Problem:
    """The problem of a reference that dangles from a record that is left alone."""
    what = problem.message.removesuffix("which is not there")
    return attrs.evolve(
        problem,
        pointer=None,
        message=f"{what}which would not be there after the import; {problem.collection} is left "
        "alone",
    )


class LeftAlone:
    """The collections that an import leaves alone, and how they were before it.

    No more than their records are counted, since nothing is written to them, unless triggers of the
    host fire, which may write anywhere: then their digests are compared.
    """

    def __init__(
        self, transaction: Transaction, collections: Iterable[Collection], *, read_back: bool
    ) -> None:
        self._transaction = transaction
        self._collections = tuple(collections)
        fires = isinstance(transaction, FiresTriggers) and bool(transaction.triggers())
        self._by_digest = read_back and fires and bool(self._collections)
        self._before = self._totals()

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called."""
        return tuple(collection.name for collection in self._collections)

    def _totals(self) -> list[CollectionEnd | int]:
        if self._by_digest:
            return [readback.digest_of(self._transaction, c) for c in self._collections]
        return [self._transaction.count(c) for c in self._collections]

    def changed(self) -> list[Problem]:
        """A problem for each collection that is not as it was."""
        return [
            Problem(
                code="read-back",
                message="the store has changed it, and the import was to leave it alone",
                collection=collection.name,
            )
            for collection, before, after in zip(
                self._collections, self._before, self._totals(), strict=True
            )
            if before != after
        ]
