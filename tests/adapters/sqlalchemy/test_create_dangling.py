"""New tables for an archive whose references point nowhere."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy

from databackup import Collection, Reference, Schema, import_all, iter_export
from databackup.errors import InvalidRecords
from tests.adapters.sqlalchemy.targets import TARGETS, Target
from tests.support.archives import exported
from tests.support.club import memory

_SCHEMA = Schema(
    collections=[
        Collection("a", key="id", fields={"id": int, "u": int, "v": int}),
        Collection(
            "b",
            key="id",
            fields={"id": int, "a": int | None, "sound": int | None, "u": int, "v": int, "b": int},
            references=[
                Reference("a", "a"),
                Reference("sound", "a"),
                Reference("u", "a", "u"),
                Reference(("u", "v"), "a", ("u", "v")),
                Reference("b", "b"),
            ],
        ),
    ]
)
_RECORDS: dict[str, list[tuple[Any, ...]]] = {
    "a": [(1, 5, 8)],
    "b": [(1, 1, 1, 5, 8, 3), (2, 7, 1, 5, 9, 1), (3, None, None, 5, 8, 2)],
}
_POINTING_NOWHERE = {("a",), ("u", "v")}
_OTHERS = {("sound",), ("u",), ("b",)}


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """An empty database of each engine."""
    with TARGETS[request.param]() as found:
        yield found


def _archive() -> io.BytesIO:
    return io.BytesIO(exported(memory(_RECORDS, _SCHEMA)))


def _foreign_keys(target: Target) -> set[tuple[str, ...]]:
    found = sqlalchemy.inspect(target.engine).get_foreign_keys("b")
    return {tuple(key["constrained_columns"]) for key in found}


def test_references_that_dangle_have_no_foreign_key(target: Target) -> None:
    """Which would forbid what is kept. A warning names each, and the others are enforced."""
    report = import_all(target.reflected(), _archive(), create=True, dangling="keep")
    assert ("a", "b") == report.created
    assert _OTHERS == _foreign_keys(target)
    made = [warning for warning in report.warnings if "without a foreign key" in warning]
    assert [
        f"b ({', '.join(names)}) points at records of a that the archive does not have; the new "
        "table is made without a foreign key for it"
        for names in sorted(_POINTING_NOWHERE)
    ] == made
    kept = [warning for warning in report.warnings if warning not in made]
    assert ["b, record 2, key 2, field a", "b, record 2, key 2, field u, v"] == [
        warning.partition(":")[0] for warning in kept
    ]
    assert _RECORDS == _rows(target)


def _rows(target: Target) -> dict[str, list[tuple[Any, ...]]]:
    """What the tables hold, through a new connection."""
    with target.engine.connect() as connection:
        return {
            name: [
                tuple(r) for r in connection.exec_driver_sql(f"SELECT * FROM {name} ORDER BY id")
            ]
            for name in _RECORDS
        }


def test_they_come_back_into_those_tables(target: Target) -> None:
    """Later imports of the same archive find nothing to change."""
    import_all(target.reflected(), _archive(), create=True, dangling="keep")
    again = import_all(target.of(_SCHEMA), _archive(), dangling="keep")
    assert (4, 0) == (again.unchanged, again.changed)
    assert b"".join(iter_export(target.of(_SCHEMA)))


def test_without_being_kept_they_are_refused(target: Target) -> None:
    """And no table is left."""
    with pytest.raises(InvalidRecords) as caught:
        import_all(target.reflected(), _archive(), create=True)
    assert {"a", "u, v"} == {problem.field for problem in caught.value.problems}
    assert set() == target.tables()


def test_sound_references_all_have_foreign_keys(target: Target) -> None:
    """Also where dangling ones would be kept."""
    sound = memory({"a": [(1, 5, 8)], "b": [(1, 1, 1, 5, 8, 1)]}, _SCHEMA)
    report = import_all(
        target.reflected(), io.BytesIO(exported(sound)), create=True, dangling="keep"
    )
    assert () == report.warnings
    assert _POINTING_NOWHERE | _OTHERS == _foreign_keys(target)
