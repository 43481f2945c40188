"""What is compared: an archive or a repository, each behind the same few questions.

Whatever goes wrong says on which side.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Protocol

import attrs

from databackup.archive.encryption import Decryption
from databackup.archive.files import PathOrFile
from databackup.archive.limits import Limits
from databackup.archive.reader import open_archive
from databackup.archive.records import Batch, RecordCodec
from databackup.errors import ArchiveError, InvalidRecords, StoreError
from databackup.operations.keys import UniqueKeys
from databackup.operations.locate import ProblemList
from databackup.repository import Repository, Row, forms_of
from databackup.schema import Schema
from databackup.schema.columns import Forms
from databackup.schema.compiled import Codec
from databackup.schema.narrowed import Omitted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from databackup.archive.reader import Archive
    from databackup.repository import Snapshot

Comparable = PathOrFile | Repository


@attrs.frozen
class Rows:
    """Records of one collection, of a store or, with their canonical forms, of an archive."""

    of_store: Forms | list[Row] = attrs.field(factory=list)
    of_archive: Batch | None = None

    def __len__(self) -> int:
        return len(self.of_store if self.of_archive is None else self.of_archive)

    @property
    def rows(self) -> list[Row]:
        """The rows, made where they are not at hand."""
        if self.of_archive is not None:
            return self.of_archive.rows
        return self.of_store.rows if isinstance(self.of_store, Forms) else self.of_store


class Operand(Protocol):
    """One side of a comparison."""

    @property
    def name(self) -> str:
        """What the side is called."""

    @property
    def schema(self) -> Schema:
        """What it holds."""

    @property
    def is_selection(self) -> bool:
        """Whether there may be more collections than it holds."""

    @property
    def omitted(self) -> Omitted:
        """The secret fields that its records lack, and that its schema does not have."""

    @property
    def order(self) -> tuple[str, ...]:
        """The names of its collections, in the order in which they are best read."""

    def count(self, collection: str) -> int:
        """How many records a collection has."""

    def in_key_order(self, collection: str) -> bool:
        """Whether the records of a collection are strictly increasing by key."""

    def batches(self, collection: str) -> Iterator[Rows]:
        """The records of a collection."""

    def finish(self) -> None:
        """See that what was read was sound. Raises `InvalidRecords`, `ArchiveSwapped`."""


@contextlib.contextmanager
def opened(
    a: Comparable,
    b: Comparable,
    names: tuple[str, str],
    limits: Limits | None,
    decryption: Decryption | None,
) -> Iterator[tuple[Operand, Operand]]:
    """Both sides, open as long as the block lasts. A repository is at one moment on both.

    Raises what opening an archive or a snapshot raises; TypeError for something else, ValueError
    for one open file on both sides.
    """
    if a is b and hasattr(a, "read"):
        raise ValueError("an open file cannot be read on both sides at once: open it twice")
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(_opened(a, names[0], limits, decryption))
        if a is b and isinstance(old, _StoreOperand):
            yield old, attrs.evolve(old, name=names[1])
        else:
            yield old, stack.enter_context(_opened(b, names[1], limits, decryption))


@contextlib.contextmanager
def _opened(
    found: Comparable, name: str, limits: Limits | None, decryption: Decryption | None
) -> Iterator[Operand]:
    with contextlib.ExitStack() as stack:
        with _naming(name):
            operand: Operand
            if isinstance(found, Repository):
                operand = _StoreOperand(name, found, stack.enter_context(found.snapshot()))
            elif isinstance(found, str | os.PathLike) or hasattr(found, "read"):
                archive = stack.enter_context(open_archive(found, limits, decryption))
                operand = _ArchiveOperand(name, archive)
            else:
                raise TypeError(
                    "a side of a comparison is a path, an open file or a repository, "
                    f"not {type(found).__name__}"
                )
        yield operand


@contextlib.contextmanager
def _naming(side: str) -> Iterator[None]:
    """Put the name of a side in front of what is wrong with it."""
    try:
        yield
    except (ArchiveError, InvalidRecords, StoreError) as error:
        error.message = f"{side}: {error.message}"
        raise


class _ArchiveOperand:
    """An archive, read by the kinds that it describes itself."""

    def __init__(self, name: str, archive: Archive) -> None:
        self.name = name
        header = archive.header
        self.omitted: Omitted = header.omitted
        self.schema = Schema(
            collections=header.recorded.collections,
            app=header.app,
            version=header.schema_version,
        )
        self.is_selection = header.selection is not None
        self._archive = archive
        self._pass = archive.collections()
        self._problems = ProblemList()

    @property
    def order(self) -> tuple[str, ...]:
        return self._archive.header.collections

    def count(self, collection: str) -> int:
        return self._archive.ends[collection].count

    def in_key_order(self, collection: str) -> bool:
        return self._archive.header.in_key_order(collection)

    def batches(self, collection: str) -> Iterator[Rows]:
        batches = self._checked(collection)
        while True:
            with _naming(self.name):
                batch = next(batches, None)
            if batch is None:
                return
            yield Rows(of_archive=batch)

    def _checked(self, name: str) -> Iterator[Batch]:
        """The batches of a collection, with what is wrong in them noted."""
        collection = self.schema[name]
        codec = RecordCodec(collection, Codec(collection, validated=False), forms=True)
        in_order = self.in_key_order(name)
        with UniqueKeys(collection, codec.codec, in_order=in_order) as keys:
            for batch in self._reader(name)(codec):
                self._problems.add([*batch.problems, *keys.check(batch)])
                if self._problems.are_enough:
                    return
                yield batch

    def _reader(self, wanted: str) -> Callable[[RecordCodec], Iterator[Batch]]:
        """What reads a collection: further on in the file or, on another pass, before."""
        while True:
            for name, read in self._pass:
                if name == wanted:
                    return read
            self._pass = self._archive.collections()

    def finish(self) -> None:
        with _naming(self.name):
            for _ in self._pass:
                pass  # its end is where the seal is checked once more
            if self._problems:
                problems = self._problems
                headline = problems.headline("it is not sound")
                raise InvalidRecords.of(headline, problems.located, problems.total)


@attrs.frozen
class _StoreOperand:
    """A snapshot of a repository."""

    name: str
    _repository: Repository
    _snapshot: Snapshot

    @property
    def is_selection(self) -> bool:
        return False

    @property
    def schema(self) -> Schema:
        return self._repository.schema

    @property
    def omitted(self) -> Omitted:
        return {}

    @property
    def order(self) -> tuple[str, ...]:
        return tuple(collection.name for collection in self.schema.ordered)

    def count(self, collection: str) -> int:
        with _naming(self.name):
            return self._snapshot.count(self.schema[collection])

    def in_key_order(self, collection: str) -> bool:
        return collection in self._repository.capabilities.ordered_rows

    def batches(self, collection: str) -> Iterator[Rows]:
        with _naming(self.name):
            batches = forms_of(self._snapshot, self.schema[collection])
        while True:
            with _naming(self.name):
                rows = next(batches, None)
            if rows is None:
                return
            yield Rows(rows)

    def finish(self) -> None:
        """Nothing: a store's records are compared as they are."""
