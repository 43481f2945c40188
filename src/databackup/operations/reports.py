"""What the operations return, and how they tell of their progress."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sized
from typing import Any, TypeVar

import attrs

from databackup.archive.format import Provenance
from databackup.archive.records import Batch
from databackup.operations.readable import Total
from databackup.schema import Exclusion


@attrs.frozen(kw_only=True)
class Progress:
    """How far an operation is: `done` of `total` of one collection in one stage.

    `unit` says of what: of "records", or where a file is read as a whole of its "bytes", or of
    "references". What is not of one collection has an empty `collection`.
    """

    stage: str
    collection: str
    done: int
    total: int
    unit: str = "records"


B = TypeVar("B", bound=Sized)
ProgressCallback = Callable[[Progress], object]


def reported(
    batches: Iterable[Batch],
    stage: str,
    collection: str,
    end: Total,
    progress: ProgressCallback | None,
) -> Iterator[Batch]:
    """The batches of one collection, each told of once it is dealt with."""
    return Told(stage, collection, end.count, progress).passing(batches)


class Told:
    """Tells how far one stage of one collection is, over all the batches that pass."""

    def __init__(
        self, stage: str, collection: str, total: int, progress: ProgressCallback | None
    ) -> None:
        self._step = Progress(stage=stage, collection=collection, done=0, total=total)
        self._progress = progress

    def passing(self, batches: Iterable[B]) -> Iterator[B]:
        """The batches, each told of once it is dealt with."""
        for batch in batches:
            yield batch
            if self._progress is not None:
                self._step = attrs.evolve(self._step, done=self._step.done + len(batch))
                self._progress(self._step)


def told_of_bytes(stage: str, progress: ProgressCallback | None) -> Callable[[int, int], None]:
    """A function that tells how many bytes of how many were read of a file."""

    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(Progress(stage=stage, collection="", done=done, total=total, unit="bytes"))

    return tell


class _Report:
    """What all reports can do."""

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return attrs.asdict(self, value_serializer=_serialize)  # type: ignore[arg-type]


def _serialize(_instance: Any, _field: Any, value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


@attrs.frozen(kw_only=True)
class MigrationReport(_Report):
    """The steps by which records came from one version to another, and what was lost on the way.

    `dropped` counts values by their field and records by their collection; `defaulted` the values
    that were filled in.
    """

    source: int
    target: int
    steps: tuple[str, ...]
    dropped: Mapping[str, int]
    defaulted: Mapping[str, int]


@attrs.frozen(kw_only=True)
class ExportReport(_Report):
    """What an export wrote: records by collection, size of the file in bytes, its seal.

    `selection` are its collections where not all were asked for, with those that came along.
    `migrated` is for an archive of another version than today's: what became of its records.
    `omitted` are the secret fields that were left out, by collection.
    """

    path: str | None
    archive_id: str
    created_at: str
    collections: Mapping[str, int]
    records: int
    size: int
    seal: str
    excluded: tuple[Exclusion, ...]
    selection: tuple[str, ...] | None = None
    migrated: MigrationReport | None = None
    warnings: tuple[str, ...] = ()
    omitted: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Changes:
    """How many records of a collection an import added, changed, deleted and left as they were.

    `unchanged` are those that were equal, `kept` those of the same key that "add" left as the store
    has them, `only_in_store` those that the archive lacks and "merge" and "add" left alone.
    """

    added: int = 0
    changed: int = 0
    deleted: int = 0
    unchanged: int = 0
    kept: int = 0
    only_in_store: int = 0

    @property
    def records(self) -> int:
        """How many records the collection has afterwards."""
        return self.added + self.changed + self.unchanged + self.kept + self.only_in_store


def sums(changes: Collection[Changes]) -> dict[str, int]:
    """The sums of all changes, as reports and plans have them."""
    names = ("records", *(field.name for field in attrs.fields(Changes)))
    return {name: sum(getattr(change, name) for change in changes) for name in names}


@attrs.frozen(kw_only=True)
class ImportReport(_Report):
    """What an import did, taken from what was committed: the sums of all `Changes`.

    `records` is how many there are afterwards. `left_alone` are the store's collections that are
    not of the selection, `created` those whose tables were made. `import_id` is what the mark of an
    import has that leaves one, `migrated` what became of an archive of an older version,
    `safety_backup` the path of the archive of what there was before. Of secret fields that the
    archive omits, `secrets_kept` counts the values that the store had, `secrets_defaulted` those
    that new records got by default.
    """

    archive_id: str
    mode: str
    collections: Mapping[str, Changes]
    records: int
    added: int
    changed: int
    deleted: int
    unchanged: int
    kept: int
    only_in_store: int
    read_back: bool
    seal: str
    left_alone: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    migrated: MigrationReport | None = None
    warnings: tuple[str, ...] = ()
    import_id: str | None = None
    safety_backup: str | None = None
    secrets_kept: Mapping[str, int] = attrs.field(factory=dict)
    secrets_defaulted: Mapping[str, int] = attrs.field(factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object; each collection has its `records` beside its changes."""
        changes = {
            name: {**attrs.asdict(change), "records": change.records}
            for name, change in self.collections.items()
        }
        return {**super().as_json(), "collections": changes}


@attrs.frozen(kw_only=True)
class ImportStatus(_Report):
    """Whether an import that leaves a mark was committed; if so, its archive's seal and its time.

    `time` is when it began, in UTC.
    """

    import_id: str
    committed: bool
    seal: str | None = None
    time: str | None = None


@attrs.frozen(kw_only=True)
class CollectionInfo:
    """One collection of an archive: its records, fields, key and digest.

    `secret` are those of the fields that are secret.
    """

    records: int
    fields: tuple[str, ...]
    key: tuple[str, ...]
    order: str
    digest: str
    secret: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Outlook(_Report):
    """What an import into an app would do first: the migrations that it runs.

    `version` is that of the app's schema, `refused` the reason why nothing can be imported.
    """

    app: str | None
    version: int
    steps: tuple[str, ...] = ()
    refused: str | None = None


@attrs.frozen(kw_only=True)
class ArchiveInfo(_Report):
    """What an archive says of itself. Its seal has been checked, its records have not.

    `size` is the bytes of the archive, `file_size` those of the file, compressed or not.
    `encryption` says what it is encrypted with: "passphrase", "recipients", or nothing. `edited`
    says where it comes from if it was edited and sealed anew. `outlook` is there where an app was
    named, into which it might be imported.
    """

    format_version: int
    archive_id: str
    created_at: str
    app: str | None
    schema_version: int
    schema_digest: str
    producer: Mapping[str, str]
    consistency: str
    selection: tuple[str, ...] | None
    secrets: str
    excluded: tuple[Exclusion, ...]
    collections: Mapping[str, CollectionInfo]
    records: int
    compression: str | None
    size: int
    file_size: int
    seal: str
    encryption: str | None = None
    edited: Provenance | None = None
    outlook: Outlook | None = None

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object; without an outlook it has no such member."""
        members = super().as_json()
        if self.outlook is None:
            del members["outlook"]
        return members


@attrs.frozen(kw_only=True)
class Backup(_Report):
    """An archive in a folder, or what seems to be one; `problem` is what is wrong with it.

    `size` is the bytes of the file. What a damaged file does not tell is None. `safety_backup` is
    one that was made ahead of an import.
    """

    path: str
    size: int
    created_at: str | None = None
    app: str | None = None
    schema_version: int | None = None
    records: int | None = None
    seal: str | None = None
    safety_backup: bool = False
    problem: str | None = None

    @property
    def sound(self) -> bool:
        """Whether its seal fits, and if that was asked for all its records."""
        return self.problem is None

    def as_json(self) -> dict[str, Any]:
        """The archive as a JSON object."""
        return {**super().as_json(), "sound": self.sound}


@attrs.frozen(kw_only=True)
class PruneReport(_Report):
    """What was removed from a folder, and the archives that stay; with `dry_run` what would be."""

    folder: str
    removed: tuple[Backup, ...]
    kept: tuple[Backup, ...]
    dry_run: bool

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "folder": self.folder,
            "removed": [backup.as_json() for backup in self.removed],
            "kept": [backup.as_json() for backup in self.kept],
            "dry_run": self.dry_run,
        }


@attrs.frozen(kw_only=True)
class SealReport(_Report):
    """What was sealed: records by collection, size of the file in bytes, the new id and seal.

    `edited` is what the new archive says of the one that was edited.
    """

    path: str | None
    archive_id: str
    edited: Provenance
    collections: Mapping[str, int]
    records: int
    size: int
    seal: str
    warnings: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class VerifyReport(_Report):
    """What a verification saw: every record read, counts, digests, keys and references right.

    `migrated` is for an archive of an older version: what became of it before it was looked at.
    """

    archive_id: str
    app: str | None
    schema_version: int
    collections: Mapping[str, int]
    records: int
    seal: str
    migrated: MigrationReport | None = None
    warnings: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class SchemaVersion:
    """One version of a schema.

    `digest` and `collections` are None where they cannot be known; `changed` says that today's
    schema is another than the one that was frozen under its number. `app` is what it was called.
    """

    version: int
    app: str | None
    digest: str | None
    collections: tuple[str, ...] | None
    frozen: bool
    today: bool
    changed: bool


@attrs.frozen(kw_only=True)
class SchemaOperation:
    """One operation of a migration, and what undoes it.

    `has_inverse` is None where that cannot be known: what it is applied to was never frozen, or
    does not fit.
    """

    operation: str
    has_inverse: bool | None = None
    inverse: str | None = None


@attrs.frozen(kw_only=True)
class SchemaStep:
    """One migration: from which version to which, its name and its operations."""

    source: int
    target: int
    name: str
    operations: tuple[SchemaOperation, ...]


@attrs.frozen(kw_only=True)
class SchemaHistory(_Report):
    """The versions of a schema, the oldest first, and the steps between them."""

    app: str | None
    version: int
    folder: str | None
    versions: tuple[SchemaVersion, ...]
    steps: tuple[SchemaStep, ...]
