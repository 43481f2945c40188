"""What operations share: the error for one that does not fit, and what each has to find."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from databackup.schema.kind import KindError, shown
from databackup.schema.model import Collection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from databackup.schema.model import Field, Reference

Collections = dict[str, Collection]
"""Collections by name, as operations are applied to them: see `evolution.described`."""


class CannotApply(Exception):
    """An operation does not fit the collections it is applied to; the message says why."""


def evolved(
    collection: Collection,
    *,
    name: str | None = None,
    fields: Iterable[Field] | None = None,
    key: Iterable[str] | None = None,
    references: Iterable[Reference] | None = None,
) -> Collection:
    """A collection with parts of it changed, and no model."""
    return Collection(
        collection.name if name is None else name,
        fields=collection.fields if fields is None else fields,
        key=collection.key if key is None else key,
        references=collection.references if references is None else references,
    )


def require(collections: Collections, name: str) -> Collection:
    """The collection of a name. Raises `CannotApply`."""
    if name not in collections:
        raise CannotApply(f"there is no collection {name!r}")
    return collections[name]


def require_free(collections: Collections, name: str) -> None:
    """See that a collection can have a name. Raises `CannotApply`."""
    if name in collections:
        raise CannotApply(f"there is a collection {name!r} already")


def require_field(collection: Collection, name: str) -> Field:
    """The field of a name. Raises `CannotApply`."""
    if not collection.has_field(name):
        raise CannotApply(f"there is no field {collection}.{name}")
    return collection.field(name)


def require_no_field(collection: Collection, name: str) -> None:
    """See that a field can have a name. Raises `CannotApply`."""
    if collection.has_field(name):
        raise CannotApply(f"there is a field {collection}.{name} already")


def require_unused(collections: Collections, owner: Collection, field: str) -> None:
    """See that a field is neither of its collection's key nor of a reference."""
    if field in owner.key:
        raise CannotApply(f"{owner}.{field} is of the key: change_key first")
    for collection in collections.values():
        for reference in collection.references:
            points = collection.name == owner.name and field in reference.fields
            if points or (reference.collection == owner.name and field in reference.to):
                raise CannotApply(
                    f"{owner}.{field} is of the reference of {collection} to "
                    f"{reference.collection}: remove_reference first"
                )


def named(function: Callable[..., Any] | None) -> str:
    """What a host's function is called."""
    return str(getattr(function, "__qualname__", None) or shown(function))


def require_of_kind(owner: str, field: Field, value: object) -> None:
    """See that a field may have a value. Raises `CannotApply`."""
    try:
        field.form.encode(value)
    except KindError as error:
        meant = "; say its .value" if isinstance(value, enum.Enum) else ""
        raise CannotApply(f"the default of {owner}.{field.name}: {error}{meant}") from None


def require_reference(
    collections: Collections, collection: Collection, reference: Reference
) -> None:
    """See that a reference, whose end is named, has fields of the same kinds at both ends.

    Raises `CannotApply`.
    """
    target = require(collections, reference.collection)
    if not reference.to:
        raise CannotApply(f"{target} has no key that a reference could point at")
    if len(reference.fields) != len(reference.to):
        raise CannotApply(
            f"({', '.join(reference.fields)}) has another number of fields than {target} "
            f"({', '.join(reference.to)})"
        )
    for here, there in zip(reference.fields, reference.to, strict=True):
        require_alike(collection, here, target, there)


def require_alike(one: Collection, name: str, other: Collection, other_name: str) -> None:
    """See that fields of two collections are of one kind. Raises `CannotApply`."""
    here = require_field(one, name).value_kind
    there = require_field(other, other_name).value_kind
    if type(here) is not type(there):
        raise CannotApply(
            f"{one}.{name} is of the kind {here.name}, {other}.{other_name} of the kind "
            f"{there.name}"
        )
