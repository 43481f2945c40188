"""Adapters whose snapshots, transactions or savepoints do not hold."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from databackup.errors import DatabackupError, RecordsRefused, StoreLocked
from databackup.repository import Row, Snapshot, Transaction
from databackup.schema import Collection, Schema
from tests.testing.broken import Broken, Cases, View, sound, with_view


class _DoesNothing(View):
    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        yield


class _OneLevel(View):
    """An inner savepoint is not its own: what it undoes is nothing."""

    depth = 0

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        self.depth += 1
        with self.inner.savepoint() if self.depth == 1 else contextlib.nullcontext():
            try:
                yield
            finally:
                self.depth -= 1


class _UndoesAll(View):
    """An undone inner savepoint takes the outer one with it."""

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        with self.inner.savepoint():
            yield
        # What was kept until now is kept for good.
        self.inner._undo.clear()


class _CommitsOnException(Broken):
    @contextlib.contextmanager
    def transaction(self, *, wait: float = 5.0) -> Iterator[Transaction]:
        raised = None
        with self.inner.transaction(wait=wait) as transaction:
            try:
                yield transaction
            except BaseException as error:  # noqa: BLE001 - as the adapter would
                raised = error
        if raised is not None:
            raise raised


class _WrapsExceptions(Broken):
    @contextlib.contextmanager
    def transaction(self, *, wait: float = 5.0) -> Iterator[Transaction]:
        try:
            with self.inner.transaction(wait=wait) as transaction:
                yield transaction
        except DatabackupError:
            raise
        except Exception as error:
            raise DatabackupError("rolled back") from error


class _SwallowsExceptions(Broken):
    @contextlib.contextmanager
    def transaction(self, *, wait: float = 5.0) -> Iterator[Transaction]:
        with contextlib.suppress(KeyboardInterrupt), self.inner.transaction(wait=wait) as inner:
            yield inner


class _SeesLaterWrites(Broken):
    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        def fresh(name: str) -> Callable[..., Any]:
            def call(_self: View, *args: Any, **kwargs: Any) -> Any:
                with self.inner.snapshot() as snapshot:
                    return getattr(snapshot, name)(*args, **kwargs)

            return call

        names = ("count", "rows", "get", "counters")
        yield type("Live", (View,), {name: fresh(name) for name in names})(None)


class _NeverCommits(Broken):
    @contextlib.contextmanager
    def transaction(self, *, wait: float = 5.0) -> Iterator[Transaction]:
        with (
            contextlib.suppress(ZeroDivisionError),
            self.inner.transaction(wait=wait) as transaction,
        ):
            yield transaction
            raise ZeroDivisionError


class _TwoAtOnce(Broken):
    @contextlib.contextmanager
    def transaction(self, *, wait: float = 5.0) -> Iterator[Transaction]:
        try:
            with self.inner.transaction(wait=wait) as transaction:
                yield transaction
        except StoreLocked:
            with sound(self.schema).transaction() as transaction:
                yield transaction


class _LockedForEver(Broken):
    was_locked = False

    @contextlib.contextmanager
    def transaction(self, *, wait: float = 5.0) -> Iterator[Transaction]:
        if self.was_locked and self.inner._holder is None:
            raise StoreLocked("still locked")
        try:
            with self.inner.transaction(wait=wait) as transaction:
                yield transaction
        except StoreLocked:
            self.was_locked = True
            raise


class _HalfACommit(Broken):
    @contextlib.contextmanager
    def transaction(self, *, wait: float = 5.0) -> Iterator[Transaction]:
        with self.inner.transaction(wait=wait) as transaction:
            yield transaction
            broken = any(
                transaction.dangling(c, r, 1) for c in self.schema.collections for r in c.references
            )
            if broken:
                transaction.clear(self.schema["people"])
        if broken:
            raise DatabackupError("FOREIGN KEY constraint failed")


class _NeverKeeps(View):
    """What a savepoint wrote is always undone."""

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        with contextlib.suppress(ZeroDivisionError), self.inner.savepoint():
            yield
            raise ZeroDivisionError


class _AbortedByARefusal(View):
    """After a refused call nothing goes any more, savepoint or not."""

    aborted = False

    def insert(self, collection: Collection, rows: list[Row]) -> None:
        if self.aborted:
            raise RecordsRefused("current transaction is aborted")
        try:
            self.inner.insert(collection, rows)
        except RecordsRefused:
            self.aborted = True
            raise


class _IteratorsEndWithSavepoints(View):
    undone = 0

    def rows(self, collection: Collection, *, batch_size: int = 1000) -> Iterator[list[Row]]:
        undone = self.undone
        for batch in self.inner.rows(collection, batch_size=batch_size):
            if undone != self.undone:
                return
            yield batch

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        try:
            with self.inner.savepoint():
                yield
        except BaseException:
            self.undone += 1
            raise


class _NoDangling:
    """A transaction that lacks a method."""

    def __init__(self, inner: Any) -> None:
        for name in dir(View):
            if not name.startswith("_") and name != "dangling":
                setattr(self, name, getattr(inner, name))


class _LacksAMethod(Broken):
    @contextlib.contextmanager
    def transaction(self, *, wait: float = 5.0) -> Iterator[Any]:
        with self.inner.transaction(wait=wait) as transaction:
            yield _NoDangling(transaction)


class _CountersBelowTheKeys(Broken):
    """Counters are set to what was asked for, whatever the keys are."""

    last: dict[str, int]

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        last: dict[str, int] = {}

        def finish(
            _self: View, counters: Mapping[str, int], *, allow_cascade: bool = False
        ) -> None:
            assert not allow_cascade
            last.update(counters)

        self.view = type("Counting", (View,), {"finish": finish, "counters": lambda _: last})  # type: ignore[misc]


BROKEN: Cases = {
    "savepoints do nothing": (with_view(_DoesNothing), "an_exception_undoes_the_savepoint"),
    "one level of savepoints": (with_view(_OneLevel), "savepoints_nest"),
    "savepoints kept for good": (with_view(_UndoesAll), "savepoints_nest"),
    "commits on exception": (_CommitsOnException, "an_exception_rolls_back"),
    "wraps exceptions": (_WrapsExceptions, "an_exception_rolls_back"),
    "swallows exceptions": (_SwallowsExceptions, "an_exception_rolls_back"),
    "sees later writes": (_SeesLaterWrites, "a_snapshot_stays_as_it_was"),
    "never commits": (_NeverCommits, "a_commit_is_seen_by_the_next_snapshot"),
    "two transactions": (_TwoAtOnce, "a_second_transaction_is_refused"),
    "locked for ever": (_LockedForEver, "a_second_transaction_is_refused"),
    "half a commit": (_HalfACommit, "a_failed_commit_writes_nothing"),
    "savepoints never kept": (
        with_view(_NeverKeeps),
        "a_savepoint_that_ends_keeps_what_was_written",
    ),
    "aborted by a refusal": (
        with_view(_AbortedByARefusal),
        "a_refused_call_is_undone_by_its_savepoint",
    ),
    "iterators end with savepoints": (
        with_view(_IteratorsEndWithSavepoints),
        "an_open_iterator_outlives_an_undone_savepoint",
    ),
    "lacks a method": (_LacksAMethod, "every_method_is_there"),
    "counters below the keys": (_CountersBelowTheKeys, "finish_sets_the_counters"),
}
