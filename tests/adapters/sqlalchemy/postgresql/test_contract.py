import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import pytest

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import OwnerRequired
from databackup.repository import Repository
from databackup.schema import Schema
from databackup.testing import AdapterContract
from tests.support import databases, pgroles, pgtables


class _OnServer(AdapterContract):
    """A PostgreSQL database keeps all promises of the protocol."""

    icu: ClassVar[bool] = False
    url: ClassVar[str] = ""

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _database(cls) -> Iterator[None]:
        with databases.postgresql(icu=cls.icu) as url:
            cls.url = url
            yield

    def make(self, schema: Schema) -> AbstractContextManager[Repository]:
        """Empty tables in a new schema."""
        return pgtables.repository(self.url, schema)


class TestPlain(_OnServer):
    """Text in the order of its bytes."""


class TestICU(_OnServer):
    """Text in the order of a language."""

    icu = True


class TestWithoutOwnership(_OnServer):
    """Constraints and triggers stay as they are."""

    def make(self, schema: Schema) -> AbstractContextManager[Repository]:
        """Empty tables in a new schema, of which the role owns none."""
        return _written_by_another(self.url, schema)

    # It looks at what would not hold in between; test_writers.py imports any data instead.
    test_any_transactions_match_an_oracle = None  # type: ignore[assignment]


def _is_refused(name: str) -> Any:
    promise = getattr(AdapterContract, name)

    def test(self: AdapterContract) -> None:
        with pytest.raises(OwnerRequired):
            promise(self)

    test.__doc__ = f"What would not hold in between takes an owner. {promise.__doc__}"
    return test


for _name in (
    "test_dangling_gives_no_more_than_the_limit",
    "test_nothing_else_goes_with_what_is_removed",
    "test_references_may_be_broken_in_the_middle",
):
    setattr(TestWithoutOwnership, _name, _is_refused(_name))


@contextlib.contextmanager
def _written_by_another(url: str, schema: Schema) -> Iterator[Repository]:
    with pgtables.engine_of(url) as owner:
        pgtables.create(owner, schema)
        with pgroles.writer(owner) as engine:
            repository = SQLAlchemyRepository(engine, schema)
            assert not repository.capabilities.suspends_triggers
            yield repository
