"""Between rows and instances of a model: exact both ways, and the host's own word is heard."""

import dataclasses
import datetime
import decimal
import enum
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import cattrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.schema import AwareDatetime, Collection, Json, StructuringError
from databackup.schema import kinds as k
from tests.schema.values import SCALARS, known, values


class Colour(enum.Enum):
    """Texts."""

    RED = "red"
    BLUE = "blue"


class Size(str, enum.Enum):  # noqa: UP042 - as many apps still have it
    """Texts that are str."""

    S = "s"


class Mood(enum.StrEnum):
    """Texts that are str, the newer way."""

    GOOD = "good"


class Level(enum.IntEnum):
    """Integers that are int."""

    LOW = 1


@attrs.frozen
class Address:
    """A nested attrs class."""

    street: str
    no: int = attrs.field(default=1, validator=attrs.validators.ge(0))


@dataclasses.dataclass(frozen=True, slots=True)
class Phone:
    """A nested dataclass."""

    number: str
    mobile: bool = False


@attrs.define(kw_only=True)
class Everything:
    """A class of every shape: private, aliased, defaulted, nested, in containers."""

    _id: int
    name: str = attrs.field(alias="title")
    price: decimal.Decimal
    day: datetime.date | None = None
    at: AwareDatetime
    key: uuid.UUID
    colour: Colour
    size: Size
    mood: Mood
    level: Level
    sizes: list[Size]
    levels: dict[str, Level]
    state: Literal["open", "closed"] = "open"
    address: Address | None = None
    phones: tuple[Phone, ...] = ()
    scores: Sequence[float] = ()
    extra: Mapping[str, int] = attrs.Factory(dict)
    anything: Json = None


EVERYTHING = Everything(
    id=1,
    title="Ana",
    price=decimal.Decimal("1.10"),
    at=datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC),
    key=uuid.UUID(int=5),
    colour=Colour.RED,
    size=Size.S,
    mood=Mood.GOOD,
    level=Level.LOW,
    sizes=[Size.S],
    levels={"a": Level.LOW},
    address=Address("Calle", 2),
    phones=(Phone("1", mobile=True), Phone("2")),
    scores=(1.5, 2.0),
    extra={"a": 1},
    anything={"x": [1, None, {"$y": 2.5}]},
)
ROW = (
    1,
    "Ana",
    decimal.Decimal("1.10"),
    None,
    datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC),
    uuid.UUID(int=5),
    "red",
    "s",
    "good",
    1,
    ["s"],
    {"a": 1},
    "open",
    {"street": "Calle", "no": 2},
    [{"number": "1", "mobile": True}, {"number": "2", "mobile": False}],
    [1.5, 2.0],
    {"a": 1},
    {"x": [1, None, {"$y": 2.5}]},
)


def types_in(value: Any) -> Any:
    """The exact types in a value."""
    if isinstance(value, list | tuple):
        return [types_in(item) for item in value]
    if isinstance(value, dict):
        return {key: types_in(item) for key, item in value.items()}
    return type(value)


@pytest.mark.parametrize(
    "converter",
    [
        None,
        cattrs.Converter(),
        cattrs.Converter(omit_if_default=True),
        cattrs.Converter(detailed_validation=False),
        cattrs.Converter(unstruct_strat=cattrs.UnstructureStrategy.AS_TUPLE),
        cattrs.Converter(use_alias=True),
        cattrs.Converter(forbid_extra_keys=True, prefer_attrib_converters=True),
    ],
    ids=["none", "plain", "omit", "not detailed", "tuples", "alias", "strict"],
)
def test_instances_and_rows_of_every_shape(converter: cattrs.Converter | None) -> None:
    """A row of plain values makes the instance, and the instance the row, whatever the converter.

    An enumeration that is a str or an int is stored as its plain value, too.
    """
    structurer = Collection.of(Everything, "all", converter=converter).structurer
    row = structurer.row(EVERYTHING)
    instance = structurer.instance(ROW)

    assert row == ROW
    assert types_in(ROW) == types_in(row)
    assert attrs.evolve(EVERYTHING, scores=tuple(instance.scores)) == attrs.evolve(
        instance, scores=tuple(instance.scores)
    )
    assert types_in(EVERYTHING.sizes) == types_in(instance.sizes)
    assert (Size, Mood, Level, Colour, tuple) == (
        type(instance.size),
        type(instance.mood),
        type(instance.level),
        type(instance.colour),
        type(instance.phones),
    )
    assert structurer.changed_field(ROW) is None


def test_the_row_of_an_instance_can_be_encoded() -> None:
    """A row is made of values of its kinds."""
    collection = Collection.of(Everything, "all")

    assert [] == collection.codec.explain_rows([collection.structurer.row(EVERYTHING)])


@given(st.data())
def test_no_value_changes_through_a_model(data: st.DataObject) -> None:
    """Every value of every built-in type goes through cattrs as it is."""
    kinds = [kind for kind in SCALARS if type(kind).__name__ not in ("Enum", "Native", "Json")]
    types: dict[type, Any] = {
        k.Bool: bool, k.Str: str, k.Int: int, k.Float: float, k.Decimal: decimal.Decimal,
        k.Bytes: bytes, k.Date: datetime.date, k.Time: datetime.time,
        k.DateTime: datetime.datetime, k.Timedelta: datetime.timedelta, k.UUID: uuid.UUID,
    }  # fmt: skip
    kinds = [kind for kind in kinds if type(kind) in types]
    model = attrs.make_class(
        "Model",
        {type(kind).__name__: attrs.field(type=types[type(kind)]) for kind in kinds},
    )
    structurer = Collection.of(model, "c").structurer
    row = tuple(data.draw(values(kind)) for kind in kinds)

    assert known(list(row)) == known(list(structurer.row(structurer.instance(row))))
    assert structurer.changed_field(row) is None


@attrs.define
class Plain:
    """Fields that cattrs would coerce."""

    flag: bool
    number: int
    text: str
    part: float
    when: datetime.date


@pytest.mark.parametrize(
    "field, value",
    [
        ("flag", "false"),
        ("flag", 0),
        ("number", 1.9),
        ("number", "1"),
        ("number", True),
        ("text", 1),
        ("text", b"a"),
        ("part", "1.5"),
        ("when", datetime.datetime(2026, 1, 1)),  # noqa: DTZ001 - a subclass of date
        ("when", "2026-01-01"),
        ("text", None),
    ],
)
def test_nothing_is_coerced(field: str, value: Any) -> None:
    """What cattrs would convert in silence is a StructuringError that names the field."""
    good: dict[str, Any] = {
        "flag": True, "number": 1, "text": "a", "part": 1.0, "when": datetime.date(2026, 1, 1),
    }  # fmt: skip
    structurer = Collection.of(Plain, "c").structurer
    assert structurer.changed_field(tuple(good.values())) is None

    with pytest.raises(StructuringError) as caught:
        structurer.instance(tuple((good | {field: value}).values()))
    assert field == caught.value.field


def as_it_is(age: Any) -> Any:
    """A converter that converts nothing."""
    return age


def twice_the_age(guest: Any) -> Any:
    """A default that needs what came before it."""
    return guest.age * 2


@attrs.define
class Guest:
    """Validators, converters and defaults of the host's."""

    colour: Colour = attrs.field(validator=attrs.validators.instance_of(Colour))
    name: str = attrs.field(validator=[attrs.validators.max_len(5), attrs.validators.min_len(1)])
    age: int = attrs.field(converter=as_it_is)
    hidden: list[int] = attrs.field(factory=list)
    twice: int = attrs.field(default=attrs.Factory(twice_the_age, takes_self=True))
    home: Address = attrs.field(factory=lambda: Address("x"))

    @age.validator
    def _check_age(self, field: Any, age: int) -> None:
        if age < len(self.name) - self.twice:
            raise ValueError("too young")


GUESTS = Collection.of(Guest, "guests", exclude={"hidden": "none", "twice": "computed"})


@pytest.mark.parametrize(
    "row, field, message",
    [
        (("red", "Bernadette", 5, {"street": "", "no": 1}), "name", "Length of 'name' must be"),
        (("red", "", 5, {"street": "", "no": 1}), "name", "Length of 'name' must be"),
        (("red", "Ana", -9, {"street": "", "no": 1}), "age", "too young"),
        (("red", "Ana", 5, {"street": "", "no": -1}), "home", "'no' must be >= 0"),
        (("green", "Ana", 5, {"street": "", "no": 1}), "colour", "green"),
        (("red", "Ana", 5, {"street": 1, "no": 1}), "home", "expected str, found int 1"),
        (("red", "Ana", 5, {"street": "", "no": 1, "x": 1}), "home", "Extra fields"),
        (("red", "Ana", 5, None), "home", "None"),
    ],
)
def test_what_the_hosts_validators_say_names_the_field(
    row: tuple[Any, ...], field: str, message: str
) -> None:
    """The error of a validator is told in its words, at the field it is about."""
    assert GUESTS.structurer.changed_field(("red", "Ana", 5, {"street": "", "no": 1})) is None
    with pytest.raises(StructuringError, match=message) as caught:
        GUESTS.structurer.instance(row)

    assert field == caught.value.field
    assert caught.value.__cause__ is not None


class _Odd(Exception):
    """An exception of the host's own, without arguments."""


@attrs.define(slots=False)
class Whole:
    """A class that objects to two fields together."""

    one: int = attrs.field(converter=attrs.Converter(lambda v, me: v, takes_self=True))  # type: ignore[misc]
    two: int

    def __attrs_post_init__(self) -> None:
        if self.one > self.two:
            raise _Odd


@dataclasses.dataclass
class Data:
    """A dataclass that objects to two fields together."""

    one: int
    two: int

    def __post_init__(self) -> None:
        if self.one > self.two:
            raise KeyError("one")


@pytest.mark.parametrize("model, message", [(Whole, "_Odd"), (Data, "one")])
def test_an_error_of_the_whole_has_no_field(model: type[Any], message: str) -> None:
    """What is about a record as a whole names no field, and always says something."""
    structurer = Collection.of(model, "c").structurer
    assert structurer.changed_field((1, 2)) is None
    with pytest.raises(StructuringError) as caught:
        structurer.changed_field((2, 1))

    assert (None, message) == (caught.value.field, str(caught.value))


def converting(convert: Any, type_: Any = int) -> Collection:
    """A collection whose model converts its one field."""
    model = attrs.make_class("Model", {"v": attrs.field(type=type_, converter=convert)})
    return Collection.of(model, "c")


@pytest.mark.parametrize(
    "type_, convert, value",
    [
        (int, float, 1),
        (int, bool, 1),
        (bool, int, True),
        (int, abs, -1),
        (float, abs, -0.0),
        (float, int, 0.5),
        (str, str.strip, " a"),
        (str, str.lower, "A"),
        (decimal.Decimal, lambda d: round(d, 1), decimal.Decimal("1.25")),
        (Json, lambda v: [1], [True]),
        (Json, lambda v: {"a": 1.0}, {"a": True}),
        (list[int], sorted, [2, 1]),
        (datetime.time, lambda t: t.replace(microsecond=0), datetime.time(1, 1, 1, 1)),
    ],
)  # fmt: skip
def test_a_converter_that_changes_a_value_is_found(type_: Any, convert: Any, value: Any) -> None:
    """True for 1, 1.0 for 1, and 0.0 for −0.0 are changes, though Python calls them equal."""
    assert "v" == converting(convert, type_).structurer.changed_field((value,))


@pytest.mark.parametrize(
    "type_, convert, value",
    [
        (float, int, 1.0),
        (decimal.Decimal, lambda d: d.normalize(), decimal.Decimal("1.10")),
        (Json, lambda v: {"b": 1.0, "a": [2]}, {"a": [2], "b": 1}),
        (list[int], tuple, [1, 2]),
        (float, lambda v: v, float("nan")),
        (AwareDatetime, lambda v: v.astimezone(datetime.timezone(datetime.timedelta(hours=2))),
         datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)),
    ],
)  # fmt: skip
def test_a_converter_that_keeps_the_value_is_not_blamed(
    type_: Any, convert: Any, value: Any
) -> None:
    """What digests call the same is no change: another scale, another zone, 1 for 1.0."""
    assert converting(convert, type_).structurer.changed_field((value,)) is None


def test_integers_stand_for_doubles_in_instances() -> None:
    """An int in a field annotated float is the double of that value; others stay as they are."""

    @attrs.define
    class Part:
        share: float
        other: float | None

    structurer = Collection.of(Part, "c").structurer

    assert "(1.0, None)" == repr(structurer.row(Part(1, None)))
    assert (2**53 + 1, 10**400) == structurer.row(Part(2**53 + 1, 10**400))


def test_what_is_no_instance_is_refused() -> None:
    """An instance of another class, or one that cannot be taken apart, is an error, not a row."""
    structurer = Collection.of(Address, "c").structurer
    with pytest.raises(StructuringError, match="expected an instance of Address, found Phone"):
        structurer.row(Phone("1"))
    broken = object.__new__(Address)
    with pytest.raises(StructuringError, match="AttributeError"):
        structurer.row(broken)


def test_a_collection_without_a_model_has_dicts() -> None:
    """Without a class instances are dicts with all fields and no others."""
    structurer = Collection("c", fields={"a": int, "b": str}).structurer

    assert (1, "x") == structurer.row({"b": "x", "a": 1})
    assert {"a": 1, "b": "x"} == structurer.instance((1, "x"))
    assert structurer.changed_field((1, "x")) is None
    for record, field, message in (
        ({"a": 1}, "b", "no such field"),
        ({"a": 1, "b": "", "c": 2}, "c", "unknown field"),
        ({"a": 1, "b": "", 3: 2}, "3", "unknown field"),
        ([1, ""], None, "expected a dict, found list"),
    ):
        with pytest.raises(StructuringError, match=message) as caught:
            structurer.row(record)
        assert field == caught.value.field


class Email(str):
    """A subclass of a built-in type, which the host converts."""

    __slots__ = ()


class Cents(decimal.Decimal):
    """Another, of a type that cattrs itself has no hook for."""


@attrs.define
class User:
    """A user with types of the host's own."""

    email: Email
    cents: Cents


def read_email(text: str, _: Any) -> Email:
    """An address, or an error."""
    if not text.startswith("mail:"):
        raise ValueError("no address")
    return Email(text[5:])


def write_email(email: Email) -> str:
    """The text of an address."""
    return "mail:" + email


def write_cents(cents: Cents) -> int:
    """Cents as an integer."""
    return int(cents)


def test_own_types_go_through_the_hosts_hooks() -> None:
    """Hooks for an own type run both ways, also for a subclass of a built-in type.

    They may be registered for the class or by a predicate.
    """
    converter = cattrs.Converter()
    converter.register_unstructure_hook(Email, write_email)
    converter.register_structure_hook(Email, read_email)
    converter.register_unstructure_hook_func(lambda t: t is Cents, write_cents)
    converter.register_structure_hook_func(lambda t: t is Cents, lambda v, _: Cents(v))
    collection = Collection.of(User, "users", converter=converter)
    user = User(Email("a@b"), Cents(5))
    back = collection.structurer.instance(("mail:a@b", 5))

    assert (k.Str(), k.Int()) == tuple(field.kind for field in collection.fields)
    assert ("mail:a@b", 5) == collection.structurer.row(user)
    assert (user, Email, Cents) == (back, type(back.email), type(back.cents))
    with pytest.raises(StructuringError, match="no address") as caught:
        collection.structurer.instance(("a@b", 5))
    assert "email" == caught.value.field


def test_the_hosts_converter_stays_as_it_is() -> None:
    """Nothing is registered with the host's converter, and its hooks for built-in types rest."""
    converter = cattrs.Converter()
    converter.register_unstructure_hook(datetime.date, lambda day: day.isoformat())
    converter.register_structure_hook(datetime.date, lambda text, _: text)
    collection = Collection.of(Plain, "c", converter=converter)
    day = datetime.date(2026, 1, 1)

    assert day == collection.structurer.row(Plain(True, 1, "", 1.0, day))[4]
    assert day == collection.structurer.instance((True, 1, "", 1.0, day)).when
    assert "2026-01-01" == converter.unstructure(day)
    assert 1 == converter.structure("1", int)


@pytest.mark.parametrize(
    "model, expected",
    [(Plain, False), (Guest, True), (Whole, True), (Data, True), (Phone, False), (Address, True)],
)
def test_models_that_run_code_are_known(model: type[Any], expected: bool) -> None:
    """Only a class with validators, converters or hooks may object to a row."""
    exclude = {"hidden": "none", "twice": "computed"} if model is Guest else {}
    assert expected is Collection.of(model, "c", exclude=exclude).structurer.may_object


def test_errors_say_where_and_can_be_raised_again() -> None:
    """A StructuringError's text is its message."""
    assert "no" == str(StructuringError("no", "field"))
