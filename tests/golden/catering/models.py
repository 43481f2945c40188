"""The catering app as it is today, at version 3 of its schema."""

from __future__ import annotations

import datetime
import enum
from decimal import Decimal

import attrs
from attrs import field, validators

from databackup import AwareDatetime


class Status(enum.Enum):
    """Where a menu stands."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSED = "closed"


@attrs.frozen
class Coordinator:
    """Somebody who orders for a group."""

    id: int
    first: str
    last: str


@attrs.frozen
class Contact:
    """Where a coordinator can be reached."""

    id: int
    email: str | None
    city: str | None


@attrs.frozen
class Venue:
    """Where is eaten."""

    id: int
    name: str


@attrs.frozen
class Menu:
    """What is cooked on a day, and for how much."""

    id: int
    title: str
    served_on: datetime.date
    cook_id: int
    price: Decimal = field(validator=validators.ge(Decimal(0)))
    status: Status
    allergens: list[str]
    venue_id: int | None


@attrs.frozen
class Confirmation:
    """A coordinator's word that so many guests come for a menu."""

    menu_id: int
    coordinator_id: int
    guests: int = field(validator=validators.ge(1))
    confirmed_at: AwareDatetime
    note: str | None
