"""The schema that a server's own catalogue describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databackup.errors import SchemaError, StoreMismatch
from databackup.schema import Collection, Field, Reference, Schema
from databackup.schema.composite import Optional

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from databackup.adapters.sqlalchemy.catalogue import Catalogue, Column, ForeignKey, TableInfo
    from databackup.adapters.sqlalchemy.dialect import Dialect
    from databackup.schema.recording import Migration


def reflected_schema(
    catalogue: Catalogue,
    dialect: Dialect,
    *,
    app: str | None,
    version: int,
    exclude: Mapping[str, str],
    migrations: Iterable[Migration],
    versions: str | os.PathLike[str] | None,
) -> Schema:
    """The schema of a database.

    Raises `StoreMismatch` for tables that cannot be backed up, `SchemaError` for an exclusion of
    what is not there.
    """
    wrong = list(_wrong_exclusions(exclude, catalogue))
    if wrong:
        raise SchemaError.of("what is to be excluded", wrong)
    left_out = {*exclude, *catalogue.housekeeping}
    tables = {name: info for name, info in catalogue.tables.items() if name not in left_out}
    problems = tuple(info.problem for info in tables.values() if info.problem)
    if problems:
        raise StoreMismatch("; ".join(problems), problems)
    fields = {name: _fields(info, dialect, exclude) for name, info in tables.items()}
    keys = {name: _key(info, fields[name]) for name, info in tables.items()}
    return Schema(
        collections=[
            Collection(
                name,
                fields=fields[name].values(),
                key=keys[name],
                references=dict.fromkeys(_references(name, catalogue, fields, keys)),
            )
            for name in tables
        ],
        app=app,
        version=version,
        exclude={**catalogue.housekeeping, **exclude},
        migrations=migrations,
        versions=versions,
    )


def _wrong_exclusions(exclude: Iterable[str], catalogue: Catalogue) -> Iterator[str]:
    there = [
        *dict.fromkeys([*catalogue.tables, *catalogue.housekeeping]),
        *(f"{table}.{column}" for table, t in catalogue.tables.items() for column in t.columns),
    ]
    keys = {
        f"{n}.{column}" for n, table in catalogue.tables.items() for column in table.primary_key
    }
    for name in exclude:
        if name not in there:
            yield f"there is no table, and no TABLE.COLUMN, {name!r}"
        elif there.count(name) > 1:
            yield f"{name!r} is ambiguous: more than one table or column is called that"
        elif name in keys:
            yield f"{name!r} is of the key, and cannot be excluded"


def _fields(info: TableInfo, dialect: Dialect, exclude: Mapping[str, str]) -> Mapping[str, Field]:
    return {
        name: _field(column, dialect)
        for name, column in info.columns.items()
        if f"{info.name}.{name}" not in exclude
    }


def _field(column: Column, dialect: Dialect) -> Field:
    kind = dialect.kind(column)
    off_kind = dialect.off_kind(column)
    return Field(column.name, Optional(kind) if column.nullable else kind, off_kind=off_kind)


def _key(info: TableInfo, fields: Mapping[str, Field]) -> tuple[str, ...]:
    """The primary key, unless a part of it is of a kind by which nothing can be looked up."""
    key = info.primary_key
    return key if all(n in fields and fields[n].value_kind.can_be_key for n in key) else ()


def _references(
    table: str,
    catalogue: Catalogue,
    fields: Mapping[str, Mapping[str, Field]],
    keys: Mapping[str, tuple[str, ...]],
) -> Iterator[Reference]:
    """The foreign keys of a table that point at fields of the same kinds.

    The engine's own check covers the others.
    """
    for found in catalogue.foreign_keys:
        if found.table != table or not _is_reference(found, catalogue, fields):
            continue
        pairs = dict(zip(found.to, found.columns, strict=True))
        if pairs.keys() == set(keys[found.parent]):
            yield Reference([pairs[name] for name in keys[found.parent]], found.parent)
        else:
            yield Reference(found.columns, found.parent, found.to)


def _is_reference(
    found: ForeignKey, catalogue: Catalogue, fields: Mapping[str, Mapping[str, Field]]
) -> bool:
    if found.parent not in fields or not catalogue.tables[found.parent].is_unique(found.to):
        return False
    own, parent = fields[found.table], fields[found.parent]
    return all(
        a in own
        and b in parent
        and own[a].value_kind.can_be_key
        and type(own[a].value_kind) is type(parent[b].value_kind)
        for a, b in zip(found.columns, found.to, strict=True)
    )
