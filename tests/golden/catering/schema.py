"""What the catering app backs up, and how it came to that: three versions, two migrations."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from databackup import Collection, Recorder, Reference, Schema, migration
from tests.golden.catering.models import Confirmation, Contact, Coordinator, Menu, Status, Venue

VERSIONS = Path(__file__).with_name("versions")


def split_name(person: dict[str, Any]) -> dict[str, Any]:
    """The first and the last name out of the full one."""
    person["first"], _, person["last"] = person["full_name"].partition(" ")
    return person


def join_name(person: dict[str, Any]) -> dict[str, Any]:
    """The full name again."""
    person["full_name"] = f"{person['first']} {person['last']}"
    return person


@migration(1, 2)
def people_are_coordinators(m: Recorder) -> None:
    """Version 2: names in two parts, days as dates, a price."""
    m.rename_collection("people", "coordinators")
    m.rename_field("coordinators", "mail", "email")
    m.add_field("coordinators", "first", str, default="")
    m.add_field("coordinators", "last", str, default="")
    m.map_records("coordinators", split_name, inverse=join_name)
    m.remove_field("coordinators", "full_name", default="")
    m.change_kind(
        "menus",
        "served_on",
        datetime.date,
        using=datetime.date.fromisoformat,
        inverse=datetime.date.isoformat,
    )
    m.add_field("menus", "price", Decimal, default=Decimal("0.00"))
    m.remove_field("menus", "legacy_code")
    m.rename_field("confirmations", "person_id", "coordinator_id")


@migration(2, 3)
def venues_and_contacts(m: Recorder) -> None:
    """Version 3: contacts apart, venues, a status, allergens; no drafts any more."""
    m.split_collection("coordinators", "contacts", fields=["email", "city"])
    m.add_collection("venues", fields={"id": int, "name": str}, key="id")
    m.add_field("menus", "status", Status, default="open")
    m.add_field("menus", "allergens", list[str], default=[])
    m.add_field("menus", "venue_id", int | None)
    m.add_reference("menus", "venue_id", "venues")
    m.remove_collection("drafts")


schema = Schema(
    app="catering",
    version=3,
    collections=[
        Collection.of(Coordinator, "coordinators", key="id"),
        Collection.of(Contact, "contacts", key="id"),
        Collection.of(Venue, "venues", key="id"),
        Collection.of(
            Menu,
            "menus",
            key="id",
            references=[Reference("cook_id", "coordinators"), Reference("venue_id", "venues")],
        ),
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
    migrations=[people_are_coordinators, venues_and_contacts],
    versions=VERSIONS,
)
