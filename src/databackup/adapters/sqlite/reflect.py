"""The schema that a SQLite database's own catalogue describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

from databackup.adapters.sqlite.connection import query, quoted
from databackup.adapters.sqlite.definitions import upper
from databackup.adapters.sqlite.forms import scale_of
from databackup.errors import SchemaError, StoreMismatch
from databackup.schema import Collection, Field, Kind, Reference, Schema, composite, kinds

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

    from databackup.adapters.sqlite.catalogue import Catalogue, Column, ForeignKey, TableInfo
    from databackup.schema.recording import Migration

Types = Literal["storage", "declared"]
TYPES: Final[tuple[Types, ...]] = get_args(Types)


def reflected_schema(
    connection: sqlite3.Connection,
    catalogue: Catalogue,
    *,
    types: Types,
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
    tables = {name: info for name, info in catalogue.tables.items() if name not in exclude}
    problems = [info.problem for info in tables.values() if info.problem]
    if problems:
        raise StoreMismatch("; ".join(problems), tuple(problems))
    fields = {name: _Fields(connection, info, types, exclude) for name, info in tables.items()}
    collections = [
        Collection(
            name,
            fields=found.fields.values(),
            key=found.key,
            references=_references(name, catalogue, fields),
        )
        for name, found in fields.items()
    ]
    return Schema(
        collections=collections,
        app=app,
        version=version,
        exclude={**catalogue.housekeeping, **exclude},
        migrations=migrations,
        versions=versions,
    )


def _wrong_exclusions(exclude: Iterable[str], catalogue: Catalogue) -> Iterator[str]:
    there = [
        *catalogue.tables,
        *catalogue.housekeeping,
        *(f"{table}.{column}" for table, t in catalogue.tables.items() for column in t.columns),
    ]
    for name in exclude:
        if name not in there:
            yield f"there is no table, and no TABLE.COLUMN, {name!r}"
        elif there.count(name) > 1:
            yield f"{name!r} is ambiguous: more than one table or column is called that"


class _Fields:
    """The fields and the key of one table."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        info: TableInfo,
        types: Types,
        exclude: Mapping[str, str],
    ) -> None:
        self.info = info
        self.key = info.primary_key
        left_out = [name for name in info.primary_key if f"{info.name}.{name}" in exclude]
        if left_out:
            raise SchemaError.of(
                f"{info.name}",
                [f"{name!r} is of the key, and cannot be excluded" for name in left_out],
            )
        if not set(self.key) <= info.columns.keys() or self._has_null(connection):
            self.key = ()
        self.fields = {
            name: self._field(column, types)
            for name, column in info.columns.items()
            if f"{info.name}.{name}" not in exclude
        }

    def _has_null(self, connection: sqlite3.Connection) -> bool:
        """Whether the primary key has a NULL, which SQLite allows where it is no row number."""
        names = [
            n for n in self.key if n != self.info.rowid_alias and self.info.columns[n].nullable
        ]
        if not names:
            return False
        terms = " OR ".join(f"{quoted(name)} IS NULL" for name in names)
        found = query(
            connection, f"SELECT 1 FROM main.{quoted(self.info.name)} WHERE {terms} LIMIT 1"
        )
        return bool(found)

    def _field(self, column: Column, types: Types) -> Field:
        kind = _stored_kind(column)
        if types == "declared":
            kind = _declared_kind(column) or kind
        if column.name == self.info.rowid_alias:
            return Field(column.name, kinds.Int())
        if column.name in self.info.primary_key and not kind.can_be_key:
            kind = _stored_kind(column)
        if column.nullable:
            kind = composite.Optional(kind)
        return Field(column.name, kind, off_kind="keep")


def _stored_kind(column: Column) -> Kind:
    """The kind of what a column of its affinity mostly holds."""
    name = upper(column.declared)
    if column.affinity == "INTEGER" or (column.affinity == "NUMERIC" and "BOOL" in name):
        return kinds.Int()
    if column.affinity == "REAL":
        return kinds.Float()
    if column.affinity == "NUMERIC":
        is_text = any(part in name for part in ("DATE", "TIME", "JSON", "UUID"))
        return kinds.Str() if is_text else kinds.Float()
    return kinds.Bytes() if "BLOB" in name else kinds.Str()


_DECLARED: Final[Mapping[str, Kind]] = {
    "BOOL": kinds.Bool(),
    "BOOLEAN": kinds.Bool(),
    "DATE": kinds.Date(),
    "DATETIME": kinds.DateTime(),
    "TIMESTAMP": kinds.DateTime(),
    "TIMESTAMPTZ": kinds.DateTimeTz(),
    "TIME": kinds.Time(),
    "JSON": composite.Json(),
    "UUID": kinds.UUID(),
    # Names that tables have which this library made: text that no affinity changes.
    "DECIMAL_TEXT": kinds.Decimal(),
    "DIGITS_TEXT": kinds.Int(),
    "DURATION_TEXT": kinds.Timedelta(),
    "JSON_TEXT": composite.Json(),
    "TIMETZ_TEXT": kinds.TimeTz(),
}


def _declared_kind(column: Column) -> Kind | None:
    """The kind that a declared type names, None where it says no more than the affinity."""
    name = upper(column.declared).partition("(")[0].strip()
    if name in ("DECIMAL", "NUMERIC"):
        scale = scale_of(column.declared)
        return None if scale is None else kinds.Decimal(scale)
    return _DECLARED.get(name)


def _references(
    table: str, catalogue: Catalogue, fields: Mapping[str, _Fields]
) -> Iterator[Reference]:
    """The foreign keys of a table that point at a key, or at unique fields, of the same kinds.

    SQLite's own check covers the others.
    """
    found: dict[Reference, None] = {}
    for key in catalogue.foreign_keys:
        if key.table == table and key.parent in fields and _is_reference(key, fields):
            to = () if key.to == fields[key.parent].key else key.to
            found[Reference(key.columns, key.parent, to)] = None
    yield from found


def _is_reference(key: ForeignKey, fields: Mapping[str, _Fields]) -> bool:
    own, parent = fields[key.table], fields[key.parent]
    unique = parent.info.unique_on(key.to)
    # SQLite compares under the parent's collation and affinity, a reference value by value.
    if unique is None or any(name.upper() != "BINARY" for name in unique.collations):
        return False
    return all(
        here in own.fields
        and there in parent.fields
        and type(own.fields[here].value_kind) is type(parent.fields[there].value_kind)
        and own.info.columns[here].affinity == parent.info.columns[there].affinity
        for here, there in zip(key.columns, key.to, strict=True)
    )
