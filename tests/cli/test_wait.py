"""How long a locked file is waited for."""

import contextlib
import sqlite3
import time

import pytest

from tests.cli.conftest import Workshop


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_wait_is_as_long_as_said(workshop: Workshop, lock: str) -> None:
    """A file that others may not even read is waited for no longer than --wait says, too."""
    archive = workshop.archive()
    with contextlib.closing(sqlite3.connect(workshop.database, isolation_level=None)) as other:
        other.execute(lock)
        start = time.monotonic()
        result = workshop.run("import", archive, "shop.db", "--yes", "--wait", "0.2")
        waited = time.monotonic() - start
    assert 1 == result.exit_code
    assert "locked" in result.stderr
    assert 0.2 <= waited < 4
