"""What a host does before an import, within its transaction and after its commit."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from databackup import Collection, ImportPlan, ImportReport, Schema, import_all, preview_import
from databackup.adapters.memory import MemoryRepository
from databackup.errors import StalePlan
from databackup.repository import Repository, Row
from tests.operations.conftest import Make
from tests.support.archives import exported
from tests.support.club import memory

SCHEMA = Schema(collections=[Collection("notes", fields={"id": int, "text": str}, key="id")])
BEFORE = [(1, "old")]
AFTER = [(1, "new"), (2, "more")]


class Refused(Exception):
    """What a hook raises."""


@pytest.fixture
def archive() -> bytes:
    """The archive that is imported."""
    return exported(memory({"notes": list(AFTER)}, SCHEMA))


def _notes(store: Repository) -> list[Row]:
    with store.snapshot() as snapshot:
        return [row for rows in snapshot.rows(SCHEMA["notes"]) for row in rows]


def _refuse(*_arguments: Any) -> None:
    raise Refused


def test_they_are_called_in_order(make: Make, archive: bytes) -> None:
    """Each sees what it is told of, and the store as it is at that time."""
    store = make(SCHEMA, {"notes": BEFORE})
    log: list[Any] = []

    def before(plan: ImportPlan) -> None:
        log.append(("before", plan.added, plan.changed, _notes(store)))

    def within(transaction: Any, report: ImportReport) -> None:
        held = [row for rows in transaction.rows(SCHEMA["notes"]) for row in rows]
        log.append(("within", report.added, report.changed, held))

    def after(report: ImportReport) -> None:
        log.append(("after", report.added, report.changed, _notes(store)))

    report = import_all(
        store, io.BytesIO(archive), before_import=before, in_transaction=within, after_commit=after
    )
    assert [("before", 1, 1, BEFORE), ("within", 1, 1, AFTER), ("after", 1, 1, AFTER)] == log
    assert (1, 1) == (report.added, report.changed)


@pytest.mark.parametrize("hook", ["before_import", "in_transaction"])
def test_what_they_raise_keeps_it_from_happening(make: Make, archive: bytes, hook: str) -> None:
    """It comes out unchanged, and the store is as it was."""
    store = make(SCHEMA, {"notes": BEFORE})
    options: dict[str, Any] = {hook: _refuse}
    with pytest.raises(Refused) as caught:
        import_all(store, io.BytesIO(archive), **options)
    assert not getattr(caught.value, "__notes__", ())
    assert _notes(store) == BEFORE


def test_what_comes_out_after_the_commit(make: Make, archive: bytes) -> None:
    """It has a note that the import was committed, which it was."""
    store = make(SCHEMA, {"notes": BEFORE})
    with pytest.raises(Refused) as caught:
        import_all(store, io.BytesIO(archive), after_commit=_refuse)
    assert ["the import was committed before this"] == caught.value.__notes__
    assert _notes(store) == AFTER


def test_the_plan_that_was_made_is_the_one_that_is_seen(make: Make, archive: bytes) -> None:
    """A plan that is given is not made anew."""
    store = make(SCHEMA, {"notes": BEFORE})
    plan = preview_import(store, io.BytesIO(archive), sample=1)
    seen: list[ImportPlan] = []
    import_all(store, io.BytesIO(archive), plan=plan, before_import=seen.append)
    assert seen[0] is plan


def test_what_was_agreed_to_is_what_is_done(archive: bytes) -> None:
    """A store that changes behind the hook's back makes the plan stale."""
    store: MemoryRepository = memory({"notes": list(BEFORE)}, SCHEMA)

    def meanwhile(_plan: ImportPlan) -> None:
        with store.transaction() as transaction:
            transaction.insert(SCHEMA["notes"], [(7, "meanwhile")])

    with pytest.raises(StalePlan, match="notes"):
        import_all(store, io.BytesIO(archive), before_import=meanwhile)
    assert [*BEFORE, (7, "meanwhile")] == _notes(store)


def test_a_plan_knows_of_no_safety_backup(tmp_path: Path, archive: bytes) -> None:
    """The plan that a hook sees can be written as JSON, and is that of the import alone."""
    store = memory({"notes": list(BEFORE)}, SCHEMA)
    seen: list[ImportPlan] = []
    expected = preview_import(store, io.BytesIO(archive))
    report = import_all(
        store, io.BytesIO(archive), safety_backup=tmp_path, before_import=seen.append
    )
    assert expected.token == seen[0].token
    assert json.loads(json.dumps(seen[0].as_json()))["token"] == expected.token
    assert report.safety_backup
