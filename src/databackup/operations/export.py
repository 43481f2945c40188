"""Export: one consistent snapshot of a repository, streamed into an archive."""

from __future__ import annotations

import contextlib
import os
import uuid
from typing import TYPE_CHECKING, Any

from databackup._version import __version__
from databackup.archive import compression as packed
from databackup.archive import files
from databackup.archive.encrypting import encrypt
from databackup.archive.encryption import Encryption, require_encryption
from databackup.archive.format import Header, utc_now
from databackup.archive.limits import needed
from databackup.archive.writer import ArchiveWriter
from databackup.errors import StoreFailed
from databackup.operations.naming import is_folder, write_into
from databackup.operations.omitted import Omission, Secrets
from databackup.operations.options import require_choice
from databackup.operations.reports import ExportReport, MigrationReport, Progress
from databackup.operations.selection import Choice, leaving_warnings, narrowed_header
from databackup.repository import forms_of, place_of
from databackup.schema.arguments import require_version
from databackup.schema.document import describe, description_digest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from databackup.operations.reports import ProgressCallback
    from databackup.operations.selection import Selection
    from databackup.repository import Repository, Row, Snapshot
    from databackup.schema import Collection, Schema
    from databackup.schema.columns import Forms

    _Rows = Forms | list[Row]


def export_all(
    repository: Repository,
    destination: files.PathOrFile,
    *,
    collections: Iterable[str] | None = None,
    closure: bool = True,
    exclude: Mapping[str, str] | None = None,
    version: int | None = None,
    encryption: Encryption | None = None,
    secrets: Secrets = "included",
    progress: ProgressCallback | None = None,
) -> ExportReport:
    """Write everything a repository holds to an archive, or some of its collections.

    The destination is a path or a file open for writing bytes. The suffixes `.gz` and `.zst` of a
    path compress. A path names either its old file or the complete new one, whatever happens.
    In a folder, which is one that is there or a name that ends in `/`, the archive is a new file
    named like `app_v3_20261122T101500Z_1234records.json.zst`; the report's `path` has its name.

    `collections` are the names of those to write. What they refer to comes along, unless `closure`
    is False: then the report warns of references that lead out of the archive. `exclude` leaves
    collections out, each with the reason, which the archive says; `collections` may be None beside
    it, or hold others. For an older `version` both are the names of that version.

    `version` is an older version of the schema, by which the app of that time can read the archive:
    the migrations are undone on the way, and the report counts what is lost by that.

    `encryption` is `Recipients`, to whom a file of any size is encrypted, or a `Passphrase`, for
    what can be held in memory. A path then ends with `.age`, as in `.json.zst.age`.
    `secrets="omitted"` leaves secret fields out; an import of the archive keeps what the store has
    in them.

    Raises `FileError`, `StoreError`, `InvalidRecords`, and whatever `progress` raises; for a
    `version` also `VersionMismatch`, `NoInverse`, `SchemaError`, `SecretsMissing` where it has to
    look at secrets that are left out, and TypeError for what is none; for a selection
    `UnknownCollection`, `NeededCollection` where what is excluded is referred to, `SchemaError` for
    what is no reason, and ValueError where nothing is left; for `encryption` also
    `EncryptionMismatch`, `TooLargeForPassphrase`, `MissingExtra`. Raises ValueError for other
    `secrets`.
    """
    choice = Choice(collections=collections, closure=closure, exclude=exclude)
    export = _export(repository, choice, version, secrets, progress)
    return export.report(export.write(destination, encryption))


def iter_export(
    repository: Repository,
    *,
    compression: packed.Compression | None = None,
    collections: Iterable[str] | None = None,
    closure: bool = True,
    exclude: Mapping[str, str] | None = None,
    version: int | None = None,
    encryption: Encryption | None = None,
    secrets: Secrets = "included",
    progress: ProgressCallback | None = None,
) -> Iterator[bytes]:
    """The bytes of an archive of everything a repository holds, for a streaming response.

    Lazy: the snapshot begins with the first chunk and ends with the last. Closing the iterator
    early ends the snapshot. There is no report, and so no warning of limits that an import will
    have to raise, or of references that lead out of a selection: `export_all` has both, into an
    open file too.

    Raises as `export_all`, and ValueError for another compression.
    """
    if compression is not None:
        require_choice("compression", compression, packed.Compression)
    require_encryption(encryption)
    choice = Choice(collections=collections, closure=closure, exclude=exclude)
    export = _export(repository, choice, version, secrets, progress)

    def chunks() -> Iterator[bytes]:
        with contextlib.closing(export.chunks()) as plain:
            yield from encrypt(packed.compress(plain, compression), encryption)

    return chunks()


def _export(
    repository: Repository,
    choice: Choice,
    version: int | None,
    secrets: Secrets,
    progress: ProgressCallback | None,
) -> Export:
    require_version(version)
    require_choice("secrets", secrets, Secrets)
    omission = Omission.of(repository.schema, secrets)
    if version is None or version == repository.schema.version:
        selection = None if choice.is_everything else choice.among(repository.schema)
        return Export(repository, selection, omission, progress)
    from databackup.operations.older import OlderExport  # noqa: PLC0415 - which few exports need

    return OlderExport(repository, choice, omission, version, progress)


class Export:
    """One export: its chunks, and then its report."""

    stage = "exporting"

    def __init__(
        self,
        repository: Repository,
        selection: Selection | None,
        omission: Omission,
        progress: ProgressCallback | None,
    ) -> None:
        self._repository = repository
        self._selection = selection
        self._omission = omission if selection is None else omission.among(selection.names)
        self._progress = progress

    def migrated(self) -> MigrationReport | None:
        """What became of the records on their way to another version."""
        return None

    def write(
        self, destination: files.PathOrFile, encryption: Encryption | None = None
    ) -> files.Written:
        """Write the archive to a file, or to a new one in a folder. Raises as `export_all`."""
        if isinstance(destination, str | os.PathLike) and is_folder(destination):
            place = place_of(self._repository)
            store = None if place is None else place.name
            told = self._what_was_written
            return write_into(destination, self.chunks(), told, store, encryption)
        return files.write_archive(destination, self.chunks(), encryption)

    def _what_was_written(self) -> tuple[Header, int]:
        return self._header, sum(end.count for end in self._writer.ends.values())

    def chunks(self) -> Generator[bytes]:
        """The bytes of the archive."""
        with self._opened() as snapshot:
            self._header = narrowed_header(self._header_of(snapshot), self._selection)
            self._writer = ArchiveWriter(self._header)
            yield from self._writer.chunks(self._records(snapshot))

    def _opened(self) -> AbstractContextManager[Snapshot]:
        return self._repository.snapshot()

    def _header_of(self, snapshot: Snapshot) -> Header:
        return self._omission.header(header_of(self._repository, snapshot))

    def _records(self, snapshot: Snapshot) -> Iterator[tuple[Collection, Iterator[_Rows]]]:
        for name in self._header.collections:
            collection = self._repository.schema[name]
            yield self._omission.of_records(collection, self._batches(snapshot, collection))

    def _batches(self, snapshot: Snapshot, collection: Collection) -> Iterator[Forms | list[Row]]:
        total = snapshot.count(collection)
        done = 0
        for rows in forms_of(snapshot, collection):
            yield rows
            done += len(rows)
            if self._progress is not None:
                name = collection.name
                self._progress(Progress(stage=self.stage, collection=name, done=done, total=total))
        require_all(collection.name, total, done)

    def report(self, written: files.Written) -> ExportReport:
        """What was written."""
        unfrozen = _unfrozen(self._repository.schema, self._header.schema_version)
        return export_report(
            self._header, self._writer, written, self.migrated(), self._omission, unfrozen
        )


def export_report(  # noqa: PLR0917 - what a report is made of
    header: Header,
    writer: ArchiveWriter,
    written: files.Written,
    migrated: MigrationReport | None,
    omission: Omission,
    unfrozen: tuple[str, ...],
) -> ExportReport:
    """What a writer wrote to a destination."""
    counts = {name: end.count for name, end in writer.ends.items()}
    return ExportReport(
        path=written.path,
        archive_id=header.archive_id,
        created_at=header.created_at,
        collections=counts,
        records=sum(counts.values()),
        size=written.size,
        seal=writer.seal,
        excluded=header.excluded,
        selection=header.selection,
        migrated=migrated,
        warnings=(
            *written.warnings,
            *leaving_warnings(header, counts),
            *needed(writer.needs | written.needs),
            *omission.warnings(),
            *unfrozen,
        ),
        omitted=omission.listed,
    )


def _unfrozen(schema: Schema, version: int) -> tuple[str, ...]:
    """Warnings of what becomes of an archive whose version is not frozen, or as something else."""
    if schema.versions is None:
        return ()
    from databackup.schema.versions import not_as_frozen  # noqa: PLC0415 - which others do not need

    return not_as_frozen(schema, version)


def require_all(collection: str, total: int, done: int) -> None:
    """See that a store gave all the records that it counts. Raises `StoreFailed`."""
    if done != total:
        raise StoreFailed(f"the store counts {total} records of {collection}, but gave {done}")


def header_of(repository: Repository, snapshot: Snapshot) -> Header:
    """The header of an archive of everything that a snapshot holds."""
    schema, capabilities = repository.schema, repository.capabilities
    description = describe(schema)
    digest = description_digest(description)
    for name, collection in description["collections"].items():
        collection["order"] = "key" if name in capabilities.ordered_rows else "none"
    counters = dict(snapshot.counters())
    extensions: dict[str, Any] = {"counters": counters} if counters else {}
    return Header(
        archive_id=str(uuid.uuid4()),
        created_at=utc_now(),
        app=schema.app,
        schema_version=schema.version,
        schema_digest=digest,
        producer={"library": f"databackup {__version__}", "adapter": capabilities.name},
        consistency="snapshot" if capabilities.consistent_snapshot else "none",
        schema=description,
        excluded=schema.excluded,
        extensions=extensions,
    )
