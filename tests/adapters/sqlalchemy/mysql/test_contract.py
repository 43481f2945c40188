from contextlib import AbstractContextManager

from databackup.repository import Repository
from databackup.schema import Schema
from databackup.testing import AdapterContract
from tests.support import mysql


class TestEngine(AdapterContract):
    """An engine's database keeps all promises of the protocol."""

    def make(self, schema: Schema) -> AbstractContextManager[Repository]:
        """A new database."""
        return mysql.repository(schema)
