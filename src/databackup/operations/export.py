"""Export: one consistent snapshot of a repository, streamed into an archive."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any

from databackup._version import __version__
from databackup.archive import compression as packed
from databackup.archive import files
from databackup.archive.format import Header, utc_now
from databackup.archive.limits import needed
from databackup.archive.writer import ArchiveWriter
from databackup.errors import StoreFailed
from databackup.operations.omitted import Omission, Secrets
from databackup.operations.options import require_choice
from databackup.operations.reports import ExportReport, MigrationReport, Progress
from databackup.repository import forms_of
from databackup.schema.document import describe, description_digest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from databackup.operations.reports import ProgressCallback
    from databackup.repository import Repository, Row, Snapshot
    from databackup.schema import Collection
    from databackup.schema.columns import Forms

    _Rows = Forms | list[Row]


def export_all(
    repository: Repository,
    destination: files.PathOrFile,
    *,
    version: int | None = None,
    secrets: Secrets = "included",
    progress: ProgressCallback | None = None,
) -> ExportReport:
    """Write everything a repository holds to an archive.

    The destination is a path or a file open for writing bytes. The suffixes `.gz` and `.zst` of a
    path compress. A path names either its old file or the complete new one, whatever happens.

    `version` is an older version of the schema, by which the app of that time can read the archive:
    the migrations are undone on the way, and the report counts what is lost by that.

    `secrets="omitted"` leaves secret fields out; an import of the archive keeps what the store has
    in them.

    Raises `FileError`, `StoreError`, `InvalidRecords`, and whatever `progress` raises; for a
    `version` also `VersionMismatch`, `NoInverse`, `SchemaError`, and `SecretsMissing` where it has
    to look at secrets that are left out. Raises ValueError for other `secrets`.
    """
    export = _export(repository, version, secrets, progress)
    return export.report(files.write_archive(destination, export.chunks()))


def iter_export(
    repository: Repository,
    *,
    compression: packed.Compression | None = None,
    version: int | None = None,
    secrets: Secrets = "included",
    progress: ProgressCallback | None = None,
) -> Iterator[bytes]:
    """The bytes of an archive of everything a repository holds, for a streaming response.

    Lazy: the snapshot begins with the first chunk and ends with the last. Closing the iterator
    early ends the snapshot. There is no report, and so no warning of limits that an import will
    have to raise: `export_all` has both, into an open file too.

    Raises as `export_all`, and ValueError for another compression.
    """
    if compression is not None:
        require_choice("compression", compression, packed.Compression)
    export = _export(repository, version, secrets, progress)

    def chunks() -> Iterator[bytes]:
        with contextlib.closing(export.chunks()) as plain:
            yield from packed.compress(plain, compression)

    return chunks()


def _export(
    repository: Repository,
    version: int | None,
    secrets: Secrets,
    progress: ProgressCallback | None,
) -> Export:
    require_choice("secrets", secrets, Secrets)
    omission = Omission.of(repository.schema, secrets)
    if version is None or version == repository.schema.version:
        return Export(repository, omission, progress)
    from databackup.operations.older import OlderExport  # noqa: PLC0415 - which few exports need

    return OlderExport(repository, omission, version, progress)


class Export:
    """One export: its chunks, and then its report."""

    def __init__(
        self, repository: Repository, omission: Omission, progress: ProgressCallback | None
    ) -> None:
        self._repository = repository
        self._omission = omission
        self._progress = progress

    def migrated(self) -> MigrationReport | None:
        """What became of the records on their way to another version."""
        return None

    def chunks(self) -> Generator[bytes]:
        """The bytes of the archive."""
        with self._repository.snapshot() as snapshot:
            self._header = self._header_of(snapshot)
            self._writer = ArchiveWriter(self._header)
            yield from self._writer.chunks(self._records(snapshot))

    def _header_of(self, snapshot: Snapshot) -> Header:
        return self._omission.header(header_of(self._repository, snapshot))

    def _records(self, snapshot: Snapshot) -> Iterator[tuple[Collection, Iterator[_Rows]]]:
        for collection in self._repository.schema.ordered:
            yield self._omission.of_records(collection, self._batches(snapshot, collection))

    def _batches(self, snapshot: Snapshot, collection: Collection) -> Iterator[Forms | list[Row]]:
        total = snapshot.count(collection)
        done = 0
        for rows in forms_of(snapshot, collection):
            yield rows
            done += len(rows)
            if self._progress is not None:
                name = collection.name
                self._progress(Progress(stage="exporting", collection=name, done=done, total=total))
        require_all(collection.name, total, done)

    def report(self, written: files.Written) -> ExportReport:
        """What was written."""
        counts = {name: end.count for name, end in self._writer.ends.items()}
        return ExportReport(
            path=written.path,
            archive_id=self._header.archive_id,
            created_at=self._header.created_at,
            collections=counts,
            records=sum(counts.values()),
            size=written.size,
            seal=self._writer.seal,
            excluded=self._header.excluded,
            migrated=self.migrated(),
            warnings=(
                *written.warnings,
                *needed(self._writer.needs | written.needs),
                *self._omission.warnings(),
            ),
            omitted=self._omission.listed,
        )


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
