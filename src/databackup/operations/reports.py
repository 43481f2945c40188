"""What the operations return, and how they tell of their progress."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import attrs

from databackup.archive.format import Provenance
from databackup.archive.records import Batch
from databackup.operations.readable import Total
from databackup.schema import Exclusion


@attrs.frozen(kw_only=True)
class Progress:
    """How far an operation is: `done` of `total` records of one collection in one stage."""

    stage: str
    collection: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], object]


def reported(
    batches: Iterable[Batch],
    stage: str,
    collection: str,
    end: Total,
    progress: ProgressCallback | None,
) -> Iterator[Batch]:
    """The batches of one collection, each told of once it is dealt with."""
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        if progress is not None:
            progress(Progress(stage=stage, collection=collection, done=done, total=end.count))


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
    import has that leaves one, `migrated` what became of an archive of an older version. Of secret
    fields that the archive omits, `secrets_kept` counts the values that the store had,
    `secrets_defaulted` those that new records got by default.
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

    `size` is the bytes of the archive, `file_size` those of the file, compressed or not. `edited`
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
    edited: Provenance | None = None
    outlook: Outlook | None = None

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object; without an outlook it has no such member."""
        members = super().as_json()
        if self.outlook is None:
            del members["outlook"]
        return members


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
