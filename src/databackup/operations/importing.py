"""Import: an archive into a repository, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from databackup.archive.encryption import Decryption
from databackup.archive.files import PathOrFile
from databackup.archive.limits import Limits
from databackup.archive.reader import open_archive
from databackup.archive.records import RecordCodec
from databackup.errors import (
    InvalidRecords,
    Problem,
    RecordsNotTaken,
    SecretsMissing,
    StoreError,
)
from databackup.operations import partial, readback, status
from databackup.operations.collection import CollectionImport, Outcome, Watch
from databackup.operations.creating import Creating, creating
from databackup.operations.fit import has_identity, require_fit, require_keys
from databackup.operations.locate import ProblemList
from databackup.operations.options import Dangling, ImportOptions, Mode, WrongAppChoice
from databackup.operations.readable import as_of_today, migration_of
from databackup.operations.reports import ImportReport, Progress, sums, told_of_bytes
from databackup.operations.safety import PathOrFolder, SafetyBackup
from databackup.operations.secrets import (
    completed,
    secrets_defaulted,
    secrets_kept,
    withholding,
)
from databackup.repository import BulkTransaction, FiresTriggers
from databackup.schema.narrowed import marked_as

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from databackup.archive.format import CollectionEnd
    from databackup.archive.reader import Archive
    from databackup.operations.plans import ImportPlan
    from databackup.operations.readable import Readable
    from databackup.operations.reports import ProgressCallback
    from databackup.repository import Mark, Repository, Transaction
    from databackup.schema import Collection, Schema


_OF_THE_STORE = {"store-refuses", "read-back"}
_OF_SECRETS = {"secret-omitted"}


def import_all(
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
    safety_backup: PathOrFolder | None = None,
    limits: Limits | None = None,
    decryption: Decryption | None = None,
    plan: ImportPlan | None = None,
    before_import: Callable[[ImportPlan], object] | None = None,
    in_transaction: Callable[[Transaction, ImportReport], object] | None = None,
    after_commit: Callable[[ImportReport], object] | None = None,
    progress: ProgressCallback | None = None,
) -> ImportReport:
    """Bring an archive into a repository; `ImportOptions` explains the options.

    `mode` says what becomes of the records that are there: "replace" makes the store equal to the
    archive, "merge" overwrites records of the same key and leaves the others, "add" leaves all.
    With `create` the tables that the store lacks are made from what the archive says of them.
    With `safety_backup`, a folder or a new file, the store is exported first, within the same
    transaction, and nothing is written unless that archive is sound.
    `decryption`, an `Identity` or a `Passphrase`, opens an archive that is encrypted.
    Collections that the archive leaves out, or that are not among `collections`, are left alone.
    A `plan` of `preview_import` carries the options; where archive or store are no longer what it
    was made for, nothing is done.

    `before_import` is called with the plan, which is made if none is given, before the transaction
    begins; `in_transaction` with the transaction, which it may read, and the report, last of all
    before the commit; `after_commit` with the report. What the first two raise keeps the import
    from happening and comes out unchanged; what the last one raises comes out with a note that the
    import was committed.

    Everything is done, or the store is as it was before. The archive's seal is checked before the
    store is touched; every record is validated; references must hold; what the store holds after
    the writes is read back and compared before the commit.

    Raises `FileError`, the `ArchiveError`s, `WrongApp`, `SchemaMismatch`, `KeyRequired`,
    `CannotCreate`, `StalePlan`, `UnknownCollection`, `StoreError`; `InvalidRecords` with up to 100
    problems, `RecordsNotTaken` where they are the store's, `SecretsMissing` where they are of
    secrets that the archive omits; `SafetyBackupFailed`; `CommitUnknown`; and whatever `progress`
    raises. Raises ValueError or TypeError for an option that `ImportOptions` does not know.
    """
    given = ImportOptions(
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
        safety_backup=safety_backup,
        limits=Limits() if limits is None else limits,
    )
    chosen = _planned(given, plan)
    require_atomic(repository)
    with open_archive(
        source, chosen.limits, decryption, told_of_bytes("checking", progress)
    ) as opened:
        store = repository
        archive, repository, new = prepared(store, opened, chosen, progress)
        if before_import is not None:
            plan = plan or _preview(store, opened, chosen, progress)
            before_import(plan)
        if plan is not None:
            plan.require_archive(archive, repository.schema)
        mark = status.new_mark(archive.seal) if chosen.marker else None
        before = SafetyBackup(chosen.safety_backup, repository, archive.seal)
        before.prepare()
        with (
            before.kept_if_needed(),
            withholding(marked_as(repository.schema, archive.header.described)),
            status.marked_transaction(repository, mark, chosen.wait) as transaction,
            completed(archive, repository, transaction) as complete,
        ):
            before.make(transaction, chosen.limits, progress)
            running = Import(complete, repository, transaction, chosen, progress)
            if plan is not None:
                running.require_planned(plan, new.maker.made if new else (), before.ends)
            running.write_collections()
            running.check_references()
            running.finish()
            running.read_back()
            if in_transaction is not None:
                in_transaction(transaction, running.report(mark, new, before))
            running.tell_of_commit()
            before.begin_to_commit()
        report = running.report(mark, new, before)
    if after_commit is not None:
        try:
            after_commit(report)
        except Exception as error:
            error.add_note("the import was committed before this")
            raise
    return report


def _preview(
    repository: Repository,
    opened: Archive,
    options: ImportOptions,
    progress: ProgressCallback | None,
) -> ImportPlan:
    from databackup.operations.preview import previewed  # noqa: PLC0415 - which imports this

    # A plan is for what is imported, wherever the safety backup of that goes.
    options = attrs.evolve(options, safety_backup=None)
    return previewed(repository, opened, options, progress=progress)


def _planned(given: ImportOptions, plan: ImportPlan | None) -> ImportOptions:
    """The options of an import, which a plan carries. Raises TypeError for others beside it."""
    if plan is None:
        return given
    place = given.safety_backup
    if attrs.evolve(given, safety_backup=None) not in (ImportOptions(), plan.options):
        raise TypeError("a plan carries its own options: make another plan for others")
    return attrs.evolve(plan.options, safety_backup=place)


def require_atomic(repository: Repository) -> None:
    """See that a store keeps an import whole or not at all. Raises `StoreError`."""
    if not repository.capabilities.atomic:
        raise StoreError(
            f"a store of the adapter {repository.capabilities.name!r} cannot undo a failed import"
        )


def refusal(headline: str, problems: Sequence[Problem], total: int) -> InvalidRecords:
    """The error for an import that problems keep from happening."""
    codes = {problem.code for problem in problems}
    if codes <= _OF_THE_STORE:
        return RecordsNotTaken.of(headline, problems, total)
    return (SecretsMissing if codes <= _OF_SECRETS else InvalidRecords).of(
        headline, problems, total
    )


def prepared(
    repository: Repository,
    opened: Archive,
    options: ImportOptions,
    progress: ProgressCallback | None,
) -> tuple[Readable, Repository, Creating | None]:
    """An archive as today's app reads it, where it goes, and what has to be made for that.

    Raises what `import_all` raises before it begins a transaction.
    """
    archive = as_of_today(opened, repository.schema, options.wrong_app)
    archive = partial.selected(
        archive, repository.schema, options.collections, closure=options.closure
    )
    new = creating(repository, archive, options, progress) if options.create else None
    repository = new.maker if new else repository
    require_fit(archive.header, repository.schema, options.wrong_app)
    require_keys(archive.header, repository.schema, options.mode)
    return archive, repository, new


class Import:
    """One import within its transaction, step by step."""

    def __init__(
        self,
        archive: Readable,
        repository: Repository,
        transaction: Transaction,
        options: ImportOptions,
        progress: ProgressCallback | None,
    ) -> None:
        self._archive = archive
        self._schema: Schema = marked_as(repository.schema, archive.header.described)
        self._ordered_rows = repository.capabilities.ordered_rows
        self._transaction = transaction
        self._options = options
        self._progress = progress
        self._problems = ProblemList()
        self._warnings: list[str] = []
        self._written = frozenset(archive.header.collections)
        self._links = partial.links(self._schema, self._written)
        self._left_alone = partial.LeftAlone(
            transaction,
            [c for c in self._schema.collections if c.name not in self._written],
            read_back=options.read_back,
        )
        self._outcomes: dict[str, Outcome] = {}

    def require_planned(
        self, plan: ImportPlan, made: Container[str], known: Mapping[str, CollectionEnd]
    ) -> None:
        """See that the store holds what it held when a plan was made, but for tables made since.

        `known` is what it holds as far as a safety backup has told. Raises `StalePlan`.
        """

        def end_of(name: str) -> CollectionEnd | None:
            if name in made:
                return None
            if name in known:
                return known[name]
            return readback.digest_of(self._transaction, self._schema[name], self._progress)

        if not plan.problem_count:
            plan.require_store(end_of)

    def write_collections(self) -> None:
        """Parse, validate and write every collection; reading goes on after the first problem."""
        for name, read in self._archive.collections():
            target = self._schema[name]
            step = CollectionImport(
                self._archive,
                target,
                self._transaction,
                self._problems,
                self._schema,
                mode=self._options.mode,
                store_in_order=name in self._ordered_rows,
                watch=self.watch(target),
                progress=self._progress,
            )
            codec = RecordCodec(target, forms=isinstance(self._transaction, BulkTransaction))
            self._outcomes[name] = step.run(read(codec, digests=not self.proves_later(target)))
            if self._problems.are_enough:
                break
        self.raise_problems()

    def watch(self, collection: Collection) -> Watch:  # noqa: ARG002 - for whom it may concern
        """Who is told of what is done to a collection."""
        return Watch()

    def proves_later(self, collection: Collection) -> bool:
        """Whether what is read back proves the archive's digest: then it is that of its records.

        Without identity the records may never be looked at one by one.
        """
        replaces = self._options.mode == "replace" and self._options.read_back
        return replaces and has_identity(self._archive.header, collection)

    def check_references(self) -> None:
        """See that every reference points at a record, whether the store enforces it or not."""
        kept = ProblemList()
        for found in partial.dangling(
            self._schema, self._transaction, self._written, self._links, self._progress
        ):
            (kept if self._options.dangling == "keep" else self._problems).add_unlocated(found)
        self._warnings += map(str, kept.locate(self._archive, self._schema))
        self.raise_problems()

    def finish(self) -> None:
        """Counters, triggers, and what refers to the schema from outside."""
        counters = {
            name: last
            for name, last in self._archive.header.counters.items()
            if name in self._schema
        }
        if self._options.mode != "replace":
            # The store has records of its own, or had them: it has given out more numbers.
            own = self._transaction.counters()
            counters = {name: max(last, own.get(name, last)) for name, last in counters.items()}
        self._transaction.finish(counters, allow_cascade=self._options.allow_cascade)

    def read_back(self) -> None:
        """Compare what the store now holds with what the writes must have led to."""
        for collection in self._schema.ordered:
            if collection.name in self._written and not self._holds_what_it_must(collection):
                self._note_read_back(collection)
        self._problems.add(self._left_alone.changed())
        self.raise_problems(of_triggers=True)

    def _holds_what_it_must(self, collection: Collection) -> bool:
        end = self._outcomes[collection.name].end
        if self._transaction.count(collection) != end.count:
            return False
        if not self._options.read_back:
            return True
        return readback.digest_of(self._transaction, collection, self._progress) == end

    def _note_read_back(self, collection: Collection) -> None:
        before = self._problems.total
        self._problems.add(readback.problems_of_totals(self._archive, collection))
        if collection.key and self._problems.total == before:
            changes = self._outcomes[collection.name].changes
            for found in readback.differences(
                self._archive, collection, self._transaction, self._options.mode, changes
            ):
                self._problems.add_unlocated(found)
        if self._problems.total == before:
            self._problems.add([self._unnamed(collection)])

    def _unnamed(self, collection: Collection) -> Problem:
        """The problem of records that cannot be named: without a key, or not of the archive."""
        if self._options.mode == "replace":
            message = "the store gives back other records than it was given"
        else:
            message = "the store holds something else than its own records with those written"
        return Problem(code="read-back", message=message, collection=collection.name)

    def tell_of_commit(self) -> None:
        """The last moment at which an import can be cancelled."""
        if self._progress is not None:
            total = sum(outcome.end.count for outcome in self._outcomes.values())
            self._progress(Progress(stage="committing", collection="", done=total, total=total))

    def raise_problems(self, *, of_triggers: bool = False) -> None:
        """End the import where there are problems. Raises `InvalidRecords`."""
        if not self._problems:
            return
        found = self._problems.locate(self._archive, self._schema)
        if of_triggers and isinstance(self._transaction, FiresTriggers):
            found = readback.blamed_on(self._transaction.triggers(), found)
        headline = self._problems.headline("the import was refused and nothing was changed")
        raise refusal(headline, found, self._problems.total)

    def report(self, mark: Mark | None, new: Creating | None, before: SafetyBackup) -> ImportReport:
        """What was committed, in tables that are new where `new` has made them."""
        by_name = {name: outcome.changes for name, outcome in self._outcomes.items()}
        return ImportReport(
            archive_id=self._archive.header.archive_id,
            mode=self._options.mode,
            collections=by_name,
            **sums(by_name.values()),
            read_back=self._options.read_back,
            seal=self._archive.seal,
            left_alone=self._left_alone.names,
            created=new.maker.made if new else (),
            migrated=migration_of(self._archive),
            warnings=(*self._warnings, *(new.warnings() if new else ()), *before.warnings),
            import_id=None if mark is None else mark.import_id,
            safety_backup=before.path,
            secrets_kept=secrets_kept(self._archive),
            secrets_defaulted=secrets_defaulted(self._archive),
        )
