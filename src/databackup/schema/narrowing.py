"""Parts of a schema: some of its collections, and the references that lead out of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databackup.schema.model import Collection, Reference, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator


def closed(names: Iterable[str], pointed_at: Callable[[str], Iterable[str]]) -> set[str]:
    """These names and all that can be reached from them; `pointed_at` says where each one leads."""
    met = set(names)
    left = list(met)
    while left:
        found = set(pointed_at(left.pop())) - met
        met |= found
        left += found
    return met


def leaving(
    collections: Iterable[Collection], names: Container[str]
) -> Iterator[tuple[Collection, Reference]]:
    """The references that lead from collections of these names to others."""
    for collection in collections:
        if collection.name in names:
            for reference in collection.references:
                if reference.collection not in names:
                    yield collection, reference


def within(collection: Collection, names: Container[str]) -> Collection:
    """A collection with those references alone that lead to collections of these names."""
    kept = [reference for reference in collection.references if reference.collection in names]
    if len(kept) == len(collection.references):
        return collection
    prefix = f"{collection.name}."
    return Collection(
        collection.name,
        fields=collection.fields,
        key=collection.key,
        references=kept,
        exclude={e.name.removeprefix(prefix): e.reason for e in collection.excluded},
        model=collection.model,
        converter=collection.converter,
    )


def narrowed(schema: Schema, names: Container[str]) -> Schema:
    """A schema of those collections alone that have these names, and the references among them."""
    return Schema(
        collections=[within(c, names) for c in schema.collections if c.name in names],
        app=schema.app,
        version=schema.version,
        exclude={exclusion.name: exclusion.reason for exclusion in schema.excluded},
    )
