"""Inspect and verify: what an archive says of itself, and whether it holds what it says."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING

from databackup.archive.encryption import Decryption
from databackup.archive.files import PathOrFile
from databackup.archive.limits import Limits
from databackup.archive.reader import open_archive
from databackup.archive.records import RecordCodec
from databackup.errors import (
    InvalidRecords,
    SchemaError,
    SchemaMismatch,
    SecretsMissing,
    VersionMismatch,
    WrongApp,
)
from databackup.operations.fit import in_key_order, require_fit
from databackup.operations.keys import References, UniqueKeys
from databackup.operations.locate import ProblemList
from databackup.operations.options import Dangling, require_choice
from databackup.operations.readable import as_of_today, migration_of
from databackup.operations.reports import (
    ArchiveInfo,
    CollectionInfo,
    Outlook,
    VerifyReport,
    reported,
)
from databackup.operations.selection import leaving_warnings
from databackup.schema import Schema
from databackup.schema.arguments import require_schema
from databackup.schema.compiled import Codec
from databackup.schema.narrowed import without
from databackup.schema.narrowing import narrowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from databackup.archive.reader import Archive
    from databackup.archive.records import Batch
    from databackup.operations.readable import Readable
    from databackup.operations.reports import ProgressCallback
    from databackup.schema import Collection


def inspect_archive(
    source: PathOrFile,
    schema: Schema | None = None,
    *,
    limits: Limits | None = None,
    decryption: Decryption | None = None,
) -> ArchiveInfo:
    """What an archive says of itself, once its seal has been checked.

    With a `schema` also which migrations an import into an app of that schema would run, or why it
    would be refused. `decryption` opens an archive that is encrypted. Raises `FileError` and the
    `ArchiveError`s of an archive that is not sound; TypeError for what is no schema.
    """
    if schema is not None:
        require_schema(schema)
    with open_archive(source, limits, decryption) as archive:
        header = archive.header
        collections = {
            name: CollectionInfo(
                records=end.count,
                fields=tuple(header.schema["collections"][name]["fields"]),
                key=tuple(header.schema["collections"][name]["key"]),
                order=header.schema["collections"][name]["order"],
                digest=end.digest,
                secret=tuple(f.name for f in header.described[name].fields if f.secret),
            )
            for name, end in archive.ends.items()
        }
        return ArchiveInfo(
            format_version=header.format_version,
            archive_id=header.archive_id,
            created_at=header.created_at,
            app=header.app,
            schema_version=header.schema_version,
            schema_digest=header.schema_digest,
            producer=header.producer,
            consistency=header.consistency,
            selection=header.selection,
            secrets=header.secrets,
            excluded=header.excluded,
            collections=collections,
            records=sum(end.count for end in archive.ends.values()),
            compression=archive.compression,
            encryption=archive.encryption,
            size=archive.size,
            file_size=archive.file_size,
            seal=archive.seal,
            edited=header.edited,
            outlook=None if schema is None else _outlook(archive, schema),
        )


def _outlook(archive: Archive, schema: Schema) -> Outlook:
    """What an import into an app of this schema would make of an archive, as far as can be told."""
    try:
        read = as_of_today(archive, schema)
        require_fit(read.header, schema, "refuse")
    except (SchemaError, SchemaMismatch, SecretsMissing, VersionMismatch, WrongApp) as error:
        return Outlook(app=schema.app, version=schema.version, refused=error.message)
    done = migration_of(read)
    steps = () if done is None else done.steps
    return Outlook(app=schema.app, version=schema.version, steps=steps)


def verify_archive(
    source: PathOrFile,
    schema: Schema | None = None,
    *,
    dangling: Dangling = "refuse",
    limits: Limits | None = None,
    decryption: Decryption | None = None,
    progress: ProgressCallback | None = None,
) -> VerifyReport:
    """Read every record of an archive: seal, format, values, counts, digests, keys, references.

    Against `schema`, to which an older archive is migrated, or without one against what the archive
    says its kinds are. `decryption` opens an archive that is encrypted. `dangling="keep"` makes
    references that point nowhere a warning; those that lead out of a selection are one always.
    Raises `FileError`, the `ArchiveError`s, `SchemaMismatch`, `InvalidRecords` with up to 100
    problems; ValueError for another `dangling`, TypeError for what is no schema.
    """
    if schema is not None:
        require_schema(schema)
    require_choice("dangling", dangling, Dangling)
    with open_archive(source, limits, decryption) as opened:
        if schema is None:
            codec_of = functools.partial(Codec, validated=False)
            return _verified(opened, opened.header.recorded, dangling, progress, codec_of)
        archive = as_of_today(opened, schema)
        require_fit(archive.header, schema, "allow")
        if archive.header.selection is not None:
            schema = narrowed(schema, frozenset(archive.header.collections))
        schema = without(schema, archive.header.omitted)
        return _verified(archive, schema, dangling, progress)


def verify_all_but_references(
    source: PathOrFile,
    *,
    limits: Limits | None = None,
    decryption: Decryption | None = None,
    progress: ProgressCallback | None = None,
) -> VerifyReport:
    """As `verify_archive`, but for references: to look each up takes longer than all else.

    For an archive that is to be what a store held, where some may have pointed nowhere.
    """
    with open_archive(source, limits, decryption) as opened:
        codec_of = functools.partial(Codec, validated=False)
        return _verified(opened, opened.header.recorded, None, progress, codec_of)


def _verified(
    archive: Readable,
    schema: Schema,
    dangling: Dangling | None,
    progress: ProgressCallback | None,
    codec_of: Callable[[Collection], Codec] = operator.attrgetter("codec"),
) -> VerifyReport:
    """What an archive is found to be by reading all of it; it is known to fit the schema."""
    problems, warnings = ProblemList(), ProblemList()
    links = () if dangling is None else None
    with References(schema, links) as references:
        for name, read in archive.collections():
            codec = RecordCodec(schema[name], codec_of(schema[name]))
            batches = reported(read(codec), "verifying", name, archive.ends[name], progress)
            in_order = in_key_order(archive.header, schema[name])
            with UniqueKeys(schema[name], codec.codec, in_order=in_order) as keys:
                for batch in _until_enough(batches, problems):
                    problems.add(batch.problems)
                    problems.add_of_today(keys.check(batch))
                    references.add(schema[name], codec.codec, batch)
            if problems.are_enough:
                break
        if not problems:
            found = problems if dangling == "refuse" else warnings
            for problem in references.dangling():
                found.add_of_today([problem])
    if problems:
        headline = problems.headline("the archive is not sound")
        raise InvalidRecords.of(headline, problems.locate(archive, schema), problems.total)
    counts = {name: end.count for name, end in archive.ends.items()}
    return VerifyReport(
        archive_id=archive.header.archive_id,
        app=archive.header.app,
        schema_version=archive.header.schema_version,
        collections=counts,
        records=sum(counts.values()),
        seal=archive.seal,
        migrated=migration_of(archive),
        warnings=(
            *map(str, warnings.locate(archive, schema)),
            *leaving_warnings(archive.header, counts),
        ),
    )


def _until_enough(batches: Iterable[Batch], problems: ProblemList) -> Iterator[Batch]:
    for batch in batches:
        yield batch
        if problems.are_enough:
            return
