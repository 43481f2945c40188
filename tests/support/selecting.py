"""What a selection is to do, said once more and naively."""

import io
from collections.abc import Iterable
from typing import Any

from databackup import ExportReport, export_all
from databackup.operations.keys import key_bytes
from databackup.repository import Repository, Row
from databackup.schema import Collection, Schema

Dataset = dict[str, list[Row]]


def part(repository: Repository, *names: str, **options: Any) -> bytes:
    """The archive of some collections of a repository."""
    return told(repository, collections=names, **options)[0]


def told(repository: Repository, **options: Any) -> tuple[bytes, ExportReport]:
    """The archive of a repository, and the report of its export."""
    file = io.BytesIO()
    report = export_all(repository, file, **options)
    return file.getvalue(), report


def closure(schema: Schema, names: Iterable[str]) -> set[str]:
    """These collections and all that can be reached from them."""
    found = set(names)
    for _ in schema.collections:
        found |= {r.collection for c in schema.collections if c.name in found for r in c.references}
    return found


def dangling(schema: Schema, dataset: Dataset, written: Iterable[str]) -> set[tuple[str, bytes]]:
    """Values that point at no record, of references from or to what was written."""
    names = set(written)
    return {
        (collection.name, value)
        for collection in schema.collections
        for reference in collection.references
        if collection.name in names or reference.collection in names
        for value in _values(collection, reference.fields, dataset)
        - _values(
            schema[reference.collection],
            reference.to or schema[reference.collection].key,
            dataset,
        )
    }


def _values(collection: Collection, names: tuple[str, ...], dataset: Dataset) -> set[bytes]:
    fields, places = [collection.field(n) for n in names], collection.positions(names)
    rows = ([row[place] for place in places] for row in dataset[collection.name])
    return {key_bytes(fields, values) for values in rows if None not in values}
