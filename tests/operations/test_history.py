"""The history of a schema: what it says of operations is what exports then find."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup import Collection, Recorder, Schema, migration
from databackup.errors import NoInverse
from databackup.migrations.way import way_of
from databackup.operations.history import schema_history
from databackup.schema.versions import FrozenVersion, freeze

OLD = Collection("notes", key="id", fields={"id": int, "text": str, "tag": str | None})
FIRST = Schema(app="notes", version=1, collections=[OLD])


def _same(record: dict[str, Any]) -> dict[str, Any]:
    return record


OPERATIONS: dict[str, tuple[bool, Callable[[Recorder], object]]] = {
    "rename": (True, lambda m: m.rename_field("notes", "text", "body")),
    "add": (True, lambda m: m.add_field("notes", "size", int, default=0)),
    "remove what may be null": (True, lambda m: m.remove_field("notes", "tag")),
    "map": (False, lambda m: m.map_records("notes", _same)),
    "map and back": (True, lambda m: m.map_records("notes", _same, inverse=_same)),
    "change": (False, lambda m: m.change_kind("notes", "id", str, using=str)),
    "change and back": (True, lambda m: m.change_kind("notes", "id", str, using=str, inverse=int)),
    "add a collection": (True, lambda m: m.add_collection("more", fields={"id": int})),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with version 1 frozen."""
    found: Path = tmp_path_factory.mktemp("versions")
    (found / "v1.json").write_text(FrozenVersion.of(FIRST).to_text(), "utf-8")
    return found


def _schema(folder: Path | None, names: list[str], last: Callable[[Recorder], object]) -> Schema:
    """Version 2, reached by these operations and one more, as far as they fit."""

    def change(m: Recorder) -> None:
        for name in names:
            OPERATIONS[name][1](m)
        last(m)

    step = migration(1, 2, change)
    made = [OLD]
    if folder is not None and last is _nothing:
        made = list(step.apply({"notes": OLD}).values())
    return Schema(app="notes", version=2, collections=made, migrations=[step], versions=folder)


def _nothing(_recorder: Recorder) -> None:
    pass


@given(names=st.lists(st.sampled_from(sorted(OPERATIONS)), unique=True, max_size=4))
def test_inverses(folder: Path, names: list[str]) -> None:
    """Each operation is said to have an inverse or none, and with all of them a way leads back."""
    if {"change", "change and back"} <= set(names):
        names.remove("change")
    schema = _schema(folder, names, _nothing)
    [step] = schema_history(schema).steps
    expected = [OPERATIONS[name][0] for name in names]
    assert expected == [operation.has_inverse for operation in step.operations]
    assert expected == [operation.inverse is not None for operation in step.operations]
    if all(expected):
        undone = way_of(schema, 2, 1).steps[0].operations
        assert [o.inverse for o in reversed(step.operations)] == [str(o) for o in undone]
    else:
        with pytest.raises(NoInverse):
            way_of(schema, 2, 1)


@given(before=st.lists(st.sampled_from(["add", "rename"]), unique=True))
def test_operations_that_do_not_fit(folder: Path, before: list[str]) -> None:
    """Of an operation that does not fit, and of those behind it, nothing can be known."""

    def last(m: Recorder) -> None:
        m.remove_field("notes", "gone")
        m.rename_collection("notes", "pages")

    [step] = schema_history(_schema(folder, before, last)).steps
    assert [*[True] * len(before), None, None] == [o.has_inverse for o in step.operations]
    [step] = schema_history(_schema(None, before, last)).steps
    assert [None] * len(step.operations) == [o.has_inverse for o in step.operations]


def test_versions(tmp_path: Path) -> None:
    """Versions are those that were frozen, today's, and those that a step leads from or to."""
    rest: dict[str, Any] = {"app": "notes", "collections": [OLD], "versions": tmp_path / "v"}
    steps = [migration(n, n + 1, _nothing) for n in (3, 4)]
    freeze(Schema(version=1, **rest))
    found = schema_history(Schema(version=5, migrations=steps, **rest))
    digest = FrozenVersion.of(FIRST).digest
    assert [
        (1, digest, True, False, ("notes",)),
        (3, None, False, False, None),
        (4, None, False, False, None),
        (5, digest, False, True, ("notes",)),
    ] == [(v.version, v.digest, v.frozen, v.today, v.collections) for v in found.versions]
    assert [(3, 4), (4, 5)] == [(step.source, step.target) for step in found.steps]
    assert not any(version.changed for version in found.versions)
