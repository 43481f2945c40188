"""What a small catering app is about: coordinators, menus, and who has confirmed which menu.

Plain attrs classes with validators of their own. They know nothing of backups.
"""

from __future__ import annotations

import datetime
import enum
from decimal import Decimal

import attrs
from attrs import field, validators


class Status(enum.Enum):
    """Where a menu stands."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSED = "closed"


@attrs.frozen
class Address:
    """Where somebody can be reached."""

    street: str
    postcode: str = field(validator=validators.matches_re(r"[0-9]{4,5}"))
    city: str


@attrs.frozen
class Coordinator:
    """Somebody who orders for a group."""

    id: int
    name: str = field(validator=validators.min_len(1))
    email: str = field(validator=validators.matches_re(r"[^@\s]+@[^@\s]+"))
    joined: datetime.date
    address: Address | None = None


@attrs.frozen
class Menu:
    """What is cooked on a day, and for how much."""

    id: int
    title: str = field(validator=validators.min_len(1))
    day: datetime.date
    price: Decimal = field(validator=validators.ge(Decimal(0)))
    status: Status
    allergens: list[str]


@attrs.frozen
class Confirmation:
    """A coordinator's word that so many guests come for a menu."""

    menu_id: int
    coordinator_id: int
    guests: int = field(validator=[validators.ge(1), validators.le(500)])
    confirmed_at: datetime.datetime
    note: str | None = None
