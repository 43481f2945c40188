"""The advisory lock that keeps a second import out, and who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg
from sqlalchemy.exc import DBAPIError

from databackup.errors import StoreLocked

if TYPE_CHECKING:
    import sqlalchemy

_SAVEPOINT: Final = "databackup_lock"
_HOLDER: Final = """
SELECT a.pid, a.usename, a.application_name, host(a.client_addr), a.xact_start
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = %s
"""


def take(connection: sqlalchemy.Connection, lock: int, wait: float) -> None:
    """Take the lock up to the end of the transaction, whose lock_timeout is set.

    Raises `StoreLocked`, which names the holder.
    """
    connection.exec_driver_sql(f"SAVEPOINT {_SAVEPOINT}")
    try:
        connection.exec_driver_sql("SELECT pg_catalog.pg_advisory_xact_lock(%s)", (lock,))
    except DBAPIError as error:
        if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise
        connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        raise StoreLocked(
            "another import into this database is under way"
            f"{_holder(connection, lock)} (waited {wait} s)"
        ) from error
    connection.exec_driver_sql(f"RELEASE SAVEPOINT {_SAVEPOINT}")


def _holder(connection: sqlalchemy.Connection, lock: int) -> str:
    found = connection.exec_driver_sql(_HOLDER, (lock,)).first()
    if found is None:
        return ""  # it has just ended
    pid, user, application, address, since = found
    named = f" {application!r}" if application else ""
    where = f" at {address}" if address else ""
    begun = f", since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return f", in the process {pid}{named} of {user}{where}{begun}"
