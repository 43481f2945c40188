"""The rows of one table in the order of a unique index, page by page.

Nothing is left on the connection between two pages. Most pages come joined, a column in one text;
what cannot be taken apart again is read row by row.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from databackup.errors import StoreFailed
from databackup.schema.columns import Forms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from databackup.adapters.sqlalchemy.mysql.joined import JoinedColumns
    from databackup.adapters.sqlalchemy.mysql.statements import Statements
    from databackup.adapters.sqlalchemy.plan import Plan
    from databackup.repository import Row

    Load = Callable[[list[Row]], list[Row]]

_MOST: Final = 2000  # rows of a joined page
_LEAST: Final = 8
_CHARACTERS: Final = 128 * 1024  # of a joined page, roughly
_LONGEST_PAUSE: Final = 10


class Query(Protocol):
    """Runs a statement and gives its rows; `doing` says what an error stops."""

    def __call__(self, sql: str, values: Any = None, *, doing: str) -> list[Row]: ...


@attrs.define
class _Pace:
    """How many rows the next joined page has, and how many are read one by one before it."""

    rows: int
    pause: int = 0
    failures: int = 0

    def went_well(self, page: _JoinedPage) -> None:
        self.failures = 0
        fitting = page.count * _CHARACTERS // max(1, page.characters)
        self.rows = max(_LEAST, min(fitting, self.rows * 4, _MOST))

    def failed(self) -> None:
        self.pause = self.rows << min(self.failures, _LONGEST_PAUSE)
        self.failures += 1
        self.rows = max(_LEAST, self.rows // 2)


@attrs.frozen(slots=False)
class _JoinedPage:
    """What was selected of a page's rows."""

    joined: JoinedColumns
    found: Row

    @property
    def count(self) -> int:
        count: int = self.found[0]
        return count

    @property
    def characters(self) -> int:
        return sum(len(text) for text in self.found if type(text) is str)

    @functools.cached_property
    def forms(self) -> list[list[Any]] | None:
        return self.joined.forms(self.found)

    @functools.cached_property
    def stored(self) -> list[list[Any]] | None:
        return self.joined.stored(self.found)

    def rows(self, start: int, size: int) -> list[Row]:
        """So many rows, as the driver gives them."""
        columns = self.stored or ()
        return list(zip(*(column[start : start + size] for column in columns), strict=True))


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

    def rows(self, size: int) -> Iterator[list[Row]]:
        """All rows in batches of at most so many."""
        for page in self._pages(size, as_forms=False):
            if isinstance(page, list):
                yield page
            else:
                yield from (page.rows(start, size) for start in range(0, page.count, size))

    def forms(self, size: int, load: Load) -> Iterator[Forms | list[Row]]:
        """All rows in batches of at most so many, as forms where that can be.

        `load` makes rows with values of their kinds of rows as the driver gives them.
        """
        for page in self._pages(size, as_forms=True):
            if isinstance(page, list):
                yield load(page)
                continue
            for start in range(0, page.count, size):
                if page.forms is None:
                    yield load(page.rows(start, size))
                else:
                    columns = [column[start : start + size] for column in page.forms]
                    yield Forms(columns, functools.partial(_loaded, page, start, size, load))

    def _pages(self, size: int, *, as_forms: bool) -> Iterator[_JoinedPage | list[Row]]:
        place: Row | None = None
        pace = _Pace(min(size, _MOST))
        while True:
            if self._joined is not None and pace.pause <= 0:
                ahead = self._place_ahead(place, pace.rows)
                page = self._joined_page(self._joined, place, ahead, as_forms=as_forms)
                if page is not None:
                    pace.went_well(page)
                    yield page
                    if ahead is None:
                        return
                    place = ahead
                    continue
                pace.failed()
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
        rows = self._query(
            statements.page(size, after=place is not None), values, doing=self._doing
        )
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

    def _joined_page(
        self, joined: JoinedColumns, place: Row | None, ahead: Row | None, *, as_forms: bool
    ) -> _JoinedPage | None:
        """The rows behind one place and up to another; None where they are to be read one by one."""
        statements = self._statements
        values = [v for p in (place, ahead) if p is not None for v in statements.place_values(p)]
        sql = statements.joined(
            joined.selected, joined.bytes, after=place is not None, up_to=ahead is not None
        )
        (found,) = self._query(sql, tuple(values), doing=self._doing)
        page = _JoinedPage(joined, found)
        is_whole = (as_forms and page.forms is not None) or page.stored is not None
        return page if is_whole and self._in_order(page) else None

    def _in_order(self, page: _JoinedPage) -> bool:
        """Whether keys are increasing where they should be: the server promises no order here."""
        if not self._ordered:
            return True
        parts = page.joined.stored(page.found, self._ordered)
        if parts is None:
            return False
        keys = parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))
        return all(map(operator.lt, keys, keys[1:]))


def _loaded(page: _JoinedPage, start: int, size: int, load: Load) -> list[Row]:
    return load(page.rows(start, size))
