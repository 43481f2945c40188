"""Secret fields on the way between versions."""

import io
from pathlib import Path

import pytest

from databackup import (
    Collection,
    Recorder,
    Schema,
    export_all,
    import_all,
    inspect_archive,
    migrate_archive,
    verify_archive,
)
from databackup.errors import SecretsMissing
from databackup.schema.narrowed import secret_fields
from databackup.schema.recording import Migration
from databackup.schema.versions import check_frozen, freeze
from tests.support.archives import Lines
from tests.support.club import Dataset, memory
from tests.support.migrating import of_today, old, rows_in, step

FIELDS = {"id": int, "name": str, "password": str, "token": str | None}
USERS = Collection("users", key="id", fields=FIELDS, secret=["password", "token"])
ROWS: Dataset = {"users": [(1, "Ana", "pw-ana", "t-ana"), (2, "Bo", "pw-bo", None)]}


def omitting(schema: Schema) -> bytes:
    """An archive of the first version without secrets."""
    file = io.BytesIO()
    export_all(memory(ROWS, schema), file, secrets="omitted")
    return file.getvalue()


@step
def renamed(m: Recorder) -> None:
    """Everything that needs no values of the secrets."""
    m.rename_collection("users", "people")
    m.rename_field("people", "password", "passphrase")
    m.change_kind("people", "passphrase", str | None)
    m.rename_field("people", "name", "called")
    m.add_field("people", "age", int, default=7, position=1)
    m.change_kind("people", "called", str, using=str.upper)


TODAY = Collection(
    "people",
    key="id",
    fields={"id": int, "age": int, "called": str, "passphrase": str | None, "token": str | None},
    secret=["passphrase", "token"],
)


def test_secrets_are_kept_under_their_new_names(tmp_path: Path) -> None:
    """Renamed collections and fields find the store's values, of today's kind."""
    archive = omitting(old(tmp_path, USERS))
    today = of_today(tmp_path, [TODAY], renamed)
    now: Dataset = {"people": [(1, 40, "?", None, "t-new"), (2, 40, "?", "pw-new", None)]}
    repository = memory(now, today)
    report = import_all(repository, io.BytesIO(archive))
    expected = [(1, 7, "ANA", None, "t-new"), (2, 7, "BO", "pw-new", None)]
    assert expected == rows_in(repository)["people"]
    assert report.migrated is not None
    assert {"people.age": 2} == {
        k.replace("users", "people"): v for k, v in report.migrated.defaulted.items()
    }
    assert {"people.passphrase": 2, "people.token": 2} == report.secrets_kept
    assert 2 == verify_archive(io.BytesIO(archive), today).records


def test_rewritten_archive_omits_what_the_old_one_did(tmp_path: Path) -> None:
    """An archive written anew as today's version says what it lacks, by today's names."""
    archive = omitting(old(tmp_path, USERS))
    today = of_today(tmp_path, [TODAY], renamed)
    written = io.BytesIO()
    report = migrate_archive(io.BytesIO(archive), written, today)
    assert {"people": ("passphrase", "token")} == report.omitted
    lines = Lines.of(written.getvalue()).collections["people"]
    assert b'{"id":1,"age":7,"called":"ANA"}' == lines[0]
    repository = memory({"people": [(1, 0, "", "x", "y"), (2, 0, "", "x", "y")]}, today)
    import_all(repository, io.BytesIO(written.getvalue()))
    assert [(1, 7, "ANA", "x", "y"), (2, 7, "BO", "x", "y")] == rows_in(repository)["people"]


def test_export_for_an_older_app(tmp_path: Path) -> None:
    """The fields that today's secrets were are left out, and what remains is migrated back."""

    @step
    def renames(m: Recorder) -> None:
        m.rename_field("users", "password", "passphrase")
        m.add_field("users", "age", int, default=1)

    first = old(tmp_path, USERS)
    users = Collection(
        "users",
        key="id",
        fields={"id": int, "name": str, "passphrase": str, "token": str | None, "age": int},
        secret=["passphrase", "token"],
    )
    today = of_today(tmp_path, [users], renames)
    rows: Dataset = {"users": [(1, "Ana", "pw-ana", "t-ana", 3)]}
    file = io.BytesIO()
    report = export_all(memory(rows, today), file, version=1, secrets="omitted")
    assert b"-ana" not in file.getvalue()
    assert {"users": ("password", "token")} == report.omitted
    info = inspect_archive(io.BytesIO(file.getvalue()))
    assert (1, "omitted", ("password", "token")) == (
        info.schema_version,
        info.secrets,
        info.collections["users"].secret,
    )
    repository = memory({"users": [(1, "?", "kept", None)]}, first)
    import_all(repository, io.BytesIO(file.getvalue()))
    assert [(1, "Ana", "kept", None)] == rows_in(repository)["users"]
    included = io.BytesIO()
    export_all(memory(rows, today), included, version=1)
    info = inspect_archive(io.BytesIO(included.getvalue()))
    assert ("included", ("password", "token")) == (info.secrets, info.collections["users"].secret)


def test_removed_secret_is_no_longer_omitted(tmp_path: Path) -> None:
    """A field that is gone needs no value; where none is left, nothing is omitted."""

    @step
    def removes(m: Recorder) -> None:
        m.remove_field("users", "password")
        m.remove_field("users", "token")

    archive = omitting(old(tmp_path, USERS))
    users = Collection("users", key="id", fields={"id": int, "name": str})
    today = of_today(tmp_path, [users], removes)
    repository = memory({}, today)
    report = import_all(repository, io.BytesIO(archive))
    assert [(1, "Ana"), (2, "Bo")] == rows_in(repository)["users"]
    assert report.migrated is not None
    assert ({}, {}) == (report.migrated.dropped, report.secrets_kept)
    written = io.BytesIO()
    migrate_archive(io.BytesIO(archive), written, today)
    assert "included" == inspect_archive(io.BytesIO(written.getvalue())).secrets


def test_removed_collection_with_secrets(tmp_path: Path) -> None:
    """A collection that is gone takes its secrets with it."""

    @step
    def removes(m: Recorder) -> None:
        m.remove_collection("users")

    notes = Collection("notes", key="id", fields={"id": int})
    first = old(tmp_path, USERS, notes)
    today = of_today(tmp_path, [notes], removes)
    file = io.BytesIO()
    export_all(memory({**ROWS, "notes": [(1,)]}, first), file, secrets="omitted")
    repository = memory({}, today)
    import_all(repository, io.BytesIO(file.getvalue()))
    assert {"notes": [(1,)]} == rows_in(repository)
    written = io.BytesIO()
    migrate_archive(io.BytesIO(file.getvalue()), written, today)
    assert "included" == inspect_archive(io.BytesIO(written.getvalue())).secrets


def _maps(m: Recorder) -> None:
    m.map_records("users", lambda record: record)


def _splits(m: Recorder) -> None:
    m.split_collection("users", "logins", fields=["password"])


def _splits_others(m: Recorder) -> None:
    m.split_collection("users", "names", fields=["name"])


SPLIT = Collection("logins", key="id", fields={"id": int, "password": str})
LEFT = Collection("users", key="id", fields={"id": int, "name": str, "token": str | None})


@pytest.mark.parametrize(
    "record,collections,needed",
    [(_maps, [USERS], ["password", "token"]), (_splits, [LEFT, SPLIT], ["password"])],
)
def test_migration_that_needs_values_is_refused(
    tmp_path: Path, record: object, collections: list[Collection], needed: list[str]
) -> None:
    """What would have to look at secrets, or move them, is named, and nothing is written."""
    archive = omitting(old(tmp_path, USERS))
    today = of_today(tmp_path, collections, step(record))  # type: ignore[arg-type]
    repository = memory({}, today)
    with pytest.raises(SecretsMissing, match="the migration 1 to 2") as caught:
        import_all(repository, io.BytesIO(archive))
    assert [("users", field) for field in needed] == [
        (p.collection, p.field) for p in caught.value.problems
    ]
    outlook = inspect_archive(io.BytesIO(archive), today).outlook
    assert outlook is not None
    assert "secrets are left out that a migration needs" in str(outlook.refused)


def test_split_and_its_way_back_of_other_fields(tmp_path: Path) -> None:
    """Operations over other fields of the same collection go on, up and back."""
    first = old(tmp_path, USERS)
    names = Collection("names", key="id", fields={"id": int, "name": str})
    fields = {"id": int, "password": str, "token": str | None}
    users = Collection("users", key="id", fields=fields, secret=["password", "token"])
    today = of_today(tmp_path, [users, names], step(_splits_others))
    repository = memory({"users": [(1, "a", "b"), (2, "c", "d")], "names": []}, today)
    import_all(repository, io.BytesIO(omitting(first)))
    wanted = {"users": [(1, "a", "b"), (2, "c", "d")], "names": [(1, "Ana"), (2, "Bo")]}
    assert wanted == rows_in(repository)
    back = io.BytesIO()
    export_all(repository, back, version=1, secrets="omitted")
    store = memory({"users": [(1, "", "e", "f"), (2, "", "g", "h")]}, first)
    import_all(store, io.BytesIO(back.getvalue()))
    assert [(1, "Ana", "e", "f"), (2, "Bo", "g", "h")] == rows_in(store)["users"]


def test_marking_a_field_is_no_migration(tmp_path: Path) -> None:
    """A field that becomes secret leaves version, digest and frozen file as they were."""
    plain = Schema(
        app="club", versions=tmp_path, collections=[Collection("users", key="id", fields=FIELDS)]
    )
    path = freeze(plain)
    before = path.read_bytes()
    marked = Schema(app="club", versions=tmp_path, collections=[USERS])
    check_frozen(marked)
    assert before == freeze(marked).read_bytes()
    assert b"secret" not in before
    digests = set()
    for schema in (plain, marked):
        file = io.BytesIO()
        export_all(memory(ROWS, schema), file, secrets="omitted")
        digests.add(inspect_archive(io.BytesIO(file.getvalue())).schema_digest)
    assert 1 == len(digests)
    path.unlink()
    assert before == freeze(marked).read_bytes()


def test_archive_from_before_a_field_was_marked(tmp_path: Path) -> None:
    """What an archive has is imported, whatever is secret today."""
    old(tmp_path, Collection("users", key="id", fields=FIELDS))
    plain = Schema(app="club", collections=[Collection("users", key="id", fields=FIELDS)])
    file = io.BytesIO()
    export_all(memory(ROWS, plain), file, secrets="omitted")
    marked = Schema(app="club", versions=tmp_path, collections=[USERS])
    repository = memory({"users": [(1, "?", "new", "new")]}, marked)
    import_all(repository, io.BytesIO(file.getvalue()))
    assert ROWS == rows_in(repository)
    assert {"users": {"password", "token"}} == secret_fields(marked)


def test_steps_keep_their_names(tmp_path: Path) -> None:
    """The report names the steps as they were recorded."""
    archive = omitting(old(tmp_path, USERS))
    today = of_today(tmp_path, [TODAY], Migration(1, 2, "again", renamed.operations))
    now: Dataset = {"people": [(1, 0, "", "", ""), (2, 0, "", "", "")]}
    report = import_all(memory(now, today), io.BytesIO(archive))
    assert report.migrated is not None
    assert ("1 to 2 (again)",) == report.migrated.steps


def test_archive_that_has_what_is_secret_by_now(tmp_path: Path) -> None:
    """Of what is secret today the archive omits what was; in a rewritten one the rest stays."""

    @step
    def renames(m: Recorder) -> None:
        m.rename_field("users", "name", "called")

    archive = omitting(old(tmp_path, USERS))
    fields = {"id": int, "called": str, "password": str, "token": str | None}
    users = Collection("users", key="id", fields=fields, secret=["called", "password", "token"])
    today = of_today(tmp_path, [users], renames)
    written = io.BytesIO()
    report = migrate_archive(io.BytesIO(archive), written, today)
    assert {"users": ("password", "token")} == report.omitted
    info = inspect_archive(io.BytesIO(written.getvalue()))
    assert ("password", "token") == info.collections["users"].secret
    for file in (archive, written.getvalue()):
        repository = memory({"users": [(1, "?", "a", "b"), (2, "?", "c", "d")]}, today)
        import_all(repository, io.BytesIO(file))
        assert [(1, "Ana", "a", "b"), (2, "Bo", "c", "d")] == rows_in(repository)["users"]
