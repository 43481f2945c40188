"""From the types of attrs classes, dataclasses and mappings to kinds."""

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import typing
import uuid
from typing import Annotated, Any, Literal, NewType

import attrs
import cattrs
import pytest

from databackup.errors import SchemaError
from databackup.schema import AwareDatetime, AwareTime, Collection, Interval, Json, Kind
from databackup.schema import composite as c
from databackup.schema import kinds as k
from databackup.schema.interval import IntervalKind

MenuId = NewType("MenuId", int)
Tags = NewType("Tags", list[str])


class Colour(enum.Enum):
    """An enumeration of texts."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    """An enumeration of integers that are integers."""

    LOW = 1
    HIGH = 2


class Size(str, enum.Enum):  # noqa: UP042 - as many apps still have it
    """An enumeration of texts that are texts."""

    S = "s"
    L = "l"


class Access(enum.Flag):
    """Flags combine, so they are no closed set."""

    READ = 1
    WRITE = 2


class Mixed(enum.Enum):
    """Texts and integers."""

    A = "a"
    B = 1


class Huge(enum.IntEnum):
    """Integers that other programs damage."""

    A = 2**60


@attrs.define
class Address:
    """A class within others."""

    street: str
    number: "int | None" = None


@dataclasses.dataclass
class Phone:
    """A dataclass within others."""

    number: str
    at: "Address | None" = None


@attrs.define
class Node:
    """A class that contains itself."""

    name: str
    children: "list[Node]" = attrs.Factory(list)


@attrs.define
class Computed:
    """A class with a value that __init__ does not take."""

    one: int
    two: int = attrs.field(init=False, default=2)


@attrs.define
class Unresolved:
    """A class with a type that is nowhere."""

    one: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


def kind_of(type_: Any) -> Kind:
    """The kind of a type as the field of a collection."""
    return Collection("c", fields={"field": type_}).fields[0].kind


@pytest.mark.parametrize(
    "type_, kind",
    [
        (bool, k.Bool()),
        (str, k.Str()),
        (int, k.Int()),
        (float, k.Float()),
        (bytes, k.Bytes()),
        (decimal.Decimal, k.Decimal()),
        (datetime.date, k.Date()),
        (datetime.time, k.Time()),
        (datetime.datetime, k.DateTime()),
        (datetime.timedelta, k.Timedelta()),
        (uuid.UUID, k.UUID()),
        (Interval, IntervalKind()),
        (Json, c.Json()),
        (AwareDatetime, k.DateTimeTz()),
        (AwareTime, k.TimeTz()),
        (k.Decimal(2), k.Decimal(2)),
        (Annotated[str, c.Native("inet")], c.Native("inet")),
        (Annotated[str, "a remark"], k.Str()),
        (Annotated[int | None, "a remark"], c.Optional(k.Int())),
        (int | None, c.Optional(k.Int())),
        (typing.Optional[int], c.Optional(k.Int())),  # noqa: UP045 - as older apps have it
        (Json | None, c.Optional(c.Json())),
        (MenuId, k.Int()),
        (Tags, c.List(k.Str())),
        (MenuId | None, c.Optional(k.Int())),
        (Literal["a", "b"], c.Enum(("a", "b"))),
        (Literal[1, 2], c.Enum((1, 2))),
        (Colour, c.Enum(("red", "blue"))),
        (Level, c.Enum((1, 2))),
        (Size, c.Enum(("s", "l"))),
        (list[int], c.List(k.Int())),
        (tuple[int, ...], c.List(k.Int())),
        (collections.abc.Sequence[int], c.List(k.Int())),
        (list[list[Colour] | None], c.List(c.Optional(c.List(c.Enum(("red", "blue")))))),
        (dict[str, int], c.Dict(k.Int())),
        (collections.abc.Mapping[str, Json], c.Dict(c.Json())),
        (Address, c.Nested((("street", k.Str()), ("number", c.Optional(k.Int()))))),
    ],
    ids=str,
)
def test_a_type_has_its_kind(type_: Any, kind: Kind) -> None:
    """Each supported type stands for one kind."""
    assert kind == kind_of(type_)


@pytest.mark.parametrize(
    "type_, reason",
    [
        (set[int], "set"),
        (frozenset[str], "frozenset"),
        (object, "object is not supported"),
        (complex, "complex is not supported"),
        (Any, "Any is not supported"),
        (None, "None is not supported"),
        ("str", "str is not supported"),
        ([], "is not supported"),
        (list, "list is not supported"),
        (dict, "dict is not supported"),
        (typing.List, "without what it holds"),  # noqa: UP006 - as older apps have it
        (typing.Dict, "without what it holds"),  # noqa: UP006 - as older apps have it
        (typing.Sequence, "without what it holds"),
        (dict[int, str], "keys must be str"),
        (tuple[int, str], "only tuple[X, ...]"),
        (tuple[()], "is not supported"),
        (int | str, "union of several types"),
        (int | str | None, "union of several types"),
        (Literal["a", 1], "enumeration of texts or of integers"),
        (Literal[True], "enumeration of texts or of integers"),
        (Access, "the flag Access"),
        (Mixed, "enumeration of texts or of integers"),
        (Huge, "beyond 2^53"),
        (Node, "Node contains itself"),
        (Computed, "Computed.two is not an argument of __init__"),
        (Unresolved, "Unresolved.one: the annotation cannot be resolved: NameError"),
        (list[Unresolved], "Unresolved.one: the annotation cannot be resolved"),
        (typing.Final[int], "is not supported"),
        (Annotated[str, []], "is not supported"),
        (typing.TypeVar("T"), "is not supported"),
        (collections.abc.Callable[[], int], "is not supported"),
    ],
    ids=str,
)
def test_other_types_are_refused_by_name(type_: Any, reason: str) -> None:
    """An unsupported type is a SchemaError with collection, field, type and reason."""
    with pytest.raises(SchemaError) as caught:
        kind_of(type_)
    (problem,) = caught.value.problems
    assert problem.startswith("c.field: ")
    assert reason in problem


def test_an_attrs_class_becomes_a_collection() -> None:
    """Fields come in order, with aliases, private names and defaults, under attributes' names."""

    @attrs.frozen(kw_only=True)
    class Menu:
        id: MenuId
        _title: str
        price: decimal.Decimal = attrs.field(alias="cost", default=decimal.Decimal(0))
        colours: list[Colour] = attrs.Factory(list)

    collection = Collection.of(Menu, "menus", key="id")

    assert ("id", "_title", "price", "colours") == collection.field_names
    assert ("id",) == collection.key
    assert collection.model is Menu
    assert c.List(c.Enum(("red", "blue"))) == collection.field("colours").kind


def test_a_dataclass_becomes_a_collection() -> None:
    """Nested classes of both sorts and forward references resolve."""
    collection = Collection.of(Phone, "phones", key="number")
    address = c.Nested((("street", k.Str()), ("number", c.Optional(k.Int()))))

    assert ("number", "at") == collection.field_names
    assert c.Optional(address) == collection.field("at").kind


def test_inherited_fields_come_first() -> None:
    """A subclass has the fields of its base, as attrs orders them."""

    @attrs.define
    class Base:
        id: int

    @attrs.define
    class Sub(Base):
        name: str

    assert ("id", "name") == Collection.of(Sub, "subs", key="id").field_names


def test_all_unsupported_fields_are_told_at_once() -> None:
    """A SchemaError lists every field of a class that cannot be backed up."""

    @attrs.define
    class Bad:
        one: set[int]
        fine: int
        two: complex
        untyped: Any
        made: int = attrs.field(init=False, default=1)

    with pytest.raises(SchemaError) as caught:
        Collection.of(Bad, "bads", exclude={"none": "it is not there"})
    found = caught.value.problems

    for name in ("'none'", "Bad.made", "Bad.one", "Bad.two", "Bad.untyped"):
        assert 1 == sum(name in problem for problem in found), name
    assert 5 == len(found)
    assert all("Bad" in problem for problem in found)


def test_a_forward_reference_to_nowhere_is_a_schema_error() -> None:
    """What cannot be resolved is named with its class, and the cause is kept."""
    with pytest.raises(SchemaError, match=r"Unresolved\.one: .*Nowhere") as caught:
        Collection.of(Unresolved, "u")
    assert isinstance(caught.value.__cause__, NameError)


def test_a_type_in_a_class_in_a_class_is_named_there() -> None:
    """Of a class within a class, the inner class and its field are named with the type."""

    @attrs.define
    class Deep:
        good: int
        bad: complex

    @attrs.define
    class Outer:
        deep: list[Deep]

    with pytest.raises(SchemaError) as caught:
        Collection.of(Outer, "outers")
    (problem,) = caught.value.problems
    assert "Outer.deep: " in problem
    assert "Deep.bad: complex is not supported" in problem


def test_annotations_that_raise_are_a_schema_error() -> None:
    """Any error of an annotation is told as one of the schema."""

    @dataclasses.dataclass
    class Broken:
        one: "int.nothing"  # type: ignore[name-defined]
        two: "1 +"  # type: ignore[valid-type]  # noqa: F722

    with pytest.raises(SchemaError, match="Broken"):
        Collection.of(Broken, "b")


@pytest.mark.parametrize("model", [int, dict, object(), lambda: None, Colour], ids=lambda m: "m")
def test_only_classes_with_fields_are_models(model: Any) -> None:
    """A model is an attrs class or a dataclass."""
    with pytest.raises(SchemaError, match="not an attrs class or a dataclass"):
        Collection.of(model, "c")


def test_an_excluded_field_needs_a_default() -> None:
    """A field that is excluded and has no default is refused: no record could be given back."""

    @attrs.define
    class Secret:
        id: int
        token: object
        made: object = None

    @dataclasses.dataclass
    class Session:
        id: int
        token: object
        tags: list[object] = dataclasses.field(default_factory=list)

    exclude = {"token": "secret", "made": "computed"}
    with pytest.raises(SchemaError) as caught:
        Collection.of(Secret, "secrets", exclude=exclude)
    assert 1 == len(caught.value.problems)
    assert "Secret.token has no default" in caught.value.problems[0]
    with pytest.raises(SchemaError, match=r"Session\.token has no default"):
        Collection.of(Session, "sessions", exclude={"token": "secret", "tags": "computed"})


def test_excluded_fields_need_no_kind() -> None:
    """An excluded field may have any type, and stands in the collection with its reason."""

    @attrs.define
    class Session:
        id: int
        lock: object = None
        made: int = attrs.field(init=False, default=1)

    collection = Collection.of(
        Session, "sessions", key="id", exclude={"lock": "of this process", "made": "computed"}
    )

    assert ("id",) == collection.field_names
    assert ["sessions.lock", "sessions.made"] == [e.name for e in collection.excluded]
    assert ["of this process", "computed"] == [e.reason for e in collection.excluded]


# -- types of the host's own -------------------------------------------------------------------


@attrs.frozen
class Money:
    """A class that the host's converter writes in its own way."""

    cents: int


class Point:
    """A class that nobody but the host knows."""


@attrs.define
class Sale:
    """A record with types of the host's own."""

    id: int
    price: Money
    prices: list[Money]
    at: Point | None = None


def money_as_decimal(money: Money) -> decimal.Decimal:
    """Cents as a decimal."""
    return decimal.Decimal(money.cents).scaleb(-2)


def test_the_hosts_annotated_hook_gives_the_kind() -> None:
    """A type is stored as what its unstructure hook is annotated to return."""
    converter = cattrs.Converter()
    converter.register_unstructure_hook(Money, money_as_decimal)
    converter.register_unstructure_hook(Point, lambda point: [0, 0])
    collection = Collection.of(Sale, "sales", key="id", converter=converter)

    assert k.Decimal() == collection.field("price").kind
    assert c.List(k.Decimal()) == collection.field("prices").kind
    assert c.Optional(c.Json()) == collection.field("at").kind


def test_kinds_of_own_types_can_be_stated() -> None:
    """`kinds=` says what an own type is stored as, and wins over its hook."""
    converter = cattrs.Converter()
    converter.register_unstructure_hook(Money, money_as_decimal)
    collection = Collection.of(
        Sale, "sales", kinds={Money: int, Point: c.Native("point")}, converter=converter
    )

    assert k.Int() == collection.field("price").kind
    assert c.List(k.Int()) == collection.field("prices").kind
    assert c.Optional(c.Native("point")) == collection.field("at").kind


def test_without_a_hook_an_own_type_is_refused() -> None:
    """A converter without a hook for a type does not make the type supported."""
    with pytest.raises(SchemaError, match=r"Sale\.at: .*Point is not supported"):
        Collection.of(Sale, "sales", converter=cattrs.Converter())


def test_a_class_that_cattrs_would_convert_itself_is_nested() -> None:
    """Only a hook of the host's makes a class its own; cattrs' own does not."""
    collection = Collection.of(
        Sale, "sales", converter=cattrs.Converter(), kinds={Point: c.Native("point")}
    )
    assert c.Nested((("cents", k.Int()),)) == collection.field("price").kind


def test_classes_by_a_renaming_hook_are_the_hosts_own() -> None:
    """A class that the host's converter writes under other names is stored as JSON."""
    converter = cattrs.Converter()
    converter.register_unstructure_hook(
        Money,
        cattrs.gen.make_dict_unstructure_fn(Money, converter, cents=cattrs.override(rename="c")),
    )
    collection = Collection.of(Sale, "sales", converter=converter, kinds={Point: c.Native("point")})
    assert c.Json() == collection.field("price").kind


def test_hooks_that_are_no_functions_make_json() -> None:
    """A hook without annotations, a class or any callable, is stored as JSON."""
    for hook in (str, repr, lambda m: m.cents, type("Hook", (), {"__call__": lambda s, m: 1})()):
        converter = cattrs.Converter()
        converter.register_unstructure_hook(Money, hook)
        collection = Collection.of(
            Sale, "sales", converter=converter, kinds={Point: c.Native("point")}
        )
        assert c.Json() == collection.field("price").kind
