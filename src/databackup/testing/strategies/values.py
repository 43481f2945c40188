"""Values of each kind."""

from __future__ import annotations

import datetime
import functools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs
from hypothesis import strategies as st

from databackup.schema import JSON_NULL, Interval, KindError, RawText, jsonvalues, kinds
from databackup.schema.composite import Dict, Enum, Json, List, Native, Nested, Optional
from databackup.schema.interval import IntervalKind
from databackup.schema.jsonvalues import number

if TYPE_CHECKING:
    from collections.abc import Callable

    from databackup.schema import Field, Kind

    Strategy = st.SearchStrategy[Any]

_INT_64 = 2**63
_INT_32 = 2**31
_SIZE = 4
_AWKWARD = (
    "",
    " ",
    "a ",
    "A",
    "é",
    "e\u0301",
    "'",
    '"',
    "null",
    "1",
    "$int",
    "😀",
    "\uffff",
    "\x00",
)


def values(kind: Kind, *, portable: bool = True) -> Strategy:
    """Values of a kind, as rows hold them."""
    return _values(kind, portable=portable)


@functools.lru_cache(maxsize=512)
def _values(kind: Kind, *, portable: bool) -> Strategy:
    # Made once: a strategy is validated anew each time it is made, and these are made often.
    return _Maker(portable=portable).of(kind)


def field_values(field: Field, *, portable: bool = True) -> Strategy:
    """Values of a field; where it keeps values off its kind, those too if not `portable`."""
    if portable or field.off_kind == "refuse":
        return values(field.kind, portable=portable)
    return values(field.kind, portable=False) | _off_kind(field)


def key_values(field: Field, *, portable: bool = True) -> Strategy:
    """Values of a field that can tell records apart: NaN cannot.

    `portable` ones tell them apart in every store: short, and decimals of one scale.
    """
    found = field_values(field, portable=portable)
    if not portable:
        return found.filter(lambda value: value == value)  # noqa: PLR0124 - NaN differs from itself
    if isinstance(field.kind, kinds.Decimal):
        return values(kinds.Decimal(2 if field.kind.scale is None else field.kind.scale))
    return found


@attrs.frozen
class _Maker:
    """Makes the strategies; `portable` is the same for all that is nested in a value."""

    portable: bool

    def of(self, kind: Kind) -> Strategy:
        return _METHODS[type(kind)](self, kind)

    def text(self, kind: Kind | None = None, max_size: int = 20) -> Strategy:  # noqa: ARG002
        hidden = "\x00" if self.portable else ""
        alphabet = st.characters(codec="utf-8", exclude_characters=hidden)
        awkward = [text for text in _AWKWARD if not self.portable or "\x00" not in text]
        return st.text(alphabet, max_size=max_size) | st.sampled_from(awkward)

    def booleans(self, _kind: Kind) -> Strategy:
        return st.booleans()

    def ints(self, _kind: Kind) -> Strategy:
        if self.portable:
            return st.integers(-_INT_64, _INT_64 - 1)
        return st.integers() | st.integers(2**53 - 2, 2**53 + 2) | st.just(-(10**400))

    def floats(self, _kind: Kind) -> Strategy:
        return self._finite() if self.portable else st.floats()

    def _finite(self) -> Strategy:
        finite = st.floats(allow_nan=False, allow_infinity=False)
        # −0.0 + 0.0 is 0.0
        return finite.map(lambda value: value + 0.0) if self.portable else finite

    def decimals(self, kind: kinds.Decimal) -> Strategy:
        scales = st.integers(0, 6) if kind.scale is None else st.just(kind.scale)
        plain = st.builds(_decimal, st.integers(-(10**15) + 1, 10**15 - 1), scales)
        if self.portable or kind.scale is not None:
            return plain
        special = ["NaN", "Infinity", "-Infinity", "-0", "-0.00", "1E+3"]
        long = st.builds(_decimal, st.integers(-(10**60), 10**60), st.integers(-80, 50))
        return plain | st.sampled_from(special).map(Decimal) | long

    def byte_strings(self, _kind: Kind) -> Strategy:
        return st.binary(max_size=20)

    def dates(self, _kind: Kind) -> Strategy:
        return st.dates()

    def times(self, _kind: Kind) -> Strategy:
        return st.times().map(_unfolded)

    def times_with_offset(self, _kind: Kind) -> Strategy:
        return st.times(timezones=self._offsets()).map(_unfolded)

    def datetimes(self, _kind: Kind) -> Strategy:
        return st.datetimes().map(_unfolded)

    def moments(self, _kind: Kind) -> Strategy:
        # A day away from both ends, so that no offset leads out of the years 1 to 9999.
        return st.datetimes(
            datetime.datetime(1, 1, 2),  # noqa: DTZ001 - the bounds are naive
            datetime.datetime(9999, 12, 30),  # noqa: DTZ001
            timezones=st.just(datetime.UTC) if self.portable else self._offsets(),
        ).map(_unfolded)

    def _offsets(self) -> st.SearchStrategy[datetime.tzinfo]:
        if self.portable:
            minutes = st.integers(-14 * 60, 14 * 60)
            return minutes.map(lambda count: datetime.timezone(datetime.timedelta(minutes=count)))
        seconds = st.integers(-(24 * 3600 - 1), 24 * 3600 - 1)
        return seconds.map(lambda count: datetime.timezone(datetime.timedelta(seconds=count)))

    def timedeltas(self, _kind: Kind) -> Strategy:
        longest = datetime.timedelta(days=36_500)
        return st.timedeltas(-longest, longest) if self.portable else st.timedeltas()

    def uuids(self, _kind: Kind) -> Strategy:
        return st.uuids()

    def intervals(self, _kind: Kind) -> Strategy:
        small, large = st.integers(-_INT_32, _INT_32 - 1), st.integers(-_INT_64, _INT_64 - 1)
        return st.builds(Interval, small, small, large)

    def enums(self, kind: Enum) -> Strategy:
        return st.sampled_from(kind.values)

    def json(self, _kind: Kind) -> Strategy:
        if self.portable:
            numbers = st.integers(-_INT_64, _INT_64 - 1) | self._finite()
        else:
            digits = st.text("0123456789", min_size=18, max_size=60)
            long = st.builds("{}.{}".format, st.integers(-99, 99), digits).map(number)
            numbers = st.integers(-(10**40), 10**40) | self._finite() | long
        names = self.text(max_size=5) | st.sampled_from(["$int", "$json", "$", "a"])
        return st.recursive(
            st.none() | st.booleans() | self.text(max_size=8) | numbers,
            lambda inner: (
                st.lists(inner, max_size=_SIZE) | st.dictionaries(names, inner, max_size=_SIZE)
            ),
            max_leaves=6,
        )

    def optionals(self, kind: Optional) -> Strategy:
        inner = self.of(kind.inner)
        if isinstance(kind.inner, Json):
            inner = inner.map(lambda value: JSON_NULL if value is None else value)
        return st.none() | inner

    def lists(self, kind: List) -> Strategy:
        items = kind.items
        if self.portable and isinstance(items, Optional) and isinstance(items.inner, Json):
            # SQL text has one null within a list: there it is nothing, never the JSON value.
            items = items.inner
        return st.lists(self.of(items), max_size=_SIZE)

    def dicts(self, kind: Dict) -> Strategy:
        return st.dictionaries(self.text(max_size=5), self.of(kind.values), max_size=_SIZE)

    def nested(self, kind: Nested) -> Strategy:
        return st.fixed_dictionaries({name: self.of(inner) for name, inner in kind.members})


_METHODS: dict[type[Kind], Callable[[_Maker, Any], Strategy]] = {
    kinds.Bool: _Maker.booleans,
    kinds.Str: _Maker.text,
    kinds.Int: _Maker.ints,
    kinds.Float: _Maker.floats,
    kinds.Decimal: _Maker.decimals,
    kinds.Bytes: _Maker.byte_strings,
    kinds.Date: _Maker.dates,
    kinds.Time: _Maker.times,
    kinds.TimeTz: _Maker.times_with_offset,
    kinds.DateTime: _Maker.datetimes,
    kinds.DateTimeTz: _Maker.moments,
    kinds.Timedelta: _Maker.timedeltas,
    kinds.UUID: _Maker.uuids,
    IntervalKind: _Maker.intervals,
    Enum: _Maker.enums,
    Json: _Maker.json,
    Optional: _Maker.optionals,
    List: _Maker.lists,
    Dict: _Maker.dicts,
    Nested: _Maker.nested,
    Native: _Maker.text,
}


def _unfolded(value: Any) -> Any:
    # No text of ISO 8601 tells the second of two equal times of a day from the first.
    return value.replace(fold=0)


def _decimal(digits: int, scale: int) -> Decimal:
    sign, shown = (1, -digits) if digits < 0 else (0, digits)
    return Decimal((sign, tuple(map(int, str(shown))), -scale))


def _off_kind(field: Field) -> Strategy:
    """Values off a field's kind that the field keeps under a tag."""
    raw = st.binary(max_size=8).map(lambda data: RawText(b"\xff" + data))
    if isinstance(field.value_kind, Json):
        raw |= st.text("abc", max_size=8).map(lambda text: RawText(b"{" + text.encode()))
    some = _Maker(portable=False).text() | st.binary(max_size=8) | st.integers() | st.floats() | raw
    return some.filter(functools.partial(_is_tagged, field))


def _is_tagged(field: Field, value: Any) -> bool:
    try:
        return jsonvalues.is_tag(field.form.encode(value))
    except KindError:
        return False
