"""How PostgreSQL is read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from databackup.adapters.sqlalchemy.postgresql import errors, forms, locks
from databackup.adapters.sqlalchemy.postgresql.catalogue import (
    Type,
    quoted,
    read_catalogue,
)
from databackup.adapters.sqlalchemy.postgresql.create import PostgreSQLCreation
from databackup.adapters.sqlalchemy.postgresql.enforced import EnforcedTransaction, may_alter
from databackup.adapters.sqlalchemy.postgresql.session import (
    PostgreSQLSnapshot,
    PostgreSQLTransaction,
)
from databackup.errors import StoreError
from databackup.schema import Kind, composite, kinds
from databackup.schema.interval import IntervalKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy

    from databackup.adapters._binding import Form
    from databackup.adapters.sqlalchemy.catalogue import Catalogue, Column, TableInfo
    from databackup.adapters.sqlalchemy.session import Scope
    from databackup.errors import DatabackupError
    from databackup.schema import Collection, Field
    from databackup.schema.model import OffKind

_SETTINGS: Final = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "row_security": "off",  # an error, where a policy would hide rows
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_tablespace": "",  # where an index is made that names none
}
_SINCE_17: Final = {"transaction_timeout": "0"}
_BEFORE: Final = "databackup: settings of the host's transaction"
_IMPORTS: Final = 0x6461746162  # the advisory lock that keeps a second import out
_LONGEST_WAIT: Final = 2**31 - 1

_KINDS: Final[Mapping[str, Kind]] = {
    "bool": kinds.Bool(),
    **dict.fromkeys(("int2", "int4", "int8", "oid", "xid8"), kinds.Int()),
    **dict.fromkeys(("float4", "float8"), kinds.Float()),
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "citext", "char"), kinds.Str()),
    "bytea": kinds.Bytes(),
    "date": kinds.Date(),
    "time": kinds.Time(),
    "timetz": kinds.TimeTz(),
    "timestamp": kinds.DateTime(),
    "timestamptz": kinds.DateTimeTz(),
    "interval": IntervalKind(),
    "uuid": kinds.UUID(),
    "json": composite.Json(),
    "jsonb": composite.Json(),
}
# Others hold more than their kinds: dates without an end, 24:00, arrays of arrays, any JSON.
_EXACT: Final = (
    *("bool", "int2", "int4", "int8", "oid", "xid8", "float4", "float8", "numeric"),
    *("text", "varchar", "bpchar", "name", "citext", "char", "enum", "bytea", "uuid"),
)
_ORDERED: Final = (
    kinds.Int
    | kinds.Float
    | kinds.Decimal
    | kinds.Str
    | kinds.Bytes
    | kinds.Bool
    | kinds.Date
    | kinds.Time
    | kinds.DateTime
    | kinds.DateTimeTz
    | kinds.UUID
    | composite.Enum
)


class PostgreSQL:
    """The dialect of PostgreSQL, for the driver psycopg 3."""

    name = "postgresql"
    snapshot_isolation = "REPEATABLE READ"
    write_isolation = "READ COMMITTED"
    ddl_commits = False
    errors: tuple[type[Exception], ...] = (SQLAlchemyError, psycopg.Error)
    creation = PostgreSQLCreation()

    def suspends_triggers(self, catalogue: Catalogue, tables: Iterable[str]) -> bool:
        return may_alter(catalogue, tables)

    def quoted(self, name: str) -> str:
        return quoted(name)

    def begin_snapshot(self, connection: sqlalchemy.Connection, wait: float) -> None:
        _require_transactions(connection)
        if not connection.in_nested_transaction():
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _set_up(connection, wait)

    def begin_transaction(self, connection: sqlalchemy.Connection, wait: float) -> None:
        _require_transactions(connection)
        if connection.in_nested_transaction():
            # Else they would stay for the rest of the host's transaction.
            connection.info[_BEFORE] = _settings(connection)
        _set_up(connection, wait)
        locks.take(connection, _IMPORTS, wait)

    def end(self, connection: sqlalchemy.Connection) -> None:
        for name, value in connection.info.pop(_BEFORE, {}).items():
            connection.exec_driver_sql("SELECT pg_catalog.set_config(%s, %s, true)", (name, value))

    def is_replica(self, connection: sqlalchemy.Connection) -> bool:
        return bool(connection.exec_driver_sql("SELECT pg_catalog.pg_is_in_recovery()").scalar())

    def lock(
        self, connection: sqlalchemy.Connection, tables: Sequence[TableInfo], *, write: bool
    ) -> None:
        mode = "ACCESS SHARE"
        if write:
            mode = "SHARE ROW EXCLUSIVE"
        elif connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed":
            mode = "SHARE"  # within the host's transaction: each statement sees another moment
        if tables:
            locks.take_tables(connection, tables, mode)

    def catalogue(self, connection: sqlalchemy.Connection, schemas: Sequence[str]) -> Catalogue:
        return read_catalogue(connection, schemas)

    def kind(self, column: Column) -> Kind:
        return _kind(column.details)

    def off_kind(self, column: Column) -> OffKind:
        is_text = isinstance(_kind(column.details), composite.Native)
        return "refuse" if is_text or column.details.name in _EXACT else "keep"

    def form(self, field: Field, column: Column) -> Form:
        return forms.form_of(field, column)

    def unsuitable(self, field: Field, column: Column) -> str | None:
        return forms.unsuitable(field, column)

    def is_ordered(self, collection: Collection, columns: Mapping[str, Column]) -> bool:
        return all(
            isinstance(collection.field(name).value_kind, _ORDERED)
            and collection.field(name).off_kind == "refuse"
            and self._in_order(collection.field(name).value_kind, column)
            for name, column in columns.items()
        )

    def _in_order(self, kind: Kind, column: Column) -> bool:
        """Whether the type's own order, or that of its text, is the order of values."""
        if isinstance(kind, kinds.Str | composite.Enum):
            return not (isinstance(kind, composite.Enum) and type(kind.values[0]) is int)
        return column.details.name not in ("text", "varchar", "bpchar", "name", "citext")

    def snapshot(self, scope: Scope) -> PostgreSQLSnapshot:
        return PostgreSQLSnapshot(scope)

    def transaction(self, scope: Scope) -> PostgreSQLTransaction:
        tables = [plan.info.name for plan in scope.plans.values()]
        if may_alter(scope.catalogue, tables):
            return PostgreSQLTransaction(scope)
        return EnforcedTransaction(scope)

    def error(self, error: BaseException, doing: str) -> DatabackupError:
        return errors.store_error(error, doing)

    def is_disconnect(self, error: BaseException) -> bool:
        return errors.is_disconnect(error)


def _require_transactions(connection: sqlalchemy.Connection) -> None:
    driver: Any = connection.connection.driver_connection
    if driver.autocommit:
        raise StoreError("the connection is in AUTOCOMMIT mode: give it another isolation level")


def _wanted(connection: sqlalchemy.Connection) -> dict[str, str]:
    """The settings of an export or import, of those that the server has."""
    version = connection.dialect.server_version_info or ()
    return _SETTINGS | (_SINCE_17 if version >= (17,) else {})


def _settings(connection: sqlalchemy.Connection) -> dict[str, str]:
    """The settings that an import changes, as they are."""
    names = [*_wanted(connection), "lock_timeout"]
    found = connection.exec_driver_sql(
        "SELECT name, pg_catalog.current_setting(name) FROM unnest(%s::text[]) AS name", (names,)
    )
    return {name: value for name, value in found}  # noqa: C416 - rows are no pairs to mypy


def _set_up(connection: sqlalchemy.Connection, wait: float) -> None:
    for name, value in _wanted(connection).items():
        connection.exec_driver_sql(f"SET LOCAL {name} = '{value}'")
    patience = int(min(max(1.0, wait * 1000), _LONGEST_WAIT))
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {patience}")


def _kind(type_: Type) -> Kind:
    if type_.name == "numeric":
        declared = forms.declared_digits(type_)
        return kinds.Decimal(None if declared is None else max(0, declared[1]))
    if type_.name == "enum":
        return composite.Enum(type_.labels)
    if type_.element is not None:
        return composite.List(composite.Optional(_kind(type_.element)))
    return _KINDS.get(type_.name) or composite.Native(type_.name)
