"""COPY, out of a table and into one: the connection does nothing else meanwhile."""

from __future__ import annotations

import contextlib
import functools
import itertools
from typing import TYPE_CHECKING, Any, Final

import psycopg

from databackup.adapters.sqlalchemy.postgresql.copytext import CSV, TEXT, columns_of, csv_lines
from databackup.adapters.sqlalchemy.postgresql.readcolumns import column_reader
from databackup.adapters.sqlalchemy.postgresql.writecolumns import column_writer
from databackup.errors import RecordsRefused
from databackup.schema.columns import Forms
from databackup.spill import RowQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.adapters.sqlalchemy.plan import Plan
    from databackup.adapters.sqlalchemy.postgresql.readcolumns import ReadColumn
    from databackup.adapters.sqlalchemy.postgresql.writecolumns import WriteColumn
    from databackup.repository import Row

_SET_ASIDE: Final = 1000
_SAVEPOINT: Final = "databackup_copy"


class CopyReader:
    """The lines of a query, in COPY's text format.

    Before anything else is asked of the connection, what is left is to be set aside. It runs in a
    savepoint: ending it early leaves the transaction as it was.
    """

    def __init__(self, driver: psycopg.Connection[Any], sql: str) -> None:
        self._driver = driver
        self._queue: RowQueue | None = None
        driver.execute(f"SAVEPOINT {_SAVEPOINT}")
        self._copying: Any = driver.cursor().copy(f"COPY ({sql}) TO STDOUT {TEXT}")
        self._lines: Iterator[Any] = _lines(driver, self._copying.__enter__())

    def fetch(self, size: int) -> list[bytes]:
        """Up to so many lines, none at the end."""
        lines = list(itertools.islice(self._lines, size))
        if len(lines) < size:
            self._end()
        return lines

    def set_aside(self) -> None:
        """Read what is left to a place on disk."""
        if self._copying is None:
            return
        self._queue = queue = RowQueue()
        while lines := self.fetch(_SET_ASIDE):
            queue.put([tuple(map(bytes, lines))])
        self._lines = (line for (lines,) in queue.batches() for line in lines)

    def close(self) -> None:
        """End reading."""
        if self._queue is not None:
            self._queue.close()
        if self._copying is not None:
            copying, self._copying = self._copying, None
            copying.__exit__(GeneratorExit, GeneratorExit(), None)
            self._driver.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            self._driver.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")

    def _end(self) -> None:
        if self._copying is not None:
            copying, self._copying = self._copying, None
            copying.__exit__(None, None, None)
            self._driver.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")


def _lines(driver: psycopg.Connection[Any], copy: psycopg.Copy) -> Iterator[Any]:
    """The lines of a COPY, whose result is taken, too.

    psycopg waits for the next line; those that have come with it are taken from libpq itself, in
    half the time that `Copy.read` takes for each. Raises the driver's errors.
    """
    take = driver.pgconn.get_copy_data
    while line := copy.read():
        yield line
        length, line = take(1)
        while length > 0:
            yield line
            length, line = take(1)
        if length < 0:
            break
    for result in list(iter(driver.pgconn.get_result, None)):
        if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result, driver.info.encoding)


class CopyWriter:
    """Puts records into a table, all in one COPY."""

    def __init__(self, driver: psycopg.Connection[Any], columns: TableColumns) -> None:
        self._columns = columns
        self._copying: Any = driver.cursor().copy(f"COPY {columns.target} FROM STDIN {CSV}")
        self._copy = self._copying.__enter__()

    def write(self, batch: Forms | list[Row]) -> None:
        """Send a batch. Raises `RecordsRefused`, and the driver's errors."""
        self._copy.write(self._columns.csv(batch))

    def end(self) -> None:
        """Let the server take all of it. Raises the driver's errors."""
        self._copying.__exit__(None, None, None)

    def abort(self, error: BaseException) -> None:
        """Let the server take none of it; the transaction is then to be rolled back."""
        self._copying.__exit__(type(error), error, error.__traceback__)


class TableColumns:
    """How the columns of a plan are read and written as wholes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.target = f"{plan.info.details.name} ({', '.join(plan.quoted(plan.columns))})"

    @functools.cached_property
    def _readers(self) -> list[ReadColumn] | None:
        return self._all(column_reader)

    @functools.cached_property
    def _writers(self) -> list[WriteColumn] | None:
        return self._all(column_writer)

    def _all(self, make: Any) -> list[Any] | None:
        pairs = zip(self._plan.collection.fields, self._plan.columns, strict=True)
        found = [make(field, column) for field, column in pairs]
        usual = self._plan.collection.codec.columns.are_usual
        return found if usual and None not in found else None

    def batch(self, lines: list[bytes]) -> Forms | list[Row]:
        """The records of lines in COPY's text format."""
        texts = columns_of(lines, len(self._plan.columns))

        def rows() -> list[Row]:
            return self._plan.binder.load(list(zip(*texts, strict=True)))

        columns = []
        for read, column in zip(self._readers or (), texts, strict=False):
            done = read(column)
            if done is None:
                return rows()
            columns.append(done)
        return Forms(columns, rows) if columns else rows()

    def csv(self, batch: Forms | list[Row]) -> bytes:
        """Records as lines of CSV. Raises `RecordsRefused`."""
        if isinstance(batch, Forms):
            lines = self._csv_of_forms(batch)
            if lines is not None:
                return lines
            batch = batch.rows
        stored = self._plan.binder.store(batch)
        lines = csv_lines(list(zip(*stored, strict=True)))
        if lines is None:
            raise RecordsRefused("text with NUL, which PostgreSQL does not hold")
        return lines

    def _csv_of_forms(self, forms: Forms) -> bytes | None:
        if self._writers is None:
            return None
        columns = []
        for write, column in zip(self._writers, forms.columns, strict=True):
            done = write(column)
            if done is None:
                return None
            columns.append(done)
        return csv_lines(columns)


@contextlib.contextmanager
def ended(reader: CopyReader, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Close a reader at the end, whatever its connection says to that."""
    try:
        yield
    finally:
        with contextlib.suppress(*errors):
            reader.close()
