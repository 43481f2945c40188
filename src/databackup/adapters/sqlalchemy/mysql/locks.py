"""Who holds the lock that keeps a second import out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy


def holder(connection: sqlalchemy.Connection, lock: str) -> str:
    """The connection that has a lock of GET_LOCK, with as much as the server tells of it."""
    ((number,),) = connection.exec_driver_sql(f"SELECT is_used_lock({lock})")
    if number is None:
        return "a connection that has just ended"
    # Those of other users are shown to whoever has the right PROCESS.
    found = connection.exec_driver_sql(
        "SELECT user, host FROM information_schema.processlist WHERE id = %s", (number,)
    ).first()
    return f"the connection {number}" + (f" of {found[0]} at {found[1]}" if found else "")
