"""What counts as the same value."""

import datetime
from decimal import Decimal
from typing import Any

import pytest

from databackup.repository import Row
from databackup.schema import JSON_NULL, AwareDatetime, Collection, Json, Kind, kinds
from databackup.schema.composite import Dict, List, Nested, Optional
from databackup.schema.composite import Json as JsonKind
from databackup.testing import exact_row, exact_rows, exact_value

MOMENT = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))


@pytest.mark.parametrize(
    "kind,value,other",
    [
        (kinds.Int(), 1, True),
        (kinds.Int(), 1, 1.0),
        (kinds.Int(), 1, "1"),
        pytest.param(kinds.Int(), 10**5000, 10**5000 + 1, id="long"),
        (kinds.Float(), 0.0, -0.0),
        (kinds.Float(), 0.1, 0.1 + 2**-56),
        (kinds.Decimal(), Decimal("1.0"), Decimal("1.00")),
        (kinds.Str(), "é", "e\u0301"),
        (kinds.Date(), datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1)),  # noqa: DTZ001
        (kinds.DateTimeTz(), MOMENT, MOMENT.replace(tzinfo=None)),
        (kinds.DateTimeTz(), MOMENT, MOMENT.replace(tzinfo=datetime.UTC)),
        (Optional(kinds.Str()), None, ""),
        (Optional(JsonKind()), None, JSON_NULL),
        (Optional(JsonKind()), "null", JSON_NULL),
        (JsonKind(), [1], (1,)),
        (JsonKind(), {"a": None}, {}),
        (List(kinds.Int()), [1, 2], [2, 1]),
        (List(kinds.Int()), [1], (1,)),
        (Dict(kinds.Decimal()), {"a": Decimal(1)}, {"a": Decimal("1.0")}),
        (Nested((("a", kinds.Int()),)), {"a": 1}, {"a": 1, "b": 2}),
    ],
)
def test_values_that_differ(kind: Kind, value: Any, other: Any) -> None:
    """Values of other types, other scale, other signs of zero, other nulls differ."""
    assert exact_value(kind, value) != exact_value(kind, other)
    assert exact_value(kind, value) == exact_value(kind, value)


@pytest.mark.parametrize(
    "kind,value,other",
    [
        (kinds.Float(), float("nan"), -float("nan")),
        (kinds.DateTimeTz(), MOMENT, MOMENT.astimezone(datetime.UTC)),
        (JsonKind(), {"a": 1, "b": 1.5}, {"b": Decimal("1.5"), "a": 1.0}),
        (Dict(kinds.Int()), {"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Nested((("at", kinds.DateTimeTz()),)), {"at": MOMENT}, {"at": MOMENT.astimezone()}),
    ],
)
def test_values_that_are_the_same(kind: Kind, value: Any, other: Any) -> None:
    """One moment, members in another order, JSON numbers of one value, and NaN are the same."""
    assert exact_value(kind, value) == exact_value(kind, other)


def test_rows_compare_in_any_order() -> None:
    """Rows are sorted, so that equal lists are the same records, repeated ones included."""
    things = Collection("things", fields={"at": AwareDatetime, "value": Json})
    rows: list[Row] = [(MOMENT, {}), (MOMENT, []), (MOMENT, {})]

    assert exact_rows(things, rows) == exact_rows(things, rows[::-1])
    assert exact_rows(things, rows) != exact_rows(things, rows[:2])


@pytest.mark.parametrize("row", [(1,), (1, 2, 3), [1, 2]])
def test_what_is_no_row_is_refused(row: Any) -> None:
    """A row is a tuple with a value for each field."""
    with pytest.raises(AssertionError, match="a tuple of 2 values"):
        exact_row(Collection("things", fields={"a": int, "b": int}), row)
