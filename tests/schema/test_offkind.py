"""Values off their field's kind, under tags."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.archive import text
from databackup.schema import Collection, Field, KindError, RawText
from databackup.schema import composite as c
from databackup.schema import kinds as k
from databackup.schema.interval import IntervalKind
from databackup.schema.kind import Kind
from databackup.schema.offkind import Keep
from tests.schema.values import SCALARS, known, values

KINDS: list[Kind] = [kind for kind in SCALARS if not isinstance(kind, c.Json)]


@given(st.data(), st.sampled_from([*KINDS, *map(c.Optional, KINDS)]))
def test_every_value_comes_back_through_an_archives_text(data: st.DataObject, kind: Kind) -> None:
    """A kept value reads as itself, told apart from every value of the field's kind."""
    keep = Keep(kind)
    one, two = data.draw(values(keep)), data.draw(values(keep))
    forms = [text.dump(keep.encode(value)) for value in (one, two)]
    collection = Collection("c", fields=[Field("v", kind, "keep")])
    rows = collection.codec.decode([{"v": text.load(form)} for form in forms])

    assert [(known(one),), (known(two),)] == [(known(value),) for (value,) in rows]
    if type(one) is not type(two):
        assert forms[0] != forms[1]


@given(st.data())
def test_json_fields_keep_text_and_bytes(data: st.DataObject) -> None:
    """In a json field text that is no JSON and bytes are told apart from JSON values."""
    keep = Keep(c.Optional(c.Json()))
    raw = data.draw(st.one_of(st.binary(), st.text(st.characters(exclude_categories=["Cs"]))))
    value = RawText(raw.encode()) if isinstance(raw, str) else raw
    form = keep.encode(value)

    assert value == keep.decode(text.load(text.dump(form)))
    inside = keep.encode(form if isinstance(raw, bytes) else {"$text": raw})
    assert "$json" in inside


@pytest.mark.parametrize(
    "kind, value",
    [
        (k.Str(), RawText(b"valid")),
        (k.Date(), RawText(b"")),
        (k.Int(), RawText("text")),  # type: ignore[arg-type]
        (k.Int(), "\ud800"),
        (k.Int(), True),
        (k.Int(), None),
        (k.Int(), Decimal(1)),
        (k.Str(), date(2026, 1, 1)),
        (k.Float(), True),
        (c.Json(), float("nan")),
        (c.Json(), RawText(None)),  # type: ignore[arg-type]
        (c.List(k.Int()), {}),
        (k.Bytes(), bytearray(b"a")),
        (k.Int(), 10**131072),
    ],
    ids=lambda part: type(part).__name__,
)
def test_what_no_tag_stands_for_is_refused(kind: Kind, value: Any) -> None:
    """Other types, and text in two ways, have no form even in a field that keeps."""
    for convert in (Keep(kind).encode, Keep(kind).canonical):
        with pytest.raises(KindError):
            convert(value)


@pytest.mark.parametrize(
    "kind, form",
    [
        (k.Str(), {"$text": "a"}),
        (k.Bytes(), {"$bytes": "YQ=="}),
        (k.Int(), {"$int": 1}),
        (k.Int(), {"$int": "9007199254740992"}),
        (k.Int(), {"$int": "1"}),
        (k.Float(), {"$float": 1.5}),
        (k.Float(), 1),
        (k.Int(), {"$float": 1}),
        (k.Int(), {"$bytes": "YQ"}),
        (k.Int(), {"$text": {"$bytes": "YQ=="}}),
        (k.Int(), {"$text": {"$bytes": "/w=="}, "b": 1}),
        (k.Int(), {"$text": {"$text": "a"}}),
        (k.Int(), {"$text": "\ud800"}),
        (k.Int(), {"$json": 1}),
        (k.Int(), {"$date": "2026-01-01"}),
        (k.Int(), {}),
        (k.Int(), [{"$text": "a"}]),
        (c.Json(), {"$int": 1}),
        (c.Json(), {"$float": 1.5}),
        (c.Dict(k.Int()), {"$json": {"a": 1}}),
    ],
    ids=str,
)
def test_tags_stand_only_where_they_must(kind: Kind, form: Any) -> None:
    """A tag around a value of the kind, an unknown tag, or a tag in a tag is refused."""
    collection = Collection("c", fields=[Field("v", kind, "keep")])
    with pytest.raises(KindError):
        Keep(kind).decode(form)
    with pytest.raises(KindError):
        collection.codec.decode([{"v": form}])
    assert ["v"] == [p.field for p in collection.codec.explain_records([{"v": form}])]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not isinstance(kind, c.Enum)], ids=repr)
@pytest.mark.parametrize(
    "form", [{"$text": "a"}, {"$bytes": ""}, {"$int": 1}, {"$float": 1.5}], ids=str
)
def test_without_keep_every_tag_is_refused(kind: Kind, form: Any) -> None:
    """The tag branch is there only in fields that keep."""
    collection = Collection("c", fields={"v": kind})
    assert 1 == len(collection.codec.explain_records([{"v": form}]))
    with pytest.raises(KindError):
        collection.codec.decode([{"v": form}])


@pytest.mark.parametrize(
    "kind, value",
    [
        (c.Dict(k.Int()), {"a": 1, "b": 2}),
        (c.Dict(k.Int()), {"$int": 1}),
        (c.Dict(k.Int()), {}),
        (c.Nested((("a", k.Int()), ("b", k.Int()))), {"a": 1, "b": 2}),
        (c.Optional(c.Dict(k.Int())), {"a": 1, "b": 2}),
        (c.List(k.Int()), [1, 2]),
        (c.Enum(("a",)), "a"),
        (c.Enum(("a",)), "b"),
        (IntervalKind(), "1 mon"),
    ],
    ids=str,
)
def test_fields_of_every_shape_can_keep(kind: Kind, value: Any) -> None:
    """Validation lets values of the kind pass as well as tagged ones."""
    collection = Collection("c", fields=[Field("v", kind, "keep")])
    record = text.load(text.dump(collection.codec.encode([(value,)])[0]))

    assert [(value,)] == collection.codec.decode([record])
    assert [] == collection.codec.explain_records([record])


def test_the_description_says_that_a_field_keeps() -> None:
    """A header tells a reader where tags may stand."""
    assert {"kind": "int", "nullable": True, "off_kind": "keep"} == Keep(
        c.Optional(k.Int())
    ).describe()
    assert "an integer or null, or a tagged value" == Keep(c.Optional(k.Int())).expected
