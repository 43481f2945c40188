import contextlib
import io
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    Collection,
    ExportReport,
    Progress,
    Schema,
    export_all,
    inspect_archive,
    iter_export,
    verify_archive,
)
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import FileError, InvalidRecords, StoreFailed
from databackup.repository import BATCH_SIZE, Row
from tests.support import sqlite
from tests.support.archives import data_of, exported
from tests.support.club import CLUB, club, many, memory
from tests.support.wrappers import Passed, PassedSnapshot


class _Cancelled(Exception):
    pass


def _cancel(_progress: Progress) -> None:
    raise _Cancelled


def test_report_is_what_the_archive_says(tmp_path: Path) -> None:
    """Counts, size, seal, id and time of the report are those of the file."""
    path = tmp_path / "club.json"
    report = export_all(memory(), path)
    info = inspect_archive(path)
    expected = ExportReport(
        path=str(path),
        archive_id=info.archive_id,
        created_at=info.created_at,
        collections={"members": 4, "teams": 3, "plays": 3, "log": 3},
        records=13,
        size=path.stat().st_size,
        seal=info.seal,
        excluded=(),
    )
    assert expected == report
    assert info.records == report.records
    assert json.loads(path.read_text())["end"]["seal"] == "sha256:" + report.seal


def test_report_of_a_stream_has_its_bytes() -> None:
    """A report on an open file counts the bytes it was given and names no path."""
    file = io.BytesIO()
    report = export_all(memory(), file)
    assert (None, len(file.getvalue())) == (report.path, report.size)


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".json.zst"])
def test_suffix_compresses(tmp_path: Path, suffix: str) -> None:
    """The suffix of a path says how it is compressed; the report has the file's own size."""
    path = tmp_path / f"club{suffix}"
    report = export_all(memory(), path)
    info = inspect_archive(path)
    assert (path.stat().st_size, path.stat().st_size) == (report.size, info.file_size)
    assert {".json": None, ".json.gz": "gzip", ".json.zst": "zstd"}[suffix] == info.compression
    assert verify_archive(path, CLUB).records == 13


def test_archive_can_go_through_a_pipe() -> None:
    """A destination that cannot seek, as standard output, takes an archive; so does a source."""
    read, write = os.pipe()
    with open(write, "wb") as sink, open(read, "rb") as source:  # noqa: PTH123 - descriptors
        export_all(memory(), sink)
        sink.close()
        assert verify_archive(source, CLUB).records == 13


def test_unbuffered_file_gets_every_byte() -> None:
    """A raw file that takes only a part of what it is given at a time loses nothing."""

    class Sips(io.RawIOBase):
        def __init__(self) -> None:
            self.taken = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.taken += bytes(data)[:100]
            return min(len(data), 100)

    file = Sips()
    export_all(memory(), file)  # type: ignore[arg-type]
    assert verify_archive(io.BytesIO(file.taken), CLUB).records == 13


def test_progress_of_every_batch() -> None:
    """Progress counts up to the total of each collection, in the order they are written."""
    seen: list[Progress] = []
    export_all(memory(many(2 * BATCH_SIZE + 1)), io.BytesIO(), progress=seen.append)
    expected = [
        Progress(stage="exporting", collection="members", done=done, total=2 * BATCH_SIZE + 1)
        for done in (BATCH_SIZE, 2 * BATCH_SIZE, 2 * BATCH_SIZE + 1)
    ]
    assert expected == seen


def test_progress_that_raises_cancels(tmp_path: Path) -> None:
    """What progress raises comes out unchanged; the old file stays, and nothing beside it."""
    path = tmp_path / "club.json.gz"
    path.write_bytes(b"old")
    repository = Passed(memory())
    with pytest.raises(_Cancelled):
        export_all(repository, path, progress=_cancel)
    assert (b"old", [path]) == (path.read_bytes(), list(tmp_path.iterdir()))
    assert repository.open == 0


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
def test_iter_export_gives_the_same_archive(compression: Any) -> None:
    """The chunks of a stream are an archive of the same data, compressed as asked."""
    archive = b"".join(iter_export(memory(), compression=compression))
    info = inspect_archive(io.BytesIO(archive))
    assert (compression, 13) == (info.compression, info.records)


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_closing_a_stream_ends_its_snapshot(compression: Any) -> None:
    """A consumer that stops early leaves no snapshot open."""
    repository = Passed(memory(many(50_000)))
    chunks = iter_export(repository, compression=compression)
    assert repository.open == 0  # nothing is read before the first chunk is asked for
    next(iter(chunks))
    assert repository.open == 1
    chunks.close()  # type: ignore[attr-defined]
    assert repository.open == 0


def test_unknown_compression_is_refused() -> None:
    """A compression that there is not is told of at once, not taken for another."""
    with pytest.raises(ValueError, match="compression is 'gzip' or 'zstd', not 'br'"):
        iter_export(memory(), compression="br")  # type: ignore[arg-type]


def test_failed_destination_ends_the_snapshot() -> None:
    """The snapshot is closed when the destination fails, even while the error is looked at."""

    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    repository = Passed(memory())
    with pytest.raises(FileError) as caught:
        export_all(repository, Full())
    assert caught.traceback
    assert repository.open == 0


class _Miscounts(PassedSnapshot):
    def count(self, collection: Collection) -> int:
        return self.inner.count(collection) + 1


class _Drops(PassedSnapshot):
    def rows(self, collection: Collection, *, batch_size: int = BATCH_SIZE) -> Iterator[list[Row]]:
        for rows in self.inner.rows(collection, batch_size=batch_size):
            yield rows[1:] or rows


class _Backwards(PassedSnapshot):
    def rows(self, collection: Collection, *, batch_size: int = BATCH_SIZE) -> Iterator[list[Row]]:
        for rows in self.inner.rows(collection, batch_size=batch_size):
            yield rows[::-1]


class _Twice(PassedSnapshot):
    def count(self, collection: Collection) -> int:
        return 2 * self.inner.count(collection)

    def rows(self, collection: Collection, *, batch_size: int = BATCH_SIZE) -> Iterator[list[Row]]:
        for rows in self.inner.rows(collection, batch_size=batch_size):
            yield rows
            yield rows


@pytest.mark.parametrize(
    "liar,message",
    [
        (_Miscounts, "counts 5 records of members, but gave 4"),
        (_Drops, "counts 4 records of members, but gave 3"),
        (_Backwards, "does not yield members in key order"),
        (_Twice, "does not yield members in key order"),
    ],
)
def test_store_that_lies_is_found(tmp_path: Path, liar: type[PassedSnapshot], message: str) -> None:
    """Rows that disagree with the count, or with the order, fail the export; the old file stays."""
    path = tmp_path / "club.json"
    path.write_bytes(b"old")
    repository = Passed(memory(), snapshot=liar)
    with pytest.raises(StoreFailed, match=message):
        export_all(repository, path)
    assert (b"old", [path]) == (path.read_bytes(), list(tmp_path.iterdir()))
    assert repository.open == 0


def test_order_is_proved_across_batches() -> None:
    """A key that comes again in a later batch fails the export."""

    class Again(PassedSnapshot):
        def count(self, collection: Collection) -> int:
            return self.inner.count(collection) + 1

        def rows(
            self, collection: Collection, *, batch_size: int = BATCH_SIZE
        ) -> Iterator[list[Row]]:
            found = list(self.inner.rows(collection, batch_size=batch_size))
            yield from found
            yield found[-1][-1:]

    with pytest.raises(StoreFailed, match="does not yield members in key order"):
        export_all(Passed(memory(), snapshot=Again), io.BytesIO())


def test_value_off_its_kind_is_named(tmp_path: Path) -> None:
    """Collection, record, key and field of each value that the schema does not allow are named."""
    path = tmp_path / "club.db"
    repository = sqlite.repository(path, CLUB, club())
    sqlite.run(path, "UPDATE teams SET rating = 'high' WHERE code IN ('b', 'é')")
    file = io.BytesIO()
    with pytest.raises(InvalidRecords) as caught:
        export_all(repository, file)
    expected = [
        ("teams", 2, ("b",), "rating", "/data/teams/1/rating", "a number"),
        ("teams", 3, ("é",), "rating", "/data/teams/2/rating", "a number"),
    ]
    found = [
        (p.collection, p.record, p.key, p.field, p.pointer, p.expected)
        for p in caught.value.problems
    ]
    assert (expected, 2) == (found, caught.value.total)


def test_number_of_a_bad_record_counts_earlier_batches(tmp_path: Path) -> None:
    """The record's number is that in its collection, not in its batch."""
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int, "v": int})])
    path = tmp_path / "t.db"
    repository = sqlite.repository(path, schema, {"t": [(i, i) for i in range(2500)]})
    sqlite.run(path, "UPDATE t SET v = 'x' WHERE id = 2345")
    with pytest.raises(InvalidRecords, match="t, record 2346, key 2345, field v"):
        export_all(repository, io.BytesIO())


def test_empty_collections_are_in_the_archive() -> None:
    """A collection without records is there, with a count of 0."""
    archive = exported(memory({}))
    expected = {"members": 0, "teams": 0, "plays": 0, "log": 0}
    assert expected == verify_archive(io.BytesIO(archive), CLUB).collections


def test_two_exports_of_the_same_data_differ_in_header_and_seal_only() -> None:
    """What is written is settled by the data."""
    assert data_of(exported(memory())) == data_of(exported(memory()))


def test_excluded_is_in_header_and_report(tmp_path: Path) -> None:
    """What is not backed up is listed with its reason."""
    path = tmp_path / "club.db"
    sqlite.create(path, CLUB)
    sqlite.run(path, "CREATE TABLE sessions (id)", "ALTER TABLE members ADD COLUMN cached TEXT")
    exclude = {"sessions": "they end with the server", "members.cached": "made anew"}
    repository = SQLiteRepository.reflect(path, exclude=exclude)
    report = export_all(repository, file := io.BytesIO())
    file.seek(0)
    info = inspect_archive(file)
    assert exclude == {e.name: e.reason for e in report.excluded}
    assert report.excluded == info.excluded


def test_decimals_keep_their_scale() -> None:
    """1.10 is written as 1.10."""
    archive = exported(memory({"log": [("a", Decimal("1.10")), ("b", Decimal("1.1"))]}))
    assert b'{"line":"a","amount":"1.10"},\n{"line":"b","amount":"1.1"}\n' in archive


def test_snapshot_is_over_before_the_report(tmp_path: Path) -> None:
    """When the export has returned, nothing holds the store."""
    path = tmp_path / "club.db"
    repository = sqlite.repository(path, CLUB, club())
    with contextlib.closing(iter_export(repository)) as chunks:  # type: ignore[type-var]
        list(chunks)
        sqlite.run(path, "PRAGMA journal_mode = DELETE", "DELETE FROM log")
