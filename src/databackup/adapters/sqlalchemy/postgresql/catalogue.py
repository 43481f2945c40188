"""What a PostgreSQL database says about itself."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.adapters._sql import HOUSEKEEPING
from databackup.adapters.sqlalchemy.catalogue import Catalogue, Column, ForeignKey, TableInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import sqlalchemy


@attrs.frozen(kw_only=True)
class Type:
    """A type: its base where it is a domain.

    `sql` names it in a cast, without length or scale, so that a cast never cuts or rounds.
    `element` is the type of an array's elements, `labels` are an enumeration's.
    """

    name: str
    sql: str
    category: str
    modifier: int = -1
    element: Type | None = None
    labels: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class TableDetails:
    """`name` is what rows are put into, `source` what they are read from and changed in.

    Neither is fit for a statement with parameters, as `driver_sql` makes it. `sequences` are those
    that give out numbers for columns, `indexes` the columns of unique ones, `always` the columns
    that are GENERATED ALWAYS AS IDENTITY. `is_owned` says that the role may alter the table.
    """

    name: str
    source: str
    oid: int
    sequences: Mapping[str, str] = attrs.field(factory=dict)
    indexes: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    always: tuple[str, ...] = ()
    is_owned: bool = True


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def driver_sql(sql: str) -> str:
    """SQL whose percent signs are no parameters."""
    return sql.replace("%", "%%")


_TABLES: Final = """
SELECT c.oid, n.nspname, c.relname, c.relkind, x.extname,
  pg_catalog.pg_has_role(c.relowner, 'USAGE')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_depend d
  ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
LEFT JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND n.nspname = ANY(%s)
ORDER BY n.nspname, c.relname
"""
_COLUMNS: Final = """
SELECT a.attrelid, a.attname, a.atttypid, a.atttypmod,
  pg_catalog.format_type(a.atttypid, a.atttypmod),
  NOT a.attnotnull, a.attidentity = 'a', a.attidentity <> '' OR s.oid IS NOT NULL,
  CASE WHEN s.oid IS NOT NULL
    THEN pg_catalog.quote_ident(sn.nspname) || '.' || pg_catalog.quote_ident(s.relname) END
FROM pg_catalog.pg_attribute a
LEFT JOIN LATERAL (
  SELECT q.oid, q.relname, q.relnamespace FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_class q ON q.oid = d.objid AND q.relkind = 'S'
  WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid
    AND d.refobjsubid = a.attnum AND d.classid = 'pg_catalog.pg_class'::regclass
    AND d.deptype IN ('a', 'i')
  UNION ALL
  SELECT q.oid, q.relname, q.relnamespace FROM pg_catalog.pg_attrdef f
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass
    AND d.objid = f.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
  JOIN pg_catalog.pg_class q ON q.oid = d.refobjid AND q.relkind = 'S'
  WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum
  LIMIT 1) s ON true
LEFT JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
WHERE a.attrelid = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attrelid, a.attnum
"""
_UNIQUE: Final = """
SELECT i.indrelid, c.relname, i.indisprimary, i.indpred IS NULL AND i.indexprs IS NULL, ARRAY(
  SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(attnum, n)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY k.n)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY(%s) AND i.indisunique AND i.indisvalid
ORDER BY i.indexrelid
"""
_FOREIGN_KEYS: Final = """
SELECT k.conname, k.conrelid, k.confrelid, k.confdeltype, ARRAY(
  SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(attnum, n)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n),
  ARRAY(
  SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(attnum, n)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n),
  n.nspname, c.relname, n.nspname = pg_catalog.current_schema(),
  pg_catalog.pg_has_role(c.relowner, 'USAGE')
    AND pg_catalog.has_table_privilege(k.confrelid, 'REFERENCES')
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid = ANY(%s) OR k.confrelid = ANY(%s))
ORDER BY k.conrelid, k.conname
"""
# Those that neither belong to a column nor are its default.
_FREE_SEQUENCES: Final = """
SELECT n.nspname, s.relname
FROM pg_catalog.pg_class s
JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
WHERE s.relkind = 'S' AND n.nspname = ANY(%s) AND NOT EXISTS (
  SELECT 1 FROM pg_catalog.pg_depend d WHERE d.objid = s.oid AND d.deptype IN ('a', 'i', 'e')
    AND d.classid = 'pg_catalog.pg_class'::regclass
  UNION ALL
  SELECT 1 FROM pg_catalog.pg_depend d WHERE d.refobjid = s.oid
    AND d.refclassid = 'pg_catalog.pg_class'::regclass
    AND d.classid = 'pg_catalog.pg_attrdef'::regclass)
ORDER BY n.nspname, s.relname
"""
_LARGE_OBJECTS: Final = "SELECT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)"
_TYPES: Final = """
SELECT t.oid, n.nspname, t.typname, t.typtype, t.typcategory, t.typelem, t.typbasetype, t.typtypmod,
  ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid
        ORDER BY e.enumsortorder)
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
"""
_WITHOUT_VALUES: Final = "no column of it holds a value of its own"
_FOREIGN: Final = "a foreign table: its data is elsewhere"
_ACTIONS: Final = {
    "a": "NO ACTION",
    "r": "RESTRICT",
    "c": "CASCADE",
    "n": "SET NULL",
    "d": "SET DEFAULT",
}


def read_catalogue(connection: sqlalchemy.Connection, schemas: Sequence[str]) -> Catalogue:
    """Read tables, columns, keys and foreign keys of the default schema and of others."""
    (default,) = connection.exec_driver_sql("SELECT pg_catalog.current_schema()").one()
    wanted = list(dict.fromkeys([*([default] if default else []), *schemas]))
    rows = connection.exec_driver_sql(_TABLES, (wanted,)).all()
    oids = [row[0] for row in rows]
    names = {
        oid: table if schema == default else f"{schema}.{table}" for oid, schema, table, *_ in rows
    }
    types = _Types(connection.exec_driver_sql(_TYPES).all())
    columns: dict[int, dict[str, Column]] = defaultdict(dict)
    sequences: dict[int, dict[str, str]] = defaultdict(dict)
    always: dict[int, list[str]] = defaultdict(list)
    for (
        oid,
        name,
        type_oid,
        modifier,
        declared,
        nullable,
        is_always,
        counted,
        sequence,
    ) in connection.exec_driver_sql(_COLUMNS, (oids,)):
        columns[oid][name] = Column(
            name=name,
            declared=declared,
            nullable=nullable,
            counted=counted,
            details=types.of(type_oid, modifier),
        )
        if sequence:
            sequences[oid][name] = sequence
        if is_always:
            always[oid].append(name)
    primary: dict[int, tuple[str, ...]] = {}
    unique: dict[int, list[tuple[str, ...]]] = defaultdict(list)
    indexes: dict[int, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for oid, index, is_primary, is_whole, key in connection.exec_driver_sql(_UNIQUE, (oids,)):
        indexes[oid][index] = tuple(key)
        if is_primary:
            primary[oid] = tuple(key)
        elif is_whole:
            unique[oid].append(tuple(key))
    tables = {}
    for oid, schema, table, kind, _extension, is_owned in rows:
        own = f"{quoted(schema)}.{quoted(table)}"
        source = own if kind == "p" else f"ONLY {own}"  # or heirs' rows would come twice
        tables[names[oid]] = TableInfo(
            name=names[oid],
            sql=driver_sql(source),
            columns=columns[oid],
            primary_key=primary.get(oid, ()),
            unique=tuple(unique[oid]),
            problem=f"{names[oid]} is {_FOREIGN}" if kind == "f" else None,
            details=TableDetails(
                name=own,
                source=source,
                oid=oid,
                sequences=sequences[oid],
                indexes=indexes[oid],
                always=tuple(always[oid]),
                is_owned=is_owned,
            ),
        )
    return Catalogue(
        tables=tables,
        foreign_keys=tuple(_foreign_keys(connection, oids, names)),
        housekeeping={
            **{name: _WITHOUT_VALUES for name, table in tables.items() if not table.columns},
            **{name: HOUSEKEEPING[name] for name in tables if name in HOUSEKEEPING},
            **{names[oid]: _FOREIGN for oid, _, _, kind, *_ in rows if kind == "f"},
            **{names[oid]: f"the extension {x} keeps it" for oid, _, _, _, x, _ in rows if x},
            **dict(_beside_tables(connection, wanted, default)),
        },
    )


def _beside_tables(
    connection: sqlalchemy.Connection, schemas: Sequence[str], default: str | None
) -> Iterator[tuple[str, str]]:
    """What holds something and is no table, each with the reason to leave it out."""
    for schema, name in connection.exec_driver_sql(_FREE_SEQUENCES, (schemas,)):
        place = name if schema == default else f"{schema}.{name}"
        yield place, "a sequence that is no column's"
    ((has_large_objects,),) = connection.exec_driver_sql(_LARGE_OBJECTS)
    if has_large_objects:
        yield "pg_catalog.pg_largeobject", "large objects, which are of no table"


def _foreign_keys(
    connection: sqlalchemy.Connection, oids: list[int], names: Mapping[int, str]
) -> Iterable[ForeignKey]:
    found = connection.exec_driver_sql(_FOREIGN_KEYS, (oids, oids)).all()
    for name, child, parent, action, columns, to, schema, table, is_default, may_alter in found:
        yield ForeignKey(
            name=name,
            table=names.get(child, table if is_default else f"{schema}.{table}"),
            columns=tuple(columns),
            parent=names.get(parent, ""),
            to=tuple(to),
            on_delete=_ACTIONS[action],
            details=may_alter,
        )


class _Types:
    """All types by their number."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self._rows = {row[0]: row for row in rows}

    def of(self, oid: int, modifier: int) -> Type:
        """A type, or what a domain is over."""
        _, schema, name, sort, category, element, base, base_modifier, labels = self._rows[oid]
        if sort == "d":
            return self.of(base, base_modifier)
        is_array = category == "A" and element != 0
        return Type(
            name="enum" if sort == "e" else name,
            sql=f"{quoted(schema)}.{quoted(name)}",
            category="A" if is_array else category,
            modifier=modifier,
            element=self.of(element, modifier) if is_array else None,
            labels=tuple(labels),
        )
