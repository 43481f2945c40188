"""Random sequences of operations over a schema, each of which fits what is before it."""

from typing import Any

import attrs
from hypothesis import strategies as st

from databackup.errors import SchemaError
from databackup.schema import Collection, Field, Reference, Schema, evolution, kinds, linking
from databackup.schema.across import MoveField, SplitCollection
from databackup.schema.composite import List, Optional
from databackup.schema.evolution import NO_DEFAULT, CannotApply, Operation, described
from databackup.testing.strategies import field_values
from databackup.testing.strategies.schemas import _folded, all_kinds, names
from tests.support.naive import Collections


@attrs.frozen
class Evolution:
    """Operations, and the collections before and after them."""

    before: Collections
    operations: list[Operation]
    after: Collections


def evolutions(
    schema: Schema, *, max_size: int = 8, invertible: bool = False
) -> st.SearchStrategy[Evolution]:
    """Operations over a schema's collections; where `invertible`, each has an inverse."""
    return _evolutions(schema, max_size, invertible)


@st.composite
def _evolutions(draw: st.DrawFn, schema: Schema, max_size: int, invertible: bool) -> Evolution:
    state = before = described(schema.collections)
    operations: list[Operation] = []
    for _ in range(draw(st.integers(1, max_size))):
        make = draw(st.sampled_from(_MAKERS))
        operation = make(draw, state)
        if operation is None:
            continue
        try:
            after = operation.apply(state)
            Schema(collections=list(after.values()))
        except (CannotApply, SchemaError):
            continue
        if invertible and operation.inverse(state) is None:
            continue
        operations.append(operation)
        state = after
    return Evolution(before, operations, state)


def _some(draw: st.DrawFn, state: Collections) -> Collection | None:
    return draw(st.sampled_from(list(state.values()))) if state else None


def _fresh(draw: st.DrawFn, taken: Any) -> str:
    folded = {_folded(name) for name in taken}
    return draw(names().filter(lambda name: _folded(name) not in folded))


def _rename_collection(draw: st.DrawFn, state: Collections) -> Operation | None:
    found = _some(draw, state)
    return None if found is None else evolution.RenameCollection(found.name, _fresh(draw, state))


def _rename_field(draw: st.DrawFn, state: Collections) -> Operation | None:
    found = _some(draw, state)
    if found is None:
        return None
    old = draw(st.sampled_from(found.field_names))
    return evolution.RenameField(found.name, old, _fresh(draw, found.field_names))


def _add_field(draw: st.DrawFn, state: Collections) -> Operation | None:
    found = _some(draw, state)
    if found is None:
        return None
    field = Field(_fresh(draw, found.field_names), draw(all_kinds()))
    default = draw(field_values(field))
    if field.nullable and draw(st.booleans()):
        default = NO_DEFAULT
    position = draw(st.none() | st.integers(0, len(found.fields)))
    return evolution.AddField(found.name, field, default, position)


def _remove_field(draw: st.DrawFn, state: Collections) -> Operation | None:
    found = _some(draw, state)
    if found is None or len(found.fields) == 1:
        return None
    field = draw(st.sampled_from(found.fields))
    default = draw(st.just(NO_DEFAULT) | field_values(field))
    return evolution.RemoveField(found.name, field.name, default)


def _change_kind(draw: st.DrawFn, state: Collections) -> Operation | None:
    found = _some(draw, state)
    if found is None:
        return None
    field = draw(st.sampled_from(found.fields))
    if field.nullable and draw(st.booleans()):
        default = draw(field_values(Field("x", field.value_kind)))
        return evolution.ChangeKind(found.name, field.name, field.value_kind, default=default)
    if isinstance(field.value_kind, kinds.Int):
        kind = Optional(kinds.Str()) if field.nullable else kinds.Str()
        return evolution.ChangeKind(found.name, field.name, kind, str, int)
    if isinstance(field.value_kind, kinds.Str):
        return evolution.ChangeKind(found.name, field.name, field.kind, _marked, _unmarked)
    if not field.nullable and field.name not in found.key:
        return evolution.ChangeKind(found.name, field.name, Optional(field.kind))
    return None


def _change_number(draw: st.DrawFn, state: Collections) -> Operation | None:
    found = _some(draw, state)
    numbers = {kinds.Int: kinds.Float(), kinds.Float: kinds.Int()}
    fields = [] if found is None else [f for f in found.fields if type(f.value_kind) in numbers]
    if found is None or not fields:
        return None
    field = draw(st.sampled_from(fields))
    kind = numbers[type(field.value_kind)]
    kind = Optional(kind) if field.nullable else kind
    return evolution.ChangeKind(found.name, field.name, kind)


def _marked(text: str) -> str:
    return f"<{text}>"


def _unmarked(text: str) -> str:
    return text[1:-1]


def _map_records(draw: st.DrawFn, state: Collections) -> Operation | None:
    found = _some(draw, state)
    if found is None:
        return None
    linked = (
        {*found.key}
        | {name for r in found.references for name in r.fields}
        | {
            name
            for other in state.values()
            for r in other.references
            if r.collection == found.name
            for name in r.to
        }
    )
    able = [
        field.name
        for field in found.fields
        if isinstance(field.value_kind, kinds.Str | List) and field.name not in linked
    ]

    def reverse(record: dict[str, Any]) -> dict[str, Any]:
        for name in able:
            if isinstance(record[name], list):
                record[name].reverse()  # in its place
            elif record[name] is not None:
                record[name] = record[name][::-1]
        return dict(reversed(record.items()))

    changes_key = not set(found.key).isdisjoint(able)
    return evolution.MapRecords(found.name, reverse, reverse, changes_key)


def _add_collection(draw: st.DrawFn, state: Collections) -> Operation:
    name = _fresh(draw, state)
    fields = [Field("id", kinds.Int()), Field("x", draw(all_kinds()))]
    references = []
    target = _some(draw, state)
    if target is not None and len(target.key) == 1:
        fields.append(Field("to", target.field(target.key[0]).kind))
        references.append(Reference("to", target.name))
    key = draw(st.sampled_from([("id",), ()]))
    collection = Collection(name, fields=fields, key=key, references=references)
    return evolution.AddCollection(collection)


def _remove_collection(draw: st.DrawFn, state: Collections) -> Operation | None:
    found = _some(draw, state)
    return None if found is None else evolution.RemoveCollection(found.name)


def _change_key(draw: st.DrawFn, state: Collections) -> Operation | None:
    found = _some(draw, state)
    if found is None:
        return None
    return linking.ChangeKey(found.name, draw(st.sampled_from([found.key[::-1], ()])))


def _remove_reference(draw: st.DrawFn, state: Collections) -> Operation | None:
    found = _some(draw, state)
    if found is None or not found.references:
        return None
    reference = draw(st.sampled_from(found.references))
    return linking.RemoveReference(found.name, reference.fields, reference.collection, reference.to)


def _split(draw: st.DrawFn, state: Collections) -> Operation | None:
    found = _some(draw, state)
    if found is None:
        return None
    others = [name for name in found.field_names if name not in found.key]
    if not others:
        return None
    moved = draw(st.lists(st.sampled_from(others), min_size=1, max_size=3, unique=True))
    return SplitCollection(found.name, _fresh(draw, state), tuple(moved))


def _move(draw: st.DrawFn, state: Collections) -> Operation | None:
    links = [
        pair
        for c in state.values()
        for r in c.references
        for pair in ((c.name, r.collection, r.fields), (r.collection, c.name, r.fields))
    ]
    if not links:
        return None
    source, target, via = draw(st.sampled_from(links))
    field = draw(st.sampled_from(state[source].fields))
    default = draw(st.just(NO_DEFAULT) | field_values(field))
    position = draw(st.none() | st.integers(0, len(state[target].fields)))
    return MoveField(source, field.name, target, via, position, default)


_MAKERS = (
    _rename_collection,
    _rename_field,
    _add_field,
    _remove_field,
    _change_kind,
    _change_number,
    _map_records,
    _add_collection,
    _remove_collection,
    _change_key,
    _remove_reference,
    _split,
    _move,
    _move,
)
