"""Schemas as JSON, and what a description from a file may say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.archive import text
from databackup.errors import SchemaError
from databackup.schema import Collection, Field, Reference, Schema
from databackup.schema import composite as c
from databackup.schema import kinds as k
from databackup.schema.document import describe, described_collection, description_digest
from tests.schema.values import all_kinds, names, off_kinds

fields = st.dictionaries(names, st.tuples(all_kinds, off_kinds), min_size=1, max_size=4).map(
    lambda found: [Field(name, kind, off) for name, (kind, off) in found.items()]
)


@given(fields)
def test_a_description_gives_the_collection_back(found: list[Field]) -> None:
    """Every collection reads from its description as it was, kinds and order of fields included."""
    collection = Collection("c", fields=found)
    description = json.loads(text.dump(describe(Schema(collections=[collection]))))

    assert collection == described_collection("c", description["collections"]["c"])


def schema(**more: Any) -> Schema:
    """Two collections with a reference."""
    return Schema(
        collections=[
            Collection(
                "orders",
                key="id",
                fields={"id": int, "menu": int, "price": k.Decimal(2)},
                references=[Reference("menu", "menus")],
            ),
            Collection("menus", key="id", fields={"id": int, **more}),
        ]
    )


def test_collections_are_described_in_dependency_order() -> None:
    """What a reference points at is spelled out."""
    description = describe(schema())
    expected = (
        '{"collections":{"menus":{"fields":{"id":{"kind":"int"}},"key":["id"],"references":[]},'
        '"orders":{"fields":{"id":{"kind":"int"},"menu":{"kind":"int"},'
        '"price":{"kind":"decimal","scale":2}},"key":["id"],'
        '"references":[{"fields":["menu"],"collection":"menus","to":["id"]}]}}}'
    )
    assert expected == text.dump(description).decode()


def test_the_digest_leaves_out_the_order_of_rows_alone() -> None:
    """Two stores of one schema have one digest; any other change gives another."""
    plain, ordered = describe(schema()), describe(schema())
    for collection in ordered["collections"].values():
        collection["order"] = "key"

    assert description_digest(plain) == description_digest(ordered)
    assert description_digest(plain) != description_digest(describe(schema(name=str)))


GOOD: dict[str, Any] = {"fields": {"a": {"kind": "int"}}, "key": ["a"], "references": []}


def deep(depth: int) -> Any:
    """A list of lists of …"""
    kind: Any = {"kind": "int"}
    for _ in range(depth):
        kind = {"kind": "list", "items": kind}
    return kind


@pytest.mark.parametrize(
    "description",
    [
        None,
        [],
        {},
        "c",
        GOOD | {"more": 1},
        GOOD | {"key": "a"},
        GOOD | {"key": [1]},
        GOOD | {"references": {}} | {"fields": []},
        GOOD | {"references": [{"fields": ["a"], "collection": "b"}]},
        GOOD | {"references": [{"fields": ["a"], "collection": "b", "to": [], "x": 1}]},
        GOOD | {"references": [{"fields": ["a"], "collection": None, "to": []}]},
        *(
            GOOD | {"fields": {"a": field}}
            for field in (
                None,
                "int",
                {},
                {"kind": "number"},
                {"kind": ["int"]},
                {"kind": "optional"},
                {"kind": "keep"},
                {"kind": "int", "scale": 2},
                {"kind": "int", "nullable": 1},
                {"kind": "int", "nullable": "true"},
                {"kind": "int", "off_kind": "drop"},
                {"kind": "int", "off_kind": []},
                {"kind": "decimal", "scale": "2"},
                {"kind": "decimal", "scale": True},
                {"kind": "decimal", "scale": [2]},
                {"kind": "enum"},
                {"kind": "enum", "values": []},
                {"kind": "enum", "values": "ab"},
                {"kind": "enum", "values": ["a", 1]},
                {"kind": "enum", "values": [True]},
                {"kind": "enum", "values": [{}]},
                {"kind": "list"},
                {"kind": "list", "items": {"kind": "int", "off_kind": "keep"}},
                {"kind": "list", "items": {"kind": "int", "more": 1}},
                {"kind": "dict", "values": []},
                {"kind": "nested", "members": [["a", {"kind": "int"}]]},
                {"kind": "nested", "members": {"a": {"kind": "?"}}},
                {"kind": "native"},
                {"kind": "native", "type": 1},
                deep(64),
                deep(300),
            )
        ),
    ],
    ids=lambda description: str(description)[:80] if len(str(description)) < 5000 else "deep",
)
def test_a_description_that_says_anything_else_is_refused(description: Any) -> None:
    """Unknown members, wrong types and kinds of no library are SchemaErrors, never others."""
    with pytest.raises(SchemaError):
        described_collection("c", description)


def test_kinds_nest_as_deep_as_documented() -> None:
    """63 levels around a kind are read."""
    collection = described_collection("c", GOOD | {"fields": {"a": deep(63)}, "key": []})
    assert isinstance(collection.fields[0].kind, c.List)
    assert ("a",) == described_collection("c", {**GOOD, "order": "key"}).key
