"""A field that changes its kind without a function, from the archive to the store."""

import io
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    JSON_NULL,
    Collection,
    Recorder,
    Schema,
    export_all,
    import_all,
    migrate_archive,
    verify_archive,
)
from databackup.errors import InvalidRecords, SchemaError
from databackup.schema import Field, kinds
from databackup.schema.composite import Json, Optional
from databackup.schema.kind import Kind
from tests.operations.conftest import Make
from tests.support.club import memory
from tests.support.migrating import (
    after,
    archive_of,
    failing,
    of_today,
    old,
    restored,
    rows_in,
    step,
)


def changed(folder: Path, was: Kind, now: Kind, **options: Any) -> tuple[Schema, Schema]:
    """A schema of one field, and today's, in which it is of another kind."""
    first = old(
        folder, Collection("t", key="id", fields=[Field("id", kinds.Int()), Field("v", was)])
    )

    def change(m: Recorder) -> None:
        m.change_kind("t", "v", now, **options)

    return first, after(folder, step(change), first=first)


def test_integers_become_floats_and_integers_again(tmp_path: Path, make: Make) -> None:
    """A store gets 1.0 for 1, and yesterday's app 1 for 1.0."""
    first, new = changed(tmp_path, Optional(kinds.Int()), Optional(kinds.Float()))
    rows: dict[str, list[Any]] = {"t": [(1, 1), (2, -(2**53)), (3, None)]}
    archive = archive_of(first, rows)
    store = make(new, {})
    import_all(store, io.BytesIO(archive))
    expected = [(1, 1.0), (2, float(-(2**53))), (3, None)]
    assert repr({"t": expected}) == repr(rows_in(store))
    again = import_all(store, io.BytesIO(archive))
    assert 3 == again.unchanged
    back = io.BytesIO()
    done = export_all(store, back, version=1)
    found = make(first, {})
    import_all(found, io.BytesIO(back.getvalue()))
    assert repr(rows) == repr(rows_in(found))
    assert done.migrated is not None
    assert ({}, {}) == (done.migrated.dropped, done.migrated.defaulted)


def test_integers_beyond_floats(tmp_path: Path) -> None:
    """A number that no float is, is a problem of its field."""
    first, new = changed(tmp_path, kinds.Int(), kinds.Float())
    error = failing(new, archive_of(first, {"t": [(1, 1), (2, 2**53 + 1)]}))
    (problem,) = error.problems
    assert ("t", 2, "v") == (problem.collection, problem.record, problem.field)
    assert "a number that a double holds exactly" in problem.message


def test_floats_between_integers(tmp_path: Path) -> None:
    """The same the other way."""
    first, new = changed(tmp_path, kinds.Float(), kinds.Int())
    (problem,) = failing(new, archive_of(first, {"t": [(1, 1.0), (2, 1.5)]})).problems
    assert (2, "v") == (problem.record, problem.field)


def test_what_is_kept_off_its_kind(tmp_path: Path) -> None:
    """A float column that keeps what is off its kind holds no integers after that."""
    plain = Collection("t", key="id", fields={"id": int, "v": int})
    first = old(tmp_path, plain)

    def change(m: Recorder) -> None:
        m.change_kind("t", "v", kinds.Float(), off_kind="keep")

    new = after(tmp_path, step(change), first=first)
    written = io.BytesIO()
    archive = archive_of(first, {"t": [(1, 1), (2, 2**53 + 1)]})
    migrate_archive(io.BytesIO(archive), written, new)
    assert b'{"id":1,"v":1.0}' in written.getvalue()
    assert b'{"id":2,"v":{"$int":"9007199254740993"}}' in written.getvalue()
    verify_archive(io.BytesIO(written.getvalue()), new)


@pytest.mark.parametrize("default", [None, {"a": 1}])
def test_the_json_null(tmp_path: Path, default: Any) -> None:
    """It is a value: it stays one where there may be none, unless a default says otherwise."""
    options = {} if default is None else {"default": default}
    first, new = changed(tmp_path, Json(), Optional(Json()), **options)
    written = io.BytesIO()
    archive = archive_of(first, {"t": [(1, None), (2, [None])]})
    report = migrate_archive(io.BytesIO(archive), written, new)
    expected = JSON_NULL if default is None else default
    assert {"t": [(1, expected), (2, [None])]} == restored(new, written.getvalue())
    assert report.migrated is not None
    assert ({} if default is None else {"t.v": 1}) == report.migrated.defaulted


def test_no_json_null_where_there_must_be_a_value(tmp_path: Path) -> None:
    """The JSON null stays, and what was absent becomes the default."""
    first, new = changed(tmp_path, Optional(Json()), Json(), default=[])
    written = io.BytesIO()
    archive = archive_of(first, {"t": [(1, None), (2, JSON_NULL)]})
    migrate_archive(io.BytesIO(archive), written, new)
    assert {"t": [(1, []), (2, None)]} == restored(new, written.getvalue())


def test_off_kind_of_fields(tmp_path: Path) -> None:
    """Both operations that give a field its kind take what a field takes, and both ways."""
    was = Collection("t", key="id", fields={"id": int, "n": int})
    now = Collection(
        "t",
        key="id",
        fields=[
            Field("id", kinds.Int()),
            Field("n", kinds.Int(), off_kind="keep"),
            Field("note", kinds.Int(), off_kind="keep"),
        ],
    )
    first = old(tmp_path, was)

    def loose(m: Recorder) -> None:
        m.change_kind("t", "n", int, off_kind="keep")
        m.add_field("t", "note", int, default="none", off_kind="keep")

    one = step(loose)
    new = of_today(tmp_path, [now], one)
    archive = archive_of(first, {"t": [(1, 5)]})
    assert {"t": [(1, 5, "none")]} == restored(new, archive)
    assert [
        "change_kind t.n to int or off kind",
        "add_field t.note (int or off kind) = str 'none'",
    ] == [str(operation) for operation in one.operations]
    back = io.BytesIO()
    migrate_archive(io.BytesIO(archive_of(new, {"t": [(1, 5, 7)]})), back, new, version=1)
    assert {"t": [(1, 5)]} == restored(first, back.getvalue())
    with pytest.raises(InvalidRecords, match=r"expected an integer, found str 'x'"):
        export_all(memory({"t": [(1, "x", 7)]}, new), io.BytesIO(), version=1)


@pytest.mark.parametrize("off_kind", ["refuse", None])
def test_off_kind_that_goes_or_stays(tmp_path: Path, off_kind: Any) -> None:
    """Said nothing of, it stays; refused, values off their kind are problems."""
    kept = Collection(
        "t", key="id", fields=[Field("id", kinds.Int()), Field("n", kinds.Int(), off_kind="keep")]
    )
    first = old(tmp_path, kept)

    def strict(m: Recorder) -> None:
        m.change_kind("t", "n", int | None, off_kind=off_kind)

    new = after(tmp_path, step(strict), first=first)
    assert (off_kind or "keep") == new["t"].field("n").off_kind
    archive = archive_of(first, {"t": [(1, 5), (2, "x")]})
    if off_kind is None:
        assert {"t": [(1, 5), (2, "x")]} == restored(new, archive)
    else:
        (problem,) = failing(new, archive).problems
        assert (2, "n") == (problem.record, problem.field)


def test_an_off_kind_that_there_is_not() -> None:
    """It is refused when it is recorded."""
    wrong: Any = "drop"
    with pytest.raises(SchemaError, match="off_kind is 'refuse' or 'keep'"):
        Recorder().add_field("t", "n", int, default=1, off_kind=wrong)
    with pytest.raises(SchemaError, match="off_kind is 'refuse' or 'keep'"):
        Recorder().change_kind("t", "n", int, off_kind=wrong)
