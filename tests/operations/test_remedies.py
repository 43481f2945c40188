"""What somebody is told to do about a migration that cannot go on."""

import datetime
import io
import os
from pathlib import Path
from typing import Any

import pytest

from databackup import Collection, Json, Recorder, Reference, Schema, export_all, migration
from databackup.errors import (
    InvalidRecords,
    NoInverse,
    NotMigratedBack,
    SchemaError,
    VersionMismatch,
)
from tests.support.club import memory
from tests.support.migrating import after, archive_of, failing, freeze_as_is, of_today, old, step

TEAMS = Collection("teams", key="id", fields={"id": int})
PLAYERS = Collection(
    "players",
    key="id",
    fields={"id": int, "team": int, "name": str, "joined": str, "notes": Json},
    references=[Reference("team", "teams")],
)
TODAY: dict[str, list[Any]] = {
    "teams": [(1,)],
    "players": [(1, 1, "Ana", datetime.date(2026, 1, 2), "n")],
}


def released(folder: Path, **options: dict[str, Any]) -> Schema:
    """A schema whose version 2 was frozen without ways back, with options that came later."""

    def record(m: Recorder, given: dict[str, dict[str, Any]]) -> None:
        def convert(text: str) -> datetime.date:
            return datetime.date.fromisoformat(text)

        m.change_kind("players", "joined", datetime.date, using=convert, **given.get("kind", {}))
        m.map_records("players", dict, **given.get("map", {}))
        m.remove_field("players", "name", **given.get("remove", {}))
        m.move_field("players", "notes", "teams", via="team", **given.get("move", {}))

    first = old(folder, TEAMS, PLAYERS)
    made = after(folder, step(lambda m: record(m, {})), first=first)
    freeze_as_is(made, folder)
    return of_today(folder, made.collections, step(lambda m: record(m, options)))


LATER: dict[str, dict[str, Any]] = {
    "kind": {"inverse": str},
    "map": {"inverse": dict},
    "remove": {"default": ""},
}


def test_which_way_back_may_be_added_at_any_time(tmp_path: Path) -> None:
    """All that the remedy names so; the default of a `move_field` makes another version."""
    rows = {"teams": [(1, None)], "players": []}
    with pytest.raises(NoInverse) as caught:
        export_all(memory(rows, released(tmp_path, **LATER)), io.BytesIO(), version=1)
    assert caught.value.operation.startswith("move_field")
    assert "default= for remove_field, which may be added at any time. A" in caught.value.remedy
    assert "is for a migration that is not released" in caught.value.remedy
    schema = released(tmp_path, **LATER, move={"default": []})
    with pytest.raises(SchemaError, match="does not make version 2: after it, the field teams"):
        export_all(memory(rows, schema), io.BytesIO(), version=1)


def refusing(number: int) -> int:
    """A function that takes nothing."""
    raise ValueError(number)


def numbered(folder: Path) -> tuple[Schema, Schema]:
    """A schema whose numbers can neither go up nor back."""
    first = old(folder, TEAMS)

    def change(m: Recorder) -> None:
        m.change_kind("teams", "id", int, using=refusing, inverse=refusing)

    return first, after(folder, step(change), first=first)


def test_records_that_cannot_go_back(tmp_path: Path) -> None:
    """They are in a store, where nobody can seal them."""
    _, new = numbered(tmp_path)
    with pytest.raises(NotMigratedBack) as caught:
        export_all(memory({"teams": [(1,)]}, new), io.BytesIO(), version=1)
    assert isinstance(caught.value, InvalidRecords)
    assert "the inverse of the migration" in caught.value.remedy
    assert "seal" not in caught.value.remedy


def test_records_that_cannot_be_migrated(tmp_path: Path) -> None:
    """The migration may be what has to be mended, too."""
    first, new = numbered(tmp_path)
    error = failing(new, archive_of(first, {"teams": [(1,)]}))
    assert "Mend these records or the named migration" in error.remedy


def test_no_folder_of_versions() -> None:
    """It is named what is missing."""
    plain = Schema(
        app="club",
        version=2,
        collections=[TEAMS],
        migrations=[migration(1, 2, lambda m: m.rename_collection("groups", "teams"))],
    )
    with pytest.raises(VersionMismatch, match="say Schema") as caught:
        export_all(memory({"teams": []}, plain), io.BytesIO(), version=1)
    assert "give the schema its frozen versions (versions=)" in caught.value.remedy


def test_an_error_while_a_step_is_recorded() -> None:
    """It stays what it is, and a note names the step."""

    def bad(m: Recorder) -> None:
        m.remove_field("teams", os.environ["DATABACKUP_NOTHING"])

    with pytest.raises(KeyError, match="NOTHING") as caught:
        migration(1, 2, bad)
    assert ["in the migration 1 to 2 (bad)"] == caught.value.__notes__
