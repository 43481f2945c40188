"""The collections that a header describes: whether they are sound, and the schema they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from databackup.errors import ArchiveInvalid, SchemaError
from databackup.schema import Collection, Schema
from databackup.schema.document import described_collection
from databackup.schema.kind import shown
from databackup.schema.narrowing import leaving, within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def described_collections(descriptions: Mapping[str, Any]) -> tuple[Collection, ...]:
    """The collections as they are described, with all their references. Raises `ArchiveInvalid`."""
    collections = []
    for name, description in descriptions.items():
        order = description.get("order")
        if order not in ("key", "none") or (order == "key" and not description.get("key")):
            found = shown(order)
            raise ArchiveInvalid(f"the header's schema gives {name} the order {found}")
        try:
            collections.append(described_collection(name, description))
        except SchemaError as error:
            raise _unsound(error.message) from error
    return tuple(collections)


def schema_of(collections: Sequence[Collection], *, is_selection: bool) -> Schema:
    """The schema of described collections. Raises `ArchiveInvalid`.

    Those of a selection may refer to collections that it leaves out; such references can be held
    against nothing, and the schema lacks them.
    """
    if is_selection:
        names = {collection.name for collection in collections}
        for flaw in _flaws_of_leaving(collections, names):
            raise _unsound(flaw)
        collections = [within(collection, names) for collection in collections]
    try:
        return Schema(collections=collections)
    except SchemaError as error:
        raise _unsound(error.message) from error


def _flaws_of_leaving(collections: Sequence[Collection], names: set[str]) -> Iterator[str]:
    """What is wrong with references that lead out of a selection, as far as can be told."""
    for collection, reference in leaving(collections, names):
        what = f"the reference of {shown(collection.name)} to {shown(reference.collection)}"
        for name in reference.fields:
            if not collection.has_field(name):
                yield f"{what} names {shown(name)}, which is no field of it"
        if not reference.fields or len(reference.fields) != len(reference.to):
            yield f"{what} has {len(reference.fields)} fields, and leads to {len(reference.to)}"


def _unsound(why: str) -> ArchiveInvalid:
    return ArchiveInvalid(f"the header's schema is not sound: {why}")
