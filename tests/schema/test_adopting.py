"""Values that change their kind without a function: the same, in the new kind's own type."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from databackup.archive import text
from databackup.schema import JSON_NULL, Kind, KindError, kinds
from databackup.schema.adopting import adopted, adopter
from databackup.schema.composite import Dict, Enum, Json, List, Nested, Optional
from databackup.testing.exact import exact_value
from databackup.testing.strategies.schemas import all_kinds
from databackup.testing.strategies.values import values

INT, FLOAT, STR, JSON = kinds.Int(), kinds.Float(), kinds.Str(), Json()
NUMBERS = (INT, FLOAT, Enum((0, 1, -5)), Optional(INT), Optional(FLOAT), JSON)


def some_kinds() -> st.SearchStrategy[Kind]:
    """Any kind, and numbers and JSON more often."""
    numbers = st.sampled_from(NUMBERS)
    nested = st.builds(List, numbers) | st.builds(Dict, numbers)
    members = st.tuples(st.sampled_from(["a", "b"]), numbers).map(lambda pair: Nested((pair,)))
    return all_kinds() | numbers | nested | members


@given(st.data())
def test_every_pair(data: st.DataObject) -> None:
    """What the new kind takes is what it reads back, and it equals what it was."""
    old, new = data.draw(some_kinds()), data.draw(some_kinds())
    value = data.draw(values(old))
    made = adopted(old, new, value)
    try:
        form = new.encode(made)
    except KindError:
        event("refused")
        return
    event("taken")
    read = new.decode(text.load(text.dump(form)))
    assert exact_value(new, read) == exact_value(new, made)
    assert _plain(value) == _plain(made)
    make = adopter(old, new)
    if make is None:
        assert value is made or _plain(value) == _plain(made)
        assert exact_value(new, value) == exact_value(new, made)
    elif value is not None:
        assert exact_value(new, made) == exact_value(new, make(value))


def _plain(value: Any) -> Any:
    """A value with one null, and numbers by what they are worth as text."""
    if type(value) is list:
        return [_plain(item) for item in value]
    if type(value) is dict:
        return {name: _plain(item) for name, item in value.items()}
    if type(value) is float and value.is_integer():
        return Decimal(int(value))
    if type(value) in (int, float, Decimal):
        return Decimal(str(value)) if value == value else "NaN"  # noqa: PLR0124
    return None if value is JSON_NULL else value


@given(st.integers())
@example(2**53 + 1)
@example(2**1024)
def test_integers_as_floats(value: int) -> None:
    """The same number, or the integer still, which the kind refuses."""
    made = adopted(INT, FLOAT, value)
    try:
        exact = int(float(value)) == value
    except OverflowError:
        exact = False
    assert (float if exact else int) is type(made)
    assert value == made


@given(st.floats())
def test_floats_as_integers(value: float) -> None:
    """The same number, or the float still."""
    made = adopted(FLOAT, INT, value)
    assert (int if value.is_integer() else float) is type(made)
    assert value == made or value != value  # noqa: PLR0124 - NaN


@pytest.mark.parametrize(
    "old,new,value,made",
    [
        (List(INT), List(FLOAT), [1, 2**53 + 1], [1.0, 2**53 + 1]),
        (Dict(INT), Dict(FLOAT), {"a": 1}, {"a": 1.0}),
        (Dict(INT), Nested((("a", FLOAT), ("b", INT))), {"a": 1, "b": 2}, {"a": 1.0, "b": 2}),
        (Nested((("a", FLOAT),)), Dict(INT), {"a": 1.0}, {"a": 1}),
        (JSON, List(Optional(FLOAT)), [1, None], [1.0, None]),
        (JSON, FLOAT, 3, 3.0),
        (JSON, Nested((("a", INT),)), {"a": 1.0, "b": 2.0}, {"a": 1, "b": 2.0}),
        (JSON, Optional(JSON), None, JSON_NULL),
        (JSON, Optional(JSON), {"a": None}, {"a": None}),
        (Optional(JSON), Optional(JSON), None, None),
        (Optional(JSON), JSON, JSON_NULL, None),
        (List(JSON), List(Optional(JSON)), [None, 1], [JSON_NULL, 1]),
        (List(Optional(JSON)), List(JSON), [JSON_NULL, 1], [None, 1]),
        (JSON, List(Optional(JSON)), [None], [JSON_NULL]),
        (Enum((1, 2)), FLOAT, 1, 1.0),
        (FLOAT, Enum((1, 2)), 2.0, 2),
        (kinds.Decimal(), FLOAT, Decimal(1), Decimal(1)),
        (kinds.Decimal(), JSON, Decimal("1.50"), 1.5),
        (kinds.Decimal(), JSON, Decimal("1E+3"), 1000.0),
        (List(kinds.Decimal()), JSON, [Decimal(-2)], [-2]),
        (kinds.Decimal(), JSON, Decimal(1) / 3, Decimal(1) / 3),
        (List(Optional(JSON)), JSON, [JSON_NULL], [None]),
        (STR, FLOAT, "1", "1"),
        (kinds.Bool(), FLOAT, True, True),
    ],
)
def test_examples(old: Kind, new: Kind, value: Any, made: Any) -> None:
    """Numbers and nulls, wherever they stand."""
    found = adopted(old, new, value)
    assert made == found
    assert repr(made) == repr(found)


@pytest.mark.parametrize(
    "old,new",
    [
        (INT, INT),
        (INT, Optional(INT)),
        (INT, STR),
        (STR, Enum(("a",))),
        (STR, kinds.Date()),
        (List(INT), List(INT)),
    ],
)
def test_nothing_to_do(old: Kind, new: Kind) -> None:
    """No function is called where values are handed on as they are."""
    assert None is adopter(old, new)
