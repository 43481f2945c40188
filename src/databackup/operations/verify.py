"""Inspect and verify: what an archive says of itself, and whether it holds what it says."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from databackup.archive.format import described_collections
from databackup.archive.reader import Archive, Limits, open_archive
from databackup.archive.records import RecordCodec
from databackup.errors import ArchiveInvalid, InvalidRecords, SchemaError
from databackup.operations.keys import References, UniqueKeys
from databackup.operations.locate import ProblemList
from databackup.operations.reports import ArchiveInfo, CollectionInfo, VerifyReport, reported
from databackup.operations.targets import Dangling, in_key_order, require_choice, require_fit
from databackup.schema import Schema
from databackup.schema.compiled import Codec

if TYPE_CHECKING:
    from databackup.operations.reports import ProgressCallback

Source = str | os.PathLike[str] | IO[bytes]


def inspect_archive(source: Source, *, limits: Limits | None = None) -> ArchiveInfo:
    """What an archive says of itself, once its seal has been checked.

    Raises `FileError` and the `ArchiveError`s of an archive that is not sound.
    """
    with open_archive(source, limits) as archive:
        header = archive.header
        collections = {
            name: CollectionInfo(
                records=end.count,
                fields=tuple(header.schema["collections"][name]["fields"]),
                key=tuple(header.schema["collections"][name]["key"]),
                order=header.schema["collections"][name]["order"],
                digest=end.digest,
            )
            for name, end in archive.ends.items()
        }
        return ArchiveInfo.of(
            header,
            collections=collections,
            records=sum(end.count for end in archive.ends.values()),
            compression=archive.compression,
            size=archive.size,
            file_size=archive.file_size,
            seal=archive.seal,
        )


def verify_archive(
    source: Source,
    schema: Schema | None = None,
    *,
    dangling: Dangling = "refuse",
    limits: Limits | None = None,
    progress: ProgressCallback | None = None,
) -> VerifyReport:
    """Read every record of an archive: seal, format, values, counts, digests, keys, references.

    Against `schema`, or without one against what the archive says its kinds are. `dangling="keep"`
    makes references that point nowhere a warning. Raises `FileError`, the `ArchiveError`s,
    `SchemaMismatch`, and `InvalidRecords` with up to 100 problems.
    """
    require_choice("dangling", dangling, Dangling)
    with open_archive(source, limits) as archive:
        if schema is None:
            schema = _described_schema(archive)
            codecs = {c.name: Codec(c, validated=False) for c in schema.collections}
        else:
            require_fit(archive.header, schema, "allow")
            codecs = {c.name: c.codec for c in schema.collections}
        problems, warnings = ProblemList(), ProblemList()
        with References(schema) as references:
            for name, read in archive.collections():
                codec = RecordCodec(schema[name], codecs[name])
                batches = reported(read(codec), "verifying", name, archive.ends[name], progress)
                in_order = in_key_order(archive.header, schema[name])
                with UniqueKeys(schema[name], codec.codec, in_order=in_order) as keys:
                    for batch in batches:
                        problems.add([*batch.problems, *keys.check(batch)])
                        references.add(schema[name], codec.codec, batch)
            if not problems:
                found = problems if dangling == "refuse" else warnings
                for problem in references.dangling():
                    found.add([problem])
        if problems:
            raise InvalidRecords.of("the archive is not sound", problems.located, problems.total)
        counts = {name: end.count for name, end in archive.ends.items()}
        return VerifyReport(
            archive_id=archive.header.archive_id,
            app=archive.header.app,
            schema_version=archive.header.schema_version,
            collections=counts,
            records=sum(counts.values()),
            seal=archive.seal,
            warnings=tuple(map(str, warnings.located)),
        )


def _described_schema(archive: Archive) -> Schema:
    collections = described_collections(archive.header)
    try:
        return Schema(collections=tuple(collections.values()))
    except SchemaError as error:
        raise ArchiveInvalid(f"the header's schema is not sound: {error.message}") from error
