"""A transaction of PostgreSQL: values go to and fro as text."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from databackup.adapters.sqlalchemy.postgresql.catalogue import driver_sql, quoted
from databackup.adapters.sqlalchemy.postgresql.constraints import SuspendedConstraints
from databackup.adapters.sqlalchemy.postgresql.copying import (
    CopyReader,
    CopyWriter,
    TableColumns,
    ended,
)
from databackup.adapters.sqlalchemy.postgresql.copytext import copy_text
from databackup.adapters.sqlalchemy.postgresql.cursors import Reader
from databackup.adapters.sqlalchemy.postgresql.errors import functions_refuse_records
from databackup.adapters.sqlalchemy.postgresql.expressions import (
    cast,
    copied_column,
    exact,
    is_text,
    key_parameters,
    matches,
    parameters,
    source,
    texts,
)
from databackup.adapters.sqlalchemy.postgresql.indexes import WORTH, DroppedIndexes
from databackup.adapters.sqlalchemy.postgresql.sequences import Sequences
from databackup.adapters.sqlalchemy.session import Scope, SQLSnapshot, SQLTransaction
from databackup.errors import RecordsRefused, StoreFailed
from databackup.repository import BATCH_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import psycopg

    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.adapters.sqlalchemy.plan import Plan
    from databackup.adapters.sqlalchemy.postgresql.sequences import Restart
    from databackup.repository import Key, Row
    from databackup.schema import Collection, Reference
    from databackup.schema.columns import Forms


class PostgreSQLSnapshot(SQLSnapshot):
    """What one transaction of PostgreSQL sees."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        driver: Any = scope.connection.connection.driver_connection
        self._driver: psycopg.Connection[Any] = driver
        self._readers: list[Reader] = []
        self._copying: CopyReader | None = None
        self._columns = {name: TableColumns(plan) for name, plan in scope.plans.items()}
        self._sequences = Sequences(self._query)

    def close(self) -> None:
        super().close()
        for reader in list(self._readers):
            with contextlib.suppress(*self._dialect.errors):
                reader.close()

    def _require_open(self) -> None:
        """Also lets no COPY stand in the way of what is asked next."""
        super()._require_open()
        if self._copying is not None:
            with self._errors("the records cannot be set aside"):
                self._copying.set_aside()
            self._copying = None

    def forms(
        self, collection: Collection, *, batch_size: int = BATCH_SIZE
    ) -> Iterator[Forms | list[Row]]:
        plan = self._plan(collection)
        columns = self._columns[collection.name]
        size = max(1, batch_size // collection.codec.weight)
        doing = f"{plan.collection} cannot be read"
        with self._errors(doing):
            reader = CopyReader(self._driver, self._select(plan, map(copied_column, plan.columns)))
        self._copying = reader
        with ended(reader, self._dialect.errors):
            while True:
                super()._require_open()
                with self._errors(doing):
                    lines = reader.fetch(size)
                if not lines:
                    return
                yield columns.batch(lines)

    def _select(self, plan: Plan, columns: Iterable[str]) -> str:
        sql = f"SELECT {', '.join(columns)} FROM {source(plan)} AS t"
        if plan.collection.name in self.ordered:
            sql += f" ORDER BY {', '.join(map(exact, plan.columns_of(plan.collection.key)))}"
        return sql

    def _stored(self, plan: Plan, size: int) -> Iterator[list[Row]]:
        sql = self._select(plan, [texts(plan.columns)])
        doing = f"{plan.collection} cannot be read"
        self._require_open()
        with self._errors(doing):
            reader = Reader(self._driver, sql)
        self._readers.append(reader)
        try:
            while True:
                self._require_open()
                with self._errors(doing):
                    rows = reader.fetch(size)
                if not rows:
                    return
                yield rows
        finally:
            self._readers.remove(reader)
            with contextlib.suppress(*self._dialect.errors):
                reader.close()

    @property
    def ordered(self) -> frozenset[str]:
        """The collections whose rows come in key order."""
        return frozenset(
            name
            for name, plan in self._plans.items()
            if plan.collection.key
            and self._dialect.is_ordered(
                plan.collection,
                dict(zip(plan.collection.key, plan.columns_of(plan.collection.key), strict=True)),
            )
        )

    def _stored_at(self, plan: Plan, key: Row, also: str = "") -> list[Row]:
        return self._stored_with(plan, plan.columns_of(plan.collection.key), key, also)

    def _stored_with(
        self, plan: Plan, columns: Sequence[Column], values: Row, also: str = ""
    ) -> list[Row]:
        """The rows that have values, as the engine is given them, in some columns."""
        condition = " AND ".join(matches(columns))
        if also:
            condition += f" AND {driver_sql(also)}"
        sql = (
            driver_sql(f"SELECT {texts(plan.columns)} FROM {source(plan)} AS t WHERE ") + condition
        )
        with self._errors(f"{plan.collection} cannot be read"), self._driver.cursor() as cursor:
            return cursor.execute(sql, parameters(columns, values)).fetchall()

    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]:
        plan, target = self._plan(collection), self._plans[reference.collection]
        own = plan.columns_of(reference.fields)
        to = target.columns_of(reference.to or target.collection.key)
        given = " AND ".join(f"t.{quoted(column.name)} IS NOT NULL" for column in own)
        equal = " AND ".join(
            f"{exact(there, 'p')} = {exact(here)}" for here, there in zip(own, to, strict=True)
        )
        sql = (
            f"SELECT DISTINCT {texts(own)} FROM {source(plan)} AS t WHERE {given} AND NOT EXISTS "
            f"(SELECT 1 FROM {source(target)} AS p WHERE {equal}) LIMIT {limit}"
        )
        found = self._query(
            driver_sql(sql), doing=f"the references of {collection} cannot be checked"
        )
        return plan.binder_of(reference.fields).load(found)

    def counters(self) -> Mapping[str, int]:
        return self._sequences.counters(self._plans)


class PostgreSQLTransaction(PostgreSQLSnapshot, SQLTransaction):
    """One write transaction of PostgreSQL."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._constraints = SuspendedConstraints(scope.connection, scope.plans)

    def _set_readers_aside(self) -> None:
        """Let no query be open: PostgreSQL changes no table that one still reads."""
        for reader in self._readers:
            reader.set_aside()

    # -- records -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _writing(self, plan: Plan) -> Iterator[None]:
        self._suspend()
        doing = f"{plan.collection} cannot be written"
        with super()._writing(plan), functions_refuse_records(), self._errors(doing):
            yield

    def _blamed(self, plan: Plan, error: RecordsRefused) -> str | None:
        """The field of a value that is there already."""
        name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
        columns = plan.info.details.indexes.get(name, ())
        return next(filter(None, map(plan.field_of, columns)), None)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        self._require_open()
        self._suspend()  # out here, for no rollback to the savepoint to undo it
        with super().savepoint():
            try:
                yield
            finally:
                self._require_open()

    @contextlib.contextmanager
    def bulk(
        self, collection: Collection, count: int
    ) -> Iterator[Callable[[Forms | list[Row]], None]]:
        plan = self._plan(collection)
        details = plan.info.details
        indexes = DroppedIndexes(self._driver, details.name, details.oid)
        with self._writing(plan):
            if count >= WORTH:
                indexes.drop()
            writer = CopyWriter(self._driver, self._columns[collection.name])

        def insert(batch: Forms | list[Row]) -> None:
            with self._writing(plan):
                writer.write(batch)

        try:
            yield insert
        except BaseException as error:
            with contextlib.suppress(*self._dialect.errors):
                writer.abort(error)
            raise
        with self._writing(plan):
            writer.end()
            indexes.make()

    def _suspend(self) -> None:
        if not self._constraints.are_suspended:
            with self._errors("references and triggers cannot be suspended"):
                self._set_readers_aside()
                self._constraints.suspend()

    def _insert(self, plan: Plan, rows: list[Row]) -> None:
        self._copy(plan, [rows])

    def _copy(self, plan: Plan, batches: Iterable[list[Row]]) -> None:
        """Insert rows by one statement."""
        names = ", ".join(plan.quoted(plan.columns))
        sql = f"COPY {plan.info.details.name} ({names}) FROM STDIN"
        with self._driver.cursor() as cursor, cursor.copy(sql) as copy:
            for rows in batches:
                copy.write(copy_text(rows))

    def _update(self, plan: Plan, rows: list[Row]) -> int:
        key = plan.columns_of(plan.collection.key)
        positions = plan.collection.key_positions
        changed = self._changed(plan) or list(positions[:1])
        values = ", ".join(
            f"{driver_sql(quoted(plan.columns[n].name))} = {cast(plan.columns[n])}" for n in changed
        )
        table, condition = driver_sql(source(plan)), " AND ".join(matches(key))
        sql = f"UPDATE {table} AS t SET {values} WHERE {condition}"
        given = [
            (*[row[n] for n in changed], *key_parameters(plan, [row[n] for n in positions]))
            for row in rows
        ]
        return self._write_all(sql, given)

    def _changed(self, plan: Plan) -> list[int]:
        """The places of the columns that an update gives new values."""
        return [n for n in range(len(plan.columns)) if n not in plan.collection.key_positions]

    def _delete(self, plan: Plan, keys: list[Row]) -> int:
        more = map(driver_sql, self._deletable(plan))
        condition = " AND ".join([*matches(plan.columns_of(plan.collection.key)), *more])
        sql = f"DELETE FROM {driver_sql(source(plan))} AS t WHERE {condition}"
        return self._write_all(sql, [key_parameters(plan, key) for key in keys])

    def _deletable(self, plan: Plan) -> list[str]:
        """The conditions under which a row `t` may be deleted."""
        del plan
        return []

    def _write_all(self, sql: str, values: Sequence[Sequence[Any]]) -> int:
        if not values:
            return 0
        with self._driver.cursor() as cursor:
            cursor.executemany(sql, values)
            return cursor.rowcount

    # -- the end -------------------------------------------------------------------------------

    def dangling(self, collection: Collection, reference: Reference, limit: int) -> list[Key]:
        plan, target = self._plan(collection), self._plans[reference.collection]
        own = plan.columns_of(reference.fields)
        to = target.columns_of(reference.to or target.collection.key)
        if self._are_held(plan, own, target, to):
            return []
        return super().dangling(collection, reference, limit)

    def _are_held(
        self, plan: Plan, own: Sequence[Column], target: Plan, to: Sequence[Column]
    ) -> bool:
        """Whether a foreign key sees to references, which is not to be asked for twice.

        It may take for equal text that differs, and would not outlast a savepoint that is undone.
        """
        if self._depth or any(map(is_text, (*own, *to))):
            return False
        child, parent = plan.info.details.oid, target.info.details.oid
        columns, there = [column.name for column in own], [column.name for column in to]
        with self._errors(f"the references of {plan.collection} cannot be checked"):
            return self._constraints.hold(child, columns, parent, there)

    def finish(self, counters: Mapping[str, int], *, allow_cascade: bool = False) -> None:
        self._require_open()
        with self._errors("the transaction cannot be finished"):
            self._set_readers_aside()
            self._settle(allow_cascade=allow_cascade)
            for restart in self._sequences.restarts(self._plans, counters):
                self._restart(restart)
            self._restore()
        if self._driver.info.transaction_status.name != "INTRANS":
            raise StoreFailed("PostgreSQL has ended the transaction")
        self.finished = True

    def _settle(self, *, allow_cascade: bool) -> None:
        self._constraints.settle(allow_cascade=allow_cascade)

    def _restore(self) -> None:
        self._constraints.restore()

    def _restart(self, restart: Restart) -> None:
        """Let a sequence go on behind a number."""
        run = self._connection.exec_driver_sql
        # RESTART makes the sequence anew for this transaction: what setval does is undone with it.
        run(driver_sql(f"ALTER SEQUENCE {restart.sequence} RESTART WITH {restart.last}"))
        run("SELECT pg_catalog.setval(%s::regclass, %s)", (restart.sequence, restart.last))
