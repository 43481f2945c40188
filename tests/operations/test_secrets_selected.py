"""Selections of archives that omit secrets, of today's version and of older ones."""

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from databackup import (
    Collection,
    Recorder,
    Reference,
    diff,
    export_all,
    import_all,
    inspect_archive,
    migrate_archive,
    preview_import,
    seal_archive,
    verify_archive,
)
from databackup.errors import SecretsMissing
from databackup.schema.narrowed import secret_fields
from databackup.testing.harness import expected, stored
from databackup.testing.strategies import datasets
from tests.operations.test_secrets_model import Neither, completed, marked, otherwise
from tests.support.archives import Lines
from tests.support.club import Dataset, memory
from tests.support.migrating import of_today, old, rows_in, step
from tests.support.selecting import closure, dangling, part
from tests.support.stores import STORES


@pytest.mark.parametrize("store", STORES)
@settings(max_examples=40)
@given(data=st.data(), closed=st.booleans())
def test_imports(store: str, data: st.DataObject, closed: bool) -> None:
    """Secrets of what is selected are kept, all else is left alone; whoever has selected."""
    schema = data.draw(marked())
    names = data.draw(
        st.lists(st.sampled_from([c.name for c in schema.collections]), min_size=1, unique=True)
    )
    written = closure(schema, names) if closed else set(names)
    archived = data.draw(datasets(schema))
    present = data.draw(otherwise(schema, archived) | datasets(schema))
    options: dict[str, Any] = {"dangling": "keep"}
    source = memory(archived, schema)
    if data.draw(st.booleans(), "selected by the export"):
        archive = part(source, *names, closure=closed, secrets="omitted")
    else:
        file = io.BytesIO()
        export_all(source, file, secrets="omitted")
        archive = file.getvalue()
        options |= {"collections": names, "closure": closed}
    chosen = {name: rows if name in written else present[name] for name, rows in archived.items()}
    with STORES[store](schema, present) as repository:
        before = stored(repository)
        try:
            # What is left alone is complete as it is: as if it were archived with its secrets.
            wanted = {
                name: rows if name in written else present[name]
                for name, rows in completed(
                    schema,
                    {n: chosen[n] if n in written else [] for n in chosen},
                    {n: present[n] if n in written else [] for n in chosen},
                ).items()
            }
        except Neither:
            event("neither the store nor a default has a secret")
            with pytest.raises(SecretsMissing):
                import_all(repository, io.BytesIO(archive), **options)
            assert before == stored(repository)
            return
        event("imported")
        plan = preview_import(repository, io.BytesIO(archive), **options)
        report = import_all(repository, io.BytesIO(archive), plan=plan)
        assert expected(schema, wanted) == stored(repository)
        assert written == set(report.collections) == set(plan.collections)
        assert report.collections == {n: found.changes for n, found in plan.collections.items()}
        assert bool(dangling(schema, wanted, written)) == bool(report.warnings)
        omitted = {n: f for n, f in secret_fields(schema).items() if n in written}
        assert omitted == {n: frozenset(f) for n, f in plan.omitted.items()}


@settings(max_examples=60)
@given(data=st.data(), closed=st.booleans())
def test_archives(data: st.DataObject, closed: bool) -> None:
    """One that is a part and omits secrets has the lines of a whole one, and is sound."""
    schema = data.draw(marked())
    names = data.draw(
        st.lists(st.sampled_from([c.name for c in schema.collections]), min_size=1, unique=True)
    )
    written = closure(schema, names) if closed else set(names)
    repository = memory(data.draw(datasets(schema)), schema)
    archive, whole = io.BytesIO(), io.BytesIO()
    report = export_all(repository, archive, collections=names, closure=closed, secrets="omitted")
    export_all(repository, whole, secrets="omitted")
    omitted = {n: f for n, f in secret_fields(schema).items() if n in written}
    assert omitted == {n: frozenset(f) for n, f in report.omitted.items()}
    made = archive.getvalue()
    lines = Lines.of(whole.getvalue()).collections
    assert {n: lines[n] for n in lines if n in written} == Lines.of(made).collections
    info = inspect_archive(io.BytesIO(made), schema)
    assert ("omitted" if omitted else "included") == info.secrets
    assert written == set(info.selection or ())
    assert info.outlook is not None
    assert info.outlook.refused is None
    assert omitted == {n: frozenset(c.secret) for n, c in info.collections.items() if c.secret}
    assert verify_archive(io.BytesIO(made)) == verify_archive(io.BytesIO(made), schema)
    assert diff(io.BytesIO(made), repository).identical
    sealed = io.BytesIO()
    seal_archive(io.BytesIO(made), sealed)
    again = inspect_archive(io.BytesIO(sealed.getvalue()))
    assert info.collections == again.collections
    assert (info.secrets, info.selection, info.schema_digest) == (
        again.secrets,
        again.selection,
        again.schema_digest,
    )


# -- older versions --------------------------------------------------------------------------------

FIELDS = {"id": int, "name": str, "password": str}
USERS = Collection("users", key="id", fields=FIELDS, secret=["password"])
SHOPS = Collection(
    "shops",
    key="id",
    fields={"id": int, "token": str, "owner": int},
    secret=["token"],
    references=[Reference("owner", "users")],
)
LOGS = Collection("logs", key="id", fields={"id": int, "line": str})
ROWS: Dataset = {
    "users": [(1, "Ana", "pw-ana")],
    "shops": [(7, "t-shop", 1)],
    "logs": [(3, "x")],
}
PEOPLE = Collection(
    "people",
    key="id",
    fields={"id": int, "called": str, "phrase": str},
    secret=["phrase"],
)
STORES_TODAY = Collection(
    "shops",
    key="id",
    fields={"id": int, "code": str, "owner": int, "size": int},
    secret=["code"],
    references=[Reference("owner", "people")],
)


@step
def changed(m: Recorder) -> None:
    """What needs none of the values."""
    m.rename_collection("users", "people")
    m.rename_field("people", "password", "phrase")
    m.rename_field("people", "name", "called")
    m.rename_field("shops", "token", "code")
    m.add_field("shops", "size", int, default=5)


NOW: Dataset = {
    "people": [(1, "?", "pw-now")],
    "shops": [(7, "t-now", 1, 0)],
    "logs": [],
}


@pytest.mark.parametrize("by", ["the export", "the import"])
def test_an_older_selection_keeps_secrets(tmp_path: Path, by: str) -> None:
    """Under their new names; of what is left alone nothing changes."""
    source = memory(ROWS, old(tmp_path, USERS, SHOPS, LOGS))
    today = of_today(tmp_path, [PEOPLE, STORES_TODAY, LOGS], changed)
    store, options = memory(NOW, today), {}
    if by == "the export":
        archive = part(source, "shops", closure=False, secrets="omitted")
    else:
        file = io.BytesIO()
        export_all(source, file, secrets="omitted")
        archive = file.getvalue()
        options = {"collections": ["shops"], "closure": False}
    plan = preview_import(store, io.BytesIO(archive), **options)  # type: ignore[arg-type]
    report = import_all(store, io.BytesIO(archive), plan=plan)
    assert {**NOW, "shops": [(7, "t-now", 1, 5)]} == rows_in(store)
    assert {"shops.code": 1} == report.secrets_kept == plan.secrets_kept
    assert {"shops": ("code",)} == plan.omitted
    assert ("people", "logs") == report.left_alone
    assert 1 == verify_archive(io.BytesIO(part(source, "shops", closure=False)), today).records


def test_an_older_selection_rewritten(tmp_path: Path) -> None:
    """A new archive lacks what the old one did, and is a part as it was."""
    source = memory(ROWS, old(tmp_path, USERS, SHOPS, LOGS))
    archive = part(source, "shops", secrets="omitted")
    today = of_today(tmp_path, [PEOPLE, STORES_TODAY, LOGS], changed)
    made = io.BytesIO()
    report = migrate_archive(io.BytesIO(archive), made, today)
    assert {"people": ("phrase",), "shops": ("code",)} == report.omitted
    assert ("people", "shops") == report.selection
    store = memory(NOW, today)
    import_all(store, io.BytesIO(made.getvalue()))
    wanted = {"people": [(1, "Ana", "pw-now")], "shops": [(7, "t-now", 1, 5)], "logs": []}
    assert wanted == rows_in(store)


def test_an_export_for_an_older_app(tmp_path: Path) -> None:
    """A part, as the older version calls it, without what its secrets were."""
    first = old(tmp_path, USERS, SHOPS, LOGS)
    today = of_today(tmp_path, [PEOPLE, STORES_TODAY, LOGS], changed)
    file = io.BytesIO()
    report = export_all(
        memory(NOW, today), file, version=1, collections=["users"], secrets="omitted"
    )
    assert ({"users": ("password",)}, ("users",)) == (report.omitted, report.selection)
    assert b"-now" not in file.getvalue()
    store = memory(ROWS, first)
    import_all(store, io.BytesIO(file.getvalue()))
    assert {**ROWS, "users": [(1, "?", "pw-ana")]} == rows_in(store)


def test_only_secrets_of_the_selection_stand_in_the_way(tmp_path: Path) -> None:
    """A step that would look at other secrets has nothing to do with what is exported."""

    @step
    def maps(m: Recorder) -> None:
        m.map_records("users", lambda record: record, inverse=lambda record: record)

    old(tmp_path, USERS, LOGS)
    today = of_today(tmp_path, [USERS, LOGS], maps)
    store = memory({"users": ROWS["users"], "logs": ROWS["logs"]}, today)
    file = io.BytesIO()
    options: dict[str, Any] = {"version": 1, "secrets": "omitted"}
    report = export_all(store, file, collections=["logs"], **options)
    assert ({"logs": 1}, {}) == (report.collections, report.omitted)
    assert "included" == inspect_archive(io.BytesIO(file.getvalue())).secrets
    with pytest.raises(SecretsMissing, match="needs its value"):
        export_all(store, io.BytesIO(), collections=["users"], **options)
