"""A database's transaction as a `Snapshot` or a `Transaction`: what engines have in common."""

from __future__ import annotations

import abc
import contextlib
from typing import TYPE_CHECKING, Any

import attrs

from databackup.adapters._dangling import referrers
from databackup.adapters.sqlalchemy.connections import engine_errors
from databackup.errors import DatabackupError, RecordsRefused, StoreError
from databackup.repository import BATCH_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    import sqlalchemy

    from databackup.adapters.sqlalchemy.catalogue import Catalogue
    from databackup.adapters.sqlalchemy.dialect import Dialect
    from databackup.adapters.sqlalchemy.plan import Plan
    from databackup.repository import Key, Row
    from databackup.schema import Collection, Reference


@attrs.frozen
class Scope:
    """What a snapshot or a transaction works on."""

    connection: sqlalchemy.Connection
    plans: Mapping[str, Plan]
    catalogue: Catalogue
    dialect: Dialect


class SQLSnapshot(abc.ABC):
    """What one transaction sees. The repository begins and ends it."""

    def __init__(self, scope: Scope) -> None:
        self._connection = scope.connection
        self._plans = scope.plans
        self._dialect = scope.dialect
        self._scope = scope
        self._open = True

    def close(self) -> None:
        """End all reading."""
        self._open = False

    def count(self, collection: Collection) -> int:
        plan = self._plan(collection)
        ((count,),) = self._query(
            f"SELECT count(*) FROM {plan.sql}", doing=f"{collection} cannot be read"
        )
        return int(count)

    def rows(self, collection: Collection, *, batch_size: int = BATCH_SIZE) -> Iterator[list[Row]]:
        plan = self._plan(collection)
        for rows in self._stored(plan, batch_size):
            yield plan.binder.load(rows)

    def get(self, collection: Collection, keys: Iterable[Key]) -> list[Row]:
        plan = self._plan(collection)
        found: list[Row] = []
        for key in dict.fromkeys(keys):
            try:
                ((*values,),) = plan.key_binder.store([key])
            except RecordsRefused:
                continue  # a key that the engine cannot hold has no record
            found += self._stored_at(plan, tuple(values))
        return plan.binder.load(found)

    def referrers(self, collection: Collection) -> list[str]:
        """The foreign keys of tables outside the schema that refer to a collection's."""
        covered = {plan.info.name for plan in self._plans.values()}
        table = self._plan(collection).info.name
        return referrers(self._scope.catalogue.foreign_keys, covered, table)

    @abc.abstractmethod
    def counters(self) -> Mapping[str, int]: ...

    @abc.abstractmethod
    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]: ...

    @abc.abstractmethod
    def _stored(self, plan: Plan, size: int) -> Iterator[list[Row]]:
        """All rows as the engine gives them, in key order where the plan's collection has one."""

    @abc.abstractmethod
    def _stored_at(self, plan: Plan, key: Row) -> list[Row]:
        """The rows, as the engine gives them, of one key, as the engine is given it."""

    def _query(self, sql: str, values: Any = None, *, doing: str) -> list[tuple[Any, ...]]:
        self._require_open()
        with self._errors(doing):
            found = self._connection.exec_driver_sql(sql, values)
            return [tuple(row) for row in found]

    def _errors(self, doing: str) -> AbstractContextManager[None]:
        return engine_errors(self._dialect, doing)

    def _plan(self, collection: Collection) -> Plan:
        self._require_open()
        try:
            return self._plans[collection.name]
        except KeyError:
            raise StoreError(f"{collection} is no collection of this repository") from None

    def _require_open(self) -> None:
        if not self._open:
            raise StoreError("the snapshot or transaction has ended")


class SQLTransaction(SQLSnapshot):
    """One write transaction."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.finished = False
        self._depth = 0

    def insert(self, collection: Collection, rows: list[Row]) -> None:
        plan = self._plan(collection)
        with self._writing(plan):
            self._insert(plan, plan.binder.store(rows))

    def update(self, collection: Collection, rows: list[Row]) -> None:
        plan = self._plan(collection)
        with self._writing(plan):
            self._require_all(plan, len(rows), self._update(plan, plan.binder.store(rows)))

    def delete(self, collection: Collection, keys: list[Key]) -> None:
        plan = self._plan(collection)
        with self._writing(plan):
            self._require_all(plan, len(keys), self._delete(plan, plan.key_binder.store(keys)))

    def clear(self, collection: Collection) -> None:
        plan = self._plan(collection)
        with self._writing(plan):
            self._connection.exec_driver_sql(f"DELETE FROM {plan.sql}")

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        self._require_open()
        name = f"databackup_{self._depth}"
        with self._errors("no savepoint can be set"):
            self._connection.exec_driver_sql(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._undo(name)
            raise
        finally:
            self._depth -= 1
        self._release(name)

    def _release(self, name: str) -> None:
        with self._errors("the savepoint cannot be released"):
            self._connection.exec_driver_sql(f"RELEASE SAVEPOINT {name}")

    def _undo(self, name: str) -> None:
        with self._errors("the savepoint cannot be rolled back"):
            self._connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {name}")
            self._connection.exec_driver_sql(f"RELEASE SAVEPOINT {name}")

    @abc.abstractmethod
    def finish(self, counters: Mapping[str, int], *, allow_cascade: bool = False) -> None: ...

    def before_commit(self) -> None:
        """What no rollback undoes: done last of all."""

    @abc.abstractmethod
    def _insert(self, plan: Plan, rows: list[Row]) -> None:
        """Insert rows as the engine is given them."""

    @abc.abstractmethod
    def _update(self, plan: Plan, rows: list[Row]) -> int:
        """Update the rows of these rows' keys; how many there were."""

    @abc.abstractmethod
    def _delete(self, plan: Plan, keys: list[Row]) -> int:
        """Delete the rows of keys; how many there were."""

    @contextlib.contextmanager
    def _writing(self, plan: Plan) -> Iterator[None]:
        try:
            with self._errors(f"{plan.collection} cannot be written"):
                yield
        except RecordsRefused as error:
            raise self._named(plan, error) from error.__cause__

    def _named(self, plan: Plan, error: RecordsRefused) -> DatabackupError:
        """The refusal with the collection and, where it is a column that was named, the field."""
        field = plan.field_of(error.field) or error.field or self._blamed(plan, error)
        if error.message.startswith(f"{plan.collection}: "):
            return RecordsRefused(error.message, field)
        return RecordsRefused(f"{plan.collection}: {error.message}", field)

    def _blamed(self, plan: Plan, error: RecordsRefused) -> str | None:
        """The field of a value that is there already, where the engine names what forbids it."""
        del plan, error
        return None

    def _require_all(self, plan: Plan, expected: int, done: int) -> None:
        missing = expected - done
        if missing:
            which = "1 of the records is" if missing == 1 else f"{missing} of the records are"
            raise RecordsRefused(f"{plan.collection}: {which} not there")
