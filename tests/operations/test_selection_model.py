"""Whatever the schema, the data and the selection: what is chosen comes, nothing else moves."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databackup import Schema, diff, import_all, inspect_archive, seal_archive, verify_archive
from databackup.errors import InvalidRecords
from databackup.operations.keys import key_bytes, key_fields
from databackup.testing.harness import expected, stored
from databackup.testing.strategies import datasets, schemas
from tests.support.archives import Lines, exported
from tests.support.selecting import Dataset, closure, dangling, part, told
from tests.support.stores import STORES

every = pytest.mark.parametrize("store", STORES)


def _some(data: st.DataObject, schema: Schema) -> list[str]:
    names = [collection.name for collection in schema.collections]
    return data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True), "selection")


def _mixed(data: st.DataObject, schema: Schema, one: Dataset) -> Dataset:
    """Another dataset, some of whose collections are those of the first one."""
    other = data.draw(datasets(schema))
    same = data.draw(st.sets(st.sampled_from(sorted(other))))
    return {name: one[name] if name in same else rows for name, rows in other.items()}


@every
@settings(max_examples=25)
@given(data=st.data())
def test_exports_are_closed(store: str, data: st.DataObject) -> None:
    """An archive has what was named and all it refers to, with the very lines of a whole one."""
    schema = data.draw(schemas())
    names = _some(data, schema)
    with STORES[store](schema, data.draw(datasets(schema))) as repository:
        archive, report = told(repository, collections=names)
        whole = Lines.of(exported(repository)).collections
    found = closure(schema, names)
    assert found == set(report.selection or ()) == set(report.collections)
    assert {name: whole[name] for name in whole if name in found} == Lines.of(archive).collections
    assert () == report.warnings
    info = inspect_archive(io.BytesIO(archive))
    assert report.selection == info.selection == tuple(info.collections)
    for known in (None, schema):
        assert () == verify_archive(io.BytesIO(archive), known).warnings


@every
@settings(max_examples=40)
@given(data=st.data(), closed=st.booleans(), keep=st.booleans())
def test_imports_touch_their_own(store: str, data: st.DataObject, closed: bool, keep: bool) -> None:
    """What is selected is as in the archive, all else as it was; or a reference that dangles.

    Whether the archive was made of a selection or the import makes it.
    """
    schema = data.draw(schemas())
    names = _some(data, schema)
    new = data.draw(datasets(schema))
    old = _mixed(data, schema, new)
    written = closure(schema, names) if closed else set(names)
    after = {name: new[name] if name in written else rows for name, rows in old.items()}
    lost = dangling(schema, after, written)
    options: dict[str, Any] = {"dangling": "keep" if keep else "refuse"}
    with STORES["memory"](schema, new) as source:
        if data.draw(st.booleans(), "selected by the export"):
            archive = part(source, *names, closure=closed)
        else:
            archive = exported(source)
            options |= {"collections": names, "closure": closed}
    with STORES[store](schema, old) as target:
        if lost and not keep:
            with pytest.raises(InvalidRecords) as caught:
                import_all(target, io.BytesIO(archive), **options)
            assert {"dangling-reference"} == {p.code for p in caught.value.problems}
            assert {name for name, _ in lost} == {p.collection for p in caught.value.problems}
            assert expected(schema, old) == stored(target)
            return
        report = import_all(target, io.BytesIO(archive), **options)
        assert expected(schema, after) == stored(target)
        assert written == set(report.collections)
        assert set(after) - written == set(report.left_alone)
        assert bool(lost) == bool(report.warnings)
        again = import_all(target, io.BytesIO(archive), **options)
        assert (0, 0, 0) == (again.added, again.changed, again.deleted)


@settings(max_examples=60)
@given(data=st.data(), mode=st.sampled_from(["merge", "add"]))
def test_modes_touch_their_own(data: st.DataObject, mode: Any) -> None:
    """A merge and an add of a selection need keys of its collections alone, and move no other."""
    schema = data.draw(schemas())
    new, old = data.draw(datasets(schema)), data.draw(datasets(schema))
    names = [c.name for c in schema.collections if c.key]
    written = set(data.draw(st.lists(st.sampled_from(names), min_size=1))) if names else set()
    if not written:
        return
    with STORES["memory"](schema, new) as source:
        archive = part(source, *written, closure=False)
    after = dict(old)
    for name in written:
        fields, key = key_fields(schema[name]), schema[name].codec.key
        ours = {key_bytes(fields, key(row)): row for row in old[name]}
        theirs = {key_bytes(fields, key(row)): row for row in new[name]}
        after[name] = list(({**ours, **theirs} if mode == "merge" else {**theirs, **ours}).values())
    with STORES["memory"](schema, old) as target:
        report = import_all(target, io.BytesIO(archive), mode=mode, dangling="keep")
        assert expected(schema, after) == stored(target)
        assert written == set(report.collections)
        assert bool(dangling(schema, after, written)) == bool(report.warnings)


@settings(max_examples=60)
@given(data=st.data(), closed=st.booleans())
def test_partial_archives_are_archives(data: st.DataObject, closed: bool) -> None:
    """What a selection holds is sealed anew without loss, verified, and compared with a store."""
    schema = data.draw(schemas())
    names = _some(data, schema)
    with STORES["memory"](schema, data.draw(datasets(schema))) as source:
        archive, report = told(source, collections=names, closure=closed)
        compared = diff(io.BytesIO(archive), source)
    assert compared.identical
    assert set(report.collections) == set(compared.collections)
    sealed = io.BytesIO()
    anew = seal_archive(io.BytesIO(archive), sealed)
    one, other = (inspect_archive(io.BytesIO(a)) for a in (archive, sealed.getvalue()))
    assert (one.selection, one.schema_digest, one.collections) == (
        other.selection,
        other.schema_digest,
        other.collections,
    )
    for known in (None, schema):
        verified = verify_archive(io.BytesIO(archive), known)
        assert report.warnings == anew.warnings == verified.warnings
