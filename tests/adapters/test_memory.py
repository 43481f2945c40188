"""What the repository in memory does with the host's own lists and dicts."""

import contextlib
import enum
from collections import UserDict
from decimal import Decimal
from typing import Any

import attrs
import pytest

from databackup.adapters.memory import MemoryRepository
from databackup.errors import (
    InvalidRecords,
    Problem,
    RecordsRefused,
    StoreMismatch,
)
from databackup.schema import Collection, Field, Json, Reference, Schema, kinds
from databackup.testing import AdapterContract


class Course(enum.Enum):
    """A course of a meal."""

    STARTER = "starter"
    MAIN = "main"


@attrs.define
class Menu:
    """A menu with a price that must not be negative."""

    id: int
    price: Decimal = attrs.field(validator=attrs.validators.ge(Decimal(0)))
    tags: list[str] = attrs.field(factory=list)


@attrs.define
class Dish:
    """A dish, by menu and course."""

    menu: int
    course: Course
    name: str


MENUS = Collection.of(Menu, "menus", key="id")
DISHES = Collection.of(
    Dish, "dishes", key=("menu", "course"), references=[Reference("menu", "menus")]
)
NOTES = Collection("notes", fields={"text": str, "data": Json})
SCHEMA = Schema(app="catering", collections=[MENUS, DISHES, NOTES])


class Interrupted(Exception):
    """What a host raises."""


class TestContract(AdapterContract):
    """The whole contract of adapters, over lists."""

    examples = 20

    def make(self, schema: Schema) -> MemoryRepository:
        """A repository over empty lists."""
        return MemoryRepository(schema, {c.name: [] for c in schema.collections})


class TestContractOverDicts(AdapterContract):
    """The whole contract of adapters, over dicts where there is a key."""

    examples = 10

    def make(self, schema: Schema) -> MemoryRepository:
        """A repository over empty dicts."""
        return MemoryRepository(schema, {c.name: {} if c.key else [] for c in schema.collections})


def contents() -> dict[str, Any]:
    """A fresh set of contents, menus in a list, dishes in a dict."""
    return {
        "menus": [Menu(3, Decimal("9.50"), ["vegan"]), Menu(1, Decimal(12))],
        "dishes": {
            (3, Course.MAIN): Dish(3, Course.MAIN, "Curry"),
            (1, Course.STARTER): Dish(1, Course.STARTER, "Soup"),
        },
        "notes": [{"text": "call", "data": {"at": [9, 30]}}, {"text": "call", "data": None}],
    }


def rows_of(repository: MemoryRepository, collection: Collection) -> list[Any]:
    """All rows of a collection."""
    with repository.snapshot() as snapshot:
        return [row for batch in snapshot.rows(collection) for row in batch]


def problems_of(repository: MemoryRepository) -> tuple[Problem, ...]:
    """What a snapshot objects to."""
    with pytest.raises(InvalidRecords) as refused, repository.snapshot():
        pass
    with pytest.raises(InvalidRecords) as again, repository.transaction():
        pass
    assert refused.value.problems == again.value.problems
    return refused.value.problems


# -- contents ----------------------------------------------------------------------------------


def test_instances_are_rows_in_key_order() -> None:
    """Instances in lists and dicts and plain dicts give rows of plain values, in key order."""
    repository = MemoryRepository(SCHEMA, contents())

    assert [(1, Decimal(12), []), (3, Decimal("9.50"), ["vegan"])] == rows_of(repository, MENUS)
    assert [(1, "starter", "Soup"), (3, "main", "Curry")] == rows_of(repository, DISHES)
    assert [("call", {"at": [9, 30]}), ("call", None)] == rows_of(repository, NOTES)


def test_contents_that_do_not_fit_are_refused_at_once() -> None:
    """Missing and unknown names, dicts without a key and other containers are named together."""
    with pytest.raises(StoreMismatch) as refused:
        MemoryRepository(SCHEMA, {"dishes": ((),), "notes": {}, "wines": []})  # type: ignore[dict-item]

    assert (
        "nothing is given for menus",
        "dishes must be a list or a dict, not a tuple",
        "notes has no key, so its records must be in a list, not in a dict",
        "the schema has no collection 'wines'",
    ) == refused.value.differences


def test_records_that_are_no_rows_are_problems() -> None:
    """What is no record of its collection is named by number, and by key and field where known."""
    given = contents()
    given["menus"][1] = {"id": 1}
    given["notes"][0].pop("data")
    given["notes"].append({"text": "x", "data": 1, "more": 2})
    given["dishes"][(1, Course.STARTER)].course = "soup"

    found = problems_of(MemoryRepository(SCHEMA, given))

    assert [
        ("menus", 2, None, None),
        ("dishes", 2, (1, "soup"), None),
        ("notes", 1, None, "data"),
        ("notes", 3, None, "more"),
    ] == [(p.collection, p.record, p.key, p.field) for p in found]
    assert {"invalid-record"} == {p.code for p in found}
    assert "expected an instance of Menu, found dict" == found[0].message


def test_a_key_that_is_there_twice_is_a_problem() -> None:
    """Two records with one key are named, the second with the number of the first."""
    given = contents()
    given["menus"].append(Menu(3, Decimal(1)))

    (problem,) = problems_of(MemoryRepository(SCHEMA, given))

    assert "menus, record 3, key 3: record 1 has the same key" == str(problem)
    assert "duplicate-key" == problem.code


def test_a_dict_must_have_records_under_their_keys() -> None:
    """A record that its dict has under another key is a problem."""
    given = contents()
    given["dishes"][(7, Course.MAIN)] = given["dishes"].pop((3, Course.MAIN))

    (problem,) = problems_of(MemoryRepository(SCHEMA, given))

    assert ("wrong-key", "dishes", 2, (3, "main")) == (
        problem.code,
        problem.collection,
        problem.record,
        problem.key,
    )


@pytest.mark.parametrize("key", [None, "x", [1], float("nan")])
def test_what_cannot_be_a_key_is_a_problem(key: Any) -> None:
    """A key part that is not of its kind, or is NaN, is a problem with its field."""
    schema = Schema(collections=[Collection("a", fields={"id": float}, key="id")])

    (problem,) = problems_of(MemoryRepository(schema, {"a": [{"id": key}]}))

    assert ("invalid-key", "id", 1) == (problem.code, problem.field, problem.record)


def test_values_off_their_kind_come_as_they_are() -> None:
    """A value that is not of its field's kind is yielded as it is, for the caller to name."""
    given = contents()
    given["menus"][0].tags = ["vegan", 1]
    given["menus"][1].price = 12.5

    assert [(1, 12.5, []), (3, Decimal("9.50"), ["vegan", 1])] == rows_of(
        MemoryRepository(SCHEMA, given), MENUS
    )


def test_a_snapshot_is_a_copy() -> None:
    """What the host changes after a snapshot was opened, deep inside too, is not seen in it."""
    given = contents()
    repository = MemoryRepository(SCHEMA, given)
    with repository.snapshot() as snapshot:
        given["menus"][0].tags.append("new")
        given["notes"][0]["data"]["at"].append(0)
        del given["notes"][1]

        assert [(3, Decimal("9.50"), ["vegan"])] == snapshot.get(MENUS, [(3,)])
        assert 2 == snapshot.count(NOTES)
        assert [("call", {"at": [9, 30]}), ("call", None)] == next(snapshot.rows(NOTES))


def test_very_deep_values_do_not_exhaust_the_stack() -> None:
    """A JSON value too deep for any archive is passed on, for the caller to refuse."""
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    schema = Schema(collections=[NOTES])

    assert 1 == len(
        rows_of(MemoryRepository(schema, {"notes": [{"text": "", "data": deep}]}), NOTES)
    )


# -- commits -----------------------------------------------------------------------------------


def test_contents_change_in_place() -> None:
    """The host's own list and dict are changed; what did not change stays the same object."""
    given = contents()
    menus, dishes, notes = given["menus"], given["dishes"], given["notes"]
    before = list(menus), dict(dishes), list(notes)
    repository = MemoryRepository(SCHEMA, given)

    with repository.transaction() as transaction:
        transaction.insert(MENUS, [(2, Decimal(5), ["new"])])
        transaction.update(MENUS, [(3, Decimal("9.50"), ["vegan"]), (1, Decimal(13), [])])
        transaction.delete(DISHES, [(1, "starter")])
        transaction.insert(DISHES, [(2, "main", "Stew")])
        transaction.finish({})

    assert [
        Menu(3, Decimal("9.50"), ["vegan"]),
        Menu(1, Decimal(13)),
        Menu(2, Decimal(5), ["new"]),
    ] == menus
    assert menus[0] is before[0][0]
    assert {
        (3, Course.MAIN): Dish(3, Course.MAIN, "Curry"),
        (2, Course.MAIN): Dish(2, Course.MAIN, "Stew"),
    } == dishes
    assert dishes[3, Course.MAIN] is before[1][3, Course.MAIN]
    assert [True, True] == [new is old for new, old in zip(notes, before[2], strict=True)]


def test_equal_records_stay_the_same_objects_when_all_is_replaced() -> None:
    """Cleared and inserted anew, equal records stay the same objects in their old places."""
    given = contents()
    before = list(given["menus"]), list(given["notes"])
    repository = MemoryRepository(SCHEMA, given)

    with repository.transaction() as transaction:
        transaction.clear(MENUS)
        transaction.insert(MENUS, [(1, Decimal(12), []), (3, Decimal("9.50"), ["vegan"])])
        transaction.clear(NOTES)
        transaction.insert(
            NOTES, [("new", 0), ("call", None), ("call", None), ("call", {"at": [9, 30]})]
        )

    assert [True, True] == [new is old for new, old in zip(given["menus"], before[0], strict=True)]
    assert before[1] == given["notes"][:2]
    assert [True, True] == [new is old for new, old in zip(given["notes"], before[1], strict=False)]
    assert [("new", 0), ("call", None)] == [(n["text"], n["data"]) for n in given["notes"][2:]]


@pytest.mark.parametrize(
    "kind,old,new",
    [
        (kinds.Decimal(), Decimal("1.0"), Decimal("1.00")),
        (kinds.Float(), 0.0, -0.0),
        (kinds.Float(), 0.0, float("nan")),
        (kinds.Int(), True, 1),
        (kinds.Int(), 10**5000, 10**5000 + 1),
    ],
    ids=["scale", "zero", "nan", "bool", "long"],
)
def test_values_that_python_calls_equal_are_changes(kind: Any, old: Any, new: Any) -> None:
    """Another scale, sign of zero or type is a change."""
    fields = [Field("id", kinds.Int()), Field("value", kind)]
    things = Collection("things", fields=fields, key="id")
    given = [{"id": 1, "value": old}, {"id": 2, "value": new}]
    kept = given[1]
    repository = MemoryRepository(Schema(collections=[things]), {"things": given})

    with repository.transaction() as transaction:
        transaction.update(things, [(1, new), (2, new)])

    assert given[0]["value"] is new
    assert given[1] is kept


def test_what_was_written_is_not_shared_with_the_caller() -> None:
    """Lists and objects in rows are copied when they are written."""
    given = contents()
    data = {"at": [1]}
    with MemoryRepository(SCHEMA, given).transaction() as transaction:
        transaction.insert(NOTES, [("new", data)])
        data["at"].append(2)
    data["at"].append(3)

    assert {"text": "new", "data": {"at": [1]}} == given["notes"][-1]


def test_an_exception_leaves_every_object_as_it_was() -> None:
    """After an exception the contents are the same objects, in the same places."""
    given = contents()
    menus, before = given["menus"], list(given["menus"])
    error = Interrupted()

    def work() -> None:
        with MemoryRepository(SCHEMA, given).transaction() as transaction:
            transaction.clear(MENUS)
            transaction.insert(MENUS, [(9, Decimal(1), [])])
            raise error

    with pytest.raises(Interrupted) as raised:
        work()

    assert raised.value is error
    assert given["menus"] is menus
    assert [True, True] == [new is old for new, old in zip(menus, before, strict=True)]


@pytest.mark.parametrize("write", ["insert", "update"])
def test_what_the_model_refuses_is_refused_at_once(write: str) -> None:
    """A row that the model does not take raises RecordsRefused, naming key, field and reason."""
    given = contents()
    key = 9 if write == "insert" else 1
    with MemoryRepository(SCHEMA, given).transaction() as transaction:
        with pytest.raises(RecordsRefused, match=rf"menus, key int {key}, field price: .*>= 0"):
            getattr(transaction, write)(MENUS, [(key, Decimal(-1), [])])
        with pytest.raises(RecordsRefused, match="dishes, key int 1, str 'dessert'"):
            transaction.insert(DISHES, [(1, "dessert", "Ice")])

    assert contents() == given


@pytest.mark.parametrize("key", [None, float("nan"), "1"])
def test_a_row_whose_key_is_none_is_refused(key: Any) -> None:
    """A row with a key part that is not of its kind, or is NaN, is not inserted."""
    things = Collection("things", fields={"id": float}, key="id")
    repository = MemoryRepository(Schema(collections=[things]), {"things": []})

    with (
        repository.transaction() as transaction,
        pytest.raises(RecordsRefused, match="things, key"),
    ):
        transaction.insert(things, [(key,)])


def test_a_key_cannot_be_deleted_twice_in_a_call() -> None:
    """A key that comes twice has no record the second time."""
    with MemoryRepository(SCHEMA, contents()).transaction() as transaction:
        with pytest.raises(RecordsRefused, match="int 1 cannot be deleted twice"):
            transaction.delete(MENUS, [(1,), (1,)])
        assert 2 == transaction.count(MENUS)


def test_without_a_key_nothing_is_found_updated_or_deleted() -> None:
    """Records without a key can only be inserted and cleared."""
    with MemoryRepository(SCHEMA, contents()).transaction() as transaction:
        assert [] == transaction.get(NOTES, [(), (0,)])
        with pytest.raises(RecordsRefused):
            transaction.update(NOTES, [("call", None)])
        with pytest.raises(RecordsRefused):
            transaction.delete(NOTES, [(0,)])


def test_a_savepoint_brings_records_back_to_their_places() -> None:
    """What an undone savepoint had deleted stands where it stood."""
    given = contents()
    before = list(given["menus"])
    with MemoryRepository(SCHEMA, given).transaction() as transaction:
        with contextlib.suppress(Interrupted), transaction.savepoint():
            transaction.delete(MENUS, [(3,)])
            raise Interrupted
        transaction.insert(MENUS, [(2, Decimal(1), [])])

    assert [True, True] == [new is old for new, old in zip(given["menus"], before, strict=False)]


class Full(UserDict[Any, Any]):
    """A dict of the host's own that takes no more than two records."""

    def __setitem__(self, key: Any, item: Any) -> None:
        if len(self) == 2:
            raise Interrupted
        super().__setitem__(key, item)


def test_contents_that_refuse_leave_all_as_it_was() -> None:
    """Where the host's own container raises, what was replaced before it is put back."""
    given = contents() | {"dishes": Full()}
    menus, before = given["menus"], list(given["menus"])

    def work() -> None:
        with MemoryRepository(SCHEMA, given).transaction() as transaction:
            transaction.clear(MENUS)
            transaction.insert(DISHES, [(n, "main", "Stew") for n in range(3)])

    with pytest.raises(Interrupted):
        work()

    assert {} == given["dishes"]
    assert [True, True] == [new is old for new, old in zip(menus, before, strict=True)]
