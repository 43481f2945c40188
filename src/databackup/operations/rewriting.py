"""Rewriting an archive as another version of its app's schema, without a store."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import attrs

from databackup.archive import files
from databackup.archive.encryption import Decryption, Encryption
from databackup.archive.limits import Limits
from databackup.archive.reader import open_archive
from databackup.archive.records import RecordCodec
from databackup.archive.writer import ArchiveWriter
from databackup.errors import InvalidRecords
from databackup.migrations.way import way_of
from databackup.operations.doubted import DoubtedReferences
from databackup.operations.export import export_report
from databackup.operations.fit import wrong_app_error
from databackup.operations.keys import UniqueKeys
from databackup.operations.locate import ProblemList
from databackup.operations.migrating import MigratedArchive
from databackup.operations.omitted import Omission
from databackup.operations.options import WrongAppChoice, require_choice
from databackup.operations.reports import Progress, reported
from databackup.schema import Schema
from databackup.schema.arguments import require_schema, require_version
from databackup.schema.versions import app_of, not_as_frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.archive.limits import Limits
    from databackup.archive.reader import Archive
    from databackup.archive.records import Batch
    from databackup.operations.reports import ExportReport, ProgressCallback
    from databackup.schema import Collection, Row


def migrate_archive(
    source: files.PathOrFile,
    destination: files.PathOrFile,
    schema: Schema,
    *,
    version: int | None = None,
    wrong_app: WrongAppChoice = "refuse",
    limits: Limits | None = None,
    encryption: Encryption | None = None,
    decryption: Decryption | None = None,
    progress: ProgressCallback | None = None,
) -> ExportReport:
    """Write an archive anew as another version of its app's schema, by default as today's.

    An older `version` is reached by undoing migrations. `destination` is written as `export_all`
    writes; the new archive has an id of its own, the name that the app has at its version, and says
    when its data were exported. With `wrong_app="allow"` the old one may bear another name than its
    version had. `progress`
    is told last of the stage "finishing", when all is written but `destination` has not its name.
    `decryption` opens `source`, `encryption` is what `destination` is encrypted with.

    Raises `FileError`, the `ArchiveError`s, `WrongApp`, `SchemaMismatch`, `SchemaError`,
    `NoInverse`, `InvalidRecords` with up to 100 problems, and whatever `progress` raises. Raises
    TypeError for what is no schema or no version.
    """
    require_schema(schema)
    require_version(version)
    require_choice("wrong_app", wrong_app, WrongAppChoice)
    with open_archive(source, limits, decryption) as archive:
        version = schema.version if version is None else version
        rewriting = _Rewriting(archive, schema, version, wrong_app, progress)
        return rewriting.report(files.write_archive(destination, rewriting.chunks(), encryption))


class _Rewriting:
    """One archive, written as another version."""

    def __init__(
        self,
        archive: Archive,
        schema: Schema,
        version: int,
        wrong_app: WrongAppChoice,
        progress: ProgressCallback | None,
    ) -> None:
        header = archive.header
        app = app_of(schema, header.schema_version)
        if header.app != app and wrong_app == "refuse":
            raise wrong_app_error(header, schema, app)
        is_selection = header.selection is not None
        versions = (header.schema_version, version)
        way = way_of(schema, *versions, header.whole, is_selection=is_selection)
        self._warnings = not_as_frozen(schema, version)
        if version != schema.version:
            app = app_of(schema, version)
            schema = Schema(app=app, version=version, collections=list(way.after.values()))
        self._way = way
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
        if self._progress is not None:
            total = sum(end.count for end in self._writer.ends.values())
            self._progress(Progress(stage="finishing", collection="", done=total, total=total))

    def _collections(self) -> Iterator[tuple[Collection, Iterator[list[Row]]]]:
        with DoubtedReferences(self._way, self._schema, self._header.collections) as doubted:
            for name, read in self._archive.collections():
                collection = self._schema[name]
                batches = read(RecordCodec(collection))
                end = self._archive.ends[name]
                told = reported(batches, "migrating", name, end, self._progress)
                yield collection, self._sound(collection, told, doubted)
            if not self._problems:
                for problem in doubted.problems():
                    self._problems.add_of_today([problem])
        self._raise_problems()

    def _sound(
        self, collection: Collection, batches: Iterator[Batch], doubted: DoubtedReferences
    ) -> Iterator[list[Row]]:
        in_order = self._header.in_key_order(collection.name)
        with UniqueKeys(collection, collection.codec, in_order=in_order) as keys:
            for batch in batches:
                self._problems.add(batch.problems)
                self._problems.add_of_today(keys.check(batch))
                if self._problems.are_enough:
                    self._raise_problems()
                doubted.add(collection, batch)
                yield batch.rows

    def _raise_problems(self) -> None:
        if self._problems:
            headline = self._problems.headline("the archive cannot be migrated")
            found = self._problems.locate(self._archive, self._schema)
            raise InvalidRecords.of(headline, found, self._problems.total)

    def report(self, written: files.Written) -> ExportReport:
        """What was written."""
        done = self._archive.report()
        return export_report(
            self._header, self._writer, written, done, self._omission, self._warnings
        )
