"""The library's own format versions: a reader for each, whatever the versions of apps."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from databackup import inspect_archive
from databackup.archive import format as fixed
from databackup.archive import reader
from databackup.archive.format import FORMAT_VERSION
from databackup.errors import NewerFormat
from tests.archive.support import resealed
from tests.golden.answers import answers_to
from tests.golden.make import ANSWERS, HERE

PINNED = json.loads((HERE / ANSWERS).read_text("utf-8"))
SOUND = sorted(name for name in PINNED if name.startswith("sound/"))


def test_every_format_has_a_reader() -> None:
    """From the first to the one that is written."""
    assert list(range(1, FORMAT_VERSION + 1)) == sorted(reader.FORMATS)


@pytest.fixture
def second_format(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A library that knows a second format as well; which readers were asked."""
    asked: list[int] = []
    first = reader.FORMATS[1]

    def of_first(*given: Any) -> Any:
        asked.append(1)
        return first(*given)

    def of_second(*_given: Any) -> Any:
        asked.append(2)
        raise NotImplementedError

    monkeypatch.setattr(reader, "FORMATS", {1: of_first, 2: of_second})
    monkeypatch.setattr(fixed, "FORMAT_VERSION", 2)
    return asked


@pytest.mark.parametrize("name", SOUND)
def test_old_formats_beside_a_new_one(name: str, second_format: list[int], tmp_path: Path) -> None:
    """Archives of format 1, of every version of the app, are answered as they ever were."""
    assert PINNED[name] == answers_to(HERE / name, tmp_path)
    assert {1} == set(second_format)


def test_a_new_format_has_its_own_reader(second_format: list[int]) -> None:
    """It is chosen by the first bytes alone, and one that is newer still is refused."""
    archive = (HERE / "sound/v3.json").read_bytes()
    second = archive.replace(b'"format_version":1', b'"format_version":2')
    with pytest.raises(NotImplementedError):
        inspect_archive(io.BytesIO(second))
    assert [2] == second_format
    third = resealed(archive.replace(b'"format_version":1', b'"format_version":3'))
    with pytest.raises(NewerFormat, match="format 3, this databackup reads up to 2"):
        inspect_archive(io.BytesIO(third))
