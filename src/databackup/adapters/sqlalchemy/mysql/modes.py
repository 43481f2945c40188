"""The sql_mode of a session: always strict, and as strict with dates as a table lets it be.

Under `REAL_DATES` the server refuses a date with zeros in it, or one that no calendar has. A table
that may have such dates is written under `ANY_DATES`; what a column takes is looked at before in
either case. What is read is always asked for under `ANY_DATES`: it may be there.
"""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Final

from databackup.adapters.sqlalchemy.mysql.columns import DATES, details

if TYPE_CHECKING:
    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.adapters.sqlalchemy.plan import Plan

_STRICT: Final = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO"
ANY_DATES: Final = f"{_STRICT},ALLOW_INVALID_DATES"
REAL_DATES: Final = f"{_STRICT},NO_ZERO_DATE,NO_ZERO_IN_DATE"

_OF_DATES: Final = re.compile("date|time|day|week|month|quarter|year", re.IGNORECASE)
_NOW: Final = re.compile(r"(current_timestamp|now|curdate)(\(\d?\))?", re.IGNORECASE)


def mode_of(plan: Plan) -> str:
    """The sql_mode that a table is written under."""
    covered = {column.name for column in plan.columns}
    left_out = (c for name, c in plan.info.columns.items() if name not in covered)
    pairs = zip(plan.collection.fields, plan.columns, strict=True)
    keeps = (f.off_kind == "keep" and details(c).type in DATES for f, c in pairs)
    needs_any = plan.info.details.computes_dates or any(keeps) or any(map(_may_fill_in, left_out))
    return ANY_DATES if needs_any else REAL_DATES


def computes_dates(expression: str, type_: str = "") -> bool:
    """Whether an expression of a table, of a column of this type, may work with dates.

    The server evaluates it under the session's mode, and would refuse text that it took before.
    """
    return type_ in DATES or bool(_OF_DATES.search(expression))


def _may_fill_in(column: Column) -> bool:
    """Whether a column's default may be a date that is none, or is computed from dates.

    MariaDB has text in quotes, and NULL as a word; MySQL has text as it is.
    """
    known = details(column)
    default = known.default
    if default is None or default == "NULL" or _NOW.fullmatch(default):
        return False
    if known.type in DATES:
        return not _is_real(default.strip("'"))
    return not default.startswith("'") and computes_dates(default)


def _is_real(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
