"""The catering app's own suite: what a host has in its tests."""

from __future__ import annotations

from hypothesis import strategies as st

from databackup.testing import check_migrations, check_schema
from tests.golden.catering.schema import schema

GUESTS = st.integers(1, 500)
PRICES = st.decimals(0, 1000, places=2)


def test_the_schema_is_as_it_was_frozen() -> None:
    """Today's models are version 3 as it was frozen, and the migrations lead to it."""
    check_schema(schema)


def test_old_archives_can_be_imported() -> None:
    """Whatever versions 1 and 2 held, today's app takes it."""
    check_migrations(
        schema,
        values={
            1: {"menus.served_on": st.dates().map(str), "confirmations.guests": GUESTS},
            2: {"menus.price": PRICES, "confirmations.guests": GUESTS},
        },
        max_examples=25,
    )
