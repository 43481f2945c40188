"""Schemas with a past: versions frozen in a folder, and migrations between them."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from databackup import Collection, ImportReport, Schema, export_all, import_all
from databackup.repository import Repository, Row
from databackup.schema.recording import Migration
from databackup.schema.versions import FrozenVersion
from tests.support.club import memory

Rows = Mapping[str, Sequence[Row]]


def freeze_as_is(schema: Schema, folder: Path) -> None:
    """Write a schema as its version, whatever it may be."""
    folder.mkdir(exist_ok=True)
    path = folder / f"v{schema.version}.json"
    path.write_text(FrozenVersion.of(schema).to_text(), encoding="utf-8")


def of_today(
    folder: Path,
    collections: Iterable[Collection],
    *migrations: Migration,
    app: str | None = "club",
    version: int | None = None,
) -> Schema:
    """Today's schema, at the end of some migrations unless it says its version."""
    last = max((step.target for step in migrations), default=1)
    return Schema(
        app=app,
        version=last if version is None else version,
        collections=list(collections),
        migrations=migrations,
        versions=folder,
    )


def old(folder: Path, *collections: Collection, version: int = 1) -> Schema:
    """An older schema, which is frozen."""
    schema = Schema(app="club", version=version, collections=collections)
    freeze_as_is(schema, folder)
    return schema


def archive_of(schema: Schema, rows: Rows) -> bytes:
    """An archive that an app of a schema has made."""
    archive = io.BytesIO()
    export_all(memory({name: list(found) for name, found in rows.items()}, schema), archive)
    return archive.getvalue()


def rows_in(repository: Repository) -> dict[str, list[Row]]:
    """What a store holds."""
    with repository.snapshot() as snapshot:
        return {
            c.name: [row for batch in snapshot.rows(c) for row in batch]
            for c in repository.schema.collections
        }


def restored(schema: Schema, archive: bytes, **options: Any) -> dict[str, list[Row]]:
    """What an empty store in memory holds once an archive was imported."""
    repository = memory({}, schema)
    import_all(repository, io.BytesIO(archive), **options)
    return rows_in(repository)


def imported(schema: Schema, archive: bytes, **options: Any) -> ImportReport:
    """The report of an import into an empty store in memory."""
    return import_all(memory({}, schema), io.BytesIO(archive), **options)
