"""Reading and writing in one transaction of MariaDB or MySQL."""

from __future__ import annotations

import contextlib
import functools
import itertools
from typing import TYPE_CHECKING, Any, Final, TypeVar

from databackup.adapters.sqlalchemy.mysql import settings
from databackup.adapters.sqlalchemy.mysql.catalogue import quoted
from databackup.adapters.sqlalchemy.mysql.errors import column_in, index_in
from databackup.adapters.sqlalchemy.mysql.inserting import (
    Inserts,
    bytes_at_most,
    in_packets,
    require_packet,
)
from databackup.adapters.sqlalchemy.mysql.joined import JoinedColumns, joined_columns
from databackup.adapters.sqlalchemy.mysql.literals import literals
from databackup.adapters.sqlalchemy.mysql.modes import ANY_DATES, mode_of
from databackup.adapters.sqlalchemy.mysql.outside import ForeignKeys
from databackup.adapters.sqlalchemy.mysql.pages import Ahead, Pages
from databackup.adapters.sqlalchemy.mysql.statements import Statements, by_primary_key
from databackup.adapters.sqlalchemy.mysql.worker import Worker
from databackup.adapters.sqlalchemy.session import Scope, SQLSnapshot, SQLTransaction
from databackup.errors import RecordsRefused, StoreError, StoreFailed, StoreLocked
from databackup.repository import BATCH_SIZE
from databackup.spill import RowQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized

    from databackup.adapters.sqlalchemy.plan import Plan
    from databackup.repository import Key, Row
    from databackup.schema import Collection, Reference
    from databackup.schema.columns import Forms

    _Batch = TypeVar("_Batch", bound=Sized)

_KEYS_AT_ONCE: Final = 200
_LARGEST_COUNTER: Final = 2**63 - 1
_JOINED: Final = 4 * 1024 * 1024  # characters of a joined page, at most


class MySQLSnapshot(SQLSnapshot):
    """What one transaction sees.

    Rows are read page by page in the order of a unique index, so that nothing is left on the
    connection between two pages. Without such an index all go through a temporary file first.
    """

    counts_rows = True

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._statements = {name: Statements(plan) for name, plan in scope.plans.items()}
        self._worker = Worker()
        self._writes = 0

    def close(self) -> None:
        super().close()
        self._worker.close()

    def _require_open(self) -> None:
        """Nothing is asked of the connection while a thread waits for an answer on it."""
        super()._require_open()
        self._worker.wait()

    @functools.cached_property
    def _packet(self) -> int:
        """The bytes of the longest statement that the server takes, and of a row that it gives."""
        ((packet,),) = self._query("SELECT @@max_allowed_packet", doing="the server cannot be used")
        return int(packet)

    def get(self, collection: Collection, keys: Iterable[Key]) -> list[Row]:
        plan = self._plan(collection)
        statements = self._statements[collection.name]
        found: list[Row] = []
        for chunk in _chunks(_held(plan, keys)):
            values = statements.key_values(chunk)
            sql = statements.get(len(chunk))
            found += self._query(sql, values, doing=f"{collection} cannot be read")
        return plan.binder.load(found)

    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]:
        plan, target = self._plan(collection), self._plans[reference.collection]
        sql = self._statements[collection.name].dangling(reference, target, limit)
        found = self._query(sql, doing=f"the references of {collection} cannot be checked")
        return plan.binder_of(reference.fields).load(found)

    def counters(self) -> Mapping[str, int]:
        self._require_open()
        numbers = {name: self._next_number(plan) for name, plan in self._plans.items()}
        return {
            name: min(number - 1, _LARGEST_COUNTER)
            for name, number in numbers.items()
            if number is not None
        }

    def _next_number(self, plan: Plan) -> int | None:
        """The number that the next plain insert gets; None where the server counts none."""
        if _counted(plan) is None:
            return None
        ((number,),) = self._query(
            "SELECT auto_increment FROM information_schema.tables "
            "WHERE table_schema = %s AND table_name = %s",
            plan.info.details.place,
            doing="the counters cannot be read",
        )
        return None if number is None else int(number)

    def forms(
        self, collection: Collection, *, batch_size: int = BATCH_SIZE
    ) -> Iterator[Forms | list[Row]]:
        plan = self._plan(collection)
        if self._statements[collection.name].position:
            yield from self._complete(plan, self._pages(plan).forms(batch_size))
        else:
            yield from self.rows(collection, batch_size=batch_size)

    def _stored(self, plan: Plan, size: int) -> Iterator[list[Row]]:
        if self._statements[plan.collection.name].position:
            yield from self._complete(plan, self._pages(plan).rows(size))
        else:
            yield from self._complete(plan, self._spooled(plan, size))

    def _complete(self, plan: Plan, batches: Iterator[_Batch]) -> Iterator[_Batch]:
        """The batches; raises `StoreFailed` where they have not all the records."""
        seen = 0
        for batch in batches:
            seen += len(batch)
            yield batch
        if self.counts_rows and seen != (count := self.count(plan.collection)):
            raise StoreFailed(f"{plan.collection}: {seen:,} records were read of {count:,}")

    def _pages(self, plan: Plan) -> Pages:
        statements = self._statements[plan.collection.name]
        return Pages(
            plan,
            statements,
            self._query,
            joined=self._joined_columns(plan) if statements.is_primary else None,
            ordered=statements.is_ordered,
            ahead=Ahead(self._worker, lambda: self._writes),
        )

    def _joined_columns(self, plan: Plan) -> JoinedColumns | None:
        if not self._connection.dialect.is_mariadb:  # type: ignore[attr-defined]
            return None
        limit = min(_JOINED, self._packet // 8) // len(plan.columns)
        return joined_columns(plan.collection, plan.columns, limit)

    def _stored_at(self, plan: Plan, key: Row) -> list[Row]:
        statements = self._statements[plan.collection.name]
        values = statements.key_values([key])
        return self._query(statements.get(1), values, doing=f"{plan.collection} cannot be read")

    def _spooled(self, plan: Plan, size: int) -> Iterator[list[Row]]:
        statements = self._statements[plan.collection.name]
        self._require_open()
        with RowQueue() as queue:
            with self._errors(f"{plan.collection} cannot be read"):
                found = self._connection.exec_driver_sql(
                    statements.select, (), execution_options={"stream_results": True}
                )
                with contextlib.closing(found):
                    for rows in found.partitions(size):
                        queue.put([tuple(row) for row in rows])
            for batch in queue.batches():
                self._require_open()
                yield batch


class MySQLTransaction(MySQLSnapshot, SQLTransaction):
    """One write transaction. Foreign keys are not checked before `finish`, and triggers fire."""

    counts_rows = False  # others are kept out, but the caller may write between two pages

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._failure: StoreError | None = None
        self._modes = {name: mode_of(plan) for name, plan in scope.plans.items()}
        self._foreign_keys = ForeignKeys(self._read, scope.catalogue, scope.plans)

    # -- failing -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """A deadlock has rolled back all, and a lost connection, too: nothing may follow them."""
        try:
            with super()._errors(doing):
                yield
        except (StoreLocked, StoreFailed) as error:
            self._failure = error
            raise

    def _require_open(self) -> None:
        super()._require_open()
        if self._failure is not None:
            raise StoreFailed(f"the transaction has failed before: {self._failure.message}")

    def _undo(self, name: str) -> None:
        self._worker.wait()
        self._note_write()
        if self._failure is None:
            with contextlib.suppress(StoreError):  # it is noted; what was raised first says more
                super()._undo(name)

    def _release(self, name: str) -> None:
        """Nothing: the next savepoint of this name takes its place."""

    # -- records -------------------------------------------------------------------------------

    def _blamed(self, plan: Plan, error: RecordsRefused) -> str | None:
        columns = plan.info.details.indexes.get(index_in(error.message), ())
        return next(filter(None, map(plan.field_of, columns)), None)

    def count(self, collection: Collection) -> int:
        plan = self._plan(collection)
        sql = f"SELECT count(*) FROM {plan.sql}{by_primary_key(plan.info)}"
        ((count,),) = self._query(sql, doing=f"{collection} cannot be read")
        return int(count)

    def clear(self, collection: Collection) -> None:
        plan = self._plan(collection)
        with self._writing(plan):
            self._write(f"DELETE FROM {plan.sql}")

    def _insert(self, plan: Plan, rows: list[Row]) -> None:
        if not rows:
            return
        written = literals(rows)
        for row, literal in zip(rows, written, strict=True):
            if bytes_at_most(literal) > self._packet // 2:
                require_packet(plan.columns, row, self._packet)
        self._insert_literals(plan, written)

    @contextlib.contextmanager
    def bulk(
        self,
        collection: Collection,
        count: int,  # noqa: ARG002 - an insert is the same for few and for many
    ) -> Iterator[Callable[[Forms | list[Row]], None]]:
        plan = self._plan(collection)
        inserts = Inserts(plan, functools.partial(self._insert_literals, plan), self._worker)

        def insert(batch: Forms | list[Row]) -> None:
            with self._writing(plan):
                inserts.add(batch)

        with contextlib.closing(inserts):
            yield insert
            with self._writing(plan):
                inserts.end()

    def _insert_literals(self, plan: Plan, rows: list[str]) -> None:
        statements = self._statements[plan.collection.name]
        for chunk in in_packets(rows, plan.columns, self._packet):
            done = self._write(statements.insert(chunk), None, plan)
            if done != len(chunk):
                raise RecordsRefused(f"{len(chunk) - done} of {len(chunk)} were not inserted")

    def _update(self, plan: Plan, rows: list[Row]) -> int:
        statements = self._statements[plan.collection.name]
        places = plan.collection.key_positions
        done = 0
        for row in rows:
            key = tuple(row[place] for place in places)
            if sum(map(bytes_at_most, row)) > self._packet // 2:
                require_packet(plan.columns, row, self._packet)
            found = self._write(statements.update, row + statements.key_values([key]), plan)
            # A driver may count only the rows that have changed.
            done += found or len(self._stored_at(plan, key))
        return done

    def _delete(self, plan: Plan, keys: list[Row]) -> int:
        statements = self._statements[plan.collection.name]
        return sum(
            self._write(statements.delete(len(chunk)), statements.key_values(chunk))
            for chunk in _chunks(keys)
        )

    def _query(self, sql: str, values: Any = None, *, doing: str) -> list[tuple[Any, ...]]:
        self._require_open()
        with self._errors(doing):
            settings.use_mode(self._connection, ANY_DATES)
        return super()._query(sql, values, doing=doing)

    def _write(
        self, sql: str, values: tuple[Any, ...] | None = (), plan: Plan | None = None
    ) -> int:
        """Run a statement that writes; how many rows it found. Any warning is a refusal.

        One that gives values to a table's columns comes with its plan. Without values percent
        signs stand for themselves.
        """
        self._require_open()
        self._note_write()
        mode = self._modes[plan.collection.name] if plan else ANY_DATES
        settings.use_mode(self._connection, mode)
        options = {"no_parameters": True} if values is None else None
        result = self._connection.exec_driver_sql(sql, values, execution_options=options)
        cursor: Any = result.context.cursor
        if getattr(cursor, "warning_count", 1):
            self._require_no_warning(plan)
        return result.rowcount

    def _note_write(self) -> None:
        """What was read, and what was seen of references, is true no more."""
        self._writes += 1
        self._foreign_keys.note_write()

    def _require_no_warning(self, plan: Plan | None) -> None:
        """Raise for a warning, except of columns that are generated: what they hold is no data."""
        found = list(self._connection.exec_driver_sql("SHOW WARNINGS", ()))
        for _level, _code, said in found:
            column = column_in(said)
            if plan and column and column not in plan.info.columns:
                continue
            raise RecordsRefused(f"the store would change what is written: {said}", column)

    def triggers(self) -> list[str]:
        """The triggers that fire on what is written, each with its table."""
        places = [plan.info.details.place for plan in self._plans.values()]
        marks = ", ".join(["(%s, %s)"] * len(places))
        found = self._query(
            "SELECT trigger_name, event_object_table FROM information_schema.triggers "
            f"WHERE (event_object_schema, event_object_table) IN ({marks}) ORDER BY 2, 1",
            tuple(itertools.chain.from_iterable(places)),
            doing="the triggers cannot be read",
        )
        return [f"{name} of {table}" for name, table in found]

    # -- the end -------------------------------------------------------------------------------

    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]:
        found = super().dangling(collection, reference, limit)
        if not found:
            plan, target = self._plan(collection), self._plans[reference.collection]
            columns = [column.name for column in plan.columns_of(reference.fields)]
            to = [c.name for c in target.columns_of(reference.to or target.collection.key)]
            self._foreign_keys.note_holding(plan, columns, target, to)
        return found

    def finish(self, counters: Mapping[str, int], *, allow_cascade: bool = False) -> None:
        self._require_open()
        with self._errors("the transaction cannot be finished"):
            self._foreign_keys.settle(self._write, allow_cascade=allow_cascade)
        for name, plan in self._plans.items():
            given = counters.get(name)
            number = self._next_number(plan)
            if given is not None and number is not None and number <= given < _LARGEST_COUNTER:
                self._set_counter(plan, given)
        self.finished = True

    def _set_counter(self, plan: Plan, given: int) -> None:
        """Let the server count on from a number, by a record that is undone.

        ALTER TABLE would commit. InnoDB keeps the number whatever becomes of the record.
        """
        column = quoted(str(_counted(plan)))
        doing = f"the counter of {plan.collection} cannot be set to {given}"
        with self._errors(doing):
            self._connection.exec_driver_sql("SAVEPOINT databackup_counter")
        try:
            with self._errors(doing), settings.lenient(self._connection):
                self._connection.exec_driver_sql(
                    f"INSERT INTO {plan.sql} ({column}) VALUES (%s) "
                    f"ON DUPLICATE KEY UPDATE {column} = %s",
                    (given, given),
                )
        finally:
            self._undo("databackup_counter")
        if (self._next_number(plan) or 0) <= given:
            raise StoreError(doing)

    def _read(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._query(sql, values, doing="the foreign keys cannot be checked")


def _counted(plan: Plan) -> str | None:
    """The column that the server gives out numbers for."""
    return next((column.name for column in plan.columns if column.counted), None)


def _held(plan: Plan, keys: Iterable[Key]) -> list[Row]:
    """Keys as the server is given them; one that it cannot hold has no record."""
    found: list[Row] = []
    for key in dict.fromkeys(keys):
        with contextlib.suppress(RecordsRefused):
            found += plan.key_binder.store([key])
    return found


def _chunks(keys: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield keys[start : start + _KEYS_AT_ONCE]
