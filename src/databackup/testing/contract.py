"""Running the promises: with one call, or as the tests of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from databackup.testing.harness import opening
from databackup.testing.machine import run_machine
from databackup.testing.promises import ALWAYS, WRITABLE
from databackup.testing.promises.examples import CLUB

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from databackup.repository import Repository
    from databackup.schema import Schema
    from databackup.testing.harness import Factory, Make, Promise

PROMISES: tuple[Promise, ...] = (*ALWAYS, *WRITABLE)
"""All promises, one function each; a docstring states the promise."""

EXAMPLES = 40


def check_adapter(factory: Factory, *, examples: int = EXAMPLES) -> None:
    """Check every promise of the protocol; raise AssertionError naming each one that is broken.

    `factory(schema)` gives a fresh and empty repository for a schema, or a context manager of one.
    It is called often. When all promises hold, a state machine runs `examples` random sequences of
    transactions.
    """
    broken: list[tuple[Promise, Exception]] = []
    for promise in PROMISES:
        try:
            keep(promise, factory)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises breaks the promise
            broken.append((promise, error))
    if not broken:
        try:
            any_transactions_match_an_oracle(factory, examples=examples)
        except Exception as error:  # noqa: BLE001 - the same
            broken.append((any_transactions_match_an_oracle, error))
    if broken:
        lines = "".join(f"\n\n{_explained(promise, error)}" for promise, error in broken)
        raise AssertionError(f"broken promises: {len(broken)}{lines}") from broken[0][1]


def _explained(promise: Callable[..., None], error: Exception) -> str:
    stated = (promise.__doc__ or "").strip().splitlines()[0]
    found = str(error) if isinstance(error, AssertionError) else repr(error)
    return f"{promise.__name__}: {stated}\n  {found}"


def keep(promise: Promise, factory: Factory) -> None:
    """Check one promise.

    Where the store declares not to be atomic, and so cannot be written, promises about what was
    written have nothing to hold; that it refuses transactions is a promise of its own.
    """
    make = opening(factory)
    try:
        promise(make)
    except Exception:
        if promise in WRITABLE and _says_it_cannot_be_written(make):
            return
        raise


def _says_it_cannot_be_written(make: Make) -> bool:
    # Asked only when a promise fails: to make a repository takes long on a server.
    with make(CLUB) as repository:
        return getattr(repository.capabilities, "atomic", None) is False


def any_transactions_match_an_oracle(factory: Factory, *, examples: int = EXAMPLES) -> None:
    """Random transactions leave in a store what they leave in plain dicts."""
    with opening(factory)(CLUB) as repository:
        if not repository.capabilities.atomic:
            return
    run_machine(factory, CLUB, examples)


class AdapterContract:
    """The promises as tests: subclass it in a pytest suite.

    ```python
    class TestMyRepository(AdapterContract):
        def make(self, schema):
            return MyRepository.empty(schema)
    ```
    """

    examples = EXAMPLES
    """How many random sequences of transactions the state machine runs."""

    def make(self, schema: Schema) -> Repository | AbstractContextManager[Repository]:
        """A fresh and empty repository for a schema, or a context manager of one."""
        raise NotImplementedError

    def test_any_transactions_match_an_oracle(self) -> None:
        """Random transactions leave in a store what they leave in plain dicts."""
        any_transactions_match_an_oracle(self.make, examples=self.examples)


def _as_test(promise: Promise) -> Any:
    def test(self: AdapterContract) -> None:
        keep(promise, self.make)

    test.__name__ = f"test_{promise.__name__}"
    test.__qualname__ = f"{AdapterContract.__qualname__}.{test.__name__}"
    test.__doc__ = promise.__doc__
    return test


for _promise in PROMISES:
    setattr(AdapterContract, f"test_{_promise.__name__}", _as_test(_promise))
