"""Make a SQLite file with many orders of 8 columns, and a tenth as many customers.

python -m benchmarks.data orders.db --rows 1100000
"""

import argparse
import contextlib
import datetime
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TABLES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE NOT NULL);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    total NUMERIC(10, 2) NOT NULL,
    ordered_at TEXT NOT NULL,
    status TEXT NOT NULL,
    note TEXT,
    weight REAL NOT NULL,
    details JSON NOT NULL
);
"""
_START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def make_orders(path: Path, rows: int) -> None:
    """Make the file; there must be none yet. The same number of rows gives the same data."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_TABLES)
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?)", customers(rows))
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", orders(rows))


def customers(rows: int) -> Iterator[tuple[Any, ...]]:
    """The customers where both tables have so many rows."""
    for number in range(1, _number_of_customers(rows) + 1):
        yield number, f"Customer № {number}", f"customer{number}@example.com"


def orders(rows: int) -> Iterator[tuple[Any, ...]]:
    """The orders where both tables have so many rows."""
    buyers = _number_of_customers(rows)
    number_of_orders = rows - buyers
    draw = random.Random(number_of_orders)
    for number in range(1, number_of_orders + 1):
        at = _START + datetime.timedelta(seconds=number * 37)
        note = None if number % 3 else f"Please ring twice, order {number}: “à la carte”"
        details = f'{{"items":[{number % 97},{number % 89}],"gift":{str(not number % 5).lower()}}}'
        yield (
            number,
            draw.randint(1, buyers),
            draw.randint(100, 1_000_000) / 100,
            at.strftime("%Y-%m-%d %H:%M:%S"),
            draw.choice(("new", "paid", "sent", "returned")),
            note,
            draw.random() * 100,
            details,
        )


def _number_of_customers(rows: int) -> int:
    return -(-rows // 11)


def main() -> None:
    """Read the arguments and make the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=1_100_000, help="of both tables")
    arguments = parser.parse_args()
    make_orders(arguments.path, arguments.rows)


if __name__ == "__main__":
    main()
