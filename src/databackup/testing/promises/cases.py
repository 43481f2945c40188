"""Values of every kind: those that every store holds, and those that a store may refuse.

A store gives back exactly what it was given, or refuses it with `RecordsRefused`.
"""

from __future__ import annotations

import datetime
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from databackup.schema import JSON_NULL, Interval, kinds
from databackup.schema.composite import Dict, Enum, Json, List, Native, Nested, Optional
from databackup.schema.interval import IntervalKind

if TYPE_CHECKING:
    from databackup.schema import Kind

_UTC = datetime.UTC
_MEMBERS = (("n", kinds.Int()), ("price", Optional(kinds.Decimal())), ("tags", List(kinds.Str())))


def _moment(*parts: int) -> datetime.datetime:
    return datetime.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - naive is meant


def _utc(*parts: int) -> datetime.datetime:
    return _moment(*parts).replace(tzinfo=_UTC)


def _offset(*parts: int, minutes: int) -> datetime.time:
    return datetime.time(*parts, tzinfo=datetime.timezone(timedelta(minutes=minutes)))  # type: ignore[misc, arg-type]


@attrs.frozen
class Case:
    """A kind with values that every store `holds` and values that one `may_refuse`."""

    kind: Kind
    holds: tuple[Any, ...]
    may_refuse: tuple[Any, ...] = ()
    needed: bool = True
    """Whether every store has this kind; one that has not raises `StoreMismatch`."""


_BIG = 2**63
_TEXTS = (
    "",
    " ",
    "a ",
    " a",
    "é",
    "e\u0301",
    "😀",
    "\uffff",
    "'\"`;--",
    "null",
    "1",
    "a\n\r\tb",
    "\x7f",
)

CASES: dict[str, tuple[Case, ...]] = {
    "booleans": (Case(kinds.Bool(), (True, False)),),
    "integers": (
        Case(
            kinds.Int(),
            (0, 1, -1, 2**31, 2**53, 2**53 + 1, _BIG - 1, -_BIG),
            (_BIG, -_BIG - 1, 2**64, 10**30, -(10**400)),
        ),
    ),
    "floats": (
        Case(
            kinds.Float(),
            (0.0, 1.0, -1.5, 0.1, 1 / 3, 1e16, 2.0**53, 5e-324, 1.7976931348623157e308, 1e-7),
            (-0.0, float("nan"), float("inf"), float("-inf")),
        ),
    ),
    "decimals": (
        Case(
            kinds.Decimal(),
            tuple(map(Decimal, ("0", "1", "1.10", "0.00", "-5.5", "100", "0.000001"))),
            tuple(map(Decimal, ("-0.00", "1E+3", "NaN", "Infinity", "-Infinity", f"1.{'3' * 40}"))),
        ),
        Case(kinds.Decimal(2), tuple(map(Decimal, ("0.00", "1.10", "-12345678901.23")))),
    ),
    "texts": (Case(kinds.Str(), (*_TEXTS, "x" * 70_000), ("\x00", "a\x00b")),),
    "bytes": (Case(kinds.Bytes(), (b"", b"\x00", b"a\x00b", bytes(range(256)), b"\xff" * 70_000)),),
    "dates": (
        Case(
            kinds.Date(),
            tuple(
                map(
                    datetime.date.fromisoformat,
                    ("0001-01-01", "1582-10-10", "1969-12-31", "2024-02-29", "9999-12-31"),
                )
            ),
        ),
    ),
    "times": (
        Case(
            kinds.Time(),
            tuple(map(datetime.time.fromisoformat, ("00:00:00", "10:15:00", "23:59:59.999999"))),
        ),
        Case(
            kinds.TimeTz(),
            (_offset(0, 0, minutes=0), _offset(10, 15, 0, 1, minutes=-90)),
            (datetime.time(1, tzinfo=datetime.timezone(timedelta(seconds=1))),),
        ),
    ),
    "datetimes": (
        Case(
            kinds.DateTime(),
            (
                _moment(1, 1, 1),
                _moment(1970, 1, 1),
                _moment(2026, 11, 22, 10, 15),
                _moment(2026, 3, 29, 2, 30, 0, 1),
                _moment(9999, 12, 31, 23, 59, 59, 999_999),
            ),
        ),
        Case(
            kinds.DateTimeTz(),
            (
                _utc(1, 1, 2),
                _utc(1969, 12, 31, 23, 59, 59, 999_999),
                _utc(2026, 11, 22, 10, 15),
                _utc(9999, 12, 30, 23, 59, 59, 999_999),
                _moment(2026, 11, 22, 10, 15).replace(tzinfo=datetime.timezone(timedelta(hours=2))),
            ),
        ),
    ),
    "timedeltas": (
        Case(
            kinds.Timedelta(),
            (
                timedelta(0),
                timedelta(microseconds=-1),
                timedelta(days=-1, seconds=1),
                timedelta(days=36_500, microseconds=1),
            ),
            (timedelta.min, timedelta.max),
        ),
    ),
    "uuids": (
        Case(
            kinds.UUID(),
            (
                uuid.UUID(int=0),
                uuid.UUID("01234567-89ab-cdef-8123-456789abcdef"),
                uuid.UUID(int=2**128 - 1),
            ),
        ),
    ),
    "enumerations": (
        Case(Enum(("red", "", "grün ", "NULL")), ("red", "", "grün ", "NULL")),
        Case(Enum((0, 1, -7, 2**40)), (0, 1, -7, 2**40)),
    ),
    "json values": (
        Case(
            Json(),
            (
                None,
                True,
                False,
                0,
                1,
                1.5,
                "",
                "1",
                "null",
                "é😀'\"\\\n",
                [],
                {},
                [[], {}, None, 0, False, ""],
                {"a": {"b": [1, 2, {"c": None}]}, "": 0, "$int": "1"},
                {"$json": None},
                2**53,
            ),
            ("\x00", 2**64, 10**30, 1e300, Decimal("0.1000000000000000055511151231257827")),
        ),
    ),
    "lists": (
        Case(List(kinds.Int()), ([], [1], [3, 1, 2, 1])),
        Case(List(kinds.Str()), ([""], ["a,b", "{", "'\"", "NULL"])),
        Case(List(Optional(kinds.Decimal())), ([None], [Decimal("1.10"), None, Decimal(2)])),
        Case(List(List(kinds.Bool())), ([[]], [[True], [], [False, True]])),
    ),
    "dicts": (
        Case(Dict(kinds.Int()), ({}, {"a": 1, "": 2, "$int": 3}, {"$int": 1})),
        Case(Dict(kinds.Date()), ({"é": datetime.date(2024, 2, 29)},)),
    ),
    "nested objects": (
        Case(
            Nested(_MEMBERS),
            (
                {"n": 1, "price": Decimal("1.10"), "tags": []},
                {"n": -1, "price": None, "tags": ["a", ""]},
            ),
        ),
        Case(
            Nested((("$text", Nested((("at", kinds.DateTimeTz()), ("id", kinds.UUID())))),)),
            ({"$text": {"at": _utc(2026, 1, 1), "id": uuid.UUID(int=1)}},),
        ),
    ),
    "intervals": (
        Case(
            IntervalKind(),
            (Interval(0, 0, 0), Interval(1, -2, 3), Interval(-13, 400, -86_400_000_001)),
            needed=False,
        ),
    ),
    "native values": (Case(Native("text"), ("", "[1,5)", "a'b"), needed=False),),
}

JSON_OR_NOTHING: tuple[Any, ...] = (
    None,
    JSON_NULL,
    False,
    0,
    "",
    "null",
    [],
    {},
    [None],
    {"$json": None},
)
"""What a nullable json field keeps apart; None is nothing, `JSON_NULL` is the value null."""


def _singles(*values: Any) -> tuple[tuple[Any, ...], ...]:
    return tuple((value,) for value in values)


_DAY = datetime.date(2024, 2, 29)

KEYS: dict[str, tuple[tuple[Kind, ...], tuple[tuple[Any, ...], ...]]] = {
    "bool": ((kinds.Bool(),), ((False,), (True,))),
    "int": ((kinds.Int(),), _singles(-_BIG, -10, -9, 0, 2, 10, 100, 2**53 + 1, _BIG - 1)),
    "float": ((kinds.Float(),), _singles(-1e300, -1.5, -0.25, 0.0, 5e-324, 0.1, 2.0, 10.0, 1e16)),
    "str": (
        (kinds.Str(),),
        _singles(
            "",
            " ",
            "!",
            "10",
            "9",
            "A",
            "Z",
            "_",
            "a",
            "a ",
            "a!",
            "ab",
            "b",
            "z",
            "é",
            "\uffff",
            "😀",
        ),
    ),
    "bytes": (
        (kinds.Bytes(),),
        _singles(b"", b"\x00", b"\x00\x00", b"\x01", b"A", b"a", b"\x80", b"\xff"),
    ),
    "decimal": (
        (kinds.Decimal(2),),
        _singles(
            *map(Decimal, ("-10.00", "-9.50", "0.00", "0.05", "2.00", "9.99", "10.00", "100.00"))
        ),
    ),
    "date": ((kinds.Date(),), _singles(datetime.date(1, 1, 1), datetime.date(999, 1, 1), _DAY)),
    "time": (
        (kinds.Time(),),
        _singles(
            datetime.time(0),
            datetime.time(9, 59, 59, 999_999),
            datetime.time(10),
            datetime.time(10, 0, 0, 1),
            datetime.time(10, 0, 1),
        ),
    ),
    "datetime": (
        (kinds.DateTime(),),
        _singles(
            _moment(1, 1, 1),
            _moment(2024, 1, 1),
            _moment(2024, 1, 1, 0, 0, 0, 1),
            _moment(2024, 1, 1, 0, 0, 1),
        ),
    ),
    "datetimetz": (
        (kinds.DateTimeTz(),),
        _singles(
            _utc(2, 1, 1), _utc(2024, 1, 1), _utc(2024, 1, 1, 0, 0, 0, 1), _utc(2024, 1, 1, 0, 0, 1)
        ),
    ),
    "timedelta": (
        (kinds.Timedelta(),),
        _singles(
            timedelta(days=-10),
            timedelta(days=-9),
            timedelta(seconds=-1),
            timedelta(0),
            timedelta(seconds=1),
            timedelta(seconds=1, microseconds=1),
            timedelta(days=9),
            timedelta(days=10),
        ),
    ),
    "uuid": (
        (kinds.UUID(),),
        _singles(*(uuid.UUID(int=n) for n in (0, 1, 2**64, 2**120, 2**127, 2**128 - 1))),
    ),
    "enum": ((Enum(("b", "a", "C")),), _singles("C", "a", "b")),
    "composite": (
        (kinds.Str(), kinds.Int()),
        (("", 5), ("A", 10), ("a", -1), ("a", 9), ("a", 10), ("a ", 0), ("b", 2)),
    ),
}
"""Kinds of keys, each with keys in order."""
