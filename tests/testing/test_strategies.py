"""What the strategies make, and what they keep to."""

import datetime
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from databackup.repository import Row
from databackup.schema import JSON_NULL, Collection, Field, Interval, RawText, Reference, Schema
from databackup.schema import kinds as k
from databackup.schema.composite import Dict, Enum, Json, List, Native, Nested, Optional
from databackup.schema.interval import IntervalKind
from databackup.schema.jsonvalues import is_tag
from databackup.testing import Oracle, datasets, exact_value, field_values, rows, schemas, values
from databackup.testing.promises.examples import CLUB, PEOPLE

KINDS = [
    k.Bool(), k.Str(), k.Int(), k.Float(), k.Decimal(), k.Decimal(3), k.Bytes(), k.Date(), k.Time(),
    k.TimeTz(), k.DateTime(), k.DateTimeTz(), k.Timedelta(), k.UUID(), IntervalKind(), Json(),
    Enum(("a", "b")), Enum((1, 2)), Native("inet"), Optional(Json()), Optional(k.Str()),
    List(k.Decimal()), Dict(Optional(k.Float())), Nested((("a", k.Int()), ("b", List(Json())))),
]  # fmt: skip

FEW = settings(max_examples=20, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", KINDS, ids=repr)
@pytest.mark.parametrize("portable", [True, False])
@given(st.data())
@FEW
def test_values_are_of_their_kind(kind: Any, portable: bool, data: st.DataObject) -> None:
    """A value of a kind has a form, and the form stands for exactly that value."""
    value = data.draw(values(kind, portable=portable))

    back = Collection("c", fields=[Field("f", kind)]).codec
    form = back.encode([(value,)])
    assert exact_value(kind, value) == exact_value(kind, kind.decode(kind.encode(value)))
    assert form == back.encode([(value,)]) or value != value  # noqa: PLR0124


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *(item for inner in value.values() for item in _flat(inner))]
    if isinstance(value, list):
        return [item for inner in value for item in _flat(inner)]
    return [value]


def _is_portable(value: Any) -> bool:  # noqa: PLR0911 - one line for each type
    match value:
        case str():
            return "\x00" not in value
        case bool():
            return True
        case int():
            return -(2**63) <= value < 2**63
        case float():
            return math.isfinite(value) and not (value == 0 and math.copysign(1, value) < 0)
        case Decimal():
            exponent = value.as_tuple().exponent
            small = len(value.as_tuple().digits) <= 15
            return value.is_finite() and small and isinstance(exponent, int) and exponent <= 0
        case datetime.datetime():
            return value.tzinfo in (None, datetime.UTC)
        case _:
            return True


@pytest.mark.parametrize("kind", KINDS, ids=repr)
@given(st.data())
@FEW
def test_portable_values_fit_every_store(kind: Any, data: st.DataObject) -> None:
    """Portable values keep to what every store holds, however deep they are nested."""
    value = data.draw(values(kind))

    assert [] == [item for item in _flat(value) if not _is_portable(item)]


@pytest.mark.parametrize(
    "kind,wanted",
    [
        (k.Int(), lambda v: abs(v) >= 2**64),
        (k.Float(), math.isnan),
        (k.Float(), lambda v: v == 0 and math.copysign(1, v) < 0),
        (k.Decimal(), lambda v: v.is_nan()),
        (k.Decimal(), lambda v: v.is_finite() and v.as_tuple().exponent > 0),
        (k.Str(), lambda v: "\x00" in v),
        (k.DateTimeTz(), lambda v: v.utcoffset()),
        (Json(), lambda v: isinstance(v, Decimal)),
        (Json(), is_tag),
        (Optional(Json()), lambda v: v is JSON_NULL),
        (Optional(Json()), lambda v: v is None),
        (List(Json()), lambda v: None in v),
        (IntervalKind(), lambda v: v != Interval()),
    ],
)
def test_values_that_are_not_portable_come(kind: Any, wanted: Any) -> None:
    """Without `portable`, the values that trip stores come, too."""
    find(values(kind, portable=False), wanted, settings=settings(max_examples=2000, database=None))


@pytest.mark.parametrize(
    "kind", [k.Int(), k.Float(), k.Str(), k.Date(), Json(), Optional(k.Bool())]
)
@given(st.data())
@FEW
def test_off_kind_values_are_tagged(kind: Any, data: st.DataObject) -> None:
    """Where a field keeps them, values off its kind come, and come back from the archive."""
    field = Field("f", kind, "keep")
    value = data.draw(field_values(field, portable=False))

    form = field.form.encode(value)
    assert exact_value(kind, value) == exact_value(kind, field.form.decode(form))


@pytest.mark.parametrize("type_", [str, bytes, int, float, RawText])
def test_each_off_kind_type_comes(type_: type[Any]) -> None:
    """Text, bytes, integers, floats and raw text come where a field keeps them."""
    found = field_values(Field("f", k.Date(), "keep"), portable=False)
    find(found, lambda v: type(v) is type_, settings=settings(max_examples=2000, database=None))


@given(rows(PEOPLE))
@FEW
def test_rows_have_a_value_for_each_field(row: Row) -> None:
    """A row is a tuple in field order."""
    assert PEOPLE.codec.encode([row])[0].keys() == set(PEOPLE.field_names)


def _unsound(schema: Schema, dataset: dict[str, list[Row]]) -> list[str]:
    oracle, found = Oracle(schema), []
    for collection in schema.collections:
        oracle.put(collection, dataset[collection.name])
        if len(oracle.rows(collection)) != len(dataset[collection.name]):
            found.append(f"{collection} has a key twice")
        if collection.codec.explain_rows(dataset[collection.name]):
            found.append(f"{collection} has a value that is not of its kind")
    for collection in schema.collections:
        for reference in collection.references:
            if oracle.dangling(collection, reference):
                found.append(f"{collection} {reference.fields} dangles")
            target = schema[reference.collection]
            values = [Oracle.picked(target, reference.to, row) for row in dataset[target.name]]
            there = [value for value in values if None not in value]
            if reference.to and len(there) != len(set(there)):
                found.append(f"{target} {reference.to} is not unique")
    return found


@given(datasets(CLUB))
@FEW
def test_datasets_are_sound(dataset: dict[str, list[Row]]) -> None:
    """Keys are unique, references hold, and so does what they name in `to`."""
    assert [] == _unsound(CLUB, dataset)


@pytest.mark.parametrize("portable", [True, False])
@given(st.data())
@FEW
def test_datasets_of_any_schema_are_sound(portable: bool, data: st.DataObject) -> None:
    """The same for schemas that are as random as the data."""
    schema = data.draw(schemas(portable=portable))
    dataset = data.draw(datasets(schema, portable=portable, max_records=4))

    assert [] == _unsound(schema, dataset)


def _someone(dataset: dict[str, list[Row]], wanted: Any) -> bool:
    bosses = {row[0]: row[3] for row in dataset["people"]}
    return any(wanted(key, boss, bosses) for key, boss in bosses.items())


@pytest.mark.parametrize(
    "wanted",
    [
        lambda d: _someone(d, lambda key, boss, _: key == boss),
        lambda d: _someone(
            d, lambda key, boss, all_: boss not in (None, key) and all_[boss] == key
        ),
        lambda d: _someone(d, lambda _key, boss, _: boss is None),
        lambda d: len(d["members"]) > 1,
        lambda d: any(None not in row for row in d["visits"]),
        lambda d: any(row[1] is not None for row in d["scans"]),
        lambda d: len(d["log"]) > len(set(d["log"])),
    ],
    ids=["self", "circle", "null", "composite key", "composite", "to", "repeated"],
)
def test_datasets_have_all_sorts_of_references(wanted: Any) -> None:
    """Records that refer to themselves, in circles, to nothing, to composite keys come."""
    found = settings(max_examples=3000, database=None, suppress_health_check=list(HealthCheck))
    find(datasets(CLUB), wanted, settings=found)


def _references(schema: Schema) -> list[tuple[Collection, Reference]]:
    return [(c, r) for c in schema.collections for r in c.references]


@pytest.mark.parametrize(
    "wanted",
    [
        lambda s: any(len(c.key) > 1 for c in s.collections),
        lambda s: any(not c.key for c in s.collections),
        lambda s: any(c.name == r.collection for c, r in _references(s)),
        lambda s: any(r.to for _, r in _references(s)),
        lambda s: any(set(r.fields) & set(c.key) for c, r in _references(s)),
        lambda s: any(len(r.fields) > 1 for _, r in _references(s)),
        lambda s: any(c.name.startswith("$") for c in s.collections),
        lambda s: any(f.off_kind == "keep" for c in s.collections for f in c.fields),
        lambda s: any(f.value_kind.name == "nested" for c in s.collections for f in c.fields),
        lambda s: any(f.value_kind.name == "native" for c in s.collections for f in c.fields),
    ],
)
def test_schemas_are_of_all_sorts(wanted: Any) -> None:
    """Composite, missing and referring keys, references of all sorts, hostile names come."""
    found = settings(max_examples=5000, database=None, suppress_health_check=list(HealthCheck))
    find(schemas(portable=False), wanted, settings=found)


@given(schemas())
@FEW
def test_portable_schemas_fit_every_store(schema: Schema) -> None:
    """Portable schemas have no native types, and names that differ even without case."""
    for names in (
        [c.name for c in schema.collections],
        *(c.field_names for c in schema.collections),
    ):
        assert len(names) == len({name.casefold() for name in names})
        assert all(0 < len(name.encode()) <= 60 and name == name.strip() for name in names)
    kinds = [f.value_kind.name for c in schema.collections for f in c.fields]
    assert not {"native", "interval"} & set(kinds)
    assert {"refuse"} == {f.off_kind for c in schema.collections for f in c.fields}
