"""Files: a source that can be read twice, and a destination that is whole or untouched."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

import attrs

from databackup.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PathOrFile = str | os.PathLike[str] | IO[bytes]
_TEMPORARY = ".databackup-tmp"


def is_path(place: PathOrFile) -> bool:
    """Whether a source or destination is a path, not an open file."""
    return isinstance(place, str | os.PathLike)


@contextlib.contextmanager
def open_source(source: PathOrFile) -> Iterator[IO[bytes]]:
    """The source as a file that can seek, at its start; what cannot seek is copied first.

    Raises `FileError`.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(source, str | os.PathLike):
            file: IO[bytes] = stack.enter_context(_open(Path(source)))
        else:
            file = source
        if not isinstance(file.read(0), bytes):
            raise FileError("the source is open as text: open it in binary mode")
        if not file.seekable():
            spool = stack.enter_context(tempfile.TemporaryFile())
            try:
                shutil.copyfileobj(file, spool)
            except OSError as error:
                raise FileError(f"the source cannot be read: {error.strerror}") from error
            spool.seek(0)
            file = spool
        yield file


def _open(path: Path) -> IO[bytes]:
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder, not a file", str(path))
        return path.open("rb")
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist", str(path)) from error
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {_reason(error)}", str(path)) from error


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@attrs.frozen
class Written:
    """What was written: bytes in the file, and what could not be confirmed."""

    size: int
    warnings: tuple[str, ...] = ()


def write_file(path: Path, chunks: Iterable[bytes]) -> Written:
    """Write chunks to a file that is there whole or not at all, for its owner's eyes only.

    A temporary file beside it is written and synced, then takes its name, then the folder is
    synced. Whatever goes wrong before, the old file stays. Raises `FileError`.
    """
    _require_replaceable(path)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name[:100]}.", suffix=_TEMPORARY, dir=path.parent
        )
    except OSError as error:
        raise _cannot_write(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            size = _write_all(path, file, chunks)
            try:
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                raise _cannot_write(path, error) from error
        try:
            temporary.replace(path)
        except OSError as error:
            raise _cannot_write(path, error) from error
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return Written(size, _sync_folder(path.parent))


def _write_all(path: Path, file: IO[bytes], chunks: Iterable[bytes]) -> int:
    size = 0
    for chunk in chunks:
        try:
            file.write(chunk)
        except OSError as error:
            raise _cannot_write(path, error) from error
        size += len(chunk)
    return size


def _require_replaceable(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise FileError(f"the folder {path.parent} does not exist", str(path)) from None
        return
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be written: {_reason(error)}", str(path)) from error
    if stat.S_ISDIR(mode):
        raise FileError(f"{path} is a folder: name a file in it", str(path))
    if stat.S_ISLNK(mode):
        raise FileError(f"{path} is a symbolic link: name the file itself", str(path))
    if not stat.S_ISREG(mode):
        raise FileError(f"{path} is no regular file: stream to an open file instead", str(path))


def _cannot_write(path: Path, error: OSError) -> FileError:
    return FileError(f"{path} cannot be written: {_reason(error)}", str(path))


def _sync_folder(folder: Path) -> tuple[str, ...]:
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        reason = error.strerror or str(error)
        return (f"written, but its durability is unconfirmed: {folder}: {reason}",)
    return ()


def write_stream(file: IO[bytes], chunks: Iterable[bytes]) -> Written:
    """Write chunks to an open file. Raises `FileError`."""
    size = 0
    for chunk in chunks:
        try:
            file.write(chunk)
        except OSError as error:
            raise FileError(f"the destination cannot be written: {_reason(error)}") from error
        size += len(chunk)
    with contextlib.suppress(AttributeError):
        file.flush()
    return Written(size)
