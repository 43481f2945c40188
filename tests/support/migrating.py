"""Schemas with a past: versions frozen in a folder, and migrations between them."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    Collection,
    ImportReport,
    Recorder,
    Reference,
    Schema,
    export_all,
    import_all,
    migrate_archive,
    migration,
    verify_archive,
)
from databackup.errors import InvalidRecords
from databackup.repository import Repository, Row
from databackup.schema.evolution import described
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


# -- an example ------------------------------------------------------------------------------------

PEOPLE = Collection("people", key="id", fields={"id": int, "name": str, "city": str | None})
MENUS = Collection(
    "menus",
    key="id",
    fields={"id": int, "dish": str, "cook_id": int | None},
    references=[Reference("cook_id", "people")],
)
FIRST = Schema(app="club", collections=[PEOPLE, MENUS])
ROWS: dict[str, list[Any]] = {
    "people": [(1, "Ana", "Rom"), (2, "Bo", None), (3, "Cy", "Bern")],
    "menus": [(1, "soup", 1), (2, "cake", 1), (3, "pie", 3), (4, "ice", None)],
}


def step(record: Callable[[Recorder], None]) -> Migration:
    """The migration from 1 to 2 that a function records."""
    return migration(1, 2, record)


def after(folder: Path, *migrations: Migration, first: Schema | None = None) -> Schema:
    """Today's schema as migrations make it of the first version."""
    first = old(folder, PEOPLE, MENUS) if first is None else first
    state = described(first.collections)
    for one in migrations:
        state = one.apply(state)
    return of_today(folder, state.values(), *migrations)


def failing(
    new: Schema, archive: bytes, rows: dict[str, list[Any]] | None = None
) -> InvalidRecords:
    """The error of an import, which changes nothing."""
    repository: Repository = memory(rows or {}, new)
    before = rows_in(repository)
    with pytest.raises(InvalidRecords) as caught:
        import_all(repository, io.BytesIO(archive))
    assert before == rows_in(repository)
    with pytest.raises(InvalidRecords) as verified:
        verify_archive(io.BytesIO(archive), new)
    assert caught.value.problems == verified.value.problems
    written = io.BytesIO()
    with pytest.raises(InvalidRecords):
        migrate_archive(io.BytesIO(archive), written, new)
    return caught.value
