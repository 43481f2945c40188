"""Frozen versions: what their files hold, what is refused, and how differences are told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from databackup import Collection, Recorder, Reference, Schema, migration
from databackup.errors import FileError, SchemaError, VersionMismatch
from databackup.migrations.way import check_chain
from databackup.operations.history import schema_history
from databackup.schema.versions import FrozenVersion, Versions, check_frozen, collections_of, freeze
from databackup.testing import check_schema
from databackup.testing.strategies import schemas
from tests.support.migrating import freeze_as_is

PEOPLE = Collection(
    "people",
    key="id",
    fields={"name": str, "id": int, "boss": int | None},
    references=[Reference("boss", "people")],
)
LOG = Collection("log", fields={"line": str})


def schema(folder: Path | None, *collections: Collection, version: int = 1, **more: Any) -> Schema:
    """A schema with a folder of versions."""
    return Schema(
        app="club",
        version=version,
        collections=collections or (PEOPLE, LOG),
        versions=folder,
        **more,
    )


def test_freeze(tmp_path: Path) -> None:
    """The file is JSON, readable, its members sorted; nothing else is left in the folder."""
    folder = tmp_path / "host" / "versions"
    path = freeze(schema(folder))
    assert folder / "v1.json" == path
    text = path.read_text(encoding="utf-8")
    found = json.loads(text)
    assert json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n" == text
    assert ["app", "collections", "digest", "version"] == list(found)
    assert ("club", 1) == (found["app"], found["version"])
    assert ["log", "people"] == list(found["collections"])
    assert {
        "fields": {
            "boss": {"kind": "int", "nullable": True},
            "id": {"kind": "int"},
            "name": {"kind": "str"},
        },
        "key": ["id"],
        "references": [{"collection": "people", "fields": ["boss"], "to": ["id"]}],
    } == found["collections"]["people"]
    assert [path] == list(folder.iterdir())
    stamp = path.stat().st_mtime_ns
    assert path == freeze(schema(folder))
    assert stamp == path.stat().st_mtime_ns


@given(schemas(portable=False))
def test_any_schema(drawn: Schema) -> None:
    """What is frozen is read as it was, whatever the schema holds."""
    frozen = FrozenVersion.of(drawn)
    read = FrozenVersion.from_text(frozen.to_text())
    assert (frozen.app, frozen.version, frozen.digest) == (read.app, read.version, read.digest)
    assert FrozenVersion.of(read.schema).to_text() == frozen.to_text()
    ours, theirs = collections_of(drawn), collections_of(read.schema)
    for name, collection in ours.items():
        for field in collection.fields:
            assert field.form.describe() == theirs[name].field(field.name).form.describe()


def test_the_order_of_fields_is_no_part_of_it(tmp_path: Path) -> None:
    """A schema whose fields and collections are in another order is the same."""
    freeze(schema(tmp_path))
    turned = Collection(
        "people",
        key="id",
        fields={"boss": int | None, "id": int, "name": str},
        references=PEOPLE.references,
    )
    check_frozen(schema(tmp_path, LOG, turned))


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    """Changes the members of a file."""

    def edit(text: str) -> str:
        found = json.loads(text)
        change(found)
        return json.dumps(found)

    return edit


BROKEN: dict[str, tuple[Callable[[str], str], str]] = {
    "a kind": (
        edited(lambda f: f["collections"]["log"]["fields"].update(line={"kind": "int"})),
        "its digest is another one: it was edited, or merged from two",
    ),
    "the digest": (edited(lambda f: f.update(digest="sha256:0")), "its digest is another one"),
    "another version": (edited(lambda f: f.update(version=2)), "it holds version 2"),
    "no version": (edited(lambda f: f.pop("version")), "no member 'version'"),
    "no digest": (edited(lambda f: f.pop("digest")), "no member 'digest'"),
    "no app": (edited(lambda f: f.pop("app")), "no member 'app'"),
    "no collections": (edited(lambda f: f.pop("collections")), "no member 'collections'"),
    "more": (edited(lambda f: f.update(x=1)), "the unknown member 'x'"),
    "a version of text": (edited(lambda f: f.update(version="1")), "the version is an integer"),
    "collections of nothing": (
        edited(lambda f: f.update(collections=[])),
        "expected a JSON object",
    ),
    "no kind": (
        edited(lambda f: f["collections"]["log"]["fields"].update(line={"kind": "new"})),
        "'new' is no kind of this version of databackup",
    ),
    "not sound": (
        edited(lambda f: f["collections"]["log"].update(key=["x"])),
        "the key of log names 'x', which is no field of it",
    ),
    "lone surrogates": (
        edited(
            lambda f: f["collections"]["log"]["fields"].update(
                line={"kind": "enum", "values": ["\ud800"]}
            )
        ),
        "surrogates not allowed",
    ),
    "no JSON": (lambda text: text[:-3], "Expecting"),
    "a merge": (lambda text: "<<<<<<<\n" + text, "Expecting value"),
    "an array": (lambda _: "[]", "expected a JSON object"),
    "nothing": (lambda _: "", "Expecting value"),
    "very deep": (lambda _: "[" * 100_000, "recursion"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(name: str, tmp_path: Path) -> None:
    """A file that was edited, or holds something else, is refused, and its path is named."""
    change, expected = BROKEN[name]
    today = schema(tmp_path)
    path = freeze(today)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    for read in (lambda: Versions(tmp_path)[1], lambda: check_frozen(today), lambda: freeze(today)):
        with pytest.raises(SchemaError) as caught:
            read()
        assert str(path) in str(caught.value)
        assert expected in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Also these are a typed error."""
    freeze(schema(tmp_path)).write_bytes(b'{"app": "\xff"}')
    with pytest.raises(SchemaError, match="can't decode"):
        Versions(tmp_path)[1]


def test_numbers(tmp_path: Path) -> None:
    """Only files named for a version count; a folder that is not there has none."""
    assert () == Versions(tmp_path / "none").numbers
    for name in (
        "v1.json",
        "v10.json",
        "v2.json",
        "v02.json",
        "v0.json",
        "V3.json",
        "v4.json.bak",
        ".v5.json.new",
    ):
        (tmp_path / name).write_text("")
    assert (1, 2, 10) == Versions(tmp_path).numbers
    with pytest.raises(KeyError):
        Versions(tmp_path)[3]
    assert f"Versions({str(tmp_path)!r})" == repr(Versions(tmp_path))


def test_folders_that_cannot_be_read(tmp_path: Path) -> None:
    """A file where the folder should be, a folder where the file should be."""
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(FileError, match="Not a directory"):
        Versions(file).numbers  # noqa: B018 - it is read
    with pytest.raises(FileError, match="Not a directory"):
        Versions(file)[1]
    with pytest.raises(FileError, match="cannot be"):
        freeze(schema(file))
    (tmp_path / "v1.json").mkdir()
    with pytest.raises(FileError, match="Is a directory"):
        check_frozen(schema(tmp_path))


def test_writing_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is full there is no file, neither whole nor half."""

    def full(_self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(FileError, match="No space left") as caught:
        freeze(schema(tmp_path))
    assert str(tmp_path / "v1.json") == caught.value.path
    assert [] == list(tmp_path.iterdir())


def test_a_file_is_read_as_it_is_now(tmp_path: Path) -> None:
    """Nothing is kept of what was read before."""
    freeze(schema(tmp_path))
    versions = Versions(tmp_path)
    assert "club" == versions[1].app
    freeze_as_is(Schema(app="other", collections=[LOG]), tmp_path)
    assert "other" == versions[1].app


# -- checks ----------------------------------------------------------------------------------------


def test_without_a_folder() -> None:
    """A schema that names no folder can neither be frozen nor checked."""
    with pytest.raises(SchemaError, match="it has no folder: say versions="):
        freeze(schema(None))
    with pytest.raises(SchemaError, match="it has no folder: say versions="):
        check_frozen(schema(None))


def test_not_frozen(tmp_path: Path) -> None:
    """The version's number is named, and the command that freezes it."""
    with pytest.raises(SchemaError, match="version 1 is not frozen") as caught:
        check_frozen(schema(tmp_path))
    assert ("freeze it (databackup schema freeze --app package.module:schema)",) == tuple(
        caught.value.problems
    )


def test_changed(tmp_path: Path) -> None:
    """All that differs is told, and what to do; it is not frozen anew."""
    path = freeze(schema(tmp_path))
    text = path.read_text(encoding="utf-8")
    people = Collection(
        "people",
        key="id",
        fields={"name": str | None, "id": str, "nick": str},
        references=[Reference("nick", "people")],
    )
    teams = Collection("teams", fields={"a": int})
    changed = Schema(app="other", collections=[people, teams], versions=tmp_path)
    for check in (check_frozen, freeze):
        with pytest.raises(
            SchemaError, match="the schema is not version 1 as it was frozen"
        ) as caught:
            check(changed)
        assert (
            "the app was 'club', is 'other'",
            "the collection 'log' is gone",
            "the field people.boss is gone",
            'the field people.name was str, is str {"nullable": true}',
            "the field people.id was int, is str",
            "the field people.nick is new",
            "the reference of people (boss) to people (id) is gone",
            "the reference of people (nick) to people (id) is new",
            "the collection 'teams' is new",
            (
                "to change it: make it version 2, write a migration from 1 to 2, with "
                "m.rename_app('club', 'other'), and freeze that "
                "(databackup schema freeze --app package.module:schema)"
            ),
        ) == tuple(caught.value.problems)
    assert text == path.read_text(encoding="utf-8")


def test_chain(tmp_path: Path) -> None:
    """Every frozen version must become today's by its steps; what differs is named."""
    freeze(schema(tmp_path))

    @migration(1, 2)
    def first(m: Recorder) -> None:
        m.rename_field("log", "line", "text")

    @migration(2, 3)
    def second(m: Recorder) -> None:
        m.remove_field("people", "name")

    people = Collection(
        "people", key="id", fields={"id": int, "boss": int | None}, references=PEOPLE.references
    )
    log = Collection("log", fields={"text": str})
    today = schema(tmp_path, people, log, version=3, migrations=[first, second])
    freeze(today)
    check_chain(today)
    freeze_as_is(schema(None, PEOPLE, LOG, version=2), tmp_path)
    with pytest.raises(
        SchemaError, match=r"the migration 1 to 2 \(first\) does not make version 2"
    ) as caught:
        check_chain(today)
    assert ("after it, the field log.line is gone", "after it, the field log.text is new") == tuple(
        caught.value.problems
    )
    (tmp_path / "v2.json").unlink()
    check_chain(today)
    with pytest.raises(VersionMismatch, match="no migration leads from version 1"):
        check_chain(schema(tmp_path, people, log, version=3))


def test_a_version_that_was_never_frozen_is_sound(tmp_path: Path) -> None:
    """A step whose outcome nobody has frozen must still make a schema."""
    freeze(schema(tmp_path))

    @migration(1, 2)
    def wrong(m: Recorder) -> None:
        m.change_kind("people", "id", int | None)

    @migration(2, 3)
    def right(m: Recorder) -> None:
        m.change_kind("people", "id", int, default=0)

    today = schema(tmp_path, version=3, migrations=[wrong, right])
    freeze(today)
    with pytest.raises(
        SchemaError, match=r"the migration 1 to 2 \(wrong\) does not make version 2"
    ) as caught:
        check_chain(today)
    assert ("after it, the key of people names 'id', which may be null",) == tuple(
        caught.value.problems
    )


def test_a_schema_without_a_folder() -> None:
    """It is said what cannot be done."""
    with pytest.raises(SchemaError, match=r"^the schema cannot be frozen: it has no folder"):
        freeze(schema(None))
    with pytest.raises(SchemaError, match=r"^the schema cannot be checked: it has no folder"):
        check_frozen(schema(None))


def test_a_frozen_version_of_tomorrow(tmp_path: Path) -> None:
    """It is named, with what to upgrade."""
    freeze(schema(tmp_path, version=2))
    freeze(schema(tmp_path))
    with pytest.raises(SchemaError, match=r"v2\.json is there: take the code that has version 2"):
        check_chain(schema(tmp_path))


def test_code_that_is_older_than_its_versions(tmp_path: Path) -> None:
    """A version that is frozen beside code of an older one: the code is to be renewed."""
    things = Collection("things", key="id", fields={"id": int})
    older = Schema(app="club", version=3, collections=[things], versions=tmp_path)
    freeze(older)
    freeze(Schema(app="club", version=10, collections=[things], versions=tmp_path))
    changed = Collection("things", key="id", fields={"id": str})
    other = Schema(app="club", version=3, collections=[changed], versions=tmp_path)
    unfrozen = Schema(app="club", version=2, collections=[things], versions=tmp_path)
    for schema in (older, other, unfrozen):
        for check in (check_frozen, check_chain):
            with pytest.raises(SchemaError) as caught:
                check(schema)
            assert (
                "the code is older than its frozen versions: its schema is version "
                f"{schema.version}, and {tmp_path / 'v10.json'} is there: take the code that has "
                "version 10; a version that no archive was made of can be taken away instead"
            ) == caught.value.message
        with pytest.raises(AssertionError, match="the code is older than its frozen versions"):
            check_schema(schema)
    with pytest.raises(SchemaError, match="the code is older"):
        freeze(other)
    assert freeze(older) == tmp_path / "v3.json"
    assert freeze(unfrozen) == tmp_path / "v2.json"  # late, with the models that it had
    assert not any(version.changed for version in schema_history(older).versions)
    assert any(version.changed for version in schema_history(other).versions)
