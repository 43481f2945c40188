"""Every error databackup raises, and the `Problem` that names one wrong value.

One root, `DatabackupError`. Each class has a stable `code`, its own attributes, a message that
says what and where, and a remedy that says what to do. All of them pickle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PROBLEM_LIMIT = 100
_LARGEST_PLAIN_INT = 2**53
_SEAL_COMMAND = "databackup seal EDITED SEALED"
_SHOWN = 5  # problems in a message; all that are kept are in the attribute


@attrs.frozen(kw_only=True)
class Problem:
    """One thing wrong with one value.

    `record` counts from 1 within the collection; `pointer` is an RFC 6901 JSON pointer into the
    archive. What does not apply is None.
    """

    code: str
    message: str
    collection: str | None = None
    record: int | None = None
    key: tuple[Any, ...] | None = None
    field: str | None = None
    pointer: str | None = None
    expected: str | None = None

    @property
    def place(self) -> str:
        """Where it is, in words: collection, record, key and field."""
        place = self.collection or "archive"
        if self.record is not None:
            place += f", record {self.record}"
        if self.key is not None:
            place += f", key {', '.join(_short(part) for part in self.key)}"
        if self.field is not None:
            place += f", field {self.field}"
        return place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"

    def as_json(self) -> dict[str, Any]:
        """The problem as a JSON object; key parts that JSON cannot hold as text."""
        return {field.name: _plain(getattr(self, field.name)) for field in attrs.fields(Problem)}


def _short(value: object, limit: int = 60) -> str:
    text = _text(value, repr)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _text(value: object, form: Callable[[object], str]) -> str:
    try:
        return form(value)
    except ValueError:
        # Python writes no integer of more than 4,300 digits.
        return f"a very long {type(value).__name__}"


def reason_of(error: OSError | ValueError) -> str:
    """Why a file cannot be used, in the system's words and without its name."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else text + "."


@attrs.define(slots=False, eq=False)
class DatabackupError(Exception):
    """The root of all errors of this library."""

    code: ClassVar[str] = "databackup"
    remedy: ClassVar[str] = ""

    message: str

    def __str__(self) -> str:
        return " ".join(_sentence(part) for part in (self.message, self.remedy) if part)

    def as_json(self) -> dict[str, Any]:
        """The error as a JSON object: code, message, remedy, and the attributes of its class."""
        own = {
            field.name: _plain(getattr(self, field.name))
            for field in attrs.fields(type(self))
            if field.name != "message"
        }
        return {"code": self.code, "message": self.message, "remedy": self.remedy, **own}


def _plain(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Problem):
        return value.as_json()
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, int) and abs(value) < _LARGEST_PLAIN_INT:
        return value
    if value is None or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _plain(_text(value, str))


# -- what the host's developer gets wrong ------------------------------------------------------


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


# -- files -------------------------------------------------------------------------------------


@attrs.define(slots=False, eq=False)
class FileError(DatabackupError):
    """A file or folder that cannot be read or written."""

    code: ClassVar[str] = "file"
    remedy: ClassVar[str] = (
        "See that the place exists, that you may read and write there, and that it has room"
    )

    path: str = ""


# -- archives ----------------------------------------------------------------------------------


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

    code: ClassVar[str] = "not-utf-8"
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


_UNITS: Final = {"expansion": "times its size", "depth": "levels", "values": "values"}


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
        "types it was exported with), or exclude with a reason what the archive does not have"
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
        "Mend these records and export again, or take another backup; to mend them in the file: "
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


# -- stores ------------------------------------------------------------------------------------


class StoreError(DatabackupError):
    """The store failed, and is as it was before."""

    code: ClassVar[str] = "store"


@attrs.define(slots=False, eq=False)
class StoreMismatch(StoreError):
    """Schema and store do not fit; `differences` lists tables and columns."""

    code: ClassVar[str] = "store-mismatch"
    remedy: ClassVar[str] = (
        "Make the store and the schema agree, or exclude with a reason what is not to be backed up"
    )

    differences: tuple[str, ...] = ()


@attrs.define(slots=False, eq=False)
class CannotCreate(StoreError):
    """Tables that the store cannot make; `problems` lists why."""

    code: ClassVar[str] = "cannot-create"
    remedy: ClassVar[str] = (
        "Make the tables yourself, under names and with types that the store has, and import "
        "without create"
    )

    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: object, problems: Iterable[str]) -> CannotCreate:
        """The error that lists why tables cannot be made in a store."""
        found = tuple(problems)
        return cls(f"{store}: " + "; ".join(found), found)


class StoreLocked(StoreError):
    """Another transaction holds the store."""

    code: ClassVar[str] = "store-locked"
    remedy: ClassVar[str] = "Try again when the other one has ended, or wait longer"


@attrs.define(slots=False, eq=False)
class RecordsRefused(StoreError):
    """The store refuses the records of one call: a constraint, a range, a type.

    `field` is the one to blame, where the store tells. Nothing of that call may be relied on; roll
    back to the savepoint.
    """

    code: ClassVar[str] = "records-refused"

    field: str | None = None


@attrs.define(slots=False, eq=False)
class OwnerRequired(StoreError):
    """What only the owner of the tables can do; `constraint` is the one that is in the way."""

    code: ClassVar[str] = "owner-required"
    remedy: ClassVar[str] = (
        "Import as the owner of the tables, who may set their constraints aside for the time of an "
        "import"
    )

    constraint: str = ""


class StoreFailed(StoreError):
    """The store cannot do its work: disk full, connection lost, file damaged."""

    code: ClassVar[str] = "store-failed"
    remedy: ClassVar[str] = "See that the store is sound and has room, then try again"


class StoreUnreachable(StoreFailed):
    """There is no connection to the store: no server, no such database, a wrong password."""

    code: ClassVar[str] = "store-unreachable"
    remedy: ClassVar[str] = (
        "See that the server runs, and that host, port, database, user and password are right"
    )


class StoreDenied(StoreFailed):
    """The store does not let its user do this: a right is missing, or nobody may write."""

    code: ClassVar[str] = "store-denied"
    remedy: ClassVar[str] = (
        "Give the user that right, or name another user; to import, name a server that is not "
        "read-only"
    )


@attrs.define(slots=False, eq=False)
class CommitUnknown(DatabackupError):
    """The connection was lost during the commit: the import is either whole or absent.

    `import_id` is that of an import with a marker, whose outcome the store can be asked for.
    """

    code: ClassVar[str] = "commit-unknown"
    remedy: ClassVar[str] = "Look at the store before anything else is done with it"

    import_id: str | None = None

    def marked(self, import_id: str) -> CommitUnknown:
        """The same error of an import with a marker: it says what settles it."""
        command = f"databackup status TARGET --id {import_id}"
        return CommitUnknown(f"{self.message}; {command} says whether it was committed", import_id)
