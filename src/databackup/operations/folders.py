"""Folders of archives: what is in them, what may go, and what the last import can be undone by."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from databackup.archive import compression
from databackup.archive.encryption import SUFFIX, Decryption
from databackup.archive.limits import required_limits
from databackup.archive.reader import begins_an_archive, open_archive
from databackup.errors import DatabackupError, FileError, MissingExtra, NoSafetyBackup, reason_of
from databackup.operations.reports import Backup, PruneReport, told_of_bytes
from databackup.operations.safety import store_of
from databackup.operations.verify import verify_all_but_references

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from databackup.archive.extensions import SafetyBackupOf
    from databackup.archive.limits import Limits
    from databackup.operations.reports import ProgressCallback
    from databackup.operations.safety import PathOrFolder
    from databackup.repository import Repository

_PLAIN: Final = (".json", ".json.gz", ".json.zst")
_SUFFIXES: Final = (*_PLAIN, *(plain + SUFFIX for plain in _PLAIN))


def list_backups(
    folder: PathOrFolder,
    *,
    verify: bool = False,
    limits: Limits | None = None,
    decryption: Decryption | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[Backup, ...]:
    """The archives in a folder, the newest first; behind them what is damaged or is none.

    Looked at are files whose names end as those of archives do, or that begin as one; of all others
    nothing is said, nor of symbolic links and of what is in folders within. The seal of each is
    checked; with `verify` every record is read, as by `verify_archive` but for references.
    `decryption` opens those that are encrypted; without it nobody can tell whether they are sound.

    Raises `FileError` for what is no folder that can be read, and whatever `progress` raises. What
    is wrong with a file is its `problem`.
    """
    reading = _Reading(limits, decryption, progress)
    return tuple(found.backup for found in _found(folder, verify, reading))


def prune_backups(
    folder: PathOrFolder,
    *,
    keep_last: int,
    app: str | None = None,
    dry_run: bool = False,
    limits: Limits | None = None,
    decryption: Decryption | None = None,
    progress: ProgressCallback | None = None,
) -> PruneReport:
    """Remove archives from a folder: of each app all but the newest, of which `keep_last` stay.

    Every archive is verified first, record by record. One that is not sound is never removed, and
    counts for nothing; neither is what is no archive. Safety backups are counted by themselves, and
    so are, where an archive has no app's name, those of each schema. `app` leaves all others alone.
    With `dry_run` nothing is removed, and the report says what would be.

    Raises ValueError for another `keep_last` than a number from 1 on; `FileError`, and whatever
    `progress` raises.
    """
    plan = planned_prune(
        folder,
        keep_last=keep_last,
        app=app,
        limits=limits,
        decryption=decryption,
        progress=progress,
    )
    return plan.report(dry_run=True) if dry_run else plan.carry_out()


@attrs.frozen
class PrunePlan:
    """What a prune removes and what it keeps; nothing of it is done yet."""

    folder: str
    removed: tuple[_Found, ...]
    kept: tuple[_Found, ...]

    def report(self, *, dry_run: bool) -> PruneReport:
        """What is, or would be, removed and kept."""
        return PruneReport(
            folder=self.folder,
            removed=tuple(found.backup for found in self.removed),
            kept=tuple(found.backup for found in self.kept),
            dry_run=dry_run,
        )

    def carry_out(self) -> PruneReport:
        """Remove what is to be removed, the oldest first.

        Raises `FileError` for what cannot be removed, and for what was changed since it was looked
        at; what was removed before stays so.
        """
        for found in reversed(self.removed):
            path = found.backup.path
            try:
                if _identity(os.lstat(path)) != found.identity:
                    raise FileError(f"{path} was changed since it was verified, and stays", path)
                Path(path).unlink()
            except OSError as error:
                raise FileError(f"{path} cannot be removed: {reason_of(error)}", path) from error
        return self.report(dry_run=False)


def planned_prune(
    folder: PathOrFolder,
    *,
    keep_last: int,
    app: str | None = None,
    limits: Limits | None = None,
    decryption: Decryption | None = None,
    progress: ProgressCallback | None = None,
) -> PrunePlan:
    """What `prune_backups` would do. Raises as it does."""
    if type(keep_last) is not int or keep_last < 1:
        raise ValueError(f"keep_last is a number of archives from 1 on, not {keep_last!r}")
    removed, kept = list[_Found](), list[_Found]()
    seen: dict[object, int] = {}
    reading = _Reading(limits, decryption, progress)
    for found in _found(folder, verify=True, reading=reading):
        backup = found.backup
        if not backup.sound or (app is not None and backup.app != app):
            kept.append(found)
            continue
        seen[found.family] = place = seen.get(found.family, 0) + 1
        (kept if place <= keep_last else removed).append(found)
    return PrunePlan(os.fspath(folder), tuple(removed), tuple(kept))


def last_safety_backup(
    repository: Repository,
    folders: Iterable[PathOrFolder],
    *,
    limits: Limits | None = None,
    progress: ProgressCallback | None = None,
) -> Backup:
    """The newest sound safety backup of a repository's store that is in one of some folders.

    Raises `NoSafetyBackup`, and for a folder that cannot be read `FileError`.
    """
    looked_in = list(dict.fromkeys(os.fspath(folder) for folder in folders))
    where = " and in ".join(looked_in)
    store = store_of(repository)
    if store is None:
        raise NoSafetyBackup(
            "the store cannot say where its data live, so that its safety backups are not known"
        )
    reading = _Reading(limits, None, progress)
    every = itertools.chain.from_iterable(
        _found(folder, verify=False, reading=reading) for folder in looked_in
    )
    own = [found for found in every if found.of is not None and found.of.store == store]
    if not own:
        raise NoSafetyBackup(f"there is no sound safety backup of this store in {where}")
    return max(own, key=_age).backup


# -- what is there -----------------------------------------------------------------------------


@attrs.frozen
class _Reading:
    """How archives are read: within which limits, with which key, and who is told."""

    limits: Limits = attrs.field(converter=required_limits)
    decryption: Decryption | None
    progress: ProgressCallback | None


@attrs.frozen(kw_only=True)
class _Found:
    """A file that is listed, and what tells it from one that takes its place."""

    backup: Backup
    identity: tuple[int, ...]
    of: SafetyBackupOf | None = None
    schema_digest: str = ""

    @property
    def family(self) -> object:
        """What it is counted with when older ones are removed."""
        app, of = self.backup.app, self.of
        schema = self.schema_digest if app is None else None
        return app, schema, of is not None, None if of is None else of.store


def _found(
    folder: PathOrFolder,
    verify: bool,  # noqa: FBT001 - private
    reading: _Reading,
) -> list[_Found]:
    seen = [_looked_at(path, verify, reading) for path in _archives(folder)]
    sound = sorted((found for found in seen if found.backup.sound), key=_age, reverse=True)
    return [*sound, *(found for found in seen if not found.backup.sound)]


def _age(found: _Found) -> tuple[str, int]:
    """Archives of one second stand in the order in which their files were written."""
    created = (found.backup.created_at or "").rstrip("Z")
    return created, found.identity[-1]


def _archives(folder: PathOrFolder) -> Iterator[Path]:
    """The files of a folder that are archives or seem to be, by name."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        files = [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
    except NotADirectoryError as error:
        raise FileError(f"{folder} is a file, not a folder", os.fspath(folder)) from error
    except FileNotFoundError as error:
        message = f"the folder {folder} does not exist"
        raise FileError(message, os.fspath(folder)) from error
    except (OSError, ValueError) as error:
        message = f"the folder {folder} cannot be read: {reason_of(error)}"
        raise FileError(message, os.fspath(folder)) from error
    for path in files:
        if path.name.startswith("."):
            continue
        if path.name.endswith(_SUFFIXES) or _begins_as_one(path):
            yield path


def _begins_as_one(path: Path) -> bool:
    """Whether a file begins as an archive does; not where that cannot be read."""
    try:
        with path.open("rb") as file:
            return begins_an_archive(file.read(compression.CHUNK))
    except (OSError, MissingExtra):
        return False


def _looked_at(
    path: Path,
    verify: bool,  # noqa: FBT001 - private
    reading: _Reading,
) -> _Found:
    name = str(path)
    size = 0
    identity: tuple[int, ...] = (0,)
    try:
        status = os.lstat(path)
        size, identity = status.st_size, _identity(status)
        told = told_of_bytes("checking", reading.progress)
        with open_archive(path, reading.limits, reading.decryption, told) as archive:
            header = archive.header
            known = Backup(
                path=name,
                size=size,
                created_at=header.created_at,
                app=header.app,
                schema_version=header.schema_version,
                records=sum(end.count for end in archive.ends.values()),
                seal=archive.seal,
                safety_backup=header.safety_backup is not None,
            )
        found = _Found(
            backup=known,
            identity=identity,
            of=header.safety_backup,
            schema_digest=header.schema_digest,
        )
    except OSError as error:
        return _unsound(name, size, identity, f"it cannot be read: {reason_of(error)}")
    except DatabackupError as error:
        return _unsound(name, size, identity, error.message)
    if verify:
        try:
            verify_all_but_references(
                path,
                limits=reading.limits,
                decryption=reading.decryption,
                progress=reading.progress,
            )
        except DatabackupError as error:
            problem = error.message.partition("\n")[0]
            return attrs.evolve(found, backup=attrs.evolve(known, problem=problem))
    return found


def _unsound(name: str, size: int, identity: tuple[int, ...], problem: str) -> _Found:
    return _Found(backup=Backup(path=name, size=size, problem=problem), identity=identity)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    kind = stat.S_IFMT(status.st_mode)
    return kind, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
