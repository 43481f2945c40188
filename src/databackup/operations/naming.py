"""The names of archives in a folder: what they are of, when they were made, how much is in them."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from databackup.archive import compression, files
from databackup.archive.encryption import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from databackup.archive.encryption import Encryption
    from databackup.archive.format import Header

_UNNAMED: Final = "backup"
_LONGEST: Final = 100  # bytes of a name's first part: with the others behind it still a name
_SUFFIXES: Final[dict[compression.Compression, str]] = {"gzip": ".gz", "zstd": ".zst"}


def is_folder(destination: files.PathOrFile) -> bool:
    """Whether a destination is a folder: one that is there, or a name that ends as one's does."""
    if isinstance(destination, str) and destination.endswith(_SEPARATORS):
        return True
    # `isdir` takes no empty text for the current folder: scripts' unset variables give that.
    return isinstance(destination, str | os.PathLike) and os.path.isdir(destination)  # noqa: PTH112


_SEPARATORS: Final = tuple(filter(None, (os.sep, os.altsep)))


def write_into(
    folder: str | os.PathLike[str],
    chunks: Iterable[bytes],
    header: Callable[[], tuple[Header, int]],
    store: str | None,
    encryption: Encryption | None = None,
) -> files.Written:
    """Write the chunks of an archive to a new file of a folder, which is named by what it holds.

    `header` gives the archive's header and how many records it has, once all is written. Raises
    `FileError`.
    """
    packing = compression.best()

    def names() -> Iterator[str]:
        return _names(*header(), store, f".json{_SUFFIXES[packing]}{SUFFIX if encryption else ''}")

    return files.write_new_archive(Path(folder), _UNNAMED, names, chunks, packing, encryption)


def _names(header: Header, records: int, store: str | None, suffix: str) -> Iterator[str]:
    """`app_v3_20261122T101500Z_1234records.json.zst`, and with a number where that is taken."""
    what = safe_name(header.app or store or "") or _UNNAMED
    time = re.sub(r"[-:]|\.[0-9]+", "", header.created_at)
    name = f"{what}_v{header.schema_version}_{time}_{records}records"
    yield f"{name}{suffix}"
    for number in itertools.count(2):
        yield f"{name}-{number}{suffix}"


def safe_name(text: str) -> str:
    """A text as a part of a file's name that no system and no shell takes for anything else.

    Letters and digits of any script, `_`, `.` and `-` stay, all others become `-`.
    """
    plain = re.sub(r"[^\w.]+", "-", text).strip(".-")
    return plain.encode()[:_LONGEST].decode(errors="ignore").rstrip(".-")
