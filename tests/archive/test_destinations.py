"""A destination is whole or untouched: paths and streams."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from databackup.archive import files
from databackup.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNKS = [b"one", b"", b"two" * 100_000, b"three"]
WHOLE = b"".join(CHUNKS)


def failing(error: BaseException) -> Iterator[bytes]:
    """Chunks, and then an error."""
    yield b"the start"
    yield b"x" * 1_000_000
    raise error


def disk_full(*_arguments: Any) -> Any:
    """Any call of the system, when the disk is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(params=["new", "old"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The path of a file that is to be written, once where there is none and once over one."""
    path = tmp_path / "backup.json"
    if request.param == "old":
        path.write_bytes(b"old")
        path.chmod(0o644)
    return path


@pytest.fixture
def untouched(target: Path) -> Iterator[None]:
    """See afterwards that the target is as it was, and that nothing else was left behind."""
    before = [(path, path.read_bytes(), path.stat().st_ino) for path in target.parent.iterdir()]
    yield
    after = [(path, path.read_bytes(), path.stat().st_ino) for path in target.parent.iterdir()]
    assert before == after


# -- a destination -----------------------------------------------------------------------------


def test_written_whole(target: Path) -> None:
    """A file is written whole, for its owner alone, and nothing is left beside it."""
    written = files.write_file(target, iter(CHUNKS))
    assert files.Written(len(WHOLE), path=str(target)) == written
    assert WHOLE == target.read_bytes()
    assert 0o600 == stat.S_IMODE(target.stat().st_mode)
    assert [target] == list(target.parent.iterdir())


def test_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    """A file is its owner's alone from the first byte on, whatever the umask says."""
    path = tmp_path / "backup.json"
    modes: list[int] = []

    def chunks() -> Iterator[bytes]:
        yield b"x"
        modes.extend(stat.S_IMODE(other.stat().st_mode) for other in tmp_path.iterdir())

    before = os.umask(0)
    try:
        files.write_file(path, chunks())
    finally:
        os.umask(before)
    assert [0o600] == modes
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """While a file is written, its name shows the old one; the temporary file is named as such."""
    path = tmp_path / "backup.json"
    path.write_bytes(b"old")
    seen = []

    def chunks() -> Iterator[bytes]:
        for chunk in CHUNKS:
            yield chunk
            seen.append(path.read_bytes())
            (other,) = (found.name for found in tmp_path.iterdir() if found != path)
            assert other.startswith(".backup.json.")
            assert other.endswith(".databackup-tmp")

    files.write_file(path, chunks())
    assert [b"old"] * len(CHUNKS) == seen


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "error", [ValueError("x"), OSError("x"), KeyboardInterrupt(), GeneratorExit(), MemoryError()]
)
def test_what_the_chunks_raise_comes_out(target: Path, error: BaseException) -> None:
    """What making the chunks raises comes out as it is, and the old file stays."""
    with pytest.raises(type(error)) as caught:
        files.write_file(target, failing(error))
    assert error is caught.value


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", ["write", "fsync", "replace"])
def test_failing_calls(target: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing, syncing or renaming fails, the old file stays and the reason is said."""
    monkeypatch.setattr(os, name, disk_full)
    with pytest.raises(FileError, match="No space left") as caught:
        files.write_file(target, iter(CHUNKS))
    assert str(target) == caught.value.path
    monkeypatch.undo()


@pytest.mark.usefixtures("untouched")
def test_no_rename_after_a_failed_sync(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose sync failed never takes the name."""
    renamed: list[Any] = []
    monkeypatch.setattr(os, "fsync", disk_full)
    monkeypatch.setattr(os, "replace", lambda *paths: renamed.append(paths))
    with pytest.raises(FileError):
        files.write_file(target, iter(CHUNKS))
    monkeypatch.undo()
    assert [] == renamed


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("after", [0, 1, 7, 200_000])
def test_disk_full_halfway(target: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes a part of a chunk and then no more is found, and nothing is left."""
    write, room = os.write, [after]

    def short(handle: int, data: bytes) -> int:
        if not room[0]:
            disk_full()
        count = write(handle, data[: room[0]])
        room[0] -= count
        return count

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(FileError, match="No space left"):
        files.write_file(target, iter(CHUNKS))
    monkeypatch.undo()


def test_short_writes(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that takes a chunk in parts gets all of it."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:70_000]))
    assert len(WHOLE) == files.write_file(target, iter(CHUNKS)).size
    assert WHOLE == target.read_bytes()


def test_size_limit_of_the_system(tmp_path: Path) -> None:
    """Where the system itself refuses more bytes, the error is typed and nothing is left.

    In a process of its own, since the limit stays.
    """
    program = """
        import resource, signal, sys
        from pathlib import Path
        from databackup.archive import files
        from databackup.errors import FileError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        path = Path(sys.argv[1])
        try:
            files.write_file(path, iter([b"x" * 100] * 1000))
        except FileError as error:
            print(error.code, list(path.parent.iterdir()))
    """
    lines = "\n".join(line[8:] for line in program.splitlines())
    output = subprocess.check_output([sys.executable, "-c", lines, str(tmp_path / "x")], text=True)
    assert "file []\n" == output


class _ClosedPipe(io.BytesIO):
    """A pipe whose reader has gone."""

    def write(self, _data: Any) -> int:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_generators_are_closed_at_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where writing fails, what makes the chunks is closed before the error comes out.

    A snapshot that it reads would stay open for as long as somebody holds the error.
    """
    log = []

    def chunks() -> Iterator[bytes]:
        try:
            yield from CHUNKS
        finally:
            log.append("closed")

    made = chunks()
    writers: dict[str, Callable[[], Any]] = {
        "file": lambda: files.write_file(tmp_path / "x", made),
        "stream": lambda: files.write_stream(_ClosedPipe(), made),
    }
    monkeypatch.setattr(os, "write", disk_full)
    with pytest.raises(FileError) as caught:
        writers[kind]()
    monkeypatch.undo()
    assert isinstance(caught.value, FileError)  # and so it is held, with all of its frames
    assert ["closed"] == log


def test_order_of_the_calls(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced, then renamed, then its folder is synced."""
    log = []
    fsync, replace = os.fsync, os.replace

    def logged_fsync(handle: int) -> None:
        log.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        assert ("file" not in log) or log[0] == "file"
        fsync(handle)

    def logged_replace(source: Any, goal: Any) -> None:
        log.append("rename")
        assert len(WHOLE) == Path(source).stat().st_size
        assert target == Path(goal)
        replace(source, goal)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "replace", logged_replace)
    files.write_file(target, iter(CHUNKS))
    assert ["file", "rename", "folder"] == log


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="there is no such call here")
def test_the_disk_begins_before_the_end(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is told of each large part that is written; it need not listen."""
    told = []

    def advised(_handle: int, start: int, length: int, _advice: int) -> None:
        told.append((start, length))
        raise OSError(errno.EINVAL, "no file of this kind")

    monkeypatch.setattr(os, "posix_fadvise", advised)
    chunk = bytes(5 * 1024 * 1024)
    assert 9 * len(chunk) == files.write_file(target, iter([chunk] * 9)).size
    assert [(0, 4 * len(chunk)), (4 * len(chunk), 4 * len(chunk))] == told


@pytest.mark.parametrize("name", ["open", "fsync"])
def test_folder_that_cannot_be_synced(
    target: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the folder's sync fails the file is there, and a warning says what is unconfirmed."""
    original = getattr(os, name)

    def fail(place: Any, *rest: Any) -> Any:
        is_folder = place == target.parent or (
            isinstance(place, int) and stat.S_ISDIR(os.fstat(place).st_mode)
        )
        return disk_full() if is_folder else original(place, *rest)

    monkeypatch.setattr(os, name, fail)
    written = files.write_file(target, iter(CHUNKS))
    monkeypatch.undo()
    assert WHOLE == target.read_bytes()
    (warning,) = written.warnings
    assert "durability is unconfirmed" in warning
    assert str(target.parent) in warning


def test_no_handle_is_left_open(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither success nor failure leaves a file open."""
    handles = Path("/proc/self/fd")
    if not handles.exists():
        pytest.skip("no /proc here")
    before = len(list(handles.iterdir()))
    files.write_file(target, iter(CHUNKS))
    with pytest.raises(ValueError, match="x"):
        files.write_file(target, failing(ValueError("x")))
    for name in ("write", "fsync", "replace"):
        monkeypatch.setattr(os, name, disk_full)
        with pytest.raises(FileError):
            files.write_file(target, iter(CHUNKS))
        monkeypatch.undo()
    assert before == len(list(handles.iterdir()))


def never() -> Iterator[bytes]:
    """Chunks that nobody may ask for."""
    yield str(pytest.fail("the chunks were asked for")).encode()


@pytest.mark.parametrize("to", ["file", "folder", "nothing", "device"])
def test_links_are_not_replaced(tmp_path: Path, to: str) -> None:
    """A symbolic link is refused, wherever it points, and stays."""
    goal = {"folder": tmp_path, "device": Path(os.devnull)}.get(to, tmp_path / "goal")
    if to == "file":
        goal.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(goal)
    with pytest.raises(FileError, match="symbolic link"):
        files.write_file(link, never())
    assert goal == link.readlink()
    assert (to == "file") == (tmp_path / "goal").exists()


def test_folders_are_not_replaced(tmp_path: Path) -> None:
    """A folder is refused, empty or not, and the reason is said."""
    (tmp_path / "empty").mkdir()
    for path in (tmp_path, tmp_path / "empty", Path(), Path("/")):
        with pytest.raises(FileError, match="is a folder"):
            files.write_file(path, never())
    assert (tmp_path / "empty").is_dir()


def test_devices_are_not_replaced(tmp_path: Path) -> None:
    """A device or a pipe is refused: a file in its place would break the system."""
    os.mkfifo(tmp_path / "pipe")
    for path in (Path(os.devnull), tmp_path / "pipe"):
        with pytest.raises(FileError, match="no regular file"):
            files.write_file(path, never())
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize(
    "name, message",
    [
        ("missing/x", "does not exist"),
        ("file/x", "Not a directory"),
        ("x" * 300, "too long"),
        ("nul\0", "null (byte|character)"),
    ],
)
def test_paths_that_cannot_be(tmp_path: Path, name: str, message: str) -> None:
    """A path that names no place for a file is refused before anything is read."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match=message):
        files.write_file(tmp_path / name, never())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder without permission is refused, and the reason said."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FileError, match="Permission denied"):
            files.write_file(tmp_path / "x", never())
    finally:
        tmp_path.chmod(0o700)


def test_temporary_file_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no temporary file can be made, the target is named."""

    def denied(**_options: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", denied)
    with pytest.raises(FileError, match="x cannot be written: Permission denied"):
        files.write_file(tmp_path / "x", never())


@pytest.mark.parametrize("name", ["🍰" * 62, "é" * 120, "x" * 255, "a\nb", "\udcff"])
def test_long_names(tmp_path: Path, name: str) -> None:
    """A file can be written under every name that the system takes, however long."""
    files.write_file(tmp_path / name, iter(CHUNKS))
    assert [name] == [path.name for path in tmp_path.iterdir()]
