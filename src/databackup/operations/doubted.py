"""References that a migration has added or changed, checked where no store does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import attrs

from databackup.operations.keys import References

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from databackup.archive.records import Batch
    from databackup.errors import Problem
    from databackup.migrations.way import Way
    from databackup.schema import Collection, Schema


class DoubtedReferences:
    """Sees that what is written holds the references that the way has to answer for.

    The others held before, or did not, and do as they did. Nothing is kept where there are none,
    nor of references that lead out of the collections that are written.
    """

    def __init__(self, way: Way, schema: Schema, written: Container[str]) -> None:
        self._links = {
            (link.source, link.reference)
            for link in way.doubts()
            if link.source in written and link.reference.collection in written
        }
        self._references = References(schema, self._links)

    def __enter__(self) -> Self:
        self._references.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._references.__exit__(*exception)

    def add(self, collection: Collection, batch: Batch) -> None:
        """Note the records of a batch, which are of their kinds."""
        if self._links:
            self._references.add(collection, collection.codec, batch)

    def problems(self) -> Iterator[Problem]:
        """A problem for each value that points at no record, which no step is named in yet."""
        for _name, reference, problem in self._references.dangling_by_link():
            yield attrs.evolve(problem, expected=f"a record of {reference.collection}")
