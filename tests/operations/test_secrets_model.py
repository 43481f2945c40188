"""Whatever is secret, and whatever has become of the store: the oracle knows what is kept."""

import io

import attrs
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from databackup import (
    Collection,
    Field,
    Schema,
    diff,
    export_all,
    import_all,
    inspect_archive,
    seal_archive,
    verify_archive,
)
from databackup.errors import SecretsMissing
from databackup.operations.keys import key_bytes, key_fields
from databackup.repository import Row
from databackup.schema.defaults import NO_DEFAULT
from databackup.schema.narrowed import secret_fields, without
from databackup.testing.harness import expected, stored
from databackup.testing.strategies import datasets, field_values, schemas
from tests.support.club import Dataset, memory
from tests.support.stores import STORES


@st.composite
def marked(draw: st.DrawFn) -> Schema:
    """Schemas with some fields secret, of which some have defaults."""
    schema = draw(schemas())
    linked = {(c.name, name) for c in schema.collections for r in c.references for name in r.fields}
    linked |= {
        (r.collection, name)
        for c in schema.collections
        for r in c.references
        for name in r.to or schema[r.collection].key
    }

    def some(collection: Collection) -> Collection:
        taken = {*collection.key, *(n for c, n in linked if c == collection.name)}
        free = [name for name in collection.field_names if name not in taken]
        secret = draw(st.sets(st.sampled_from(free))) if free else set()
        if len(secret) == len(collection.fields):
            secret.pop()
        return Collection(
            collection.name,
            fields=[_marked(draw, f) if f.name in secret else f for f in collection.fields],
            key=collection.key,
            references=collection.references,
        )

    return Schema(app="club", version=3, collections=list(map(some, schema.collections)))


def _marked(draw: st.DrawFn, field: Field) -> Field:
    default = draw(st.just(NO_DEFAULT) | field_values(field))
    return attrs.evolve(field, secret=True, default=default)


@st.composite
def otherwise(draw: st.DrawFn, schema: Schema, dataset: Dataset) -> Dataset:
    """The same records with other secrets."""
    made: Dataset = {}
    for collection in schema.collections:
        free = {f.name for f in collection.fields if f.secret}
        strategies = [field_values(f) if f.name in free else None for f in collection.fields]
        made[collection.name] = [
            tuple(
                value if strategy is None else draw(strategy)
                for value, strategy in zip(row, strategies, strict=True)
            )
            for row in dataset[collection.name]
        ]
    return made


class Neither(Exception):
    """A record that the store does not have, of a collection whose secrets have no default."""


def completed(schema: Schema, archived: Dataset, present: Dataset) -> Dataset:
    """What a store must hold after a replace. Raises `Neither`."""
    return {c.name: _completed(c, archived[c.name], present[c.name]) for c in schema.collections}


def _completed(collection: Collection, archived: list[Row], present: list[Row]) -> list[Row]:
    if not any(field.secret for field in collection.fields):
        return archived
    if not collection.key and archived and present:
        raise Neither

    def form(row: Row) -> bytes:
        return key_bytes(key_fields(collection), collection.codec.key(row))

    own = {form(row): row for row in present}
    made = []
    for row in archived:
        found = own.get(form(row)) if collection.key else None
        values = list(row)
        for place, field in enumerate(collection.fields):
            if field.secret:
                values[place] = found[place] if found else field.default
            if values[place] is NO_DEFAULT:
                raise Neither
        made.append(tuple(values))
    return made


@pytest.mark.parametrize("store", STORES)
@given(data=st.data())
def test_replace(store: str, data: st.DataObject) -> None:
    """Records that are there keep their secrets, new ones get defaults, or nothing changes."""
    schema = data.draw(marked())
    archived = data.draw(datasets(schema))
    present = data.draw(otherwise(schema, archived) | datasets(schema))
    archive = io.BytesIO()
    report = export_all(memory(archived, schema), archive, secrets="omitted")
    assert {n: set(f) for n, f in report.omitted.items()} == secret_fields(schema)
    with STORES[store](schema, present) as repository:
        before = stored(repository)
        archive.seek(0)
        try:
            wanted = completed(schema, archived, present)
        except Neither:
            event("neither the store nor a default has a secret")
            with pytest.raises(SecretsMissing):
                import_all(repository, archive)
            assert before == stored(repository)
            return
        event("imported")
        done = import_all(repository, archive)
        assert expected(schema, wanted) == stored(repository)
        archive.seek(0)
        try:
            completed(schema, archived, wanted)
        except Neither:  # without a key, what has got defaults cannot be told apart any more
            with pytest.raises(SecretsMissing):
                import_all(repository, archive)
            return
        again = import_all(repository, archive)
        assert done.records == again.unchanged == again.records


@given(data=st.data())
def test_archive(data: st.DataObject) -> None:
    """An archive without secrets is one: verified, compared and sealed by what its records have."""
    schema = data.draw(marked())
    rows = data.draw(datasets(schema))
    repository = memory(rows, schema)
    archive = io.BytesIO()
    export_all(repository, archive, secrets="omitted")
    data_ = archive.getvalue()
    omitted = secret_fields(schema)
    info = inspect_archive(io.BytesIO(data_))
    assert ("omitted" if omitted else "included") == info.secrets
    assert omitted == {n: frozenset(c.secret) for n, c in info.collections.items() if c.secret}
    assert verify_archive(io.BytesIO(data_)) == verify_archive(io.BytesIO(data_), schema)
    found = diff(io.BytesIO(data_), repository)
    assert found.identical
    assert len(omitted) == len(found.notes)
    sealed = io.BytesIO()
    seal_archive(io.BytesIO(data_), sealed)
    again = inspect_archive(io.BytesIO(sealed.getvalue()))
    assert {n: c.digest for n, c in info.collections.items()} == {
        n: c.digest for n, c in again.collections.items()
    }
    assert (info.secrets, info.schema_digest) == (again.secrets, again.schema_digest)


@given(data=st.data())
def test_digests_are_of_records_as_they_stand(data: st.DataObject) -> None:
    """The digests are those of the same records in a schema that never had the fields."""
    schema = data.draw(marked())
    rows = data.draw(datasets(schema))
    narrow = without(schema, secret_fields(schema))
    kept = {
        c.name: [c.field_names.index(n) for n in narrow[c.name].field_names]
        for c in schema.collections
    }
    lacking = {
        name: [tuple(row[place] for place in kept[name]) for row in found]
        for name, found in rows.items()
    }
    one, other = io.BytesIO(), io.BytesIO()
    export_all(memory(rows, schema), one, secrets="omitted")
    export_all(memory(lacking, narrow), other)
    infos = [inspect_archive(io.BytesIO(file.getvalue())) for file in (one, other)]
    digests = [{n: c.digest for n, c in info.collections.items()} for info in infos]
    assert digests[0] == digests[1]
