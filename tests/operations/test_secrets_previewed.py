"""Previews of archives that omit secrets: what they say is what the import does, and no secret."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from databackup import Collection, Field, Schema, export_all, import_all, preview_import
from databackup.errors import InvalidRecords, KeyRequired, SecretsMissing, StalePlan
from databackup.repository import Repository
from databackup.schema.kinds import Str
from databackup.testing.harness import stored
from databackup.testing.strategies import datasets
from tests.operations.test_secrets_model import marked, otherwise
from tests.support.club import Dataset, memory
from tests.support.migrating import of_today, old, step
from tests.support.stores import STORES

SUMS = ("records", "added", "changed", "deleted", "unchanged", "kept", "only_in_store")


def omitting(repository: Repository) -> bytes:
    """An archive without secrets."""
    file = io.BytesIO()
    export_all(repository, file, secrets="omitted")
    return file.getvalue()


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("mode", ["replace", "merge", "add"])
@settings(max_examples=30)
@given(data=st.data())
def test_numbers_are_those_of_the_import(store: str, mode: Any, data: st.DataObject) -> None:
    """What is kept, what gets a default, what is refused: the import does what the plan says."""
    schema = data.draw(marked())
    archived = data.draw(datasets(schema))
    present = data.draw(otherwise(schema, archived) | datasets(schema))
    archive = omitting(memory(archived, schema))
    with STORES[store](schema, present) as repository:
        before = stored(repository)
        try:
            plan = preview_import(repository, io.BytesIO(archive), mode=mode)
        except (KeyRequired, SecretsMissing) as error:
            event("no key")
            with pytest.raises(type(error)):
                import_all(repository, io.BytesIO(archive), mode=mode)
            return
        assert before == stored(repository)
        if plan.problem_count:
            event("refused")
            with pytest.raises(InvalidRecords) as caught:
                import_all(repository, io.BytesIO(archive), plan=plan)
            assert (plan.problems, plan.problem_count) == (
                tuple(caught.value.problems),
                caught.value.total,
            )
            return
        event("imported")
        report = import_all(repository, io.BytesIO(archive), plan=plan)
        assert report.collections == {n: found.changes for n, found in plan.collections.items()}
        assert [getattr(report, name) for name in SUMS] == [getattr(plan, name) for name in SUMS]
        assert (report.secrets_kept, report.secrets_defaulted) == (
            plan.secrets_kept,
            plan.secrets_defaulted,
        )


USERS = Collection(
    "users",
    key="id",
    fields=[
        Field("id", Str()),
        Field("name", Str()),
        Field("token", Str(), secret=True, default="t-default"),
    ],
)
SCHEMA = Schema(collections=[USERS])


def test_no_secret_is_shown() -> None:
    """The sample masks what is kept, defaulted and deleted; the names and numbers are there."""
    archived: Dataset = {"users": [("a", "Ana", "t-old"), ("b", "Bo", "t-old")]}
    store = memory({"users": [("a", "Ann", "t-now"), ("c", "Cy", "t-now")]}, SCHEMA)
    plan = preview_import(store, io.BytesIO(omitting(memory(archived, SCHEMA))))
    assert (1, 1, 1) == (plan.added, plan.changed, plan.deleted)
    assert {"users": ("token",)} == plan.omitted
    assert ({"users.token": 1}, {"users.token": 1}) == (plan.secrets_kept, plan.secrets_defaulted)
    told = json.dumps(plan.as_json())
    assert "t-" not in told
    assert all(name in told for name in ("Ana", "Ann", "Bo", "Cy"))
    changed = next(r for r in plan.collections["users"].sample if r.what == "changed")
    assert ({"name": "Ann"}, {"name": "Ana"}) == (changed.old, changed.new)


def test_a_secret_that_has_changed_makes_a_plan_stale() -> None:
    """What the plan would keep is another one by now: nobody has agreed to that."""
    archive = omitting(memory({"users": [("a", "Ana", "t-old")]}, SCHEMA))
    store = memory({"users": [("a", "Ann", "t-now")]}, SCHEMA)
    plan = preview_import(store, io.BytesIO(archive))
    assert plan.token == preview_import(store, io.BytesIO(archive)).token
    other = memory({"users": [("a", "Ann", "t-new")]}, SCHEMA)
    with pytest.raises(StalePlan):
        import_all(other, io.BytesIO(archive), plan=plan)


def test_a_hook_is_told_what_is_kept() -> None:
    """The plan before, and the report within the transaction, have the numbers."""
    archive = omitting(memory({"users": [("a", "Ana", "t-old"), ("b", "Bo", "")]}, SCHEMA))
    store = memory({"users": [("a", "Ann", "t-now")]}, SCHEMA)
    told: list[Any] = []
    import_all(
        store,
        io.BytesIO(archive),
        before_import=told.append,
        in_transaction=lambda _, report: told.append(report),
        after_commit=told.append,
    )
    assert [{"users.token": 1}] * 3 == [found.secrets_kept for found in told]
    assert [{"users.token": 1}] * 3 == [found.secrets_defaulted for found in told]


def test_a_migrated_record_without_a_secret_is_named_as_the_archive_has_it(tmp_path: Path) -> None:
    """The problem is of today's record, and says which one of the file it is; no step is blamed."""
    fields = {"id": int, "name": str, "token": str}
    users = Collection("users", key="id", fields=fields, secret=["token"])

    @step
    def renames(m: Any) -> None:
        m.rename_collection("users", "people")
        m.rename_field("people", "token", "code")

    source = memory({"users": [(1, "Ana", "t-a"), (2, "Bo", "t-b")]}, old(tmp_path, users))
    archive = omitting(source)
    fields = {"id": int, "name": str, "code": str}
    people = Collection("people", key="id", fields=fields, secret=["code"])
    today = of_today(tmp_path, [people], renames)
    store = memory({"people": [(1, "Ann", "t-now")]}, today)
    plan = preview_import(store, io.BytesIO(archive))
    (problem,) = plan.problems
    assert ("secret-omitted", "people", "code", 2) == (
        problem.code,
        problem.collection,
        problem.field,
        problem.record,
    )
    assert "/data/users/1" == problem.pointer
    assert problem.made_of is not None
    assert ("users", 2, (2,)) == (
        problem.made_of.collection,
        problem.made_of.record,
        problem.made_of.key,
    )
    assert "migration" not in problem.message
    with pytest.raises(SecretsMissing) as caught:
        import_all(store, io.BytesIO(archive))
    assert [problem] == list(caught.value.problems)
