"""Export as an older version: the migrations are undone on the way."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import attrs

from databackup.archive.records import Batch
from databackup.errors import PROBLEM_LIMIT, InvalidRecords
from databackup.migrations.omitting import omitting
from databackup.migrations.running import Findings, Numbered, Runner
from databackup.migrations.way import way_of
from databackup.operations.export import Export, header_of, require_all
from databackup.operations.keys import UniqueKeys
from databackup.operations.migrating import keeps_key, migrated_header, migration_report
from databackup.operations.omitted import Omission, rows_leaving_out
from databackup.operations.reports import MigrationReport, Progress
from databackup.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from databackup.archive.format import Header
    from databackup.errors import Problem
    from databackup.migrations.flows import Flow
    from databackup.operations.reports import ProgressCallback
    from databackup.repository import Repository, Row, Snapshot
    from databackup.schema import Collection


class OlderExport(Export):
    """As an older version of the schema has it: records are migrated back as they are written."""

    def __init__(
        self,
        repository: Repository,
        omission: Omission,
        version: int,
        progress: ProgressCallback | None,
    ) -> None:
        way = way_of(repository.schema, repository.schema.version, version)
        older = Schema(
            app=repository.schema.app,
            version=version,
            collections=list(way.after.values()),
            exclude={exclusion.name: exclusion.reason for exclusion in repository.schema.excluded},
        )
        self._way, omitted_then = omitting(way, omission.omitted)
        super().__init__(repository, Omission(older, omitted_then), progress)
        self._omitted = omission.omitted
        self._older = self._omission.recorded
        self._composition = self._way.composition()
        self._flows = self._composition.flows
        self._counts: dict[str, int] = {}
        self._runners: dict[str, Runner] = {}
        self._is_writing = False

    def chunks(self) -> Generator[bytes]:
        """The bytes of the archive. Raises `InvalidRecords`."""
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
        """What became of the records on their way back."""
        versions = (self._repository.schema.version, self._older.version)
        return migration_report(self._way, self._composition, versions, self._counts, self._runners)

    def _header_of(self, snapshot: Snapshot) -> Header:
        today = header_of(self._repository, snapshot)
        return self._omission.header(migrated_header(today, self._older, self._flows))

    def _records(self, snapshot: Snapshot) -> Iterator[tuple[Collection, Iterator[list[Row]]]]:
        own = self._repository.schema
        self._counts = {name: snapshot.count(own[name]) for name in self._way.before}
        for collection in self._older.ordered:
            yield collection, self._migrated(snapshot, collection)

    def _migrated(self, snapshot: Snapshot, collection: Collection) -> Iterator[list[Row]]:
        flow = self._flows[collection.name]
        findings = Findings()

        def read(name: str) -> Iterator[Numbered]:
            return _numbered(snapshot, self._repository.schema[name], self._omitted.get(name))

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
        require_all(name, total, done)


def _unique(
    collection: Collection, flow: Flow
) -> contextlib.AbstractContextManager[UniqueKeys | None]:
    """What sees that keys are unique where they are others than the store has seen."""
    if keeps_key(collection, flow):
        return contextlib.nullcontext()
    return UniqueKeys(collection, collection.codec, in_order=False)


def _numbered(
    snapshot: Snapshot, collection: Collection, omitted: frozenset[str] | None
) -> Iterator[Numbered]:
    done = 0
    batches = snapshot.rows(collection)
    if omitted is not None:
        batches = map(rows_leaving_out(collection, omitted), batches)
    for rows in batches:
        yield Numbered(rows, range(done + 1, done + len(rows) + 1))
        done += len(rows)
