"""The data most tests use: members who recruit each other, teams, and who plays where."""

from decimal import Decimal
from typing import Any

from databackup import Collection, Json, Reference, Schema
from databackup.adapters.memory import MemoryRepository
from databackup.repository import Row
from databackup.schema import Field, kinds
from databackup.schema.composite import Optional

Dataset = dict[str, list[Row]]

MEMBERS = Collection(
    "members",
    key="id",
    fields=[
        Field("id", kinds.Int()),
        Field("name", kinds.Str()),
        Field("fee", kinds.Decimal()),
        Field("recruited_by", Optional(kinds.Int())),
    ],
    references=[Reference("recruited_by", "members")],
)
TEAMS = Collection("teams", key="code", fields={"code": str, "rating": float, "notes": Json})
PLAYS = Collection(
    "plays",
    key=("team", "member"),
    fields={"member": int, "team": str},
    references=[Reference("member", "members"), Reference("team", "teams")],
)
LOG = Collection("log", fields={"line": str, "amount": Decimal})

CLUB = Schema(app="club", version=3, collections=[PLAYS, LOG, MEMBERS, TEAMS])


def club() -> Dataset:
    """A small sound dataset."""
    return {
        "members": [
            (1, "Ana", Decimal("1.10"), 2),
            (2, "Bo", Decimal("20.00"), 1),
            (3, "Cy ✓", Decimal("-0.5"), 3),
            (4, "Di", Decimal(7), None),
        ],
        "teams": [("A", 1.5, {"a": [1, None]}), ("b", -2.0, None), ("é", 1e300, "x")],
        "plays": [(1, "A"), (2, "A"), (4, "b")],
        "log": [("in", Decimal("1.0")), ("in", Decimal("1.0")), ("out", Decimal(2))],
    }


def changed_club() -> Dataset:
    """The small dataset after a few changes."""
    new = club()
    new["members"] = [
        (1, "Ana", Decimal("1.1"), 2),  # another scale
        (2, "Bo", Decimal("20.00"), 1),
        (4, "Di", Decimal(7), 1),
        (5, "Ed", Decimal(0), None),
    ]
    new["log"] = [("in", Decimal("1.0")), ("new", Decimal(3)), ("in", Decimal("1.00"))]
    return new


def many(size: int) -> Dataset:
    """A dataset of `size` members, which takes more than one batch to move."""
    return {"members": [(i, f"name {i}", Decimal(i) / 100, i) for i in range(1, size + 1)]}


def memory(dataset: Dataset | None = None, schema: Schema = CLUB) -> MemoryRepository:
    """A repository in memory that holds a dataset."""
    found = club() if dataset is None else dataset
    contents: dict[str, list[Any]] = {
        collection.name: [
            dict(zip(collection.field_names, row, strict=True))
            for row in found.get(collection.name, [])
        ]
        for collection in schema.collections
    }
    return MemoryRepository(schema, contents)
