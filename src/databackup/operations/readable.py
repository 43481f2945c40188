"""What an import reads: an archive as it is, or one that is migrated on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from databackup.archive.format import Header
    from databackup.archive.reader import Archive
    from databackup.archive.records import Batch
    from databackup.errors import Problem
    from databackup.operations.options import WrongAppChoice
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

    def traced(self, problems: Sequence[Problem]) -> list[Problem]:
        """Problems of migrated records, with the steps that have led to them: see `tracing`."""


def as_of_today(archive: Archive, schema: Schema, wrong_app: WrongAppChoice = "refuse") -> Readable:
    """An archive, migrated where it is of an older version of a schema that has versions.

    One of today's version has to be as that was frozen, if it was. One that has another app's name
    is not migrated, and it is for `require_fit` to refuse it. With "allow"
    it is where it describes its records as the version of its number was frozen. Raises
    `VersionMismatch`, `SchemaMismatch`, `SchemaError`, `FileError`.
    """
    header = archive.header
    number = header.schema_version
    if number > schema.version or (schema.versions is None and not schema.migrations):
        return archive
    is_selection = header.selection is not None
    if number == schema.version:
        if schema.versions is not None and header.app == schema.app:
            from databackup.schema.versions import require_as_frozen  # noqa: PLC0415 - as below

            require_as_frozen(schema, number, header.whole, is_selection=is_selection)
        return archive
    # Which most imports do not need.
    from databackup.migrations.way import way_of  # noqa: PLC0415
    from databackup.operations.migrating import MigratedArchive  # noqa: PLC0415
    from databackup.schema.versions import app_of, is_as_frozen  # noqa: PLC0415

    if header.app != app_of(schema, number) and not (
        wrong_app == "allow" and is_as_frozen(schema, number, header.whole)
    ):
        return archive
    way = way_of(schema, number, schema.version, header.whole, is_selection=is_selection)
    return MigratedArchive(archive, schema, way)


@runtime_checkable
class Completed(Readable, Protocol):
    """An archive whose records are made complete on the way."""

    @property
    def incomplete(self) -> Readable:
        """The archive as it is by itself."""


def migrated(archive: Readable) -> Migrated | None:
    """What migrates an archive on the way, complete or not; None where nothing does."""
    if isinstance(archive, Completed):
        archive = archive.incomplete
    return archive if isinstance(archive, Migrated) else None


def migration_of(archive: Readable) -> MigrationReport | None:
    """What was done to the records of an archive that were read, None where nothing had to be."""
    found = migrated(archive)
    return None if found is None else found.report()
