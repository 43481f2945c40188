"""Data of an older version on their way to today's schema, and back as far as that goes."""

from __future__ import annotations

import functools
import io
import itertools
from typing import TYPE_CHECKING, Any

import attrs

from databackup.adapters.memory import MemoryRepository
from databackup.archive.reader import open_archive
from databackup.archive.records import RecordCodec
from databackup.errors import DatabackupError, VersionMismatch
from databackup.migrations.way import way_of
from databackup.operations.export import export_all
from databackup.operations.importing import import_all
from databackup.operations.rewriting import migrate_archive
from databackup.operations.verify import inspect_archive, verify_archive
from databackup.schema import Schema
from databackup.schema.evolution import Operation
from databackup.schema.versions import app_of
from databackup.testing.exact import exact_row

if TYPE_CHECKING:
    from databackup.migrations.way import Way
    from databackup.repository import Row
    from databackup.schema.recording import Migration

    Records = dict[str, list[dict[str, Any]]]


@attrs.frozen(slots=False)
class Journey:
    """The way from an older version of a schema, gone by archives in memory as bytes.

    All that it does is done by the operations that hosts use, so that what holds here holds there.
    """

    schema: Schema
    old: Schema

    @functools.cached_property
    def _way(self) -> Way:
        return way_of(self.schema, self.old.version, self.schema.version)

    @functools.cached_property
    def turn(self) -> int:
        """The last version up to which all steps can be undone."""
        steps = itertools.takewhile(
            lambda pair: not isinstance(pair[0].inverse(pair[1]), Operation),
            zip(self._way.steps, self._way.states, strict=False),
        )
        return self.old.version + sum(1 for _ in steps)

    def step_to(self, version: int) -> Migration:
        """The step that makes a version."""
        return self._way.steps[version - self.old.version - 1]

    def at(self, version: int) -> Schema:
        """The schema as it was at a version on the way, without models."""
        return Schema(
            app=app_of(self.schema, version),
            version=version,
            collections=list(self._way.states[version - self.old.version].values()),
            migrations=[step for step in self.schema.migrations if step.target <= version],
            versions=self.schema.versions,
        )

    def packed(self, records: Records) -> bytes:
        """The archive that the older app would export. Raises `DatabackupError`."""
        file = io.BytesIO()
        export_all(MemoryRepository(self.old, records), file)
        verify_archive(io.BytesIO(file.getvalue()), self.old)
        return file.getvalue()

    def arrive(self, archive: bytes) -> None:
        """Import an archive today. Raises `DatabackupError`."""
        contents: dict[str, list[Any]] = {c.name: [] for c in self.schema.collections}
        import_all(MemoryRepository(self.schema, contents), io.BytesIO(archive))

    def up(self, archive: bytes, version: int) -> bytes:
        """An older archive as one of a version. Raises `DatabackupError`."""
        return _migrated(archive, self.at(version), version)

    def down(self, archive: bytes, version: int) -> bytes:
        """An archive as one of an older version, which must be sound. Raises `DatabackupError`."""
        with open_archive(io.BytesIO(archive)) as opened:
            source = opened.header.schema_version
        back = _migrated(archive, self.at(source), version)
        verify_archive(io.BytesIO(back))
        return back

    # -- which step ----------------------------------------------------------------------------

    def blamed_up(self, archive: bytes) -> Migration | None:
        """The step from which on data are not sound; None where only models refuse them."""
        blamed = None
        for version in range(self.schema.version, self.old.version, -1):
            if not self._is_refused(archive, version):
                break
            blamed = self.step_to(version)
        return blamed

    def _is_refused(self, archive: bytes, version: int) -> bool:
        try:
            verify_archive(io.BytesIO(archive), self.at(version))
        except DatabackupError:
            return True
        return False

    def blamed_down(self, archive: bytes) -> Migration:
        """The step that the data cannot go back, or cannot go again after that."""
        for version in range(self.turn - 1, self.old.version, -1):
            try:
                self.up(self.down(archive, version), self.turn)
            except VersionMismatch:
                continue  # a version that was never frozen
            except DatabackupError:
                return self.step_to(version + 1)
        return self.step_to(self.old.version + 1)

    def blamed_back(self, archive: bytes) -> tuple[str, list[str]]:
        """The step whose inverse gives back something else, and what; or the way as a whole."""
        for version in range(self.old.version + 1, self.turn + 1):
            there = self.up(archive, version)
            try:
                again = self.up(self.down(there, version - 1), version)
            except VersionMismatch:
                continue  # the same
            if not same(there, again):
                return str(self.step_to(version)), differences(self.at(version), there, again)
        there = self.up(archive, self.turn)
        again = self.up(self.down(there, self.old.version), self.turn)
        steps = ", ".join(str(step) for step in self._way.steps if step.target <= self.turn)
        return steps, differences(self.at(self.turn), there, again)


def _migrated(archive: bytes, schema: Schema, version: int) -> bytes:
    file = io.BytesIO()
    migrate_archive(io.BytesIO(archive), file, schema, version=version)
    return file.getvalue()


def same(one: bytes, other: bytes) -> bool:
    """Whether two archives hold the same records."""
    totals = [
        {name: (found.records, found.digest) for name, found in info.collections.items()}
        for info in (inspect_archive(io.BytesIO(archive)) for archive in (one, other))
    ]
    return totals[0] == totals[1]


def differences(schema: Schema, one: bytes, other: bytes) -> list[str]:
    """The records that only one of two archives of a schema has, in words."""
    found = []
    before, after = _rows(schema, one), _rows(schema, other)
    for collection in schema.ordered:
        name = collection.name
        for verb, mine, theirs in (("was", before, after), ("came back as", after, before)):
            known = {exact_row(collection, row) for row in theirs[name]}
            found += [
                f"{name} {verb} {dict(zip(collection.field_names, row, strict=True))}"
                for row in mine[name]
                if exact_row(collection, row) not in known
            ]
    return found


def _rows(schema: Schema, archive: bytes) -> dict[str, list[Row]]:
    with open_archive(io.BytesIO(archive)) as opened:
        return {
            name: [row for batch in read(RecordCodec(schema[name])) for row in batch.rows]
            for name, read in opened.collections()
        }
