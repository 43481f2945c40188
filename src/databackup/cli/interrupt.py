"""Ctrl-C up to the last step, and not within it: "cancelled" is said where nothing was changed."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any, Self

from databackup.operations.creating import creates_tables
from databackup.repository import MarkingRepository, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.operations.reports import Progress, ProgressCallback
    from databackup.repository import (
        Capabilities,
        Mark,
        Needs,
        Place,
        Repository,
        Snapshot,
        TableMaker,
        Transaction,
    )
    from databackup.schema import Schema


class InterruptGuard:
    """Ignores Ctrl-C from the moment on that a guarded repository begins its last step.

    Without it Ctrl-C could come out of an import that has just been committed. What was before is
    restored when the block ends; but where the process ends with it, not: it could still end as
    one that was cancelled.
    """

    def __init__(self, *, ends_the_process: bool = False) -> None:
        self._ends_the_process = ends_the_process

    def __enter__(self) -> Self:
        self._main = threading.current_thread() is threading.main_thread()
        self._before: Any = signal.getsignal(signal.SIGINT)
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._main and not self._ends_the_process:
            signal.signal(signal.SIGINT, self._before)

    def hold(self) -> None:
        """Ignore Ctrl-C from now on."""
        if self._main:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    def repository(self, repository: Repository) -> Repository:
        """The repository, with its last step guarded."""
        if isinstance(repository, MarkingRepository):
            return _GuardedMarking(repository, self)
        return _Guarded(repository, self)

    def progress(self, report: ProgressCallback) -> ProgressCallback:
        """The callback, which guards what follows the stage "finishing"."""

        def guarded(progress: Progress) -> None:
            report(progress)
            if progress.stage == "finishing":
                self.hold()

        return guarded


class _Guarded:
    """A repository that holds Ctrl-C off its commit, and off what follows its snapshot."""

    def __init__(self, repository: Repository, guard: InterruptGuard) -> None:
        self._repository = repository
        self._guard = guard

    @property
    def schema(self) -> Schema:
        return self._repository.schema

    @property
    def capabilities(self) -> Capabilities:
        return self._repository.capabilities

    @property
    def place(self) -> Place | None:
        return place_of(self._repository)

    @property
    def made(self) -> tuple[str, ...]:
        found: tuple[str, ...] = getattr(self._repository, "made", ())
        return found

    def missing(self) -> tuple[str, ...]:
        return creates_tables(self._repository).missing()

    def creating(self, schema: Schema, needs: Needs) -> TableMaker:
        return type(self)(creates_tables(self._repository).creating(schema, needs), self._guard)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        with self._repository.snapshot() as snapshot:
            yield snapshot
        self._guard.hold()

    @contextlib.contextmanager
    def transaction(self, *, wait: float = 5.0, **options: Any) -> Iterator[Transaction]:
        with self._repository.transaction(wait=wait, **options) as transaction:
            yield transaction
            self._guard.hold()


class _GuardedMarking(_Guarded):
    """The same for a repository that leaves marks."""

    _repository: MarkingRepository

    def marks(self, import_id: str | None = None, *, wait: float = 5.0) -> list[Mark]:
        return self._repository.marks(import_id, wait=wait)
