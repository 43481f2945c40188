"""Archives that contradict a frozen version, and models that do: which of the two is to blame."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    Collection,
    Schema,
    export_all,
    import_all,
    inspect_archive,
    migrate_archive,
    preview_import,
    verify_archive,
)
from databackup.errors import DatabackupError, SchemaError, SchemaMismatch
from tests.support.club import memory
from tests.support.migrating import after, archive_of, freeze_as_is, of_today, old, restored, step

ID_ONLY = Collection("things", key="id", fields={"id": int})
THINGS = Collection("things", key="id", fields={"id": int, "nick": str})
NULLABLE = Collection("things", key="id", fields={"id": int, "nick": str | None})
DIFFERENCE = 'the field things.nick was str, is str {"nullable": true}'
RENEWAL = "make it version 2, write a migration from 1 to 2, and freeze that"
ROWS = {"things": [(1, "a")]}


def today(folder: Path, collection: Collection, app: str = "club") -> Schema:
    """A schema of version 1 that knows its folder."""
    return of_today(folder, [collection], app=app)


READERS: dict[str, Callable[[Schema, bytes], object]] = {
    "import": restored,
    "preview": lambda s, a: preview_import(memory({}, s), io.BytesIO(a)),
    "verify": lambda s, a: verify_archive(io.BytesIO(a), s),
    "migrate": lambda s, a: migrate_archive(io.BytesIO(a), io.BytesIO(), s),
}


def refusals(schema: Schema, archive: bytes) -> set[str]:
    """What all that read an archive refuse it with."""
    said = set()
    for read in READERS.values():
        with pytest.raises((SchemaMismatch, SchemaError)) as caught:
            read(schema, archive)
        said.add(caught.value.message)
    outlook = inspect_archive(io.BytesIO(archive), schema).outlook
    assert outlook is not None
    return {*said, str(outlook.refused)}


def test_an_archive_that_contradicts_todays_version(tmp_path: Path) -> None:
    """It is refused with the difference, though its values could be read."""
    old(tmp_path, THINGS)
    archive = archive_of(Schema(app="club", collections=[NULLABLE]), ROWS)
    said = f"the archive contradicts version 1 as it was frozen: {DIFFERENCE}"
    assert {said} == refusals(today(tmp_path, THINGS), archive)
    with pytest.raises(SchemaMismatch) as caught:
        restored(today(tmp_path, THINGS), archive)
    assert (DIFFERENCE,) == caught.value.differences


def test_models_that_changed_and_their_archive(tmp_path: Path) -> None:
    """The export warns; what reads it blames the models, and says what to do."""
    old(tmp_path, THINGS)
    changed = today(tmp_path, NULLABLE)
    (said,) = refusals(changed, archive_of(changed, ROWS))
    assert said.startswith(
        "the archive was made by today's models, which are not version 1 as it was frozen: "
        f"{DIFFERENCE}; "
    )
    assert RENEWAL in said
    (warning,) = export_all(memory(ROWS, changed), io.BytesIO()).warnings
    assert DIFFERENCE in warning
    assert RENEWAL in warning


def test_models_that_changed_otherwise_than_the_archive(tmp_path: Path) -> None:
    """What contradicts is the archive, whatever became of the models."""
    old(tmp_path, THINGS)
    archive = archive_of(Schema(app="club", collections=[NULLABLE]), ROWS)
    said = f"the archive contradicts version 1 as it was frozen: {DIFFERENCE}"
    assert {said} == refusals(today(tmp_path, ID_ONLY), archive)


def test_models_that_changed_and_an_archive_as_frozen(tmp_path: Path) -> None:
    """Nobody says that the archive contradicts: it goes in where it fits, or the models are named.

    A file of today's version cannot be made of it.
    """
    archive = archive_of(old(tmp_path, THINGS), ROWS)
    assert ROWS == restored(today(tmp_path, NULLABLE), archive)
    with pytest.raises(SchemaError, match="schema is not version 1 as it was frozen") as caught:
        migrate_archive(io.BytesIO(archive), io.BytesIO(), today(tmp_path, NULLABLE))
    assert DIFFERENCE in caught.value.problems
    for said in refusals(today(tmp_path, ID_ONLY), archive):
        assert "contradicts" not in said
        assert RENEWAL in said


def test_models_that_changed_and_an_older_archive(tmp_path: Path) -> None:
    """The models are to blame, and not the migration that made what was frozen."""
    first = old(tmp_path, ID_ONLY)
    nicks = step(lambda m: m.add_field("things", "nick", str, default=""))
    new = after(tmp_path, nicks, first=first)
    freeze_as_is(new, tmp_path)
    changed = of_today(tmp_path, [NULLABLE], nicks)
    archive = archive_of(first, {"things": [(1,)]})
    (said,) = refusals(changed, archive)
    assert said.startswith(f"the schema is not version 2 as it was frozen: {DIFFERENCE}; ")
    with pytest.raises(SchemaError, match="schema is not version 2 as it was frozen"):
        export_all(memory(ROWS, changed), io.BytesIO(), version=1)


def test_a_version_that_nobody_froze(tmp_path: Path) -> None:
    """There is nothing to contradict; a rewritten file has to say what today's models do."""
    archive = archive_of(Schema(app="club", collections=[NULLABLE]), ROWS)
    assert ROWS == restored(today(tmp_path, THINGS), archive)
    with pytest.raises(SchemaMismatch, match="contradicts version 1 as today's models have it"):
        migrate_archive(io.BytesIO(archive), io.BytesIO(), today(tmp_path, THINGS))
    differing = refused(today(tmp_path, ID_ONLY), archive)
    assert "frozen" not in differing.message


def refused(schema: Schema, archive: bytes) -> SchemaMismatch:
    """The error of an import."""
    with pytest.raises(SchemaMismatch) as caught:
        restored(schema, archive)
    return caught.value


def test_an_archive_of_another_app(tmp_path: Path) -> None:
    """Its number says nothing of this app's versions: it is taken as it is."""
    old(tmp_path, THINGS)
    archive = archive_of(Schema(app="bakery", collections=[NULLABLE]), ROWS)
    assert ROWS == restored(today(tmp_path, THINGS), archive, wrong_app="allow")


@pytest.mark.parametrize("rows", [ROWS, {"things": []}])
def test_an_export_of_a_version_as_frozen(tmp_path: Path, rows: dict[str, list[Any]]) -> None:
    """It has no warning, and goes back in; before the freeze it has one."""
    schema = today(tmp_path, THINGS)
    (warning,) = export_all(memory(rows, schema), io.BytesIO()).warnings
    assert "once the models change, this archive may be unreadable: version 1 is not" in warning
    freeze_as_is(schema, tmp_path)
    written = io.BytesIO()
    assert () == export_all(memory(rows, schema), written).warnings
    import_all(memory({}, schema), io.BytesIO(written.getvalue()))


@pytest.mark.parametrize("damage", [Path.mkdir, lambda path: path.write_text("<<<<<<< HEAD")])
def test_a_frozen_version_that_cannot_be_read(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    """An export is written all the same and warns; an import knows not what to hold it against."""
    damage(tmp_path / "v1.json")
    written = io.BytesIO()
    (warning,) = export_all(memory(ROWS, today(tmp_path, THINGS)), written).warnings
    assert "v1.json" in warning
    with pytest.raises(DatabackupError, match=r"v1\.json"):
        restored(today(tmp_path, THINGS), written.getvalue())


def test_an_archive_of_a_selection(tmp_path: Path) -> None:
    """It lacks collections and contradicts nothing by that; what it has must be as frozen."""
    others = Collection("others", key="id", fields={"id": int})
    old(tmp_path, THINGS, others)
    sound, changed = (of_today(tmp_path, [c, others]) for c in (THINGS, NULLABLE))
    rows = {**ROWS, "others": []}
    written = io.BytesIO()
    export_all(memory(rows, sound), written, collections=["things"])
    assert rows == restored(sound, written.getvalue())
    written = io.BytesIO()
    export_all(memory(rows, changed), written, collections=["things"])
    with pytest.raises(SchemaMismatch, match="the archive contradicts version 1 as it was frozen"):
        restored(sound, written.getvalue())
    with pytest.raises(SchemaMismatch, match="the archive was made by today's models"):
        restored(changed, written.getvalue())
