"""What a MariaDB or MySQL server says about databases, from its information_schema."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.adapters._sql import HOUSEKEEPING
from databackup.adapters.sqlalchemy.catalogue import Catalogue, Column, ForeignKey, TableInfo
from databackup.adapters.sqlalchemy.mysql.columns import Details
from databackup.adapters.sqlalchemy.mysql.modes import computes_dates
from databackup.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    import sqlalchemy

_MEMBER: Final = re.compile(r"'((?:[^']|'')*)'")
_JSON_CHECK: Final = re.compile(r"json_valid\(`(.*)`\)", re.IGNORECASE | re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "0": "\0", "Z": "\x1a", "t": "\t"}
_GENERATED: Final = ("VIRTUAL GENERATED", "STORED GENERATED", "PERSISTENT")

Place = tuple[str, str]
"""A table's database and its name."""


@attrs.frozen
class TableDetails:
    """What a table is kept by, and its unique indexes.

    `orders` are those over whole columns that hold no NULL, `indexes` the columns of each by name.
    `computes_dates` says that a generated column or a check may work with dates.
    """

    place: Place
    engine: str
    transactional: bool
    orders: tuple[tuple[str, ...], ...] = ()
    indexes: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    computes_dates: bool = False


@attrs.frozen
class Index:
    """A unique index; `whole` says that it has all of its columns, none of which holds NULL."""

    name: str
    columns: tuple[str, ...]
    whole: bool


def quoted(name: str) -> str:
    """A name as SQL, in a statement that takes parameters, where a percent sign is doubled."""
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def read_catalogue(connection: sqlalchemy.Connection, schemas: Sequence[str]) -> Catalogue:
    """What the server says of the connection's database and some others."""
    return _Reader(connection, schemas).catalogue()


class _Reader:
    def __init__(self, connection: sqlalchemy.Connection, schemas: Sequence[str]) -> None:
        self._connection = connection
        ((found,),) = self._query("SELECT database()")
        if found is None:
            raise StoreError("the connection is to no database; name one in the URL")
        self._default = str(found)
        self._schemas = list(dict.fromkeys([self._default, *schemas]))

    def catalogue(self) -> Catalogue:
        unique = self._unique()
        checks = self._checks()
        columns, computing = self._columns(unique, set(_json_columns(checks)))
        computing |= {place for place, clause in checks if _checks_dates(clause)}
        tables = {}
        for place, kind, engine, transactional in self._tables():
            name = self._name(place)
            found = unique[place]
            primary = next((index.columns for index in found if index.name == "PRIMARY"), ())
            orders = sorted((i for i in found if i.whole), key=lambda i: i.name != "PRIMARY")
            tables[name] = TableInfo(
                name=name,
                sql=_sql(place),
                columns=columns[place],
                primary_key=primary,
                unique=tuple(i.columns for i in found if i.name != "PRIMARY"),
                problem=f"{name} is a sequence, which is not backed up"
                if kind == "SEQUENCE"
                else None,
                details=TableDetails(
                    place,
                    engine,
                    transactional,
                    tuple(i.columns for i in orders),
                    {i.name: i.columns for i in found},
                    computes_dates=place in computing,
                ),
            )
        return Catalogue(
            tables=tables,
            foreign_keys=tuple(self._foreign_keys()),
            housekeeping={name: why for name, why in HOUSEKEEPING.items() if name in tables},
        )

    def _tables(self) -> Iterator[tuple[Place, str, str, bool]]:
        found = self._of_schemas(
            "SELECT t.table_schema, t.table_name, t.table_type, t.engine, e.transactions "
            "FROM information_schema.tables AS t "
            "LEFT JOIN information_schema.engines AS e ON e.engine = t.engine "
            "WHERE t.table_schema IN {schemas} "
            "AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') "
            "ORDER BY t.table_schema, t.table_name"
        )
        for schema, name, kind, engine, transactions in found:
            yield (schema, name), kind, engine or "no engine", transactions == "YES"

    def _columns(
        self, unique: Mapping[Place, Sequence[Index]], json: Container[tuple[Place, str]]
    ) -> tuple[Mapping[Place, Mapping[str, Column]], set[Place]]:
        """The columns of each table, and the tables that compute others, perhaps from dates."""
        columns: dict[Place, dict[str, Column]] = defaultdict(dict)
        computing: set[Place] = set()
        found = self._of_schemas(
            "SELECT table_schema, table_name, column_name, data_type, column_type, is_nullable, "
            "extra, generation_expression, character_set_name, collation_name, "
            "character_maximum_length, numeric_precision, numeric_scale, datetime_precision, "
            "column_default "
            "FROM information_schema.columns WHERE table_schema IN {schemas} "
            "ORDER BY table_schema, table_name, ordinal_position"
        )
        for schema, table, name, type_, declared, nullable, extra, expression, *rest in found:
            place = schema, table
            if expression or any(word in extra.upper() for word in _GENERATED):
                computing |= {place} if computes_dates(expression or "", type_) else set()
                continue
            charset, collation, length, precision, scale, fraction, default = rest
            is_float = type_ in ("float", "double")
            columns[place][name] = Column(
                name=name,
                declared=declared,
                nullable=nullable == "YES",
                counted="auto_increment" in extra.lower(),
                details=Details(
                    type=type_,
                    unsigned="unsigned" in declared,
                    length=length,
                    precision=precision,
                    scale=_float_scale(declared) if is_float else scale,
                    fraction=fraction or 0,
                    charset=charset,
                    collation=collation,
                    members=_members(declared) if type_ in ("enum", "set") else (),
                    is_json=type_ == "json" or (place, name) in json,
                    on_update="on update" in extra.lower(),
                    places=tuple(_places(unique[place], name)),
                    default=default,
                ),
            )
        return columns, computing

    def _checks(self) -> list[tuple[Place, str]]:
        """What MariaDB checks of the rows of tables."""
        if not self._connection.dialect.is_mariadb:  # type: ignore[attr-defined]
            return []
        found = self._of_schemas(
            "SELECT constraint_schema, table_name, check_clause "
            "FROM information_schema.check_constraints WHERE constraint_schema IN {schemas}"
        )
        return [((schema, table), clause) for schema, table, clause in found]

    def _unique(self) -> Mapping[Place, list[Index]]:
        parts: dict[tuple[str, str, str], list[tuple[str | None, bool]]] = defaultdict(list)
        found = self._of_schemas(
            "SELECT table_schema, table_name, index_name, column_name, sub_part, nullable "
            "FROM information_schema.statistics WHERE table_schema IN {schemas} "
            "AND non_unique = 0 AND index_type = 'BTREE' "
            "ORDER BY table_schema, table_name, index_name, seq_in_index"
        )
        for schema, table, index, column, sub_part, nullable in found:
            parts[schema, table, index].append((column, sub_part is None and nullable != "YES"))
        indexes: dict[Place, list[Index]] = defaultdict(list)
        for (schema, table, index), columns in parts.items():
            names = tuple(name for name, _ in columns if name is not None)
            if len(names) == len(columns):  # MySQL has indexes over expressions
                whole = all(is_whole for _, is_whole in columns)
                indexes[schema, table].append(Index(index, names, whole))
        return indexes

    def _foreign_keys(self) -> Iterator[ForeignKey]:
        """Those of the databases' tables, and those of any table that refer to one of them."""
        parts: dict[tuple[Any, ...], list[tuple[str, str]]] = defaultdict(list)
        found = self._of_schemas(
            "SELECT k.table_schema, k.table_name, k.constraint_name, k.referenced_table_schema, "
            "k.referenced_table_name, r.delete_rule, k.column_name, k.referenced_column_name "
            "FROM information_schema.key_column_usage AS k "
            "JOIN information_schema.referential_constraints AS r "
            "ON r.constraint_schema = k.constraint_schema "
            "AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name "
            "WHERE k.referenced_table_name IS NOT NULL "
            "AND (k.table_schema IN {schemas} OR k.referenced_table_schema IN {schemas}) "
            "ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position"
        )
        for *identity, column, to in found:
            parts[tuple(identity)].append((column, to))
        for (schema, table, name, other, parent, rule), pairs in parts.items():
            yield ForeignKey(
                name=name,
                table=self._name((schema, table)),
                columns=tuple(column for column, _ in pairs),
                parent=self._name((other, parent)),
                to=tuple(to for _, to in pairs),
                on_delete=rule,
                details=(_sql((schema, table)), _sql((other, parent))),
            )

    def _name(self, place: Place) -> str:
        schema, table = place
        return table if schema == self._default else f"{schema}.{table}"

    def _of_schemas(self, sql: str) -> list[tuple[Any, ...]]:
        marks = f"({', '.join(['%s'] * len(self._schemas))})"
        return self._query(sql.format(schemas=marks), self._schemas * sql.count("{schemas}"))

    def _query(self, sql: str, values: Iterable[str] = ()) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._connection.exec_driver_sql(sql, tuple(values))]


def _json_columns(checks: Iterable[tuple[Place, str]]) -> Iterator[tuple[Place, str]]:
    """The columns that MariaDB keeps as text, and checks to be JSON."""
    for place, clause in checks:
        if match := _JSON_CHECK.fullmatch(clause):
            yield place, match[1].replace("``", "`")


def _checks_dates(clause: str) -> bool:
    return not _JSON_CHECK.fullmatch(clause) and computes_dates(clause)


def _sql(place: Place) -> str:
    return ".".join(map(quoted, place))


def _members(declared: str) -> tuple[str, ...]:
    """The values of an ENUM or a SET, from its declaration."""
    found = (text.replace("''", "'") for text in _MEMBER.findall(declared))
    return tuple(
        _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), text) for text in found
    )


def _float_scale(declared: str) -> int | None:
    """The scale of FLOAT(10,2), which rounds; FLOAT itself does not."""
    match = re.search(r"\(\d+,(\d+)\)", declared)
    return int(match[1]) if match else None


def _places(indexes: Iterable[Index], column: str) -> Iterator[tuple[str, int, int]]:
    for index in indexes:
        if index.whole and column in index.columns:
            yield index.name, index.columns.index(column), len(index.columns)
