"""The server's and the driver's errors as errors of this library."""

from __future__ import annotations

import re
from typing import Final

from databackup.errors import (
    DatabackupError,
    RecordsRefused,
    StoreDenied,
    StoreFailed,
    StoreLocked,
)

# The numbers of https://mariadb.com/kb/en/mariadb-error-code-reference/
_LOCKED: Final = frozenset({
    1020,  # the record has changed since it was read
    1205,  # a lock was waited for too long
    1213,  # a deadlock
    1614,  # a deadlock of distributed transactions
    3058,  # a deadlock of GET_LOCK
    3572,  # NOWAIT
})  # fmt: skip
_GONE: Final = frozenset({
    1053,  # the server shuts down
    1152, 1158, 1159, 1160, 1161,  # the network
    1927,  # KILL
    2006, 2013, 2014, 2055,  # the driver has lost the connection
    4031,  # MySQL ends an idle connection
})  # fmt: skip
_DENIED: Final = frozenset({
    1044, 1045, 1049, 1142, 1143, 1227, 1290, 1370, 1698, 1792, 1836, 4151,
})  # fmt: skip
_REFUSED: Final = frozenset({
    1048,  # NULL
    1062, 1586,  # a duplicate key
    1136, 1138, 1263, 1264, 1265, 1292, 1300, 1364, 1365, 1366, 1367, 1406, 1411, 1416, 1441, 1690,
    1216, 1217, 1451, 1452,  # a foreign key
    1644,  # SIGNAL, as triggers do
    3140, 3141, 3144, 3156,  # JSON
    3819, 4025,  # CHECK
})  # fmt: skip
_REFUSED_CLASSES: Final = ("22", "23", "45")
_COLUMN: Final = re.compile(r"[Cc]olumn (?:'([^']+)'|(?:`[^`]*`\.)*`((?:[^`]|``)+)`)")
_FIELD: Final = re.compile(r"Field '([^']+)' doesn't have a default value")


def code_of(error: BaseException) -> int | None:
    """The number of an error, the driver's own or as SQLAlchemy passes it on."""
    arguments = getattr(error, "orig", error) or error
    found = arguments.args[0] if getattr(arguments, "args", ()) else None
    return found if type(found) is int else None


def is_disconnect(error: BaseException) -> bool:
    """Whether an error says that the connection is gone."""
    return bool(getattr(error, "connection_invalidated", False)) or code_of(error) in _GONE


def store_error(error: BaseException, doing: str) -> DatabackupError:
    """The error of this library; neither the statement nor its values are shown."""
    original = getattr(error, "orig", None) or error
    code, said = code_of(error), str(original.args[-1] if original.args else original)
    message = f"{doing}: {said}"
    state = getattr(original, "sqlstate", None) or ""
    if is_disconnect(error):
        return StoreFailed(f"{doing}: the connection was lost: {said}")
    if code in _LOCKED:
        return StoreLocked(message)
    if code in _DENIED:
        return StoreDenied(message)
    if code in _REFUSED or state.startswith(_REFUSED_CLASSES):
        return RecordsRefused(message, column_in(said))
    return StoreFailed(message)


_INDEX: Final = re.compile(r"Duplicate entry .* for key '(?:[^']*\.)?([^'.]+)'", re.DOTALL)


def index_in(message: str) -> str | None:
    """The unique index that one of the server's messages names."""
    match = _INDEX.search(message)
    return match[1] if match else None


def column_in(message: str) -> str | None:
    """The column that one of the server's messages names."""
    match = _COLUMN.search(message) or _FIELD.search(message)
    if match is None:
        return None
    return next(name for name in match.groups() if name).replace("``", "`")
