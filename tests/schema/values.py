"""Kinds and values of them for Hypothesis, made without the library's own strategies."""

import datetime
import math
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from databackup.schema import JSON_NULL, Interval, RawText
from databackup.schema import composite as c
from databackup.schema import kinds as k
from databackup.schema.interval import IntervalKind
from databackup.schema.kind import Kind
from databackup.schema.offkind import Keep

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.one_of(st.sampled_from(["$", "$int", "$json", "a", "b", "'{}\"\n", "ä.b/~"]), texts)
decimals = st.one_of(
    st.decimals(),
    st.builds(
        lambda sign, digits, exponent: Decimal((sign, tuple(digits), exponent)),
        st.integers(0, 1),
        st.lists(st.integers(0, 9), min_size=1, max_size=30),
        st.integers(-40, 40),
    ),
).filter(lambda d: not d.is_nan() or str(d) == "NaN")
offsets = st.integers(-86_399, 86_399).map(
    lambda seconds: datetime.timezone(datetime.timedelta(seconds=seconds))
)
json_numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**60), 2**60).map(float),
    decimals.filter(lambda d: d.is_finite()),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), texts, json_numbers),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=8,
)

SCALARS: dict[Kind, st.SearchStrategy[Any]] = {
    k.Bool(): st.booleans(),
    k.Str(): texts,
    k.Int(): st.one_of(st.integers(), st.integers(-(10**50), 10**50), st.integers(-5, 5)),
    k.Float(): st.floats(),
    k.Decimal(): decimals,
    k.Bytes(): st.binary(max_size=20),
    k.Date(): st.dates(),
    k.Time(): st.times(),
    k.TimeTz(): st.times(timezones=offsets),
    k.DateTime(): st.datetimes(),
    k.DateTimeTz(): st.datetimes(
        min_value=datetime.datetime(2, 1, 1),  # noqa: DTZ001 - the zone comes from `timezones`
        max_value=datetime.datetime(9998, 1, 1),  # noqa: DTZ001 - the same
        timezones=offsets,
    ),
    k.Timedelta(): st.timedeltas(),
    k.UUID(): st.uuids(),
    IntervalKind(): st.builds(
        Interval,
        st.integers(-(2**31), 2**31 - 1),
        st.integers(-(2**31), 2**31 - 1),
        st.integers(-(2**63), 2**63 - 1),
    ),
    c.Json(): json_values,
    c.Enum(("open", "closed")): st.sampled_from(["open", "closed"]),
    c.Enum((1, 2)): st.sampled_from([1, 2]),
    c.Native("inet"): texts,
}


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """The values of a kind."""
    if isinstance(kind, Keep):
        return st.one_of(values(kind.inner), off_kind_values(kind.inner))
    if isinstance(kind, c.Optional):
        inner = values(kind.inner)
        if type(kind.inner) is c.Json:
            inner = st.one_of(inner.filter(lambda v: v is not None), st.just(JSON_NULL))
        return st.one_of(st.none(), inner)
    if isinstance(kind, c.List):
        return st.lists(values(kind.items), max_size=3)
    if isinstance(kind, c.Dict):
        return st.dictionaries(names, values(kind.values), max_size=3)
    if isinstance(kind, c.Nested):
        return st.fixed_dictionaries({name: values(inner) for name, inner in kind.members})
    return SCALARS[kind]


def off_kind_values(kind: Kind) -> st.SearchStrategy[Any]:
    """Values that a field of the kind holds under a tag."""
    value_kind = kind.inner if isinstance(kind, c.Optional) else kind
    raw = st.binary(max_size=9).filter(lambda data: not is_utf8(data)).map(RawText)
    if type(value_kind) is c.Json:
        return st.one_of(raw, texts.map(lambda text: RawText(text.encode())), st.binary(max_size=9))
    found: list[st.SearchStrategy[Any]] = [raw]
    for type_, strategy in (
        (str, texts),
        (bytes, st.binary(max_size=9)),
        (int, st.integers()),
        (float, st.floats()),
    ):
        own = {k.Str: str, c.Native: str, k.Bytes: bytes, k.Int: int, k.Float: float}
        if own.get(type(value_kind)) is not type_ and type(value_kind) is not c.Enum:
            found.append(strategy)
    return st.one_of(found)


def is_utf8(data: bytes) -> bool:
    """Whether bytes are valid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


off_kinds: st.SearchStrategy[Any] = st.sampled_from(["refuse", "keep"])
scalar_kinds = st.sampled_from(list(SCALARS))
all_kinds = st.recursive(
    scalar_kinds,
    lambda inner: st.one_of(
        inner.filter(lambda kind: not isinstance(kind, c.Optional)).map(c.Optional),
        inner.map(c.List),
        inner.map(c.Dict),
        st.dictionaries(names, inner, min_size=1, max_size=3).map(
            lambda members: c.Nested(tuple(members.items()))
        ),
    ),
    max_leaves=4,
)
form_kinds = st.one_of(all_kinds, all_kinds.map(Keep))


def known(value: Any) -> Any:
    """A value in terms that compare as the archive does: NaN equals itself, −0.0 is not 0.0.

    Numbers in JSON, sizes of Decimals and offsets of datetimes are told apart here, too.
    """
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value.hex())
    if isinstance(value, list):
        return [known(item) for item in value]
    if isinstance(value, dict):
        return {key: known(item) for key, item in value.items()}
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).isoformat()
    elif isinstance(value, datetime.time):
        value = value.isoformat()
    elif isinstance(value, Decimal):
        value = value.as_tuple()
    return (type(value).__name__, value)
