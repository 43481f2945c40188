"""Rows of a collection, and whole datasets whose keys are unique and whose references hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from hypothesis import strategies as st

from databackup.operations.keys import key_bytes
from databackup.schema import KindError
from databackup.testing.strategies.values import field_values, key_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from databackup.repository import Key, Row
    from databackup.schema import Collection, Field, Reference, Schema

    Dataset = dict[str, list[Row]]
    Values = Mapping[str, st.SearchStrategy[Any]]


def rows(
    collection: Collection, *, portable: bool = True, values: Values | None = None
) -> st.SearchStrategy[Row]:
    """Rows of a collection; their references point anywhere.

    `values` are strategies to use instead, by `collection.field`.
    """
    own = values or {}

    def of(field: Field) -> st.SearchStrategy[Any]:
        if (name := f"{collection.name}.{field.name}") in own:
            return own[name]
        if field.name in collection.key:
            return key_values(field, portable=portable)
        return field_values(field, portable=portable)

    return st.tuples(*map(of, collection.fields))


def datasets(
    schema: Schema,
    *,
    portable: bool = True,
    min_records: int = 0,
    max_records: int = 6,
    values: Values | None = None,
) -> st.SearchStrategy[dict[str, list[Row]]]:
    """Lists of rows by the names of a schema's collections.

    Keys are unique, and so are the fields that references name in `to`. References hold: to other
    collections, to the same, in circles; nullable ones are null at times. `values` are strategies
    to use instead, by `collection.field`. `min_records` are drawn at least, of which some are left
    out where their keys or references ask for it.
    """
    return _datasets(schema, portable, (min_records, max_records), values or {})


@st.composite
def _datasets(
    draw: st.DrawFn,
    schema: Schema,
    portable: bool,  # noqa: FBT001 - Hypothesis passes it on
    sizes: tuple[int, int],
    values: Values,
) -> dict[str, list[Row]]:
    least, most = sizes
    dataset = {
        collection.name: draw(
            st.lists(
                rows(collection, portable=portable, values=values), min_size=least, max_size=most
            )
        )
        for collection in schema.collections
    }
    for collection in schema.ordered:
        found = [pointed(draw, schema, dataset, collection, r) for r in dataset[collection.name]]
        dataset[collection.name] = _without_repeats(schema, collection, found)
    while _mend(schema, dataset):
        pass
    return dataset


def pointed(
    draw: st.DrawFn, schema: Schema, dataset: Dataset, collection: Collection, row: Row
) -> Row:
    """A row whose references point at records drawn from those that there are so far."""
    values = dict(zip(collection.field_names, row, strict=True))
    for reference in collection.references:
        targets = _targets(schema, dataset, reference)
        nullable = any(collection.field(name).nullable for name in reference.fields)
        if not targets or (nullable and draw(st.booleans())):
            continue
        target = draw(st.sampled_from(targets))
        if _all_of_their_kind(collection, reference.fields, target):
            values |= dict(zip(reference.fields, target, strict=True))
    return tuple(values.values())


def _all_of_their_kind(collection: Collection, names: tuple[str, ...], values: Key) -> bool:
    try:
        for name, value in zip(names, values, strict=True):
            collection.field(name).form.encode(value)
    except KindError:
        return False
    return True


def _targets(schema: Schema, dataset: Dataset, reference: Reference) -> list[Key]:
    """What a reference can point at: values without a null or a NaN."""
    target = schema[reference.collection]
    pick = _picker(target, reference.to or target.key)
    found = map(pick, dataset[target.name])
    return [values for values in found if _can_be_pointed_at(values)]


def _can_be_pointed_at(values: Key) -> bool:
    return None not in values and all(part == part for part in values)  # noqa: PLR0124 - NaN


def _picker(collection: Collection, names: tuple[str, ...]) -> Callable[[Row], Key]:
    positions = [collection.field_names.index(name) for name in names]
    return lambda row: tuple(row[position] for position in positions)


def _without_repeats(schema: Schema, collection: Collection, found: list[Row]) -> list[Row]:
    """The rows whose keys and other unique fields no earlier row has."""
    for names in {collection.key, *unique_fields(schema, collection)} - {()}:
        pick, seen = _picker(collection, names), set[tuple[Any, ...]]()
        rest = []
        for row in found:
            values = pick(row)
            if None in values:
                rest.append(row)
            elif values not in seen:
                seen.add(values)
                rest.append(row)
        found = rest
    return found


def unique_fields(schema: Schema, collection: Collection) -> Iterator[tuple[str, ...]]:
    """The fields of a collection that references name in `to`, and that are unique with it."""
    for other in schema.collections:
        for reference in other.references:
            if reference.collection == collection.name and reference.to:
                yield reference.to


@attrs.frozen
class _Mended:
    row: Row | None
    changed: bool


def _mend(schema: Schema, dataset: Dataset) -> bool:
    """Set references that point nowhere to null, or remove their rows; whether there were any."""
    changed = False
    for collection in schema.collections:
        for reference in collection.references:
            target = schema[reference.collection]
            to = _fields(target, reference.to or target.key)
            known = {key_bytes(to, values) for values in _targets(schema, dataset, reference)}
            kept = []
            for row in dataset[collection.name]:
                mended = _mended(collection, reference, known, row)
                changed |= mended.changed
                if mended.row is not None:
                    kept.append(mended.row)
            dataset[collection.name] = kept
    return changed


def _fields(collection: Collection, names: tuple[str, ...]) -> list[Field]:
    return [collection.field(name) for name in names]


def _mended(collection: Collection, reference: Reference, known: set[bytes], row: Row) -> _Mended:
    values = _picker(collection, reference.fields)(row)
    if None in values or key_bytes(_fields(collection, reference.fields), values) in known:
        return _Mended(row, changed=False)
    nullable = [name for name in reference.fields if collection.field(name).nullable]
    if not nullable:
        return _Mended(None, changed=True)
    nulled = dict(zip(collection.field_names, row, strict=True)) | dict.fromkeys(nullable)
    return _Mended(tuple(nulled.values()), changed=True)
