"""Values of the json kind: numbers by value, the escape of tags, depth, and what is refused."""

import copy
import json
import math
import pickle
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from databackup.archive import text
from databackup.schema import JSON_NULL, KindError, jsonvalues
from databackup.schema import composite as c
from databackup.schema import kinds as k
from databackup.schema.jsontext import parse_fast, parse_json
from databackup.schema.kind import shown
from tests.schema.values import json_numbers, json_values, names

JSON = c.Json()
NULLABLE = c.Optional(JSON)


def canonical(value: Any) -> str:
    """The canonical text of a value."""
    return text.dump(JSON.canonical(value)).decode()


def exact(value: Any) -> Any:
    """A JSON value with each number as the fraction that its text names."""
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return ("number", Fraction(repr(value) if isinstance(value, float) else str(value)))
    return (type(value).__name__, value)


@given(json_values)
@example([2.0])
@example({"a": {"$a": 1}})
@example(10**1000)
@example(float("inf"))
def test_plain_values_need_nothing_done_to_them(value: Any) -> None:
    """A plain value is its form, and with its names in order its canonical form."""
    if jsonvalues.is_plain(value):
        assert text.dump(value) == text.dump(jsonvalues.escape(value))
        assert [text.dump(jsonvalues.canonical(value))] == text.dump_sorted([value])
        assert repr(value) == repr(jsonvalues.unescape(value))


PLAIN = (
    [None, True, "a", 1, -7, 1.5, [], {}, [[1], {"a": "b"}], {"$a": 1, "b": 2}, 10**999],
    [
        1.0,
        -0.0,
        {"$a": 1},
        [[{"$": 1}]],
        Decimal(1),
        10**1000,
        math.nan,
        math.inf,
        (1,),
        {1: 2},
        b"",
    ],
)


@pytest.mark.parametrize("value", PLAIN[0], ids=shown)
def test_what_is_plain(value: Any) -> None:
    """Usual values are plain."""
    assert jsonvalues.is_plain(value)


@pytest.mark.parametrize("value", PLAIN[1], ids=shown)
def test_what_is_not_plain(value: Any) -> None:
    """What has to be escaped, made canonical, or refused is not plain."""
    assert not jsonvalues.is_plain(value)


def test_plain_values_are_not_too_deep() -> None:
    """A value of as many levels as are allowed may be plain, a deeper one is not."""
    deep: Any = 1
    for _ in range(jsonvalues.MAX_DEPTH):
        deep = [deep]
    assert jsonvalues.is_plain(deep)
    assert not jsonvalues.is_plain([deep])


class Subclass(str):
    """Text, and something else besides."""

    __slots__ = ()


@pytest.mark.parametrize("value", [Subclass("a"), {Subclass("a"): 1}, [Subclass("a")]], ids=repr)
def test_values_of_a_subclass_are_not_plain(value: Any) -> None:
    """A value is plain only if it is exactly of a JSON type."""
    assert not jsonvalues.is_plain(value)


JSON_TEXTS = st.one_of(
    json_values.map(lambda value: text.dump(JSON.encode(value)).decode()),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("$ab "), inner),
    ).flatmap(
        lambda value: st.builds(
            json.dumps,
            st.just(value),
            indent=st.sampled_from([None, 0, 2]),
            ensure_ascii=st.booleans(),
        )
    ),
    st.text('[]{}:,."0123456789eE+- \n\\/bfnrtuals', max_size=12),
    st.sampled_from(
        [
            '{"a":1,"a":1}', '{"a":1, "a":2}', '{" ":1,"":2}', "1e5", "1.50", "-0", "1e400", "NaN",
            "12345678901234567890.5", "1" * 1001, "[" * 257 + "]" * 257, '"\\ud800"', '"\ud800"',
            '"\\u0061"', '"\\/"', "1 2", "1,", "", " ", "\ufeff1", '["\x7f"]', "[1.0]",
        ]
    ),
)  # fmt: skip


@given(JSON_TEXTS)
def test_texts_are_read_alike_by_both_lanes(given_text: str) -> None:
    """What the fast lane takes is what the strict one reads, and what an archive can hold."""
    fast = parse_fast(given_text)
    if fast is not None:
        assert repr(parse_json(given_text)) == repr(fast[0])
        jsonvalues.escape(fast[0])


@pytest.mark.parametrize("given_text", ['{"a": [1, 2],\n "b": " x "}', "[]", '"ä"', "7"])
def test_usual_texts_take_the_fast_lane(given_text: str) -> None:
    """Usual JSON is read in the fast lane, with spaces or without."""
    assert (json.loads(given_text),) == parse_fast(given_text)


@given(json_values)
def test_every_value_comes_back_by_value(value: Any) -> None:
    """What is read is what was written, each number exactly, whatever names its objects have."""
    back = JSON.decode(text.load(text.dump(JSON.encode(value))))

    assert exact(value) == exact(back)
    assert canonical(value) == canonical(back)


@given(json_values)
def test_the_canonical_text_says_the_value(value: Any) -> None:
    """The canonical text reads as an equal value, and is its own canonical text."""
    back = JSON.decode(text.load(canonical(value).encode()))

    assert exact(value) == exact(back)
    assert canonical(value) == canonical(back)


@given(json_values, json_values)
def test_equal_values_alone_have_one_canonical_text(one: Any, two: Any) -> None:
    """Numbers compare by value, `true` is not 1, and the order of members does not count."""
    assert (exact(one) == exact(two)) == (canonical(one) == canonical(two))


@given(json_numbers, st.integers(0, 5), st.sampled_from(["e", "E", "e+", "E+0"]))
def test_every_spelling_of_a_number_has_one_canonical_text(
    number: Any, zeros: int, mark: str
) -> None:
    """1, 1.0, 1e0 and 10E-1 are one number."""
    value = Decimal(repr(number) if isinstance(number, float) else str(number))
    sign, digits, exponent = value.as_tuple()
    whole = int("".join(map(str, digits)) + "0" * zeros)
    power = int(exponent) - zeros
    power_text = f"{mark}{power}" if power >= 0 else f"e{power}"
    other = f"{'-' if sign else ''}{whole}{power_text}"

    assert canonical(number) == canonical(JSON.decode(text.load(other.encode())))


@given(st.dictionaries(names, st.integers(), max_size=5))
def test_members_are_sorted_by_code_point(members: dict[str, int]) -> None:
    """Canonical objects have their names in the order of code points, not of UTF-16."""
    found = msgspec.json.decode(canonical(members))
    if len(members) > 1:
        assert sorted(members, key=lambda name: list(map(ord, name))) == list(found)


@given(json_values)
def test_no_object_looks_like_a_tag(value: Any) -> None:
    """An object whose only name starts with $ is within `$json`, at any depth."""

    def check(form: Any) -> None:
        if isinstance(form, list):
            for item in form:
                check(item)
        elif isinstance(form, dict):
            if len(form) == 1 and next(iter(form)).startswith("$"):
                assert list(form) == ["$json"]
                (form,) = form.values()
                assert len(form) == 1
                assert next(iter(form)).startswith("$")
            for item in form.values():
                check(item)

    check(msgspec.json.decode(text.dump(JSON.encode(value))))
    check(msgspec.json.decode(canonical(value)))


def test_null_and_nothing_are_two_values() -> None:
    """In a nullable field JSON_NULL is the JSON value and None is no value."""
    assert {"$json": None} == NULLABLE.encode(JSON_NULL)
    assert NULLABLE.encode(None) is None
    assert NULLABLE.decode({"$json": None}) is JSON_NULL
    assert NULLABLE.decode(None) is None
    assert NULLABLE.canonical(JSON_NULL) == {"$json": None}
    with pytest.raises(KindError):
        NULLABLE.decode({"$json": False})
    with pytest.raises(KindError):
        JSON.encode(JSON_NULL)
    with pytest.raises(KindError):
        c.Optional(k.Int()).encode(JSON_NULL)
    with pytest.raises(KindError):
        c.Optional(k.Int()).decode({"$json": None})


def repickled(value: Any) -> Any:
    """What a value's pickle gives back."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - its own bytes


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, repickled])
def test_there_is_one_null(copied: Callable[[Any], Any]) -> None:
    """JSON_NULL stays itself through copies and pickles."""
    assert copied(JSON_NULL) is JSON_NULL
    assert repr(JSON_NULL) == "JSON_NULL"
    assert jsonvalues.JsonNull() is JSON_NULL


def nested(depth: int, *, objects: bool) -> Any:
    """A value `depth` arrays or objects deep."""
    value: Any = {} if objects else []
    for _ in range(depth - 1):
        value = {"a": value} if objects else [value]
    return value


@pytest.mark.parametrize("objects", [True, False])
def test_values_are_at_most_256_deep(objects: bool) -> None:
    """256 levels pass; one more is refused, with the way to it, by all three functions."""
    value = nested(256, objects=objects)
    assert value == JSON.decode(text.load(text.dump(JSON.encode(value))))
    assert text.dump(value).decode() == canonical(value)

    for convert in (JSON.encode, JSON.canonical, JSON.decode):
        with pytest.raises(KindError, match="256 levels") as caught:
            convert(nested(257, objects=objects))
        assert 256 == len(caught.value.path)


def test_the_deepest_value_leaves_room_on_the_stack() -> None:
    """256 levels need fewer than 600 calls, so that a host deep in its own calls can export."""
    value = nested(256, objects=True)
    frames = 0
    frame = sys._getframe()
    while frame.f_back is not None:
        frames, frame = frames + 1, frame.f_back
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(frames + 600)
    try:
        for convert in (JSON.encode, JSON.canonical, JSON.decode):
            convert(value)
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1.8E+308"),
        Decimal("1." + "1" * 999),
        10**1000,
        -(10**999),
        "\ud800",
        {"\udc00": 1},
        {1: 1},
        {True: 1},
        (1,),
        {1, 2},
        b"",
        object,
        JSON_NULL,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    """Values beyond JSON, or beyond what a reader takes, raise KindError at any depth."""
    for convert in (JSON.encode, JSON.canonical):
        with pytest.raises(KindError):
            convert(value)
        with pytest.raises(KindError) as caught:
            convert({"a": [0, value]})
        assert ("a", 1) == caught.value.path[:2]


@pytest.mark.parametrize(
    "number",
    [10**1000 - 1, -(10**999 - 1), Decimal("0." + "1" * 998), Decimal("-0." + "1" * 997)],
    ids=["int", "negative", "decimal", "negative decimal"],
)
def test_numbers_of_the_longest_text_come_back(number: Any) -> None:
    """What is written has at most 1,000 characters, and all of that is read."""
    form = text.dump(JSON.encode(number))
    assert 1000 == len(form)
    assert exact(number) == exact(JSON.decode(text.load(form)))
    assert exact(number) == exact(JSON.decode(text.load(canonical(number).encode())))


@pytest.mark.parametrize(
    "number",
    [
        "1e400",
        "-1e309",
        "1.7976931348623158e308",
        "1e9999999",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "0e99999999999999999999",
        "1" * 1001,
        "0." + "1" * 999,
    ],
    ids=lambda number: number[:30],
)
def test_numbers_that_are_no_numbers_here_are_refused(number: str) -> None:
    """Numbers out of range or too long raise KindError, never an error of decimal."""
    with pytest.raises(KindError, match="number"):
        jsonvalues.number(number)


@pytest.mark.parametrize(
    "number, expected",
    [
        ("-0", "-0.0"),
        ("0", "0"),
        ("1.50", "1.5"),
        ("0.1", "0.1"),
        ("12345678901234567890.5", "Decimal('12345678901234567890.5')"),
        ("1e-400", "Decimal('1E-400')"),
        ("1e-9999999", "Decimal('1E-9999999')"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("123456789012345678901", "123456789012345678901"),
    ],
)
def test_a_number_is_held_without_losing_a_digit(number: str, expected: str) -> None:
    """An int, the float of exactly that value, or a Decimal."""
    assert expected == repr(jsonvalues.number(number))


def test_hosts_do_not_share_what_was_converted() -> None:
    """Encoding and reading make new lists and objects; the host's own stay as they are."""
    value = {"$a": [1, {"b": []}]}
    before = copy.deepcopy(value)
    form = JSON.encode(value)
    JSON.canonical(value)
    back = JSON.decode(form)
    back["$a"].append(1)

    assert before == value
    assert {"$json": before} == form
