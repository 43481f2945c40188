"""How one collection is read and written: its table, its columns, and their conversions."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from databackup.adapters._binding import reading, writing
from databackup.errors import RecordsRefused
from databackup.schema import KindError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from databackup.adapters._binding import Form
    from databackup.adapters._sql import Table
    from databackup.adapters.sqlalchemy.catalogue import Column, TableInfo
    from databackup.adapters.sqlalchemy.dialect import Dialect
    from databackup.repository import Row
    from databackup.schema import Collection


class Binder:
    """The functions between values of some fields and what the engine holds."""

    def __init__(
        self, fields: Sequence[str], columns: Sequence[Column], forms: Sequence[Form]
    ) -> None:
        self.fields = tuple(fields)
        self.columns = tuple(columns)
        self.forms = tuple(forms)
        self._read: Callable[[list[Row]], list[Row]] | None = reading(forms)
        self._write: Callable[[list[Row]], list[Row]] | None = writing(forms)

    def load(self, rows: list[Row]) -> list[Row]:
        """Rows with values of their kinds, from rows as the engine gives them."""
        return self._read(rows) if self._read else rows

    def store(self, rows: list[Row]) -> list[Row]:
        """Rows as the engine is given them. Raises `RecordsRefused`."""
        try:
            return self._write(rows) if self._write else rows
        except KindError as error:
            for row in rows:
                self._explain(row)
            raise RecordsRefused(str(error)) from error

    def _explain(self, row: Row) -> None:
        for field, form, value in zip(self.fields, self.forms, row, strict=True):
            if form.write and (form.nulls or value is not None):
                try:
                    form.write(value)
                except KindError as error:
                    raise RecordsRefused(str(error), field) from error


class Plan:
    """How one collection is read and written."""

    def __init__(
        self, collection: Collection, table: Table, info: TableInfo, dialect: Dialect
    ) -> None:
        self.collection = collection
        self.info = info
        self.sql = info.sql
        self._dialect = dialect
        self._column_of = {f.name: info.columns[table.column(f.name)] for f in collection.fields}

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns in the order of fields."""
        return tuple(self._column_of.values())

    def columns_of(self, fields: Iterable[str]) -> tuple[Column, ...]:
        """The columns of fields."""
        return tuple(self._column_of[name] for name in fields)

    def quoted(self, columns: Iterable[Column]) -> list[str]:
        """The names of columns as SQL."""
        return [self._dialect.quoted(column.name) for column in columns]

    @functools.cached_property
    def binder(self) -> Binder:
        """The functions between rows and what the engine holds."""
        return self.binder_of(self.collection.field_names)

    @functools.cached_property
    def key_binder(self) -> Binder:
        """The functions between keys and what the engine holds."""
        return self.binder_of(self.collection.key)

    def binder_of(self, fields: Sequence[str]) -> Binder:
        """The functions between values of these fields and what the engine holds."""
        columns = self.columns_of(fields)
        forms = [
            self._dialect.form(self.collection.field(name), column)
            for name, column in zip(fields, columns, strict=True)
        ]
        return Binder(fields, columns, forms)

    def field_of(self, column: str | None) -> str | None:
        """The field that a column is named for, if it is one's."""
        return next((f for f, c in self._column_of.items() if c.name == column), None)
