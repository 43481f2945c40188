"""Exports of an older version, and archives rewritten as one, that the old app can read."""

import contextlib
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    Collection,
    Progress,
    Recorder,
    Reference,
    Schema,
    export_all,
    import_all,
    inspect_archive,
    iter_export,
    migrate_archive,
    migration,
    verify_archive,
)
from databackup.errors import InvalidRecords, NoInverse, StoreFailed, VersionMismatch
from databackup.repository import Snapshot
from tests.operations.conftest import Make
from tests.support.club import memory
from tests.support.migrating import archive_of, of_today, old, rows_in
from tests.support.wrappers import Passed, PassedSnapshot

OLD = (
    Collection("people", key="id", fields={"id": int, "name": str, "mail": str | None}),
    Collection(
        "menus",
        key="id",
        fields={"id": int, "dish": str, "code": str | None, "cook": int},
        references=[Reference("cook", "people")],
    ),
)
NEW = (
    Collection("cooks", key="id", fields={"id": int, "first": str, "last": str}),
    Collection("mails", key="id", fields={"id": int, "mail": str | None}),
    Collection(
        "menus",
        key="id",
        fields={"id": int, "dish": str, "price": int, "cook": int},
        references=[Reference("cook", "cooks")],
    ),
)


def split(record: dict[str, Any]) -> dict[str, Any]:
    """A name in two parts."""
    record["first"], _, record["last"] = record["name"].partition(" ")
    return record


def join(record: dict[str, Any]) -> dict[str, Any]:
    """Two parts in one name."""
    return record | {"name": f"{record['first']} {record['last']}"}


@migration(1, 2)
def names(m: Recorder) -> None:
    """The name in two parts, and what has it with another name."""
    m.rename_collection("people", "cooks")
    m.add_field("cooks", "first", str, default="")
    m.add_field("cooks", "last", str, default="")
    m.map_records("cooks", split, inverse=join)
    m.remove_field("cooks", "name", default="")


@migration(2, 3)
def mails(m: Recorder) -> None:
    """Addresses apart, and other fields of menus."""
    m.split_collection("cooks", "mails", fields=["mail"])
    m.remove_field("menus", "code")
    m.add_field("menus", "price", int, default=5)


ROWS: dict[str, list[Any]] = {
    "cooks": [(1, "Ana", "Ark"), (2, "Bo", "")],
    "mails": [(1, "a@x"), (3, "lost")],
    "menus": [(1, "soup", 7, 1), (2, "pie", 5, 2)],
}
AS_OLD = {
    "people": [(1, "Ana Ark", "a@x"), (2, "Bo ", None)],
    "menus": [(1, "soup", None, 1), (2, "pie", None, 2)],
}


@pytest.fixture
def today(tmp_path: Path) -> Schema:
    """Today's schema, whose first version is frozen."""
    old(tmp_path, *OLD)
    return of_today(tmp_path, NEW, names, mails)


@pytest.mark.parametrize("how", ["export_all", "iter_export", "migrate_archive"])
def test_the_old_app_reads_it(today: Schema, make: Make, how: str) -> None:
    """With its own schema, which knows of no later version; what is lost is counted."""
    repository = make(today, ROWS)
    archive = io.BytesIO()
    done = None
    if how == "iter_export":
        archive.writelines(iter_export(repository, version=1))
    elif how == "export_all":
        done = export_all(repository, archive, version=1).migrated
    else:
        done = migrate_archive(
            io.BytesIO(archive_of(today, ROWS)), archive, today, version=1
        ).migrated
    found = make(Schema(app="club", collections=OLD), {})
    import_all(found, io.BytesIO(archive.getvalue()))
    assert AS_OLD == rows_in(found)
    assert 1 == inspect_archive(io.BytesIO(archive.getvalue())).schema_version
    if done is not None:
        assert (3, 1) == (done.source, done.target)
        assert ("3 to 2 (mails)", "2 to 1 (names)") == done.steps
        assert {
            "cooks.first": 2,
            "cooks.last": 1 + 1,
            "mails.mail": 1,
            "menus.price": 2,
        } == done.dropped
        assert {"cooks.mail": 1, "cooks.name": 2, "menus.code": 2} == done.defaulted


def test_and_today_again(today: Schema) -> None:
    """An archive of an older version, made today, is migrated as any other."""
    archive = io.BytesIO()
    export_all(memory(dict(ROWS), today), archive, version=1)
    found = memory({}, today)
    report = import_all(found, io.BytesIO(archive.getvalue()))
    rows = {
        **ROWS,
        "mails": [(1, "a@x"), (2, None)],
        "menus": [(1, "soup", 5, 1), (2, "pie", 5, 2)],
    }
    assert rows == rows_in(found)
    assert report.migrated is not None
    assert (1, 3) == (report.migrated.source, report.migrated.target)


def test_moved_fields_come_back_as_they_were(tmp_path: Path) -> None:
    """A field that was moved is again what the old version says, so that today reads it as well."""
    people = Collection("people", key="id", fields={"id": int, "city": str})
    menus = Collection(
        "menus", key="id", fields={"id": int, "cook": int}, references=[Reference("cook", "people")]
    )
    old(tmp_path, people, menus)

    @migration(1, 2)
    def move(m: Recorder) -> None:
        m.move_field("people", "city", "menus", via="cook", default="?")

    new = of_today(
        tmp_path,
        [
            Collection("people", key="id", fields={"id": int}),
            Collection(
                "menus",
                key="id",
                fields={"id": int, "cook": int, "city": str},
                references=[Reference("cook", "people")],
            ),
        ],
        move,
    )
    archive = io.BytesIO()
    export_all(memory({"people": [(1,), (2,)], "menus": [(1, 1, "Rom")]}, new), archive, version=1)
    found = memory({}, Schema(app="club", collections=[people, menus]))
    import_all(found, io.BytesIO(archive.getvalue()))
    assert {"people": [(1, "Rom"), (2, "?")], "menus": [(1, 1)]} == rows_in(found)
    verify_archive(io.BytesIO(archive.getvalue()), new)


def test_no_inverse(tmp_path: Path) -> None:
    """The step and the operation that nothing undoes are named; nothing is written."""
    old(tmp_path, OLD[0])

    @migration(1, 2)
    def upper(m: Recorder) -> None:
        m.change_kind("people", "name", str, using=str.upper)

    new = of_today(tmp_path, [OLD[0]], upper)
    target = tmp_path / "old.json"
    for write in (
        lambda: export_all(memory({}, new), target, version=1),
        lambda: iter_export(memory({}, new), version=1),
        lambda: migrate_archive(io.BytesIO(archive_of(new, {})), target, new, version=1),
    ):
        with pytest.raises(NoInverse) as caught:
            write()
        assert "1 to 2 (upper)" == caught.value.migration
        assert "change_kind people.name to str using str.upper" == caught.value.operation
        assert "the migration 1 to 2 (upper) cannot be undone: change_kind" in str(caught.value)
    assert not target.exists()


@pytest.mark.parametrize(
    "version,said", [(2, "version 2 was never frozen"), (9, "upgrade the app")]
)
def test_versions_that_are_not_there(today: Schema, version: int, said: str) -> None:
    """Neither one that nobody has frozen, nor one of tomorrow."""
    with pytest.raises(VersionMismatch, match=said):
        export_all(memory({}, today), io.BytesIO(), version=version)


def test_todays_version_is_an_export(today: Schema) -> None:
    """As without a version: nothing is migrated."""
    assert None is export_all(memory({}, today), io.BytesIO(), version=3).migrated


def refused(new: Schema, rows: dict[str, list[Any]], tmp_path: Path) -> InvalidRecords:
    """The error of an export of version 1, which leaves no file."""
    target = tmp_path / "old.json"
    with pytest.raises(
        InvalidRecords, match="records cannot be migrated back to version 1"
    ) as caught:
        export_all(memory(rows, new), target, version=1)
    assert not target.exists()
    return caught.value


def test_what_cannot_be_undone_of_one_record(tmp_path: Path) -> None:
    """An inverse that raises names the record of today."""
    old(tmp_path, Collection("t", key="id", fields={"id": int, "n": int}))

    @migration(1, 2)
    def text(m: Recorder) -> None:
        m.change_kind("t", "n", str, using=str, inverse=int)

    new = of_today(tmp_path, [Collection("t", key="id", fields={"id": int, "n": str})], text)
    (problem,) = refused(new, {"t": [(1, "5"), (2, "x")]}, tmp_path).problems
    assert ("t", 2, (2,)) == (problem.collection, problem.record, problem.key)
    assert (
        "the migration 2 to 1 (text), change_kind t.n to int using int: ValueError"
        in problem.message
    )


def test_keys_that_were_no_keys(tmp_path: Path) -> None:
    """Records that the old key cannot tell apart are refused, not written."""
    old(tmp_path, Collection("t", key="code", fields={"id": int, "code": str}))

    @migration(1, 2)
    def key(m: Recorder) -> None:
        m.change_key("t", "id")

    new = of_today(tmp_path, [Collection("t", key="id", fields={"id": int, "code": str})], key)
    (problem,) = refused(new, {"t": [(1, "a"), (2, "b"), (3, "a")]}, tmp_path).problems
    assert ("duplicate-key", 3) == (problem.code, problem.record)
    archive = io.BytesIO()
    export_all(memory({"t": [(2, "a"), (1, "b")]}, new), archive, version=1)
    assert "none" == inspect_archive(io.BytesIO(archive.getvalue())).collections["t"].order


def test_the_store_is_left_as_it_is(tmp_path: Path) -> None:
    """A function that changes what it is given does not reach into the host's own lists."""
    things = Collection("things", key="id", fields={"id": int, "tags": list[str]})
    old(tmp_path, things)

    def cleared(record: dict[str, Any]) -> dict[str, Any]:
        record["tags"].clear()
        return record

    @migration(1, 2)
    def clear(m: Recorder) -> None:
        m.map_records("things", cleared, inverse=cleared)

    repository = memory({"things": [(1, ["a"])]}, of_today(tmp_path, [things], clear))
    export_all(repository, io.BytesIO(), version=1)
    assert {"things": [(1, ["a"])]} == rows_in(repository)


def test_progress_and_counts(today: Schema) -> None:
    """Progress counts records of the store; one that gives others than it counts is refused."""
    steps: list[Progress] = []
    rows = {**ROWS, "menus": [(n, "x", 1, 1) for n in range(2500)]}
    export_all(memory(rows, today), io.BytesIO(), version=1, progress=steps.append)
    menus = [step for step in steps if step.collection == "menus"]
    assert (2500, 2500) == (menus[-1].done, menus[-1].total)
    assert len(menus) > 1

    class Miscounting(PassedSnapshot):
        def count(self, collection: Collection) -> int:
            return super().count(collection) + 1

    class Store(Passed):
        def snapshot(self) -> Any:
            return _wrapped(super().snapshot(), Miscounting)

    with pytest.raises(StoreFailed, match="the store counts 3 records of cooks, but gave 2"):
        export_all(Store(memory(dict(ROWS), today)), io.BytesIO(), version=1)


@contextlib.contextmanager
def _wrapped(
    context: AbstractContextManager[Snapshot], wrap: Callable[[Snapshot], Snapshot]
) -> Iterator[Snapshot]:
    with context as snapshot:
        yield wrap(snapshot)
