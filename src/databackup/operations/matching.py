"""What two collections of one name have in common, and how their structures differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from databackup.errors import KeysDiffer
from databackup.operations.fit import kind_in
from databackup.schema import Collection, Field, Schema
from databackup.schema.composite import Enum, Optional
from databackup.schema.kinds import Decimal, Int, Str
from databackup.schema.narrowed import without_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from databackup.schema import Kind
    from databackup.schema.narrowed import Omitted


@attrs.frozen(kw_only=True)
class Match:
    """How the records of one collection are compared.

    `old` and `new` are the collection as either side describes it, with the fields that both have
    with the same kind, in the same order. Where there are none, `nothing_shared`, each has its own.
    By the `key` of both records are told apart; `either` takes the keys of both. With `same_order`
    records in key order are in the same order on both sides.
    """

    old: Collection
    new: Collection
    either: Collection
    structure: tuple[str, ...]
    nothing_shared: bool = False
    same_order: bool = False

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.either.name

    @property
    def key(self) -> tuple[str, ...]:
        """The fields by which records are told apart."""
        return self.either.key


def lacking(schema: Schema, omitted: Omitted) -> Schema:
    """One side's schema without the fields that the other side omits, and so has no values of.

    Fields of a key stay, and so do those that references point at: there the sides do differ.
    """
    if not omitted:
        return schema
    kept = {
        (reference.collection, name)
        for collection in schema.collections
        for reference in collection.references
        for name in reference.to
    }
    return Schema(
        app=schema.app,
        version=schema.version,
        collections=[
            without_fields(c, {f for f in _spare(c, omitted) if (c.name, f) not in kept})
            for c in schema.collections
        ],
    )


def _spare(collection: Collection, omitted: Omitted) -> set[str]:
    """The omitted fields that a collection can do without: one that has no others keeps them."""
    names = {*collection.field_names}
    found = names & omitted.get(collection.name, frozenset()) - {*collection.key}
    return found if found < names else set()


def match_all(a: Schema, b: Schema, names: Sequence[str], sides: tuple[str, str]) -> list[Match]:
    """How each of these collections is compared. Raises `KeysDiffer`, naming all that do."""
    found, wrong = [], []
    for name in names:
        if name in a and name in b:
            reason = _why_keys_differ(a[name], b[name], sides)
            if reason:
                wrong.append(f"the key of {name} is {reason}")
            else:
                found.append(_matched(a[name], b[name], sides))
        else:
            found.append(_alone(a, b, name, sides))
    if wrong:
        raise KeysDiffer("; ".join(wrong), tuple(wrong))
    return found


def _alone(a: Schema, b: Schema, name: str, sides: tuple[str, str]) -> Match:
    own, side = (a[name], sides[0]) if name in a else (b[name], sides[1])
    structure = (f"the collection is only in {side}",)
    return Match(old=own, new=own, either=own, structure=structure, nothing_shared=True)


def _why_keys_differ(a: Collection, b: Collection, sides: tuple[str, str]) -> str | None:
    """The two keys, where no record of one side can be told to be one of the other."""
    if not a.key or not b.key:
        return None  # what has no key is compared without one
    one, other = _key_and_kinds(a), _key_and_kinds(b)
    if set(one) == set(other):
        return None
    return f"{', '.join(one)} in {sides[0]}, {', '.join(other)} in {sides[1]}"


def _key_and_kinds(collection: Collection) -> list[str]:
    return [f"{name} ({_kind(collection.field(name))})" for name in collection.key]


def _matched(a: Collection, b: Collection, sides: tuple[str, str]) -> Match:
    structure = tuple(_differences(a, b, sides))
    shared = [
        _as_secret(field, b.field(field.name))
        for field in a.fields
        if b.has_field(field.name) and _kind(field) == _kind(b.field(field.name))
    ]
    if not shared:
        nothing = Collection(a.name, fields=[])
        return Match(old=a, new=b, either=nothing, structure=structure, nothing_shared=True)
    key = a.key if b.key else ()
    return Match(
        old=Collection(a.name, fields=[one for one, _ in shared], key=key),
        new=Collection(a.name, fields=[other for _, other in shared], key=key),
        either=Collection(a.name, fields=[_wider(*both) for both in shared], key=key),
        structure=structure,
        same_order=a.key == b.key
        and all(a.field(name).form.describe() == b.field(name).form.describe() for name in key),
    )


def _as_secret(one: Field, other: Field) -> tuple[Field, Field]:
    """The two sides of a field, both secret where one of them is."""
    if one.secret == other.secret:
        return one, other
    return attrs.evolve(one, secret=True), attrs.evolve(other, secret=True)


def _kind(field: Field) -> str:
    return kind_in(field.kind.describe())


def _wider(one: Field, other: Field) -> Field:
    """A field that takes the values of both, in the same canonical form."""
    if one.form == other.form:
        return one
    kind: Kind = one.value_kind
    if isinstance(kind, Enum):
        kind = Str() if type(kind.values[0]) is str else Int()
    elif isinstance(kind, Decimal):
        kind = Decimal()
    keeps = "keep" in {one.off_kind, other.off_kind}
    return Field(one.name, Optional(kind), "keep" if keeps else "refuse")


def _differences(a: Collection, b: Collection, sides: tuple[str, str]) -> Iterator[str]:
    if a.key != b.key:
        one, other = (", ".join(collection.key) or "none" for collection in (a, b))
        yield f"key: {one} in {sides[0]}, {other} in {sides[1]}"
    for field in a.fields:
        if not b.has_field(field.name):
            yield f"field {field.name} only in {sides[0]}"
            continue
        one, other = _told(field), _told(b.field(field.name))
        if one != other:
            yield f"field {field.name}: {one} in {sides[0]}, {other} in {sides[1]}"
    for field in b.fields:
        if not a.has_field(field.name):
            yield f"field {field.name} only in {sides[1]}"


def _told(field: Field) -> str:
    return _kind(field) + (" or null" if field.nullable else "")
