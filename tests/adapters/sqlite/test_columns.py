"""Whole columns at once: what they give is what each value by itself gives."""

import datetime
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from databackup.adapters._binding import Form
from databackup.adapters.sqlite.catalogue import Column, affinity_of
from databackup.adapters.sqlite.columns import DIGITS, whole_column
from databackup.adapters.sqlite.forms import form_of
from databackup.schema import JSON_NULL, Field, composite, kinds
from databackup.schema.jsontext import parse_all_fast, parse_fast
from databackup.schema.kind import Kind, KindError

NAIVE, AWARE = kinds.DateTime(), kinds.DateTimeTz()
moments = st.datetimes()
texts = st.one_of(
    moments.map(lambda moment: moment.isoformat(" ")),
    moments.map(lambda moment: moment.isoformat("T")),
    moments.map(lambda moment: moment.isoformat(" ", "microseconds")),
    moments.map(lambda moment: moment.replace(tzinfo=datetime.UTC).isoformat(" ")),
    st.sampled_from(
        [
            "2020-01-01", "2020-01-01 00:00", "20200101 000000", "2020-01-01 00:00:00Z", "", "x",
            '2020-01-01 00:00:00","2020-01-01 00:00:00', "2020-01-01 00:00:00\\", "24:00",
            "2020-01-01 24:00:00", "2020-W01-1 00:00:00", "2020-01-01t00:00:00",
            "2020-01-01 00:00:00+02:00", "2020-01-01 00:00:60", "10000-01-01 00:00:00",
        ]
    ),
    st.none() | st.integers() | st.floats() | st.binary(max_size=3),
)  # fmt: skip
cents = st.integers(-(10**12), 10**12).map(lambda number: number / 100)
numbers = st.one_of(
    cents, st.floats(), st.integers(-(2**70), 2**70), st.integers(-5, 5), st.just(-0.0),
    st.sampled_from([5.0, 1e15, 1e16, 2.0**53, 2**53 + 1, 0.005, 1.005, "1.00", True]), st.none(),
)  # fmt: skip
texts = st.one_of(
    st.sampled_from(
        [
            "[1,2]", '{"a":1}', '{"a": 1}', "[1,\n2]", "1", "1.0", "1e400", "null", "[null]", "NaN",
            "1,2", "[3", "4]", "", '{"a":1,"a":2}', '"\\ud800"', '"\ud800"', "7" * 1001, '{"$a":1}',
            "[" * 257 + "]" * 257, '"' + "é" * 300 + '"', "12345678901234567890.5", "\x00",
        ]
    ),
    st.text('[]{},:1" \n', max_size=5),
)  # fmt: skip
json_texts = st.one_of(texts, st.none() | st.integers() | st.binary(max_size=2))


def form(kind: Kind, declared: str, *, nullable: bool = True, **options: Any) -> Form:
    """How a kind stands in a column."""
    field = Field("v", composite.Optional(kind) if nullable else kind, **options)
    return form_of(field, Column("v", declared, affinity_of(declared)), "space")


def one_by_one(convert: Any, found: Form, values: list[Any]) -> list[Any]:
    """Each value converted by itself."""
    return [None if value is None and not found.nulls else convert(value) for value in values]


@pytest.mark.parametrize("kind, declared", [(NAIVE, "TIMESTAMP"), (AWARE, "TEXT")])
@given(stored=st.lists(texts, max_size=4))
@example(stored=['2020-01-01 00:00:00","2020-01-01 00:00:00', "2020-01-01 00:00:00\\"])
@example(stored=["2020-01-01 00:00:00+02:00"])
def test_datetimes_are_read_alike(kind: Kind, declared: str, stored: list[Any]) -> None:
    """A column of datetimes is read as each of them is, or not at all."""
    assert_read_alike(form(kind, declared), stored)


@given(stored=st.lists(numbers, max_size=4), scale=st.integers(0, 20))
@example(stored=[-0.0, 1.5], scale=2)
@example(stored=[9007199254740993], scale=2)
def test_decimals_are_read_alike(stored: list[Any], scale: int) -> None:
    """A column of numbers is read as decimals as each of them is, or not at all."""
    assert_read_alike(form(kinds.Decimal(), f"NUMERIC(30, {scale})"), stored)


@pytest.mark.parametrize("nullable", [True, False])
@given(stored=st.lists(json_texts, max_size=4))
@example(stored=["1,2", "[3", "4]"])
def test_json_is_read_alike(nullable: bool, stored: list[Any]) -> None:
    """A column of JSON texts is read as each of them is, or not at all."""
    assert_read_alike(form(composite.Json(), "TEXT", nullable=nullable), stored)


def assert_read_alike(found: Form, stored: list[Any]) -> None:
    """Whether a whole column gives what its values do."""
    assert found.read_all
    assert found.read
    whole = found.read_all(stored)
    if whole is not None:
        assert repr(one_by_one(found.read, found, stored)) == repr(whole)


values = st.one_of(
    moments, moments.map(lambda moment: moment.replace(tzinfo=datetime.UTC)), st.none(),
    st.datetimes(timezones=st.timezones()), st.just(datetime.date(2020, 1, 1)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text('a\n"\ud800', max_size=3),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("$ab"), inner),
    ),
    st.just(JSON_NULL), st.just([Decimal("0.1")]), st.just([math.nan]),
)  # fmt: skip


@pytest.mark.parametrize(
    "kind, declared", [(NAIVE, "TIMESTAMP"), (AWARE, "TEXT"), (composite.Json(), "JSON")]
)
@given(given_values=st.lists(values, max_size=4))
@example(given_values=[[1], {"a": math.nan}])
@example(given_values=[[1], {"a": "x\ny"}])
def test_columns_are_written_alike(kind: Kind, declared: str, given_values: list[Any]) -> None:
    """A column is written as each of its values is, or not at all."""
    found = form(kind, declared)
    assert found.write_all
    assert found.write
    whole = found.write_all(given_values)
    if whole is not None:
        assert one_by_one(found.write, found, given_values) == whole


USUAL: list[tuple[Kind, str, list[Any], list[Any]]] = [
    (NAIVE, "TIMESTAMP", ["2020-01-01 10:00:00", None], [datetime.datetime(2020, 1, 1, 10), None]),  # noqa: DTZ001
    (
        AWARE,
        "TEXT",
        ["2020-01-01 10:00:00.000005+00:00"],
        [datetime.datetime(2020, 1, 1, 10, 0, 0, 5, datetime.UTC)],
    ),
    (kinds.Decimal(), "NUMERIC(10,2)", [1.5, 2, None], [Decimal("1.50"), Decimal("2.00"), None]),
    (composite.Json(), "TEXT", ['{"a":[1.5]}', "[]", None], [{"a": [1.5]}, [], None]),
]


@pytest.mark.parametrize("kind, declared, stored, read", USUAL)
def test_usual_columns_are_done_at_once(
    kind: Kind, declared: str, stored: list[Any], read: list[Any]
) -> None:
    """Usual values take the short way, NULL among them."""
    found = form(kind, declared)
    assert found.read_all
    assert repr(read) == repr(found.read_all(stored))
    if found.write_all:
        assert stored == found.write_all(read)


def test_more_digits_than_a_double_holds() -> None:
    """A number of more than 15 digits is looked at by itself."""
    (read, _) = whole_column(Field("v", kinds.Decimal()), "space", 2)
    assert read
    assert read([12345678901.25]) is not None
    assert len("123456789012.25") == DIGITS
    assert read([1234567890123.25]) is None


@given(st.lists(texts, max_size=4))
@example(["1,\n2"])
@example(["1,\n[3", "4]"])
@example(["1,2", "[3", "4]"])
def test_many_json_texts_are_read_as_each(given_texts: list[str]) -> None:
    """What is parsed at once is what is parsed text by text, and what the strict lane takes."""
    whole = parse_all_fast(given_texts)
    if whole is not None:
        singles = [parse_fast(text) for text in given_texts]
        assert all(single is not None for single in singles)
        assert repr([single[0] for single in singles if single]) == repr(whole)


def test_values_that_no_column_takes_are_named() -> None:
    """A value that cannot be written makes the whole column go value by value, which raises."""
    found = form(NAIVE, "TEXT")
    assert found.write_all
    assert found.write
    assert found.write_all([datetime.date(2020, 1, 1)]) is None
    with pytest.raises(KindError):
        found.write(datetime.date(2020, 1, 1))


@pytest.mark.parametrize(
    "value",
    [
        {"a": Decimal("Infinity")}, (1, 2), {"a": {1, 2}}, [datetime.datetime(2020, 1, 1)],  # noqa: DTZ001
        {1: 2}, [b"x"], {"a": math.nan}, {"a": (1,)},
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_json_is_refused(value: Any) -> None:
    """No value that msgspec would make JSON of is written as JSON, alone or in a column."""
    found = form(composite.Json(), "TEXT")
    assert found.write
    assert found.write_all
    with pytest.raises(KindError):
        found.write(value)
    assert found.write_all([{"a": 1}, value]) is None
