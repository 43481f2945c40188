"""Stores that fail, or refuse what they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from databackup.errors.root import DatabackupError

if TYPE_CHECKING:
    from collections.abc import Iterable


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
class StalePlan(StoreError):
    """What an import was planned for is no longer so; `collections` are those that have changed."""

    code: ClassVar[str] = "stale-plan"
    remedy: ClassVar[str] = "Make a new plan with preview_import, and look at it again"

    collections: tuple[str, ...] = ()


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
