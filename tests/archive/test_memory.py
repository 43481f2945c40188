"""Reading and writing take no more memory for a large archive than for a small one."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc"),
    pytest.mark.unmeasured,
]

_PROGRAM = '''
import hashlib, sys
from pathlib import Path

from databackup.archive.compression import compress
from databackup.archive.files import write_file
from databackup.archive.format import CollectionEnd, Header, end_to_bytes, seal_to_bytes
from databackup.archive.limits import Limits
from databackup.archive.reader import open_archive
from databackup.archive.records import RecordCodec
from databackup.archive.writer import ArchiveWriter
from databackup.errors import LimitExceeded
from databackup.schema import Collection, Schema
from databackup.schema.document import describe, description_digest

MIB = 1024 * 1024
path = Path(sys.argv[1])
schema = Schema(collections=[Collection("t", key="i", fields={"i": int, "s": str})])
description = describe(schema)
header = Header(
    archive_id="6f9619ff-8b86-4d01-b42d-00cf4fc964ff", created_at="2026-11-22T10:15:00Z", app=None,
    schema_version=1, schema_digest=description_digest(description), producer={},
    consistency="none", schema=description,
)
description["collections"]["t"]["order"] = "key"


def rows(count):
    for start in range(0, count, 1000):
        yield [(number, "x" * 1000) for number in range(start, start + 1000)]


def read(limits=None):
    with open_archive(path, limits) as archive:
        for name, batches in archive.collections():
            return sum(len(batch.rows) for batch in batches(RecordCodec(schema[name])))


def peak():
    # Not ru_maxrss, which begins with what the process had that started this one.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


def write(count, packing):
    chunks = ArchiveWriter(header).chunks([(schema["t"], rows(count))])
    return write_file(path, compress(chunks, packing)).size


def endless_line(start, end):
    """A file with 100 MB in one line, of which the seal fits."""
    total = hashlib.sha256()

    def chunks():
        for chunk in (start, *[b"x" * MIB] * 100, end):
            total.update(chunk)
            yield chunk
        yield seal_to_bytes(total.hexdigest())

    write_file(path, compress(chunks(), packing))


packing = sys.argv[2] if sys.argv[2] != "none" else None
write(2000, packing)
assert read() == 2000
base = peak()
size = write(52_000, packing)
assert packing or size > 50 * MIB, size
print("write", (peak() - base) // MIB)
assert read() == 52_000
print("read", (peak() - base) // MIB)
end = end_to_bytes({"t": CollectionEnd(1, "0" * 64)})
for start in (b'{"format":"databackup",', header.to_bytes() + b'"t":[\\n{"i":1,"s":"'):
    endless_line(start, b'"}\\n]\\n' + end)
    try:
        read(Limits(header=MIB, record=MIB))
    except LimitExceeded as error:
        print(error.limit, (peak() - base) // MIB)
'''


@pytest.mark.parametrize("packing", ["none", "gzip", "zstd"])
def test_memory(packing: str, tmp_path: Path) -> None:
    """Writing and reading 50 MB, and refusing 100 MB in one line, stay within 40 MB of a small run.

    In a process of its own, whose peak is its own.
    """
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM, encoding="utf-8")
    output = subprocess.check_output(
        [sys.executable, str(program), str(tmp_path / "backup"), packing], text=True
    )
    found = {name: int(megabytes) for name, megabytes in map(str.split, output.splitlines())}
    assert ["write", "read", "header", "record"] == list(found)
    assert {name: megabytes for name, megabytes in found.items() if megabytes >= 40} == {}
