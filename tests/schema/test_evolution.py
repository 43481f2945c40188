"""Each recorded operation: what it makes of collections, what undoes it, and what it refuses."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import pytest

from databackup import Collection, Json, Recorder, Reference, Schema, migration
from databackup.errors import SchemaError
from databackup.schema.across import MoveField, SplitCollection
from databackup.schema.evolution import NO_DEFAULT, Operation, described
from databackup.schema.requirements import CannotApply, Collections
from databackup.schema.versions import differences

Record = Callable[[Recorder], None]


def doing(*records: Record) -> Record:
    """Several functions as one."""

    def all_of_them(m: Recorder) -> None:
        for record in records:
            record(m)

    return all_of_them


PEOPLE = Collection("people", key="id", fields={"id": int, "name": str, "mail": str | None})
MENUS = Collection(
    "menus",
    key=("day", "nr"),
    fields={"day": datetime.date, "nr": int, "cook": int, "helper": int | None, "dish": str},
    references=[Reference("cook", "people"), Reference("helper", "people", "id")],
)
LOG = Collection("log", fields={"line": str})


def before() -> Collections:
    """What operations are applied to."""
    return described([PEOPLE, MENUS, LOG])


def recorded(record: Record) -> list[Operation]:
    """The operations that a function records."""
    return list(migration(1, 2, record).operations)


def applied(record: Record, state: Collections | None = None) -> Collections:
    """The collections after what a function records."""
    return migration(1, 2, record).apply(before() if state is None else state)


def changes(record: Record) -> list[str]:
    """What a function's operations change, in words."""
    return list(differences(before(), applied(record)))


CHANGES: dict[str, tuple[Record, list[str], str]] = {
    "rename_collection": (
        lambda m: m.rename_collection("people", "cooks"),
        [
            "the collection 'people' is gone",
            "the collection 'cooks' is new",
            "the reference of menus (cook) to people (id) is gone",
            "the reference of menus (helper) to people (id) is gone",
            "the reference of menus (cook) to cooks (id) is new",
            "the reference of menus (helper) to cooks (id) is new",
        ],
        "rename_collection people to cooks",
    ),
    "rename_field": (
        lambda m: m.rename_field("people", "id", "no"),
        [
            "the field people.id is gone",
            "the field people.no is new",
            "the key of people was (id), is (no)",
            "the reference of menus (cook) to people (id) is gone",
            "the reference of menus (helper) to people (id) is gone",
            "the reference of menus (cook) to people (no) is new",
            "the reference of menus (helper) to people (no) is new",
        ],
        "rename_field people.id to no",
    ),
    "add_field": (
        lambda m: m.add_field("people", "price", Decimal, default=Decimal("0.10")),
        ["the field people.price is new"],
        "add_field people.price (decimal) = Decimal Decimal('0.10')",
    ),
    "remove_field": (
        lambda m: m.remove_field("people", "mail"),
        ["the field people.mail is gone"],
        "remove_field people.mail",
    ),
    "change_kind": (
        lambda m: m.change_kind("people", "mail", Json | None),
        ['the field people.mail was str {"nullable": true}, is json {"nullable": true}'],
        "change_kind people.mail to json or null",
    ),
    "change_kind using": (
        lambda m: m.change_kind("people", "name", bytes, using=str.encode, inverse=bytes.decode),
        ["the field people.name was str, is bytes"],
        "change_kind people.name to bytes using str.encode",
    ),
    "map_records": (
        lambda m: m.map_records("people", dict, inverse=dict),
        [],
        "map_records people using dict",
    ),
    "add_collection": (
        lambda m: m.add_collection(
            "notes",
            fields={"id": int, "by": int, "on": int | None},
            key="id",
            references=[Reference("by", "people"), Reference("on", "notes")],
        ),
        ["the collection 'notes' is new"],
        "add_collection notes",
    ),
    "remove_collection": (
        lambda m: m.remove_collection("menus"),
        ["the collection 'menus' is gone"],
        "remove_collection menus",
    ),
    "change_key": (
        lambda m: m.change_key("people", ["name", "id"]),
        ["the key of people was (id), is (name, id)"],
        "change_key people to name, id",
    ),
    "change_key to none": (
        lambda m: m.change_key("menus", ()),
        ["the key of menus was (day, nr), is ()"],
        "change_key menus to none",
    ),
    "add_reference": (
        lambda m: m.add_reference("menus", "nr", "people"),
        ["the reference of menus (nr) to people (id) is new"],
        "add_reference menus (nr) to people",
    ),
    "remove_reference": (
        lambda m: m.remove_reference("menus", ["cook"], "people"),
        ["the reference of menus (cook) to people (id) is gone"],
        "remove_reference menus (cook) to people",
    ),
    "split_collection": (
        lambda m: m.split_collection("people", "mails", fields="mail"),
        ["the field people.mail is gone", "the collection 'mails' is new"],
        "split_collection people into mails (mail)",
    ),
    "move_field": (
        lambda m: m.move_field("people", "mail", "menus", via="cook"),
        ["the field people.mail is gone", "the field menus.mail is new"],
        "move_field people.mail to menus by cook",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_apply(name: str) -> None:
    """What differs afterwards, and how the operation is told; what undoes it gives all back."""
    record, expected, told = CHANGES[name]
    (operation,) = recorded(record)
    assert expected == changes(record)
    assert told == str(operation)
    assert operation.name == name.split(" ", maxsplit=1)[0]
    inverse = operation.inverse(before())
    assert inverse is not None
    after = inverse.apply(operation.apply(before()))
    assert [] == list(differences(before(), after))
    assert before()["people"].field_names == after["people"].field_names


REFUSED: dict[str, tuple[Record, str]] = {
    "no collection": (lambda m: m.rename_collection("x", "y"), "there is no collection 'x'"),
    "taken": (
        lambda m: m.rename_collection("log", "menus"),
        "there is a collection 'menus' already",
    ),
    "no field": (lambda m: m.rename_field("log", "x", "y"), "there is no field log.x"),
    "field taken": (
        lambda m: m.rename_field("people", "name", "mail"),
        "there is a field people.mail already",
    ),
    "field added twice": (
        lambda m: m.add_field("log", "line", str, default=""),
        "there is a field log.line already",
    ),
    "remove of the key": (
        lambda m: m.remove_field("people", "id"),
        "people.id is of the key: change_key first",
    ),
    "remove of a reference": (
        lambda m: m.remove_field("menus", "cook"),
        "menus.cook is of the reference of menus to people: remove_reference first",
    ),
    "remove of what is referred to": (
        doing(lambda m: m.change_key("people", "name"), lambda m: m.remove_field("people", "id")),
        "people.id is of the reference of menus to people: remove_reference first",
    ),
    "default of a removed field": (
        lambda m: m.remove_field("people", "mail", default=5),
        "the default of people.mail: expected text, found int 5",
    ),
    "kind of no field": (lambda m: m.change_kind("log", "x", str), "there is no field log.x"),
    "map of nothing": (lambda m: m.map_records("x", dict), "there is no collection 'x'"),
    "collection added twice": (
        lambda m: m.add_collection("log", fields={"a": int}),
        "there is a collection 'log' already",
    ),
    "added with a reference to nothing": (
        lambda m: m.add_collection("n", fields={"a": int}, references=[Reference("a", "x")]),
        "there is no collection 'x'",
    ),
    "added with a reference of no field": (
        lambda m: m.add_collection("n", fields={"a": int}, references=[Reference("b", "people")]),
        "there is no field n.b",
    ),
    "added with a reference of another kind": (
        lambda m: m.add_collection("n", fields={"a": str}, references=[Reference("a", "people")]),
        "n.a is of the kind str, people.id of the kind int",
    ),
    "remove of what is referred to by": (
        lambda m: m.remove_collection("people"),
        "menus refers to people: remove_reference first",
    ),
    "key of no field": (lambda m: m.change_key("log", "x"), "there is no field log.x"),
    "reference there": (
        lambda m: m.add_reference("menus", "cook", "people", "id"),
        "there is such a reference already",
    ),
    "reference to no key": (
        lambda m: m.add_reference("people", "name", "log"),
        "log has no key that a reference could point at",
    ),
    "reference of another size": (
        lambda m: m.add_reference("people", "id", "menus"),
        "(id) has another number of fields than menus (day, nr)",
    ),
    "no such reference": (
        lambda m: m.remove_reference("menus", "nr", "people"),
        "there is no such reference",
    ),
    "several such references": (
        doing(
            lambda m: m.add_reference("menus", "dish", "people", "name"),
            lambda m: m.add_reference("menus", "dish", "people", "mail"),
            lambda m: m.remove_reference("menus", "dish", "people"),
        ),
        "there are several such references: say to_fields",
    ),
    "split without a key": (
        lambda m: m.split_collection("log", "x", fields=["line"]),
        "log has no key by which records could be told apart",
    ),
    "split of nothing": (
        lambda m: m.split_collection("people", "x", fields=[]),
        "no fields of people are named",
    ),
    "split of a field twice": (
        lambda m: m.split_collection("people", "x", fields=["mail", "mail"]),
        "a field of people is named twice",
    ),
    "split into what is there": (
        lambda m: m.split_collection("people", "log", fields=["mail"]),
        "there is a collection 'log' already",
    ),
    "split of the key": (
        lambda m: m.split_collection("people", "x", fields=["id"]),
        "people.id is of the key: change_key first",
    ),
    "moved by no reference": (
        lambda m: m.move_field("people", "mail", "menus", via="nr"),
        "no reference leads by nr between people and menus",
    ),
    "moved to itself": (
        lambda m: m.move_field("people", "mail", "people", via="id"),
        "there is a field people.mail already",
    ),
    "moved by one of several": (
        doing(
            lambda m: m.add_field("people", "cook", int | None),
            lambda m: m.change_key("menus", "nr"),
            lambda m: m.add_reference("people", "cook", "menus"),
            lambda m: m.move_field("people", "mail", "menus", via="cook"),
        ),
        "several references lead by cook between people and menus",
    ),
    "moved between other kinds": (
        doing(
            lambda m: m.change_kind("people", "id", str, using=str),
            lambda m: m.move_field("people", "mail", "menus", via="cook"),
        ),
        "menus.cook is of the kind int, people.id of the kind str",
    ),
    "moved with another default": (
        lambda m: m.move_field("people", "mail", "menus", via="cook", default=1),
        "the default of people.mail: expected text, found int 1",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """An operation that does not fit says what and where, with its step."""
    record, expected = REFUSED[name]
    with pytest.raises(SchemaError) as caught:
        applied(record)
    (problem,) = caught.value.problems
    operation = recorded(record)[-1]
    assert f"{operation}: {expected}" == problem
    assert "the migration 1 to 2 (" in str(caught.value)


RECORDED: dict[str, tuple[Record, str]] = {
    "no default": (
        lambda m: m.add_field("a", "b", int),
        "a field that may not be null needs a default",
    ),
    "another default": (
        lambda m: m.add_field("a", "b", int, default="1"),
        "the default of a.b: expected an integer, found str '1'",
    ),
    "a null default": (
        lambda m: m.add_field("a", "b", int, default=None),
        "the default of a.b: expected an integer, found null",
    ),
    "another default of a kind": (
        lambda m: m.change_kind("a", "b", int, default="1"),
        "the default of a.b: expected an integer, found str '1'",
    ),
    "no kind": (lambda m: m.add_field("a", "b", object), "a.b"),
    "a position that is none": (
        lambda m: m.add_field("a", "b", int | None, position=cast("Any", "first")),
        "position is an integer, not str 'first'",
    ),
    "what makes no values": (
        lambda m: m.change_kind("a", "b", int, using=cast("Any", "int")),
        "using is a function, not str 'int'",
    ),
    "what undoes no values": (
        lambda m: m.change_kind("a", "b", int, using=int, inverse=cast("Any", 5)),
        "inverse is a function, not int 5",
    ),
    "no function": (lambda m: m.map_records("a", cast("Any", None)), "it needs a function"),
    "what undoes no records": (
        lambda m: m.map_records("a", dict, inverse=cast("Any", "x")),
        "inverse is a function, not str 'x'",
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_refused_when_recorded(name: str) -> None:
    """What no operation can have is refused at once."""
    record, expected = RECORDED[name]
    with pytest.raises(SchemaError) as caught:
        recorded(record)
    assert expected in str(caught.value)


INVERSES: dict[str, tuple[Record, bool]] = {
    "remove_field": (lambda m: m.remove_field("people", "name"), False),
    "remove_field with a default": (lambda m: m.remove_field("people", "name", default=""), True),
    "remove_field of null": (lambda m: m.remove_field("people", "mail"), True),
    "change_kind": (lambda m: m.change_kind("menus", "nr", str, using=str), False),
    "change_kind both ways": (
        lambda m: m.change_kind("menus", "nr", str, using=str, inverse=int),
        True,
    ),
    "change_kind to null": (lambda m: m.change_kind("people", "name", str | None), False),
    "change_kind from null": (lambda m: m.change_kind("people", "mail", str, default=""), True),
    "map_records": (lambda m: m.map_records("people", dict), False),
    "move_field": (lambda m: m.move_field("people", "name", "menus", via="cook"), False),
    "move_field with a default": (
        lambda m: m.move_field("people", "name", "menus", via="cook", default=""),
        True,
    ),
    "move_field against the reference": (
        lambda m: m.move_field("menus", "dish", "people", via="cook"),
        False,
    ),
    "move_field against the reference with a default": (
        lambda m: m.move_field("menus", "dish", "people", via="cook", default=""),
        True,
    ),
}


@pytest.mark.parametrize("name", INVERSES)
def test_inverses(name: str) -> None:
    """Where something would be missing on the way back there is no inverse."""
    record, has_one = INVERSES[name]
    step = migration(1, 2, record)
    inverse = step.inverse(before())
    assert has_one == (not isinstance(inverse, Operation))
    if has_one:
        assert isinstance(inverse, type(step))
        assert (2, 1) == (inverse.source, inverse.target)
        assert [] == list(differences(before(), inverse.apply(step.apply(before()))))
    else:
        assert step.operations[0] == inverse


def test_a_moved_field_may_be_null_where_records_have_no_partner() -> None:
    """By a reference that may be null, or against one; never with a default."""
    by_helper = applied(lambda m: m.move_field("people", "name", "menus", via="helper"))
    assert by_helper["menus"].field("name").nullable
    by_cook = applied(lambda m: m.move_field("people", "name", "menus", via="cook"))
    assert not by_cook["menus"].field("name").nullable
    back = applied(lambda m: m.move_field("menus", "dish", "people", via="cook"))
    assert back["people"].field("dish").nullable
    default = applied(lambda m: m.move_field("menus", "dish", "people", via="cook", default=""))
    assert not default["people"].field("dish").nullable


def test_one_of_several_references_is_removed() -> None:
    """And the other one stays, also when an added one is undone."""

    def two(m: Recorder) -> None:
        m.add_reference("menus", "dish", "people", "name")
        m.add_reference("menus", "dish", "people", "mail")

    both = applied(two)
    one = applied(lambda m: m.remove_reference("menus", "dish", "people", "name"), both)
    assert Reference("dish", "people", "mail") in one["menus"].references
    assert 3 == len(one["menus"].references)
    undone = migration(1, 2, two).operations[1].inverse(both)
    assert undone is not None
    assert Reference("dish", "people", "name") in undone.apply(both)["menus"].references


def test_positions() -> None:
    """A field goes where it is wanted, and undone, back to where it was."""
    after = applied(lambda m: m.add_field("people", "x", str | None, position=1))
    assert ("id", "x", "name", "mail") == after["people"].field_names
    moved = MoveField("people", "mail", "menus", ("cook",), position=0)
    assert ("mail", "day") == moved.apply(before())["menus"].field_names[:2]
    split = SplitCollection("menus", "rest", ("nr",))
    assert split.fields == ("nr",)


def test_no_default_is_told() -> None:
    """None is a default."""
    assert "no default" == repr(NO_DEFAULT)


# -- chains ----------------------------------------------------------------------------------------


def _steps(*pairs: tuple[int, int]) -> list[Any]:
    return [migration(a, b, lambda _: None) for a, b in pairs]


CHAINS: list[tuple[list[tuple[int, int]], int, list[str]]] = [
    ([], 5, []),
    ([(1, 2), (2, 3)], 3, []),
    ([(2, 3)], 3, []),
    ([(2, 3), (1, 2)], 3, []),
    ([(1, 2), (3, 4)], 4, ["no migration leads from version 2 to 3"]),
    (
        [(1, 2)],
        4,
        ["no migration leads from version 2 to 3", "no migration leads from version 3 to 4"],
    ),
    ([(1, 3)], 3, ["the migration 1 to 3 (<lambda>) leaves out a version: each leads to the next"]),
    (
        [(1, 2), (2, 1)],
        2,
        ["the migration 2 to 1 (<lambda>) leads back: each leads to the next version"],
    ),
    ([(2, 2)], 2, ["the migration 2 to 2 (<lambda>) leads back: each leads to the next version"]),
    ([(0, 1)], 1, ["the migration 0 to 1 (<lambda>): versions are counted from 1"]),
    ([(1, 2), (2, 3)], 2, ["the migration 2 to 3 (<lambda>) leads beyond the schema's version 2"]),
    ([(1, 2), (1, 2)], 2, ["two migrations lead from version 1: <lambda> and <lambda>"]),
]


@pytest.mark.parametrize("pairs,version,expected", CHAINS)
def test_chains(pairs: list[tuple[int, int]], version: int, expected: list[str]) -> None:
    """Gaps, doubles and cycles are refused when a schema is built."""
    try:
        Schema(collections=[PEOPLE], version=version, migrations=_steps(*pairs))
        problems: tuple[str, ...] = ()
    except SchemaError as error:
        problems = tuple(error.problems)
    assert tuple(expected) == problems


def test_joining_what_was_split() -> None:
    """What undoes a split is undone by it, and joins only what is alike."""
    (split,) = recorded(lambda m: m.split_collection("people", "mails", fields="mail"))
    join = split.inverse(before())
    assert join is not None
    assert split == join.inverse(split.apply(before()))
    assert "join_collection mails into people" == str(join)

    def otherwise(record: Record) -> Collections:
        return applied(record, split.apply(before()))

    for state, said in (
        (otherwise(lambda m: m.change_key("mails", "mail")), "mails and people have other keys"),
        (
            otherwise(lambda m: m.change_kind("mails", "id", str)),
            "mails.id is of the kind str, people.id of the kind int",
        ),
        (
            otherwise(lambda m: m.remove_field("people", "name", default="")),
            "people and mails have other fields",
        ),
        (otherwise(lambda m: m.remove_collection("mails")), "there is no collection 'mails'"),
    ):
        with pytest.raises(CannotApply) as caught:
            join.apply(state)
        assert said == str(caught.value)


def test_what_is_no_migration() -> None:
    """A function without its decorator is named, and versions are integers."""

    def forgotten(_m: Recorder) -> None: ...

    with pytest.raises(SchemaError, match="is no migration: make it one with @migration"):
        Schema(collections=[PEOPLE], version=2, migrations=[forgotten])  # type: ignore[list-item]
    with pytest.raises(SchemaError, match="versions are integers, not '1' and 2"):
        migration("1", 2, forgotten)  # type: ignore[call-overload]
    with pytest.raises(SchemaError, match="the version is an integer"):
        Schema(collections=[PEOPLE], version="2", migrations=_steps((1, 2)))  # type: ignore[arg-type]


def test_a_step_is_recorded_once() -> None:
    """By the decorator, with its name; a callable without one is named for its class."""
    calls = []

    @migration(1, 2)
    def renames(m: Recorder) -> None:
        calls.append(m)
        m.rename_collection("people", "cooks")

    renames.apply(before())
    renames.apply(before())
    assert 1 == len(calls)
    assert "1 to 2 (renames)" == str(renames)

    class Step:
        def __call__(self, m: Recorder) -> None:
            m.remove_collection("log")

    assert "1 to 2 (Step)" == str(migration(1, 2, Step()))
