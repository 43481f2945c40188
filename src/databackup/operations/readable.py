"""What an import reads: an archive as it is, or one that is migrated on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from databackup.archive.format import Header
    from databackup.archive.records import Batch

    ReadRecords = Callable[..., Iterator[Batch]]


class Total(Protocol):
    """How many records a collection has, and the digest of them."""

    @property
    def count(self) -> int:
        """The number of records."""

    @property
    def digest(self) -> str:
        """The digest, 64 hexadecimal digits."""


class Readable(Protocol):
    """The part of `Archive` that is needed to bring its records into a store."""

    @property
    def header(self) -> Header:
        """What it says of itself."""

    @property
    def seal(self) -> str:
        """The seal of the file."""

    @property
    def ends(self) -> Mapping[str, Total]:
        """The totals of each collection."""

    def collections(self) -> Iterator[tuple[str, ReadRecords]]:
        """Each collection's name, and a function that reads its records: see `Archive`."""
