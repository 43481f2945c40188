"""Adapters that change values in silence."""

import datetime
import uuid
from decimal import Decimal
from typing import Any

from databackup.repository import Row
from databackup.schema import JSON_NULL, Collection, Interval
from tests.testing.broken import Cases, View, broken_view, stored_as


def _rounded(value: Any) -> Any:
    return float(f"{value:.12g}") if type(value) is float else value


def _without_scale(value: Any) -> Any:
    return value.normalize() if type(value) is Decimal and value.is_finite() else value


def _with_one_null(value: Any) -> Any:
    return None if value is JSON_NULL else value


def _up_to_nul(value: Any) -> Any:
    return value.split("\x00")[0] if type(value) is str else value


def _without_spaces_at_the_end(value: Any) -> Any:
    return value.rstrip(" ") if type(value) is str and len(value) > 1 else value


def _in_64_bits(value: Any) -> Any:
    return max(-(2**63), min(value, 2**63 - 1)) if type(value) is int else value


def _one_or_zero(value: Any) -> Any:
    return int(value) if type(value) is bool else value


def _null_for_empty(value: Any) -> Any:
    return None if value in ("", b"") else value


def _as_moment(value: Any) -> Any:
    if type(value) is datetime.date:
        return datetime.datetime.combine(value, datetime.time())
    return value


def _without_microseconds(value: Any) -> Any:
    if isinstance(value, datetime.time | datetime.datetime):
        return value.replace(microsecond=0)
    return value


def _without_offset(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value


def _without_offset_of_time(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime.time) else value


def _in_seconds(value: Any) -> Any:
    if isinstance(value, datetime.timedelta):
        return datetime.timedelta(seconds=int(value.total_seconds()))
    return value


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, uuid.UUID) else value


def _as_number(value: Any) -> Any:
    return "" if value == "NULL" else value


def _without_the_escape(value: Any) -> Any:
    return next(iter(value.values())) if type(value) is dict and len(value) == 1 else value


def _without_empty_lists(value: Any) -> Any:
    return None if value == [] else value


def _without_nulls(value: Any) -> Any:
    if type(value) is dict:
        return {name: item for name, item in value.items() if item is not None}
    return value


def _in_days(value: Any) -> Any:
    if isinstance(value, Interval):
        return Interval(0, value.months * 30 + value.days, value.microseconds)
    return value


def _normalized(value: Any) -> Any:
    return "[1,4]" if value == "[1,5)" else value


def _without_quotes(self: View, collection: Collection, rows: list[Row]) -> None:
    for name in (collection.name, *collection.field_names):
        if any(mark in name for mark in "\"'%:"):
            raise OSError(f"near {name}: syntax error")
    self.inner.insert(collection, rows)


BROKEN: Cases = {
    "floats _rounded": (stored_as(_rounded), "floats_come_back_exactly"),
    "scale lost": (stored_as(_without_scale), "decimals_come_back_exactly"),
    "one null": (stored_as(_with_one_null), "nothing_and_json_null_differ"),
    "text cut at NUL": (stored_as(_up_to_nul), "texts_come_back_exactly"),
    "text trimmed": (stored_as(_without_spaces_at_the_end), "keys_are_compared_to_the_byte"),
    "integers clamped": (stored_as(_in_64_bits), "integers_come_back_exactly"),
    "booleans as integers": (stored_as(_one_or_zero), "booleans_come_back_exactly"),
    "empty is null": (stored_as(_null_for_empty), "bytes_come_back_exactly"),
    "dates as datetimes": (stored_as(_as_moment), "dates_come_back_exactly"),
    "times to the second": (stored_as(_without_microseconds), "times_come_back_exactly"),
    "offset of a time lost": (stored_as(_without_offset_of_time), "times_come_back_exactly"),
    "offset lost": (stored_as(_without_offset), "datetimes_come_back_exactly"),
    "timedeltas to the second": (stored_as(_in_seconds), "timedeltas_come_back_exactly"),
    "uuids as text": (stored_as(_as_text), "uuids_come_back_exactly"),
    "unknown values of enumerations": (stored_as(_as_number), "enumerations_come_back_exactly"),
    "json unwrapped": (stored_as(_without_the_escape), "json_values_come_back_exactly"),
    "dicts unwrapped": (stored_as(_without_the_escape), "dicts_come_back_exactly"),
    "empty lists are null": (stored_as(_without_empty_lists), "lists_come_back_exactly"),
    "members lost": (stored_as(_without_nulls), "nested_objects_come_back_exactly"),
    "intervals in days": (stored_as(_in_days), "intervals_come_back_exactly"),
    "native values _normalized": (stored_as(_normalized), "native_values_come_back_exactly"),
    "names not quoted": (broken_view("B", insert=_without_quotes), "names_are_only_names"),
}
