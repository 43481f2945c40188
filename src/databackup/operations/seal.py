"""Seal: an archive that was edited, read leniently, checked in full, and written anew."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import attrs

from databackup.archive import files
from databackup.archive.edited import EditedDocument, open_edited
from databackup.archive.encryption import Decryption, Encryption, require_encryption
from databackup.archive.format import Header, Provenance, utc_now
from databackup.archive.limits import DEFAULTS, Limits, needed, required_limits
from databackup.archive.records import RecordCodec
from databackup.archive.writer import ArchiveWriter
from databackup.errors import InvalidEdit, LimitExceeded
from databackup.operations.keys import References, UniqueKeys
from databackup.operations.locate import ProblemList
from databackup.operations.reports import Progress, SealReport
from databackup.operations.selection import leaving_warnings
from databackup.schema.compiled import Codec
from databackup.schema.document import describe_collection, description_digest
from databackup.schema.jsontext import deeper_than
from databackup.schema.jsonvalues import MAX_DEPTH
from databackup.spill import RowQueue
from databackup.veil import veiling

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from collections.abc import Set as AbstractSet

    from databackup.archive.records import Batch
    from databackup.operations.reports import ProgressCallback
    from databackup.repository import Row
    from databackup.schema import Schema


def seal_archive(
    edited: files.PathOrFile,
    sealed: files.PathOrFile,
    *,
    limits: Limits | None = None,
    encryption: Encryption | None = None,
    decryption: Decryption | None = None,
    progress: ProgressCallback | None = None,
) -> SealReport:
    """Make an archive of an edited one: what a person has changed is checked, counted and sealed.

    `edited` may be laid out in any way up to 64 MiB, and with one record on each line at any size.
    `sealed` is written as `export_all` writes, has an id of its own, and says in its header that
    it was edited, and from which archive. References that point nowhere are warnings. `decryption`
    opens `edited`, `encryption` is what `sealed` is encrypted with.

    Raises `FileError`, `NotAnArchive`, `NotUtf8`, `NewerFormat`, `NotSealable`, `LimitExceeded`,
    `ArchiveSwapped`, `InvalidEdit` with up to 100 problems, and whatever `progress` raises: last
    in the stage "finishing", when all is written but `sealed` has not taken its name.
    """
    limits = required_limits(limits)
    require_encryption(encryption)
    with (
        veiling(encryption is not None),
        open_edited(edited, limits, decryption) as document,
        RowQueue(trees=True) as queue,
    ):
        seal = _Seal(document, queue, limits, progress)
        seal.check()
        written = files.write_archive(sealed, seal.chunks(), encryption)
        return seal.report(written)


class _Seal:
    """One document: its records are checked into a queue, and written from there."""

    def __init__(
        self,
        document: EditedDocument,
        queue: RowQueue,
        limits: Limits,
        progress: ProgressCallback | None,
    ) -> None:
        self._limits = limits
        self._document = document
        self._queue = queue
        self._progress = progress
        self._schema = document.header.recorded
        # A file describes these collections: no JSON Schema is made for them.
        self._codecs = {c.name: Codec(c, validated=False) for c in self._schema.collections}
        self._parts: dict[str, range] = {}
        self._in_order: set[str] = set()
        self._warnings: tuple[str, ...] = ()

    def check(self) -> None:
        """Read all records, and see that values and keys are right. Raises `InvalidEdit`."""
        problems, dangling = ProblemList(), ProblemList()
        with References(self._schema) as references:
            for name, read in self._document.collections():
                start = self._queue.batch_count
                for batch in self._batches(name, read):
                    problems.add(batch.problems)
                    self._require_within_limits(name, batch)
                    references.add(self._schema[name], self._codecs[name], batch)
                    self._queue.put(batch.rows)
                    if problems.are_enough:
                        break
                self._parts[name] = range(start, self._queue.batch_count)
                if problems.are_enough:
                    break
            else:
                self._find_duplicates(problems)
            if problems:
                headline = problems.headline("the edited document is not sound")
                raise InvalidEdit.of(headline, problems.located, problems.total)
            for problem in references.dangling():
                dangling.add([problem])
        self._warnings = tuple(map(str, dangling.located))
        if dangling.total > len(dangling.located):
            more = dangling.total - len(dangling.located)
            self._warnings += (f"and {more} more references that point nowhere",)

    def _batches(
        self, name: str, read: Callable[[RecordCodec], Iterator[Batch]]
    ) -> Iterator[Batch]:
        """The batches of a collection, and whether all its records are in the order of its key."""
        collection, codec = self._schema[name], self._codecs[name]
        in_order = bool(collection.key)
        done = 0
        with UniqueKeys(collection, codec, in_order=True) as keys:
            for batch in read(RecordCodec(collection, codec)):
                yield batch
                in_order = in_order and not keys.check(batch)
                done += len(batch.rows)
                self._tell("checking", name, done)
        if in_order:
            self._in_order.add(name)

    def _require_within_limits(self, name: str, batch: Batch) -> None:
        """See that records stay within limits as they will be written, too.

        Beyond the defaults of `record` and `depth` none was read.
        """
        record, depth = self._limits.record, self._limits.depth
        is_usual = (record, depth) == (DEFAULTS.record, DEFAULTS.depth)
        if is_usual and not self._may_have_more_values(batch):
            return
        lines = RecordCodec(self._schema[name], self._codecs[name]).lines(batch.rows)[0]
        for number, line in zip(batch.numbers, lines.split(b"\n"), strict=False):
            self._limits.require_values(line, f"record {number} of {name}")
            if record is not None and len(line) > record:
                raise LimitExceeded.of("record", record, f"record {number} of {name} is longer")
            if _is_deeper(line, depth):
                raise LimitExceeded.of("depth", depth or 0, f"record {number} of {name} is deeper")

    def _may_have_more_values(self, batch: Batch) -> bool:
        """In the canonical forms `1e300` has 301 digits, and counts for more than it is."""
        longest = max(batch.canonical, key=len, default=b"")
        return self._limits.may_exceed_values(longest) and any(
            map(self._limits.has_more_values, batch.canonical)
        )

    def _require_header_within_limits(self) -> None:
        limit = self._limits.header
        header = self._header.to_bytes()
        self._limits.require_values(header + b"}}", "the header")
        longest = max(map(len, header.split(b"\n")))
        if limit is not None and longest > limit:
            raise LimitExceeded.of("header", limit, "a line of the header is longer")

    def _find_duplicates(self, problems: ProblemList) -> None:
        """Read again those collections whose keys no order proves to be unique."""
        unproven = {c.name for c in self._schema.collections if c.key} - self._in_order
        for name, read in self._document.collections() if unproven else ():
            if name in unproven:
                collection, codec = self._schema[name], self._codecs[name]
                with UniqueKeys(collection, codec, in_order=False) as keys:
                    for batch in read(RecordCodec(collection, codec)):
                        problems.add(keys.check(batch))

    def chunks(self) -> Generator[bytes]:
        """The bytes of the new archive, in pieces."""
        self._header = _sealed_header(self._document.header, self._in_order)
        self._require_header_within_limits()
        self._writer = ArchiveWriter(self._header, self._codecs)
        yield from self._writer.chunks(
            (self._schema[name], self._rows(name)) for name in self._header.collections
        )
        if self._progress is not None:
            total = self._queue.count
            self._progress(Progress(stage="finishing", collection="", done=total, total=total))

    def _rows(self, name: str) -> Iterator[list[Row]]:
        done = 0
        for rows in self._queue.part(self._parts[name]):
            yield rows
            done += len(rows)
            self._tell("sealing", name, done)

    def _tell(self, stage: str, name: str, done: int) -> None:
        if self._progress is not None:
            total = self._document.counts[name]
            self._progress(Progress(stage=stage, collection=name, done=done, total=total))

    def report(self, written: files.Written) -> SealReport:
        counts = {name: end.count for name, end in self._writer.ends.items()}
        return SealReport(
            path=written.path,
            archive_id=self._header.archive_id,
            edited=Provenance(**self._header.extensions["edited"]),
            collections=counts,
            records=sum(counts.values()),
            size=written.size,
            seal=self._writer.seal,
            warnings=(
                *self._warnings,
                *leaving_warnings(self._header, counts),
                *written.warnings,
                *needed(self._writer.needs | written.needs),
            ),
        )


def _is_deeper(line: bytes, depth: int | None) -> bool:
    """Whether a record's line is deeper than a limit below the format's own."""
    if depth is None or depth >= MAX_DEPTH:
        return False
    return deeper_than(depth + 1, line.decode("latin-1"))


def _sealed_header(edited: Header, in_order: AbstractSet[str]) -> Header:
    """The header of the edited document, as one that says so."""
    schema = edited.described
    described = {c.name: describe_collection(c, schema) for c in edited.whole}
    for name, collection in described.items():
        collection["order"] = "key" if name in in_order else "none"
    description = {"collections": {name: described[name] for name in _names_in_order(schema)}}
    origin = Provenance(archive_id=edited.archive_id, sealed_at=utc_now())
    return attrs.evolve(
        edited,
        archive_id=str(uuid.uuid4()),
        schema=description,
        schema_digest=description_digest(description),
        extensions={**edited.extensions, "edited": attrs.asdict(origin)},
    )


def _names_in_order(schema: Schema) -> list[str]:
    """Collections behind those that they refer to: as they stand where that holds already.

    An editor that sorts names may have put them in another order.
    """
    names = [collection.name for collection in schema.collections]
    place = {name: position for position, name in enumerate(names)}
    ahead = [
        (source.name, reference.collection)
        for source in schema.collections
        for reference in source.references
        if place[reference.collection] > place[source.name]
    ]
    # In a cycle one of them has to come first.
    if all(_refers(schema, target, source) for source, target in ahead):
        return names
    return [collection.name for collection in schema.ordered]


def _refers(schema: Schema, source: str, target: str) -> bool:
    """Whether references lead from one collection to another, directly or not."""
    met, left = {source}, [source]
    while left:
        found = {reference.collection for reference in schema[left.pop()].references} - met
        met |= found
        left += found
    return target in met
