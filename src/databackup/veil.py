"""What must not be read on a disk: temporary files under a key that never leaves the process.

While an archive is encrypted or decrypted, what spills into temporary files is veiled. The key is
made anew for each file and is nowhere else, so that what is left of the file is noise. It hides and
does not authenticate: whoever can write the file can write the memory of the process as well.

SHAKE-128 (FIPS 202) over a secret key and a number that is used once makes the key stream, since
the standard library has no cipher.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from contextvars import ContextVar
from typing import IO, TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_T = TypeVar("_T")
_KEY: Final = 32
_NONCE: Final = 16
_BLOCK: Final = 64 * 1024
_wanted: ContextVar[bool] = ContextVar("veiled", default=False)


def is_wanted() -> bool:
    """Whether temporary files that are made now are to be veiled."""
    return _wanted.get()


@contextlib.contextmanager
def veiling(wanted: bool = True) -> Iterator[None]:  # noqa: FBT001, FBT002 - reads as a sentence
    """Veil the temporary files that are made within the block."""
    if not wanted:
        yield
        return
    token = _wanted.set(True)
    try:
        yield
    finally:
        _wanted.reset(token)


def veiled(items: Iterable[_T]) -> Iterator[_T]:
    """The items; the temporary files that are made on the way to them are veiled."""
    iterator = iter(items)
    while True:
        with veiling():
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


def new_key() -> bytes:
    """A key for one file."""
    return secrets.token_bytes(_KEY)


def hidden(key: bytes, data: bytes) -> bytes:
    """Some bytes, not to be read without the key."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + _mixed(data, _stream(key + nonce, len(data)))


def shown(key: bytes, data: bytes) -> bytes:
    """The bytes that were hidden."""
    nonce, data = data[:_NONCE], data[_NONCE:]
    return _mixed(data, _stream(key + nonce, len(data)))


def digest(key: bytes, data: bytes) -> bytes:
    """What stands for bytes that are looked for, and tells nothing of them without the key."""
    return hashlib.blake2b(data, key=key, digest_size=32).digest()


class VeiledFile:
    """A file that is appended to and read anywhere, and that holds only noise.

    No place of it is to be written twice.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._key = new_key()
        self._last: tuple[int, bytes] = (-1, b"")

    def seek(self, place: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._file.seek(place, whence)

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._file.flush()

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def write(self, data: bytes | memoryview) -> int:
        """Write bytes where the file stands."""
        place = self._file.tell()
        for start in range(0, len(data), _BLOCK):
            self._file.write(self._turned(place + start, bytes(data[start : start + _BLOCK])))
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from where the file stands."""
        place = self._file.tell()
        return self._turned(place, self._file.read(size))

    def readline(self) -> bytes:
        """Bytes up to a line feed: pickles in text have such."""
        line = bytearray()
        while not line.endswith(b"\n") and (byte := self.read(1)):
            line += byte
        return bytes(line)

    def _turned(self, place: int, data: bytes) -> bytes:
        parts = []
        done = 0
        while done < len(data):
            block, offset = divmod(place + done, _BLOCK)
            part = data[done : done + _BLOCK - offset]
            parts.append(_mixed(part, self._stream_of(block)[offset : offset + len(part)]))
            done += len(part)
        return b"".join(parts)

    def _stream_of(self, block: int) -> bytes:
        if self._last[0] != block:
            self._last = block, _stream(self._key + block.to_bytes(_NONCE), _BLOCK)
        return self._last[1]


def _stream(seed: bytes, size: int) -> bytes:
    return hashlib.shake_128(seed).digest(size)


def _mixed(data: bytes, stream: bytes) -> bytes:
    return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(len(data))
