"""Whatever the schema and the data: an import in each mode is what a plain dict would do."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databackup import Changes, Collection, import_all
from databackup.operations.keys import key_fields
from databackup.repository import Row
from databackup.testing.exact import exact_row
from databackup.testing.harness import expected, stored
from databackup.testing.strategies import datasets
from tests.support.archives import exported
from tests.support.club import Dataset
from tests.support.mixed import KEYED, Keyed, keyed, mixed
from tests.support.stores import STORES
from tests.support.wrappers import Passed, unordered


def _model(
    collection: Collection, mode: str, store: Keyed, archive: Keyed
) -> tuple[Keyed, Changes]:
    """What the store then holds, and what the report must say of it."""
    both = store.keys() & archive.keys()
    equal = {
        k for k in both if exact_row(collection, store[k]) == exact_row(collection, archive[k])
    }
    new, other, alone = len(archive.keys() - both), len(both - equal), len(store.keys() - both)
    if mode == "merge":
        changes = Changes(added=new, changed=other, unchanged=len(equal), only_in_store=alone)
        return {**store, **archive}, changes
    if mode == "add":
        changes = Changes(added=new, kept=other, unchanged=len(equal), only_in_store=alone)
        return {**archive, **store}, changes
    # A record whose key is written otherwise, 1.1 and 1.10, gives way to another.
    moved = sum(_written(collection, store[k]) != _written(collection, archive[k]) for k in both)
    changes = Changes(
        added=new + moved, changed=other - moved, unchanged=len(equal), deleted=alone + moved
    )
    return archive, changes


def _written(collection: Collection, row: Row) -> list[Any]:
    return [
        field.form.encode(part)
        for field, part in zip(key_fields(collection), collection.codec.key(row), strict=True)
    ]


@pytest.mark.parametrize("target", STORES)
@pytest.mark.parametrize("mode", ["replace", "merge", "add"])
@settings(max_examples=40)
@given(data=st.data())
def test_modes_do_what_dicts_do(target: str, mode: Any, data: st.DataObject) -> None:
    """The store equals the model, the report counts what the model counts, again changes nothing.

    In whatever order the records of archive and store come.
    """
    schema = data.draw(KEYED)
    old = data.draw(datasets(schema))
    new = mixed(data, schema, old)
    backwards = data.draw(st.sampled_from([(), ("source",), ("target",), ("source", "target")]))
    then: Dataset = {}
    changes = {}
    for c in schema.collections:
        model, changes[c.name] = _model(c, mode, keyed(c, old[c.name]), keyed(c, new[c.name]))
        then[c.name] = list(model.values())
    with STORES["memory"](schema, new) as one, STORES[target](schema, old) as two:
        archive = exported(unordered(one) if "source" in backwards else one)
        store = unordered(two) if "target" in backwards else Passed(two)
        report = import_all(store, io.BytesIO(archive), mode=mode)
        assert expected(schema, then) == stored(two)
        assert changes == report.collections
        assert sum(map(len, then.values())) == report.records
        store.calls.clear()
        again = import_all(store, io.BytesIO(archive), mode=mode)
        assert [] == store.calls
        assert (0, 0, 0) == (again.added, again.changed, again.deleted)
        assert report.records == again.records
