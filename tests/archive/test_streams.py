"""A stream gets every byte, and what fails there is typed."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from databackup.archive import files
from databackup.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def failing(error: BaseException) -> Iterator[bytes]:
    """Chunks, and then an error."""
    yield b"the start"
    yield b"x" * 1_000_000
    raise error


def disk_full(*_arguments: Any) -> Any:
    """Any call of the system, when the disk is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _ClosedPipe(io.BytesIO):
    """A pipe whose reader has gone."""

    def write(self, _data: Any) -> int:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class _Picky(io.RawIOBase):
    """Takes three bytes at once."""

    def __init__(self) -> None:
        self.taken = b""

    def write(self, data: Any) -> int:
        self.taken += data[:3]
        return len(data[:3])


class _Bare:
    """The least that a destination can be: `write`, which returns nothing."""

    def __init__(self) -> None:
        self.taken = b""

    def write(self, data: bytes) -> None:
        self.taken += data


class _Busy(io.RawIOBase):
    """A pipe that would block."""

    def write(self, _data: Any) -> None:
        return None


class _UnflushableFile(io.BytesIO):
    """A file that fails when its buffer is emptied."""

    def flush(self) -> None:
        disk_full()


def test_streams() -> None:
    """An open file gets every byte, in the parts it takes, and stays open."""
    for file in (io.BytesIO(), _Picky(), _Bare()):
        written = files.write_stream(file, [b"one", b"", b"four"])  # type: ignore[arg-type]
        assert files.Written(7) == written
        found = file.getvalue() if isinstance(file, io.BytesIO) else file.taken
        assert b"onefour" == found


def test_streams_are_flushed(tmp_path: Path) -> None:
    """What was written to an open file has left its buffer."""
    with (tmp_path / "x").open("wb") as file:
        files.write_stream(file, [b"x"])
        assert b"x" == (tmp_path / "x").read_bytes()


@pytest.mark.parametrize(
    "make, message",
    [
        (_ClosedPipe, "Broken pipe"),
        (_Busy, "no more at once"),
        (_UnflushableFile, "No space left"),
        (io.StringIO, "open as text"),
    ],
)
def test_streams_that_fail(make: Callable[[], Any], message: str) -> None:
    """A stream that cannot be written to is a `FileError` that says why."""
    with pytest.raises(FileError, match=message):
        files.write_stream(make(), [b"x"])


def test_streams_that_are_not_open_for_writing(tmp_path: Path) -> None:
    """A file that is closed, or open for reading, is a `FileError`."""
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with path.open("rb") as file, pytest.raises(FileError):
        files.write_stream(file, [b"x"])
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(FileError, match="closed"):
        files.write_stream(closed, [b"x"])


def test_what_the_chunks_of_a_stream_raise_comes_out() -> None:
    """What making the chunks raises comes out as it is."""
    for error in (ValueError("x"), OSError("x")):
        with pytest.raises(type(error)) as caught:
            files.write_stream(io.BytesIO(), failing(error))
        assert error is caught.value
