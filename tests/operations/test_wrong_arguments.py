"""What is no source, no destination, no schema: named, before anything is done."""

import io
from typing import Any

import attrs
import pytest

from databackup import Collection, Schema, export_all, import_all, inspect_archive
from databackup.adapters.memory import MemoryRepository
from databackup.errors import InvalidRecords, SchemaError, StoreMismatch

NOTES = Collection("notes", key="id", fields={"id": int})
SCHEMA = Schema(collections=[NOTES])


@pytest.mark.parametrize("place", [None, 5, b"backup.json", ["backup.json"]])
def test_what_is_no_file(place: Any) -> None:
    """A source or destination that is neither a path nor an open file is a TypeError."""
    repository = MemoryRepository(SCHEMA, {"notes": []})
    with pytest.raises(TypeError, match="a source is a path or an open file, not "):
        import_all(repository, place)
    with pytest.raises(TypeError, match="a source is a path or an open file, not "):
        inspect_archive(place)
    with pytest.raises(TypeError, match="a destination is a path or an open file, not "):
        export_all(repository, place)


@pytest.mark.parametrize("stranger", ["notes", 5, None])
def test_what_is_no_collection_and_no_reference(stranger: Any) -> None:
    """A schema of other things, and references of other things, are SchemaErrors that name them."""
    with pytest.raises(SchemaError, match="is no Collection"):
        Schema(collections=[NOTES, stranger])
    with pytest.raises(SchemaError, match="is no Reference"):
        Collection("menus", key="id", fields={"id": int}, references=[stranger])


def test_collections_share_no_list() -> None:
    """Two collections over one list would each replace what the other has just put there."""
    schema = Schema(collections=[NOTES, Collection("menus", key="id", fields={"id": int})])
    shared: list[Any] = []
    with pytest.raises(StoreMismatch, match="menus and notes are one and the same object"):
        MemoryRepository(schema, {"menus": shared, "notes": shared})


@attrs.define
class Animal:
    """The model."""

    id: int


@attrs.define
class Dog(Animal):
    """An animal with more than the model knows of."""

    breed: str = "collie"


def test_instances_of_subclasses_are_refused() -> None:
    """What a subclass adds would be lost on the way back, so such a record is named instead."""
    schema = Schema(collections=[Collection.of(Animal, "animals", key="id")])
    repository = MemoryRepository(schema, {"animals": [Animal(1), Dog(2)]})
    with pytest.raises(InvalidRecords, match="expected an instance of Animal, found Dog") as caught:
        export_all(repository, io.BytesIO())
    assert [2] == [problem.record for problem in caught.value.problems]
