"""A file for a SQLite database that is to be made."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from databackup.errors import FileError, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def new_file(name: str, *, keep: bool = True) -> Iterator[None]:
    """An empty file, which is an empty database, where there is none of that name.

    It is its owner's only. Where the block fails, and where it is not to be kept, it is gone again,
    unless something was kept in it. Raises `FileError`.
    """
    path = Path(name)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        yield
        return
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be made: {reason_of(error)}", name) from error
    is_done = False
    try:
        yield
        is_done = keep
    finally:
        if not is_done:
            with contextlib.suppress(OSError):
                if path.stat().st_size == 0:
                    path.unlink()
