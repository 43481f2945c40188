"""Export: one consistent snapshot of a repository, streamed into an archive."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any

import attrs

from databackup._version import __version__
from databackup.archive import compression as packed
from databackup.archive import files
from databackup.archive.format import Header, utc_now
from databackup.archive.limits import needed
from databackup.archive.records import Batch
from databackup.archive.writer import ArchiveWriter
from databackup.errors import PROBLEM_LIMIT, InvalidRecords, StoreFailed
from databackup.migrations.running import Findings, Numbered, Runner
from databackup.migrations.way import way_of
from databackup.operations.keys import UniqueKeys
from databackup.operations.migrating import keeps_key, migrated_header, migration_report
from databackup.operations.options import require_choice
from databackup.operations.reports import ExportReport, MigrationReport, Progress
from databackup.repository import forms_of
from databackup.schema import Schema
from databackup.schema.document import describe, description_digest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from databackup.errors import Problem
    from databackup.migrations.flows import Flow
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

    `version` is an older version of the schema, by which the app of that time can read the archive:
    the migrations are undone on the way, and the report counts what is lost by that.

    Raises `FileError`, `StoreError`, `InvalidRecords`, and whatever `progress` raises; for a
    `version` also `VersionMismatch`, `NoInverse` and `SchemaError`.
    """
    export = _export(repository, version, progress)
    return export.report(files.write_archive(destination, export.chunks()))


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
) -> _Export:
    if version is None or version == repository.schema.version:
        return _Export(repository, progress)
    return _OlderExport(repository, version, progress)


class _Export:
    """One export: its chunks, and then its report."""

    def __init__(self, repository: Repository, progress: ProgressCallback | None) -> None:
        self._repository = repository
        self._progress = progress

    def migrated(self) -> MigrationReport | None:
        """What became of the records on their way to another version."""
        return None

    def chunks(self) -> Generator[bytes]:
        with self._repository.snapshot() as snapshot:
            self._header = self._header_of(snapshot)
            self._writer = ArchiveWriter(self._header)
            yield from self._writer.chunks(self._records(snapshot))

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
                self._progress(Progress(stage="exporting", collection=name, done=done, total=total))
        _require_all(collection.name, total, done)

    def report(self, written: files.Written) -> ExportReport:
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


class _OlderExport(_Export):
    """As an older version of the schema has it: records are migrated back as they are written."""

    def __init__(
        self, repository: Repository, version: int, progress: ProgressCallback | None
    ) -> None:
        super().__init__(repository, progress)
        self._way = way_of(repository.schema, repository.schema.version, version)
        self._older = Schema(
            app=repository.schema.app,
            version=version,
            collections=list(self._way.after.values()),
            exclude={exclusion.name: exclusion.reason for exclusion in repository.schema.excluded},
        )
        self._composition = self._way.composition()
        self._flows = self._composition.flows
        self._counts: dict[str, int] = {}
        self._runners: dict[str, Runner] = {}
        self._is_writing = False

    def chunks(self) -> Generator[bytes]:
        try:
            yield from super().chunks()
        except InvalidRecords as error:
            if not self._is_writing:
                raise
            step = ", ".join(f"the migration {step}" for step in self._way.steps)
            found = [attrs.evolve(p, message=f"after {step}: {p.message}") for p in error.problems]
            raise InvalidRecords.of(self._refusal, found, error.total) from error

    @property
    def _refusal(self) -> str:
        return f"records cannot be migrated back to version {self._older.version}"

    def migrated(self) -> MigrationReport:
        versions = (self._repository.schema.version, self._older.version)
        return migration_report(self._way, self._composition, versions, self._counts, self._runners)

    def _header_of(self, snapshot: Snapshot) -> Header:
        return migrated_header(super()._header_of(snapshot), self._older, self._flows)

    def _records(self, snapshot: Snapshot) -> Iterator[tuple[Collection, Iterator[_Rows]]]:
        own = self._repository.schema
        self._counts = {name: snapshot.count(own[name]) for name in self._way.before}
        for collection in self._older.ordered:
            yield collection, self._migrated(snapshot, collection)

    def _migrated(self, snapshot: Snapshot, collection: Collection) -> Iterator[list[Row]]:
        flow = self._flows[collection.name]
        findings = Findings()

        def read(name: str) -> Iterator[Numbered]:
            return _numbered(snapshot, self._repository.schema[name])

        with _unique(collection, flow) as keys, Runner(flow, read, findings) as runner:
            name = None if flow.source is None else flow.source.name
            for batch in () if name is None else self._told(name, read(name)):
                made = runner.run(batch)
                rows = list(made.rows)
                found = findings.taken()
                if keys is not None:
                    found += keys.check(Batch(rows, made.numbers))
                self._refuse(found)
                self._is_writing = True
                yield rows
                self._is_writing = False
            self._refuse(findings.taken())  # of what was looked up for no record
            runner.finish()
            self._runners[collection.name] = runner

    def _refuse(self, found: list[Problem]) -> None:
        if found:
            raise InvalidRecords.of(self._refusal, found[:PROBLEM_LIMIT], len(found))

    def _told(self, name: str, batches: Iterator[Numbered]) -> Iterator[Numbered]:
        total = self._counts[name]
        done = 0
        for batch in batches:
            yield batch
            done += len(batch.rows)
            if self._progress is not None:
                self._progress(Progress(stage="exporting", collection=name, done=done, total=total))
        _require_all(name, total, done)


def _unique(
    collection: Collection, flow: Flow
) -> contextlib.AbstractContextManager[UniqueKeys | None]:
    """What sees that keys are unique where they are others than the store has seen."""
    if keeps_key(collection, flow):
        return contextlib.nullcontext()
    return UniqueKeys(collection, collection.codec, in_order=False)


def _numbered(snapshot: Snapshot, collection: Collection) -> Iterator[Numbered]:
    done = 0
    for rows in snapshot.rows(collection):
        yield Numbered(rows, range(done + 1, done + len(rows) + 1))
        done += len(rows)


def _require_all(collection: str, total: int, done: int) -> None:
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
