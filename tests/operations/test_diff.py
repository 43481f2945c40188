"""Whatever the schema, the data and where it is held: a comparison counts what a model counts."""

import contextlib
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from databackup import Diff, Schema, diff, import_all
from databackup.archive import text
from databackup.operations.operands import Comparable
from databackup.repository import Row
from databackup.schema import Collection
from databackup.schema.composite import Json as JsonKind
from databackup.testing.strategies import datasets, schemas
from tests.support import sqlite
from tests.support.archives import exported
from tests.support.club import Dataset, memory
from tests.support.wrappers import unordered

Held = AbstractContextManager[Comparable]


def _in_memory(schema: Schema, dataset: Dataset) -> Held:
    return contextlib.nullcontext(memory(dataset, schema))


def _backwards(schema: Schema, dataset: Dataset) -> Held:
    return contextlib.nullcontext(unordered(memory(dataset, schema)))


@contextlib.contextmanager
def _in_sqlite(schema: Schema, dataset: Dataset) -> Iterator[Comparable]:
    with tempfile.TemporaryDirectory() as folder:
        yield sqlite.repository(Path(folder, "t.db"), schema, dataset)


def _archived(schema: Schema, dataset: Dataset) -> Held:
    return contextlib.nullcontext(io.BytesIO(exported(memory(dataset, schema))))


def _archived_backwards(schema: Schema, dataset: Dataset) -> Held:
    return contextlib.nullcontext(io.BytesIO(exported(unordered(memory(dataset, schema)))))


HOLDERS: dict[str, Callable[[Schema, Dataset], Held]] = {
    "memory": _in_memory,
    "backwards": _backwards,
    "sqlite": _in_sqlite,
    "archive": _archived,
    "archive backwards": _archived_backwards,
}


# -- the model -------------------------------------------------------------------------------------


def _form(collection: Collection, row: Row) -> tuple[bytes, list[str]]:
    """What two records share if they are equal: the canonical form, and decimals as written."""
    found: list[str] = []
    for field, value in zip(collection.fields, row, strict=True):
        if not isinstance(field.value_kind, JsonKind):
            _decimals(value, found)
    return text.dump(collection.codec.canonical([row])[0]), found


def _decimals(value: Any, found: list[str]) -> None:
    if isinstance(value, Decimal):
        found.append(str(value))
    elif isinstance(value, list):
        for item in value:
            _decimals(item, found)
    elif isinstance(value, dict):
        for name in sorted(value):
            _decimals(value[name], found)


def _key(collection: Collection, row: Row) -> bytes:
    values = zip(collection.key, collection.codec.key(row), strict=True)
    return text.dump([collection.field(name).form.canonical(part) for name, part in values])


Counts = tuple[int, int, int, int]


def _model(collection: Collection, old: list[Row], new: list[Row]) -> Counts:
    """Records added, changed, removed, unchanged."""
    if not collection.key:
        before, after = (
            Counter(repr(_form(collection, row)) for row in rows) for rows in (old, new)
        )
        same = (before & after).total()
        return len(new) - same, 0, len(old) - same, same
    one, other = ({_key(collection, row): _form(collection, row) for row in r} for r in (old, new))
    both = one.keys() & other.keys()
    same = sum(one[key] == other[key] for key in both)
    return len(other) - len(both), len(both) - same, len(one) - len(both), same


def _counts(found: Diff) -> dict[str, Counts]:
    return {
        name: (one.added, one.changed, one.removed, one.unchanged)
        for name, one in found.collections.items()
    }


@st.composite
def _states(draw: st.DrawFn) -> tuple[Schema, Dataset, Dataset]:
    """A schema, and two datasets of it that share records, equal ones and such of one key."""
    schema = draw(schemas())
    old, new = draw(datasets(schema)), draw(datasets(schema))
    if any(collection.references for collection in schema.collections):
        return schema, old, new
    for collection in schema.collections:
        known = {_key(collection, row) for row in new[collection.name]}
        for row in old[collection.name]:
            others = draw(st.sampled_from([row, *new[collection.name]]))
            mixed = tuple(
                value if name in collection.key else draw(st.sampled_from([value, other]))
                for name, value, other in zip(collection.field_names, row, others, strict=True)
            )
            if not collection.key or _key(collection, row) not in known:
                new[collection.name] += [mixed] * draw(st.integers(0, 1 if collection.key else 2))
    return schema, old, new


def _rewound(held: Comparable) -> Comparable:
    if isinstance(held, io.BytesIO):
        held.seek(0)
    return held


@settings(max_examples=100)
@given(
    states=_states(), holders=st.tuples(*[st.sampled_from([*HOLDERS])] * 2), limit=st.integers(0, 3)
)
def test_counts(
    states: tuple[Schema, Dataset, Dataset], holders: tuple[str, str], limit: int
) -> None:
    """Each pair of holders gives the model's counts, and mirrored ones the other way round."""
    schema, old, new = states
    expected = {c.name: _model(c, old[c.name], new[c.name]) for c in schema.collections}
    with HOLDERS[holders[0]](schema, old) as a, HOLDERS[holders[1]](schema, new) as b:
        found = diff(a, b, sample=limit)
        assert expected == _counts(found)
        assert found.identical is all(n[:3] == (0, 0, 0) for n in expected.values())
        totals = [sum(numbers) for numbers in zip(*expected.values(), strict=True)]
        assert totals == [found.added, found.changed, found.removed, found.unchanged]
        mirrored = diff(_rewound(b), _rewound(a), sample=limit)
        assert {n: (r, c, a, u) for n, (a, c, r, u) in expected.items()} == _counts(mirrored)
        assert diff(_rewound(a), _rewound(b), sample=limit).as_json() == found.as_json()
    for collection in schema.collections:
        _check_sample(collection, found, limit)


def _check_sample(collection: Collection, found: Diff, limit: int) -> None:
    """As many records as there is room for, each with its key and with fields that differ."""
    one = found.collections[collection.name]
    kinds = Counter(record.what for record in one.sample)
    assert kinds == +Counter(
        added=min(limit, one.added),
        changed=min(limit, one.changed),
        removed=min(limit, one.removed),
    )
    for record in one.sample:
        assert collection.key == tuple(record.key)
        assert (record.old is None) is (record.what == "added")
        assert (record.new is None) is (record.what == "removed")
        if record.old is None or record.new is None:
            fields = record.old if record.new is None else record.new
            assert fields is not None
            assert set(collection.field_names) == {*record.key, *fields}
        else:
            assert record.old.keys() == record.new.keys() != set()
            assert all(repr(record.old[name]) != repr(record.new[name]) for name in record.old)


@settings(max_examples=40)
@given(
    states=_states(),
    holders=st.tuples(st.sampled_from(["memory", "sqlite"]), st.sampled_from([*HOLDERS])),
)
def test_identical_after_an_import(
    states: tuple[Schema, Dataset, Dataset], holders: tuple[str, str]
) -> None:
    """What has been imported is what it was imported from, and the same to itself."""
    schema, old, new = states
    archive = exported(memory(new, schema))
    with HOLDERS[holders[0]](schema, old) as a, HOLDERS[holders[1]](schema, new) as b:
        import_all(a, io.BytesIO(archive))  # type: ignore[arg-type]
        found = diff(a, b)
        assert found.identical
        assert found.unchanged == sum(map(len, new.values()))
        assert () == sum((one.sample for one in found.collections.values()), ())
        assert diff(a, a).identical
