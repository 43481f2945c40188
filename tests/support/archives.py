"""Archives made by hand: edited line by line, with counts, digests and seal made anew."""

import hashlib
import io
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from databackup import export_all
from databackup.archive import text
from databackup.archive.digest import Digest
from databackup.archive.format import CollectionEnd, end_to_bytes, seal_to_bytes
from databackup.archive.records import RecordCodec
from databackup.repository import Repository
from databackup.schema import Schema

DATA = b'"data":{\n'
END = b'},\n"end":'


@attrs.define
class Lines:
    """An archive as its header and the record lines of each collection, without commas."""

    header: bytes
    collections: dict[str, list[bytes]]

    @classmethod
    def of(cls, archive: bytes) -> "Lines":
        """The lines of an archive's bytes."""
        header, _, rest = archive.partition(DATA)
        collections: dict[str, list[bytes]] = {}
        name = ""
        for line in rest[: rest.index(END)].split(b"\n"):
            if line.endswith(b":["):
                name = text.load(line[:-2])
                collections[name] = []
            elif line and not line.startswith(b"]"):
                collections[name].append(line.removesuffix(b","))
        return cls(header + DATA, collections)

    def sealed(self, schema: Schema, ends: Mapping[str, CollectionEnd] | None = None) -> bytes:
        """The archive again: counted, its digests and its seal made anew."""
        parts = [self.header]
        counted = {}
        for position, (name, lines) in enumerate(self.collections.items(), 1):
            parts += [text.dump(name), b":[\n", b",\n".join(lines), b"\n" if lines else b""]
            parts.append(b"]\n" if position == len(self.collections) else b"],\n")
            counted[name] = _end(schema, name, lines)
        parts.append(end_to_bytes(counted | dict(ends or {})))
        body = b"".join(parts)
        return body + seal_to_bytes(hashlib.sha256(body).hexdigest())


def _end(schema: Schema, name: str, lines: list[bytes]) -> CollectionEnd:
    digest = Digest(name)
    for line in lines:
        found = (
            RecordCodec(schema[name]).strict_batch([line], 1).canonical if name in schema else []
        )
        digest.add(found or [line])
    return CollectionEnd(digest.count, digest.hex)


def exported(repository: Repository) -> bytes:
    """The archive of a repository."""
    file = io.BytesIO()
    export_all(repository, file)
    return file.getvalue()


def edited(archive: bytes, schema: Schema, edit: Callable[[Lines], Any]) -> bytes:
    """An archive after an edit of its lines, sealed anew."""
    lines = Lines.of(archive)
    edit(lines)
    return lines.sealed(schema)


def data_of(archive: bytes) -> bytes:
    """What two archives of the same data share: the lines from the data to the end's totals."""
    return archive[archive.index(DATA) : archive.rindex(b'"seal":')]
