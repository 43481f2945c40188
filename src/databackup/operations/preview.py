"""Preview: what an import would do, found by importing into a store that takes no notice."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import attrs

from databackup.archive.encryption import Decryption
from databackup.archive.files import PathOrFile
from databackup.archive.limits import Limits
from databackup.archive.reader import open_archive
from databackup.operations import partial
from databackup.operations.creating import creates_tables
from databackup.operations.diff import SAMPLE, require_sample
from databackup.operations.importing import Import, prepared, require_atomic
from databackup.operations.keys import References
from databackup.operations.locate import ProblemList
from databackup.operations.lookout import Lookout
from databackup.operations.omitted import Omission
from databackup.operations.options import Dangling, ImportOptions, Mode, WrongAppChoice
from databackup.operations.outcomes import Outcomes
from databackup.operations.plans import CollectionPlan, ImportPlan
from databackup.operations.readable import migration_of
from databackup.operations.rehearsal import Rehearsal
from databackup.operations.reports import sums, told_of_bytes
from databackup.operations.secrets import completed, secrets_defaulted, secrets_kept
from databackup.repository import Needs
from databackup.schema import Collection, Reference, Schema
from databackup.schema.document import describe, description_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from databackup.archive.format import Header
    from databackup.archive.reader import Archive
    from databackup.operations.readable import Readable
    from databackup.operations.reports import ProgressCallback
    from databackup.repository import Repository, Snapshot


def preview_import(
    repository: Repository,
    source: PathOrFile,
    *,
    mode: Mode = "replace",
    read_back: bool = True,
    wrong_app: WrongAppChoice = "refuse",
    dangling: Dangling = "refuse",
    allow_cascade: bool = False,
    create: bool = False,
    wait: float = 5.0,
    marker: bool = False,
    collections: Iterable[str] | None = None,
    closure: bool = True,
    limits: Limits | None = None,
    decryption: Decryption | None = None,
    sample: int = SAMPLE,
    progress: ProgressCallback | None = None,
) -> ImportPlan:
    """What `import_all` would do with the same options, without doing it.

    Reads archive and store once, in constant memory, and changes nothing. Everything that is wrong
    with the archive's records is among the plan's problems; `import_all(…, plan=plan)` then does
    what the plan says, or nothing. `sample` is how many records are shown at most, of each
    collection and kind of change; `decryption` opens an archive that is encrypted.

    Raises what `import_all` raises before it writes, but for `InvalidRecords`; `SecretsMissing`
    where the archive omits secrets and no key tells whose to keep; and whatever `progress` raises.
    """
    require_sample(sample)
    require_atomic(repository)
    chosen = ImportOptions(
        mode=mode,
        read_back=read_back,
        wrong_app=wrong_app,
        dangling=dangling,
        allow_cascade=allow_cascade,
        create=create,
        wait=wait,
        marker=marker,
        collections=collections,
        closure=closure,
        limits=Limits() if limits is None else limits,
    )
    with open_archive(
        source, chosen.limits, decryption, told_of_bytes("checking", progress)
    ) as opened:
        return previewed(repository, opened, chosen, sample, progress)


def previewed(
    repository: Repository,
    opened: Archive,
    options: ImportOptions,
    sample: int = SAMPLE,
    progress: ProgressCallback | None = None,
) -> ImportPlan:
    """As `preview_import`, of an archive that is open."""
    archive, target, _ = prepared(repository, opened, options, progress)
    missing = _missing(repository, target) if options.create else ()
    with _snapshot(repository, target.schema, missing) as snapshot:
        rehearsal = Rehearsal(snapshot, missing)
        with completed(archive, target, rehearsal) as complete:
            running = Preview(complete, target, rehearsal, options, progress, sample)
            running.write_collections()
            running.check_references()
            return running.plan(missing, opened.header)


def _missing(repository: Repository, target: Repository) -> tuple[str, ...]:
    """The collections whose tables would be made."""
    missing = set(creates_tables(repository).missing())
    own = repository.schema
    return tuple(c.name for c in target.schema.ordered if c.name in missing or c.name not in own)


@contextlib.contextmanager
def _snapshot(
    repository: Repository, schema: Schema, missing: tuple[str, ...]
) -> Iterator[Snapshot | None]:
    """What the store holds, as far as it has the tables."""
    if not missing:
        with repository.snapshot() as snapshot:
            yield snapshot
        return
    there = [c for c in schema.collections if c.name not in missing]
    if not there:
        yield None
        return
    alone = [Collection(c.name, fields=c.fields, key=c.key) for c in there]
    exclude = {exclusion.name: exclusion.reason for exclusion in schema.excluded}
    narrowed = Schema(collections=alone, exclude=exclude)
    with creates_tables(repository).creating(narrowed, Needs()).snapshot() as snapshot:
        yield snapshot


def _comparing(progress: ProgressCallback | None) -> ProgressCallback | None:
    """What is told of a preview: nothing is written, whatever an import would do."""
    if progress is None:
        return None
    return lambda step: progress(attrs.evolve(step, stage="comparing"))


class Preview(Import):
    """An import into a rehearsal: what is done is looked at, and problems are kept."""

    def __init__(  # noqa: PLR0917 - as of what it is made of, and the sample
        self,
        archive: Readable,
        target: Repository,
        rehearsal: Rehearsal,
        options: ImportOptions,
        progress: ProgressCallback | None,
        sample: int,
    ) -> None:
        super().__init__(archive, target, rehearsal, options, _comparing(progress))
        self._rehearsal = rehearsal
        self._sample = sample
        self._lookouts: dict[str, Lookout] = {}

    def watch(self, collection: Collection) -> Lookout:
        """Who looks at what is done to a collection."""
        found = Lookout(collection, self._sample)
        self._lookouts[collection.name] = found
        return found

    def proves_later(self, collection: Collection) -> bool:  # noqa: ARG002
        """Nothing is read back, and so digests are looked at as records are read."""
        return False

    def raise_problems(self, *, of_triggers: bool = False) -> None:
        """Nothing: they are part of the plan."""

    def check_references(self) -> None:
        """See that every reference would point at a record."""
        if self._problems:
            return
        kept = ProblemList()
        into = kept if self._options.dangling == "keep" else self._problems
        touched = {
            name
            for name, outcome in self._outcomes.items()
            if outcome.changes.added or outcome.changes.changed or outcome.changes.deleted
        }
        still = [link for link in self._links if self._holds_still(*link, touched)]
        for found in partial.dangling(self._schema, self._rehearsal, self._written, still):
            into.add_unlocated(found)
        moved = [link for link in self._links if link not in still]
        if moved:
            with References(self._schema, moved) as references:
                outcome = Outcomes(self._archive, self._schema, self._rehearsal, self._options.mode)
                for collection in self._schema.collections:
                    if references.are_about(collection):
                        for rows, numbers in outcome.records(collection):
                            references.add_rows(collection, collection.codec, rows, numbers)
                for problem in references.dangling():
                    if problem.collection in self._written:
                        into.add_of_today([problem])
                    else:
                        into.add([partial.of_left_behind(problem)])
        self._warnings += map(str, kept.locate(self._archive, self._schema))

    def _holds_still(self, name: str, reference: Reference, touched: set[str]) -> bool:
        """Whether the store can be asked about a reference as it is."""
        is_touched = name in touched or reference.collection in touched
        return not is_touched and self._rehearsal.can_check(self._schema[name])

    def plan(self, missing: tuple[str, ...], header: Header) -> ImportPlan:
        """What was found; `header` is that of the file."""
        by_name = {name: outcome.changes for name, outcome in self._outcomes.items()}
        problems = self._problems.locate(self._archive, self._schema)
        return ImportPlan(
            archive_id=header.archive_id,
            created_at=header.created_at,
            app=header.app,
            schema_version=header.schema_version,
            options=self._options,
            collections={name: self._planned(name) for name in by_name},
            **sums(by_name.values()),
            seal=self._archive.seal,
            schema_digest=description_digest(describe(self._schema)),
            edited_at=None if header.edited is None else header.edited.sealed_at,
            left_alone=self._left_alone.names,
            created=missing,
            migrated=migration_of(self._archive),
            problems=tuple(problems),
            problem_count=self._problems.total,
            warnings=(*self._warnings, *self._referred_to(), *self._newer()),
            omitted=Omission(self._schema, self._archive.header.omitted).listed,
            secrets_kept=secrets_kept(self._archive),
            secrets_defaulted=secrets_defaulted(self._archive),
        )

    def _planned(self, name: str) -> CollectionPlan:
        outcome, lookout = self._outcomes[name], self._lookouts[name]
        before = None
        if not self._problems and self._rehearsal.has(self._schema[name]):
            before = lookout.before(outcome.end, self._rehearsal)
        return CollectionPlan(changes=outcome.changes, sample=lookout.sample, before=before)

    def _referred_to(self) -> Iterator[str]:
        """What refers to collections of which records would be deleted, from outside the schema."""
        for name, outcome in self._outcomes.items():
            found = self._rehearsal.referrers(self._schema[name]) if outcome.changes.deleted else []
            if found:
                allowed = self._options.allow_cascade
                then = "what refers to them is carried off" if allowed else "the import is refused"
                yield (
                    f"{', '.join(found)} refer to {name}, of which records would be deleted, from "
                    f"outside of what is backed up: where one is referred to, {then}"
                )

    def _newer(self) -> Iterator[str]:
        """What the store has that is of later than the archive, and would be lost."""
        for lookout in self._lookouts.values():
            yield from lookout.later_than(self._archive.header.created_at)
