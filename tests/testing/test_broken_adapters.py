"""The contract bites: each promise has an adapter that breaks it, and fails for it."""

from collections.abc import Callable
from typing import Any

import pytest

from databackup.schema import Schema
from databackup.testing import PROMISES, check_adapter
from tests.testing import (
    broken_capabilities,
    broken_forms,
    broken_reading,
    broken_references,
    broken_transactions,
    broken_values,
    broken_writing,
)
from tests.testing.broken import Broken

MODULES = (
    broken_capabilities,
    broken_forms,
    broken_reading,
    broken_writing,
    broken_values,
    broken_transactions,
    broken_references,
)
CASES = [
    pytest.param(factory, promise, id=name)
    for module in MODULES
    for name, (factory, promise) in module.BROKEN.items()
]


@pytest.mark.parametrize("factory,promise", CASES)
def test_a_broken_adapter_fails(factory: Callable[[Schema], Any], promise: str) -> None:
    """An adapter that breaks a promise fails, and the message names that promise."""
    with pytest.raises(AssertionError) as failure:
        check_adapter(factory)

    assert f"\n{promise}: " in str(failure.value)


def test_every_promise_is_broken_by_some_adapter() -> None:
    """No promise is in the contract of which it is not known that it bites."""
    broken = {promise for module in MODULES for _factory, promise in module.BROKEN.values()}

    assert {promise.__name__ for promise in PROMISES} == broken


def test_views_alone_break_nothing() -> None:
    """The views that the broken adapters are made of are sound where they override nothing."""
    check_adapter(Broken, examples=5)
