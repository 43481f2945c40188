"""The settings of a session while it reads or writes for this library, and given back after."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.adapters.sqlalchemy.mysql.modes import ANY_DATES
from databackup.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy

_KEY: Final = "databackup"
_LONGEST_WAIT: Final = 86_400
_READING: Final[dict[str, Any]] = {
    "sql_mode": ANY_DATES,
    "time_zone": "+00:00",
    "sql_select_limit": 2**64 - 1,
    "sql_auto_is_null": 0,
    "sql_safe_updates": 0,
    "sql_notes": 1,
    "max_error_count": 65_535,
    "max_sort_length": 8192,
    "max_statement_time": 0,  # MariaDB
    "max_execution_time": 0,  # MySQL
    "idle_transaction_timeout": 0,  # MariaDB, and so the next two
    "idle_readonly_transaction_timeout": 0,
    "idle_write_transaction_timeout": 0,
    "information_schema_stats_expiry": 0,  # MySQL
}
_WRITING: Final[dict[str, Any]] = {
    "foreign_key_checks": 0,
    "unique_checks": 1,
    "check_constraint_checks": 1,  # MariaDB
}


@attrs.define
class _Before:
    """How a session was before one export or import changed it."""

    settings: dict[str, Any] = attrs.field(factory=dict)
    lock: str = ""
    mode: str = ""
    """The sql_mode that the session has meanwhile."""


def reading(wait: float) -> dict[str, Any]:
    """The settings to read with, where a lock of a table is waited for so many seconds."""
    return _READING | {"lock_wait_timeout": math.ceil(min(max(1.0, wait), _LONGEST_WAIT))}


def writing(wait: float) -> dict[str, Any]:
    """The settings to write with, where a lock is waited for so many seconds."""
    found = reading(wait) | _WRITING
    return found | {"innodb_lock_wait_timeout": found["lock_wait_timeout"]}


def change(connection: sqlalchemy.Connection, wanted: dict[str, Any]) -> None:
    """Change those of the settings that the server has, and remember how they were."""
    connection.info.setdefault(_KEY, []).append(_Before())
    _require_utf8mb4(connection)
    # This one would cut off what SHOW VARIABLES says.
    ((limit,),) = connection.exec_driver_sql("SELECT @@sql_select_limit")
    _remember(connection, {"sql_select_limit": int(limit)})
    _set(connection, {"sql_select_limit": wanted["sql_select_limit"]})
    others = wanted.keys() - {"sql_select_limit"}
    found = connection.exec_driver_sql(
        f"SHOW SESSION VARIABLES WHERE variable_name IN ({', '.join(['%s'] * len(others))})",
        tuple(others),
    )
    before = {str(name).lower(): _value(text) for name, text in found}
    _remember(connection, before)
    _set(connection, {name: value for name, value in wanted.items() if name in before})
    _before(connection).mode = wanted["sql_mode"]


def use_mode(connection: sqlalchemy.Connection, mode: str) -> None:
    """Give the session another sql_mode, for what it reads or writes next."""
    if _before(connection).mode != mode:
        _set(connection, {"sql_mode": mode})
        _before(connection).mode = mode


def _remember(connection: sqlalchemy.Connection, values: dict[str, Any]) -> None:
    _before(connection).settings.update(values)


def give_back(connection: sqlalchemy.Connection) -> None:
    """Make the settings what they were before the last change, and give back its lock."""
    before = connection.info[_KEY].pop()
    if before.settings:
        _set(connection, before.settings)
    if before.lock:
        connection.exec_driver_sql(f"DO release_lock({before.lock})")


def is_used(connection: sqlalchemy.Connection) -> bool:
    """Whether an export or import is under way on a connection, beneath the one that asks."""
    return len(connection.info[_KEY]) > 1


def take_lock(connection: sqlalchemy.Connection, lock: str, wait: float) -> bool:
    """Take a lock of the session, which is given back with the settings."""
    ((taken,),) = connection.exec_driver_sql(f"SELECT get_lock({lock}, %s)", (wait,))
    if taken:
        _before(connection).lock = lock
    return bool(taken)


def _before(connection: sqlalchemy.Connection) -> _Before:
    found: _Before = connection.info[_KEY][-1]
    return found


def _set(connection: sqlalchemy.Connection, values: dict[str, Any]) -> None:
    names = ", ".join(f"SESSION {name} = %s" for name in values)
    connection.exec_driver_sql(f"SET {names}", tuple(values.values()))


def _value(text: str) -> Any:
    """A setting as SET takes it: numbers only as numbers."""
    for type_ in (int, float):
        try:
            return type_(text)
        except ValueError:
            continue
    return text


def _require_utf8mb4(connection: sqlalchemy.Connection) -> None:
    (found,) = connection.exec_driver_sql(
        "SELECT @@character_set_client, @@character_set_connection, @@character_set_results"
    )
    if set(found) != {"utf8mb4"}:
        spoken = ", ".join(sorted({str(name) for name in found}))
        raise StoreError(
            f"the connection's character set is {spoken}, which does not hold all text; "
            "add charset=utf8mb4 to the URL"
        )


@contextlib.contextmanager
def lenient(connection: sqlalchemy.Connection) -> Iterator[None]:
    """Let a record come with a number alone: for one that is undone at once."""
    checks = (
        {"check_constraint_checks": 0}
        if "check_constraint_checks" in _before(connection).settings
        else {}
    )
    mode = _before(connection).mode
    _set(connection, {"sql_mode": "NO_AUTO_VALUE_ON_ZERO", **checks})
    try:
        yield
    finally:
        _set(connection, {"sql_mode": mode, **dict.fromkeys(checks, 1)})
