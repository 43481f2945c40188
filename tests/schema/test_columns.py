"""Records as columns of forms: the same lines, canonical forms, keys and rows as of rows."""

import datetime
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.archive.records import Batch, RecordCodec
from databackup.schema import Collection, Field, Json, Kind, composite, kinds
from databackup.schema.columns import Forms
from databackup.schema.composite import Optional
from databackup.testing.exact import exact_row
from databackup.testing.strategies import schemas
from databackup.testing.strategies.datasets import rows as rows_of

USUAL = Collection(
    "usual",
    key=("number", "code"),
    fields={
        "number": int,
        "code": str,
        "amount": Decimal | None,
        "at": datetime.datetime,
        "token": uuid.UUID | None,
        "details": Json,
        "weight": float,
        "raw": bytes,
        "is_new": bool,
    },
)
MOMENT = datetime.datetime.fromisoformat("2024-01-01T00:00:00")
ONE = (1, "b", Decimal("1.50"), MOMENT, None, {"b": [1], "a": "x"}, 1.5, b"", True)
TWO = (2, "a", None, MOMENT.replace(microsecond=5), uuid.UUID(int=7), None, 2.0, b"\xff", False)
ROWS: list[tuple[Any, ...]] = [ONE, TWO]


def read(codec: RecordCodec, lines: bytes) -> Batch:
    """The batch of lines as an archive has them."""
    block = lines[:-1].replace(b"\n", b",\n")
    batch = codec.batch(block, 1)
    return batch or codec.strict_batch(lines.split(b"\n")[:-1], 1)


@given(st.data())
def test_forms_stand_for_their_rows(data: st.DataObject) -> None:
    """Whatever the kinds: what is said of forms is what is said of the rows that they are."""
    schema = data.draw(schemas())
    collection = data.draw(st.sampled_from(schema.collections))
    codec = RecordCodec(collection, forms=True)
    rows = data.draw(st.lists(rows_of(collection), min_size=1, max_size=4))
    lines, canonical = codec.lines(rows)
    batch = read(codec, lines)
    assert len(rows) == len(batch)
    expected = [exact_row(collection, row) for row in rows]
    assert expected == [exact_row(collection, row) for row in batch.rows]
    assert canonical == batch.canonical
    if batch.forms is not None:
        assert expected == [exact_row(collection, row) for row in batch.forms.rows]
        assert (lines, canonical) == codec.lines(batch.forms)
        assert canonical == codec.canonical(batch.forms)
        assert codec.codec.sort_keys(rows) == codec.codec.sort_keys_of(batch.forms)


def test_most_records_are_had_as_forms() -> None:
    """Nulls, decimals with zeros at the end and JSON are nothing out of the usual."""
    codec = RecordCodec(USUAL, forms=True)
    lines, canonical = codec.lines(ROWS)
    forms = read(codec, lines).forms
    assert forms is not None
    assert 2 == len(forms)
    assert (lines, canonical) == codec.lines(forms)
    assert canonical == codec.canonical(forms)
    assert b'"amount":"1.5"' in canonical[0]
    assert ROWS == forms.rows
    assert [(1, "b"), (2, "a")] == codec.codec.sort_keys_of(forms)


@pytest.mark.parametrize(
    "kind, value",
    [
        (kinds.Decimal(), Decimal("1E+2")),
        (kinds.Decimal(), Decimal("NaN")),
        (kinds.Int(), 2**60),
        (kinds.Float(), float("inf")),
        (composite.Json(), {"$a": 1}),
        (composite.Json(), [1.0]),
        (composite.Json(), [1e16]),
        (composite.Json(), [Decimal("0.1000000000000000055511151231257827")]),
        (composite.List(kinds.Int()), [1]),
        (kinds.TimeTz(), datetime.time(1, tzinfo=datetime.UTC)),
        (kinds.Timedelta(), datetime.timedelta(1)),
    ],
)
def test_what_is_out_of_the_usual_comes_as_rows(kind: Kind, value: Any) -> None:
    """One such value is enough, and has the canonical form that it always had."""
    collection = Collection("odd", fields=[Field("value", Optional(kind)), Field("n", kinds.Int())])
    codec = RecordCodec(collection, forms=True)
    rows = [(None, 1), (value, 2)]
    lines, canonical = codec.lines(rows)
    batch = read(codec, lines)
    assert batch.forms is None
    assert canonical == batch.canonical
    assert exact_row(collection, rows[1]) == exact_row(collection, batch.rows[1])


@pytest.mark.parametrize(
    "text",
    ["1,2", "", " 1", "01", "1.", ".5", "+1", "1e5", "1_0", "0x1", "\N{ARABIC-INDIC DIGIT ONE}"],
)
def test_decimals_are_checked_as_one(text: str) -> None:
    """A text that is no decimal number is none among others either."""
    collection = Collection("prices", fields={"price": Decimal})
    codec = RecordCodec(collection, forms=True)
    line = b'{"price":"%s"}' % text.encode()
    assert codec.batch(b'{"price":"1.5"},\n' + line, 1) is None
    assert 1 == len(codec.strict_batch([line], 1).problems)


@pytest.mark.parametrize("value", ["blue", 1, None])
def test_what_is_no_label_is_found(value: Any) -> None:
    """In a column of an enumeration."""
    collection = Collection("flags", fields=[Field("colour", composite.Enum(("red", "green")))])
    codec = RecordCodec(collection, forms=True)
    line = b'{"colour":%s}' % {"blue": b'"blue"', 1: b"1", None: b"null"}[value]
    assert codec.batch(b'{"colour":"red"},\n' + line, 1) is None


def test_forms_of_text_are_keys_by_value() -> None:
    """Datetimes that an adapter has as text, fractions of a second or none, stand in time."""
    moment = kinds.DateTimeTz()
    collection = Collection("log", key="at", fields=[Field("at", moment)])
    forms = Forms([["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.500000Z"]], list)
    one, two = collection.codec.sort_keys_of(forms)
    assert one < two
