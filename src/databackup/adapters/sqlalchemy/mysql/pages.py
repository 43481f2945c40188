"""The rows of one table in the order of a unique index, page by page.

Nothing is left on the connection between two pages. Most pages come joined, a column in one text;
what cannot be taken apart again is read row by row.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from databackup.errors import StoreFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.adapters.sqlalchemy.mysql.joined import JoinedColumns
    from databackup.adapters.sqlalchemy.mysql.statements import Statements
    from databackup.adapters.sqlalchemy.plan import Plan
    from databackup.repository import Row

_FIRST: Final = 350  # rows of the first joined page, before it is known how long they are
_MOST: Final = 2000
_LEAST: Final = 64  # fewer are no faster than row by row
_CHARACTERS: Final = 512 * 1024  # of a page, roughly
_LONGEST_PAUSE: Final = 10


class Query(Protocol):
    """Runs a statement and gives its rows; `doing` says what an error stops."""

    def __call__(self, sql: str, values: Any = None, *, doing: str) -> list[Row]: ...


@attrs.define
class _Pace:
    """How many rows the next joined page has, and how many are read one by one before it."""

    rows: int = _FIRST
    pause: int = 0
    failures: int = 0

    def went_well(self, columns: list[list[Any]], characters: int) -> None:
        self.failures = 0
        fitting = len(columns[0]) * _CHARACTERS // max(1, characters)
        self.rows = max(_LEAST, min(fitting, self.rows * 2, _MOST))

    def failed(self) -> None:
        self.pause = self.rows << min(self.failures, _LONGEST_PAUSE)
        self.failures += 1
        self.rows = max(_LEAST, self.rows // 2)


class Pages:
    """The pages of one collection's rows, as the driver gives them.

    With `joined` pages may come that way; moments are then in UTC where the field is aware.
    `ordered` says that the index has rows in the order of their keys' values.
    """

    def __init__(
        self,
        plan: Plan,
        statements: Statements,
        query: Query,
        *,
        joined: JoinedColumns | None,
        ordered: bool,
    ) -> None:
        self._statements = statements
        self._query = query
        self._joined = joined
        self._ordered = plan.collection.key_positions if ordered else ()
        self._width = len(plan.columns)
        self._doing = f"{plan.collection} cannot be read"

    def batches(self, size: int) -> Iterator[list[Row]]:
        """All rows in batches of at most so many."""
        place: Row | None = None
        pace = _Pace()
        while True:
            if self._joined is not None and pace.pause <= 0:
                ahead = self._place_ahead(place, pace.rows)
                columns = self._columns(self._joined, place, ahead, pace)
                if columns is not None:
                    for start in range(0, len(columns[0]), size):
                        parts = (column[start : start + size] for column in columns)
                        yield list(zip(*parts, strict=True))
                    if ahead is None:
                        return
                    place = ahead
                    continue
            rows, place = self._page(place, size)
            if not rows:
                return
            pace.pause -= len(rows)
            yield rows if len(rows[0]) == self._width else [row[: self._width] for row in rows]
            if len(rows) < size:
                return

    # -- row by row ------------------------------------------------------------------------------

    def _page(self, place: Row | None, size: int) -> tuple[list[Row], Row | None]:
        """So many rows behind a place, and the place of the last one."""
        statements = self._statements
        values = None if place is None else statements.place_values(place)
        rows = self._query(statements.page(size, after=place is not None), values, doing=self._doing)
        last = statements.place_of(rows[-1]) if rows else place
        if rows and last == place:
            raise StoreFailed(f"{self._doing}: its index has no order")
        return rows, last

    # -- joined ----------------------------------------------------------------------------------

    def _place_ahead(self, place: Row | None, count: int) -> Row | None:
        """The place so many rows ahead; None where fewer are left."""
        statements = self._statements
        values = None if place is None else statements.place_values(place)
        sql = statements.place_ahead(count, after=place is not None)
        found = self._query(sql, values, doing=self._doing)
        return found[0] if found else None

    def _columns(
        self, joined: JoinedColumns, place: Row | None, ahead: Row | None, pace: _Pace
    ) -> list[list[Any]] | None:
        """The columns of the rows behind one place and up to another, None for row by row."""
        statements = self._statements
        values = [v for p in (place, ahead) if p is not None for v in statements.place_values(p)]
        sql = statements.joined(
            joined.selected, joined.bytes, after=place is not None, up_to=ahead is not None
        )
        (found,) = self._query(sql, tuple(values), doing=self._doing)
        columns = joined.columns(found)
        if columns is None or not self._in_order(columns):
            pace.failed()
            return None
        pace.went_well(columns, sum(len(text) for text in found if type(text) is str))
        return columns

    def _in_order(self, columns: list[list[Any]]) -> bool:
        """Whether keys are increasing where they should be: the server promises no order here."""
        if not self._ordered:
            return True
        parts = [columns[place] for place in self._ordered]
        keys = parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))
        return all(map(operator.lt, keys, keys[1:]))
