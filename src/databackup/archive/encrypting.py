"""Writing in the age format (age-encryption.org/v1): a stream to recipients, or with a passphrase.

The optional package is asked for whole streams and never for a part of one.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from databackup import veil
from databackup.archive.encryption import Encryption, Passphrase, pieces, pyrage
from databackup.archive.limits import DEFAULTS
from databackup.archive.pumping import pumped
from databackup.errors import TooLargeForPassphrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def encrypt(chunks: Iterable[bytes], encryption: Encryption | None) -> Iterable[bytes]:
    """The chunks, encrypted where that is wanted; a generator of them is closed.

    Temporary files that are made on the way to them are veiled. Raises `MissingExtra`, and
    `TooLargeForPassphrase` before anything has come out.
    """
    return chunks if encryption is None else _encrypted(chunks, encryption)


def _encrypted(chunks: Any, encryption: Encryption) -> Iterator[bytes]:
    with contextlib.closing(chunks) if hasattr(chunks, "close") else contextlib.nullcontext():
        plain = veil.veiled(chunks)
        if isinstance(encryption, Passphrase):
            yield from pieces(_at_once(plain, encryption))
        else:
            recipients, age = encryption.parsed(), pyrage()
            yield from pumped(plain, lambda source, to: age.encrypt_io(source, to, recipients))


def _at_once(chunks: Iterable[bytes], passphrase: Passphrase) -> bytes:
    held = bytearray()
    allowed = DEFAULTS.passphrase or 0
    for chunk in chunks:
        held += chunk
        if len(held) > allowed:
            message = f"a passphrase encrypts {allowed:,} bytes at most, and this is more"
            raise TooLargeForPassphrase(message, allowed)
    encrypted: bytes = pyrage().passphrase.encrypt(bytes(held), passphrase.reveal())
    return encrypted
