"""The digest of a collection: a sum of hashes that depends on neither order nor store."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from databackup.archive.text import check_layout

if TYPE_CHECKING:
    from collections.abc import Collection

_MODULUS = 1 << 256
_LONG = 64 * 1024  # bytes


class Digest:
    """Counts records and sums the SHA-256 of each canonical record, modulo 2^256."""

    def __init__(self, collection: str) -> None:
        check_layout()
        self._prefix = collection.encode() + b"\n"
        self._sum = 0
        self.count = 0

    def add(self, canonical_records: Collection[bytes]) -> None:
        """Add records, each as the bytes of its canonical form."""
        prefix = self._prefix
        sha256 = hashlib.sha256
        if max(map(len, canonical_records), default=0) > _LONG:
            hashes = list(map(self._hash, canonical_records))
        else:
            hashes = [sha256(prefix + record).digest() for record in canonical_records]
        self._sum = (self._sum + sum(map(int.from_bytes, hashes))) % _MODULUS
        self.count += len(hashes)

    def _hash(self, record: bytes) -> bytes:
        """As of a record behind the prefix, without a copy of what is long."""
        found = hashlib.sha256(self._prefix)
        found.update(record)
        return found.digest()

    @classmethod
    def of(cls, collection: str, count: int, hex_: str) -> Digest:
        """The digest of records that are known by their number and the sum alone."""
        digest = cls(collection)
        digest.count, digest._sum = count, int(hex_, 16)
        return digest

    def join(self, other: Digest) -> None:
        """Add the records of another digest."""
        self._sum = (self._sum + other._sum) % _MODULUS
        self.count += other.count

    def subtract(self, other: Digest) -> None:
        """Take away records that were added, given as a digest of their own."""
        self._sum = (self._sum - other._sum) % _MODULUS
        self.count -= other.count

    @property
    def hex(self) -> str:
        """The sum as 64 hexadecimal digits."""
        return f"{self._sum:064x}"
