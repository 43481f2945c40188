"""What the host's developer gets wrong, and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from databackup.errors.root import DatabackupError

if TYPE_CHECKING:
    from collections.abc import Iterable


@attrs.define(slots=False, eq=False)
class SchemaError(DatabackupError):
    """A schema that cannot be built; `problems` lists all that is wrong with it."""

    code: ClassVar[str] = "schema"

    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, subject: str, problems: Iterable[str]) -> SchemaError:
        """The error that lists what is wrong with a subject."""
        found = tuple(problems)
        return cls(f"{subject}: " + "; ".join(found), found)


class TargetError(DatabackupError):
    """A target that names no repository."""

    code: ClassVar[str] = "target"
    remedy: ClassVar[str] = (
        "Name the path of a SQLite file, a URL such as postgresql://USER:PASSWORD@HOST/NAME, or "
        "package.module:attribute"
    )


class AppError(TargetError):
    """What should name the schema of an app names something else."""

    code: ClassVar[str] = "app"
    remedy: ClassVar[str] = (
        "Name a Schema, a function without arguments that returns one, or a repository, as "
        "package.module:attribute"
    )


@attrs.define(slots=False, eq=False)
class MissingExtra(DatabackupError):
    """An optional package is not installed; `extra` brings it."""

    code: ClassVar[str] = "missing-extra"

    extra: str = ""

    @classmethod
    def of(cls, extra: str, purpose: str) -> MissingExtra:
        """The error that names the extra a purpose needs."""
        return cls(
            f"{purpose} needs the extra {extra!r}: pip install 'databackup[{extra}]'",
            extra,
        )


@attrs.define(slots=False, eq=False)
class FileError(DatabackupError):
    """A file or folder that cannot be read or written."""

    code: ClassVar[str] = "file"
    remedy: ClassVar[str] = (
        "See that the place exists, that you may read and write there, and that it has room"
    )

    path: str = ""


@attrs.define(slots=False, eq=False)
class NeededCollection(DatabackupError):
    """A collection is to be left out that others refer to; `references` says which do."""

    code: ClassVar[str] = "needed-collection"
    remedy: ClassVar[str] = (
        "Exclude what refers to it as well, or export without what is referred to: closure=False"
    )

    references: tuple[str, ...] = ()


@attrs.define(slots=False, eq=False)
class SafetyBackupFailed(DatabackupError):
    """There is no safety backup that could be relied on, and so nothing was imported.

    The cause says why; `path` is the file or folder, where it is to blame.
    """

    code: ClassVar[str] = "safety-backup-failed"
    remedy: ClassVar[str] = (
        "See that there is room and that what the store holds can be exported, or name another "
        "place (safety_backup=, --safety-backup); to do without one: safety_backup=None or "
        "--no-safety-backup"
    )

    path: str = ""


class NoSafetyBackup(DatabackupError):
    """No safety backup of this store was found that could be imported."""

    code: ClassVar[str] = "no-safety-backup"
    remedy: ClassVar[str] = (
        "Name the folder it is in with --folder; databackup backups FOLDER lists what is there, "
        "and databackup import FILE TARGET imports any archive"
    )


@attrs.define(slots=False, eq=False)
class NoInverse(DatabackupError):
    """An operation of a migration cannot be undone, so that no older app can read its outcome."""

    code: ClassVar[str] = "no-inverse"
    remedy: ClassVar[str] = (
        "Give the operation an inverse: inverse= for change_kind and map_records, default= for "
        "remove_field, which may be added at any time. A move_field has one with default=, which "
        "changes what it makes, so it is for a migration that is not released; a change_kind to a "
        "kind that allows nulls has none"
    )

    migration: str = ""
    operation: str = ""
