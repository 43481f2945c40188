"""Export as an older version: the migrations are undone on the way."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import attrs

from databackup.archive.records import Batch
from databackup.errors import InvalidRecords, NotMigratedBack
from databackup.migrations.omitting import omitting
from databackup.migrations.running import Findings, Numbered, Runner
from databackup.migrations.way import way_of
from databackup.operations.doubted import DoubtedReferences
from databackup.operations.export import Export, header_of, require_all
from databackup.operations.keys import UniqueKeys
from databackup.operations.locate import ProblemList
from databackup.operations.migrating import (
    keeps_key,
    migrated_header,
    migration_report,
    run_removed,
)
from databackup.operations.omitted import Omission, rows_leaving_out
from databackup.operations.reports import MigrationReport, Progress
from databackup.operations.tracing import after_steps, made_of, steps_of, traced
from databackup.schema import Schema
from databackup.schema.narrowed import without
from databackup.schema.versions import app_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from databackup.archive.format import Header
    from databackup.errors import Problem
    from databackup.migrations.flows import Flow
    from databackup.migrations.way import Way
    from databackup.operations.reports import ProgressCallback
    from databackup.operations.selection import Choice
    from databackup.repository import Repository, Row, Snapshot
    from databackup.schema import Collection


class OlderExport(Export):
    """As an older version of the schema has it: records are migrated back as they are written."""

    def __init__(
        self,
        repository: Repository,
        choice: Choice,
        omission: Omission,
        version: int,
        progress: ProgressCallback | None,
    ) -> None:
        way = way_of(repository.schema, repository.schema.version, version)
        older = Schema(
            app=app_of(repository.schema, version),
            version=version,
            collections=list(way.after.values()),
            exclude={exclusion.name: exclusion.reason for exclusion in repository.schema.excluded},
        )
        selection = choice.among(older)
        if selection is not None:
            omission = omission.among(_sources(way, selection.names))
        self._way, omitted_then = omitting(way, omission.omitted)
        super().__init__(repository, selection, Omission(older, omitted_then), progress)
        self._omitted = omission.omitted
        self._older = without(older, omitted_then)
        self._composition = self._way.composition()
        self._flows = self._composition.flows
        self._counts: dict[str, int] = {}
        self._runners: list[Runner] = []
        self._batch = Numbered((), ())
        self._is_writing = False

    def chunks(self) -> Generator[bytes]:
        """The bytes of the archive. Raises `InvalidRecords`."""
        try:
            yield from super().chunks()
        except InvalidRecords as error:
            if not self._is_writing:
                raise
            found = map(self._blamed, error.problems)
            raise NotMigratedBack.of(self._refusal, found, error.total) from error

    def _blamed(self, problem: Problem) -> Problem:
        """The problem of a value that is not valid, with the steps that have made it."""
        steps = steps_of(problem, self._way) or self._way.steps
        said = ", ".join(f"the migration {step}" for step in steps)
        return self._made_of(attrs.evolve(problem, message=f"after {said}: {problem.message}"))

    def _made_of(self, problem: Problem) -> Problem:
        """The problem with the store's record that its own was made of, one of those at hand."""
        source = self._flows[str(problem.collection)].source
        if source is None:
            return problem
        start = self._batch.rows[self._batch.numbers.index(problem.record or 0)]
        return made_of(problem, source, start)

    @property
    def _refusal(self) -> str:
        return f"records cannot be migrated back to version {self._older.version}"

    def migrated(self) -> MigrationReport:
        """What became of the records on their way back."""
        versions = (self._repository.schema.version, self._older.version)
        composition = self._composition
        if self._selection is not None:
            composition = attrs.evolve(composition, removed=())  # which it would not have either
        return migration_report(self._way, composition, versions, self._counts, self._runners)

    def _header_of(self, snapshot: Snapshot) -> Header:
        today = header_of(self._repository, snapshot)
        return self._omission.header(migrated_header(today, self._older, self._flows))

    def _records(self, snapshot: Snapshot) -> Iterator[tuple[Collection, Iterator[list[Row]]]]:
        own = self._repository.schema
        self._counts = {name: snapshot.count(own[name]) for name in self._way.before}
        with DoubtedReferences(self._way, self._older, self._header.collections) as doubted:
            for name in self._header.collections:
                collection = self._older[name]
                yield collection, self._migrated(snapshot, collection, doubted)
            problems = ProblemList()
            for problem in doubted.problems():
                problems.add([problem])

        def read(name: str) -> Iterator[Numbered]:
            return _numbered(snapshot, own[name], self._omitted.get(name))

        problems.located = traced(problems.located, self._way, self._flows, read)
        self._refuse(problems)
        if self._selection is None:
            self._runners += run_removed(self._composition, read)

    def _migrated(
        self, snapshot: Snapshot, collection: Collection, doubted: DoubtedReferences
    ) -> Iterator[list[Row]]:
        flow = self._flows[collection.name]
        findings = Findings()

        def read(name: str) -> Iterator[Numbered]:
            return _numbered(snapshot, self._repository.schema[name], self._omitted.get(name))

        with _unique(collection, flow) as keys, Runner(flow, read, findings) as runner:
            name = None if flow.source is None else flow.source.name
            for batch in () if name is None else self._told(name, read(name)):
                self._batch = batch
                made = runner.run(batch)
                done = Batch(list(made.rows), made.numbers)
                self._refuse_any(findings.taken())
                self._is_writing = True
                yield done.rows
                self._is_writing = False  # and values are of their kinds
                if keys is not None:
                    twice = keys.check(done)
                    self._refuse_any([self._made_of(after_steps(p, self._way)) for p in twice])
                doubted.add(collection, done)
            self._refuse_any(findings.taken())  # of what was looked up for no record
            runner.finish()
            self._runners.append(runner)

    def _refuse_any(self, found: list[Problem]) -> None:
        problems = ProblemList()
        problems.add(found)
        self._refuse(problems)

    def _refuse(self, problems: ProblemList) -> None:
        if problems:
            raise NotMigratedBack.of(self._refusal, problems.located, problems.total)

    def _told(self, name: str, batches: Iterator[Numbered]) -> Iterator[Numbered]:
        total = self._counts[name]
        done = 0
        for batch in batches:
            yield batch
            done += len(batch.rows)
            if self._progress is not None:
                self._progress(Progress(stage="exporting", collection=name, done=done, total=total))
        require_all(name, total, done)


def _sources(way: Way, names: Iterable[str]) -> frozenset[str]:
    """The collections at the start of a way that some at its end are made of."""
    flows = way.flows()
    return frozenset().union(*(flows[name].made_of for name in names))


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
