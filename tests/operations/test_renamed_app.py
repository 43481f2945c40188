"""An app that is called otherwise from some version on, and its old archives."""

import io
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    Collection,
    Recorder,
    Schema,
    export_all,
    import_all,
    inspect_archive,
    migrate_archive,
    migration,
    verify_archive,
)
from databackup.errors import SchemaError, SchemaMismatch, WrongApp
from databackup.migrations.way import check_chain
from databackup.operations.history import schema_history
from databackup.schema.recording import Migration
from databackup.schema.versions import app_of
from databackup.testing import check_migrations
from tests.support.club import memory
from tests.support.migrating import archive_of, freeze_as_is, rows_in

DISHES = Collection("dishes", key="id", fields={"id": int})
NAMED = Collection("dishes", key="id", fields={"id": int, "name": str})
ROWS = {"dishes": [(1,), (2,)]}
TODAY = {"dishes": [(1, "?"), (2, "?")]}


@migration(1, 2)
def rebranded(m: Recorder) -> None:
    """Another name, and a field more."""
    m.rename_app("catering", "kitchen")
    m.add_field("dishes", "name", str, default="?")


@migration(1, 2)
def forgotten(m: Recorder) -> None:
    """A field more."""
    m.add_field("dishes", "name", str, default="?")


def of(app: str | None, version: int = 1, *collections: Collection) -> Schema:
    """A schema of an app of some name."""
    return Schema(app=app, version=version, collections=collections or [DISHES])


def kitchen(folder: Path, step: Migration = rebranded, first: str | None = "catering") -> Schema:
    """Today's schema, of which two versions are frozen."""
    freeze_as_is(of(first), folder)
    freeze_as_is(of("kitchen", 2, NAMED), folder)
    return Schema(app="kitchen", version=2, collections=[NAMED], migrations=[step], versions=folder)


@pytest.fixture
def today(tmp_path: Path) -> Schema:
    """Today's schema, of an app that was called catering."""
    return kitchen(tmp_path)


def test_an_archive_of_the_old_name(today: Schema) -> None:
    """It is read by all operations, and what is written of it bears today's name."""
    archive = archive_of(of("catering"), ROWS)
    store = memory({}, today)
    import_all(store, io.BytesIO(archive))
    assert TODAY == rows_in(store)
    assert 2 == verify_archive(io.BytesIO(archive), today).records
    outlook = inspect_archive(io.BytesIO(archive), today).outlook
    assert outlook is not None
    assert (("1 to 2 (rebranded)",), None) == (outlook.steps, outlook.refused)
    written = io.BytesIO()
    migrate_archive(io.BytesIO(archive), written, today)
    assert "kitchen" == inspect_archive(io.BytesIO(written.getvalue())).app
    again = import_all(store, io.BytesIO(written.getvalue()))
    assert (2, None) == (again.unchanged, again.migrated)


def test_back(today: Schema) -> None:
    """What is written for the old app bears the old name."""
    written = io.BytesIO()
    export_all(memory(dict(TODAY), today), written, version=1)
    rewritten = io.BytesIO()
    migrate_archive(io.BytesIO(archive_of(today, TODAY)), rewritten, today, version=1)
    for archive in (written.getvalue(), rewritten.getvalue()):
        store = memory({}, of("catering"))
        import_all(store, io.BytesIO(archive))
        assert ROWS == rows_in(store)


@pytest.mark.parametrize("name", ["kitchen", "bakery"])
def test_another_name_than_that_version_had(today: Schema, name: str) -> None:
    """It is of another app, even if it bears today's name; that can be allowed."""
    archive = archive_of(of(name), ROWS)
    said = f"the archive belongs to the app '{name}', version 1 of this one to 'catering'"
    for refuse in (
        lambda: import_all(memory({}, today), io.BytesIO(archive)),
        lambda: migrate_archive(io.BytesIO(archive), io.BytesIO(), today),
    ):
        with pytest.raises(WrongApp) as caught:
            refuse()
        assert said == caught.value.message
        assert (name, "catering") == (caught.value.found, caught.value.expected)
    outlook = inspect_archive(io.BytesIO(archive), today).outlook
    assert outlook is not None
    assert said == outlook.refused
    store = memory({}, today)
    import_all(store, io.BytesIO(archive), wrong_app="allow")
    assert TODAY == rows_in(store)
    written = io.BytesIO()
    migrate_archive(io.BytesIO(archive), written, today, wrong_app="allow")
    assert "kitchen" == inspect_archive(io.BytesIO(written.getvalue())).app


def test_an_archive_of_another_app_that_looks_otherwise(today: Schema) -> None:
    """Allowed, it is taken as it is: its version says nothing of this app's."""
    bakery = of("bakery", 1, NAMED)
    store = memory({}, today)
    report = import_all(store, io.BytesIO(archive_of(bakery, TODAY)), wrong_app="allow")
    assert TODAY == rows_in(store)
    assert None is report.migrated
    with pytest.raises(SchemaMismatch, match="contradicts version 1"):
        migrate_archive(
            io.BytesIO(archive_of(bakery, TODAY)), io.BytesIO(), today, wrong_app="allow"
        )


def test_an_app_that_had_no_name(tmp_path: Path) -> None:
    """None is a name as well."""

    @migration(1, 2)
    def named(m: Recorder) -> None:
        m.rename_app(None, "kitchen")
        m.add_field("dishes", "name", str, default="?")

    today = kitchen(tmp_path, named, None)
    store = memory({}, today)
    import_all(store, io.BytesIO(archive_of(of(None), ROWS)))
    assert TODAY == rows_in(store)
    written = io.BytesIO()
    export_all(store, written, version=1)
    assert None is inspect_archive(io.BytesIO(written.getvalue())).app


def test_names_at_versions_that_are_not_frozen() -> None:
    """They are what the steps from there on make today's of."""
    steps = [
        migration(1, 2, lambda m: m.rename_app(None, "diner")),
        migration(2, 3, lambda m: m.rename_app("diner", "bakery")),
        migration(3, 4, lambda m: m.rename_app("bakery", "diner")),
    ]
    schema = Schema(app="diner", version=4, collections=[DISHES], migrations=steps)
    assert [None, "diner", "bakery", "diner", "diner"] == [
        app_of(schema, number) for number in (1, 2, 3, 4, 5)
    ]


def test_an_older_version_that_is_not_frozen(tmp_path: Path) -> None:
    """Its name is known from the steps, so that it is told what is missing."""
    today = kitchen(tmp_path)
    (tmp_path / "v1.json").unlink()
    with pytest.raises(Exception, match="version 1 was never frozen"):
        import_all(memory({}, today), io.BytesIO(archive_of(of("catering"), ROWS)))
    with pytest.raises(WrongApp):
        import_all(memory({}, today), io.BytesIO(archive_of(of("bakery"), ROWS)))


def problem_of(schema: Schema) -> str:
    """What is wrong with the steps of a schema."""
    with pytest.raises(SchemaError) as caught:
        check_chain(schema)
    return caught.value.message


def test_a_name_that_nobody_has_told_of(tmp_path: Path) -> None:
    """The step does not make the next version, and what to do is said."""
    assert (
        "the migration 1 to 2 (forgotten) does not make version 2: after it, the app was "
        "'kitchen', is 'catering': m.rename_app('catering', 'kitchen') in it renames the app"
    ) == problem_of(kitchen(tmp_path, forgotten))


@pytest.mark.parametrize(
    "given,said",
    [
        (("catering", "diner"), "after it, the app was 'kitchen', is 'diner'"),
        (("bakery", "kitchen"), "rename_app bakery to kitchen: the app is 'catering' there"),
        ((None, "kitchen"), "rename_app no name to kitchen: the app is 'catering' there"),
    ],
)
def test_a_step_that_renames_otherwise(tmp_path: Path, given: Any, said: str) -> None:
    """Both names have to be right."""

    @migration(1, 2)
    def wrong(m: Recorder) -> None:
        m.rename_app(*given)
        m.add_field("dishes", "name", str, default="?")

    found = problem_of(kitchen(tmp_path, wrong))
    assert found.endswith(said)


@pytest.mark.parametrize("given", [("a", "a"), ("", "a"), ("a", ""), (None, None)])
def test_names_that_no_app_can_have(given: tuple[str, str]) -> None:
    """They are refused when they are recorded."""
    with pytest.raises(SchemaError, match="rename_app"):
        Recorder().rename_app(*given)


def test_todays_name_has_changed_and_the_version_has_not(tmp_path: Path) -> None:
    """The check of the schema says what to do."""
    freeze_as_is(of("catering"), tmp_path)
    changed = Schema(app="kitchen", collections=[DISHES], versions=tmp_path)
    assert (
        "the schema is not version 1 as it was frozen: the app was 'catering', is 'kitchen'; "
        "to change it: make it version 2, write a migration from 1 to 2, with "
        "m.rename_app('catering', 'kitchen'), and freeze that (databackup schema freeze --app "
        "package.module:schema)"
    ) == problem_of(changed)


def test_history(today: Schema) -> None:
    """It tells what each version was called, and the operation with its inverse."""
    found = schema_history(today)
    assert ["catering", "kitchen"] == [version.app for version in found.versions]
    told = found.steps[0].operations[0]
    assert ("rename_app catering to kitchen", "rename_app kitchen to catering") == (
        told.operation,
        told.inverse,
    )


def test_the_hosts_own_test(today: Schema) -> None:
    """Made data of the old name go up and back."""
    check_migrations(today, max_examples=5)


def test_the_hosts_own_test_of_versions_before_the_new_name(tmp_path: Path) -> None:
    """Data that can go back only as far as the old name are of the app that had it."""

    @migration(2, 3)
    def renamed_for_good(m: Recorder) -> None:
        m.rename_app("catering", "kitchen")
        m.remove_field("dishes", "name")

    freeze_as_is(of("catering"), tmp_path)
    freeze_as_is(of("catering", 2, NAMED), tmp_path)
    today = Schema(
        app="kitchen",
        version=3,
        collections=[DISHES],
        migrations=[forgotten, renamed_for_good],
        versions=tmp_path,
    )
    freeze_as_is(today, tmp_path)
    check_migrations(today, max_examples=5)
