"""Where nothing is sound, reading stops: thousands of problems more would tell nothing."""

import io
from collections.abc import Callable
from typing import Any

import pytest

from databackup import Collection, Schema, diff, import_all, seal_archive, verify_archive
from databackup.errors import InvalidRecords
from tests.archive.support import archive_of, resealed
from tests.support.clock import within
from tests.support.club import memory

NOTES = Schema(
    collections=[
        Collection("notes", key="id", fields={"id": int}),
        Collection("others", key="id", fields={"id": int}),
    ]
)


def _import(archive: bytes) -> None:
    import_all(memory({"notes": [(7,)]}, NOTES), io.BytesIO(archive))


def _verify(archive: bytes) -> None:
    verify_archive(io.BytesIO(archive), NOTES)


def _diff(archive: bytes) -> None:
    diff(io.BytesIO(archive), memory({"notes": [(7,)]}, NOTES))


def _seal(archive: bytes) -> None:
    seal_archive(io.BytesIO(archive), io.BytesIO())


def _bad(line: bytes, count: int) -> bytes:
    """An archive with so many records that are none, and sound ones behind."""
    archive = archive_of(NOTES, {"notes": [(1,)], "others": [(1,), (2,)]})
    lines = b",\n".join([line] * count)
    archive = archive.replace(b'"notes":[\n{"id":1}', b'"notes":[\n' + lines, 1)
    return resealed(archive.replace(b'"notes":{"count":1', b'"notes":{"count":%d' % count, 1))


@pytest.mark.parametrize("read", [_import, _verify, _diff, _seal])
@pytest.mark.parametrize("line", [b'{"id":"x"}', b"{}"])
def test_reading_stops_where_nothing_is_sound(read: Callable[[bytes], Any], line: bytes) -> None:
    """A hundred are named, and it is said that there may be more."""
    archive = _bad(line, 400_000)
    with within(3), pytest.raises(InvalidRecords, match="and reading was stopped") as caught:
        read(archive)
    assert 100 == len(caught.value.problems)
    assert 10_000 <= caught.value.total < 100_000


@pytest.mark.parametrize("read", [_import, _verify, _diff, _seal])
def test_fewer_are_all_counted(read: Callable[[bytes], Any]) -> None:
    """Up to ten thousand, whatever else the archive has."""
    with pytest.raises(InvalidRecords) as caught:
        read(_bad(b'{"id":"x"}', 9_000))
    assert (100, 9_000) == (len(caught.value.problems), caught.value.total)
    assert "stopped" not in caught.value.message
