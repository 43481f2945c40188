"""Errors: one root, stable codes, attributes, messages, and a life in pickles and JSON."""

import copy
import datetime
import json
import pickle
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import attrs
import pytest

from databackup import errors
from databackup.errors import DatabackupError, InvalidRecords, MissingExtra, Problem, SchemaError

PROBLEM = Problem(
    code="invalid-value",
    message="expected an integer, found str 'x'",
    collection="menus",
    record=7,
    key=(1, "a"),
    field="price",
    pointer="/data/menus/6/price",
    expected="an integer",
)
SAMPLES: dict[str, Any] = {
    "message": "the archive is not what it was",
    "problems": (PROBLEM,),
    "total": 3,
    "line": 12,
    "path": "/backups/app.json",
    "extra": "zstd",
    "limit": "record",
    "allowed": 1000,
    "found": 2,
    "supported": 1,
    "expected": "catering",
    "differences": ("menus.price is missing",),
}


def classes(root: type[DatabackupError] = DatabackupError) -> Iterator[type[DatabackupError]]:
    """All errors."""
    yield root
    for below in root.__subclasses__():
        if below.__module__.startswith("databackup."):
            yield from classes(below)


def sample(kind: type[DatabackupError]) -> DatabackupError:
    """An error of a class, with every attribute set."""
    values = {field.name: SAMPLES.get(field.name, ()) for field in attrs.fields(kind)}
    if kind is SchemaError:
        values["problems"] = ("a.b: set is not supported",)
    return kind(**values)


ALL = list(dict.fromkeys(classes()))  # one may be below two others


def test_every_error_has_a_code_of_its_own() -> None:
    """Codes are lower-case words with dashes, and no two classes share one."""
    codes = [kind.code for kind in ALL]

    assert len(set(codes)) == len(codes) == len(ALL)
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", code) for code in codes)
    assert all("code" in vars(kind) for kind in ALL)
    assert len(ALL) > 20


def test_every_error_of_the_module_has_one_root() -> None:
    """Whoever catches DatabackupError catches them all."""
    found = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, Exception)]
    assert all(issubclass(kind, DatabackupError) for kind in found)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.code)
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])  # noqa: S301 - own bytes
def test_every_error_survives_a_pickle(kind: type[DatabackupError], again: Any) -> None:
    """Class, attributes and text come back, as they do from a pool of processes."""
    error = sample(kind)
    back = again(error)

    assert kind is type(back)
    assert attrs.asdict(error) == attrs.asdict(back)
    assert str(error) == str(back)
    assert error.as_json() == back.as_json()


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.code)
def test_every_error_is_a_json_object(kind: type[DatabackupError]) -> None:
    """The object has code, message, remedy and the attributes of the class, all plain JSON."""
    error = sample(kind)
    members = error.as_json()
    own = {field.name for field in attrs.fields(kind)}

    assert members == json.loads(json.dumps(members, allow_nan=False))
    assert {"code", "message", "remedy"} | own == set(members)
    assert (kind.code, kind.remedy) == (members["code"], members["remedy"])
    if kind is InvalidRecords:
        assert "/data/menus/6/price" == members["problems"][0]["pointer"]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.code)
def test_every_message_is_sentences(kind: type[DatabackupError]) -> None:
    """What and where, then what to do, each ended once."""
    text = str(sample(kind))

    assert text.startswith("the archive is not what it was.")
    assert text.endswith("." if not kind.remedy else f". {kind.remedy}.")
    assert ".." not in text
    assert not kind.remedy.endswith(".")


@pytest.mark.parametrize(
    "message, expected",
    [
        ("no such file", "no such file."),
        ("It is over.", "It is over."),
        ("really?", "really?"),
        ("no folder ..", "no folder .."),
        ("and more…", "and more…"),
    ],
)
def test_a_message_is_never_cut(message: str, expected: str) -> None:
    """A full stop is added only where none is, and nothing is taken away."""
    assert expected == str(DatabackupError(message))


def test_errors_keep_their_cause() -> None:
    """What the engine said is at hand as the cause."""
    cause = OSError("disk")
    with pytest.raises(DatabackupError) as caught:
        raise errors.StoreFailed("the store failed") from cause
    assert cause is caught.value.__cause__
    assert isinstance(caught.value, errors.StoreError)


def test_a_missing_extra_says_how_to_install_it() -> None:
    """The command is in the message."""
    error = MissingExtra.of("zstd", "zstd compression")
    assert "zstd" == error.extra
    assert "zstd compression needs the extra 'zstd': pip install 'databackup[zstd]'." == str(error)


def test_a_problem_says_where_it_is() -> None:
    """Collection, record, key and field lead to the value."""
    assert "menus, record 7, key 1, 'a', field price: expected an integer, found str 'x'" == str(
        PROBLEM
    )
    assert "archive: nothing" == str(Problem(code="c", message="nothing"))
    assert "menus: short" == str(Problem(code="c", message="short", collection="menus"))


HUGE = 10**5000


@pytest.mark.parametrize(
    "part, expected",
    [
        (1, 1),
        ("a", "a"),
        (True, True),
        (None, None),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (Decimal("1.10"), "1.10"),
        (datetime.date(2026, 1, 1), "2026-01-01"),
        (b"a", "b'a'"),
        (2**63, "9223372036854775808"),
        (HUGE, "a very long int"),
        ("\ud800", "\\ud800"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_keys_of_any_kind_become_json(part: Any, expected: Any) -> None:
    """A problem's key is plain JSON, whatever the key is made of, and its text is short."""
    problem = Problem(code="c", message="m", key=(part, "x" * 100))
    members = problem.as_json()

    assert [expected, "x" * 100] == members["key"]
    json.dumps(members, allow_nan=False).encode()
    assert len(str(problem)) < 200


def test_a_problem_without_a_key_has_null() -> None:
    """What does not apply is None, and null in JSON."""
    members = Problem(code="c", message="m").as_json()

    assert {"code": "c", "message": "m"} == {k: v for k, v in members.items() if v is not None}
    assert {field.name for field in attrs.fields(Problem)} == set(members)


def test_problems_pickle_and_compare() -> None:
    """Problems are values."""
    assert PROBLEM == pickle.loads(pickle.dumps(PROBLEM))  # noqa: S301 - own bytes
    assert attrs.evolve(PROBLEM, record=8) != PROBLEM
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        PROBLEM.record = 8  # type: ignore[misc]


@pytest.mark.parametrize(
    "count, total, kept, text",
    [
        (1, None, 1, "the import: 1 problem\n  c: m0."),
        (2, None, 2, "the import: 2 problems\n  c: m0\n  c: m1."),
        (7, None, 7, "  c: m4\n  and 2 more."),
        (250, None, 100, "and 245 more."),
        (100, 1_000_000, 100, "the import: 1000000 problems\n"),
    ],
)
def test_invalid_records_show_the_first_problems(
    count: int, total: int | None, kept: int, text: str
) -> None:
    """The message has five problems, the error a hundred, and the total is told."""
    problems = (Problem(code="c", message=f"m{n}", collection="c") for n in range(count))
    error = InvalidRecords.of("the import", problems, total)

    assert kept == len(error.problems)
    assert (total or count) == error.total
    assert text in str(error)
    assert str(error).count("\n") <= 6
