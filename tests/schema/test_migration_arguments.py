"""What a host hands to migrations by mistake: named, with step, operation and what was expected."""

import enum
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from databackup import (
    Collection,
    Recorder,
    Reference,
    Schema,
    export_all,
    inspect_archive,
    iter_export,
    migrate_archive,
    migration,
    verify_archive,
)
from databackup.adapters.memory import MemoryRepository
from databackup.errors import SchemaError
from databackup.migrations.way import check_chain
from databackup.schema import Field
from databackup.schema.kinds import Int
from databackup.schema.versions import FrozenVersion, Versions, check_frozen, freeze
from databackup.testing import check_migrations, check_schema

PEOPLE = Collection("people", key="id", fields={"id": int, "name": str})


def untyped(value: object) -> Any:
    """A value of a wrong type, as somebody without a type checker hands it over."""
    return value


class Course(enum.Enum):
    """A course of a menu."""

    MAIN = "main"


# -- what a step records ---------------------------------------------------------------------------

Record = Callable[[Any], Any]

NAMES: dict[str, tuple[Record, str]] = {
    "rename_collection old": (lambda m: m.rename_collection(5, "b"), "old"),
    "rename_collection new": (lambda m: m.rename_collection("a", 5), "new"),
    "rename_field collection": (lambda m: m.rename_field(5, "a", "b"), "collection"),
    "rename_field old": (lambda m: m.rename_field("a", 5, "b"), "old"),
    "rename_field new": (lambda m: m.rename_field("a", "b", 5), "new"),
    "add_field collection": (lambda m: m.add_field(5, "b", int, default=1), "collection"),
    "add_field name": (lambda m: m.add_field("a", 5, int, default=1), "name"),
    "remove_field collection": (lambda m: m.remove_field(5, "b"), "collection"),
    "remove_field name": (lambda m: m.remove_field("a", 5), "name"),
    "change_kind collection": (lambda m: m.change_kind(5, "b", int), "collection"),
    "change_kind name": (lambda m: m.change_kind("a", 5, int), "name"),
    "map_records collection": (lambda m: m.map_records(5, dict), "collection"),
    "add_collection name": (lambda m: m.add_collection(5, fields={"a": int}), "name"),
    "remove_collection name": (lambda m: m.remove_collection(5), "name"),
    "change_key collection": (lambda m: m.change_key(5, "a"), "collection"),
    "add_reference collection": (lambda m: m.add_reference(5, "a", "b"), "collection"),
    "add_reference to": (lambda m: m.add_reference("a", "b", 5), "to"),
    "remove_reference collection": (lambda m: m.remove_reference(5, "a", "b"), "collection"),
    "remove_reference to": (lambda m: m.remove_reference("a", "b", 5), "to"),
    "split_collection collection": (
        lambda m: m.split_collection(5, "b", fields="c"),
        "collection",
    ),
    "split_collection into": (lambda m: m.split_collection("a", 5, fields="c"), "into"),
    "move_field source": (lambda m: m.move_field(5, "b", "c", via="d"), "source"),
    "move_field field": (lambda m: m.move_field("a", 5, "c", via="d"), "field"),
    "move_field target": (lambda m: m.move_field("a", "b", 5, via="d"), "target"),
}

SEVERAL: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "add_collection a": (lambda m, v: m.add_collection("a", fields={"b": int}, key=v), "key"),
    "change_key a": (lambda m, v: m.change_key("a", v), "key"),
    "add_reference a to c": (lambda m, v: m.add_reference("a", v, "c"), "fields"),
    "add_reference a to d": (lambda m, v: m.add_reference("a", "b", "d", v), "to_fields"),
    "remove_reference a to c": (lambda m, v: m.remove_reference("a", v, "c"), "fields"),
    "remove_reference a to d": (lambda m, v: m.remove_reference("a", "b", "d", v), "to_fields"),
    "split_collection a into b": (lambda m, v: m.split_collection("a", "b", fields=v), "fields"),
    "move_field a.b to c": (lambda m, v: m.move_field("a", "b", "c", via=v), "via"),
}

OTHERS: dict[str, tuple[Record, str]] = {
    "no position": (
        lambda m: m.add_field("a", "b", int | None, position=True),
        "add_field a.b: position is an integer, not bool True",
    ),
    "no kind": (
        lambda m: m.add_field("a", "b", object),
        "add_field a.b: types that cannot be backed up: a.b: object is not supported",
    ),
    "no other kind": (
        lambda m: m.change_kind("a", "b", 5),
        "change_kind a.b: types that cannot be backed up: a.b: 5 is not supported",
    ),
    "a member as default": (
        lambda m: m.add_field("a", "course", Course, default=Course.MAIN),
        (
            "add_field a.course: the default of a.course: expected one of 'main', found Course "
            "<Course.MAIN: 'main'>; say its .value"
        ),
    ),
    "a member as another default": (
        lambda m: m.change_kind("a", "course", Course, default=Course.MAIN),
        "found Course <Course.MAIN: 'main'>; say its .value",
    ),
    "no function": (
        lambda m: m.map_records("a", 5),
        "map_records a: function is a function, not int 5",
    ),
    "no choice": (
        lambda m: m.map_records("a", dict, changes_key=1),
        "map_records a: changes_key is true or false, not int 1",
    ),
    "no fields": (
        lambda m: m.add_collection("a", fields=None),
        "add_collection a: fields is types or kinds by name, or a list of Field, not null",
    ),
    "names as fields": (
        lambda m: m.add_collection("a", fields=["id"]),
        "add_collection a: fields has str 'id', which is no Field",
    ),
    "a name that is none": (
        lambda m: m.add_collection("a", fields={5: int}),
        "the field 5: its name is not text that UTF-8 can hold",
    ),
    "no references": (
        lambda m: m.add_collection("a", fields={"b": int}, references=5),
        "add_collection a: references is a list of Reference, not int 5",
    ),
    "names as references": (
        lambda m: m.add_collection("a", fields={"b": int}, references=["b"]),
        "add_collection a: references has str 'b', which is no Reference",
    ),
}


def refusal(record: Record) -> str:
    """What a step of version 1 is refused for, behind its name."""
    with pytest.raises(SchemaError) as caught:
        migration(1, 2, record)
    name = getattr(record, "__name__", type(record).__name__)
    start = f"the migration 1 to 2 ({name}): "
    assert caught.value.message.startswith(start)
    return caught.value.message.removeprefix(start)


def given(record: Callable[[Any, Any], Any], value: object) -> Record:
    """A step that hands a value to an operation."""
    return lambda m: record(m, value)


@pytest.mark.parametrize("case", NAMES)
def test_what_is_no_name(case: str) -> None:
    """Step, operation and argument are named."""
    record, argument = NAMES[case]
    operation, _, _ = case.partition(" ")
    assert f"{operation}: {argument} is a name, not int 5" == refusal(record)


@pytest.mark.parametrize("case", SEVERAL)
def test_what_are_no_names(case: str) -> None:
    """One name or several, and nothing else, nor something else among them."""
    record, argument = SEVERAL[case]
    for value, found in ((None, "null"), (5, "int 5"), (True, "bool True")):
        said = f"{case}: {argument} is a name, or a list of names, not {found}"
        assert said == refusal(given(record, value))
    said = f"{case}: {argument}[1] is a name, not null"
    assert said == refusal(given(record, ["x", None]))
    assert f"{case}: {argument}[0] is a name, not int 97" == refusal(given(record, b"a"))


@pytest.mark.parametrize("case", OTHERS)
def test_what_no_operation_can_have(case: str) -> None:
    """Functions, kinds, defaults, fields and references."""
    record, said = OTHERS[case]
    assert said in refusal(record)


def test_a_collection_of_fields_and_references() -> None:
    """Fields and references may come one by one."""
    reference = Reference("up", "notes")
    step = migration(
        1,
        2,
        lambda m: m.add_collection(
            "notes",
            fields=(field for field in (*PEOPLE.fields, Field("up", Int()))),
            key=iter(["id"]),
            references=iter([reference]),
        ),
    )
    notes = step.apply({})["notes"]
    assert (("id", "name", "up"), ("id",)) == (notes.field_names, notes.key)
    assert [("up",)] == [found.fields for found in notes.references]


def test_a_default_that_is_a_member_applied(tmp_path: Path) -> None:
    """Where only the collections tell the kind, it is said when the step is applied."""
    courses = Collection("a", key="id", fields={"id": int, "course": Course})
    step = migration(1, 2, lambda m: m.remove_field("a", "course", default=Course.MAIN))
    with pytest.raises(SchemaError, match=r"remove_field a\.course: .*; say its \.value"):
        step.apply({"a": courses})


# -- the step itself -------------------------------------------------------------------------------


@pytest.mark.parametrize("stranger", [5, None, "split", PEOPLE])
def test_what_is_no_function(stranger: Any) -> None:
    """The decorator is for functions."""
    with pytest.raises(SchemaError, match=r"^the migration 1 to 2: it is made of a function, not"):
        migration(1, 2)(stranger)


@pytest.mark.parametrize("version", ["1", 1.0, True, None])
def test_what_is_no_version_of_a_step(version: Any) -> None:
    """Versions are integers."""
    for pair in ((version, 2), (1, version)):
        with pytest.raises(SchemaError, match=r"^a migration: versions are integers, not"):
            untyped(migration)(*pair, lambda m: None)


def generating(m: Any) -> Any:
    """A function that yields records nothing before somebody asks."""
    yield m.remove_collection("a")


async def awaited(m: Recorder) -> None:
    """A coroutine records nothing, either."""
    m.remove_collection("a")


def returning(m: Any) -> Any:
    """A function that hands something back."""
    return [m.remove_collection("a")]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "function,found",
    [(generating, "generator"), (awaited, "coroutine"), (returning, "list [None]")],
)
def test_a_step_that_returns_something(function: Any, found: str) -> None:
    """It may have recorded nothing at all, so it is refused."""
    said = f"its function calls operations and returns nothing, not {found}"
    assert refusal(function).startswith(said)


def test_what_a_step_raises_itself() -> None:
    """An error of the host's own goes through as it is."""
    with pytest.raises(ZeroDivisionError):
        migration(1, 2, lambda m: untyped(1 // 0))


# -- schemas ---------------------------------------------------------------------------------------

SCHEMAS: dict[str, tuple[dict[str, Any], str]] = {
    "no collections": ({"collections": None}, "the schema's collections: expected a list, not"),
    "one collection": ({"collections": PEOPLE}, "the schema's collections: expected a list, not"),
    "no migrations": ({"migrations": None}, "the schema's migrations: expected a list, not None"),
    "one migration": (
        {"migrations": migration(1, 2, lambda m: None)},
        "the schema's migrations: expected a list, not Migration",
    ),
    "functions": ({"migrations": [len]}, "is no migration: make it one with @migration(1, 2)"),
    "no version": ({"version": "2"}, "the version is an integer from 1 on, not '2'"),
    "truth": ({"version": True}, "the version is an integer from 1 on, not True"),
    "no folder": ({"versions": 5}, "the folder of versions is a path, not 5"),
    "bytes": ({"versions": b"versions"}, "the folder of versions is a path, not b'versions'"),
    "Versions": (
        {"versions": Versions("x")},
        "the folder of versions is a path, not Versions('x')",
    ),
    "no reasons": ({"exclude": ["log"]}, "what the schema excludes: expected reasons by name, not"),
    "no reason": ({"exclude": {"log": None}}, "what is excluded has a name and a reason, not"),
    "no app": ({"app": 5}, "the app's name is text that is not empty, not 5"),
}


@pytest.mark.parametrize("case", SCHEMAS)
def test_what_makes_no_schema(case: str) -> None:
    """Whatever is handed to `Schema`, it is a SchemaError that names the argument."""
    arguments, said = SCHEMAS[case]
    with pytest.raises(SchemaError) as caught:
        Schema(**{"collections": [PEOPLE], **arguments})
    assert said in caught.value.message


@pytest.mark.parametrize(
    "make,said",
    [
        (
            lambda: Collection("a", fields=untyped(None)),
            "the fields of a: expected a list, not None",
        ),
        (
            lambda: Collection("a", fields={"b": int}, key=untyped(5)),
            "names of fields: expected a list, not 5",
        ),
        (
            lambda: Collection("a", fields={"b": int}, references=untyped(5)),
            "the references of a: expected a list, not 5",
        ),
        (
            lambda: Collection("a", fields={"b": int}, exclude=untyped(["x"])),
            "what a excludes: expected reasons by name, not ['x']",
        ),
        (lambda: Reference(untyped(None), "a"), "names of fields: expected a list, not None"),
    ],
)
def test_what_makes_no_collection(make: Callable[[], object], said: str) -> None:
    """The same for collections and references."""
    with pytest.raises(SchemaError) as caught:
        make()
    assert said == caught.value.message


def test_iterators_are_lists_enough() -> None:
    """Collections and migrations may come one by one."""
    schema = Schema(collections=untyped(iter([PEOPLE])), migrations=iter(()))
    assert ((PEOPLE,), ()) == (schema.collections, schema.migrations)


def test_paths_of_versions(tmp_path: Path) -> None:
    """A folder is text or a path."""

    class Place(os.PathLike[str]):
        def __fspath__(self) -> str:
            return str(tmp_path)

    for folder in (str(tmp_path), tmp_path, Place()):
        assert () == Versions(folder).numbers
        Schema(collections=[PEOPLE], versions=folder)
    for stranger in (5, None, b"x"):
        with pytest.raises(TypeError, match=r"^a folder of versions is a path, not "):
            Versions(untyped(stranger))


# -- functions -------------------------------------------------------------------------------------

SCHEMA = Schema(app="club", collections=[PEOPLE])


def archive() -> io.BytesIO:
    """An archive of version 1."""
    written = io.BytesIO()
    export_all(MemoryRepository(SCHEMA, {"people": []}), written)
    return io.BytesIO(written.getvalue())


TAKERS: dict[str, Callable[[Any], object]] = {
    "freeze": freeze,
    "check_frozen": check_frozen,
    "check_chain": check_chain,
    "check_schema": check_schema,
    "check_migrations": check_migrations,
    "migrate_archive": lambda schema: migrate_archive(archive(), io.BytesIO(), schema),
    "verify_archive": lambda schema: verify_archive(archive(), schema),
    "inspect_archive": lambda schema: inspect_archive(archive(), schema),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("stranger", [5, "schema", [PEOPLE], FrozenVersion.of(SCHEMA), Schema])
def test_what_is_no_schema(taker: str, stranger: Any) -> None:
    """It is said what it is instead."""
    with pytest.raises(TypeError, match=r"^a schema is a Schema, not "):
        TAKERS[taker](stranger)


@pytest.mark.parametrize("version", ["1", 1.0, True, b"1", [1]])
def test_what_is_no_version(version: Any) -> None:
    """Nothing is written, also where it is equal to today's."""
    repository = MemoryRepository(SCHEMA, {"people": []})
    written = io.BytesIO()
    for use in (
        lambda: export_all(repository, written, version=version),
        lambda: iter_export(repository, version=version),
        lambda: migrate_archive(archive(), written, SCHEMA, version=version),
    ):
        with pytest.raises(TypeError, match=r"^a version is an integer, not "):
            use()
    assert b"" == written.getvalue()


CHECKS: dict[str, tuple[dict[str, Any], str]] = {
    "values": ({"values": []}, "values is a dict by version, not list []"),
    "values by text": ({"values": {"1": {}}}, "values is a dict by version, not by str '1'"),
    "no strategies": (
        {"values": {1: st.none()}},
        "values of version 1 are strategies by field, not ",
    ),
    "no strategy": (
        {"values": {1: {"people.name": "Ana"}}},
        "values of version 1 are strategies by field, not dict {'people.name': 'Ana'}",
    ),
    "adjust": ({"adjust": dict}, "adjust is a dict by version, not type <class 'dict'>"),
    "adjust by truth": ({"adjust": {True: dict}}, "adjust is a dict by version, not by bool True"),
    "no function": ({"adjust": {1: 5}}, "adjust of version 1 is a function, not int 5"),
    "max_examples": ({"max_examples": "5"}, "max_examples is an integer, not str '5'"),
    "no records": (
        {"adjust": {1: lambda _: None}},
        "adjust of version 1 returns lists of dicts by collection, not null",
    ),
    "no lists": (
        {"adjust": {1: lambda _: {"people": None}}},
        "adjust of version 1 returns lists of dicts by collection, not dict {'people': None}",
    ),
    "no dicts": (
        {"adjust": {1: lambda _: {"people": [(1, "Ana")]}}},
        "adjust of version 1 returns lists of dicts by collection, not dict {'people': [(1, ",
    ),
}


@pytest.mark.parametrize("case", CHECKS)
def test_what_no_check_can_have(tmp_path: Path, case: str) -> None:
    """What a host's own test says wrongly is a TypeError, and no failure of its migrations."""
    freeze(_in(tmp_path, 1))
    today = _in(tmp_path, 2, migration(1, 2, lambda m: None))
    freeze(today)
    arguments, said = CHECKS[case]
    with pytest.raises(TypeError) as caught:
        check_migrations(today, **arguments)
    assert str(caught.value).startswith(said)


def _in(folder: Path, version: int, *steps: Any) -> Schema:
    return Schema(
        app="club", version=version, collections=[PEOPLE], versions=folder, migrations=steps
    )
