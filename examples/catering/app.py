"""The catering app: its SQLite file, its data, and the few lines that give it a backup.

The file's path is in the environment variable CATERING_DB, `catering.db` where that is not set.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import sqlite3
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from databackup import Collection, Reference, Schema
from databackup.adapters.sqlite import SQLiteRepository
from examples.catering.models import Address, Confirmation, Coordinator, Menu, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

# -- what databackup needs to know -------------------------------------------------------------

SCHEMA = Schema(
    app="catering",
    version=1,
    collections=[
        Collection.of(Coordinator, "coordinators", key="id"),
        Collection.of(Menu, "menus", key="id"),
        Collection.of(
            Confirmation,
            "confirmations",
            key=("menu_id", "coordinator_id"),
            references=[
                Reference("menu_id", "menus"),
                Reference("coordinator_id", "coordinators"),
            ],
        ),
    ],
    exclude={"sessions": "who is logged in is no data of the app"},
)


def repository() -> SQLiteRepository:
    """Where the app's data lives, as databackup sees it."""
    return SQLiteRepository(database(), SCHEMA)


# -- the app as it was before ------------------------------------------------------------------

TABLES = """
CREATE TABLE coordinators (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE,
    joined TEXT NOT NULL, address TEXT
);
CREATE TABLE menus (
    id INTEGER PRIMARY KEY, title TEXT NOT NULL, day TEXT NOT NULL, price TEXT NOT NULL,
    status TEXT NOT NULL, allergens TEXT NOT NULL
);
CREATE TABLE confirmations (
    menu_id INTEGER NOT NULL REFERENCES menus (id),
    coordinator_id INTEGER NOT NULL REFERENCES coordinators (id),
    guests INTEGER NOT NULL, confirmed_at TEXT NOT NULL, note TEXT,
    PRIMARY KEY (menu_id, coordinator_id)
);
CREATE TABLE sessions (token TEXT PRIMARY KEY, coordinator_id INTEGER);
"""


def database() -> str:
    """The path of the app's SQLite file."""
    return os.environ.get("CATERING_DB", "catering.db")


def seed() -> None:
    """Make the app's file, with some data in it."""
    with contextlib.closing(sqlite3.connect(database())) as connection, connection:
        connection.executescript(TABLES)
        _insert(connection, "coordinators", coordinators())
        _insert(connection, "menus", menus())
        _insert(connection, "confirmations", confirmations())
        connection.execute("INSERT INTO sessions VALUES ('b7c1', 1)")


def _insert(
    connection: sqlite3.Connection, table: str, records: Iterable[attrs.AttrsInstance]
) -> None:
    for record in records:
        values = [_stored(value) for value in attrs.asdict(record, recurse=False).values()]
        marks = ", ".join("?" for _ in values)
        connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)


def _stored(value: object) -> object:
    """A value as the app keeps it in a column."""
    if isinstance(value, Status):
        return value.value
    if isinstance(value, Address):
        return json.dumps(attrs.asdict(value), ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, datetime.date | Decimal):
        return str(value)
    return value


# -- some data ---------------------------------------------------------------------------------


def coordinators() -> list[Coordinator]:
    """Four people, one of them without an address."""
    date = datetime.date
    mill = Address("Mühlgasse 4", "8001", "Zürich")
    harbour = Address("Am Hafen 12", "20457", "Hamburg")
    school = Address('Haus "Abendrot", 2. Stock', "1010", "Wien")
    return [
        Coordinator(1, "Ana Müller", "ana@example.org", date(2024, 3, 1), mill),
        Coordinator(2, "Bo Lindqvist", "bo@example.org", date(2024, 9, 17), harbour),
        Coordinator(3, "陳美玲", "meiling@example.org", date(2025, 1, 8), school),
        Coordinator(4, "Dara O'Neill", "dara@example.org", date(2025, 6, 30)),
    ]


_TITLES: tuple[tuple[str, str, list[str]], ...] = (
    ("Lentil soup", "4.80", ["celery"]),
    ("Crêpes 🥞", "6.50", ["gluten", "milk", "eggs"]),
    ("Saffron risotto", "11.00", ["milk"]),
    ("Fish & chips", "12.90", ["fish", "gluten"]),
    ("Grilled aubergine", "9.20", []),
    ("Dumplings", "10.10", ["gluten", "soya"]),
)


def menus() -> list[Menu]:
    """Two weeks of menus, the first of them over."""
    monday = datetime.date(2026, 3, 2)
    found = []
    for number, (title, price, allergens) in enumerate(_TITLES * 2, 1):
        day = monday + datetime.timedelta(days=number - 1 + number // 6)
        status = Status.CLOSED if number <= 6 else Status.OPEN if number <= 10 else Status.DRAFT
        found.append(Menu(number, title, day, Decimal(price), status, allergens))
    return found


def confirmations() -> list[Confirmation]:
    """Who comes for what, and with how many."""
    start = datetime.datetime(2026, 2, 23, 8, 30)  # noqa: DTZ001 - the app keeps local times
    found = []
    for menu in range(1, 11):
        for coordinator in range(1, 5):
            if (menu + coordinator) % 3:
                guests = 4 + (menu * 7 + coordinator * 11) % 30
                at = start + datetime.timedelta(hours=menu * 5 + coordinator)
                note = "2 × no nuts, please" if guests % 7 == 0 else None
                found.append(Confirmation(menu, coordinator, guests, at, note))
    return found
