"""What an import reads: an archive as it is, or one that is migrated on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from databackup.archive.format import described_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from databackup.archive.format import Header
    from databackup.archive.reader import Archive
    from databackup.archive.records import Batch
    from databackup.operations.reports import MigrationReport
    from databackup.schema import Schema

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


@runtime_checkable
class Migrated(Readable, Protocol):
    """An archive that is migrated on the way."""

    def report(self) -> MigrationReport:
        """What was done to the records that were read."""


def as_of_today(archive: Archive, schema: Schema) -> Readable:
    """An archive, migrated where it is of an older version of a schema that has versions.

    Raises `VersionMismatch`, `SchemaMismatch`, `SchemaError`.
    """
    header = archive.header
    is_older = header.app == schema.app and header.schema_version < schema.version
    if not is_older or (schema.versions is None and not schema.migrations):
        return archive
    # Which most imports do not need.
    from databackup.migrations.way import way_of  # noqa: PLC0415
    from databackup.operations.migrating import MigratedArchive  # noqa: PLC0415

    given = described_schema(header).collections
    way = way_of(schema, header.schema_version, schema.version, given)
    return MigratedArchive(archive, schema, way)


@runtime_checkable
class Completed(Readable, Protocol):
    """An archive whose records are made complete on the way."""

    @property
    def incomplete(self) -> Readable:
        """The archive as it is by itself."""


def migration_of(archive: Readable) -> MigrationReport | None:
    """What was done to the records of an archive that were read, None where nothing had to be."""
    if isinstance(archive, Completed):
        archive = archive.incomplete
    return archive.report() if isinstance(archive, Migrated) else None
