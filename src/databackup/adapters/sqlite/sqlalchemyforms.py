"""What SQLAlchemy writes into a column of SQLite otherwise than other hosts do."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from typing import TYPE_CHECKING, Any, Final

from databackup.adapters.sqlite.columns import DIGITS
from databackup.adapters.sqlite.definitions import upper
from databackup.schema import KindError, kinds
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from databackup.adapters._binding import Convert
    from databackup.adapters.sqlite.catalogue import Column
    from databackup.schema import Kind

_EPOCH: Final = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - SQLAlchemy's own has no offset
_LARGEST: Final = 2**63
_WIDE: Final = decimal.Context(prec=1000)


def sqlalchemy_form(kind: Kind, column: Column, *, exact: bool) -> tuple[Convert, Convert] | None:
    """The functions that read and write a kind, None where they are those of all hosts.

    `exact` says that the column declares the scale of its decimals.
    """
    declared = upper(column.declared)
    if isinstance(kind, kinds.Time):
        return _time(kind)
    if isinstance(kind, kinds.UUID) and declared == "CHAR(32)":
        return _taking_back(lambda stored: uuid.UUID(hex=stored), _hex)
    if isinstance(kind, kinds.Timedelta) and declared == "DATETIME":
        return _taking_back(
            lambda stored: datetime.datetime.fromisoformat(stored) - _EPOCH, _moment
        )
    if isinstance(kind, kinds.Decimal) and column.affinity == "NUMERIC" and not exact:
        return _taking_back(_decimal, _number)
    return None


def _taking_back(parse: Convert, write: Convert) -> tuple[Convert, Convert]:
    """A pair whose reading takes only what its writing would have written."""

    def read(stored: Any) -> Any:
        try:
            value = parse(stored)
            again = write(value)
        except (TypeError, ValueError, AttributeError, ArithmeticError):
            return stored
        return value if type(again) is type(stored) and again == stored else stored

    return read, write


def _time(kind: kinds.Time) -> tuple[Convert, Convert]:
    def write(value: Any) -> str:
        kind.encode(value)
        return str(value.isoformat("microseconds"))

    return _taking_back(datetime.time.fromisoformat, write)


def _hex(value: Any) -> str:
    if type(value) is not uuid.UUID:
        raise KindError("a UUID", shown(value))
    return value.hex


def _moment(value: Any) -> str:
    """The moment that is as long after 1970 began."""
    if type(value) is not datetime.timedelta:
        raise KindError("a duration", shown(value))
    try:
        return (_EPOCH + value).isoformat(" ", "microseconds")
    except OverflowError:
        raise KindError("a duration that ends in the years 1 to 9999", shown(value)) from None


# -- decimals without a scale, as integers and doubles -----------------------------------------


def _decimal(stored: Any) -> decimal.Decimal:
    if type(stored) is int:
        return decimal.Decimal(stored)
    if type(stored) is not float or not math.isfinite(stored):
        raise ValueError(stored)
    return decimal.Decimal(repr(stored))


def _number(value: Any) -> int | float:
    if type(value) is not decimal.Decimal or not value.is_finite():
        raise KindError("a decimal number", shown(value))
    if value == value.to_integral_value() and abs(value) < _LARGEST:
        return int(value)
    double = float(value)
    if decimal.Decimal(repr(double)) != value or _digits(value) > DIGITS:
        raise KindError(f"a decimal number of at most {DIGITS} digits", shown(value))
    return double


def _digits(value: decimal.Decimal) -> int:
    return len(value.normalize(_WIDE).as_tuple().digits)
