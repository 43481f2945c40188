"""Import: an archive into a repository, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databackup.archive.files import PathOrFile
from databackup.archive.format import described_schema
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
from databackup.operations import readback, status
from databackup.operations.collection import CollectionImport, Outcome
from databackup.operations.creating import Creating, creating
from databackup.operations.fit import has_identity, require_fit, require_keys
from databackup.operations.locate import ProblemList
from databackup.operations.options import Dangling, ImportOptions, Mode, WrongAppChoice
from databackup.operations.readable import as_of_today, migration_of
from databackup.operations.reports import ImportReport, reported
from databackup.operations.secrets import (
    completed,
    secrets_defaulted,
    secrets_kept,
    withholding,
)
from databackup.repository import BulkTransaction, FiresTriggers
from databackup.schema.narrowed import marked_as

if TYPE_CHECKING:
    from databackup.operations.readable import Readable
    from databackup.operations.reports import ProgressCallback
    from databackup.repository import Mark, Repository, Transaction
    from databackup.schema import Collection, Schema


_OF_THE_STORE = {"store-refuses", "read-back"}


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
    limits: Limits | None = None,
    progress: ProgressCallback | None = None,
) -> ImportReport:
    """Bring an archive into a repository; `ImportOptions` explains the options.

    `mode` says what becomes of the records that are there: "replace" makes the store equal to the
    archive, "merge" overwrites records of the same key and leaves the others, "add" leaves all.
    With `create` the tables that the store lacks are made from what the archive says of them.

    Everything is done, or the store is as it was before. The archive's seal is checked before the
    store is touched; every record is validated; references must hold; what the store holds after
    the writes is read back and compared before the commit.

    Raises `FileError`, the `ArchiveError`s, `WrongApp`, `SchemaMismatch`, `KeyRequired`,
    `CannotCreate`, `StoreError`; `InvalidRecords` with up to 100 problems, `RecordsNotTaken` where
    they are the store's, `SecretsMissing` where they are of secrets that the archive omits;
    `CommitUnknown`; and whatever `progress` raises. Raises ValueError or TypeError for an option
    that `ImportOptions` does not know.
    """
    chosen = ImportOptions(
        mode=mode,
        read_back=read_back,
        wrong_app=wrong_app,
        dangling=dangling,
        allow_cascade=allow_cascade,
        create=create,
        wait=wait,
        marker=marker,
        limits=Limits() if limits is None else limits,
    )
    if not repository.capabilities.atomic:
        raise StoreError(
            f"a store of the adapter {repository.capabilities.name!r} cannot undo a failed import"
        )
    with open_archive(source, chosen.limits) as opened:
        archive = as_of_today(opened, repository.schema)
        new = creating(repository, archive, chosen, progress) if chosen.create else None
        repository = new.maker if new else repository
        require_fit(archive.header, repository.schema, chosen.wrong_app)
        require_keys(archive.header, repository.schema, chosen.mode)
        mark = status.new_mark(archive.seal) if chosen.marker else None
        with (
            withholding(marked_as(repository.schema, described_schema(archive.header))),
            status.marked_transaction(repository, mark, chosen.wait) as transaction,
            completed(archive, repository, transaction) as complete,
        ):
            running = _Import(complete, repository, transaction, chosen, progress)
            running.write_collections()
            running.check_references()
            running.finish()
            running.read_back()
        return running.report(mark, new)


class _Import:
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
        self._schema: Schema = marked_as(repository.schema, described_schema(archive.header))
        self._ordered_rows = repository.capabilities.ordered_rows
        self._transaction = transaction
        self._options = options
        self._progress = progress
        self._problems = ProblemList()
        self._warnings: list[str] = []
        self._outcomes: dict[str, Outcome] = {}

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
            )
            codec = RecordCodec(target, forms=isinstance(self._transaction, BulkTransaction))
            batches = read(codec, digests=not self._proves_later(target))
            end = self._archive.ends[name]
            self._outcomes[name] = step.run(reported(batches, "writing", name, end, self._progress))
            if self._problems.are_enough:
                break
        self._raise_problems()

    def _proves_later(self, collection: Collection) -> bool:
        """Whether what is read back proves the archive's digest: then it is that of its records.

        Without identity the records may never be looked at one by one.
        """
        replaces = self._options.mode == "replace" and self._options.read_back
        return replaces and has_identity(self._archive.header, collection)

    def check_references(self) -> None:
        """See that every reference points at a record, whether the store enforces it or not."""
        kept = ProblemList()
        for found in readback.dangling(self._schema, self._transaction):
            (kept if self._options.dangling == "keep" else self._problems).add_unlocated(found)
        self._warnings += map(str, kept.locate(self._archive, self._schema))
        self._raise_problems()

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
            if not self._holds_what_it_must(collection):
                self._note_read_back(collection)
        self._raise_problems(of_triggers=True)

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

    def _raise_problems(self, *, of_triggers: bool = False) -> None:
        if not self._problems:
            return
        found = self._problems.locate(self._archive, self._schema)
        if of_triggers and isinstance(self._transaction, FiresTriggers):
            found = readback.blamed_on(self._transaction.triggers(), found)
        of_store = all(problem.code in _OF_THE_STORE for problem in found)
        of_secrets = all(problem.code == "secret-omitted" for problem in found)
        error = RecordsNotTaken if of_store else SecretsMissing if of_secrets else InvalidRecords
        raise error.of(
            self._problems.headline("the import was refused and nothing was changed"),
            found,
            self._problems.total,
        )

    def report(self, mark: Mark | None, new: Creating | None) -> ImportReport:
        """What was committed, in tables that are new where `new` has made them."""
        by_name = {name: outcome.changes for name, outcome in self._outcomes.items()}
        changes = by_name.values()
        return ImportReport(
            archive_id=self._archive.header.archive_id,
            mode=self._options.mode,
            collections=by_name,
            records=sum(change.records for change in changes),
            added=sum(change.added for change in changes),
            changed=sum(change.changed for change in changes),
            deleted=sum(change.deleted for change in changes),
            unchanged=sum(change.unchanged for change in changes),
            kept=sum(change.kept for change in changes),
            only_in_store=sum(change.only_in_store for change in changes),
            read_back=self._options.read_back,
            seal=self._archive.seal,
            created=new.maker.made if new else (),
            migrated=migration_of(self._archive),
            warnings=(*self._warnings, *(new.warnings() if new else ())),
            import_id=None if mark is None else mark.import_id,
            secrets_kept=secrets_kept(self._archive),
            secrets_defaulted=secrets_defaulted(self._archive),
        )
