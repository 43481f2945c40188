"""What the repository in memory does with attributes that the schema leaves out."""

import dataclasses
from typing import Any

import attrs
import pytest

from databackup.adapters.memory import MemoryRepository
from databackup.schema import Collection, Schema


@attrs.define
class _AttrsNote:
    id: int
    text: str
    _seen: int = 0


@dataclasses.dataclass
class _DataclassNote:
    id: int
    text: str
    _seen: int = 0


@pytest.mark.parametrize("model", [_AttrsNote, _DataclassNote])
def test_an_update_keeps_what_the_schema_leaves_out(model: Any) -> None:
    """An updated record keeps its excluded attributes, as a table keeps columns of its own."""
    notes = [model(1, "old", 7)]
    collection = Collection.of(model, "notes", key="id", exclude={"_seen": "of this process"})
    repository = MemoryRepository(Schema(collections=[collection]), {"notes": notes})
    with repository.transaction() as transaction:
        transaction.update(collection, [(1, "new")])
        transaction.finish({})
    assert [model(1, "new", 7)] == notes
