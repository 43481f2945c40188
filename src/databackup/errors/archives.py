"""Archives that are not sound, or do not fit, and records that are not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from databackup.errors.root import PROBLEM_LIMIT, DatabackupError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

_SEAL_COMMAND = "databackup seal EDITED SEALED"
_SHOWN = 5  # problems in a message; all that are kept are in the attribute


@attrs.define(slots=False, eq=False)
class ArchiveError(DatabackupError):
    """The archive is not sound, or not for this library. `line` counts from 1."""

    code: ClassVar[str] = "archive"

    line: int | None = None


class NotAnArchive(ArchiveError):
    """The file is something else."""

    code: ClassVar[str] = "not-an-archive"
    remedy: ClassVar[str] = f"Name a file that databackup wrote; if it was edited: {_SEAL_COMMAND}"


class NotUtf8(NotAnArchive):
    """The edited file is in another encoding."""

    code: ClassVar[str] = "wrong-encoding"
    remedy: ClassVar[str] = "Save it as UTF-8 and seal it again"


class ArchiveTruncated(ArchiveError):
    """The archive has no end."""

    code: ClassVar[str] = "archive-truncated"
    remedy: ClassVar[str] = (
        "Copy or download the file again, or take an older backup; if it was edited: "
        f"{_SEAL_COMMAND}"
    )


class SealBroken(ArchiveError):
    """Bytes of the archive were changed after it was written."""

    code: ClassVar[str] = "seal-broken"
    remedy: ClassVar[str] = (
        "Copy the original file again, or take another backup; if it was edited on purpose: "
        f"{_SEAL_COMMAND}"
    )


class ArchiveInvalid(ArchiveError):
    """The archive breaks its own format."""

    code: ClassVar[str] = "archive-invalid"
    remedy: ClassVar[str] = (
        "This file is not as databackup wrote it: take another backup; if it was edited: "
        f"{_SEAL_COMMAND}"
    )


class NotSealable(ArchiveError):
    """An edited document that is no archive any more, so that it cannot be sealed anew."""

    code: ClassVar[str] = "not-sealable"
    remedy: ClassVar[str] = (
        "Mend the document and seal it again; records may change, but the schema, which says what "
        "they are, has to stay"
    )


class ArchiveSwapped(ArchiveError):
    """The file changed between the check of it and its use."""

    code: ClassVar[str] = "archive-swapped"
    remedy: ClassVar[str] = "See that nothing else writes the file, then try again"


_UNITS: Final = {
    "expansion": "times its size",
    "depth": "levels",
    "values": "values",
    "work": "doublings",
}


@attrs.define(slots=False, eq=False)
class LimitExceeded(ArchiveError):
    """The archive is larger in some way than `limit` of `Limits` allows, which is `allowed`."""

    code: ClassVar[str] = "limit-exceeded"
    remedy: ClassVar[str] = (
        "If the archive is what you expect, raise that limit: limits=Limits(NAME=…) in Python, "
        "--limit NAME=… on the command line"
    )

    limit: str = ""
    allowed: int = 0

    @classmethod
    def of(cls, limit: str, allowed: int, what: str, line: int | None = None) -> LimitExceeded:
        """The error that says what is larger, longer or deeper than a limit allows."""
        unit = _UNITS.get(limit, "bytes")
        message = f"{what} than the limit {limit!r} allows: {allowed:,} {unit}"
        return cls(message, line, limit, allowed)


@attrs.define(slots=False, eq=False)
class NewerFormat(ArchiveError):
    """The archive's format is newer than this library."""

    code: ClassVar[str] = "newer-format"
    remedy: ClassVar[str] = "Upgrade databackup"

    found: int = 0
    supported: int = 0


@attrs.define(slots=False, eq=False)
class VersionMismatch(ArchiveError):
    """The archive was made by another version of the app's schema, and no migration leads here."""

    code: ClassVar[str] = "version-mismatch"
    remedy: ClassVar[str] = (
        "If it is newer than the app, upgrade the app; if it is older, give the schema its frozen "
        "versions (versions=) and the migrations that are missing, or use the app of that version"
    )

    found: int = 0
    supported: int = 0


@attrs.define(slots=False, eq=False)
class WrongApp(DatabackupError):
    """The archive belongs to another app."""

    code: ClassVar[str] = "wrong-app"
    remedy: ClassVar[str] = "If that is meant, say wrong_app='allow' (--wrong-app allow)"

    found: str = ""
    expected: str = ""


@attrs.define(slots=False, eq=False)
class SchemaMismatch(DatabackupError):
    """Archive and target hold different collections or fields; `differences` lists them."""

    code: ClassVar[str] = "schema-mismatch"
    remedy: ClassVar[str] = (
        "Import into a store of the same collections, fields and kinds (a SQLite file: with the "
        "types it was exported with), or exclude with a reason what the archive does not have; if "
        "it contradicts a frozen version: take another backup, or put that version's file back "
        "as it was; if models were changed: freeze a new version, and write a migration"
    )

    differences: tuple[str, ...] = ()


@attrs.define(slots=False, eq=False)
class KeyRequired(DatabackupError):
    """Merge and add need keys to tell records apart by, and these `collections` have none."""

    code: ClassVar[str] = "key-required"
    remedy: ClassVar[str] = (
        "Give them keys, in the store and in what is exported, or import with mode='replace' "
        "(--mode replace)"
    )

    collections: tuple[str, ...] = ()


class KeysDiffer(SchemaMismatch):
    """A collection has one key on one side of a comparison and another key on the other."""

    code: ClassVar[str] = "keys-differ"
    remedy: ClassVar[str] = (
        "Compare only the other collections, by naming them (collections=, --collection)"
    )


@attrs.define(slots=False, eq=False)
class UnknownCollection(DatabackupError):
    """A collection that is not there was asked for; `known` are those that are."""

    code: ClassVar[str] = "unknown-collection"
    remedy: ClassVar[str] = "Name collections that are there"

    name: str = ""
    known: tuple[str, ...] = ()


# -- records -----------------------------------------------------------------------------------


@attrs.define(slots=False, eq=False)
class InvalidRecords(DatabackupError):
    """Records that cannot be exported or imported. `problems` has the first 100 of `total`."""

    code: ClassVar[str] = "invalid-records"
    remedy: ClassVar[str] = (
        "Mend these records or the named migration, or take another backup; in the file: "
        f"{_SEAL_COMMAND}"
    )

    problems: tuple[Problem, ...] = ()
    total: int = 0

    @classmethod
    def of(cls, what: str, problems: Iterable[Problem], total: int | None = None) -> InvalidRecords:
        """The error that says what was refused and shows the first problems."""
        found = tuple(problems)
        count = len(found) if total is None else total
        lines = "".join(f"\n  {problem}" for problem in found[:_SHOWN])
        more = f"\n  and {count - _SHOWN} more" if count > _SHOWN else ""
        plural = "problem" if count == 1 else "problems"
        return cls(f"{what}: {count} {plural}{lines}{more}", found[:PROBLEM_LIMIT], count)


class NotMigratedBack(InvalidRecords):
    """Records of a store that an export of an older version cannot migrate back."""

    code: ClassVar[str] = "not-migrated-back"
    remedy: ClassVar[str] = (
        "Mend these records in the store, or let the inverse of the migration take them, then "
        "export again"
    )


class SecretsMissing(InvalidRecords):
    """An archive omits secrets, and there is nothing that records could have in their place."""

    code: ClassVar[str] = "secrets-missing"
    remedy: ClassVar[str] = (
        "Import an archive that includes the secrets (secrets='included', --secrets include), or "
        "give the fields a default, which records get that are new"
    )


class InvalidEdit(InvalidRecords):
    """Records of an edited document that are not sound, so that it is not sealed."""

    code: ClassVar[str] = "invalid-edit"
    remedy: ClassVar[str] = "Correct these values in the edited file, then seal it again"


class RecordsNotTaken(InvalidRecords):
    """Sound records that the store refuses, or gives back otherwise than it was given them."""

    code: ClassVar[str] = "records-not-taken"
    remedy: ClassVar[str] = (
        "The archive is sound: mend what in the store stands in the way, a constraint, a trigger "
        "or another record, then import again"
    )
