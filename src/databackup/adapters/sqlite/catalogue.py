"""What a SQLite database says about itself: tables, columns, keys, references, triggers."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from databackup.adapters._sql import HOUSEKEEPING, Table
from databackup.adapters.sqlite.connection import pragma, query, quoted
from databackup.adapters.sqlite.definitions import (
    FTS,
    RTREE,
    content_of,
    folded,
    is_autoincrement,
    is_without_rowid,
    makes_known_tables,
    module_of,
    shadow_tables,
    upper,
)
from databackup.errors import StoreMismatch
from databackup.schema import RawText

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from databackup.schema import Collection, Schema

Affinity = Literal["INTEGER", "TEXT", "BLOB", "REAL", "NUMERIC"]


@attrs.frozen
class Column:
    """A column that can be read and written."""

    name: str
    declared: str
    affinity: Affinity
    nullable: bool = True
    default: str | RawText | None = None


@attrs.frozen
class Unique:
    """Columns that are unique together, each under a collation."""

    columns: tuple[str, ...]
    collations: tuple[str, ...]


@attrs.frozen
class ForeignKey:
    """A foreign key of a table; names are as they stand in the two tables."""

    table: str
    columns: tuple[str, ...]
    parent: str
    to: tuple[str, ...]
    on_delete: str
    on_update: str = "NO ACTION"


@attrs.frozen
class Trigger:
    """A trigger and the text that makes it, None where that is no UTF-8."""

    name: str
    table: str
    sql: str | None
    temporary: bool


@attrs.frozen(kw_only=True)
class TableInfo:
    """A table: generated and hidden columns are left out.

    `rowid_alias` is the column that is the row's own number; `rowid` a name for that number, None
    where there is none. `problem` says why a virtual table cannot be backed up.
    """

    name: str
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...] = ()
    rowid_alias: str | None = None
    rowid: str | None = None
    autoincrement: bool = False
    unique: tuple[Unique, ...] = ()
    module: str | None = None
    problem: str | None = None

    def unique_on(self, columns: Iterable[str]) -> Unique | None:
        """The index that makes these columns unique, the one without own collations first."""
        wanted = sorted(columns)
        found = [index for index in self.unique if sorted(index.columns) == wanted]
        return min(
            found, key=lambda i: any(c.upper() != "BINARY" for c in i.collations), default=None
        )


@attrs.frozen
class Catalogue:
    """All that a database says about itself.

    `housekeeping` has what is no app's data, each with the reason; `indexes_to_rebuild` are
    full-text indexes over the content of other tables.
    """

    tables: Mapping[str, TableInfo]
    foreign_keys: tuple[ForeignKey, ...]
    triggers: tuple[Trigger, ...]
    housekeeping: Mapping[str, str]
    indexes_to_rebuild: tuple[str, ...]
    utf8: bool

    def table(self, name: str) -> TableInfo | None:
        """A table by name; SQLite takes ASCII letters of both cases as the same."""
        return self.tables.get(name) or _same_name(name, self.tables)

    def actual(self, collection: Collection, table: Table) -> Table:
        """A collection's table and columns, spelled as they are in the database."""
        info = self.table(table.name)
        if info is None:
            return table
        names = {field: table.column(field) for field in (*collection.field_names, *table.columns)}
        columns = {
            field: column if column in info.columns else _actual_name(column, info.columns)
            for field, column in names.items()
        }
        return Table(info.name, columns)

    def excluding_housekeeping(self, schema: Schema, tables: Mapping[str, Table]) -> Schema:
        """The schema, with what is no app's data excluded."""
        covered = {table.name for table in tables.values()}
        more = {n: reason for n, reason in self.housekeeping.items() if n not in covered}
        return schema.excluding(more) if more else schema


def _same_name(name: str, items: Mapping[str, Any]) -> Any:
    wanted = folded(name)
    return next((item for other, item in items.items() if folded(other) == wanted), None)


def _actual_name(name: str, names: Iterable[str]) -> str:
    found: str = _same_name(name, {n: n for n in names}) or name
    return found


def affinity_of(declared: str, *, strict: bool = False) -> Affinity:
    """A column's affinity (https://sqlite.org/datatype3.html, section 3.1)."""
    name = upper(declared)
    if strict and name == "ANY":
        return "BLOB"
    if "INT" in name:
        return "INTEGER"
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if not name or "BLOB" in name:
        return "BLOB"
    if any(part in name for part in ("REAL", "FLOA", "DOUB")):
        return "REAL"
    return "NUMERIC"


# -- reading -----------------------------------------------------------------------------------

_TABLE_LIST: Final = (3, 37)  # PRAGMA table_list is there from this version on
_FTS_HIDDEN: Final = {"rank", "docid", "__langid"}


def read_catalogue(connection: sqlite3.Connection) -> Catalogue:
    """Read the catalogue; within a transaction, this is its first read."""
    listed = query(
        connection, "SELECT name, sql FROM main.sqlite_master WHERE type = 'table' ORDER BY rowid"
    )
    _require_names("the table", (name for name, _ in listed))
    sources = {name: _readable(sql or "") for name, sql in listed}
    shadows, without_rowid, strict = _kinds_of_tables(connection, sources)
    housekeeping = _housekeeping(sources, shadows)
    tables: dict[str, TableInfo] = {}
    rebuild = []
    for name, sql in sources.items():
        if name in housekeeping:
            continue
        module = module_of(sql)
        content = content_of(sql) if module in FTS else None
        if module in FTS and (content is not None or f"{name}_content" not in sources):
            rebuild += [name] if content else []
            housekeeping[name] = _REBUILT if content else _CONTENTLESS
        elif module is not None:
            tables[name] = _virtual(connection, name, module)
        else:
            tables[name] = _table(
                connection, name, sql, without_rowid=name in without_rowid, strict=name in strict
            )
    return Catalogue(
        tables=tables,
        foreign_keys=tuple(_foreign_keys(connection, tables)),
        triggers=tuple(_triggers(connection, tables)),
        housekeeping=housekeeping,
        indexes_to_rebuild=tuple(rebuild),
        utf8=pragma(connection, "encoding") == "UTF-8",
    )


_REBUILT: Final = "a full-text index over other tables, which an import rebuilds"
_CONTENTLESS: Final = "a full-text index that does not hold its text"


def _kinds_of_tables(
    connection: sqlite3.Connection, sources: Mapping[str, str]
) -> tuple[dict[str, str], set[str], set[str]]:
    """Shadow tables with their virtual table, tables without rowid, and strict tables."""
    shadows = shadow_tables(sources)
    if sqlite3.sqlite_version_info < _TABLE_LIST:
        without = {n for n, sql in sources.items() if is_without_rowid(sql)}
        return shadows, without, set()
    without_rowid, strict = set(), set()
    for schema, name, kind, _columns, wr, is_strict in query(connection, "PRAGMA table_list"):
        if schema != "main":
            continue
        if kind == "shadow":
            # SQLite itself goes by the name alone.
            owner = _actual_name(name.rpartition("_")[0], sources)
            if not makes_known_tables(sources.get(owner, "")):
                shadows[name] = owner
        if wr:
            without_rowid.add(name)
        if is_strict:
            strict.add(name)
    return shadows, without_rowid, strict


def _housekeeping(sources: Iterable[str], shadows: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name in sources:
        if name in shadows:
            found[name] = f"a part of the virtual table {shadows[name]}"
        elif name == "sqlite_sequence":
            found[name] = "SQLite's counters, which are kept with their collections"
        elif name.startswith("sqlite_"):
            found[name] = "SQLite's own"
        elif name in HOUSEKEEPING:
            found[name] = HOUSEKEEPING[name]
    return found


def _table(
    connection: sqlite3.Connection, name: str, sql: str, *, without_rowid: bool, strict: bool
) -> TableInfo:
    columns, generated, parts = {}, set(), {}
    for _, column, declared, not_null, default, part, hidden in _table_xinfo(connection, name):
        if part:
            parts[part] = column
        if hidden:
            generated.add(column)
            continue
        affinity = affinity_of(declared, strict=strict)
        columns[column] = Column(column, declared, affinity, not not_null, default)
    key = tuple(parts[part] for part in sorted(parts))
    unique, has_key_index = _unique_indexes(connection, name)
    # A primary key without an index of its own is the row's own number.
    alias = key[0] if len(key) == 1 and not has_key_index and not without_rowid else None
    if alias:
        unique = (Unique((alias,), ("BINARY",)), *unique)
    taken = {folded(column) for column in (*columns, *generated)}
    names = (n for n in ("rowid", "_rowid_", "oid") if n not in taken)
    return TableInfo(
        name=name,
        columns=columns,
        primary_key=key,
        rowid_alias=alias,
        rowid=None if without_rowid else next(names, None),
        autoincrement=alias is not None and is_autoincrement(sql),
        unique=unique,
    )


def _virtual(connection: sqlite3.Connection, name: str, module: str) -> TableInfo:
    # The module may not be there: then the table has no columns that anyone could read.
    rows: list[tuple[Any, ...]] = []
    with contextlib.suppress(sqlite3.OperationalError):
        rows = _table_xinfo(connection, name)
    # A virtual table stores values as they are, whatever its columns are declared as.
    columns = {row[1]: Column(row[1], row[2], "BLOB") for row in rows if not row[6]}
    hidden = {row[1] for row in rows if row[6]} - {name}
    supported = bool(rows) and (
        module in RTREE or (module in FTS and hidden <= _FTS_HIDDEN and "rowid" not in columns)
    )
    if module in FTS:
        columns = {"rowid": Column("rowid", "INTEGER", "BLOB", nullable=False), **columns}
    key = next(iter(columns), "")
    return TableInfo(
        name=name,
        columns=columns,
        primary_key=(key,),
        rowid_alias=key,
        rowid="rowid",
        unique=(Unique((key,), ("BINARY",)),),
        module=module,
        problem=None
        if supported
        else f"{name!r} is a virtual table of the module {module!r}, which is not supported",
    )


def _table_xinfo(connection: sqlite3.Connection, name: str) -> list[tuple[Any, ...]]:
    rows = query(connection, f"PRAGMA main.table_xinfo({quoted(name)})")
    _require_names(f"a column of {name!r},", (row[1] for row in rows))
    return [(*row[:2], _readable(row[2]), *row[3:]) for row in rows]


def _unique_indexes(connection: sqlite3.Connection, table: str) -> tuple[tuple[Unique, ...], bool]:
    found = []
    has_key_index = False
    for _, index, unique, origin, partial in query(
        connection, f"PRAGMA main.index_list({quoted(table)})"
    ):
        has_key_index |= origin == "pk"
        rows = _index_xinfo(connection, index)
        parts = [(row[2], row[4]) for row in rows if row[5]]
        if unique and not partial and all(column is not None for column, _ in parts):
            columns, collations = zip(*parts, strict=True)
            _require_names(f"a collation of {table!r},", collations)
            found.append(Unique(columns, collations))
    return tuple(found), has_key_index


def _index_xinfo(connection: sqlite3.Connection, index: str | RawText) -> list[tuple[Any, ...]]:
    if isinstance(index, str):
        return query(connection, f"PRAGMA main.index_xinfo({quoted(index)})")
    sql = "SELECT * FROM pragma_index_xinfo(CAST(?1 AS TEXT), 'main')"
    return query(connection, sql, [index.data])


def _foreign_keys(
    connection: sqlite3.Connection, tables: Mapping[str, TableInfo]
) -> Iterator[ForeignKey]:
    for table in tables:
        listed: dict[int, list[tuple[Any, ...]]] = {}
        rows = query(connection, f"PRAGMA main.foreign_key_list({quoted(table)})")
        for row in sorted(rows, key=lambda row: (-row[0], row[1])):
            listed.setdefault(row[0], []).append(row)
        for parts in listed.values():
            if any(type(name) is RawText for part in parts for name in part[2:5]):
                continue  # to what is not there: no name of a table or column is like that
            parent = tables.get(parts[0][2]) or _same_name(parts[0][2], tables)
            if parent is None:
                continue
            to = [part[4] for part in parts]
            if None in to:
                to = list(parent.primary_key)
            actual = tuple(_actual_name(name, parent.columns) for name in to)
            if len(actual) == len(parts) and set(actual) <= parent.columns.keys():
                own = tuple(part[3] for part in parts)
                yield ForeignKey(table, own, parent.name, actual, parts[0][6], parts[0][5])


def _triggers(connection: sqlite3.Connection, tables: Mapping[str, TableInfo]) -> Iterator[Trigger]:
    for schema, temporary in (("main.sqlite_master", False), ("sqlite_temp_master", True)):
        rows = query(connection, f"SELECT name, tbl_name, sql FROM {schema} WHERE type = 'trigger'")
        for name, table, sql in rows:
            # The table is named as the trigger's own text spells it.
            yield Trigger(
                _readable(name),
                _actual_name(_readable(table), tables),
                None if RawText in (type(name), type(sql)) else sql,
                temporary,
            )


def _require_names(what: str, names: Iterable[str | RawText]) -> None:
    """Raise `StoreMismatch` for names that are no UTF-8, which no statement could have."""
    found = tuple(
        f"the name of {what} '{name.data.decode(errors='backslashreplace')}' is no UTF-8"
        for name in names
        if isinstance(name, RawText)
    )
    if found:
        raise StoreMismatch("; ".join(found), found)


def _readable(text: str | RawText) -> str:
    """A text that is only looked at."""
    return text.data.decode(errors="replace") if isinstance(text, RawText) else text
