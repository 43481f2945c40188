"""A file that is changed between the two passes is found before the second one ends."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from databackup.archive.reader import open_archive
from databackup.archive.records import RecordCodec
from databackup.errors import ArchiveInvalid, ArchiveSwapped, FileError
from databackup.schema import Schema
from tests.archive.support import SHOP, archive_of, packed, resealed, shop, with_header, with_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from databackup.archive.compression import Compression
    from databackup.archive.reader import Archive


def read_all(archive: Archive) -> Iterator[Any]:
    """Every batch of an archive."""
    for name, batches in archive.collections():
        yield from batches(RecordCodec(SHOP[name]))


SWAPS: dict[str, Callable[[bytes], bytes]] = {
    "a value": lambda data: data.replace(b'"age":31', b'"age":32'),
    "a value, and a seal that fits": lambda data: resealed(data.replace(b":31", b":32")),
    "the seal alone": lambda data: data[:-5] + (b"0" if data[-5:-4] != b"0" else b"1") + data[-4:],
    "the header": lambda data: with_header(data, lambda h: h.update(app="other")),
    "the header's version": lambda data: data.replace(b'version":1', b'version":2', 1),
    "the end": lambda data: resealed(data.replace(b'"count":3', b'"count":4', 1)),
    "a comma": lambda data: data.replace(b"31},", b"31} "),
    "a comma, and a seal": lambda data: resealed(data.replace(b"31},", b"31} ")),
    "the name of a collection": lambda data: data.replace(b'"orders":[', b'"orderz":['),
    "invalid JSON": lambda data: data.replace(b'"age":31', b'"age":3x'),
    "invalid UTF-8": lambda data: data.replace(b"Ana", b"\xff\xff\xff"),
    "cut within the header": lambda data: data[:100],
    "cut within the records": lambda data: data[: data.index(b"Zo")],
    "cut between collections": lambda data: data[: data.index(b'"log":[')],
    "cut before the end": lambda data: data[: data.index(b'"end":')],
    "cut before the seal": lambda data: data[: data.index(b'"seal":')],
    "the last byte": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\n",
    "nothing": lambda data: b"",
    "something else": lambda data: b"\0" * len(data),
    "a list": lambda data: b"[\n\n\n\n" + data[data.index(b'"data"') :],
    "collections swapped": lambda data: with_lines(data, lambda lines: lines.reverse()),
    "one collection more": lambda data: data.replace(b'"log":[', b'"x":[\n],\n"log":['),
    "one collection less": lambda data: (
        data[: data.index(b'"orders":')] + data[data.index(b'"log":[') :]
    ),
}


@pytest.mark.parametrize("packing", [None, "gzip", "zstd"])
@pytest.mark.parametrize("swap", SWAPS)
def test_swapped(swap: str, packing: Compression | None, tmp_path: Path) -> None:
    """Whatever the file was turned into, sound or ill-formed, the second pass says it was swapped.

    Records that nobody reads are no exception.
    """
    path = tmp_path / "backup"
    changed = packed(SWAPS[swap](shop()), packing)
    assert changed != packed(shop(), packing)
    for read in (read_all, lambda archive: archive.collections()):
        path.write_bytes(packed(shop(), packing))
        with open_archive(path) as archive:
            path.write_bytes(changed)
            with pytest.raises(ArchiveSwapped):
                for _ in read(archive):
                    pass


@pytest.mark.parametrize("packing", [None, "gzip", "zstd"])
def test_swapped_for_another_compression(packing: Compression | None, tmp_path: Path) -> None:
    """The same archive, compressed otherwise meanwhile, is another file."""
    path = tmp_path / "backup"
    other: Compression = "zstd" if packing == "gzip" else "gzip"
    path.write_bytes(packed(shop(), packing))
    with open_archive(path) as archive:
        path.write_bytes(packed(shop(), other))
        with pytest.raises(ArchiveSwapped):
            list(read_all(archive))


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_swapped_for_a_damaged_stream(packing: Compression, tmp_path: Path) -> None:
    """A compressed stream that is damaged or longer at the second pass was swapped."""
    path = tmp_path / "backup"
    whole = packed(shop(), packing)
    for changed in (whole[: len(whole) // 2], whole + whole, whole[:-3], whole[:-3] + b"xyz"):
        path.write_bytes(whole)
        with open_archive(path) as archive:
            path.write_bytes(changed)
            with pytest.raises(ArchiveSwapped):
                list(read_all(archive))


def test_swapped_while_it_is_read(tmp_path: Path) -> None:
    """A change far ahead of what was read is found, at the latest behind the last record."""
    schema = Schema(collections=[SHOP["log"]])
    data = archive_of(schema, {"log": [("x" * 1000,)] * 2000})
    path = tmp_path / "backup"
    path.write_bytes(data)
    with open_archive(path) as archive:
        batches = read_all(archive)
        next(batches)
        with path.open("r+b") as file:
            file.seek(len(data) - 2000)
            file.write(b"y")
        with pytest.raises(ArchiveSwapped):
            list(batches)


def test_what_was_ill_formed_from_the_start_is_no_swap(tmp_path: Path) -> None:
    """An archive that was sealed ill-formed is `ArchiveInvalid`: it is the same file as before."""
    path = tmp_path / "backup"
    path.write_bytes(SWAPS["a comma, and a seal"](shop()))
    with open_archive(path) as archive, pytest.raises(ArchiveInvalid) as caught:
        list(read_all(archive))
    assert 7 == caught.value.line


def test_an_archive_that_nobody_touched(tmp_path: Path) -> None:
    """A file that is written anew with the same bytes is no other file."""
    path = tmp_path / "backup"
    path.write_bytes(shop())
    with open_archive(path) as archive:
        path.write_bytes(shop())
        assert 9 == sum(len(batch.rows) for batch in read_all(archive))


def test_errors_of_the_file_are_no_swap() -> None:
    """A disk that fails in the second pass is a `FileError`."""

    class Failing(io.BytesIO):
        passes = 0

        def seek(self, offset: int, whence: int = 0, /) -> int:
            self.passes += offset == whence == 0
            return super().seek(offset, whence)

        def read(self, size: int | None = -1, /) -> bytes:
            if self.passes > 1:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with open_archive(Failing(shop())) as archive, pytest.raises(FileError, match="Input/output"):
        list(read_all(archive))
