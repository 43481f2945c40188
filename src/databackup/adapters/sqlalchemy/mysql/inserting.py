"""Many records into an empty table: while the server takes one statement, the next is written."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from databackup.adapters.sqlalchemy.mysql.literals import literals, rows_of
from databackup.adapters.sqlalchemy.mysql.writecolumns import column_writer
from databackup.errors import RecordsRefused
from databackup.schema.columns import Forms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.adapters.sqlalchemy.mysql.worker import Worker
    from databackup.adapters.sqlalchemy.mysql.writecolumns import WriteColumn
    from databackup.adapters.sqlalchemy.plan import Plan
    from databackup.repository import Row

    Send = Callable[[list[str]], None]

_BYTES_OF_A_CHARACTER: Final = 4
_BYTES_OF_OTHERS: Final = 70  # of a number or a date with its comma; decimals have 65 digits
_STATEMENT: Final = 1024 * 1024  # bytes, roughly; longer ones are no faster
_CHARACTERS: Final = 128 * 1024  # of a statement, roughly; longer ones are no faster


class Inserts:
    """The statements of one bulk insert. `send` runs one of rows that are literals."""

    def __init__(self, plan: Plan, send: Send, worker: Worker) -> None:
        self._plan = plan
        self._send = send
        self._writers = _writers(plan)
        self._worker = worker
        self._sent: Future[None] | None = None
        self._waiting: list[str] = []
        self._characters = 0

    def add(self, batch: Forms | list[Row]) -> None:
        """Add records. Raises what the server says to these or to earlier ones."""
        rows = self._literals(batch)
        self._characters += sum(map(len, rows))
        self._waiting += rows
        if self._characters >= _CHARACTERS:
            self._flush()

    def end(self) -> None:
        """Wait for the last statement. Raises what the server says."""
        if self._waiting:
            self._flush()
        self._wait()

    def close(self) -> None:
        """Wait for what is under way, whatever comes of it."""
        self._worker.wait()

    def _flush(self) -> None:
        rows, self._waiting, self._characters = self._waiting, [], 0
        self._wait()
        self._sent = self._worker.begin(functools.partial(self._send, rows))

    def _wait(self) -> None:
        if self._sent is not None:
            self._sent.result()

    def _literals(self, batch: Forms | list[Row]) -> list[str]:
        if isinstance(batch, Forms):
            columns = self._columns(batch)
            if columns is not None:
                return rows_of(columns)
            batch = batch.rows
        return literals(self._plan.binder.store(batch))

    def _columns(self, forms: Forms) -> list[Sequence[str]] | None:
        if self._writers is None:
            return None
        columns = []
        for write, column in zip(self._writers, forms.columns, strict=True):
            done = write(column)
            if done is None:
                return None
            columns.append(done)
        return columns


def _writers(plan: Plan) -> list[WriteColumn] | None:
    parts = zip(plan.collection.fields, plan.columns, plan.binder.forms, strict=True)
    found = [write for part in parts if (write := column_writer(*part))]
    is_whole = plan.collection.codec.columns.are_usual and len(found) == len(plan.columns)
    return found if is_whole else None


def in_packets(rows: list[str], columns: Sequence[Column], packet: int) -> Iterator[list[str]]:
    """Literals as many at once as a packet surely holds, in statements of no more than a MiB.

    Raises `RecordsRefused` for one that the server would answer by closing the connection.
    """
    limit = min(packet // 2, _STATEMENT)
    if sum(map(len, rows)) * _BYTES_OF_A_CHARACTER <= limit:
        yield rows
        return
    size = 0
    chunk: list[str] = []
    for row in rows:
        bytes_ = len(row) if row.isascii() else len(row.encode())
        if bytes_ + _size_of_head(columns) > packet:
            raise RecordsRefused("a record is longer than the server's max_allowed_packet")
        if chunk and size + bytes_ > limit:
            yield chunk
            size, chunk = 0, []
        chunk.append(row)
        size += bytes_ + len("(),")
    if chunk:
        yield chunk


def require_packet(columns: Sequence[Column], row: Row, packet: int) -> None:
    """Raise `RecordsRefused` for a record that the server would answer by closing the connection.

    `packet` is the server's max_allowed_packet; the column that is named has the largest value.
    """
    sizes = [len(literal.encode()) for (literal,) in map(literals, ([(value,)] for value in row))]
    if sum(sizes) + _size_of_head(columns) > packet:
        raise RecordsRefused(
            f"a record of {sum(sizes):,} bytes as SQL, and the server's max_allowed_packet is "
            f"{packet:,}",
            columns[sizes.index(max(sizes))].name,
        )


def bytes_at_most(value: Any) -> int:
    """So many bytes that a value surely has no more in a statement."""
    if type(value) is str:
        return len(value) * _BYTES_OF_A_CHARACTER + 3
    return len(value) * 2 + 13 if type(value) is bytes else _BYTES_OF_OTHERS


def _size_of_head(columns: Sequence[Column]) -> int:
    """As many bytes as a statement surely has beside the values of a record."""
    return 2 * sum(len(column.name.encode()) + 10 for column in columns) + 4096
