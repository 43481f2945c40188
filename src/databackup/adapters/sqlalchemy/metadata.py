"""The schema that a `MetaData` describes: every table a collection, every column a field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import sqlalchemy
from sqlalchemy import exc

from databackup.adapters._sql import Table
from databackup.adapters.sqlalchemy.drivers import shown
from databackup.adapters.sqlalchemy.types import kind_of
from databackup.errors import SchemaError, StoreFailed
from databackup.schema import Collection, Field, Reference, Schema
from databackup.schema.composite import Optional

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from databackup.schema import Kind
    from databackup.schema.recording import Migration

    KindInStore = Callable[[str, str, Sequence[str]], Kind | None]


@attrs.frozen
class Described:
    """A schema, the tables of its collections, and the database schemas that these are in."""

    schema: Schema
    tables: Mapping[str, Table]
    schemas: tuple[str, ...]


def described(
    metadata: sqlalchemy.MetaData,
    bind: sqlalchemy.Engine | sqlalchemy.Connection,
    *,
    app: str | None,
    version: int,
    exclude: Mapping[str, str],
    migrations: Iterable[Migration] = (),
    versions: str | os.PathLike[str] | None = None,
    kind_in_store: KindInStore,
) -> Described:
    """What a `MetaData` describes.

    `kind_in_store` says the kind of a column of a table in the database where the type in the
    metadata does not. Raises `SchemaError` for all that has no place in a schema.
    """
    default = _default_schema(metadata, bind)
    found = [
        _TableFields(table, default, bind.dialect, exclude)
        for table in metadata.tables.values()
        if _name(table) not in exclude
    ]
    schemas = tuple(sorted({t.schema for t in found if t.schema is not None}))
    problems = [problem for table in found for problem in table.settle(schemas, kind_in_store)]
    if problems:
        raise SchemaError.of("the tables of the metadata", problems)
    by_name = {table.name: table for table in found}
    schema = Schema(
        collections=[
            Collection(
                table.name,
                fields=table.fields.values(),
                key=table.key,
                references=dict.fromkeys(_references(table, by_name)),
            )
            for table in found
        ],
        app=app,
        version=version,
        exclude=exclude,
        migrations=migrations,
        versions=versions,
    )
    return Described(schema, {t.name: Table(t.name_in_store) for t in found}, schemas)


def _default_schema(
    metadata: sqlalchemy.MetaData, bind: sqlalchemy.Engine | sqlalchemy.Connection
) -> str | None:
    """The schema whose tables the store names without it; asked for only where one is named."""
    if all(table.schema is None for table in metadata.tables.values()):
        return None
    try:
        return sqlalchemy.inspect(bind).default_schema_name
    except exc.SQLAlchemyError as error:
        raise StoreFailed(f"{shown(bind.engine)} cannot be reached: {error}") from error


class _TableFields:
    """One table: its names, its fields and its key."""

    def __init__(
        self,
        table: sqlalchemy.Table,
        default_schema: str | None,
        dialect: sqlalchemy.Dialect,
        exclude: Mapping[str, str],
    ) -> None:
        self.table = table
        self.name = _name(table)
        self.schema = None if table.schema in (None, default_schema) else str(table.schema)
        self.name_in_store = self.name if self.schema else str(table.name)
        self.key = tuple(str(column.name) for column in table.primary_key)
        self.fields: dict[str, Field] = {}
        self._dialect = dialect
        self._columns = [c for c in table.columns if c.computed is None and not c.system]
        self._excluded = [c for c in self._columns if f"{self.name}.{c.name}" in exclude]

    def settle(self, schemas: Sequence[str], kind_in_store: KindInStore) -> Iterator[str]:
        """Find the kinds of all columns; what is wrong with them."""
        for column in self._columns:
            name = str(column.name)
            if column in self._excluded:
                if column.primary_key:
                    yield f"{self.name}.{name} is of the key, and cannot be excluded"
                continue
            kind = kind_of(column.type, self._dialect)
            kind = kind or kind_in_store(self.name_in_store, name, schemas)
            if kind is None:
                yield (
                    f"{self.name}.{name}: the type {column.type!r} does not say what is stored; "
                    "exclude the column with a reason, or describe the table by a Collection of "
                    "your own"
                )
                continue
            self.fields[name] = Field(name, Optional(kind) if column.nullable else kind)


def _references(table: _TableFields, by_name: Mapping[str, _TableFields]) -> Iterator[Reference]:
    """The foreign keys that point at fields by which a record can be looked up.

    The store's own check covers the others.
    """
    for constraint in table.table.foreign_key_constraints:
        try:
            target = by_name.get(_name(constraint.referred_table))
            pairs = {str(e.column.name): str(e.parent.name) for e in constraint.elements}
        except exc.InvalidRequestError:  # to a table that the metadata does not have
            continue
        if target is None or not _can_be_compared(table, target, pairs):
            continue
        if pairs.keys() == set(target.key):
            yield Reference([pairs[name] for name in target.key], target.name)
        else:
            yield Reference(list(pairs.values()), target.name, list(pairs))


def _can_be_compared(table: _TableFields, target: _TableFields, pairs: Mapping[str, str]) -> bool:
    """Whether both sides are fields of the same kinds."""
    if not (pairs.keys() <= target.fields.keys() and set(pairs.values()) <= table.fields.keys()):
        return False
    kinds = [(table.fields[a].value_kind, target.fields[b].value_kind) for b, a in pairs.items()]
    return all(type(a) is type(b) and a.can_be_key for a, b in kinds)


def _name(table: sqlalchemy.FromClause) -> str:
    name = table.fullname if isinstance(table, sqlalchemy.Table) else str(table)
    return str(name)
