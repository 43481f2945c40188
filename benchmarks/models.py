"""The app's models: plain attrs classes, with Decimal and datetime."""

import datetime
from decimal import Decimal

import attrs

from databackup import Collection, Json, Reference, Schema


@attrs.frozen
class Customer:
    """Somebody who orders."""

    id: int
    name: str
    email: str


@attrs.frozen
class Order:
    """What somebody ordered."""

    id: int
    customer_id: int
    total: Decimal
    ordered_at: datetime.datetime
    status: str
    note: str | None
    weight: float
    details: Json


SCHEMA = Schema(
    app="shop",
    version=1,
    collections=[
        Collection.of(Customer, "customers", key="id"),
        Collection.of(
            Order, "orders", key="id", references=[Reference("customer_id", "customers")]
        ),
    ],
)
