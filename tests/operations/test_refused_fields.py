"""Records that a SQLite file refuses: the field is named wherever the store tells which."""

import io
from pathlib import Path
from typing import Any

import pytest

from databackup import Collection, Schema, import_all
from databackup.adapters.memory import MemoryRepository
from databackup.adapters.sqlite import SQLiteRepository, Table
from databackup.errors import InvalidRecords
from tests.support import sqlite
from tests.support.archives import exported

FIELDS = {"id": int, "number": int | None, "part": float, "name": str | None}
TABLE = """CREATE TABLE "my notes" (
    id INTEGER PRIMARY KEY, number INTEGER UNIQUE, part REAL, "a name" TEXT NOT NULL
)"""


@pytest.mark.parametrize(
    "record,field,told",
    [
        ({"number": 2**80}, "number", "an integer beyond 64 bits: int 1208925819614629174706176"),
        ({"part": float("nan")}, "part", "NULL would be made of NaN"),
        ({"name": None}, "name", "NOT NULL constraint failed: my notes.a name"),
        ({"number": 7}, "number", "UNIQUE constraint failed: my notes.number"),
    ],
)
def test_the_field_is_named(tmp_path: Path, record: dict[str, Any], field: str, told: str) -> None:
    """A Problem has record, key, field, pointer and what is wrong; the store is as it was."""
    path = tmp_path / "notes.db"
    sqlite.run(path, TABLE)
    schema = Schema(collections=[Collection("notes", key="id", fields=FIELDS)])
    good = {"id": 1, "number": 7, "part": 0.5, "name": "a"}
    contents = {"notes": [good, good | {"id": 2, "number": 8} | record]}
    archive = exported(MemoryRepository(schema, contents))
    tables = {"notes": Table("my notes", {"name": "a name"})}
    before = sqlite.dump(path)
    with pytest.raises(InvalidRecords) as caught:
        import_all(SQLiteRepository(path, schema, tables=tables), io.BytesIO(archive))
    (problem,) = caught.value.problems
    assert (2, (2,), field) == (problem.record, problem.key, problem.field)
    assert f"/data/notes/1/{field}" == problem.pointer
    assert told in problem.message
    assert "a value that the store takes" == problem.expected
    assert before == sqlite.dump(path)
