"""A read transaction of SQLite as a `Snapshot`."""

from __future__ import annotations

import contextlib
import sqlite3
import weakref
from typing import TYPE_CHECKING, Any

from databackup.adapters._dangling import referrers
from databackup.adapters.sqlite.connection import fetch, query, store_errors
from databackup.adapters.sqlite.plan import NO_RAW, Plan
from databackup.errors import RecordsRefused, StoreError
from databackup.repository import BATCH_SIZE
from databackup.schema import RawText

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from databackup.adapters.sqlite.catalogue import Catalogue
    from databackup.repository import Key, Row
    from databackup.schema import Collection, Reference


class SQLiteSnapshot:
    """What one transaction of a connection sees. The repository opens and ends the transaction."""

    resumes = False
    """Whether reading has to go on after a rollback to a savepoint."""

    def __init__(
        self, connection: sqlite3.Connection, plans: Mapping[str, Plan], catalogue: Catalogue
    ) -> None:
        self._connection = connection
        self._plans = plans
        self._catalogue = catalogue
        self._cursors: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()
        self._open = True
        self._rollbacks = 0

    def close(self) -> None:
        """End all reading, so that no statement holds the host's connection."""
        self._open = False
        for cursor in list(self._cursors):
            with contextlib.suppress(sqlite3.Error):
                cursor.close()

    def count(self, collection: Collection) -> int:
        plan = self._plan(collection)
        with store_errors(f"{collection} cannot be read"):
            ((count,),) = query(self._connection, f"SELECT count(*) FROM {plan.name}")
        return int(count)

    def rows(self, collection: Collection, *, batch_size: int = BATCH_SIZE) -> Iterator[list[Row]]:
        plan = self._plan(collection)
        for rows in self._stored(plan, batch_size):
            yield plan.binder.load(rows)

    def _stored(self, plan: Plan, size: int) -> Iterator[list[Row]]:
        """The rows as SQLite holds them.

        A rollback to a savepoint ends the open queries of a transaction that has changed the
        database's own schema, as one that suspends triggers has. Reading goes on behind the last
        row that was read.
        """
        extra = len(plan.position) if self.resumes else 0
        after: Sequence[Any] = ()
        while True:
            rollbacks = self._rollbacks
            cursor = self._query(plan, after)
            while rollbacks == self._rollbacks:
                rows = self._fetch(plan, cursor, size)
                if not rows:
                    return
                after = plan.place_of(rows[-1])
                yield [row[:-extra] for row in rows] if extra else rows
                if len(rows) < size:
                    return
            if not after or None in after:
                raise StoreError(f"{plan.collection} cannot be read on after a rollback")

    def _query(self, plan: Plan, after: Sequence[Any]) -> sqlite3.Cursor:
        self._require_open()
        sql = plan.select(position=self.resumes, after=after)
        values = [value.data if type(value) is RawText else value for value in after]
        with store_errors(f"{plan.collection} cannot be read"):
            cursor = self._connection.execute(sql, values)
        self._cursors.add(cursor)
        return cursor

    def _fetch(self, plan: Plan, cursor: sqlite3.Cursor, size: int) -> list[Row]:
        self._require_open()
        with store_errors(f"{plan.collection} cannot be read"):
            return fetch(self._connection, cursor, size)

    def get(self, collection: Collection, keys: Iterable[Key]) -> list[Row]:
        plan = self._plan(collection)
        rows: list[Row] = []
        with store_errors(f"{collection} cannot be read"):
            for key in dict.fromkeys(keys):
                rows += self._get(plan, key)
        return plan.binder.load(rows)

    def _get(self, plan: Plan, key: Key) -> list[Row]:
        try:
            plain, raw = plan.key_binder.store([key])
            values, places = raw[0] if raw else (plain[0], NO_RAW)
            return query(self._connection, plan.get(places), values)
        except (RecordsRefused, OverflowError, UnicodeEncodeError):
            # A key that SQLite cannot hold has no record.
            return []

    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]:
        plan = self._plan(collection)
        sql = plan.dangling(reference, self._plans[reference.collection])
        with store_errors(f"the references of {collection} cannot be checked"):
            found = query(self._connection, f"{sql} LIMIT ?1", [limit])
        return plan.binder_of(reference.fields).load(found)

    def referrers(self, collection: Collection) -> list[str]:
        """The foreign keys of tables outside the schema that refer to a collection's."""
        covered = {plan.info.name for plan in self._plans.values()}
        table = self._plan(collection).info.name
        return referrers(self._catalogue.foreign_keys, covered, table)

    def counters(self) -> Mapping[str, int]:
        names = {
            plan.info.name: name for name, plan in self._plans.items() if plan.info.autoincrement
        }
        if not names:
            return {}
        with store_errors("the counters cannot be read"):
            rows = query(self._connection, "SELECT name, seq FROM main.sqlite_sequence")
        return {names[name]: seq for name, seq in rows if name in names and type(seq) is int}

    def _plan(self, collection: Collection) -> Plan:
        self._require_open()
        try:
            return self._plans[collection.name]
        except KeyError:
            raise StoreError(f"{collection} is no collection of this repository") from None

    def _require_open(self) -> None:
        if not self._open:
            raise StoreError("the snapshot or transaction has ended")
