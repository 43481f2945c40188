from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import ClassVar

import pytest

from databackup.repository import Repository
from databackup.schema import Schema
from databackup.testing import AdapterContract
from tests.support import databases, pgtables


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
