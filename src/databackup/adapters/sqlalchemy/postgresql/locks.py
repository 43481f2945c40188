"""Locks, and who holds them: that which keeps a second import out, and those of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
from sqlalchemy.exc import DBAPIError

from databackup.errors import StoreLocked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy

    from databackup.adapters.sqlalchemy.catalogue import TableInfo

_SAVEPOINT: Final = "databackup_lock"
_SESSION: Final = "a.pid, a.usename, a.application_name, host(a.client_addr), a.xact_start"
_HOLDER: Final = f"""
SELECT {_SESSION}
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = %s
"""
# Who only waits for a lock is in the way of those behind it, too.
_HOLDERS: Final = f"""
SELECT {_SESSION}, n.nspname || '.' || c.relname, l.granted
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_stat_activity a USING (pid)
JOIN pg_catalog.pg_class c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation' AND l.pid <> pg_catalog.pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND coalesce(pg_catalog.pg_partition_root(l.relation), l.relation) = ANY(%s)
  AND l.mode = ANY(%s)
ORDER BY l.granted DESC, a.xact_start
LIMIT 1
"""
_EXCLUSIVE: Final = ("ExclusiveLock", "AccessExclusiveLock")
_WRITING: Final = ("RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareRowExclusiveLock")
# The modes that stand in the way of a mode.
_AGAINST: Final = {
    "ACCESS SHARE": ("AccessExclusiveLock",),
    "SHARE": (*_WRITING, *_EXCLUSIVE),
    "SHARE ROW EXCLUSIVE": ("ShareLock", *_WRITING, *_EXCLUSIVE),
}


def take(connection: sqlalchemy.Connection, lock: int, wait: float) -> None:
    """Take the lock up to the end of the transaction, whose lock_timeout is set.

    Raises `StoreLocked`, which names the holder.
    """
    failure = _tried(connection, "SELECT pg_catalog.pg_advisory_xact_lock(%s)", (lock,))
    if failure is not None:
        found = connection.exec_driver_sql(_HOLDER, (lock,)).first()
        raise StoreLocked(
            f"another import into this database is under way{_session(found)} (waited {wait} s)"
        ) from failure


def take_tables(connection: sqlalchemy.Connection, tables: Sequence[TableInfo], mode: str) -> None:
    """Lock tables up to the end of the transaction, whose lock_timeout is set.

    Raises `StoreLocked`, which names who is in the way.
    """
    names = ", ".join(table.sql for table in tables)
    failure = _tried(connection, f"LOCK TABLE {names} IN {mode} MODE")
    if failure is None:
        return
    oids = [table.details.oid for table in tables]
    found = connection.exec_driver_sql(_HOLDERS, (oids, list(_AGAINST[mode]))).first()
    if found is None:
        raise StoreLocked(f"the tables are locked: {failure.orig}") from failure
    *session, name, is_granted = found
    how = "is locked" if is_granted else "is about to be locked"
    raise StoreLocked(f"the table {name} {how}{_session(session)}: {failure.orig}") from failure


def _tried(
    connection: sqlalchemy.Connection, sql: str, values: tuple[Any, ...] = ()
) -> DBAPIError | None:
    """Run a statement; the error of a lock that was waited for in vain, which breaks nothing."""
    connection.exec_driver_sql(f"SAVEPOINT {_SAVEPOINT}")
    try:
        connection.exec_driver_sql(sql, values)
    except DBAPIError as error:
        if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise
        connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        return error
    connection.exec_driver_sql(f"RELEASE SAVEPOINT {_SAVEPOINT}")
    return None


def _session(found: Sequence[Any] | None) -> str:
    if found is None:
        return ""  # it has just ended
    pid, user, application, address, since = found
    named = f" {application!r}" if application else ""
    where = f" at {address}" if address else ""
    begun = f", since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return f", in the process {pid}{named} of {user}{where}{begun}"
