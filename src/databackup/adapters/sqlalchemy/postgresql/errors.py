"""The server's and the driver's errors as errors of this library."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import psycopg

from databackup.errors import (
    DatabackupError,
    RecordsRefused,
    StoreDenied,
    StoreFailed,
    StoreLocked,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# The codes of https://www.postgresql.org/docs/current/errcodes-appendix.html
_LOCKED: Final = ("55P03", "40P01")
_DENIED: Final = (
    "25006",  # a read-only transaction
    "42501",
)
_LOST: Final = ("08", "57P", "25P03", "25P04")  # the last ones are time limits
_REFUSED_CLASSES: Final = ("22", "23", "54")
_RAISED: Final = "P0"  # the class of what functions in PL/pgSQL raise


def store_error(error: BaseException, doing: str) -> DatabackupError:
    """The error of this library."""
    cause: Any = getattr(error, "orig", None) or error
    state, message = _state(cause), _message(cause)
    if state in _LOCKED:
        return StoreLocked(f"{doing}: {message}")
    if state in _DENIED:
        return StoreDenied(f"{doing}: {message}")
    if state.startswith(_REFUSED_CLASSES) or isinstance(
        cause, psycopg.DataError | UnicodeEncodeError
    ):
        return _refused(cause)
    if state.startswith(_LOST) or is_disconnect(error):
        return StoreFailed(f"{doing}: the connection was lost: {message}")
    return StoreFailed(f"{doing}: {message}")


@contextlib.contextmanager
def functions_refuse_records() -> Iterator[None]:
    """Let what a function of the host's raises be a refusal: while records are written it is.

    A trigger that fires, or a check, looks at the record. Anywhere else, as on a change of a
    definition, no record is to blame.
    """
    try:
        yield
    except StoreFailed as error:
        cause = getattr(error.__cause__, "orig", None) or error.__cause__
        if not _state(cause).startswith(_RAISED):
            raise
        raise _refused(cause) from error.__cause__


def is_disconnect(error: BaseException) -> bool:
    """Whether an error says that the connection is gone."""
    cause: Any = getattr(error, "orig", None) or error
    if getattr(error, "connection_invalidated", False):
        return True
    state = getattr(cause, "sqlstate", None)
    return isinstance(cause, psycopg.OperationalError) and (
        state is None or state.startswith(_LOST)
    )


def _state(cause: Any) -> str:
    return getattr(cause, "sqlstate", None) or ""


def _message(cause: Any) -> str:
    diagnostic = getattr(cause, "diag", None)
    return getattr(diagnostic, "message_primary", None) or str(cause).partition("\n")[0]


def _refused(cause: Any) -> RecordsRefused:
    diagnostic = getattr(cause, "diag", None)
    detail = getattr(diagnostic, "message_detail", None)
    field = getattr(diagnostic, "column_name", None)
    return RecordsRefused(_message(cause) + (f" ({detail})" if detail else ""), field)
