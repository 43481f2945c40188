"""The JSON test suite: its texts as values in edited documents."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from databackup import import_all, verify_archive
from databackup.errors import DatabackupError
from databackup.schema import Collection, Json, Schema
from databackup.testing.harness import stored
from tests.archive.support import archive_of, read_rows
from tests.support.club import memory
from tests.support.sealing import refused, sealed

if TYPE_CHECKING:
    from pathlib import Path


JSONS = Schema(collections=[Collection("t", key="id", fields={"id": int, "value": Json, "z": int})])
_TWICE = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}


def _suite(shared_data: Path, pattern: str) -> list[Path]:
    folder = shared_data / "json_test_suite"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    return sorted(folder.glob(pattern))


def _with_value(value: bytes) -> tuple[bytes, bytes]:
    """Two documents with a raw text as a value, last but one in its record: lines, and indented."""
    archive = archive_of(JSONS, {"t": [(1, None, 3), (2, "here", 4)]})
    pretty = json.dumps(json.loads(archive), indent=2).encode()
    return archive.replace(b'"here"', value), pretty.replace(b'"here"', value)


def test_json_that_is_valid(shared_data: Path) -> None:
    """Every valid text of the suite is the value that the standard json reads, laid out anyhow."""
    paths = _suite(shared_data, "y_*.json")
    assert 90 < len(paths)
    for path in paths:
        for document in _with_value(path.read_bytes()):
            if path.name in _TWICE:
                error = refused(document)
                assert isinstance(error, DatabackupError)
                assert "stands twice in one object" in str(error)
                assert "/data/t/1" in str(error.as_json())
                continue
            repository = memory({}, JSONS)
            import_all(repository, io.BytesIO(sealed(document)))
            rows = stored(repository)["t"]
            expected = json.loads(path.read_bytes())
            assert [None, expected] == [row[1] for row in read_rows(sealed(document), JSONS)["t"]]
            assert 2 == len(rows)


def test_json_that_is_not_valid(shared_data: Path) -> None:
    """Every invalid text of the suite is refused with a typed error, laid out anyhow."""
    paths = _suite(shared_data, "n_*.json")
    assert 180 < len(paths)
    for path in paths:
        for document in _with_value(path.read_bytes()):
            refused(document)


def test_json_of_which_programs_differ(shared_data: Path) -> None:
    """What is neither valid nor invalid ends in a value or in a typed error."""
    for path in _suite(shared_data, "i_*.json"):
        for document in _with_value(path.read_bytes()):
            try:
                archive = sealed(document)
            except DatabackupError:
                continue
            verify_archive(io.BytesIO(archive))
