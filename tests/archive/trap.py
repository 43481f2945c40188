"""Archives that are traps, each made on the fly; as a program, imports some and tells what came.

`python -m tests.archive.trap NAME…` prints a JSON object for each: the error, the CPU seconds of
the import, the peak of the process's memory in MiB, and whether the store is as it was.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from databackup import import_all, seal_archive
from databackup.adapters.memory import MemoryRepository
from databackup.archive.format import END_START, seal_to_bytes
from databackup.errors import DatabackupError
from databackup.schema import Collection, Json, Schema
from tests.archive.support import archive_of, resealed

MB = 1_000_000
SCHEMA = Schema(collections=[Collection("notes", key="id", fields={"id": int, "value": Json})])
SOUND = archive_of(SCHEMA, {"notes": [(1, "a"), (2, "VALUE"), (3, "c")]})
BEFORE, AFTER = SOUND.split(b'"VALUE"')
FIRST_LINES, _, OTHER_LINES = SOUND.partition(b'"extensions":{}')
END, _, _ = SOUND[SOUND.index(END_START) :].partition(b"3")

Part = tuple[bytes, int]
"""Bytes, and how many times they stand one after the other."""


class Parts(io.RawIOBase):
    """A file of parts, of any size, that is held nowhere."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts
        self._size = sum(len(part) * times for part, times in parts)
        self._place = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        self._place = offset + {0: 0, 1: self._place, 2: self._size}[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        """What stands at the place, as much as one part has or more."""
        start = self._place
        for part, times in self._parts:
            size = len(part) * times
            if start < size:
                first = start % len(part)
                repeats = (first + len(buffer)) // len(part) + 1
                found = (part * min(repeats, times))[first : first + len(buffer)]
                found = found[: size - start]
                buffer[: len(found)] = found
                self._place += len(found)
                return len(found)
            start -= size
        return 0


def sealed(*parts: Part) -> Parts:
    """Parts, and the seal that fits them."""
    total = hashlib.sha256()
    for part, times in parts:
        for _ in range(times):
            total.update(part)
    return Parts(*parts, (seal_to_bytes(total.hexdigest()), 1))


# -- JSON that is small and hostile ------------------------------------------------------------

VALUES = {
    "duplicate keys": b'{"a":1,"b":2,"a":1}',
    "NaN": b"NaN",
    "minus infinity": b"[-Infinity]",
    "1e400": b"1e400",
    "a lone surrogate": rb'"\ud800"',
    "a lone surrogate as a key": rb'{"\udc00":0}',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "100,000 open brackets": b"[" * 100_000,
    "100,000 open braces": b'{"a":' * 100_000,
    "100,000 brackets, closed": b"[" * 100_000 + b"]" * 100_000,
    "a number of 5,000 digits": b"7" * 5_000,
    "a fraction of 5,000 digits": b"0." + b"7" * 5_000,
    "a byte order mark": b"\xef\xbb\xbf1",
    "UTF-16": '{"a":"é"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a":"é"}'.encode("utf-16-be"),
    "not UTF-8": b'"\xff"',
}


def in_record(value: bytes) -> io.BytesIO:
    """A sound archive, whose second record has a value as it stands."""
    return io.BytesIO(resealed(BEFORE + value + AFTER))


def in_header(value: bytes) -> io.BytesIO:
    """A sound archive, whose header has a value as it stands."""
    return io.BytesIO(resealed(FIRST_LINES + b'"extensions":{"x":' + value + b"}" + OTHER_LINES))


def in_end(value: bytes) -> io.BytesIO:
    """A sound archive that counts its records with a value as it stands."""
    return io.BytesIO(resealed(SOUND.replace(END + b"3", END + value)))


# -- what is larger than it should be ----------------------------------------------------------


def gzipped(*parts: Part) -> Parts:
    """Parts as one gzip member; what is repeated is deflated once, and flushed so that it may be.

    Its checksum is wrong: whoever gets there has expanded it all.
    """
    return Parts(
        (zlib.compress(b"", wbits=31)[:10], 1),
        *((_deflated(part, zlib.Z_FULL_FLUSH), times) for part, times in parts),
        (_deflated(b"", zlib.Z_FINISH) + b"\0" * 8, 1),
    )


def _deflated(data: bytes, flush: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush(flush)


def zstandard(*parts: Part, window: int = 21) -> Parts:
    """Parts as one zstd frame without a checksum (RFC 8878, section 3.1.1).

    What is repeated has to be one byte many times, and becomes blocks of that byte.
    """
    frame = bytearray(b"\x28\xb5\x2f\xfd\0" + bytes([(window - 10) << 3]))
    made: list[Part] = []
    for part, times in parts:
        if times == 1:
            for start in range(0, len(part), 100_000):
                raw = part[start : start + 100_000]
                frame += (len(raw) << 3).to_bytes(3, "little") + raw
        else:
            assert part == part[:1] * len(part)
            assert len(part) <= 128 * 1024
            block = (1 << 1 | len(part) << 3).to_bytes(3, "little") + part[:1]
            made += [(bytes(frame), 1), (block, times)]
            frame.clear()
    return Parts(*made, (bytes(frame) + (1).to_bytes(3, "little"), 1))


def zstandard_of_lines(line: bytes, size: int) -> Parts:
    """An archive of one line again and again, as zstd compresses it."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415 - optional
    else:
        from backports import zstd  # noqa: PLC0415 - optional
    compressor = zstd.ZstdCompressor()
    start = BEFORE[: BEFORE.index(b'{"id":1')]
    lines = line * (MB // len(line))
    packed = [compressor.compress(start)]
    packed += [compressor.compress(lines) for _ in range(size // len(lines))]
    return Parts((b"".join(packed) + compressor.flush(), 1))


HEAD = BEFORE[: BEFORE.index(b'{"id":1')]
REST = AFTER[: AFTER.index(b'"seal"')]
LINE = b'{"id":1,"value":"a"},\n'
SPACES, ZEROS, LINE_FEEDS = b" " * 100_000, b"\0" * 100_000, b"\n" * 100_000

LARGE: dict[str, Callable[[], io.IOBase]] = {
    "a record of 100 MB": partial(sealed, (BEFORE + b'"', 1), (b"x" * MB, 100), (b'"' + REST, 1)),
    "a record of 100 MB of brackets": partial(
        sealed, (BEFORE + b"[", 1), (b"[]," * MB, 33), (b"[]]" + REST, 1)
    ),
    "a record of 1 GB": partial(Parts, (BEFORE + b'"', 1), (b"x" * MB, 1000), (b'"' + AFTER, 1)),
    "a header of 1 GB": partial(Parts, (FIRST_LINES, 1), (b" " * MB, 1000), (OTHER_LINES, 1)),
    "an end of 1 GB": partial(Parts, (SOUND[: SOUND.index(END)] + END, 1), (b"7" * MB, 1000)),
    "a name of 1 GB": partial(Parts, (HEAD[: -len(b'":[\n')], 1), (b"n" * MB, 1000)),
    "gzip, spaces": partial(gzipped, (BEFORE, 1), (SPACES * 10, 10_000), (REST, 1)),
    "zstd, spaces": partial(zstandard, (BEFORE, 1), (SPACES, 100_000), (REST, 1)),
    "gzip, zeros": partial(gzipped, (BEFORE, 1), (ZEROS * 10, 10_000), (REST, 1)),
    "zstd, zeros": partial(zstandard, (BEFORE, 1), (ZEROS, 100_000), (REST, 1)),
    "gzip, line feeds": partial(gzipped, (HEAD, 1), (LINE_FEEDS * 10, 10_000), (REST, 1)),
    "zstd, line feeds": partial(zstandard, (HEAD, 1), (LINE_FEEDS, 100_000), (REST, 1)),
    "gzip, records": partial(gzipped, (HEAD, 1), (LINE * 50_000, 10_000), (REST, 1)),
    "zstd, records": partial(zstandard_of_lines, LINE, 2_000 * MB),
    "gzip, spaces in the header": partial(gzipped, (FIRST_LINES, 1), (SPACES * 10, 10_000)),
    "gzip, line feeds in the header": partial(gzipped, (FIRST_LINES, 1), (LINE_FEEDS, 100_000)),
    "gzip, spaces behind the seal": partial(gzipped, (SOUND, 1), (SPACES * 10, 10_000)),
    "gzip, spaces alone": partial(gzipped, (SPACES * 10, 10_000)),
    "gzip, zeros alone": partial(gzipped, (ZEROS * 10, 10_000)),
    "zstd, zeros alone": partial(zstandard, (ZEROS, 100_000)),
    "zstd, a window of 128 MiB": partial(zstandard, (HEAD, 1), (LINE_FEEDS, 100_000), window=27),
    "zstd, a window of 2 GiB": partial(zstandard, (HEAD, 1), (LINE_FEEDS, 100_000), window=31),
}
"""Each that is compressed expands to 10 GB, the records in zstd to 2 GB."""


def _array(*items: Part) -> Callable[[], io.IOBase]:
    return partial(sealed, (BEFORE + b"[", 1), *items, (b"0]" + REST, 1))


_FACE = "\N{GRINNING FACE}".encode()
LONG: dict[str, Callable[[], io.IOBase]] = {
    "a text of lone surrogates": partial(
        sealed, (BEFORE + b'"', 1), (rb"\ud800XX", 7_500_000), (b'"' + REST, 1)
    ),
    "texts with lone surrogates": _array((rb'"\ud800%b",' % (b"x" * 56), 500_000)),
    "texts beyond the BMP": _array((b'"%b",' % (b"x" * 56 + _FACE), 500_000), (rb'"\ud800",', 1)),
    "texts and a name twice": _array((b'"%b",' % (b"x" * 60), 500_000), (b'{"a":1,"a":2},', 1)),
    "numbers and 1e400": _array((b"1234567890.1234567,", 500_000), (b"1e400,", 1)),
    "numbers and NaN": _array((b"1234567890.1234567,", 500_000), (b"NaN,", 1)),
    "numbers of 5,000 digits": _array((b"7" * 5000 + b",", 12_000)),
    "integers of 999 digits": _array((b"7" * 999 + b",", 60_000)),
}
"""A record each, of tens of megabytes."""


def made(name: str) -> io.IOBase:
    """The trap of a name: `LARGE`, `LONG`, or a place and one of `VALUES`."""
    if name in LARGE:
        return LARGE[name]()
    if name in LONG:
        return LONG[name]()
    place, _, value = name.partition(": ")
    makers: dict[str, Callable[[bytes], io.IOBase]] = {
        "record": in_record,
        "header": in_header,
        "end": in_end,
        "file": io.BytesIO,
    }
    return makers[place](VALUES[value])


def peak() -> int:
    """The most memory that this process had, in KiB; `ru_maxrss` would count its parent's, too."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.partition("VmHWM:")[2].split()[0])


def fallen_into(name: str) -> dict[str, Any]:
    """What came of importing a trap, or of sealing it where its name says so."""
    to_seal = name.startswith("sealing: ")
    store: dict[str, list[dict[str, Any]]] = {"notes": [{"id": 1, "value": "as it was"}]}
    repository = MemoryRepository(SCHEMA, store)
    source: Any = made(name.removeprefix("sealing: "))
    error: DatabackupError | None = None
    started = time.process_time()
    try:
        if to_seal:
            seal_archive(source, io.BytesIO())
        else:
            import_all(repository, source)
    except DatabackupError as caught:
        error = caught
    seconds = time.process_time() - started
    return {
        "error": error and error.as_json(),
        "seconds": seconds,
        "mebibytes": peak() // 1024,
        "unchanged": store == {"notes": [{"id": 1, "value": "as it was"}]},
    }


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(json.dumps(fallen_into(argument)))  # noqa: T201 - what it tells
