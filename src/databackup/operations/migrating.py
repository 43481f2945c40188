"""An archive of an older version, read as if it were of today's."""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING, Protocol

import attrs

from databackup.archive.digest import Digest
from databackup.archive.format import CollectionEnd
from databackup.archive.records import Batch, RecordCodec
from databackup.errors import InvalidRecords, SchemaMismatch
from databackup.migrations.flows import Flow, Given, LookUp, Origin, Project, root
from databackup.migrations.omitting import omitting
from databackup.migrations.running import Enough, Findings, Numbered, Runner
from databackup.migrations.way import Way
from databackup.operations.blame import Blame
from databackup.operations.fit import in_key_order
from databackup.operations.keys import UniqueKeys
from databackup.operations.locate import ProblemList
from databackup.operations.omitted import Omission
from databackup.operations.reports import MigrationReport
from databackup.operations.tracing import made_of, traced
from databackup.schema.document import describe, description_digest
from databackup.schema.requirements import evolved
from databackup.schema.secrets import has_secrets, marked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from databackup.archive.format import Header
    from databackup.archive.reader import Archive
    from databackup.errors import Problem
    from databackup.migrations.composing import Composition
    from databackup.migrations.running import Read
    from databackup.operations.readable import ReadRecords
    from databackup.schema import Collection, Row, Schema


class MigratedArchive:
    """What an archive would hold had it been made by today's app.

    It is read like an `Archive`. Its totals are known when its records have been read, and reading
    them is what tells them to who asks before. Numbers of records are those in the file. Secret
    fields that the archive omits are lacking here, too. Raises `SecretsMissing` for a migration
    that needs them.
    """

    def __init__(self, archive: Archive, schema: Schema, way: Way) -> None:
        self._archive = archive
        self._way, omitted = omitting(_marked(way, schema), archive.header.omitted)
        omission = Omission(schema, omitted)
        self._schema = schema = omission.recorded
        self._composition = self._way.composition(schema.collections)
        self._flows = self._composition.flows
        if archive.header.selection is not None:
            there = frozenset(archive.header.collections)
            self._flows = _flows_of_selection(self._composition, there)
        self.header = omission.header(migrated_header(archive.header, schema, self._flows))
        self.seal = archive.seal
        self.ends: dict[str, End] = {
            c.name: End(self, c.name) for c in schema.collections if c.name in self._flows
        }
        self._losses: dict[str, Runner] = {}
        self._removed: list[Runner] | None = None

    def report(self) -> MigrationReport:
        """What was done to the records that were read."""
        counts = {name: end.count for name, end in self._archive.ends.items()}
        source = self._archive.header.schema_version
        versions = (source, self._schema.version)
        runners = [*self._losses.values(), *(self._removed or ())]
        composition = self._composition
        if self._losses.keys() != self._flows.keys():
            # A selection was read, which no collection that is removed belongs to.
            composition = attrs.evolve(composition, removed=())
        return migration_report(self._way, composition, versions, counts, runners)

    def traced(self, problems: Sequence[Problem]) -> list[Problem]:
        """Problems of migrated records, with the steps that have led to them: see `tracing`."""
        return traced(problems, self._way, self._flows, self._as_archived)

    def collections(self) -> Iterator[tuple[str, ReadRecords]]:
        """Each collection's name, and a function that reads its records: see `Archive`."""
        reading = _Reading(self._archive)
        for name in self.header.collections:
            yield name, functools.partial(self._batches, reading, name)
        # What no collection begins with is read, too: it may be damaged.
        begun = {flow.source.name for flow in self._flows.values() if flow.source is not None}
        if begun <= reading.done:
            there = self._archive.header.collections
            reading.check(self._way.before[name] for name in there if name not in begun)
            if self._removed is None:
                self._removed = run_removed(self._composition, self._as_archived, set(there))
        reading.finish()

    def _as_archived(self, name: str) -> Iterator[Numbered]:
        """The sound records of a collection, as the archive has it."""
        for batch in _Reading(self._archive).batches(self._way.before[name]):
            yield Numbered(batch.rows, batch.numbers)

    def count_of(self, name: str) -> int:
        """How many records a collection has."""
        source = self._flows[name].source
        return 0 if source is None else self._archive.ends[source.name].count

    def digest_of(self, name: str) -> str:
        """The digest of a collection, found by reading it."""
        digest = Digest(name)
        codec = RecordCodec(self._schema[name])
        for batch in self._batches(_Reading(self._archive), name, codec):
            digest.add(batch.canonical)
        return digest.hex

    def _batches(
        self, reading: _Reading, name: str, codec: RecordCodec, *, digests: bool = True
    ) -> Iterator[Batch]:
        del digests  # which are always needed
        flow = self._flows[name]
        findings = reading.findings

        def apart(source: str) -> Iterator[Numbered]:
            for batch in _Reading(self._archive).batches(self._way.before[source]):
                for problem in batch.problems:
                    findings(problem)
                yield Numbered(batch.rows, batch.numbers)

        digest = Digest(name)
        try:
            with Runner(flow, apart, findings) as runner, Blame(self._way, name, apart) as blame:
                for batch in self._with_own_keys(reading, name):
                    for problem in batch.problems:
                        findings(problem)
                    made = runner.run(Numbered(batch.rows, batch.numbers))
                    sound = _sound(made, batch, flow.source, codec, blame, findings)
                    digest.add(sound.canonical)
                    yield attrs.evolve(sound, problems=findings.taken())
                runner.finish()
                self._losses[name] = runner
                if late := findings.taken():  # of what was looked up for no record
                    yield Batch([], [], late)
        except Enough:
            yield Batch([], [], findings.taken())
        if digest.count == self.count_of(name):
            self.ends[name].note(digest.hex)

    def _with_own_keys(self, reading: _Reading, name: str) -> Iterator[Batch]:
        """The records that a collection is made of.

        Where it has another key than they had, nobody else sees that theirs were unique.
        """
        flow = self._flows[name]
        if flow.source is None:
            return
        batches = reading.batches(flow.source)
        keeps = keeps_key(self._schema[name], flow)
        yield from batches if keeps else reading.unique(flow.source, batches)


def _sound(  # noqa: PLR0917 - what a record has met on its way
    made: Numbered,
    batch: Batch,
    source: Collection | None,
    codec: RecordCodec,
    blame: Blame,
    findings: Findings,
) -> Batch:
    """The records that are as today's schema wants them; what is wrong with others is noted."""
    rows = list(made.rows)
    try:
        canonical = codec.canonical(rows)
    except InvalidRecords:
        starts = dict(zip(batch.numbers, batch.rows, strict=True))
        kept: list[tuple[Row, int]] = []
        for row, number in zip(rows, made.numbers, strict=True):
            found = codec.codec.explain_rows([row], number)
            if not found:
                kept.append((row, number))
                continue
            step = blame.step(starts[number], number)
            for problem in found:
                said = attrs.evolve(problem, message=f"after {step}: {problem.message}")
                findings(said if source is None else made_of(said, source, starts[number]))
        rows = [row for row, _ in kept]
        numbers = [number for _, number in kept]
        return Batch(rows, numbers, make_canonical=lambda: codec.canonical(rows))
    return Batch(rows, made.numbers, make_canonical=lambda: canonical)


def _marked(way: Way, schema: Schema) -> Way:
    """A way on which is secret what will be: old records are told of, too."""
    if not any(map(has_secrets, schema.collections)):
        return way
    secret: dict[str, set[str]] = {}
    for name, flow in way.flows(schema.collections).items():
        for position, field in enumerate(schema[name].fields):
            origin = _made_of(flow, position) if field.secret else None
            if origin is not None and flow.source is not None:
                names = secret.setdefault(flow.source.name, set())
                names.add(flow.source.field_names[origin])
    before = {
        name: evolved(c, fields=marked(name, c.fields, secret.get(name, ())))
        for name, c in way.before.items()
    }
    return Way.of(before, way.steps)


def _made_of(flow: Flow, position: int) -> int | None:
    """Where in the source the value stands that one at the flow's end is made of."""
    for stage in reversed(flow.stages):
        if isinstance(stage, Project):
            origin = root(stage.expressions[position])
            if not isinstance(origin, Given):
                return None
            position = origin.position
        elif isinstance(stage, LookUp) and position >= stage.start:
            return None
    return position


class Totalled(Protocol):
    """What can tell the totals of its collections."""

    def count_of(self, name: str) -> int:
        """How many records a collection has."""

    def digest_of(self, name: str) -> str:
        """The digest of a collection."""


@attrs.define(eq=False)
class End:
    """Count and digest of a collection; the digest is found when it is asked for."""

    _archive: Totalled
    _name: str
    _digest: str | None = None

    @property
    def count(self) -> int:
        """How many records there are."""
        return self._archive.count_of(self._name)

    @property
    def digest(self) -> str:
        """The digest of the records."""
        if self._digest is None:
            self._digest = self._archive.digest_of(self._name)
        return self._digest

    def note(self, digest: str) -> None:
        """Take over a digest that was found on the way."""
        self._digest = digest

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CollectionEnd | End):
            return NotImplemented
        return (self.count, self.digest) == (other.count, other.digest)

    __hash__ = None  # type: ignore[assignment]


class _Reading:
    """Reads an archive's collections in any order, in one pass where it is the file's."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._pass = archive.collections()
        self.done: set[str] = set()
        self.findings = Findings()

    def batches(self, collection: Collection) -> Iterator[Batch]:
        """The records of one collection, by the kinds of its own version."""
        yield from self._reader(collection.name)(RecordCodec(collection))
        self.done.add(collection.name)

    def unique(self, collection: Collection, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Batches, with what is wrong with the keys of their records."""
        in_order = in_key_order(self._archive.header, collection)
        with UniqueKeys(collection, collection.codec, in_order=in_order) as keys:
            for batch in batches:
                yield attrs.evolve(batch, problems=[*batch.problems, *keys.check(batch)])

    def _reader(self, wanted: str) -> ReadRecords:
        while True:
            for name, read in self._pass:
                if name == wanted:
                    return read
            self._pass = self._archive.collections()

    def check(self, collections: Iterable[Collection]) -> None:
        """See that collections that nothing is made of are sound. Raises `InvalidRecords`."""
        problems = ProblemList()
        for collection in collections:
            for batch in self.unique(collection, self.batches(collection)):
                problems.add(batch.problems)
                if problems.are_enough:
                    break
        if problems:
            headline = problems.headline("collections that a migration removes are not sound")
            raise InvalidRecords.of(headline, problems.located, problems.total)

    def finish(self) -> None:
        """Come to the end of the file, where its seal is checked once more."""
        for _ in self._pass:
            pass


def run_removed(
    composition: Composition, read: Read, there: AbstractSet[str] | None = None
) -> list[Runner]:
    """Carry out what was done to records before their collections were removed, to count it.

    Of collections that are `there`, where not all are. What fails is left out: a record that is
    lost anyway harms nobody.
    """
    done = []
    for removed in composition.removed:
        source = removed.flow.source
        if source is None or not removed.flow.counts:
            continue
        if there is not None and not removed.flow.made_of <= there:
            continue
        with Runner(removed.flow, read, lambda _problem: None) as runner:
            for batch in read(source.name):
                runner.run(batch)
            runner.finish()
        done.append(runner)
    return done


def migration_report(
    way: Way,
    composition: Composition,
    versions: tuple[int, int],
    counts: Mapping[str, int],
    runners: Iterable[Runner],
) -> MigrationReport:
    """What became of records, by the runners that they went through."""
    dropped, filled = Counter[str](), Counter[str]()
    for runner in runners:
        dropped += runner.dropped
        filled += runner.filled
    for removed in composition.removed:
        if removed.flow.source is not None:  # a selection lacks some
            dropped[removed.name] += counts.get(removed.flow.source.name, 0)
    dropped = +dropped
    return MigrationReport(
        source=versions[0],
        target=versions[1],
        steps=tuple(map(str, way.steps)),
        dropped=dict(sorted(dropped.items())),
        defaulted=dict(sorted(filled.items())),
    )


def migrated_header(header: Header, schema: Schema, flows: Mapping[str, Flow]) -> Header:
    """What the header would say today, of the collections that have flows."""
    described = describe(schema)["collections"]
    description = {"collections": {n: found for n, found in described.items() if n in flows}}
    digest = description_digest(description)
    for name, collection in description["collections"].items():
        is_in_order = _keeps_order(header, schema[name], flows[name])
        collection["order"] = "key" if is_in_order else "none"
    counters = {
        name: header.counters[flow.source.name]
        for name, flow in flows.items()
        if flow.source is not None and flow.source.name in header.counters
    }
    others = {name: value for name, value in header.extensions.items() if name != "counters"}
    return attrs.evolve(
        header,
        app=schema.app,
        selection=None if header.selection is None else tuple(description["collections"]),
        schema=description,
        schema_version=schema.version,
        schema_digest=digest,
        extensions={**others, **({"counters": counters} if counters else {})},
    )


def _keeps_order(header: Header, collection: Collection, flow: Flow) -> bool:
    """Whether records that were in the order of their keys still are."""
    if flow.source is None:
        return bool(collection.key)
    return header.in_key_order(flow.source.name) and keeps_key(collection, flow)


def keeps_key(collection: Collection, flow: Flow) -> bool:
    """Whether the records of a collection have the keys of those that they are made of."""
    source = flow.source
    if source is None:
        return False
    positions = [_origin(flow, position) for position in collection.key_positions]
    if positions != list(source.key_positions):
        return False
    pairs = zip(source.key, collection.key, strict=True)
    return all(
        source.field(old).form.describe() == collection.field(new).form.describe()
        for old, new in pairs
    )


def _origin(flow: Flow, position: int) -> int | None:
    """Where in the source a value at the flow's end stands, None where something was done to it."""
    for stage in reversed(flow.stages):
        if isinstance(stage, LookUp):
            if position >= stage.start:
                return None
        elif isinstance(stage, Project):
            expression = stage.expressions[position]
            if not isinstance(expression, Given):
                return None
            position = expression.position
        elif position not in stage.kept:
            return None
    return position


def _flows_of_selection(composition: Composition, there: frozenset[str]) -> dict[str, Flow]:
    """The flows that begin with the collections that an archive has.

    What a migration adds is no part of a selection that was made before it. Raises `SchemaMismatch`
    where a migration brings values together of which the archive has only some.
    """
    chosen = {}
    wrong = []
    for name, flow in composition.flows.items():
        lacking = flow.made_of - there
        if lacking == flow.made_of:
            continue
        if lacking:
            sources, gone = (", ".join(sorted(found)) for found in (flow.made_of, lacking))
            wrong.append(
                f"{_mixing(flow, there)}, makes {name} of {sources}, and the archive, which has a "
                f"selection, lacks {gone}"
            )
        else:
            chosen[name] = flow
    if wrong:
        raise SchemaMismatch("the archive cannot be migrated: " + "; ".join(wrong), tuple(wrong))
    return chosen


def _mixing(flow: Flow, there: frozenset[str]) -> Origin:
    """The first operation that brings what is there together with what is not."""
    is_there = flow.source is not None and flow.source.name in there
    return next(
        stage.origin
        for stage in flow.stages
        if isinstance(stage, LookUp)
        if any((name in there) != is_there for name in stage.other.made_of)
    )
