"""Intervals: months, days and microseconds that do not convert into each other."""

from __future__ import annotations

import re
from typing import Any

import attrs

from databackup.schema.kind import IsoKind, KindError, shown

_PART = r"(?:(-?[0-9]{1,10})M)?(?:(-?[0-9]{1,10})D)?(?:T(-?)([0-9]{1,13})(?:\.([0-9]{6}))?S)?"
_INTERVAL = re.compile("P" + _PART)
_INT32 = 2**31
_INT64 = 2**63


@attrs.frozen
class Interval:
    """A span of calendar time, as PostgreSQL's interval: each part has its own sign.

    Months and days have 32 bits, microseconds 64.
    """

    months: int = 0
    days: int = 0
    microseconds: int = 0


class IntervalKind(IsoKind):
    """Intervals as an ISO 8601 duration with months, days and seconds apart: P1M2DT3.000004S."""

    name = "interval"
    expected = "an interval like P1M2DT3S"
    pattern = r"P(-?[0-9]{1,10}M)?(-?[0-9]{1,10}D)?(T-?[0-9]{1,13}(\.[0-9]{6})?S)?"
    can_be_key = False

    def encode(self, value: Any) -> Any:
        if type(value) is not Interval:
            raise self.refused(value)
        sizes = ((value.months, _INT32), (value.days, _INT32), (value.microseconds, _INT64))
        if any(type(part) is not int or not -size <= part < size for part, size in sizes):
            raise KindError("months and days of 32 bits, microseconds of 64", shown(value))
        text = "P"
        if value.months:
            text += f"{value.months}M"
        if value.days:
            text += f"{value.days}D"
        if value.microseconds or text == "P":
            seconds, fraction = divmod(abs(value.microseconds), 1_000_000)
            sign = "-" if value.microseconds < 0 else ""
            text += f"T{sign}{seconds}" + (f".{fraction:06}" if fraction else "") + "S"
        return text

    def parse(self, text: str) -> Any:
        match = _INTERVAL.fullmatch(text)
        if match is None:
            raise self.refused(text)
        months, days, sign, seconds, fraction = match.groups()
        microseconds = int(seconds or 0) * 1_000_000 + int(fraction or 0)
        return Interval(int(months or 0), int(days or 0), -microseconds if sign else microseconds)
