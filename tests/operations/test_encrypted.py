"""Every operation with what is encrypted: the same answers, and nothing to be read on a disk."""

import asyncio
import contextlib
import io
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    Collection,
    Limits,
    Schema,
    diff,
    export_all,
    export_all_async,
    import_all,
    import_all_async,
    inspect_archive,
    iter_export,
    migrate_archive,
    seal_archive,
    spill,
    veil,
    verify_archive,
)
from databackup.adapters.memory import MemoryRepository
from databackup.errors import (
    DecryptionRequired,
    EncryptionBroken,
    EncryptionMismatch,
    FileError,
    LimitExceeded,
    TooLargeForPassphrase,
)
from tests.support import keys
from tests.support.agefile import with_passphrase

NOTES = Schema(
    app="notes",
    version=1,
    collections=[
        Collection("notes", key="id", fields={"id": int, "text": str}),
        Collection("loose", fields={"text": str}),
    ],
)
MARKER = "Zugvogel"
"""Stands in every record, and is looked for in every file."""


def _notes(count: int = 5, start: int = 0) -> MemoryRepository:
    rows = [{"id": n, "text": f"{MARKER} {n}"} for n in range(start, start + count)]
    return MemoryRepository(
        NOTES, {"notes": rows, "loose": [{"text": row["text"]} for row in rows]}
    )


class _Pipe(io.RawIOBase):
    """A source that cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)


@pytest.mark.parametrize("suffix", ["json", "json.gz", "json.zst"])
def test_every_operation(suffix: str, tmp_path: Path) -> None:
    """An encrypted archive gives what the same archive gives that is not."""
    path, plain = tmp_path / f"b.{suffix}.age", tmp_path / f"b.{suffix}"
    store, opens = _notes(), keys.identity()
    report = export_all(store, path, encryption=keys.recipients())
    assert (str(path), path.stat().st_size) == (report.path, report.size)
    export_all(store, plain)
    info = inspect_archive(path, decryption=opens)
    assert info.compression == inspect_archive(plain).compression
    assert ("recipients", None) == (info.encryption, inspect_archive(plain).encryption)
    assert info.size == inspect_archive(plain).size
    assert path.stat().st_size == info.file_size
    assert 10 == verify_archive(path, decryption=opens).records
    assert diff(path, store, decryption=opens).identical
    assert diff(path, plain, decryption=opens).identical
    assert not diff(_notes(6), path, decryption=opens).identical
    empty = _notes(0)
    assert 10 == import_all(empty, path, decryption=opens).added
    assert diff(empty, store).identical

    sealed = tmp_path / "sealed.json.age"
    seal_archive(path, sealed, decryption=opens, encryption=keys.recipients(2))
    assert diff(sealed, store, decryption=keys.identity(2)).identical
    new = tmp_path / "new.json.gz.age"
    migrate_archive(path, new, NOTES, decryption=opens, encryption=keys.recipients(2))
    assert diff(new, store, decryption=keys.identity(2)).identical
    with pytest.raises(DecryptionRequired):
        seal_archive(path, tmp_path / "x.json")
    with pytest.raises(DecryptionRequired):
        migrate_archive(path, tmp_path / "x.json", NOTES)
    assert not (tmp_path / "x.json").exists()


def test_open_files(tmp_path: Path) -> None:
    """To an open file and in pieces as well; a source that cannot seek and one in the middle."""
    store, opens = _notes(), keys.identity()
    file = io.BytesIO(b"before")
    file.seek(6)
    export_all(store, file, encryption=keys.recipients())
    file.seek(6)
    assert 10 == inspect_archive(file, decryption=opens).records
    for compression in (None, "gzip", "zstd"):
        chunks = iter_export(store, compression=compression, encryption=keys.recipients())
        data = b"".join(chunks)
        assert MARKER.encode() not in data
        assert 10 == inspect_archive(_Pipe(data), decryption=opens).records  # type: ignore[arg-type]


def test_what_is_copied_first_may_be_longer_than_what_it_holds() -> None:
    """The limit `size` is of the archive: keys and tags come on top of it."""
    data = b"".join(iter_export(_notes(), encryption=keys.recipients()))
    size = inspect_archive(io.BytesIO(data), decryption=keys.identity()).size
    assert size < len(data)
    for limit, fits in ((size, True), (size - 1, False)):
        limits = Limits(size=limit)
        with contextlib.nullcontext() if fits else pytest.raises(LimitExceeded):
            inspect_archive(_Pipe(data), limits=limits, decryption=keys.identity())  # type: ignore[arg-type]


def test_async(tmp_path: Path) -> None:
    """The same in a thread."""
    path, empty = tmp_path / "b.json.age", _notes(0)

    async def both() -> None:
        await export_all_async(_notes(), path, encryption=keys.recipients())
        await import_all_async(empty, path, decryption=keys.identity())

    asyncio.run(both())
    assert diff(empty, _notes()).identical


def test_names_and_encryption_agree(tmp_path: Path) -> None:
    """What is called encrypted is, and the other way round; or else nothing is read or written."""

    class Unread(MemoryRepository):
        def snapshot(self) -> Any:
            raise AssertionError

    store = Unread(NOTES, {"notes": [], "loose": []})
    for name, encryption in (("b.json.age", None), ("b.json", keys.recipients())):
        with pytest.raises(EncryptionMismatch, match=name) as raised:
            export_all(store, tmp_path / name, encryption=encryption)
        assert "--encrypt-to" in raised.value.remedy
    with pytest.raises(TypeError, match="encryption is a Passphrase or Recipients, not str"):
        export_all(store, tmp_path / "b.json.age", encryption="s3cr3t")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not Identity"):
        iter_export(store, encryption=keys.identity())  # type: ignore[arg-type]
    assert [] == list(tmp_path.iterdir())


def test_a_failed_export_leaves_the_old_file(tmp_path: Path) -> None:
    """What is too large for a passphrase, or fails half-way, changes nothing."""
    path = tmp_path / "b.json.age"
    path.write_bytes(b"old")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("databackup.archive.encrypting.DEFAULTS", Limits(passphrase=99))
        with pytest.raises(TooLargeForPassphrase):
            export_all(_notes(), path, encryption=keys.PASSPHRASE)

    def stop(_progress: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_all(_notes(), path, encryption=keys.recipients(), progress=stop)
    assert [(path, b"old")] == [(found, found.read_bytes()) for found in tmp_path.iterdir()]


# -- nothing to be read on a disk ----------------------------------------------------------------


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is written to temporary files, and the pages of temporary databases."""
    written: list[bytes] = []

    class Recording:
        """A temporary file that remembers what it was given."""

        def __init__(self, *_arguments: Any, **_options: Any) -> None:
            self._file = open_file()

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_exception: object) -> None:
            self._file.close()

        def write(self, data: Any) -> int:
            written.append(bytes(data))
            return self._file.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

    open_file, private = tempfile.TemporaryFile, spill._private_file
    monkeypatch.setattr(tempfile, "TemporaryFile", Recording)
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", Recording)
    databases: list[sqlite3.Connection] = []

    def recorded() -> sqlite3.Connection:
        databases.append(private())
        return databases[-1]

    monkeypatch.setattr(spill, "_private_file", recorded)
    closed = spill.KeyIndex.close

    def close(index: spill.KeyIndex) -> None:
        if index._opened is not None:
            with contextlib.suppress(sqlite3.ProgrammingError):  # closed already
                written.append(index._opened.serialize())
        closed(index)

    monkeypatch.setattr(spill.KeyIndex, "close", close)
    monkeypatch.chdir(tmp_path)
    return written


def _plain() -> bytes:
    return b"".join(iter_export(_notes(2000)))


def _spills(path: Any, opens: Any) -> None:
    """Operations that copy, queue and index: whatever they need is written to temporary files."""
    import_all(_notes(1500, start=700), path(), decryption=opens)
    verify_archive(path(), decryption=opens)
    diff(path(), _notes(1500, start=700), decryption=opens)
    seal_archive(path(), io.BytesIO(), decryption=opens)


def test_the_marker_is_found_where_nothing_is_encrypted(watched: list[bytes]) -> None:
    """The test below can fail: of an archive that is not encrypted, temporary files are read."""
    _spills(lambda: _Pipe(_plain()), None)
    assert any(MARKER.encode() in data for data in watched)


@pytest.mark.parametrize("way", ["recipients", "passphrase"])
def test_nothing_readable_touches_the_disk(way: str, watched: list[bytes]) -> None:
    """Neither a copied source nor rows put aside nor keys of an index can be read on the disk."""
    plain = _plain()
    if way == "recipients":
        data = b"".join(iter_export(_notes(2000), encryption=keys.recipients()))
        opens: Any = keys.identity()
    else:
        data, opens = with_passphrase(plain, keys.WORD), keys.PASSPHRASE
    watched.clear()
    _spills(lambda: _Pipe(data), opens)
    assert sum(map(len, watched)) > 4 * len(data)
    assert [] == [part for part in watched if MARKER.encode() in part]
    assert not veil.is_wanted()


def test_an_encrypted_export_writes_nothing_else(watched: list[bytes]) -> None:
    """A store that puts rows aside while it is read writes no readable ones either."""

    class Queueing(MemoryRepository):
        @contextlib.contextmanager
        def snapshot(self) -> Iterator[Any]:
            with super().snapshot() as snapshot, spill.RowQueue() as queue:
                queue.put([(MARKER,)] * 100)
                yield snapshot
                assert [[(MARKER,)] * 100] == list(queue.batches())

    rows = [{"id": 1, "text": MARKER}]
    store = Queueing(NOTES, {"notes": rows, "loose": []})
    for chunk in iter_export(store, encryption=keys.recipients()):
        assert MARKER.encode() not in chunk
        assert not veil.is_wanted()
    assert watched
    assert [] == [part for part in watched if MARKER.encode() in part]


def test_an_edited_document_that_is_sealed_encrypted(watched: list[bytes]) -> None:
    """What is read for it goes through a queue that nobody can read."""
    Path("edited.json").write_bytes(_plain())
    seal_archive("edited.json", "sealed.json.age", encryption=keys.recipients())
    assert [] == [part for part in watched if MARKER.encode() in part]
    assert MARKER.encode() not in Path("sealed.json.age").read_bytes()


def test_a_damaged_document_is_not_mended() -> None:
    """To seal anew what was changed under encryption is no way out: the error is the same."""
    data = bytearray(b"".join(iter_export(_notes(9000), encryption=keys.recipients())))
    data[100_000] ^= 1
    with pytest.raises(EncryptionBroken, match="was changed after") as raised:
        seal_archive(io.BytesIO(data), io.BytesIO(), decryption=keys.identity())
    assert "encryption-broken" == raised.value.code


def test_other_errors_of_the_disk(tmp_path: Path) -> None:
    """A folder that is not there is a `FileError`, with encryption too."""
    with pytest.raises(FileError):
        export_all(_notes(), tmp_path / "none" / "b.json.age", encryption=keys.recipients())


def test_no_thread_stays(tmp_path: Path) -> None:
    """An export or a reader that is left early ends what it has begun."""
    before = threading.active_count()
    chunks: Any = iter_export(_notes(20_000), encryption=keys.recipients())
    next(chunks)
    chunks.close()
    data = b"".join(iter_export(_notes(20_000), encryption=keys.recipients()))
    with pytest.raises(KeyboardInterrupt):
        verify_archive(io.BytesIO(data), decryption=keys.identity(), progress=_stop)
    assert before == threading.active_count()


def _stop(_progress: Any) -> None:
    raise KeyboardInterrupt
