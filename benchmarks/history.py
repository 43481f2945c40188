"""The shop five versions later: its schema, the steps to it, and archives of both ends.

python -m benchmarks.history orders.db old.json new.json new.db
"""

import contextlib
import datetime
import shutil
import sqlite3
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import databackup
from benchmarks import models
from databackup import Collection, Json, Recorder, Reference, Schema, migration
from databackup.adapters.sqlite import SQLiteRepository

VERSIONS: Final = Path(__file__).with_name("versions")
_TABLES: Final = """
CREATE TABLE clients (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE NOT NULL);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES clients (id),
    total NUMERIC(10, 2) NOT NULL,
    placed_at TEXT NOT NULL,
    note TEXT,
    grams INTEGER NOT NULL,
    details JSON NOT NULL,
    currency TEXT NOT NULL
);
"""


def grams(kilograms: float) -> int:
    """A weight as it is from version 4 on."""
    return round(kilograms * 1000)


def kilograms(grams: int) -> float:
    """A weight as it was up to version 3."""
    return grams / 1000


def tidy(order: dict[str, Any]) -> dict[str, Any]:
    """An order whose note, if it is an empty one, is none."""
    order["note"] = order["note"] or None
    return order


@migration(1, 2)
def _say_what_it_is(m: Recorder) -> None:
    m.rename_field("orders", "ordered_at", "placed_at")
    m.rename_field("orders", "weight", "grams")


@migration(2, 3)
def _sell_abroad(m: Recorder) -> None:
    m.add_field("orders", "currency", str, default="EUR")


@migration(3, 4)
def _weigh_in_grams(m: Recorder) -> None:
    m.change_kind("orders", "grams", int, using=grams, inverse=kilograms)


@migration(4, 5)
def _forget_the_status(m: Recorder) -> None:
    m.remove_field("orders", "status", default="sent")


@migration(5, 6)
def _tidy_up(m: Recorder) -> None:
    m.rename_collection("customers", "clients")
    m.map_records("orders", tidy, inverse=dict)


SCHEMA: Final = Schema(
    app="shop",
    version=6,
    migrations=[_say_what_it_is, _sell_abroad, _weigh_in_grams, _forget_the_status, _tidy_up],
    versions=VERSIONS,
    collections=[
        Collection("clients", key="id", fields={"id": int, "name": str, "email": str}),
        Collection(
            "orders",
            key="id",
            references=[Reference("customer_id", "clients")],
            fields={
                "id": int,
                "customer_id": int,
                "total": Decimal,
                "placed_at": datetime.datetime,
                "note": str | None,
                "grams": int,
                "details": Json,
                "currency": str,
            },
        ),
    ],
)


def make(orders: Path, old: Path, new: Path, empty: Path) -> None:
    """Archives of version 1 and of today's, of the same orders, and today's tables without a row.

    What is there is made anew. Today's archive comes from a database, as that of today's app would.
    """
    empty.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(empty)) as connection, connection:
        connection.executescript(_TABLES)
    databackup.export_all(SQLiteRepository(orders, models.SCHEMA), old)
    with tempfile.TemporaryDirectory(dir=new.parent) as folder:
        filled = SQLiteRepository(shutil.copyfile(empty, Path(folder) / "filled"), SCHEMA)
        databackup.import_all(filled, old)
        databackup.export_all(filled, new)


if __name__ == "__main__":
    make(*map(Path, sys.argv[1:]))
