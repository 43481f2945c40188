import contextlib
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import attrs
import pytest

from databackup import (
    Collection,
    ImportOptions,
    Limits,
    Reference,
    Schema,
    export_all,
    import_all,
    inspect_archive,
    verify_archive,
)
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import (
    ArchiveInvalid,
    FileError,
    LimitExceeded,
    SchemaMismatch,
    StoreError,
    StoreLocked,
    VersionMismatch,
    WrongApp,
)
from databackup.testing.harness import stored
from tests.support import sqlite
from tests.support.archives import Lines, edited, exported
from tests.support.club import CLUB, club, memory
from tests.support.wrappers import Passed, unordered


def _other(**members: Any) -> Schema:
    given: dict[str, Any] = {
        "app": CLUB.app,
        "version": CLUB.version,
        "collections": CLUB.collections,
    }
    return Schema(**given | members)


def test_archive_of_another_app_is_refused() -> None:
    """Both names are told, and how to allow it; allowed, it goes in."""
    archive = exported(memory(schema=_other(app="chess")))
    target = memory({})
    with pytest.raises(WrongApp) as caught:
        import_all(target, io.BytesIO(archive))
    assert ("chess", "club") == (caught.value.found, caught.value.expected)
    assert "wrong_app='allow'" in str(caught.value)
    assert stored(memory({})) == stored(target)
    assert 13 == import_all(target, io.BytesIO(archive), wrong_app="allow").records


@pytest.mark.parametrize("source,target", [(None, "club"), ("club", None), (None, None)])
def test_app_is_compared_only_where_both_have_a_name(source: Any, target: Any) -> None:
    """A reflected schema has no app, and fits any."""
    archive = exported(memory(schema=_other(app=source)))
    assert 13 == import_all(memory({}, _other(app=target)), io.BytesIO(archive)).records


@pytest.mark.parametrize(
    "found,supported,word", [(4, 3, "newer"), (2, 3, "older")], ids=["newer", "older"]
)
def test_other_version_is_refused(found: int, supported: int, word: str) -> None:
    """A newer and an older schema version are refused, naming both."""
    archive = exported(memory(schema=_other(version=found)))
    with pytest.raises(VersionMismatch, match=f"version {found}, {word} than this app's 3") as got:
        import_all(memory({}), io.BytesIO(archive))
    assert (found, supported) == (got.value.found, got.value.supported)


def test_all_differences_of_the_schemas_are_listed() -> None:
    """Collections and fields that only one side has are all told, and nothing is begun."""
    changed = [
        Collection("members", key="id", fields={"id": int, "nick": str}),
        Collection("extra", fields={"x": int}),
    ]
    target = Passed(memory({}, _other(collections=changed)))
    with pytest.raises(SchemaMismatch) as caught:
        import_all(target, io.BytesIO(exported(memory())))
    expected = {
        "the archive has the collection 'teams', the target does not",
        "the archive has the collection 'plays', the target does not",
        "the archive has the collection 'log', the target does not",
        "the target has the collection 'extra', the archive does not",
        "the archive has the field members.name, the target does not",
        "the archive has the field members.fee, the target does not",
        "the archive has the field members.recruited_by, the target does not",
        "the target has the field members.nick, the archive does not",
    }
    assert expected == set(caught.value.differences)
    assert [] == target.calls
    for difference in expected:
        assert difference in str(caught.value)


def test_store_that_cannot_undo_is_refused() -> None:
    """A store that is not atomic is refused before anything is read."""
    target = Passed(memory(), atomic=False, name="folder")
    with pytest.raises(StoreError, match="'folder' cannot undo a failed import"):
        import_all(target, io.BytesIO(b""))


def test_another_transaction_is_waited_for_as_long_as_said(tmp_path: Path) -> None:
    """A store that is held by another transaction is refused after the time to wait."""
    target = sqlite.repository(tmp_path / "t.db", CLUB)
    archive = exported(memory())
    with target.transaction(), pytest.raises(StoreLocked):
        import_all(target, io.BytesIO(archive), wait=0.01)


# -- options ---------------------------------------------------------------------------------------


def test_options_are_frozen() -> None:
    """Options cannot be changed once they are made."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ImportOptions().mode = "replace"  # type: ignore[misc]


@pytest.mark.parametrize(
    "name,value",
    [
        ("mode", "sync"),
        ("read_back", "no"),
        ("wrong_app", True),
        ("dangling", "drop"),
        ("allow_cascade", 1),
        ("wait", -1),
        ("wait", "5"),
        ("wait", float("nan")),
        ("wait", float("inf")),
        ("wait", 86_401),
        ("limits", 5),
    ],
)
def test_options_are_validated(name: str, value: Any) -> None:
    """An option that is not one is refused before the source is opened."""
    with pytest.raises((TypeError, ValueError), match=name):
        ImportOptions(**{name: value})
    with pytest.raises((TypeError, ValueError), match=name):
        import_all(memory(), "no such file", **{name: value})


def test_limits_hold(tmp_path: Path) -> None:
    """A record longer than the limit is refused, with nothing changed."""
    target = memory({})
    archive = exported(memory({"teams": [("x", 1.0, "y" * 500_000)]}))
    with pytest.raises(LimitExceeded):
        import_all(target, io.BytesIO(archive), limits=Limits(record=100_000))
    assert stored(memory({})) == stored(target)


def test_progress_may_be_none() -> None:
    """None is no progress, for every operation."""
    archive = exported(memory())
    assert 13 == verify_archive(io.BytesIO(archive), progress=None).records
    assert 13 == import_all(memory({}), io.BytesIO(archive), progress=None).records
    assert 13 == export_all(memory(), io.BytesIO(), progress=None).records


# -- inspect and verify ----------------------------------------------------------------------------


def test_inspect_tells_what_the_header_says(tmp_path: Path) -> None:
    """App, version, collections with counts, keys and order, sizes and seal."""
    path = tmp_path / "club.json"
    report = export_all(memory(), path)
    info = inspect_archive(path)
    assert ("club", 3, "snapshot", None, "included") == (
        info.app,
        info.schema_version,
        info.consistency,
        info.selection,
        info.secrets,
    )
    assert ("code", "rating", "notes") == info.collections["teams"].fields
    assert (("team", "member"), "key", 3) == (
        info.collections["plays"].key,
        info.collections["plays"].order,
        info.collections["plays"].records,
    )
    assert ((), "none") == (info.collections["log"].key, info.collections["log"].order)
    assert (report.seal, report.size, None) == (info.seal, info.size, info.compression)
    assert "memory" == info.producer["adapter"]


def test_reports_are_json(tmp_path: Path) -> None:
    """Every report is a JSON object."""
    path = tmp_path / "club.json"
    reports = [
        export_all(memory(), path),
        inspect_archive(path),
        verify_archive(path),
        import_all(memory({}), path),
    ]
    for report in reports:
        assert 13 == json.loads(json.dumps(report.as_json()))["records"]


def test_verify_counts_every_record() -> None:
    """Verification reads all records, with today's schema or the archive's own word."""
    for schema in (CLUB, None):
        report = verify_archive(io.BytesIO(exported(memory())), schema)
        assert {"members": 4, "teams": 3, "plays": 3, "log": 3} == report.collections


def test_verify_with_a_schema_of_another_key() -> None:
    """An order by the archive's key is none by the schema's, and no problem."""
    archive = exported(memory())
    teams = Collection("teams", key="rating", fields=CLUB["teams"].fields)
    plays = Collection(
        "plays",
        key=("member", "team"),
        fields=CLUB["plays"].fields,
        references=[Reference("member", "members")],
    )
    schema = _other(collections=[teams, plays, CLUB["log"], CLUB["members"]])
    assert 13 == verify_archive(io.BytesIO(archive), schema).records


def test_verify_finds_repeated_keys_without_order() -> None:
    """An archive without order has an index of its keys."""
    lines = Lines.of(exported(unordered(memory())))
    lines.collections["teams"].append(lines.collections["teams"][0])
    with pytest.raises(Exception, match="teams, record 4, key 'é', field code: another record"):
        verify_archive(io.BytesIO(lines.sealed(CLUB)))


def test_verify_refuses_an_unknown_choice() -> None:
    """`dangling` is one of two words."""
    with pytest.raises(ValueError, match="dangling is 'refuse' or 'keep', not 'drop'"):
        verify_archive(io.BytesIO(exported(memory())), dangling="drop")  # type: ignore[arg-type]


def test_header_whose_references_lead_nowhere_is_refused() -> None:
    """An archive that describes no sound schema cannot be verified by its own word."""

    def edit(lines: Lines) -> None:
        lines.header = lines.header.replace(b'"collection":"teams"', b'"collection":"teamz"')

    archive = edited(exported(memory(club())), CLUB, edit)
    with pytest.raises(ArchiveInvalid):
        verify_archive(io.BytesIO(archive))


@pytest.mark.parametrize("operation", [inspect_archive, verify_archive])
def test_sources_that_are_none(tmp_path: Path, operation: Any) -> None:
    """A missing file and a folder are told as such."""
    with pytest.raises(FileError, match="does not exist"):
        operation(tmp_path / "none.json")
    with pytest.raises(FileError, match="is a folder"):
        operation(tmp_path)


def test_a_record_of_the_store_that_its_schema_does_not_allow_is_deleted(tmp_path: Path) -> None:
    """A key of text that is no UTF-8, in a field that keeps none, does not stop a replace."""
    path = tmp_path / "t.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id TEXT PRIMARY KEY, n TEXT)")
        connection.execute("INSERT INTO t VALUES ('a', 'x')")
    schema = Schema(collections=[Collection("t", key="id", fields={"id": str, "n": str})])
    archive = io.BytesIO()
    export_all(SQLiteRepository(path, schema), archive)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO t VALUES (CAST(x'ff' AS TEXT), 'y')")
    archive.seek(0)
    report = import_all(SQLiteRepository(path, schema), archive)
    assert (1, 1) == (report.deleted, report.unchanged)
