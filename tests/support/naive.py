"""What operations do to records, one operation after the other, on plain lists of dicts.

It shares nothing with `databackup.migrations` but the operations themselves.
"""

import copy
import functools
from typing import Any

from databackup.operations.keys import key_bytes
from databackup.schema import evolution
from databackup.schema.across import JoinCollection, MoveField, SplitCollection
from databackup.schema.adopting import adopted
from databackup.schema.evolution import NO_DEFAULT, Operation
from databackup.schema.model import Collection

Records = dict[str, list[dict[str, Any]]]
Collections = dict[str, Collection]


class Disagree(Exception):
    """Records that refer to one have other values."""


def carried(operations: list[Operation], before: Collections, records: Records) -> Records:
    """The records after all operations."""
    for operation in operations:
        records = copy.deepcopy(records)
        _apply(operation, before, records)
        before = operation.apply(before)
    return {name: [_in_order(before[name], r) for r in records[name]] for name in before}


def as_records(collections: Collections, rows: dict[str, list[tuple[Any, ...]]]) -> Records:
    """Rows as dicts."""
    return {
        name: [dict(zip(c.field_names, row, strict=True)) for row in rows.get(name, [])]
        for name, c in collections.items()
    }


def as_rows(records: Records) -> dict[str, list[tuple[Any, ...]]]:
    """Dicts as rows."""
    return {name: [tuple(record.values()) for record in found] for name, found in records.items()}


def _in_order(collection: Collection, record: dict[str, Any]) -> dict[str, Any]:
    assert set(collection.field_names) == set(record)
    return {name: record[name] for name in collection.field_names}


@functools.singledispatch
def _apply(operation: Operation, before: Collections, records: Records) -> None:
    """What an operation does to records; most leave them as they are."""


@_apply.register
def _(operation: evolution.RenameCollection, before: Collections, records: Records) -> None:
    records[operation.new] = records.pop(operation.old)


@_apply.register
def _(operation: evolution.RenameField, before: Collections, records: Records) -> None:
    for record in records[operation.collection]:
        record[operation.new] = record.pop(operation.old)


@_apply.register
def _(operation: evolution.AddField, before: Collections, records: Records) -> None:
    for record in records[operation.collection]:
        default = None if operation.default is NO_DEFAULT else operation.default
        record[operation.field.name] = copy.deepcopy(default)


@_apply.register
def _(operation: evolution.RemoveField, before: Collections, records: Records) -> None:
    for record in records[operation.collection]:
        del record[operation.field]


@_apply.register
def _(operation: evolution.ChangeKind, before: Collections, records: Records) -> None:
    old = before[operation.collection].field(operation.field)
    for record in records[operation.collection]:
        value = record[operation.field]
        if value is None and operation.default is not NO_DEFAULT:
            record[operation.field] = copy.deepcopy(operation.default)
        elif value is None or operation.using is None:
            record[operation.field] = adopted(old.kind, operation.kind, value)
        else:
            record[operation.field] = operation.using(value)


@_apply.register
def _(operation: evolution.MapRecords, before: Collections, records: Records) -> None:
    records[operation.collection] = [
        operation.function(record) for record in records[operation.collection]
    ]


@_apply.register
def _(operation: evolution.AddCollection, before: Collections, records: Records) -> None:
    records[operation.collection.name] = []


@_apply.register
def _(operation: evolution.RemoveCollection, before: Collections, records: Records) -> None:
    del records[operation.collection]


@_apply.register
def _(operation: SplitCollection, before: Collections, records: Records) -> None:
    key = before[operation.collection].key
    records[operation.into] = [
        {name: copy.deepcopy(record[name]) for name in (*key, *operation.fields)}
        for record in records[operation.collection]
    ]
    for record in records[operation.collection]:
        for name in operation.fields:
            del record[name]


@_apply.register
def _(operation: JoinCollection, before: Collections, records: Records) -> None:
    source = before[operation.collection]
    names = [name for name in source.field_names if name not in source.key]
    fields = [source.field(name) for name in source.key]
    found = {
        key_bytes(fields, [record[name] for name in source.key]): record
        for record in records.pop(operation.collection)
    }
    for record in records[operation.into]:
        other = found.get(key_bytes(fields, [record[name] for name in source.key]), {})
        record |= {name: other.get(name) for name in names}


@_apply.register
def _(operation: MoveField, before: Collections, records: Records) -> None:
    source, target = before[operation.source], before[operation.target]
    reference = operation.reference(before)
    if reference.collection == operation.target:  # the source's records refer
        theirs, ours = reference.fields, reference.to
    else:
        theirs, ours = reference.to, reference.fields
    their_fields, our_fields = [source.field(n) for n in theirs], [target.field(n) for n in ours]
    moved = source.field(operation.field)
    found: dict[bytes, Any] = {}
    for record in records[operation.source]:
        value = record.pop(operation.field)
        key = [record[name] for name in theirs]
        if None not in key:
            form = key_bytes(their_fields, key)
            if form in found and key_bytes([moved], [found[form]]) != key_bytes([moved], [value]):
                raise Disagree
            found.setdefault(form, value)
    default = None if operation.default is NO_DEFAULT else operation.default
    for record in records[operation.target]:
        key = [record[name] for name in ours]
        form = b"" if None in key else key_bytes(our_fields, key)
        record[operation.field] = copy.deepcopy(found.get(form, default))
