"""Schemas: built whole or refused whole, and the order of their collections."""

import datetime
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.errors import SchemaError
from databackup.schema import Collection, Exclusion, Field, Json, Reference, Schema
from databackup.schema import composite as c
from databackup.schema import kinds as k
from tests.support.clock import within


def keyed(name: str, *to: str, **fields: Any) -> Collection:
    """A collection with the key `id` and references to others."""
    return Collection(
        name,
        key="id",
        fields={"id": int, **{f"{target}_id": int | None for target in to}, **fields},
        references=[Reference(f"{target}_id", target) for target in to],
    )


def problems_of(**schema: Any) -> tuple[str, ...]:
    """What a schema is refused for."""
    with pytest.raises(SchemaError) as caught:
        Schema(**schema)
    return caught.value.problems


def test_a_sound_schema_is_built() -> None:
    """A schema holds its collections in order, by name, with app and version."""
    menus, orders = keyed("menus"), keyed("orders", "menus")
    schema = Schema(app="catering", version=3, collections=[orders, menus])

    assert (orders, menus) == schema.collections
    assert menus is schema["menus"]
    assert "orders" in schema
    assert "guests" not in schema
    assert ("catering", 3) == (schema.app, schema.version)
    assert (None, 1) == (Schema(collections=[]).app, Schema(collections=[]).version)
    assert "menus" == str(menus)


@pytest.mark.parametrize(
    "collections, problem",
    [
        ([keyed("a"), keyed("a")], "two collections are named 'a'"),
        ([keyed("")], "a collection's name is text that is not empty, not ''"),
        ([keyed("\ud800")], "a collection's name is text that is not empty"),
        ([keyed(5)], "a collection's name is text that is not empty, not 5"),  # type: ignore[arg-type]
        ([Collection("a", fields={})], "a has no fields"),
        ([Collection("a", fields=[Field("x", k.Int()), Field("x", k.Str())])],
         "a has two fields named 'x'"),
        ([Collection("a", key=("x", "x"), fields={"x": int})], "the key of a names 'x' twice"),
        ([Collection("a", key="y", fields={"x": int})], "'y', which is no field of it"),
        ([Collection("a", key="x", fields={"x": int | None})], "'x', which may be null"),
        *(([Collection("a", key="x", fields={"x": type_})], "has no order")
          for type_ in (Json, list[int], dict[str, int], k.TimeTz(), c.Native("inet"))),
        ([keyed("a", "b")], "points at 'b', which is no collection"),
        ([Collection("a", key="x", fields={"x": int}, references=[Reference("y", "a")])],
         "the reference of a (y) names 'y', which is no field of it"),
        ([Collection("a", fields={"x": int}, references=[Reference("x", "a")])],
         "points at a, which has no key"),
        ([Collection("a", key=("x", "y"), fields={"x": int, "y": int},
                     references=[Reference("x", "a")])],
         "has 1 fields, what it points at has 2"),
        ([Collection("a", key="x", fields={"x": int, "y": str}, references=[Reference("y", "a")])],
         "is of the kind str, but a.x of the kind int"),
        ([Collection("a", fields={"x": Json, "y": Json}, references=[Reference("x", "a", "y")])],
         "is of the kind json, by which nothing can be looked up"),
        ([Collection("a", key="x", fields={"x": int}, references=[Reference("x", "a", "z")])],
         "points at 'z', which is no field of a"),
        ([Collection("a", fields={"x": int}, references=[Reference((), "a", ())])],
         "points at a, which has no key"),
        ([Collection("a", key="x", fields={"x": int}, exclude={"x": "secret"})],
         "a.x is a field and excluded"),
        ([Collection("a", key="x", fields={"x": int}, exclude={"y": ""})],
         "what is excluded has a name and a reason"),
    ],
    ids=lambda part: part if isinstance(part, str) else "c",
)  # fmt: skip
def test_each_fault_of_a_collection_is_a_schema_error(collections: Any, problem: str) -> None:
    """What cannot be backed up and given back is refused, and named."""
    (found,) = problems_of(collections=collections)
    assert problem in found


@pytest.mark.parametrize("app", ["", 5, "\ud800", b"app"])
def test_the_apps_name_is_text(app: Any) -> None:
    """An app has a name that is not empty, or none."""
    (problem,) = problems_of(app=app, collections=[])
    assert "the app's name is text that is not empty" in problem


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None])
def test_versions_are_integers_from_one_on(version: Any) -> None:
    """True, 1.0 and "1" are no versions."""
    (problem,) = problems_of(version=version, collections=[])
    assert f"the version is an integer from 1 on, not {version!r}" == problem


def test_all_problems_are_told_at_once() -> None:
    """A SchemaError lists the faults of every collection, and its message has them all."""
    found = problems_of(
        app="",
        version=0,
        collections=[keyed("a", "x", "y"), keyed("a"), Collection("b", key="k", fields={"f": int})],
        exclude={"t": ""},
    )
    assert 7 == len(found)
    with pytest.raises(SchemaError) as caught:
        Schema(app="", collections=[keyed("a", "x")])
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    assert str(caught.value).startswith("the schema is not sound: ")


@pytest.mark.parametrize(
    "name, kind, off_kind, problem",
    [
        (5, k.Int(), "refuse", "its name is not text"),
        ("\ud800", k.Int(), "refuse", "its name is not text"),
        ("x", int, "refuse", "which is no Kind"),
        ("x", k.Int, "refuse", "which is no Kind"),
        ("x", k.Int(), "kept", "off_kind is 'refuse' or 'keep'"),
    ],
)
def test_a_field_is_sound(name: Any, kind: Any, off_kind: Any, problem: str) -> None:
    """A field has a name, a kind, and says what happens to other values."""
    with pytest.raises(SchemaError, match=problem):
        Field(name, kind, off_kind)


def test_keys_that_a_store_reflects_may_be_nullable() -> None:
    """Where a store takes nulls in a key, a field that keeps off-kind values may be nullable."""
    field = Field("x", c.Optional(k.Int()), "keep")
    schema = Schema(collections=[Collection("a", key="x", fields=[field])])

    assert ("x",) == schema["a"].key


@pytest.mark.parametrize("name", ["", "a b", "ä", "q\"u'o", "{v}", "a.b/c~d", "line\nfeed", "$x"])
def test_names_may_be_any_text(name: str) -> None:
    """Fields and collections have the names that stores give them."""
    collection = Collection(name or "c", key=name, fields={name: int})
    schema = Schema(collections=[collection])
    records = schema[name or "c"].codec.encode([(1,)])

    forms = msgspec.to_builtins(records)
    assert [{name: 1}] == forms
    assert [(1,)] == collection.codec.decode(forms)


def test_what_is_excluded_is_listed_once_with_its_reason() -> None:
    """A collection's exclusions are the schema's, and a schema can exclude more."""
    a = Collection("a", fields={"x": int}, exclude={"y": "computed"})
    schema = Schema(collections=[a], exclude={"logs": "rotated", "a.y": "another reason"})
    more = schema.excluding({"logs": "a default", "sessions": "made anew"})

    assert {Exclusion("a.y", "computed"), Exclusion("logs", "rotated")} == set(schema.excluded)
    assert {"a.y": "computed", "logs": "rotated", "sessions": "made anew"} == {
        exclusion.name: exclusion.reason for exclusion in more.excluded
    }
    assert 3 == len(more.excluded)
    assert schema.collections == more.collections
    assert schema == Schema(collections=[a], exclude={"logs": "rotated", "a.y": "another reason"})


def test_collections_are_frozen_and_compare_by_what_they_store() -> None:
    """Equal collections are equal whatever class models them; none can be changed."""

    @attrs.define
    class Menu:
        id: int

    modelled, plain = Collection.of(Menu, "menus", key="id"), keyed("menus")

    assert modelled == plain
    assert hash(modelled) == hash(plain)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        modelled.name = "other"  # type: ignore[misc]
    assert Field("id", k.Int()) == modelled.field("id")
    assert not modelled.field("id").nullable
    assert k.Date() == Field("day", c.Optional(k.Date())).value_kind
    with pytest.raises(KeyError):
        modelled.field("name")


# -- order -------------------------------------------------------------------------------------


def order_of(*collections: Collection) -> list[str]:
    """The names of a schema's collections in dependency order."""
    return [collection.name for collection in Schema(collections=collections).ordered]


def test_collections_come_behind_those_they_refer_to() -> None:
    """Depth first in the schema's order; what refers to nothing keeps its place."""
    assert ["a", "b", "c"] == order_of(keyed("a"), keyed("b"), keyed("c"))
    assert ["z", "a", "b"] == order_of(keyed("a", "z"), keyed("b"), keyed("z"))
    assert ["d", "c", "b", "a"] == order_of(
        keyed("a", "b", "c"), keyed("b", "c"), keyed("c", "d"), keyed("d")
    )


def test_cycles_are_cut_where_they_are_met() -> None:
    """In a cycle the first of the schema comes last; what is outside of it comes in order."""
    assert ["a"] == order_of(keyed("a", "a"))
    assert ["c", "b", "a"] == order_of(keyed("a", "b"), keyed("b", "c"), keyed("c", "a"))
    assert ["x", "b", "a", "y"] == order_of(
        keyed("a", "b"), keyed("b", "a", "x"), keyed("x"), keyed("y", "a")
    )


@pytest.mark.parametrize("forward", [True, False])
def test_long_chains_do_not_exhaust_the_stack(forward: bool) -> None:
    """2,000 collections, each referring to the next, are ordered."""
    chain = [keyed(f"c{n}", *([f"c{n + 1}"] if n < 1999 else [])) for n in range(2000)]
    ordered = order_of(*(chain if forward else chain[::-1]))

    assert [f"c{n}" for n in reversed(range(2000))] == ordered


@given(
    st.integers(1, 8).flatmap(
        lambda n: st.lists(st.sets(st.integers(0, n - 1), max_size=4), min_size=n, max_size=n)
    )
)
def test_only_references_within_a_cycle_point_forward(links: list[set[int]]) -> None:
    """Every collection is there once, behind what it refers to unless that refers back to it."""
    found = order_of(
        *(keyed(str(n), *(str(target) for target in sorted(to))) for n, to in enumerate(links))
    )

    def reaches(start: int, end: int, met: frozenset[int] = frozenset()) -> bool:
        return end in links[start] or any(
            reaches(step, end, met | {start}) for step in links[start] - met - {start}
        )

    assert sorted(found) == sorted(str(n) for n in range(len(links)))
    for source, targets in enumerate(links):
        for target in targets - {source}:
            behind = found.index(str(source)) > found.index(str(target))
            assert behind or reaches(target, source)


def test_fields_can_be_given_as_types_kinds_or_fields() -> None:
    """A mapping of names to types or kinds, or fields themselves."""
    by_type = Collection("c", fields={"a": int, "b": datetime.date | None})
    by_kind = Collection("c", fields={"a": k.Int(), "b": c.Optional(k.Date())})
    by_field = Collection("c", fields=[Field("a", k.Int()), Field("b", c.Optional(k.Date()))])

    assert by_type == by_kind == by_field
    assert Reference("a", "b") == Reference(("a",), "b", ())


_MANY = 10_000
_NAMES = [f"f{n}" for n in range(_MANY)]


@pytest.mark.parametrize(
    "given",
    [
        {"references": [Reference(name, "many") for name in _NAMES]},
        {"references": [Reference(name, "many", name) for name in _NAMES]},
        {"references": [Reference(_NAMES, "many", _NAMES)]},
        {"key": _NAMES},
        {"exclude": {f"x{n}": "a test" for n in range(_MANY)}},
    ],
    ids=["references", "unique fields", "one wide reference", "key", "exclusions"],
)
def test_very_many_take_no_square_of_time(given: dict[str, Any]) -> None:
    """Whoever writes a header decides how many there are."""
    fields = [Field(name, k.Int()) for name in _NAMES]
    collection = Collection("many", fields=fields, **{"key": "f0", **given})
    with within(0.5):
        Schema(collections=[collection])


@pytest.mark.parametrize(
    "references",
    [[Reference(f"x{n}", "many") for n in range(_MANY)], [Reference(_NAMES, "many", _NAMES[::-1])]],
    ids=["many", "one of many fields"],
)
def test_nor_does_what_is_wrong_with_them(references: list[Reference]) -> None:
    """A message of one is not as long as all of them."""
    fields = [Field(name, k.Str()) for name in _NAMES[:5]]
    with within(1):
        (first, *_) = problems_of(
            collections=[Collection("many", fields=fields, key="f0", references=references)]
        )
    assert len(first) < 500
