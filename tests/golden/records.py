"""What the catering app held at each of its versions: rows, by collection and field."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

_Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]

_WHEN = (
    datetime.datetime(2026, 2, 27, 9, 30, tzinfo=datetime.UTC),
    datetime.datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=datetime.UTC),
    datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
)
_DAYS = (datetime.date(2026, 3, 1), datetime.date(2026, 3, 2), datetime.date(2024, 2, 29))
_CONFIRMED = [
    (1, 2, 12, _WHEN[0], None),
    (1, 7, 3, _WHEN[1], "two vegetarians"),
    (30, 1, 450, _WHEN[2], ""),
]
_DRAFTS: _Table = (("text",), [("more soup",), ("less soup",), ("more soup",)])

_VERSION_1: dict[str, _Table] = {
    "people": (
        ("id", "full_name", "mail", "city"),
        [
            (1, "Ana Pereira", "ana@example.org", "Bern"),
            (2, "Cher", None, None),
            (7, "Zoë van der Berg", "zoe@example.org", "Zürich"),
        ],
    ),
    "menus": (
        ("id", "title", "served_on", "legacy_code", "cook_id"),
        [
            (1, "Älplermagronen", "2026-03-01", "A-17", 1),
            (2, 'Soup "du jour"', "2026-03-02", None, 7),
            (30, "Rösti\nwith apples \U0001f34e", "2024-02-29", "", 1),
        ],
    ),
    "confirmations": (("menu_id", "person_id", "guests", "confirmed_at", "note"), _CONFIRMED),
    "drafts": _DRAFTS,
}

_VERSION_2: dict[str, _Table] = {
    "coordinators": (
        ("id", "first", "last", "email", "city"),
        [
            (1, "Ana", "Pereira", "ana@example.org", "Bern"),
            (2, "Cher", "", None, None),
            (7, "Zoë", "van der Berg", "zoe@example.org", "Zürich"),
        ],
    ),
    "menus": (
        ("id", "title", "served_on", "cook_id", "price"),
        [
            (1, "Älplermagronen", _DAYS[0], 1, Decimal("14.50")),
            (2, 'Soup "du jour"', _DAYS[1], 7, Decimal("0.00")),
            (30, "Rösti\nwith apples \U0001f34e", _DAYS[2], 1, Decimal(20)),
        ],
    ),
    "confirmations": (("menu_id", "coordinator_id", "guests", "confirmed_at", "note"), _CONFIRMED),
    "drafts": _DRAFTS,
}

_VERSION_3: dict[str, _Table] = {
    "coordinators": (
        ("id", "first", "last"),
        [(1, "Ana", "Pereira"), (2, "Cher", ""), (7, "Zoë", "van der Berg")],
    ),
    "contacts": (
        ("id", "email", "city"),
        [(1, "ana@example.org", "Bern"), (2, None, None), (7, "zoe@example.org", "Zürich")],
    ),
    "venues": (("id", "name"), [(1, "Hall"), (2, "<b>Garden</b>")]),
    "menus": (
        ("id", "title", "served_on", "cook_id", "price", "status", "allergens", "venue_id"),
        [
            (1, "Älplermagronen", _DAYS[0], 1, Decimal("14.50"), "closed", [], None),
            (2, 'Soup "du jour"', _DAYS[1], 7, Decimal("0.00"), "open", ["gluten", "egg"], 2),
            (30, "Rösti\nwith apples \U0001f34e", _DAYS[2], 1, Decimal(20), "draft", [""], 1),
        ],
    ),
    "confirmations": (("menu_id", "coordinator_id", "guests", "confirmed_at", "note"), _CONFIRMED),
}


def records_of(version: int) -> dict[str, list[dict[str, Any]]]:
    """The records of a version by collection, as `MemoryRepository` takes them."""
    tables = {1: _VERSION_1, 2: _VERSION_2, 3: _VERSION_3}[version]
    return {
        name: [dict(zip(fields, row, strict=True)) for row in rows]
        for name, (fields, rows) in tables.items()
    }
