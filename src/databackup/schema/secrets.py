"""Secret fields: which ones may be secret, and how messages speak of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from databackup.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from databackup.schema.model import Collection, Field, Schema

MASK: Final = "(secret)"
"""What stands in messages and samples for the value of a secret field."""
WITHHELD: Final = "its reason is withheld, since it may show the value of a secret field"


def marked(collection: str, fields: Iterable[Field], secret: Iterable[str]) -> tuple[Field, ...]:
    """The fields, those of these names secret. Raises `SchemaError` for a name that none has."""
    fields, names = tuple(fields), set(secret)
    unknown = sorted(names - {field.name for field in fields})
    if unknown:
        what = f"the secrets of {collection}"
        raise SchemaError.of(what, [f"{name!r} is no field of it" for name in unknown])
    return tuple(attrs.evolve(f, secret=True) if f.name in names else f for f in fields)


def has_secrets(collection: Collection) -> bool:
    """Whether any field of a collection is secret."""
    return any(field.secret for field in collection.fields)


def may_be_shown(collection: Collection, field: str | int | None) -> bool:
    """Whether words about a value, perhaps of a field that is not known, can show no secret."""
    if not has_secrets(collection):
        return True
    known = type(field) is str and collection.has_field(field)
    return known and not collection.field(str(field)).secret


def secret_problems(collection: Collection) -> Iterator[str]:
    """What is wrong with the secret fields of a collection by itself."""
    secret = {field.name for field in collection.fields if field.secret}
    for part in collection.key:
        if part in secret:
            yield f"{collection.name}.{part} is of the key, and cannot be secret"
    if secret and len(secret) == len(collection.fields):
        yield f"all fields of {collection.name} are secret, and no record could be told of"


def secret_reference_problems(schema: Schema, source: Collection) -> Iterator[str]:
    """The secret fields that references of a collection are made of, at either end."""
    for reference in source.references:
        ends = [(source, reference.fields)]
        if reference.collection in schema:
            ends.append((schema[reference.collection], reference.to))
        for owner, names in ends:
            for name in names:
                if owner.has_field(name) and owner.field(name).secret:
                    yield f"{owner.name}.{name} is of a reference, and cannot be secret"
