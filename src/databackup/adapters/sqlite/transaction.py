"""A write transaction of SQLite as a `Transaction`."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from typing import TYPE_CHECKING

from databackup.adapters.sqlite.connection import query, quoted, store_errors, write_errors
from databackup.adapters.sqlite.outside import OutsideReferences
from databackup.adapters.sqlite.snapshot import SQLiteSnapshot
from databackup.errors import (
    CommitUnknown,
    DatabackupError,
    RecordsRefused,
    StoreError,
    StoreFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from databackup.adapters.sqlite.binding import RawRow
    from databackup.adapters.sqlite.catalogue import Catalogue, Trigger
    from databackup.adapters.sqlite.plan import Plan
    from databackup.repository import Key, Row
    from databackup.schema import Collection


class SQLiteTransaction(SQLiteSnapshot):
    """One write transaction. The triggers of covered tables are dropped until `finish`."""

    resumes = True

    def __init__(
        self,
        connection: sqlite3.Connection,
        plans: Mapping[str, Plan],
        catalogue: Catalogue,
        *,
        lent: bool = False,
    ) -> None:
        super().__init__(connection, plans, catalogue)
        self._depth = 0
        self._bulk_inserts: dict[str, tuple[int, str]] = {}
        self._written = False
        self._others_may_end_it = lent
        self.finished = False
        covered = {plan.info.name for plan in plans.values()}
        self._suspended = [t for t in catalogue.triggers if t.table in covered]
        _require_texts(self._suspended)
        with store_errors("the transaction cannot be prepared"):
            self._outside = OutsideReferences(connection, catalogue, plans)
            for trigger in self._suspended:
                connection.execute(f"DROP TRIGGER {_schema(trigger)}.{quoted(trigger.name)}")

    def require_transaction(self) -> None:
        """Raise where the transaction has ended: what is written next would be kept at once.

        SQLite ends one by rolling back; on a lent connection the host can end it in either way.
        """
        if self._connection.in_transaction:
            return
        if self._others_may_end_it:
            raise CommitUnknown(
                "somebody else ended the transaction on this connection, by a commit or a "
                "rollback; look at the store"
            )
        raise StoreFailed("SQLite has ended the transaction, and rolled everything back")

    @contextlib.contextmanager
    def _noticing_its_end(self) -> Iterator[None]:
        """See whether SQLite ends the transaction with an error of its own."""
        self.require_transaction()
        try:
            yield
        except DatabackupError as error:
            if isinstance(error.__cause__, sqlite3.Error):
                with contextlib.suppress(sqlite3.Error):
                    self._others_may_end_it &= self._connection.in_transaction
            raise
        self.require_transaction()

    # -- records -------------------------------------------------------------------------------

    def insert(self, collection: Collection, rows: list[Row]) -> None:
        plan = self._plan(collection)
        with self._writing(plan):
            bound, raw = plan.binder.store(rows)
            self._run(plan, plan.insert, (self._insert_at_once(plan, bound), raw))

    def _insert_at_once(self, plan: Plan, rows: list[Row]) -> list[Row]:
        """Insert as many of the rows as go several in one statement; the rows that are left."""
        size, statement = self._bulk_insert(plan)
        count = len(rows) - len(rows) % size
        if size == 1 or not count:
            return rows
        values = list(itertools.chain.from_iterable(rows[:count]))
        width = size * len(rows[0])
        joined = [values[start : start + width] for start in range(0, len(values), width)]
        try:
            done = self._connection.executemany(statement, joined).rowcount
        except OverflowError:
            plan.binder.require_64_bits(rows)
            raise
        _require_all_done(plan, count - done)
        return rows[count:]

    def _bulk_insert(self, plan: Plan) -> tuple[int, str]:
        """The statement that inserts several rows, and how many; it is long, and made once."""
        found = self._bulk_inserts.get(plan.name)
        if found is None:
            limit = self._connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
            size = plan.inserted_at_once(limit)
            found = self._bulk_inserts[plan.name] = size, plan.insert(rows=size)
        return found

    def update(self, collection: Collection, rows: list[Row]) -> None:
        plan = self._plan(collection)
        with self._writing(plan):
            self._run(plan, plan.update, plan.binder.store(rows))

    def delete(self, collection: Collection, keys: list[Key]) -> None:
        plan = self._plan(collection)
        with self._writing(plan):
            self._run(plan, plan.delete, plan.key_binder.store(keys))

    def clear(self, collection: Collection) -> None:
        plan = self._plan(collection)
        with self._writing(plan):
            self._connection.execute(f"DELETE FROM {plan.name}")

    @contextlib.contextmanager
    def _writing(self, plan: Plan) -> Iterator[None]:
        self._written = True
        try:
            with self._noticing_its_end(), write_errors(plan.collection.name):
                yield
        except RecordsRefused as error:
            error.field = error.field or plan.field_blamed_by(error.message)
            # ON CONFLICT ROLLBACK refuses a record by ending the transaction.
            if isinstance(error.__cause__, sqlite3.Error) and not self._connection.in_transaction:
                raise StoreFailed(f"the transaction was ended: {error.message}") from error
            raise

    def _run(
        self, plan: Plan, statement: Callable[..., str], bound: tuple[list[Row], list[RawRow]]
    ) -> None:
        rows, raw = bound
        if raw and not self._catalogue.utf8:
            raise RecordsRefused(f"{plan.collection}: text that is no UTF-8, in a UTF-16 database")
        try:
            done = self._connection.executemany(statement(), rows).rowcount if rows else 0
        except OverflowError:
            plan.binder.require_64_bits(rows)
            raise
        for row, places in raw:
            done += self._connection.execute(statement(places), row).rowcount
        _require_all_done(plan, len(rows) + len(raw) - done)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        self._require_open()
        name = f"databackup_{self._depth}"  # few names: few statements to compile
        with self._noticing_its_end(), store_errors("no savepoint can be set"):
            self._connection.execute(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._rollbacks += 1
            if self._connection.in_transaction:
                with (
                    self._noticing_its_end(),
                    store_errors("the savepoint cannot be rolled back"),
                ):
                    self._connection.execute(f"ROLLBACK TO {name}")
                    self._connection.execute(f"RELEASE {name}")
            raise
        finally:
            self._depth -= 1
        with self._noticing_its_end(), store_errors("the savepoint cannot be released"):
            self._connection.execute(f"RELEASE {name}")

    # -- the end -------------------------------------------------------------------------------

    def finish(self, counters: Mapping[str, int], *, allow_cascade: bool = False) -> None:
        self._require_open()
        with self._noticing_its_end(), store_errors("the transaction cannot be finished"):
            self._outside.settle(allow_cascade=allow_cascade)
            for name, plan in self._plans.items():
                if plan.info.autoincrement:
                    self._set_counter(plan, counters.get(name))
            if self._written:
                for name in self._catalogue.indexes_to_rebuild:
                    index = quoted(name)
                    self._connection.execute(
                        f"INSERT INTO main.{index}({index}) VALUES ('rebuild')"
                    )
            for trigger in self._suspended:
                self._restore(trigger)
        self._suspended = []
        self.finished = True

    def _set_counter(self, plan: Plan, given: int | None) -> None:
        table = plan.info.name
        alias = quoted(str(plan.info.rowid_alias))
        ((largest,),) = query(self._connection, f"SELECT max({alias}) FROM {plan.name}")
        present = query(
            self._connection, "SELECT max(seq) FROM main.sqlite_sequence WHERE name = ?1", [table]
        )
        ((before,),) = present
        known = [n for n in (largest, before if given is None else given) if n is not None]
        if not known or max(known) == before:
            return
        values = (table, max(known))
        updated = self._connection.execute(
            "UPDATE main.sqlite_sequence SET seq = ?2 WHERE name = ?1", values
        )
        if not updated.rowcount:
            self._connection.execute("INSERT INTO main.sqlite_sequence VALUES (?1, ?2)", values)

    def _restore(self, trigger: Trigger) -> None:
        """Make a trigger anew; the text that SQLite keeps begins behind its schema's name."""
        _, _, body = str(trigger.sql).partition("CREATE TRIGGER ")
        create = "CREATE TEMP TRIGGER " if trigger.temporary else "CREATE TRIGGER main."
        self._connection.execute(create + body)
        table = "sqlite_temp_master" if trigger.temporary else "main.sqlite_master"
        kept = query(
            self._connection,
            f"SELECT sql FROM {table} WHERE type = 'trigger' AND name = ?1",
            [trigger.name],
        )
        if kept != [(trigger.sql,)]:
            raise StoreFailed(f"the trigger {trigger.name!r} cannot be restored as it was")


def _require_all_done(plan: Plan, missing: int) -> None:
    if missing:
        which = "1 of the records is" if missing == 1 else f"{missing} of the records are"
        raise RecordsRefused(f"{plan.collection}: {which} not there")


def _require_texts(triggers: Iterable[Trigger]) -> None:
    """Raise `StoreError` for triggers that could not be made anew."""
    names = ", ".join(repr(trigger.name) for trigger in triggers if trigger.sql is None)
    if names:
        raise StoreError(
            f"triggers whose text is no UTF-8 cannot be suspended: {names}; make them anew in UTF-8"
        )


def _schema(trigger: Trigger) -> str:
    return "temp" if trigger.temporary else "main"
