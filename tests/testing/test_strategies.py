"""What the strategies make, and what they keep to."""

import datetime
import json
import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from databackup.repository import Row
from databackup.schema import (
    JSON_NULL,
    Collection,
    Field,
    Interval,
    Kind,
    RawText,
    Reference,
    Schema,
)
from databackup.schema import kinds as k
from databackup.schema.composite import Dict, Enum, Json, List, Native, Nested, Optional
from databackup.schema.interval import IntervalKind
from databackup.schema.jsonvalues import is_tag, number
from databackup.testing import Oracle, datasets, exact_value, field_values, rows, schemas, values
from databackup.testing.promises.examples import CLUB, PEOPLE

KINDS = [
    k.Bool(), k.Str(), k.Int(), k.Float(), k.Decimal(), k.Decimal(3), k.Bytes(), k.Date(), k.Time(),
    k.TimeTz(), k.DateTime(), k.DateTimeTz(), k.Timedelta(), k.UUID(), IntervalKind(), Json(),
    Enum(("a", "b")), Enum((1, 2)), Native("inet"), Optional(Json()), Optional(k.Str()),
    List(k.Decimal()), Dict(Optional(k.Float())), Nested((("a", k.Int()), ("b", List(Json())))),
]  # fmt: skip

MANY = settings(
    max_examples=5000,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
FEW = settings(max_examples=10, suppress_health_check=list(HealthCheck))


def _through_json(kind: Kind, value: Any) -> Any:
    text = msgspec.json.encode(kind.encode(value))
    return kind.decode(json.loads(text, parse_float=number, parse_int=number))


@pytest.mark.parametrize("kind", KINDS, ids=repr)
@pytest.mark.parametrize("portable", [True, False])
@given(st.data())
@FEW
def test_values_are_of_their_kind(kind: Any, portable: bool, data: st.DataObject) -> None:
    """A value of a kind has a form, and the form stands for exactly that value."""
    value = data.draw(values(kind, portable=portable))

    assert exact_value(kind, value) == exact_value(kind, _through_json(kind, value))


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
    find(values(kind, portable=False), wanted, settings=MANY)


@pytest.mark.parametrize(
    "kind", [k.Int(), k.Float(), k.Str(), k.Date(), Json(), Optional(k.Bool())]
)
@given(st.data())
@FEW
def test_off_kind_values_are_tagged(kind: Any, data: st.DataObject) -> None:
    """Where a field keeps them, values off its kind come, and come back from the archive."""
    field = Field("f", kind, "keep")
    value = data.draw(field_values(field, portable=False))

    assert exact_value(kind, value) == exact_value(kind, _through_json(field.form, value))


@pytest.mark.parametrize("type_", [str, bytes, int, float, RawText])
def test_each_off_kind_type_comes(type_: type[Any]) -> None:
    """Text, bytes, integers, floats and raw text come where a field keeps them."""
    found = field_values(Field("f", k.Date(), "keep"), portable=False)
    find(found, lambda v: type(v) is type_, settings=MANY)


@given(rows(PEOPLE))
@FEW
def test_rows_have_a_value_for_each_field(row: Row) -> None:
    """A row is a tuple in field order."""
    assert len(row) == len(PEOPLE.field_names)
    assert [] == PEOPLE.codec.explain_rows([row])


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


@given(datasets(CLUB, values={"people.name": st.just("Ana")}, min_records=3, max_records=3))
@FEW
def test_datasets_of_given_values(dataset: dict[str, list[Row]]) -> None:
    """A field has the values that are given for it, and data are sound nevertheless."""
    name = PEOPLE.field_names.index("name")

    assert {"Ana"} == {row[name] for row in dataset["people"]}
    assert [] == _unsound(CLUB, dataset)


def _seen(strategy: st.SearchStrategy[Any], wanted: dict[str, Any], examples: int) -> set[str]:
    """Which of the wanted sorts come among so many examples."""
    seen: set[str] = set()

    @settings(MANY, max_examples=examples)
    @given(strategy)
    def look(value: Any) -> None:
        seen.update(name for name in wanted.keys() - seen if wanted[name](value))

    look()
    return seen


def _someone(dataset: dict[str, list[Row]], wanted: Any) -> bool:
    bosses = {row[0]: row[3] for row in dataset["people"]}
    return any(wanted(key, boss, bosses) for key, boss in bosses.items())


def test_datasets_have_all_sorts_of_references() -> None:
    """Records that refer to themselves, in circles, to nothing, to composite keys come."""
    wanted: dict[str, Any] = {
        "self": lambda d: _someone(d, lambda key, boss, _: key == boss),
        "circle": lambda d: _someone(d, lambda key, boss, b: b.get(boss, key) == key != boss),
        "null": lambda d: _someone(d, lambda _key, boss, _: boss is None),
        "composite key": lambda d: len(d["members"]) > 1,
        "composite": lambda d: any(None not in row for row in d["visits"]),
        "to": lambda d: any(row[1] is not None for row in d["scans"]),
        "repeated": lambda d: len(d["log"]) > len(set(d["log"])),
    }

    assert wanted.keys() == _seen(datasets(CLUB), wanted, 200)


def _references(schema: Schema) -> list[tuple[Collection, Reference]]:
    return [(c, r) for c in schema.collections for r in c.references]


def test_schemas_are_of_all_sorts() -> None:
    """Composite, missing and referring keys, references of all sorts, hostile names come."""

    def kinds(schema: Schema) -> set[str]:
        return {f.value_kind.name for c in schema.collections for f in c.fields}

    wanted: dict[str, Any] = {
        "composite key": lambda s: any(len(c.key) > 1 for c in s.collections),
        "no key": lambda s: any(not c.key for c in s.collections),
        "self": lambda s: any(c.name == r.collection for c, r in _references(s)),
        "to": lambda s: any(r.to for _, r in _references(s)),
        "key": lambda s: any(set(r.fields) & set(c.key) for c, r in _references(s)),
        "composite": lambda s: any(len(r.fields) > 1 for _, r in _references(s)),
        "name": lambda s: any(c.name.startswith("$") for c in s.collections),
        "off kind": lambda s: any(f.off_kind == "keep" for c in s.collections for f in c.fields),
        "nested": lambda s: "nested" in kinds(s),
        "native": lambda s: "native" in kinds(s),
    }

    assert wanted.keys() == _seen(schemas(portable=False), wanted, 150)


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
