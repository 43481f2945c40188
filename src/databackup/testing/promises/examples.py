"""The schema and the records that most promises are tried on."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from databackup.schema import Collection, Reference, Schema

if TYPE_CHECKING:
    from databackup.repository import Row

CLUB = Schema(
    app="club",
    version=3,
    collections=[
        Collection(
            "members",
            key=("group", "person"),
            fields={"group": str, "person": int, "role": str, "since": datetime.date | None},
            references=[Reference("group", "groups"), Reference("person", "people")],
        ),
        Collection(
            "people",
            key="id",
            fields={"id": int, "name": str, "nick": str | None, "boss": int | None},
            references=[Reference("boss", "people")],
        ),
        Collection("groups", key="code", fields={"code": str, "title": str}),
        Collection(
            "visits",
            key="id",
            fields={"id": int, "group": str | None, "person": int | None},
            references=[Reference(("group", "person"), "members")],
        ),
        Collection("badges", key="id", fields={"id": int, "serial": int}),
        Collection(
            "scans",
            key="id",
            fields={"id": int, "serial": int | None},
            references=[Reference("serial", "badges", to="serial")],
        ),
        Collection("log", fields={"text": str, "number": int | None}),
    ],
)
"""Single, composite and missing keys; references to itself, to two fields, and to no key."""

PEOPLE, GROUPS, MEMBERS = CLUB["people"], CLUB["groups"], CLUB["members"]
VISITS, BADGES, SCANS, LOG = CLUB["visits"], CLUB["badges"], CLUB["scans"], CLUB["log"]

DATA: dict[str, list[Row]] = {
    "people": [
        (3, "Cy", None, 1),
        (1, "Ana", "A", 2),
        (2, "Bo", None, 1),
        (10, "Di", "", 10),
        (-4, "Em", "E", None),
    ],
    "groups": [("b", "Bikes"), ("a", "Art"), ("B", "Books")],
    "members": [
        ("b", 10, "chair", datetime.date(2024, 2, 29)),
        ("a", 1, "chair", None),
        ("b", 2, "", datetime.date(1, 1, 1)),
        ("a", 10, "guest", None),
        ("B", 1, "guest", None),
    ],
    "visits": [(1, "a", 1), (2, "a", None), (3, None, None), (4, "b", 10)],
    "badges": [(1, 500), (2, 400)],
    "scans": [(1, 400), (2, None), (3, 400)],
    "log": [("opened", 1), ("opened", 1), ("", None), ("shut", -1)],
}
"""Records whose references hold, not in key order; two of them the same where there is no key."""


def people(count: int, first: int = 1) -> list[Row]:
    """Many people, in key order."""
    return [(number, f"p{number}", None, None) for number in range(first, first + count)]
