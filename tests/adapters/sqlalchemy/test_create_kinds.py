"""Which type a new column has for each kind, as documented, and as which kind it is reflected."""

import datetime
import io
import re
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from databackup import AwareDatetime, AwareTime, Collection, Interval, Json, Schema, import_all
from databackup.operations.fit import kind_in
from databackup.schema import Field, Kind, kinds
from databackup.schema.composite import Dict, Enum, List, Native, Nested, Optional
from databackup.schema.interval import IntervalKind
from tests.adapters.sqlalchemy.targets import TARGETS, Target
from tests.support.archives import data_of, exported
from tests.support.club import memory

PAGE = Path(__file__).parents[3] / "docs/how-to/sqlalchemy.md"
ENGINES = {"PostgreSQL": 1, "MariaDB": 2, "SQLite": 3}
KINDS: dict[str, Any] = {
    "bool": kinds.Bool(),
    "str": kinds.Str(),
    "int": kinds.Int(),
    "float": kinds.Float(),
    "decimal": kinds.Decimal(),
    "decimal with a scale": kinds.Decimal(2),
    "bytes": kinds.Bytes(),
    "date": kinds.Date(),
    "time": kinds.Time(),
    "timetz": kinds.TimeTz(),
    "datetime": kinds.DateTime(),
    "datetimetz": kinds.DateTimeTz(),
    "timedelta": kinds.Timedelta(),
    "interval": IntervalKind(),
    "uuid": kinds.UUID(),
    "enum of text": Enum(("a", "b")),
    "enum of integers": Enum((1, 2)),
    "json": Json,
    "list of one of the above": List(kinds.Str()),
    "dict, nested, other lists": Dict(kinds.Int()),
    "native": Native("tsrange"),
}


def _documented() -> dict[str, list[str]]:
    """The table of the page: by kind a type for each engine, and after -> what it reads back as."""
    rows = re.findall(r"^\| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    cells = [row.split(" | ") for row in rows]
    return {row[0]: row for row in cells if row[0] in KINDS}


def _made(target: Target, kind: Kind, value: Any, *, key: bool = False) -> tuple[str, str]:
    """The type of a column that an import makes for a value, and the kind it reads back as."""
    fields = [Field("n", kinds.Int()), Field("v", kind)]
    schema = Schema(collections=[Collection("t", key="v" if key else "n", fields=fields)])
    rows: list[Any] = [] if value is None else [(1, value)]
    archive = io.BytesIO(exported(memory({"t": rows}, schema)))
    import_all(target.reflected(), archive, create=True)
    found = target.reflected().schema["t"].field("v").value_kind
    again = exported(target.of(schema))
    assert data_of(archive.getvalue()) == data_of(again)
    return target.type_of("t", "v"), kind_in(found.describe())


def test_every_kind_is_documented() -> None:
    """The table has all of them."""
    assert list(KINDS) == list(_documented())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
def test_types(engine: str, kind: str) -> None:
    """A column of each kind has the documented type, and is reflected as the kind that is."""
    cell = _documented()[kind][ENGINES[engine]]
    declared, _, back = cell.replace("`", "").partition(" → ")
    found = KINDS[kind] if isinstance(KINDS[kind], Kind) else _kind_of(KINDS[kind])
    with TARGETS[engine]() as target:
        made = _made(target, found, None)
    assert (declared, back or kind_in(found.describe())) == made


def _kind_of(type_: Any) -> Kind:
    return Collection("t", fields={"v": type_}).field("v").value_kind


LARGE = {
    "int": (kinds.Int(), 2**63, ("NUMERIC", "DECIMAL(65, 0)", "DIGITS_TEXT")),
    "larger int": (kinds.Int(), 10**65, ("NUMERIC", "LONGTEXT", "DIGITS_TEXT")),
    "decimal": (kinds.Decimal(), Decimal("1.50"), ("NUMERIC", "DECIMAL(65, 2)", "DECIMAL_TEXT")),
    "long decimal": (
        kinds.Decimal(2),
        Decimal("12345678901234.56"),
        ("NUMERIC(38, 2)", "DECIMAL(65, 2)", "DECIMAL_TEXT"),
    ),
    "decimal off its scale": (
        kinds.Decimal(2),
        Decimal("1.234"),
        ("NUMERIC", "DECIMAL(65, 3)", "DECIMAL_TEXT"),
    ),
    "very long decimal": (
        kinds.Decimal(),
        Decimal("1" * 40 + "." + "1" * 40),
        ("NUMERIC", "LONGTEXT", "DECIMAL_TEXT"),
    ),
    "NaN": (kinds.Decimal(2), Decimal("NaN"), ("NUMERIC", "LONGTEXT", "DECIMAL_TEXT")),
    "long duration": (
        kinds.Timedelta(),
        datetime.timedelta(hours=839),
        ("INTERVAL", "BIGINT(20)", "DURATION_TEXT"),
    ),
    "longest duration": (
        kinds.Timedelta(),
        datetime.timedelta.max,
        ("INTERVAL", "LONGTEXT", "DURATION_TEXT"),
    ),
    "late moment": (
        kinds.DateTimeTz(),
        datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC),
        ("TIMESTAMP WITH TIME ZONE", "DATETIME(6)", "TIMESTAMPTZ"),
    ),
    "odd UUID": (kinds.UUID(), uuid.UUID(int=15 << 76), ("UUID", "BINARY(16)", "UUID")),
    "list of odd texts": (
        List(kinds.Str()),
        ["a\x1d", "\x85", "\u2028b", " c", "\t", "NULL", '"', "\\", "{}", ","],
        ("TEXT[]", "LONGTEXT", "JSON_TEXT"),
    ),
    "list of large ints": (List(kinds.Int()), [1, 2**70], ("NUMERIC[]", "LONGTEXT", "JSON_TEXT")),
}


@pytest.mark.parametrize("case", LARGE)
@pytest.mark.parametrize("engine", ENGINES)
def test_types_by_what_there_is(engine: str, case: str) -> None:
    """What the usual type does not hold gets another one, and comes back as it was."""
    kind, value, types = LARGE[case]
    with TARGETS[engine]() as target:
        found, _ = _made(target, kind, value)
    assert types[ENGINES[engine] - 1] == found


KEYS = {
    "str": ("TEXT", "VARCHAR(768)", "TEXT"),
    "bytes": ("BYTEA", "VARBINARY(3072)", "BLOB"),
    "uuid": ("UUID", "UUID", "UUID"),
    "enum of text": ("TEXT", "VARCHAR(768)", "TEXT"),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("engine", ENGINES)
def test_types_of_keys(engine: str, kind: str) -> None:
    """Where an index has room for so much only, a column of the key is as long as that."""
    with TARGETS[engine]() as target:
        found, _ = _made(target, KINDS[kind], None, key=True)
    assert KEYS[kind][ENGINES[engine] - 1] == found


def test_values_of_all_kinds() -> None:
    """One value of each kind goes through all engines in turn, and is what it was."""
    values: list[tuple[Any, Any]] = [
        (bool, True), (str, "ä"), (int, 5), (float, 0.1), (Decimal, Decimal("1.10")),
        (bytes, b"\0\xff"), (datetime.date, datetime.date(2026, 1, 2)),
        (datetime.time, datetime.time(1, 2, 3, 4)),
        (AwareTime, datetime.time(1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))),
        (datetime.datetime, datetime.datetime(2026, 1, 2, 3, 4, 5, 6)),  # noqa: DTZ001 - naive
        (AwareDatetime, datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)),
        (datetime.timedelta, datetime.timedelta(-1, 2, 3)), (Interval, Interval(1, -2, 3)),
        (uuid.UUID, uuid.UUID(int=7)), (Json, {"a": [1, None]}), (list[str], ["a", "", "NULL"]),
        (list[int], []), (dict[str, int], {"a": 1}), (list[list[int]], [[1], []]),
    ]  # fmt: skip
    fields = [Field("id", kinds.Int())]
    for place, (type_, _) in enumerate(values):
        kind = _kind_of(type_)
        fields += [Field(f"v{place}", kind), Field(f"n{place}", Optional(kind))]
    fields += [
        Field("e", Enum(("x", ""))),
        Field("i", Enum((1, 2**40))),
        Field("o", Nested((("a", kinds.Int()), ("b", kinds.Bytes())))),
        Field("r", Native("tsrange")),
    ]
    schema = Schema(collections=[Collection("t", key="id", fields=fields)])
    last = ("", 2**40, {"a": 1, "b": b"x"}, "[1,2)")
    rows = [
        (1, *(part for _, value in values for part in (value, None)), *last),
        (2, *(part for _, value in values for part in (value, value)), *last),
    ]
    expected = exported(memory({"t": rows}, schema))
    for engine in ENGINES:
        with TARGETS[engine]() as target:
            report = import_all(target.reflected(), io.BytesIO(expected), create=True)
            (warning,) = report.warnings
            assert warning.startswith("t.r is of the type tsrange, which only its own engine has;")
            assert _records(expected) == _records(exported(target.of(schema)))


def _records(archive: bytes) -> list[bytes]:
    return [line for line in archive.split(b"\n") if line.startswith(b'{"id"')]
