"""Writing an archive in one pass: header, the records of each collection, totals and seal."""

from __future__ import annotations

import hashlib
import itertools
import operator
from typing import TYPE_CHECKING, Any

from databackup.archive import text
from databackup.archive.digest import Digest
from databackup.archive.format import CollectionEnd, end_to_bytes, seal_to_bytes
from databackup.archive.limits import DEFAULTS, length_needed, values_needed
from databackup.archive.records import RecordCodec
from databackup.errors import StoreFailed
from databackup.schema import Row
from databackup.schema.columns import Forms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from databackup.archive.format import Header
    from databackup.schema import Collection
    from databackup.schema.compiled import Codec


class ArchiveWriter:
    """One archive in the making. `chunks` yields its bytes; then `ends` and `seal` are known.

    `needs` are the limits that its reader has to raise for long lines or many values, and how far.

    `codecs`, by collection, are used instead of the collections' own: for those that a file
    describes.
    """

    def __init__(self, header: Header, codecs: Mapping[str, Codec] | None = None) -> None:
        self._header = header
        self._codecs = codecs or {}
        self._hash = hashlib.sha256()
        self.ends: dict[str, CollectionEnd] = {}
        self.seal = ""
        self.needs: dict[str, int] = {}

    def chunks(
        self, collections: Iterable[tuple[Collection, Iterable[Forms | list[Row]]]]
    ) -> Iterator[bytes]:
        """The bytes of the archive, in pieces.

        Takes the header's collections in its order, each with its batches of rows. Raises
        `InvalidRecords` for values that are not of their kind, `StoreFailed` for rows that are not
        in the order the header states.
        """
        header = self._header.to_bytes()
        self._note_long_lines("header", header)
        self._note_many_values([header + b"}}"])
        yield self._hashed(header)
        left = len(self._header.collections)
        for collection, batches in collections:
            left -= 1
            yield self._hashed(text.dump(collection.name) + b":[\n")
            yield from self._records(collection, batches)
            yield self._hashed(b"],\n" if left else b"]\n")
        end = end_to_bytes(self.ends)
        self._note_long_lines("header", end)
        yield self._hashed(end)
        self.seal = self._hash.hexdigest()
        yield seal_to_bytes(self.seal)

    def _records(
        self, collection: Collection, batches: Iterable[Forms | list[Row]]
    ) -> Iterator[bytes]:
        codec = RecordCodec(collection, self._codecs.get(collection.name))
        digest = Digest(collection.name)
        order = _OrderCheck(codec) if self._header.in_key_order(collection.name) else None
        for rows in itertools.chain.from_iterable(map(codec.parts_held, batches)):
            if not rows:
                continue
            lines, canonical = codec.lines(rows, digest.count + 1)
            if order is not None:
                order.check(rows)
            self._note_long_lines("record", lines)
            if DEFAULTS.may_exceed_values(lines) and any(map(DEFAULTS.has_more_values, canonical)):
                self._note_many_values(lines.split(b"\n"))
            self._note_long_numbers(lines, decimals=bool(codec.codec.decimals))
            separator = b",\n" if digest.count else b""
            digest.add(canonical)
            yield self._hashed(separator + lines[:-1].replace(b"\n", b",\n"))
        if digest.count:
            yield self._hashed(b"\n")
        self.ends[collection.name] = CollectionEnd(digest.count, digest.hex)

    def _note_long_lines(self, limit: str, lines: bytes) -> None:
        allowed = getattr(DEFAULTS, limit)
        if len(lines) > allowed:  # otherwise no line of them can be too long
            longest = max(map(len, lines.split(b"\n"))) + 1  # and a comma
            if longest > max(allowed, self.needs.get(limit, 0)):
                self.needs[limit] = longest

    def _note_long_numbers(self, lines: bytes, *, decimals: bool) -> None:
        longest = length_needed(lines, decimals=decimals)
        if longest is not None:
            self.needs["record"] = max(longest, self.needs.get("record", 0))

    def _note_many_values(self, texts: list[bytes]) -> None:
        values = values_needed(texts)
        if values is not None:
            self.needs["values"] = max(values, self.needs.get("values", 0))

    def _hashed(self, chunk: bytes) -> bytes:
        self._hash.update(chunk)
        return chunk


class _OrderCheck:
    """Sees that rows are strictly increasing by key, across batches."""

    def __init__(self, codec: RecordCodec) -> None:
        self._codec = codec
        self._last: list[Any] = []

    def check(self, rows: Forms | list[Row]) -> None:
        codec = self._codec.codec
        found = codec.sort_keys_of(rows) if isinstance(rows, Forms) else codec.sort_keys(rows)
        keys = self._last + found
        self._last = keys[-1:]
        if not all(map(operator.lt, keys, keys[1:])):
            raise StoreFailed(f"the store does not yield {self._codec.collection} in key order")
