"""Datasets that have some records in common, some of the same keys, and some of their own."""

from hypothesis import strategies as st

from databackup import Collection, Schema
from databackup.operations.keys import key_bytes, key_fields
from databackup.repository import Row
from databackup.testing.strategies import datasets, schemas
from tests.support.club import Dataset

Keyed = dict[bytes, Row]


def with_keys(schema: Schema) -> Schema:
    """A schema's collections that have a key, without references."""
    kept = [
        Collection(c.name, fields=list(c.fields), key=c.key) for c in schema.collections if c.key
    ]
    return Schema(app=schema.app, version=schema.version, collections=kept)


KEYED = schemas().map(with_keys).filter(lambda schema: bool(schema.collections))


def keyed(collection: Collection, rows: list[Row]) -> Keyed:
    """Rows by their keys."""
    fields = key_fields(collection)
    return {key_bytes(fields, collection.codec.key(row)): row for row in rows}


def mixed(data: st.DataObject, schema: Schema, old: Dataset) -> Dataset:
    """Another dataset, with some of the old one's records, and with others under their keys."""
    new = data.draw(datasets(schema))
    for collection in schema.collections:
        rows, there = new[collection.name], old[collection.name]
        for position, row in enumerate(rows):
            what = data.draw(st.sampled_from(["new", "equal", "other"])) if there else "new"
            if what != "new":
                taken = data.draw(st.sampled_from(there))
                rows[position] = (
                    taken if what == "equal" else _under_its_key(collection, row, taken)
                )
        new[collection.name] = list(keyed(collection, rows).values())
    return new


def _under_its_key(collection: Collection, row: Row, other: Row) -> Row:
    values = zip(collection.field_names, row, other, strict=True)
    return tuple(theirs if name in collection.key else own for name, own, theirs in values)
