"""Sealing documents that are at hand as bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from databackup import seal_archive
from databackup.errors import DatabackupError

if TYPE_CHECKING:
    from databackup import SealReport


def sealed(document: bytes, **options: Any) -> bytes:
    """The archive that sealing makes of a document."""
    return seal(document, **options)[0]


def seal(document: bytes, **options: Any) -> tuple[bytes, SealReport]:
    """The same, and the report."""
    file = io.BytesIO()
    report = seal_archive(io.BytesIO(document), file, **options)
    return file.getvalue(), report


def refused(document: bytes, **options: Any) -> DatabackupError:
    """The error that sealing a document ends in; nothing is written."""
    file = io.BytesIO()
    with pytest.raises(DatabackupError) as caught:
        seal_archive(io.BytesIO(document), file, **options)
    assert b"" == file.getvalue()
    return caught.value
