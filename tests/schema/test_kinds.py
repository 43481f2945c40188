"""Kinds: values to forms and back, exactly."""

import decimal
import math
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from databackup.archive import text
from databackup.schema import Interval, KindError
from databackup.schema import composite as c
from databackup.schema import kinds as k
from databackup.schema.functions import SCOPE
from databackup.schema.interval import IntervalKind
from databackup.schema.kind import Kind, shown
from tests.schema.values import SCALARS, all_kinds, form_kinds, known, texts, values

DIGITS = {kind for kind in SCALARS if type(kind) is not c.Json}


def text_of(form: Any) -> str:
    """The JSON text of a form, as an archive has it."""
    return msgspec.json.encode(form).decode()


@given(st.data(), st.sampled_from(sorted(DIGITS, key=repr)))
def test_every_value_comes_back_from_its_form(data: st.DataObject, kind: Kind) -> None:
    """decode(encode(v)) is v, in type, scale, sign and digits."""
    value = data.draw(values(kind))

    assert known(value) == known(kind.decode(msgspec.json.decode(text_of(kind.encode(value)))))


@given(st.data(), form_kinds)
def test_every_form_comes_back_from_its_value(data: st.DataObject, kind: Kind) -> None:
    """encode(decode(f)) is f, byte for byte, for kinds of any build; canonical forms, too."""
    value = data.draw(values(kind))
    form, canonical = kind.encode(value), text_of(kind.canonical(value))
    assume("Raw" not in repr(form))  # numbers in json have several forms
    back = kind.decode(msgspec.json.decode(text_of(form)))

    assert text_of(form) == text_of(kind.encode(back))
    assert canonical == text_of(kind.canonical(back))


@given(st.data(), all_kinds)
def test_the_canonical_form_is_a_fixed_point(data: st.DataObject, kind: Kind) -> None:
    """A canonical form, read as a value, has itself as its canonical form."""
    form = kind.canonical(data.draw(values(kind)))
    assume("Raw" not in repr(form))
    value = kind.decode(msgspec.json.decode(text_of(form)))

    assert text_of(form) == text_of(kind.canonical(value))


@given(st.data(), st.sampled_from(sorted(SCALARS, key=repr)))
def test_equal_canonical_forms_mean_equal_values(data: st.DataObject, kind: Kind) -> None:
    """Two values have one canonical form if and only if they are equal (and of one sign)."""
    one, two = data.draw(values(kind)), data.draw(values(kind))
    if isinstance(kind, k.TimeTz):  # the offset counts, in Python it does not
        equal = one.isoformat() == two.isoformat()
    elif isinstance(kind, k.Float):
        equal = known(one) == known(two)
    elif isinstance(kind, k.Decimal):
        equal = one == two or (one.is_nan() and two.is_nan())
    elif isinstance(kind, c.Json):
        return  # in test_jsonvalues.py
    else:
        equal = one == two
    assert equal == (text_of(kind.canonical(one)) == text_of(kind.canonical(two)))


@given(st.sampled_from(sorted(DIGITS, key=repr)), st.one_of(texts, st.text("0123456789-:.TZPE+")))
@example(k.Int(), "٩" * 20)
@example(k.Date(), "٢٠٢٦-11-22")
@example(k.Date(), "2026-11-22\n")
@example(k.UUID(), "00112233-4455-6677-8899-aabbccddeef٣")
@example(k.Timedelta(), "PT٣S")
@example(IntervalKind(), "P٣M")
@example(k.Decimal(), "1.٣")
@example(k.Bytes(), "AA==\n")
@example(k.Time(), "24:00:00")
def test_a_text_is_read_only_if_it_would_be_written(kind: Kind, text: str) -> None:
    """A kind refuses every text that `encode` does not make, whatever it looks like."""
    try:
        value = kind.decode(text)
    except KindError:
        return
    assert text == kind.encode(value)


@given(st.sampled_from(sorted(SCALARS, key=repr)), st.data())
def test_texts_near_a_form_are_refused(kind: Kind, data: st.DataObject) -> None:
    """Spaces, line feeds and a changed character never read as the same value again."""
    form = kind.encode(data.draw(values(kind)))
    assume(type(form) is str and not isinstance(kind, k.Str | c.Native | c.Json))
    position = data.draw(st.integers(0, len(form)))
    character = data.draw(st.sampled_from("\n 0٣+-Zz.e\x00"))
    changed = form[:position] + character + form[position:]
    try:
        value = kind.decode(changed)
    except KindError:
        return
    assert changed == kind.encode(value)


FOREIGN: list[Any] = [
    None, True, 1, 1.5, "text", b"bytes", [], {}, (), {1}, Decimal(1), date(2026, 1, 1),
    time(1, 2), time(1, 2, tzinfo=UTC), datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC),  # noqa: DTZ001
    timedelta(1), Interval(), 1j, 2**70, "\ud800", float("nan"), Decimal("sNaN"),
]  # fmt: skip
OWN: dict[type[Kind], tuple[type, ...]] = {
    k.Bool: (bool,),
    k.Str: (str,),
    k.Int: (int,),
    k.Float: (int, float),
    k.Decimal: (Decimal,),
    k.Bytes: (bytes,),
    k.Date: (date,),
    k.Time: (time,),
    k.TimeTz: (time,),
    k.DateTime: (datetime,),
    k.DateTimeTz: (datetime,),
    k.Timedelta: (timedelta,),
    k.UUID: (),
    IntervalKind: (Interval,),
    c.Enum: (int,),
    c.Native: (str,),
    c.List: (list,),
    c.Dict: (dict,),
    c.Nested: (),
}


@pytest.mark.parametrize("value", FOREIGN, ids=repr)
@pytest.mark.parametrize(
    "kind",
    [*sorted(DIGITS, key=repr), c.List(k.Int()), c.Dict(k.Int()), c.Nested((("a", k.Int()),))],
    ids=repr,
)
def test_no_value_is_coerced(kind: Kind, value: Any) -> None:
    """A value of another type, a subclass among them, is refused with KindError alone."""
    for convert in (kind.encode, kind.canonical):
        try:
            convert(value)
        except KindError:
            continue
        assert type(value) in OWN[type(kind)]


class _Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "kind, value",
    [
        (k.Str(), _Text("a")),
        (k.Str(), "a\udfff"),
        (c.Native("inet"), "\ud800"),
        (c.Dict(k.Int()), {"\ud800": 1}),
        (c.Dict(k.Int()), {1: 1}),
        (c.Dict(k.Int()), {_Text("a"): 1}),
        (c.Nested((("a", k.Int()),)), {"a": 1, 2: 3}),
        (k.Date(), datetime(2026, 1, 1)),  # noqa: DTZ001 - what is tested
        (k.Time(), time(1, tzinfo=UTC)),
        (k.TimeTz(), time(1)),
        (k.TimeTz(), time(1, tzinfo=ZoneInfo("Europe/Madrid"))),
        (k.DateTime(), datetime(2026, 1, 1, tzinfo=UTC)),
        (k.DateTimeTz(), datetime(2026, 1, 1)),  # noqa: DTZ001 - what is tested
        (k.DateTimeTz(), datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
        (k.DateTimeTz(), datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=2)))),
        (k.Decimal(), Decimal("-NaN")),
        (k.Decimal(), Decimal("NaN123")),
        (k.Decimal(), Decimal("1E+131073")),
        (k.Decimal(), Decimal("1E-131073")),
        (k.Float(), 2**53 + 1),
        (k.Float(), 10**400),
        (k.Int(), 10**131072),
        (k.Int(), -(10**131071)),
        (k.Int(), 1 << 10_000_000),
        (IntervalKind(), Interval(2**31)),
        (IntervalKind(), Interval(0, -(2**31) - 1)),
        (IntervalKind(), Interval(0, 0, 2**63)),
        (IntervalKind(), Interval(True)),
        (IntervalKind(), Interval(0, 1.5)),  # type: ignore[arg-type]
        (c.Enum((1, 2)), True),
        (c.Enum((1, 2)), 1.0),
    ],
    ids=lambda part: shown(part)[:40],
)
def test_what_cannot_be_read_back_is_not_written(kind: Kind, value: Any) -> None:
    """Values at the edge of a kind raise KindError, not another error, and no form."""
    with pytest.raises(KindError):
        kind.encode(value)


@pytest.mark.parametrize(
    "value", [10**131072 - 1, -(10**131071 - 1), 10**4300, -(10**5000)], ids=shown
)
def test_integers_of_any_size_come_back(value: int) -> None:
    """Python's limit of 4,300 digits for texts of integers is no limit here."""
    assert value == k.Int().decode(k.Int().encode(value))


@pytest.mark.parametrize(
    "form", [10**5000, [[]] * 9, {"a": 1}, "9" * 200_000, float("inf"), None], ids=shown
)
def test_an_error_shows_what_was_found_however_large(form: Any) -> None:
    """The message of a refusal is short, whatever was refused."""
    with pytest.raises(KindError) as caught:
        k.Date().decode(form)
    assert len(str(caught.value)) < 150


def test_an_error_shows_a_value_that_nests_without_end() -> None:
    """A refused value that is deeper than Python's recursion limit is still refused."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(KindError, match=r"expected an integer, found list \[\[\["):
        k.Int().encode(deep)
    while deep:  # freed level by level
        deep = deep.pop()


@pytest.mark.parametrize(
    "context",
    [
        decimal.Context(prec=3),
        decimal.Context(capitals=0),
        decimal.Context(Emax=5, Emin=-5),
        decimal.Context(prec=2, traps=[decimal.Inexact, decimal.Rounded, decimal.FloatOperation]),
    ],
)
@pytest.mark.parametrize("text", ["1.23456789", "1.5E+7", "-0.00", "123456.70", "1E-9"])
def test_the_hosts_decimal_context_changes_nothing(context: decimal.Context, text: str) -> None:
    """Precision, capitals, exponents and traps of the host's context leave decimals alone."""
    expected = [f(Decimal(text)) for f in (k.Decimal().encode, k.Decimal().canonical)]
    value = Decimal(text)
    with decimal.localcontext(context):
        found = [f(value) for f in (k.Decimal().encode, k.Decimal().canonical)]
        back = k.Decimal().decode(found[0])
        json = text_of(c.Json().canonical(value)), text_of(c.Json().encode(value))

    assert expected == found
    assert value.as_tuple() == back.as_tuple()
    assert json == (text_of(c.Json().canonical(value)), text_of(c.Json().encode(value)))


class _Offset(tzinfo):
    def utcoffset(self, dt: datetime | None) -> timedelta:
        return timedelta(hours=5, minutes=30)

    def dst(self, dt: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, dt: datetime | None) -> str:
        return "own"


def test_aware_values_need_no_particular_time_zone_class() -> None:
    """A datetime is converted, a time keeps its offset, whatever class tells it."""
    moment = datetime(2026, 11, 22, 10, 15, tzinfo=ZoneInfo("Europe/Madrid"))

    assert "2026-11-22T09:15:00Z" == k.DateTimeTz().encode(moment)
    assert "10:15:00+05:30" == k.TimeTz().encode(time(10, 15, tzinfo=_Offset()))
    assert "2026-11-22T04:45:00Z" == k.DateTimeTz().encode(moment.replace(tzinfo=_Offset()))


def layout(value: float) -> str:
    """The float layout of docs/reference/archive-format.md, from Python's shortest digits."""
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value == 0:
        return sign + "0.0"
    _, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    first = len(digits) + int(exponent) - 1
    if not -5 <= first <= 15:
        return f"{sign}{text[0]}{'.' if text[1:] else ''}{text[1:]}e{first}"
    if first < 0:
        return f"{sign}0.{'0' * (-first - 1)}{text}"
    text = text.ljust(first + 2, "0")
    return f"{sign}{text[: first + 1]}.{text[first + 1 :]}"


doubles = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 2**64 - 1)
    .map(lambda bits: struct.unpack(">d", struct.pack(">Q", bits))[0])
    .filter(math.isfinite),
    st.builds(
        lambda digits, exponent: float(f"{digits}e{exponent}"),
        st.integers(1, 10**17),
        st.integers(-25, 25),
    ),
)


@given(st.lists(doubles, min_size=50, max_size=50))
def test_floats_are_written_in_the_documented_layout(numbers: list[float]) -> None:
    """The text of every double is the shortest, in the layout of the format, as msgspec has it."""
    for number in numbers:
        assert layout(number) == text_of(k.Float().encode(number))


@pytest.mark.parametrize("exponent", range(-30, 30))
def test_floats_at_every_power_of_ten(exponent: int) -> None:
    """Where plain notation ends, above and below, is where the document says."""
    power = float(f"1e{exponent}")
    for number in (power, math.nextafter(power, 0), math.nextafter(power, math.inf), 9.5 * power):
        assert layout(number) == text_of(k.Float().encode(number))


def test_strings_are_escaped_as_documented() -> None:
    """Every character of Unicode is written as the format says: escaped, or itself."""
    short = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r"}
    short["\t"] = "\\t"
    for code in (*range(0xD800), *range(0xE000, 0x110000)):
        character = chr(code)
        expected = short.get(character, f"\\u{code:04x}" if code < 0x20 else character)
        assert f'"{expected}"' == text_of(character)


@given(texts, st.integers())
def test_canonical_is_form_is_true_to_its_word(text: str, number: int) -> None:
    """A kind that says that its canonical form is its form has no value where it is not."""
    for kind, value in ((k.Str(), text), (k.Int(), number), (c.Optional(k.Str()), None)):
        assert kind.canonical_is_form
        assert kind.encode(value) == kind.canonical(value)


@given(st.data(), form_kinds)
def test_kinds_whose_canonical_is_form(data: st.DataObject, kind: Kind) -> None:
    """Where `canonical_is_form`, every value's two forms are the same bytes."""
    value = data.draw(values(kind))
    if kind.canonical_is_form:
        assert text_of(kind.encode(value)) == text_of(kind.canonical(value))


@given(st.data(), form_kinds)
def test_expressions_for_compiled_code_agree_with_the_methods(
    data: st.DataObject, kind: Kind
) -> None:
    """Where `encodes_itself` or `decodes_itself` hold, msgspec does what the method does."""
    value = data.draw(values(kind))
    line = text.dump(kind.encode(value))
    if holds(kind.encodes_itself, value):
        assert line == text.dump(value)
    read = msgspec.json.decode(line, type=kind.wire)
    if holds(kind.decodes_itself, read):
        assert known(kind.decode(text.load(line))) == known(read)


def holds(expression: str, value: Any) -> bool:
    """Whether an expression of a kind is true of a value."""
    return bool(expression and eval(expression.format(v="v"), {**SCOPE, "v": value}))  # noqa: S307


def test_offsets_have_whole_seconds() -> None:
    """An offset with a fraction of a second is refused, since not every such time is read back."""
    zone = timezone(timedelta(microseconds=1))
    with pytest.raises(KindError, match="an offset of whole seconds"):
        k.TimeTz().encode(time(1, 2, tzinfo=zone))
    with pytest.raises(KindError):
        k.TimeTz().decode("01:02:00+00:00:00.000001")


def test_an_error_says_where_in_the_value_it_is() -> None:
    """The path of a KindError leads through lists, dicts and nested values."""
    kind = c.List(c.Dict(c.Nested((("at", c.Optional(k.Date())),))))
    with pytest.raises(KindError) as caught:
        kind.decode([{}, {"x": {"at": "today"}}])

    assert (1, "x", "at") == caught.value.path
    assert "expected a date YYYY-MM-DD, found str 'today'" == str(caught.value)
