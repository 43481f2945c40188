"""The safety backup of an import: the store as the import found it, in an archive of its own.

It is exported through the import's own transaction, so that nobody writes between it and the
import, and is read again before anything is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.archive import compression, files
from databackup.archive.encryption import require_agreement
from databackup.archive.extensions import SafetyBackupOf
from databackup.errors import (
    CommitUnknown,
    DatabackupError,
    FileError,
    InvalidRecords,
    SafetyBackupFailed,
    StoreError,
)
from databackup.operations.export import Export
from databackup.operations.naming import is_folder
from databackup.operations.omitted import Omission
from databackup.operations.verify import verify_all_but_references
from databackup.repository import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from databackup.archive.format import CollectionEnd, Header
    from databackup.archive.limits import Limits
    from databackup.operations.reports import ProgressCallback
    from databackup.repository import Repository, Snapshot, Transaction

PathOrFolder = str | os.PathLike[str]
_STAGE: Final = "backing up"


class SafetyBackup:
    """The safety backup of one import, if there is to be one.

    `path` is where it stands once it is made, and `ends` are then count and digest of what the
    store held, by collection.
    """

    def __init__(self, destination: PathOrFolder | None, repository: Repository, seal: str) -> None:
        self._destination = destination
        self._repository = repository
        self._of = SafetyBackupOf(None, seal)
        self._may_be_committed = False
        self.path: str | None = None
        self.ends: Mapping[str, CollectionEnd] = {}
        self.warnings: tuple[str, ...] = ()

    def prepare(self) -> None:
        """See that there is a place for it, before the store is touched.

        Raises `FileError`, `EncryptionMismatch`.
        """
        if self._destination is None:
            return
        path = Path(self._destination)
        folder = path if is_folder(self._destination) else path.parent
        if folder != path:
            require_agreement(path.name, None)
        if not os.path.isdir(folder):  # noqa: PTH112 - which raises nothing
            raise FileError(f"the folder {folder} for the safety backup does not exist", str(path))
        if folder != path and os.path.lexists(path):
            raise FileError(f"{path} exists, and no safety backup overwrites it", str(path))
        self._of = attrs.evolve(self._of, store=store_of(self._repository))

    @contextlib.contextmanager
    def kept_if_needed(self) -> Iterator[None]:
        """A block around the import's transaction: if that changed nothing, the backup goes.

        It stays where a commit was begun and its outcome is not known for sure.
        """
        try:
            yield
        except BaseException as error:
            is_unchanged = isinstance(error, StoreError) or not self._may_be_committed
            if is_unchanged and not isinstance(error, CommitUnknown):
                self._remove()
            raise

    def make(
        self, transaction: Transaction, limits: Limits, progress: ProgressCallback | None
    ) -> None:
        """Write it, and read it again.

        Raises `SafetyBackupFailed`, whose cause says why; `StoreError`, and what `progress` raises.
        """
        if self._destination is None:
            return
        export = _SafetyExport(self._repository, progress, transaction, self._of)
        try:
            written = export.write_new(self._destination)
            self.path, self.warnings = written.path, written.warnings
            path = str(written.path)
            read = verify_all_but_references(path, limits=limits, progress=progress)
        except StoreError:
            raise
        except DatabackupError as error:
            raise _failed(error) from error
        self.ends = export.ends
        if read.seal != export.seal:
            raise SafetyBackupFailed(f"{path} was changed while it was verified", path)

    def begin_to_commit(self) -> None:
        """Note that from now on the store may have been changed."""
        self._may_be_committed = True

    def _remove(self) -> None:
        if self.path is not None:
            with contextlib.suppress(OSError):
                Path(self.path).unlink()


def _failed(error: DatabackupError) -> SafetyBackupFailed:
    reason = error.message
    if isinstance(error, InvalidRecords):
        reason = f"{reason.partition(chr(10))[0]}; {error.problems[0]}"
    path = error.path if isinstance(error, FileError) else ""
    return SafetyBackupFailed(
        f"no safety backup could be made, and nothing was changed: {reason}", path
    )


def store_of(repository: Repository) -> str | None:
    """What a store is known by in its safety backups: 64 digits, None where it cannot tell."""
    place = place_of(repository)
    if place is None:
        return None
    return hashlib.sha256(place.identity.encode(errors="surrogateescape")).hexdigest()


class _SafetyExport(Export):
    """An export through a transaction, whose header says ahead of which import it was made."""

    stage = _STAGE

    def __init__(
        self,
        repository: Repository,
        progress: ProgressCallback | None,
        transaction: Transaction,
        of: SafetyBackupOf,
    ) -> None:
        everything = Omission.of(repository.schema, "included")
        super().__init__(repository, None, everything, progress)
        self._transaction = transaction
        self._of = of

    @property
    def ends(self) -> Mapping[str, CollectionEnd]:
        """Count and digest by collection, once all is written."""
        return self._writer.ends

    @property
    def seal(self) -> str:
        """The seal, once all is written."""
        return self._writer.seal

    def write_new(self, destination: PathOrFolder) -> files.Written:
        """Write it to a file that is not there, or to a new one in a folder."""
        if is_folder(destination):
            return self.write(destination)
        path = Path(destination)
        packing = compression.by_suffix(path.name)
        return files.write_new_archive(
            path.parent, path.name, lambda: [path.name], self.chunks(), packing
        )

    def _opened(self) -> AbstractContextManager[Snapshot]:
        return contextlib.nullcontext(self._transaction)

    def _header_of(self, snapshot: Snapshot) -> Header:
        header = super()._header_of(snapshot)
        more: dict[str, Any] = {"safety_backup": attrs.asdict(self._of)}
        return attrs.evolve(header, extensions={**header.extensions, **more})
