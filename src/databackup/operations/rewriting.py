"""Rewriting an archive as another version of its app's schema, without a store."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import attrs

from databackup.archive import files
from databackup.archive.format import described_schema
from databackup.archive.limits import Limits, needed
from databackup.archive.reader import open_archive
from databackup.archive.records import RecordCodec
from databackup.archive.writer import ArchiveWriter
from databackup.errors import InvalidRecords, WrongApp
from databackup.migrations.way import way_of
from databackup.operations.keys import UniqueKeys
from databackup.operations.locate import ProblemList
from databackup.operations.migrating import MigratedArchive
from databackup.operations.omitted import Omission
from databackup.operations.reports import ExportReport, Progress, reported
from databackup.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.archive.reader import Archive
    from databackup.archive.records import Batch
    from databackup.operations.reports import ProgressCallback
    from databackup.schema import Collection, Row


def migrate_archive(
    source: files.PathOrFile,
    destination: files.PathOrFile,
    schema: Schema,
    *,
    version: int | None = None,
    limits: Limits | None = None,
    progress: ProgressCallback | None = None,
) -> ExportReport:
    """Write an archive anew as another version of its app's schema, by default as today's.

    An older `version` is reached by undoing migrations. `destination` is written as `export_all`
    writes; the new archive has an id of its own, and says when its data were exported. `progress`
    is told last of the stage "finishing", when all is written but `destination` has not its name.

    Raises `FileError`, the `ArchiveError`s, `WrongApp`, `SchemaMismatch`, `SchemaError`,
    `NoInverse`, `InvalidRecords` with up to 100 problems, and whatever `progress` raises.
    """
    with open_archive(source, limits) as archive:
        rewriting = _Rewriting(
            archive, schema, schema.version if version is None else version, progress
        )
        return rewriting.report(files.write_archive(destination, rewriting.chunks()))


class _Rewriting:
    """One archive, written as another version."""

    def __init__(
        self, archive: Archive, schema: Schema, version: int, progress: ProgressCallback | None
    ) -> None:
        header = archive.header
        if header.app != schema.app:
            message = f"the archive belongs to the app {header.app!r}, this is {schema.app!r}"
            raise WrongApp(message, header.app or "", schema.app or "")
        given = described_schema(header).collections
        way = way_of(schema, header.schema_version, version, given)
        if version != schema.version:
            schema = Schema(app=schema.app, version=version, collections=list(way.after.values()))
        self._archive = MigratedArchive(archive, schema, way)
        self._omission = Omission(schema, self._archive.header.omitted)
        self._schema = self._omission.recorded
        self._progress = progress
        self._header = attrs.evolve(self._archive.header, archive_id=str(uuid.uuid4()))
        self._writer = ArchiveWriter(self._header)
        self._problems = ProblemList()

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the new archive. Raises `InvalidRecords`."""
        yield from self._writer.chunks(self._collections())
        self._raise_problems()
        if self._progress is not None:
            total = sum(end.count for end in self._writer.ends.values())
            self._progress(Progress(stage="finishing", collection="", done=total, total=total))

    def _collections(self) -> Iterator[tuple[Collection, Iterator[list[Row]]]]:
        for name, read in self._archive.collections():
            collection = self._schema[name]
            batches = read(RecordCodec(collection))
            end = self._archive.ends[name]
            told = reported(batches, "migrating", name, end, self._progress)
            yield collection, self._sound(collection, told)

    def _sound(self, collection: Collection, batches: Iterator[Batch]) -> Iterator[list[Row]]:
        in_order = self._header.in_key_order(collection.name)
        with UniqueKeys(collection, collection.codec, in_order=in_order) as keys:
            for batch in batches:
                self._problems.add([*batch.problems, *keys.check(batch)])
                if self._problems.are_enough:
                    self._raise_problems()
                yield batch.rows

    def _raise_problems(self) -> None:
        if self._problems:
            headline = self._problems.headline("the archive cannot be migrated")
            raise InvalidRecords.of(headline, self._problems.located, self._problems.total)

    def report(self, written: files.Written) -> ExportReport:
        """What was written."""
        counts = {name: end.count for name, end in self._writer.ends.items()}
        done = self._archive.report()
        return ExportReport(
            path=written.path,
            archive_id=self._header.archive_id,
            created_at=self._header.created_at,
            collections=counts,
            records=sum(counts.values()),
            size=written.size,
            seal=self._writer.seal,
            excluded=self._header.excluded,
            migrated=done,
            warnings=(
                *written.warnings,
                *needed(self._writer.needs | written.needs),
                *self._omission.warnings(),
            ),
            omitted=self._omission.listed,
        )
