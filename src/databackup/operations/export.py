"""Export: one consistent snapshot of a repository, streamed into an archive."""

from __future__ import annotations

import contextlib
import os
import uuid
from typing import TYPE_CHECKING, Any

from databackup._version import __version__
from databackup.archive import compression as packed
from databackup.archive import files
from databackup.archive.format import Header, utc_now
from databackup.archive.limits import needed
from databackup.archive.writer import ArchiveWriter
from databackup.errors import StoreFailed
from databackup.operations.naming import is_folder, write_into
from databackup.operations.options import require_choice
from databackup.operations.reports import ExportReport, MigrationReport, Progress
from databackup.repository import forms_of, place_of
from databackup.schema.document import describe, description_digest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from contextlib import AbstractContextManager

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
    progress: ProgressCallback | None = None,
) -> ExportReport:
    """Write everything a repository holds to an archive.

    The destination is a path or a file open for writing bytes. The suffixes `.gz` and `.zst` of a
    path compress. A path names either its old file or the complete new one, whatever happens.
    In a folder, which is one that is there or a name that ends in `/`, the archive is a new file
    named like `app_v3_20261122T101500Z_1234records.json.zst`; the report's `path` has its name.

    `version` is an older version of the schema, by which the app of that time can read the archive:
    the migrations are undone on the way, and the report counts what is lost by that.

    Raises `FileError`, `StoreError`, `InvalidRecords`, and whatever `progress` raises; for a
    `version` also `VersionMismatch`, `NoInverse` and `SchemaError`.
    """
    export = _export(repository, version, progress)
    return export.report(export.write(destination))


def iter_export(
    repository: Repository,
    *,
    compression: packed.Compression | None = None,
    version: int | None = None,
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
    export = _export(repository, version, progress)

    def chunks() -> Iterator[bytes]:
        with contextlib.closing(export.chunks()) as plain:
            yield from packed.compress(plain, compression)

    return chunks()


def _export(
    repository: Repository, version: int | None, progress: ProgressCallback | None
) -> Export:
    if version is None or version == repository.schema.version:
        return Export(repository, progress)
    from databackup.operations.older import OlderExport  # noqa: PLC0415 - which few exports need

    return OlderExport(repository, version, progress)


class Export:
    """One export: its chunks, and then its report."""

    stage = "exporting"

    def __init__(self, repository: Repository, progress: ProgressCallback | None) -> None:
        self._repository = repository
        self._progress = progress

    def migrated(self) -> MigrationReport | None:
        """What became of the records on their way to another version."""
        return None

    def write(self, destination: files.PathOrFile) -> files.Written:
        """Write the archive to a file, or to a new one in a folder. Raises as `export_all`."""
        if isinstance(destination, str | os.PathLike) and is_folder(destination):
            place = place_of(self._repository)
            store = None if place is None else place.name
            return write_into(destination, self.chunks(), self._what_was_written, store)
        return files.write_archive(destination, self.chunks())

    def _what_was_written(self) -> tuple[Header, int]:
        return self._header, sum(end.count for end in self._writer.ends.values())

    def chunks(self) -> Generator[bytes]:
        """The bytes of the archive."""
        with self._opened() as snapshot:
            self._header = self._header_of(snapshot)
            self._writer = ArchiveWriter(self._header)
            yield from self._writer.chunks(self._records(snapshot))

    def _opened(self) -> AbstractContextManager[Snapshot]:
        return self._repository.snapshot()

    def _header_of(self, snapshot: Snapshot) -> Header:
        return _header(self._repository, snapshot)

    def _records(self, snapshot: Snapshot) -> Iterator[tuple[Collection, Iterator[_Rows]]]:
        for collection in self._repository.schema.ordered:
            yield collection, self._batches(snapshot, collection)

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
            warnings=(*written.warnings, *needed(self._writer.needs | written.needs)),
        )


def require_all(collection: str, total: int, done: int) -> None:
    """See that a store gave all the records that it counts. Raises `StoreFailed`."""
    if done != total:
        raise StoreFailed(f"the store counts {total} records of {collection}, but gave {done}")


def _header(repository: Repository, snapshot: Snapshot) -> Header:
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
