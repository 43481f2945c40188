"""Whether an import was committed: the marks that imports leave in a store, and what they say."""

from __future__ import annotations

import contextlib
import datetime
import uuid
from typing import TYPE_CHECKING

from databackup.errors import CommitUnknown, StoreError
from databackup.operations.reports import ImportStatus
from databackup.repository import Mark, MarkingRepository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.repository import Repository, Transaction


def import_status(repository: Repository, import_id: str, *, wait: float = 5.0) -> ImportStatus:
    """Whether the import of an id was committed; it was made with `marker=True`.

    The answer is final: an import that is under way is waited for, up to `wait` seconds.

    Raises `StoreLocked` where it takes longer, `StoreError` for a store that keeps no marks and
    whatever else keeps the store from being read; ValueError for what is no id.
    """
    if str(uuid.UUID(import_id)) != import_id:
        raise ValueError(f"the id of an import is written in lower case with dashes: {import_id}")
    found = _marking(repository).marks(import_id, wait=wait)
    return _status(found[0]) if found else ImportStatus(import_id=import_id, committed=False)


def marked_imports(repository: Repository, *, wait: float = 5.0) -> tuple[ImportStatus, ...]:
    """The last imports with a marker that were committed, up to a hundred, the newest first.

    Waits and raises as `import_status`.
    """
    return tuple(map(_status, _marking(repository).marks(wait=wait)))


def new_mark(seal: str) -> Mark:
    """The mark of an import that begins now."""
    now = datetime.datetime.now(datetime.UTC)
    return Mark(import_id=str(uuid.uuid4()), seal=seal, time=now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


@contextlib.contextmanager
def marked_transaction(
    repository: Repository, mark: Mark | None, wait: float
) -> Iterator[Transaction]:
    """The transaction of an import, which leaves a mark unless that is None.

    Raises as `Repository.transaction`; a `CommitUnknown` then has the id to ask for.
    """
    if mark is None:
        with repository.transaction(wait=wait) as transaction:
            yield transaction
        return
    try:
        with _marking(repository).transaction(wait=wait, mark=mark) as transaction:
            yield transaction
    except CommitUnknown as error:
        raise error.marked(mark.import_id) from error.__cause__


def _marking(repository: Repository) -> MarkingRepository:
    if isinstance(repository, MarkingRepository):
        return repository
    name = repository.capabilities.name
    raise StoreError(f"a store of the adapter {name!r} keeps no marks of imports")


def _status(mark: Mark) -> ImportStatus:
    return ImportStatus(import_id=mark.import_id, committed=True, seal=mark.seal, time=mark.time)
