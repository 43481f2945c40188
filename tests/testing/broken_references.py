"""Adapters that answer wrongly which references point nowhere."""

from databackup.repository import Key
from databackup.schema import Collection, Reference
from tests.testing.broken import Cases, View, broken_view


def _dangling_by_parts(
    self: View, collection: Collection, reference: Reference, limit: int
) -> list[Key]:
    found: list[Key] = self.inner.dangling(collection, reference, limit)
    target = self.inner._tables[reference.collection]
    parts = [target.values_of((name,)) for name in reference.to or target.collection.key]
    return [
        key for key in found if any((p,) not in known for p, known in zip(key, parts, strict=True))
    ]


def _dangling_at_the_key(
    self: View, collection: Collection, reference: Reference, limit: int
) -> list[Key]:
    simple = Reference(reference.fields, reference.collection)
    found: list[Key] = self.inner.dangling(collection, simple, limit)
    return found


def _dangling_with_nulls(
    self: View, collection: Collection, reference: Reference, limit: int
) -> list[Key]:
    found: list[Key] = self.inner.dangling(collection, reference, limit)
    pointing = self.inner._tables[collection.name].values_of(reference.fields)
    halves = [key for key in pointing if None in key and key != (None,) * len(key)]
    return [*found, *halves][:limit]


def _dangling_each_time(
    self: View, collection: Collection, reference: Reference, limit: int
) -> list[Key]:
    found: list[Key] = self.inner.dangling(collection, reference, limit)
    return [key for key in found for _ in range(2)][:limit]


def _dangling_elsewhere_only(
    self: View, collection: Collection, reference: Reference, limit: int
) -> list[Key]:
    if reference.collection == collection.name:
        return []
    found: list[Key] = self.inner.dangling(collection, reference, limit)
    return found


def _dangling_without_a_limit(
    self: View, collection: Collection, reference: Reference, limit: int
) -> list[Key]:
    found: list[Key] = self.inner.dangling(collection, reference, limit + 10)
    return found


BROKEN: Cases = {
    "dangling by parts": (
        broken_view("B", dangling=_dangling_by_parts),
        "dangling_compares_composite_references_whole",
    ),
    "dangling at the key": (
        broken_view("B", dangling=_dangling_at_the_key),
        "dangling_follows_references_to_unique_fields",
    ),
    "dangling with nulls": (
        broken_view("B", dangling=_dangling_with_nulls),
        "dangling_leaves_out_nulls",
    ),
    "dangling twice": (
        broken_view("B", dangling=_dangling_each_time),
        "dangling_finds_values_that_point_nowhere",
    ),
    "dangling elsewhere": (
        broken_view("B", dangling=_dangling_elsewhere_only),
        "dangling_sees_references_to_the_same_collection",
    ),
    "dangling without limit": (
        broken_view("B", dangling=_dangling_without_a_limit),
        "dangling_gives_no_more_than_the_limit",
    ),
}
