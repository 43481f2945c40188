import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from databackup.adapters.sqlite import SQLiteRepository
from databackup.schema import Reference
from tests.support import sqlite


@pytest.mark.parametrize("types", ["storage", "declared"])
def test_a_real_database_is_emptied_and_filled_again(
    shared_data: Path, path: Path, types: Any
) -> None:
    """Eleven tables with a self-reference, composite keys and unicode come back to the bit."""
    shutil.copy(shared_data / "chinook.sqlite", path)
    before = sqlite.dump(path)
    repository = SQLiteRepository.reflect(path, types=types)
    collections = repository.schema.collections
    assert 11 == len(collections)
    assert {c.name for c in collections} == repository.capabilities.ordered_rows
    assert (Reference("ReportsTo", "Employee"),) == repository.schema["Employee"].references
    assert ("PlaylistId", "TrackId") == repository.schema["PlaylistTrack"].key
    with repository.transaction() as transaction:
        data = {c: list(transaction.rows(c)) for c in collections}
        for collection in collections:
            transaction.clear(collection)
        for collection in collections:
            assert 0 == transaction.count(collection)
            for rows in data[collection]:
                records = msgspec.to_builtins(collection.codec.encode(rows))
                assert rows == collection.codec.decode(records)
                transaction.insert(collection, rows)
        for collection in collections:
            assert data[collection] == list(transaction.rows(collection))
            for reference in collection.references:
                assert [] == transaction.dangling(collection, reference, 5)
        transaction.finish({})
    assert before == sqlite.dump(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert [] == connection.execute("PRAGMA foreign_key_check").fetchall()
