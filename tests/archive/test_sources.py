"""A source is read where it stands, from a path, an open file or a pipe."""

from __future__ import annotations

import errno
import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from databackup.archive import files
from databackup.archive.reader import open_archive
from databackup.archive.records import RecordCodec
from databackup.errors import DatabackupError, FileError
from tests.archive.support import SALES, SHOP, archive_of, packed, shop, tiny

# -- a source ----------------------------------------------------------------------------------


def seal_of(source: Any) -> str:
    """The seal of an archive that was read twice."""
    with open_archive(source) as archive:
        for _name, _read in archive.collections():
            pass
        return archive.seal


@pytest.mark.parametrize("packing", [None, "gzip", "zstd"])
def test_sources(packing: Any, tmp_path: Path) -> None:
    """A path, as text or not, an open file, and a pipe are read alike, compressed or not."""
    path = tmp_path / "backup"
    path.write_bytes(packed(shop(), packing))
    seal = shop()[-68:-4].decode()
    assert seal == seal_of(path) == seal_of(str(path))
    with path.open("rb") as file:
        assert seal == seal_of(file)
        assert not file.closed
    with subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as process:
        assert seal == seal_of(process.stdout)
    with path.open("rb", buffering=0) as raw:
        assert seal == seal_of(raw)


def test_source_at_an_offset() -> None:
    """An open file is read from where it stands, in both passes."""
    file = io.BytesIO(b"something else\n" + tiny())
    file.seek(15)
    with open_archive(file) as archive:
        assert ["t"] == [name for name, _ in archive.collections()]
        assert len(tiny()) == archive.file_size == archive.size


class _Pipe(io.RawIOBase):
    """Cannot seek, and gives a few bytes at once."""

    def __init__(self, data: bytes, error: OSError | None = None) -> None:
        self._file = io.BytesIO(data)
        self._error = error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, 100) if size >= 0 else size)
        if self._error and size and not data:
            raise self._error
        return data


def test_source_that_cannot_seek() -> None:
    """A source that cannot seek is copied first, and the copy vanishes."""
    pipe: Any = _Pipe(shop())
    with files.open_source(pipe) as file:
        assert file.seekable()
        assert (0, shop()) == (file.tell(), file.read())
    assert file.closed


def test_sources_that_fail() -> None:
    """A source that cannot be read to its end is a `FileError` that says why."""
    lost = OSError(errno.EIO, os.strerror(errno.EIO))
    with pytest.raises(FileError, match="cannot be read: Input/output error"):
        seal_of(_Pipe(shop(), lost))


class _LostDisk(io.BytesIO):
    """Fails behind its first bytes."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 100_000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


def test_sources_that_fail_later() -> None:
    """A disk that fails while the archive is read is a `FileError` too."""
    with pytest.raises(FileError, match="Input/output error"):
        seal_of(_LostDisk(shop().replace(b"made anew", b"x" * 500_000)))


def test_sources_that_are_no_binary_file(tmp_path: Path) -> None:
    """A file that is open as text, for writing, or not at all, is refused."""
    path = tmp_path / "x"
    path.write_bytes(shop())
    with path.open(encoding="utf-8") as text, pytest.raises(FileError, match="binary"):
        seal_of(text)
    with pytest.raises(FileError, match="binary"):
        seal_of(io.StringIO("x"))
    with path.open("ab") as file, pytest.raises(FileError):
        seal_of(file)
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(FileError, match="closed"):
        seal_of(closed)


@pytest.mark.parametrize(
    "name, message",
    [
        ("missing", "does not exist"),
        (".", "is a folder"),
        ("file/x", "Not a directory"),
        ("x" * 300, "too long"),
        ("nul\0", "null byte"),
    ],
)
def test_sources_that_are_no_file(tmp_path: Path, name: str, message: str) -> None:
    """A path that names no file is refused, and named."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match=message) as caught:
        seal_of(tmp_path / name)
    assert str(tmp_path / name) == caught.value.path


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_sources_without_permission(tmp_path: Path) -> None:
    """A file that may not be read is refused, and the reason said."""
    (tmp_path / "x").write_bytes(shop())
    (tmp_path / "x").chmod(0)
    with pytest.raises(FileError, match="Permission denied"):
        seal_of(tmp_path / "x")


def test_devices_as_sources() -> None:
    """A device without an end is told from an archive by its start."""
    with pytest.raises(DatabackupError):
        seal_of("/dev/zero")
    with pytest.raises(DatabackupError, match="empty"):
        seal_of(os.devnull)


@pytest.mark.parametrize("packing", [None, "gzip", "zstd"])
def test_two_readers_of_one_archive(packing: Any) -> None:
    """One goes on where it was, whatever another has read meanwhile."""
    buyers = [(f"{number:06}" + os.urandom(40).hex(), number) for number in range(4000)]
    source = packed(archive_of(SHOP, SALES | {"buyers": buyers}), packing)
    found = []
    with open_archive(io.BytesIO(source)) as archive:
        for name, read in archive.collections():
            for batch in read(RecordCodec(SHOP[name])):
                assert 3 == len(list(archive.collections()))
                found += [row[0] for row in batch.rows]
    assert {name for name, _ in buyers} <= set(found)
