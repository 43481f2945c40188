"""The kinds of values, and the JSON form of each.

A kind is the logical type of a field. It knows four things about its values: the JSON form that an
archive holds (`encode`, `decode`), the form that digests are taken over (`canonical`), the JSON
Schema of its form, and how an archive's header describes it. Nothing here coerces: a value that is
not exactly of the kind raises `KindError`.

The normative text of the forms is docs/reference/archive-format.md.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import decimal
import re
import uuid
from typing import Annotated, Any, Final

import attrs
import msgspec

from databackup.schema.bigint import digits_of, from_digits
from databackup.schema.kind import ALWAYS, IsoKind, Kind, KindError, shown

MAX_PLAIN_INT: Final = 2**53 - 1
MAX_DECIMAL_DIGITS: Final = 131_072
_UTC = datetime.UTC
# A host's own context may round, trap, or write exponents with a small e.
_NAN: Final = decimal.Decimal("NaN")
_DECIMALS = decimal.Context(prec=decimal.MAX_PREC, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)


class Bool(Kind):
    """True and false."""

    name = "bool"
    expected = "true or false"
    wire = bool
    encodes_itself = "type({v}) is bool"
    decodes_itself = ALWAYS

    def encode(self, value: Any) -> Any:
        if type(value) is not bool:
            raise self.refused(value)
        return value

    decode = encode

    def json_schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


def encodable(text: str) -> str:
    """The text, which UTF-8 can hold. Raises `KindError` for lone surrogates."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise KindError("text without lone surrogates", shown(text)) from None
    return text


class Str(Kind):
    """Text, any Unicode but lone surrogates, which UTF-8 cannot hold.

    Compiled functions pass lone surrogates on: writing or reading the JSON text refuses them.
    """

    name = "str"
    expected = "text"
    wire = str
    encodes_itself = "type({v}) is str"
    decodes_itself = ALWAYS

    def encode(self, value: Any) -> Any:
        if type(value) is not str:
            raise self.refused(value)
        return encodable(value)

    decode = encode


_BIG_INT = re.compile(r"-?[1-9][0-9]{15,}")
_MAX_INT_BITS: Final = 435_412  # what 131,072 digits need


class Int(Kind):
    """Integers of any size; beyond ±(2^53−1) a string of digits."""

    name = "int"
    expected = "an integer"
    narrow_wire = Annotated[int, msgspec.Meta(ge=-MAX_PLAIN_INT, le=MAX_PLAIN_INT)]
    wire = narrow_wire | str
    encodes_itself = f"type({{v}}) is int and -{MAX_PLAIN_INT} <= {{v}} <= {MAX_PLAIN_INT}"
    decodes_itself = "type({v}) is int"

    def encode(self, value: Any) -> Any:
        if type(value) is not int:
            raise self.refused(value)
        if -MAX_PLAIN_INT <= value <= MAX_PLAIN_INT:
            return value
        if value.bit_length() <= _MAX_INT_BITS:
            text = digits_of(value)
            if len(text) <= MAX_DECIMAL_DIGITS:
                return text
        raise KindError(f"an integer of at most {MAX_DECIMAL_DIGITS} digits", "a longer one")

    def decode(self, form: Any) -> Any:
        if type(form) is int and -MAX_PLAIN_INT <= form <= MAX_PLAIN_INT:
            return form
        if type(form) is str and _BIG_INT.fullmatch(form) and len(form) <= MAX_DECIMAL_DIGITS:
            value = from_digits(form)
            if abs(value) > MAX_PLAIN_INT:
                return value
        if type(form) is int:
            raise KindError("a string of digits for an integer beyond 2^53−1", shown(form))
        raise self.refused(form)

    def json_schema(self) -> dict[str, Any]:
        # One schema with keywords for both types: each applies to its own type only.
        return {
            "type": ["integer", "string"],
            "minimum": -MAX_PLAIN_INT,
            "maximum": MAX_PLAIN_INT,
            "pattern": "^-?[1-9][0-9]{15,}$",
        }


_SPECIAL_FLOATS: Final = {
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}


def special_float(value: float) -> str:
    """The text of a float that is not finite."""
    if value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


class Float(Kind):
    """IEEE 754 doubles. An integer that a double holds exactly is accepted as that double."""

    name = "float"
    expected = "a number"
    narrow_wire = float
    wire = float | str
    encodes_itself = "type({v}) is float and {v} - {v} == 0.0"
    decodes_itself = "type({v}) is float"

    def encode(self, value: Any) -> Any:
        if type(value) is int:
            value = self._from_int(value)
        if type(value) is not float:
            raise self.refused(value)
        return value if value - value == 0.0 else special_float(value)

    def decode(self, form: Any) -> Any:
        if type(form) is float:
            return form
        if type(form) is int:
            return self._from_int(form)
        if type(form) is str and form in _SPECIAL_FLOATS:
            return _SPECIAL_FLOATS[form]
        raise self.refused(form)

    def _from_int(self, value: int) -> float:
        try:
            double = float(value)
        except OverflowError:
            raise self.refused(value) from None
        if int(double) != value:
            raise KindError("a number that a double holds exactly", shown(value))
        return double

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["number", "string"], "pattern": "^(NaN|-?Infinity)$"}


_PLAIN_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(E\+[0-9]{1,6})?|NaN|-?Infinity")


def plain_decimal(value: decimal.Decimal) -> str:
    """A finite decimal in plain notation without trailing zeros; zero has no sign."""
    return without_zeros(format(value, "f"))


def without_zeros(text: str) -> str:
    """A decimal in plain notation without the zeros that end its fraction, or zero's sign."""
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


@attrs.frozen
class Decimal(Kind):
    """Decimal numbers. A declared `scale` is what a store rounds to; None is any scale."""

    name = "decimal"
    expected = "a decimal number as a string"
    wire = str

    scale: int | None = None

    @property
    def canonical_is_form(self) -> bool:
        return False

    def encode(self, value: Any) -> Any:
        if type(value) is not decimal.Decimal:
            raise self.refused(value)
        text = str(value)
        # Plain notation, as nearly all are; a host's context may write a small e.
        if (
            value.is_finite()
            and not ("E" in text or "e" in text)
            and len(text) < MAX_DECIMAL_DIGITS
        ):
            return text
        if not value.is_finite():
            if value.is_nan() and value.compare_total(_NAN) != 0:
                raise KindError("a decimal that is a number, NaN or Infinity", shown(value))
            return _DECIMALS.to_sci_string(value)
        exponent = value.as_tuple().exponent
        if abs(value.adjusted()) > MAX_DECIMAL_DIGITS or abs(int(exponent)) > MAX_DECIMAL_DIGITS:
            raise KindError(f"a decimal of at most {MAX_DECIMAL_DIGITS} digits", shown(value))
        return _DECIMALS.to_sci_string(value) if int(exponent) > 0 else format(value, "f")

    def decode(self, form: Any) -> Any:
        if type(form) is not str:
            raise self.refused(form)
        if len(form) < MAX_DECIMAL_DIGITS and _PLAIN_DECIMAL.fullmatch(form):
            return decimal.Decimal(form)
        if not _DECIMAL.fullmatch(form):
            raise self.refused(form)
        value = decimal.Decimal(form)
        if self.encode(value) != form:
            raise self.refused(form)
        return value

    def canonical(self, value: Any) -> Any:
        text = self.encode(value)
        if "E" in text:
            return plain_decimal(value)
        return without_zeros(text) if "." in text or text == "-0" else text

    def json_schema(self) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": r"^(-?(0|[1-9][0-9]*)(\.[0-9]+)?(E\+[0-9]{1,6})?|NaN|-?Infinity)$",
        }

    def describe(self) -> dict[str, Any]:
        return {"kind": self.name} | ({} if self.scale is None else {"scale": self.scale})


class Bytes(Kind):
    """Byte strings, in base64 with padding (RFC 4648, section 4)."""

    name = "bytes"
    expected = "bytes in base64"
    wire = bytes
    encodes_itself = "type({v}) is bytes"
    decodes_itself = ALWAYS

    def encode(self, value: Any) -> Any:
        if type(value) is not bytes:
            raise self.refused(value)
        return base64.b64encode(value).decode("ascii")

    def decode(self, form: Any) -> Any:
        if type(form) is not str:
            raise self.refused(form)
        try:
            value = base64.b64decode(form, validate=True)
        except (binascii.Error, ValueError):
            raise self.refused(form) from None
        if base64.b64encode(value).decode("ascii") != form:
            raise self.refused(form)
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[A-Za-z0-9+/]*={0,2}$"}


_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?"
_OFFSET = "[+-][0-9]{2}:[0-9]{2}(:[0-9]{2})?"


class Date(IsoKind):
    """Calendar dates: 2026-11-22."""

    name = "date"
    expected = "a date YYYY-MM-DD"
    wire = datetime.date
    encodes_itself = "type({v}) is date"
    decodes_itself = ALWAYS
    pattern = _DATE

    def encode(self, value: Any) -> Any:
        if type(value) is not datetime.date:
            raise self.refused(value)
        return value.isoformat()

    def parse(self, text: str) -> Any:
        return datetime.date.fromisoformat(text)


class Time(IsoKind):
    """Times of day without an offset: 10:15:00 or 10:15:00.000001."""

    name = "time"
    expected = "a time HH:MM:SS"
    wire = Annotated[datetime.time, msgspec.Meta(tz=False)]
    encodes_itself = "type({v}) is time and {v}.tzinfo is None"
    decodes_itself = ALWAYS
    pattern = _TIME

    def encode(self, value: Any) -> Any:
        if type(value) is not datetime.time or value.tzinfo is not None:
            raise self.refused(value)
        return value.isoformat()

    def parse(self, text: str) -> Any:
        return datetime.time.fromisoformat(text)


class TimeTz(IsoKind):
    """Times of day with a fixed offset, which is kept: 10:15:00+02:00."""

    name = "timetz"
    expected = "a time with an offset HH:MM:SS+HH:MM"
    pattern = _TIME + _OFFSET
    can_be_key = False

    def encode(self, value: Any) -> Any:
        offset = value.utcoffset() if type(value) is datetime.time else None
        if offset is None:
            raise self.refused(value)
        if offset.microseconds:  # Python itself does not read all of these back
            raise KindError("an offset of whole seconds", shown(value))
        return value.isoformat()

    def parse(self, text: str) -> Any:
        return datetime.time.fromisoformat(text)


class DateTime(IsoKind):
    """Naive datetimes: 2026-11-22T10:15:00."""

    name = "datetime"
    expected = "a datetime without an offset YYYY-MM-DDTHH:MM:SS"
    wire = Annotated[datetime.datetime, msgspec.Meta(tz=False)]
    encodes_itself = "type({v}) is datetime and {v}.tzinfo is None"
    decodes_itself = ALWAYS
    pattern = f"{_DATE}T{_TIME}"

    def encode(self, value: Any) -> Any:
        if type(value) is not datetime.datetime or value.tzinfo is not None:
            raise self.refused(value)
        return value.isoformat()

    def parse(self, text: str) -> Any:
        return datetime.datetime.fromisoformat(text)


class DateTimeTz(IsoKind):
    """Aware datetimes, in UTC: 2026-11-22T10:15:00Z."""

    name = "datetimetz"
    expected = "a datetime in UTC YYYY-MM-DDTHH:MM:SSZ"
    wire = Annotated[datetime.datetime, msgspec.Meta(tz=True)]
    encodes_itself = "type({v}) is datetime and {v}.tzinfo is UTC"
    decodes_itself = "{v}.tzinfo is UTC"
    pattern = f"{_DATE}T{_TIME}Z"

    def encode(self, value: Any) -> Any:
        if type(value) is not datetime.datetime or value.utcoffset() is None:
            raise self.refused(value)
        try:
            return value.astimezone(_UTC).isoformat()[:-6] + "Z"
        except OverflowError:
            raise self.refused(value) from None

    def parse(self, text: str) -> Any:
        return datetime.datetime.fromisoformat(text)


_DURATION = re.compile(r"(-?)P(?:([0-9]{1,9})D)?(?:T([0-9]{1,5})(?:\.([0-9]{6}))?S)?")


class Timedelta(IsoKind):
    """Durations as ISO 8601 days and seconds, the sign in front: P1DT3600S, -PT0.500000S, PT0S."""

    name = "timedelta"
    expected = "a duration like P1DT3600S"
    pattern = r"-?P([0-9]{1,9}D)?(T[0-9]{1,5}(\.[0-9]{6})?S)?"

    def encode(self, value: Any) -> Any:
        if type(value) is not datetime.timedelta:
            raise self.refused(value)
        # timedelta.min has no positive counterpart, so the parts are taken from integers.
        microseconds = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
        return ("-" if microseconds < 0 else "") + "P" + _days_and_seconds(abs(microseconds))

    def parse(self, text: str) -> Any:
        match = _DURATION.fullmatch(text)
        if match is None:
            raise self.refused(text)
        sign, days, seconds, fraction = match.groups()
        total = (int(days or 0) * 86_400 + int(seconds or 0)) * 1_000_000 + int(fraction or 0)
        return datetime.timedelta(microseconds=-total if sign else total)


def _days_and_seconds(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, 1_000_000)
    days, seconds = divmod(seconds, 86_400)
    clock = f"T{seconds}.{fraction:06}S" if fraction else f"T{seconds}S"
    if not days:
        return clock
    return f"{days}D" + (clock if seconds or fraction else "")


class UUID(IsoKind):
    """UUIDs in their canonical lower-case form (RFC 9562, section 4)."""

    name = "uuid"
    expected = "a UUID in lower case"
    wire = uuid.UUID
    encodes_itself = "type({v}) is UUID"
    decodes_itself = ALWAYS
    pattern = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

    def encode(self, value: Any) -> Any:
        if type(value) is not uuid.UUID:
            raise self.refused(value)
        return str(value)

    def parse(self, text: str) -> Any:
        return uuid.UUID(text)
