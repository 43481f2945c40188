"""Hostile archives that stay below the limits of size; as a program, reads them in three ways.

`python -m tests.archive.heavy` takes paths from its input, a line each, and prints a JSON object
for each: by operation the error's code, limit and message and the CPU seconds, and how much the
most memory has grown, in MiB. Each has a process of its own, forked off when all is imported.
"""

from __future__ import annotations

import decimal
import io
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

from databackup import import_all, seal_archive, verify_archive
from databackup.adapters.memory import MemoryRepository
from databackup.archive.format import described_schema
from databackup.archive.reader import open_archive
from databackup.errors import DatabackupError
from databackup.schema import Collection, Schema
from tests.archive.support import archive_of
from tests.archive.trap import AFTER, BEFORE, HEAD, MB, REST, SOUND, Part, peak, sealed

SIZE = 10  # MB of a record
SMILE = "\N{GRINNING FACE}".encode()
LIMIT = 60  # CPU seconds of a process, after which it is ended
_END = AFTER[AFTER.index(b"\n]") + 1 : AFTER.index(b'"seal"')]
LETTERS = (b"a" * MB, SIZE)


def _value(*parts: Part) -> tuple[Part, ...]:
    """The parts of an archive, whose second record has a value of these parts."""
    return (BEFORE, 1), *parts, (REST, 1)


def _collections(count: int, fields: int) -> tuple[Part, ...]:
    """An archive of empty collections, without its seal."""
    named = {f"f{number}": int for number in range(fields)}
    collections = [Collection(f"c{n}", key="f0", fields=named) for n in range(count)]
    archive = archive_of(Schema(collections=collections), {})
    return ((archive[: archive.rindex(b'"seal"')], 1),)


def _decimals(kind: Any, *records: Part) -> tuple[Part, ...]:
    """An archive of records whose value is of a kind with decimals in it."""
    fields = {"id": int, "value": kind}
    archive = archive_of(Schema(collections=[Collection("notes", fields=fields)]), {"notes": []})
    start = archive.index(b"\n]") + 1
    return (archive[:start], 1), *records, (archive[start : archive.rindex(b'"seal"')], 1)


_BIG = b'"1E+131072"'
HEAVY: dict[str, Callable[[], tuple[Part, ...]]] = {
    "brackets behind a name twice": lambda: _value((b'[{"a":1,"a":2}', 1), (b"]" * MB, SIZE)),
    "brackets behind brackets": lambda: _value((b"[]" * 1000, 1), (b"]" * MB, SIZE)),
    "a surrogate before a long text": lambda: _value(
        (b'["\\ud800","' + SMILE, 1), LETTERS, (b'"]', 1)
    ),
    "a surrogate in a long text": lambda: _value((b'"' + SMILE, 1), LETTERS, (b'\\ud800"', 1)),
    "a name twice behind a long text": lambda: _value(
        (b'["' + SMILE, 1), LETTERS, (b'",{"a":1,"a":2}]', 1)
    ),
    "bad syntax behind a long text": lambda: _value((b'["' + SMILE, 1), LETTERS, (b'",NoN]', 1)),
    "no UTF-8 in a long text": lambda: _value((b'"', 1), LETTERS, (b'\xff"', 1)),
    "escapes and a name twice": lambda: _value(
        (b'["', 1), (b"\\u0061" * 100_000, SIZE * 10 // 6), (b'",{"a":1,"a":2}]', 1)
    ),
    "bad escapes": lambda: _value((b'"', 1), (b"\\a" * 500_000, SIZE), (b'"', 1)),
    "surrogates": lambda: _value((b'"', 1), (b"\\ud800XX" * 125_000, SIZE), (b'"', 1)),
    "bad escapes in a collection's name": lambda: (
        (HEAD[: -len(b'notes":[\n')], 1),
        (b"\\a" * 500_000, SIZE),
        (b'":[\n' + BEFORE[len(HEAD) :] + b"1" + REST, 1),
    ),
    "a number": lambda: _value((b"7" * MB, SIZE)),
    "numbers": lambda: _value((b"[", 1), (b"7" * 4999 + b",", 200 * SIZE), (b"1]", 1)),
    "large exponents": lambda: _value((b"[", 1), (b"1e300," * 1000, 490), (b"1]", 1)),
    "large exponents, not too many": lambda: _value((b"[", 1), (b"1e300," * 1000, 50), (b"1]", 1)),
    "decimals beyond the limit": lambda: _decimals(
        list[decimal.Decimal],
        (b'{"id":1,"value":[' + _BIG, 1),
        (b"," + _BIG, 520),
        (b"]}\n", 1),
    ),
    "decimals, as many as there may be": lambda: _decimals(
        list[decimal.Decimal],
        (b'{"id":1,"value":[' + _BIG, 1),
        (b"," + _BIG, 510),
        (b"]}\n", 1),
    ),
    "decimals in many records": lambda: _decimals(
        decimal.Decimal,
        (b'{"id":1,"value":' + _BIG + b"},\n", 800),
        (b'{"id":1,"value":' + _BIG + b"}\n", 1),
    ),
    "long fractions": lambda: _value(
        (b"[", 1), ((b"0." + b"1" * 130 + b",") * 1000, 50), (b"1]", 1)
    ),
    "long fractions beyond the limit": lambda: _value(
        (b"[", 1), ((b"0." + b"1" * 130 + b",") * 1000, 130), (b"1]", 1)
    ),
    "arrays, half as many as the limit": lambda: _value(
        (b"[", 1), (b"[]," * 1000, 499), (b"1]", 1)
    ),
    "objects, half as many as the limit": lambda: _value(
        (b"[", 1), (b'{"a":1},' * 1000, 166), (b"1]", 1)
    ),
    "arrays beyond the limit": lambda: _value((b"[", 1), (b"[]," * 1000, 1001), (b"1]", 1)),
    "records that are none": lambda: ((HEAD, 1), (b"1,\n" * 1000, 300), (b"1\n" + _END, 1)),
    "blank lines": lambda: ((HEAD, 1), (b"\n" * MB, 100), (_END, 1)),
    "empty collections": lambda: _collections(4_000, 1),
    "wide collections": lambda: _collections(30, 900),
}
"""The parts of each, without its seal."""


def written(name: str, path: Path) -> None:
    """Make the archive of a name."""
    with path.open("wb") as file:
        made = sealed(*HEAVY[name]())
        while chunk := made.read(MB):
            file.write(chunk)


def _import(path: Path, _scratch: IO[bytes]) -> None:
    with open_archive(path) as archive:
        schema = described_schema(archive.header)
    import_all(MemoryRepository(schema, {c.name: [] for c in schema.collections}), path)


def _verify(path: Path, _scratch: IO[bytes]) -> None:
    verify_archive(path)


def _seal(path: Path, scratch: IO[bytes]) -> None:
    seal_archive(path, scratch)


class _Nowhere(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return len(data)


def read(path: Path) -> dict[str, Any]:
    """What comes of importing, verifying and sealing an archive."""
    found: dict[str, Any] = {}
    before = peak()
    for name, operation in (("import", _import), ("verify", _verify), ("seal", _seal)):
        error = None
        started = time.process_time()
        try:
            operation(path, cast("IO[bytes]", _Nowhere()))
        except DatabackupError as caught:
            error = caught.as_json()
            del error["remedy"]
        found[name] = {"error": error, "seconds": time.process_time() - started}
    return found | {"mebibytes": (peak() - before) // 1024}


def _tell(found: dict[str, Any]) -> None:
    print(json.dumps(found), flush=True)  # noqa: T201 - what it tells


def main() -> None:
    """Read what is named."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(SOUND)
        file.flush()
        read(Path(file.name))  # what that imports is not to be counted
    for line in sys.stdin:
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            if status:
                _tell({"ended": status})
        else:
            resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
            _tell(read(Path(line.rstrip("\n"))))
            os._exit(0)


if __name__ == "__main__":
    main()
