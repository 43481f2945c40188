"""Files: a source that can be read twice, and a destination that is whole or untouched."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import stat
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import attrs

from databackup.archive import compression
from databackup.archive.encrypting import encrypt
from databackup.archive.encryption import (
    SUFFIX,
    Encryption,
    is_encrypted,
    require_agreement,
    require_encryption,
)
from databackup.errors import FileError, LimitExceeded, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PathOrFile = str | os.PathLike[str] | IO[bytes]
_TEMPORARY = ".databackup-tmp"
_SPOOLED = 256 * 1024  # bytes at a time
_WRITTEN_BACK = 16 * 1024 * 1024  # bytes at a time
_TOLD = 1024 * 1024  # bytes between two calls
_PREFIX = 50  # characters of the target's name; with four bytes each, and the rest, still a name


@contextlib.contextmanager
def open_source(source: PathOrFile, size: int | None = None) -> Iterator[IO[bytes]]:
    """The source as a file that can seek, where it stands; what cannot seek is copied first.

    `size` is the limit for what is copied: an archive is no smaller than its file. Raises
    `FileError`, `LimitExceeded`.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(source, str | os.PathLike):
            file: IO[bytes] = stack.enter_context(_open(Path(source)))
        elif hasattr(source, "read"):
            file = source
        else:
            raise TypeError(f"a source is a path or an open file, not {type(source).__name__}")
        try:
            if not isinstance(file.read(0), bytes):
                raise FileError("the source is open as text: open it in binary mode")
            if not file.seekable():
                spool = stack.enter_context(tempfile.TemporaryFile())
                _spool(file, spool, size)
                spool.seek(0)
                file = spool
        except (OSError, ValueError) as error:
            raise FileError(f"the source cannot be read: {reason_of(error)}") from error
        yield file


def _spool(file: IO[bytes], spool: IO[bytes], limit: int | None) -> None:
    while chunk := file.read(_SPOOLED):
        if limit is not None and spool.tell() == 0 and is_encrypted(chunk):
            limit = 2 * limit + _SPOOLED  # keys, tags and armor come on top
        spool.write(chunk)
        if limit is not None and spool.tell() > limit:
            raise LimitExceeded.of("size", limit, "the archive is larger")


def chunks(file: IO[bytes], start: int) -> Iterator[bytes]:
    """What a file holds from a place on, in pieces, whoever else reads it. Raises `FileError`."""
    place = start
    while chunk := read(file, compression.CHUNK, place):
        place += len(chunk)
        yield chunk


def counted(
    chunks: Iterable[bytes], total: int, told: Callable[[int, int], None]
) -> Iterator[bytes]:
    """The chunks; `told` hears after each MiB, and at the end, how many bytes of how many."""
    done = last = 0
    for chunk in chunks:
        done += len(chunk)
        if done - last >= _TOLD or done >= total:
            last = done
            told(done, total)
        yield chunk


def read(file: IO[bytes], size: int, place: int | None = None) -> bytes:
    """Up to `size` bytes of a file, from a place or from where it stands. Raises `FileError`."""
    try:
        if place is not None:
            file.seek(place)
        return file.read(size)
    except OSError as error:
        raise FileError(f"the source cannot be read: {reason_of(error)}") from error


def _open(path: Path) -> IO[bytes]:
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder, not a file", str(path))
        return path.open("rb")
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist", str(path)) from error
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {reason_of(error)}", str(path)) from error


@attrs.frozen
class Written:
    """What was written: bytes in the file, and what could not be confirmed.

    `path` is None for a file that was handed over open; `needs` are the limits that a reader of a
    compressed file has to raise, and how far.
    """

    size: int
    warnings: tuple[str, ...] = ()
    path: str | None = None
    needs: dict[str, int] = attrs.field(factory=dict)


def write_archive(
    destination: PathOrFile, chunks: Iterable[bytes], encryption: Encryption | None = None
) -> Written:
    """Write the chunks of an archive: to a path compressed as its suffix says, or to an open file.

    A generator is closed, whatever happens. Raises `FileError`, and for `encryption`
    `EncryptionMismatch`, `TooLargeForPassphrase`.
    """
    require_encryption(encryption)
    with _closed_at_once(chunks):
        if isinstance(destination, str | os.PathLike):
            path = Path(destination)
            require_agreement(path.name, encryption)
            packing = compression.by_suffix(path.name.removesuffix(SUFFIX))
            written = _packed(chunks, packing, encryption, functools.partial(write_file, path))
            return attrs.evolve(written, path=str(path))
        return write_stream(destination, encrypt(chunks, encryption))


def write_file(path: Path, chunks: Iterable[bytes]) -> Written:
    """Write chunks to a file, which is the old one until it is the complete new one.

    Raises `FileError`.
    """
    _require_replaceable(path)
    return _write_file(path, chunks, functools.partial(_replace, path))


def write_new_archive(  # noqa: PLR0917 - a name is made of the first three
    folder: Path,
    beginning: str,
    names: Callable[[], Iterable[str]],
    chunks: Iterable[bytes],
    packing: compression.Compression | None,
    encryption: Encryption | None = None,
) -> Written:
    """Write the chunks of an archive to a new file of a folder, and replace none.

    `names` is asked once all is written, and the first of them that no file has is taken;
    `beginning` is what the temporary file is called until then. Whatever is raised, there is no new
    file. Raises `FileError`, also where all names are taken.
    """
    with _closed_at_once(chunks):
        path = folder / beginning
        _require_folder(folder, path)
        place = _FreeName(folder, names)
        try:
            return _packed(
                chunks, packing, encryption, lambda packed: _write_file(path, packed, place)
            )
        except BaseException:
            place.give_back()
            raise


def _packed(
    chunks: Iterable[bytes],
    packing: compression.Compression | None,
    encryption: Encryption | None,
    write: Callable[[Iterable[bytes]], Written],
) -> Written:
    """What was written, compressed and encrypted, and what its reader needs for that."""
    ratio = compression.Ratio()
    written = write(encrypt(compression.compress(chunks, packing, ratio), encryption))
    expansion = compression.needed_expansion(packing, ratio)
    return attrs.evolve(written, needs={} if expansion is None else {"expansion": expansion})


def _write_file(path: Path, chunks: Iterable[bytes], place: Callable[[Path], Path]) -> Written:
    """Write chunks to a file that is there whole or not at all, for its owner's eyes only.

    A temporary file beside `path` is written and synced, then `place` gives it its name, then the
    folder is synced. Whatever goes wrong before, nothing else has changed. Raises `FileError`.
    """
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name[:_PREFIX]}.", suffix=_TEMPORARY, dir=path.parent
        )
    except OSError as error:
        raise _cannot_write(path, error) from error
    temporary = Path(name)
    try:
        with _closed_at_once(chunks):
            size = _write_and_sync(path, handle, chunks)
        try:
            path = place(temporary)
        except OSError as error:
            raise _cannot_write(path, error) from error
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return Written(size, _sync_folder(path.parent), str(path))


def _replace(path: Path, temporary: Path) -> Path:
    temporary.replace(path)
    return path


class _FreeName:
    """Gives a file the first of some names that is free."""

    def __init__(self, folder: Path, names: Callable[[], Iterable[str]]) -> None:
        self._folder = folder
        self._names = names
        self._tried = folder
        self._file: os.stat_result | None = None

    def __call__(self, temporary: Path) -> Path:
        """Where the file now is. Raises `FileError`, OSError."""
        self._file = temporary.stat()
        for name in self._names():
            self._tried = self._folder / name
            with contextlib.suppress(FileExistsError):
                _take(self._tried, temporary)
                return self._tried
        path = self._tried
        raise FileError(f"{path} exists already: nothing is overwritten here", str(path))

    def give_back(self) -> None:
        """Remove the file where it has its name already."""
        with contextlib.suppress(OSError):
            if self._file is not None and os.path.samestat(self._tried.lstat(), self._file):
                self._tried.unlink()


def _take(path: Path, temporary: Path) -> None:
    """Give a file a name that no file has. Raises FileExistsError."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: an empty file takes the name first
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            temporary.replace(path)
        except BaseException:
            path.unlink()
            raise
    else:
        temporary.unlink()


def _write_and_sync(path: Path, handle: int, chunks: Iterable[bytes]) -> int:
    # No buffer between: what it holds after a failed write would be tried again on closing.
    size = begun = 0
    try:
        for chunk in chunks:
            try:
                _write_whole(functools.partial(os.write, handle), chunk)
            except OSError as error:
                raise _cannot_write(path, error) from error
            size += len(chunk)
            if size - begun > _WRITTEN_BACK:
                _begin_writing_back(handle, begun, size)
                begun = size
        try:
            os.fsync(handle)
        except OSError as error:
            raise _cannot_write(path, error) from error
    finally:
        os.close(handle)
    return size


def _begin_writing_back(handle: int, start: int, end: int) -> None:
    """Have the disk begin with a part of a file, so that the sync at its end need not wait for all.

    It is a hint: what is dirty cannot be dropped, and so Linux begins to write it.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(handle, start, end - start, os.POSIX_FADV_DONTNEED)


def _write_whole(write: Callable[[bytes], int | None], chunk: bytes) -> None:
    """Write a chunk, again from where it stopped as long as less than all was taken."""
    left = chunk
    while left:
        count = write(left)
        if count is None:  # how files that are no `RawIOBase` may say that they took it all
            return
        left = left[count:]


@contextlib.contextmanager
def _closed_at_once(chunks: Iterable[bytes]) -> Iterator[None]:
    """Close a generator that was left early: the snapshot that it reads must not stay open."""
    try:
        yield
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


def _require_replaceable(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        _require_folder(path.parent, path)
        return
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be written: {reason_of(error)}", str(path)) from error
    if stat.S_ISDIR(mode):
        raise FileError(f"{path} is a folder: name a file in it", str(path))
    if stat.S_ISLNK(mode):
        raise FileError(f"{path} is a symbolic link: name the file itself", str(path))
    if not stat.S_ISREG(mode):
        raise FileError(f"{path} is no regular file: stream to an open file instead", str(path))


def _require_folder(folder: Path, path: Path) -> None:
    if not folder.is_dir():
        raise FileError(f"the folder {folder} does not exist", str(path)) from None


def _cannot_write(path: Path, error: OSError) -> FileError:
    return FileError(f"{path} cannot be written: {reason_of(error)}", str(path))


def _sync_folder(folder: Path) -> tuple[str, ...]:
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        return (f"written, but its durability is unconfirmed: {folder}: {reason_of(error)}",)
    return ()


def write_stream(file: IO[bytes], chunks: Iterable[bytes]) -> Written:
    """Write chunks to an open file. Raises `FileError`."""
    if not hasattr(file, "write"):
        raise TypeError(f"a destination is a path or an open file, not {type(file).__name__}")
    if _is_text(file):
        raise FileError("the destination is open as text: open it in binary mode")
    size = 0
    with _closed_at_once(chunks):
        for chunk in chunks:
            with _stream_errors():
                _write_whole(functools.partial(_write, file), chunk)
            size += len(chunk)
    with _stream_errors():
        if hasattr(file, "flush"):
            file.flush()
    return Written(size)


def _is_text(file: object) -> bool:
    return isinstance(file, io.TextIOBase)


def _write(file: IO[bytes], chunk: bytes) -> int | None:
    count: int | None = file.write(chunk)
    if count is None and isinstance(file, io.RawIOBase):
        raise BlockingIOError(errno.EAGAIN, "it takes no more at once")
    return count


@contextlib.contextmanager
def _stream_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise FileError(f"the destination cannot be written: {reason_of(error)}") from error
