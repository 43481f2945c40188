import contextlib
import datetime
import decimal
import enum
import json
import math
import uuid
from collections.abc import Callable
from pathlib import Path
from sqlite3 import connect
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.adapters._sql import json_form, stored_json
from databackup.adapters.sqlite import SQLiteRepository
from databackup.adapters.sqlite.catalogue import Column, affinity_of
from databackup.adapters.sqlite.forms import DATETIMES, form_of
from databackup.errors import RecordsRefused, StoreMismatch
from databackup.schema import (
    JSON_NULL,
    AwareDatetime,
    AwareTime,
    Collection,
    Field,
    Interval,
    Json,
    Kind,
    KindError,
    RawText,
    Schema,
    composite,
    kinds,
)
from tests.adapters.sqlite.helpers import insert, read, rows_of, undone
from tests.support import sqlite

Make = Callable[..., Path]
UTC = datetime.UTC
D = decimal.Decimal


@attrs.frozen
class Address:
    """A class within a field."""

    street: str
    since: datetime.date
    extra: Json


class Size(enum.Enum):
    """An enumeration of integers."""

    SMALL = 1
    LARGE = 2


def store(path: Path, type_: Any, declared: str, **options: Any) -> SQLiteRepository:
    """A repository of one table with one column besides the number."""
    sqlite.run(path, f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared})")
    fields = [Field("id", kinds.Int()), type_] if isinstance(type_, Field) else None
    collection = Collection("t", key="id", fields=fields or {"id": int, "v": type_})
    return SQLiteRepository(path, Schema(collections=[collection]), **options)


def stored(path: Path) -> list[Any]:
    """What the column holds."""
    return [value for (value,) in sqlite.query(path, "SELECT v FROM t ORDER BY id")]


def values(repository: SQLiteRepository) -> list[Any]:
    """What the field has."""
    return [value for _, value in read(repository, "t")]


MOMENT = datetime.datetime(2026, 11, 22, 10, 15)  # noqa: DTZ001
EXACT = MOMENT.replace(microsecond=120)
ANA = {
    "street": "Elm",
    "since": datetime.date(2026, 1, 2),
    "extra": {"$ref": [D("12345678901234567890.5")]},
}
TAGS: dict[str, Any] = {"$text": 1}


@pytest.mark.parametrize(
    "type_, declared, datetimes, value, held",
    [
        (bool, "BOOLEAN", "space", True, 1),
        (bool, "BOOLEAN", "space", False, 0),
        (int, "INTEGER", "space", -(2**63), -(2**63)),
        (float, "REAL", "space", 1.0, 1.0),
        (float, "NUMERIC", "space", 3.0, 3),
        (float, "", "space", -0.0, -0.0),
        (str, "TEXT", "space", "a\x00b", "a\x00b"),
        (bytes, "BLOB", "space", b"\x00\xff", b"\x00\xff"),
        (D, "TEXT", "space", D("1.10"), "1.10"),
        (D, "TEXT", "space", D("-Infinity"), "-Infinity"),
        (D, "NUMERIC(10, 2)", "space", D("1.10"), 1.1),
        (D, "NUMERIC(10,2)", "space", D("-3.00"), -3),
        (D, "DECIMAL(20)", "space", D(10**18 + 1), 10**18 + 1),
        (D, "DECIMAL(20,5)", "space", D("1234567890.12345"), 1234567890.12345),
        (datetime.date, "DATE", "space", datetime.date(1, 2, 3), "0001-02-03"),
        (datetime.time, "TIME", "space", datetime.time(10, 15), "10:15:00"),
        (datetime.time, "TIME", "sqlalchemy", datetime.time(10, 15), "10:15:00.000000"),
        (datetime.datetime, "DATETIME", "space", MOMENT, "2026-11-22 10:15:00"),
        (datetime.datetime, "DATETIME", "space", EXACT, "2026-11-22 10:15:00.000120"),
        (datetime.datetime, "DATETIME", "T", MOMENT, "2026-11-22T10:15:00"),
        (datetime.datetime, "DATETIME", "sqlalchemy", MOMENT, "2026-11-22 10:15:00.000000"),
        (datetime.datetime, "DATETIME", "epoch", MOMENT, 1795342500),
        (datetime.datetime, "REAL", "epoch", MOMENT, 1795342500.0),
        (datetime.datetime, "DATETIME", "epoch", EXACT, 1795342500.00012),
        (AwareDatetime, "TEXT", "space", MOMENT.replace(tzinfo=UTC), "2026-11-22 10:15:00+00:00"),
        (AwareDatetime, "TEXT", "T", EXACT.replace(tzinfo=UTC), "2026-11-22T10:15:00.000120+00:00"),
        (AwareDatetime, "INTEGER", "epoch", MOMENT.replace(tzinfo=UTC), 1795342500),
        (AwareTime, "TEXT", "space", datetime.time(1, 2, tzinfo=UTC), "01:02:00+00:00"),
        (datetime.timedelta, "TEXT", "space", datetime.timedelta(1, 5), "P1DT5S"),
        (Interval, "TEXT", "space", Interval(1, 2, 3), "P1M2DT0.000003S"),
        (uuid.UUID, "TEXT", "space", uuid.UUID(int=5), str(uuid.UUID(int=5))),
        (uuid.UUID, "UUID", "space", uuid.UUID(int=5), str(uuid.UUID(int=5))),
        (uuid.UUID, "BLOB", "space", uuid.UUID(int=5), uuid.UUID(int=5).bytes),
        (Size, "INTEGER", "space", 2, 2),
        (composite.Native("inet"), "TEXT", "space", "10.0.0.1/8", "10.0.0.1/8"),
        (Json, "TEXT", "space", {"b": [1, 2.5, None], "a": "é"}, '{"b":[1,2.5,null],"a":"é"}'),
        (Json, "TEXT", "space", "007", '"007"'),
        (Json, "TEXT", "space", 7, "7"),
        (Json, "TEXT", "space", None, "null"),
        (Json, "TEXT", "space", TAGS, '{"$text":1}'),
        (Json, "TEXT", "space", D("12345678901234567890.5"), "12345678901234567890.5"),
        (Json, "JSON", "space", 7, 7),
        (Json, "JSON", "space", 2.5, 2.5),
        (Json, "JSON", "space", True, "true"),
        (Json | None, "TEXT", "space", None, None),
        (Json | None, "TEXT", "space", JSON_NULL, "null"),
        (list[D], "TEXT", "space", [D("1.10")], '["1.10"]'),
        (dict[str, bytes], "TEXT", "space", {"$x": b"a"}, '{"$x":"YQ=="}'),
        (
            Address,
            "TEXT",
            "space",
            ANA,
            '{"street":"Elm","since":"2026-01-02","extra":{"$ref":[12345678901234567890.5]}}',
        ),
    ],
)
def test_how_a_kind_stands_in_a_column(  # noqa: PLR0917 - the parts of a case
    path: Path, type_: Any, declared: str, datetimes: Any, value: Any, held: Any
) -> None:
    """Each kind has one form in each column and way of writing datetimes, and is read back."""
    if type_ == Json | None:
        type_ = composite.Optional(composite.Json())
    repository = store(path, type_, declared, datetimes=datetimes)
    insert(repository, "t", (1, value))
    assert [held] == stored(path)
    assert type(held) is type(stored(path)[0])
    assert [value] == values(repository)
    assert repr([value]) == repr(values(repository))


_OFF = [
    (bool, "BOOLEAN", "space", [2, "true", "x", 0.5]),
    (float, "REAL", "space", ["x"]),
    (D, "TEXT", "space", ["1e5", "01", "+1", "x", b"1"]),
    (D, "NUMERIC(10,2)", "space", [1.005, 1e20, "x", 12345678901234.57, math.inf]),
    (datetime.date, "DATE", "space", ["2026-1-2", "20260102", "2026-13-01", 5, ""]),
    (datetime.time, "TIME", "space", ["10:15", "10:15:00.000000", "24:00:00"]),
    (datetime.time, "TIME", "sqlalchemy", ["10:15:00"]),
    (datetime.datetime, "DATETIME", "space", ["2026-11-22T10:15:00", "2026-11-22 10:15:00.000000"]),
    (datetime.datetime, "DATETIME", "space", ["2026-11-22", "2026-11-22 10:15", 5, "now", b"x"]),
    (datetime.datetime, "DATETIME", "space", ["2026-11-22 10:15:00+00:00", "0000-00-00 00:00:00"]),
    (datetime.datetime, "DATETIME", "T", ["2026-11-22 10:15:00", "2026-11-22T10:15:00Z"]),
    (datetime.datetime, "DATETIME", "sqlalchemy", ["2026-11-22 10:15:00"]),
    (datetime.datetime, "DATETIME", "epoch", ["2026-11-22 10:15:00", 0.0000001, 10**15, math.inf]),
    (datetime.datetime, "", "epoch", [5.0]),
    (AwareDatetime, "TEXT", "space", ["2026-11-22 10:15:00", "2026-11-22 10:15:00+02:00"]),
    (uuid.UUID, "TEXT", "space", ["5" * 32, str(uuid.UUID(int=2**128 - 1)).upper(), b"5" * 16]),
    (uuid.UUID, "BLOB", "space", [str(uuid.UUID(int=5)), b"5" * 15]),
    (datetime.timedelta, "TEXT", "space", ["1 day", 5]),
    (list[int], "TEXT", "space", ["[1", "[1.5]", "{}", "[1,[" + "[" * 5000, b"[]", 5, '["1"]']),
    (dict[str, int], "TEXT", "space", ['{"a":1,"a":1}', '{"a":"1"}']),
]


@pytest.mark.parametrize("type_, declared, datetimes, off", _OFF)
def test_what_would_not_be_written_so_is_off_its_kind(
    path: Path, type_: Any, declared: str, datetimes: Any, off: list[Any]
) -> None:
    """A stored value in another form is passed on as it is, and its kind refuses it."""
    repository = store(path, type_, declared, datetimes=datetimes)
    _put(path, off)
    held = stored(path)
    found = values(repository)
    assert list(map(repr, held)) == list(map(repr, found))
    kind = repository.schema["t"].field("v").kind
    for value in found:
        with pytest.raises(KindError):
            kind.encode(value)


@pytest.mark.parametrize("type_, declared, datetimes, off", _OFF)
def test_a_field_that_keeps_them_gives_them_back(
    path: Path, type_: Any, declared: str, datetimes: Any, off: list[Any]
) -> None:
    """A field that keeps what is off its kind holds the same values after they are written anew."""
    kind = Collection("t", fields={"v": type_}).fields[0].kind
    repository = store(path, Field("v", kind, off_kind="keep"), declared, datetimes=datetimes)
    _put(path, off)
    before = sqlite.dump(path)
    rows = read(repository, "t")
    t = repository.schema["t"]
    assert rows == t.codec.decode(msgspec.to_builtins(t.codec.encode(rows)))
    with repository.transaction() as transaction:
        transaction.clear(t)
        transaction.insert(t, rows)
        transaction.update(t, rows)
    assert before == sqlite.dump(path)


def _put(path: Path, off: list[Any]) -> None:
    with contextlib.closing(connect(path, isolation_level=None)) as connection:
        connection.executemany("INSERT INTO t (v) VALUES (?)", ((value,) for value in off))


_NO_JSON = ["{", '{"a":1,"a":2}', "NaN", "1e400", '"\\ud800"', "[" * 300 + "]" * 300, "", "'a'"]


@pytest.mark.parametrize("text", _NO_JSON)
def test_text_that_is_no_json_is_raw(path: Path, text: str) -> None:
    """It cannot be a str, which is a JSON value; it is kept, and written again."""
    repository = store(path, Field("v", composite.Json(), off_kind="keep"), "TEXT")
    _put(path, [text])
    assert [RawText(text.encode())] == values(repository)
    with repository.transaction() as transaction:
        transaction.update(repository.schema["t"], [(1, RawText(text.encode()))])
    assert [text] == stored(path)


def test_what_is_off_kind_in_a_column_for_json(path: Path) -> None:
    """Blobs and invalid UTF-8 are kept; a number or NULL that is no text is no JSON value."""
    repository = store(path, Field("v", composite.Json(), off_kind="keep"), "")
    raw = RawText(b"\xff")
    insert(repository, "t", (1, b"\xff"), (2, raw), (3, "text"))
    assert [b"\xff", raw, "text"] == values(repository)
    with (
        undone(repository) as transaction,
        pytest.raises(RecordsRefused, match=r"t\.v: expected text that is no JSON"),
    ):
        transaction.insert(repository.schema["t"], [(4, RawText(b"[]"))])
    sqlite.run(path, "DELETE FROM t", "INSERT INTO t VALUES (1, 5), (2, NULL)")
    kind = composite.Json()
    for value, shown in zip(values(repository), ["5 that is no text", "NULL"], strict=True):
        with pytest.raises(KindError, match=shown):
            kind.encode(value)


@pytest.mark.parametrize(
    "type_, declared, datetimes, value, reason",
    [
        (bool, "BOOLEAN", "space", 2, "expected true or false"),
        (D, "NUMERIC(10,2)", "space", D("1.001"), "steps of 0.01"),
        (D, "NUMERIC(10,2)", "space", D("12345678901234.51"), "at most 15 digits"),
        (D, "NUMERIC(10,2)", "space", D("NaN"), "a decimal number"),
        (D, "NUMERIC(10,2)", "space", D("1e2000"), "steps of"),
        (D, "NUMERIC(10,2)", "space", D(2**63), "beyond 64 bits"),
        (datetime.date, "DATE", "space", MOMENT, "expected a date"),
        (datetime.datetime, "DATETIME", "space", MOMENT.replace(tzinfo=UTC), "without an offset"),
        (AwareDatetime, "TEXT", "space", MOMENT, "in UTC"),
        (
            AwareDatetime,
            "TEXT",
            "space",
            datetime.datetime.max.replace(tzinfo=datetime.timezone(-datetime.timedelta(hours=1))),
            "in UTC",
        ),
        (
            datetime.datetime,
            "DATETIME",
            "epoch",
            datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
            "a double holds",
        ),
        (uuid.UUID, "BLOB", "space", "5", "a UUID"),
        (Json, "TEXT", "space", math.nan, "finite"),
        (Json, "JSON", "space", 2**63, "holds exactly"),
        (Json, "JSON", "space", D("1.00000000000000000001"), "holds exactly"),
        (Json, "TEXT", "space", JSON_NULL, "a JSON value"),
        (list[int], "TEXT", "space", ["1"], "an integer"),
    ],
)
def test_what_cannot_be_held_is_refused(  # noqa: PLR0917 - the parts of a case
    path: Path, type_: Any, declared: str, datetimes: Any, value: Any, reason: str
) -> None:
    """A value that its column cannot give back is refused, naming the column."""
    repository = store(path, type_, declared, datetimes=datetimes)
    with undone(repository) as transaction, pytest.raises(RecordsRefused, match=f"^t.*{reason}"):
        transaction.insert(repository.schema["t"], [(1, value)])


def test_a_null_that_only_json_tells_from_nothing_is_refused(path: Path) -> None:
    """In nested JSON, null in a nullable json member cannot be told from its absence."""
    kind = composite.List(composite.Optional(composite.Json()))
    repository = store(path, kind, "TEXT")
    insert(repository, "t", (1, [None, 5]))
    with undone(repository) as transaction, pytest.raises(RecordsRefused, match="null only once"):
        transaction.insert(repository.schema["t"], [(2, [JSON_NULL])])


@pytest.mark.parametrize("declared", ["NUMERIC", "REAL", "INTEGER", "DOUBLE(10,2)"])
def test_decimals_need_text_or_a_scale(path: Path, declared: str) -> None:
    """A column that would round in silence does not fit, before anything is read."""
    repository = store(path, D, declared)
    with pytest.raises(StoreMismatch, match="is for decimals"), repository.snapshot():
        pass


def test_keys_are_converted_too(path: Path) -> None:
    """A key of a kind is found, changed and deleted by its stored form."""
    sqlite.run(path, "CREATE TABLE t (a DATE, b BLOB, v INT, PRIMARY KEY (a, b)) WITHOUT ROWID")
    fields = {"a": datetime.date, "b": uuid.UUID, "v": bool | None}
    schema = Schema(collections=[Collection("t", key=("a", "b"), fields=fields)])
    repository = SQLiteRepository(path, schema)
    key = (datetime.date(2026, 1, 2), uuid.UUID(int=7))
    insert(repository, "t", (*key, True))
    assert frozenset({"t"}) == repository.capabilities.ordered_rows
    with repository.transaction() as transaction:
        assert [(*key, True)] == transaction.get(schema["t"], [key])
        transaction.update(schema["t"], [(*key, None)])
        assert [(*key, None)] == rows_of(repository, transaction, "t")
        assert [] == transaction.get(schema["t"], [("2026-01-02", key[1]), (5, 6)])
        transaction.delete(schema["t"], [key])
    assert [] == read(repository, "t")


# Every value of a kind that is written is read back equal, whatever the column.
_TYPES: dict[str, tuple[Kind, st.SearchStrategy[Any]]] = {
    "TEXT": (kinds.Decimal(), st.decimals(allow_nan=False)),
    "NUMERIC(12,3)": (
        kinds.Decimal(),
        st.decimals(-(10**11), 10**11, places=3),
    ),
    "DATE": (kinds.Date(), st.dates()),
    "TIME": (kinds.Time(), st.times()),
    "DATETIME": (kinds.DateTime(), st.datetimes()),
    "TIMESTAMP": (
        kinds.DateTimeTz(),
        st.datetimes(
            datetime.datetime(2, 1, 1),  # noqa: DTZ001
            datetime.datetime(9998, 1, 1),  # noqa: DTZ001
            timezones=st.timezones(),
        ),
    ),
}


@given(
    data=st.data(), declared=st.sampled_from(sorted(_TYPES)), datetimes=st.sampled_from(DATETIMES)
)
def test_what_is_written_is_read(data: st.DataObject, declared: str, datetimes: Any) -> None:
    """A form gives back every value that it takes, and its read accepts only what it writes."""
    kind, strategy = _TYPES[declared]
    value = data.draw(strategy)
    column = Column("v", declared, affinity_of(declared))
    form = form_of(Field("v", kind), column, datetimes)
    assert form.read
    assert form.write
    try:
        held = form.write(value)
    except KindError:
        return
    back = form.read(held)
    # Not ==: in an hour that a clock repeats or leaves out, Python takes no two zones as equal.
    assert kind.encode(value) == kind.encode(back)
    assert type(value) is type(back)
    assert held == form.write(back)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("$ab"), inner),
    )
)
def test_json_stands_as_the_host_would_write_it(value: Any) -> None:
    """No escape of the archive's gets into a column, and what the host wrote is read."""
    kind = composite.Json()
    assert value == stored_json(kind.encode(value))
    assert value == kind.decode(json_form(value))
    form = form_of(Field("v", kind), Column("v", "TEXT", "TEXT"), "space")
    assert form.read
    assert form.write
    assert value == json.loads(form.write(value))
    assert value == form.read(json.dumps(value))
    assert value == form.read(json.dumps(value, indent=2))
