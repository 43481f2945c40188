"""Encrypted archives that are cut off, changed or not ours: a typed error, and nothing changed."""

import functools
import io
from pathlib import Path
from typing import Any

import pyrage
import pytest

from databackup import Identity, Passphrase, import_all, inspect_archive, verify_archive
from databackup.adapters.memory import MemoryRepository
from databackup.archive.encrypting import encrypt
from databackup.errors import (
    ArchiveError,
    ArchiveTruncated,
    DecryptionRequired,
    EncryptionBroken,
    LimitExceeded,
    NotAnArchive,
    WrongKey,
    WrongPassphrase,
)
from tests.archive.support import TINY, packed, tiny
from tests.support import keys
from tests.support.agefile import with_passphrase

BEFORE = {"t": [{"i": 9}]}
MAGIC = len(b"age-encryption.org/")


@functools.cache
def to_recipients() -> bytes:
    """A small archive, encrypted to two recipients."""
    return b"".join(encrypt([tiny()], keys.recipients(1, 2)))


@functools.cache
def with_a_word() -> bytes:
    """A small archive, compressed and encrypted with a passphrase."""
    return with_passphrase(packed(tiny(), "gzip"), keys.WORD)


CASES: dict[str, tuple[Any, Any, type[ArchiveError]]] = {
    "recipients": (to_recipients, keys.identity(), WrongKey),
    "passphrase": (with_a_word, keys.PASSPHRASE, WrongPassphrase),
}


@pytest.mark.parametrize("make, opens, wrong", CASES.values(), ids=CASES)
def test_it_is_sound(make: Any, opens: Any, wrong: Any) -> None:
    """Undamaged, it is imported: what follows is due to the damage."""
    store = MemoryRepository(TINY, {"t": [{"i": 9}]})
    import_all(store, io.BytesIO(make()), decryption=opens)
    assert 2 == verify_archive(io.BytesIO(make()), decryption=opens).records


def _refused(data: bytes, opens: Any) -> ArchiveError:
    contents: dict[str, Any] = {"t": [{"i": 9}]}
    with pytest.raises(ArchiveError) as raised:
        import_all(MemoryRepository(TINY, contents), io.BytesIO(data), decryption=opens)
    assert contents == BEFORE
    for secret in (keys.private(), keys.WORD):
        assert secret not in f"{raised.value} {raised.value.as_json()} {raised.value.__cause__!r}"
    return raised.value


@pytest.mark.parametrize("make, opens, wrong", CASES.values(), ids=CASES)
def test_every_prefix(make: Any, opens: Any, wrong: Any) -> None:
    """A file that is cut off anywhere is truncated; within the first letters it is nothing yet."""
    data = make()
    for size in range(len(data)):
        error = _refused(data[:size], opens)
        assert isinstance(error, NotAnArchive if size < MAGIC else ArchiveTruncated), size


@pytest.mark.parametrize("make, opens, wrong", CASES.values(), ids=CASES)
def test_every_byte_changed(make: Any, opens: Any, wrong: Any) -> None:
    """Any change is found: what is changed is damaged, but for the place that holds the key.

    There, age cannot tell it from another key; the error says that the header may be damaged.
    """
    data = make()
    nonce = data.index(b"\n", data.index(b"\n---") + 1) + 1
    kinds = set()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        error = _refused(bytes(changed), opens)
        kinds.add(type(error))
        if place < MAGIC:
            assert isinstance(error, NotAnArchive)
        elif place >= nonce:
            assert isinstance(error, EncryptionBroken)
        else:
            known = (EncryptionBroken, wrong, ArchiveTruncated, DecryptionRequired, LimitExceeded)
            assert isinstance(error, known)
    assert wrong in kinds


@pytest.mark.parametrize("make, opens, wrong", CASES.values(), ids=CASES)
def test_three_errors(make: Any, opens: Any, wrong: Any) -> None:
    """A wrong key or passphrase, a damaged file and one that is cut off have codes of their own."""
    others = {WrongKey: keys.identity(3), WrongPassphrase: Passphrase("s3cr3t")}
    damaged = make()[:-40] + b"x" + make()[-39:]
    found = [
        _refused(make(), others[wrong]),
        _refused(damaged, opens),
        _refused(make()[:100], opens),
    ]
    assert [wrong, "encryption-cut-off", "archive-truncated"] == [
        type(found[0]),
        found[1].code,
        found[2].code,
    ]
    large = b"".join(encrypt([b"x" * 200_000], keys.recipients()))
    error = _refused(large[:1000] + b"x" + large[1001:], keys.identity())
    assert "encryption-broken" == error.code
    assert all(error.remedy for error in found)


def test_what_is_encrypted_is_no_archive() -> None:
    """Other things that are encrypted are said to be none, once they are open."""
    data = b"".join(encrypt([b"notes of mine"], keys.recipients()))
    with pytest.raises(NotAnArchive):
        inspect_archive(io.BytesIO(data), decryption=keys.identity())
    twice = b"".join(encrypt([to_recipients()], keys.recipients()))
    with pytest.raises(NotAnArchive):
        inspect_archive(io.BytesIO(twice), decryption=keys.identity())


def test_a_file_that_is_swapped_meanwhile(tmp_path: Path) -> None:
    """Another archive to the same recipient is found in the second pass, before the commit."""
    path = tmp_path / "backup.json.age"
    path.write_bytes(to_recipients())
    contents: dict[str, Any] = {"t": [{"i": 9}]}

    def swap(_progress: Any) -> None:
        path.write_bytes(b"x" * 10_000)

    store = MemoryRepository(TINY, contents)
    import_all(store, path, decryption=keys.identity(), progress=swap)
    path.write_bytes(to_recipients())
    with path.open("r+b") as file, pytest.raises(ArchiveError) as raised:
        import_all(_Swapping(store, file), path, decryption=keys.identity())
    assert "archive-swapped" == raised.value.code


class _Swapping:
    """A store in whose transaction, between the two passes, the archive is changed."""

    def __init__(self, store: MemoryRepository, file: Any) -> None:
        self._store, self._file = store, file
        self.schema, self.capabilities = store.schema, store.capabilities

    def snapshot(self) -> Any:
        return self._store.snapshot()

    def transaction(self, **options: Any) -> Any:
        self._file.seek(-30, 2)
        self._file.write(b"x" * 10)
        self._file.flush()
        return self._store.transaction(**options)


def test_many_identities() -> None:
    """The right one opens it whichever place it has, and pyrage's own error is not in the chain."""
    right, wrong = keys.private(1), keys.private(4)
    for texts in ([right, wrong], [wrong, right], f"{wrong}\n{right}"):
        assert (
            2
            == inspect_archive(
                io.BytesIO(to_recipients()),
                decryption=Identity(texts),
            ).records
        )
    with pytest.raises(WrongKey) as raised:
        inspect_archive(io.BytesIO(to_recipients()), decryption=keys.identity(4))
    assert not isinstance(raised.value.__cause__, pyrage.DecryptError)
