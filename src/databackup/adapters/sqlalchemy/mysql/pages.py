"""The rows of one table in the order of a unique index, page by page.

Nothing is left on the connection between two pages. Most pages come joined, a column in one text;
what cannot be taken apart again is read row by row.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import attrs

from databackup.errors import StoreFailed
from databackup.schema.columns import Forms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from databackup.adapters.sqlalchemy.mysql.joined import JoinedColumns
    from databackup.adapters.sqlalchemy.mysql.statements import Statements
    from databackup.adapters.sqlalchemy.mysql.worker import Worker
    from databackup.adapters.sqlalchemy.plan import Plan
    from databackup.repository import Row

    _Fetch = Callable[[], tuple["_JoinedPage", Row | None]]

_Result = TypeVar("_Result")
_LEAST: Final = 8  # rows of a joined page
_LONGEST_PAUSE: Final = 10


class Query(Protocol):
    """Runs a statement and gives its rows; `doing` says what an error stops."""

    def __call__(self, sql: str, values: Any = None, *, doing: str) -> list[Row]: ...


class Ahead:
    """Work that is begun before what comes of it is asked for.

    `writes` tells how often was written: what came before a write is not true after it.
    """

    def __init__(self, worker: Worker, writes: Callable[[], int]) -> None:
        self._worker = worker
        self._writes = writes

    def begin(self, work: Callable[[], _Result]) -> Callable[[], _Result]:
        """Begin work, and do it again at the end if there was a write since."""
        before = self._writes()
        begun = self._worker.begin(work)
        return lambda: begun.result() if self._writes() == before else work()


@attrs.frozen
class _Bounds:
    """How many rows a joined page has at most, and of how many characters, roughly."""

    rows: int
    characters: int


_FOR_ROWS: Final = _Bounds(2000, 128 * 1024)  # whose callers hold few of them
_FOR_FORMS: Final = _Bounds(8000, 512 * 1024)


@attrs.define
class _Pace:
    """How far joined pages have got, how many rows the next one has, and how many come before it.

    Those are `pause` rows, which are read one by one.
    """

    bounds: _Bounds
    rows: int
    pause: int = 0
    failures: int = 0
    place: Row | None = None
    is_at_end: bool = False

    def went_well(self, page: _JoinedPage) -> None:
        self.failures = 0
        # One text that is as long as it may be, and the page has to be read once more.
        fitting = page.count * min(
            self.bounds.characters / sum(page.sizes), page.joined.limit / 2 / max(page.sizes)
        )
        self.rows = max(_LEAST, min(int(fitting), self.rows * 4, self.bounds.rows))

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
    def sizes(self) -> list[int]:
        """The characters of each text; there is one at least, if of no row."""
        return [1, *(len(text) for text in self.found if type(text) is str)]

    @functools.cached_property
    def near_forms(self) -> list[list[Any]] | None:
        return self.joined.near_forms(self.found)

    @functools.cached_property
    def stored(self) -> list[list[Any]] | None:
        return self.joined.stored(self.found)

    def forms(self, start: int, size: int) -> list[list[Any]] | None:
        """The forms of so many records, made anew each time: JSON's values live no longer."""
        if self.near_forms is None:
            return None
        return self.joined.forms([column[start : start + size] for column in self.near_forms])

    def rows(self, start: int, size: int) -> list[Row]:
        """So many rows, as the driver gives them."""
        columns = self.stored or ()
        return list(zip(*(column[start : start + size] for column in columns), strict=True))


class Pages:
    """The pages of one collection's rows, as the driver gives them.

    With `joined` pages may come that way; moments are then in UTC where the field is aware.
    `ordered` says that the index has rows in the order of their keys' values. `ahead` fetches a
    page while the one before is worked on.
    """

    def __init__(
        self,
        plan: Plan,
        statements: Statements,
        query: Query,
        *,
        joined: JoinedColumns | None,
        ordered: bool,
        ahead: Ahead,
    ) -> None:
        self._statements = statements
        self._query = query
        self._joined = joined
        self._ordered = plan.collection.key_positions if ordered else ()
        self._width = len(plan.columns)
        self._weight = plan.collection.codec.weight
        self._ahead = ahead
        self._load = plan.binder.load
        self._doing = f"{plan.collection} cannot be read"

    def rows(self, size: int) -> Iterator[list[Row]]:
        """All rows in batches of at most so many."""
        for page in self._pages(size, as_forms=False):
            if isinstance(page, list):
                yield page
            else:
                yield from (page.rows(start, size) for start in range(0, page.count, size))

    def forms(self, size: int) -> Iterator[Forms | list[Row]]:
        """All records in batches of at most so many, as forms where that can be."""
        fewer = max(1, size // self._weight)
        for page in self._pages(size, as_forms=True):
            if isinstance(page, list):
                yield self._load(page)
                continue
            for start in range(0, page.count, fewer):
                columns = page.forms(start, fewer)
                rows = functools.partial(self._rows_of, page, start, fewer)
                yield rows() if columns is None else Forms(columns, rows)

    def _pages(self, size: int, *, as_forms: bool) -> Iterator[_JoinedPage | list[Row]]:
        place: Row | None = None
        bounds = _FOR_FORMS if as_forms else _FOR_ROWS
        pace = _Pace(bounds, min(size, bounds.rows))
        while True:
            if self._joined is not None and pace.pause <= 0:
                yield from self._joined_pages(self._joined, place, pace, as_forms=as_forms)
                if pace.is_at_end:
                    return
                place = pace.place
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

    def _joined_pages(
        self, joined: JoinedColumns, place: Row | None, pace: _Pace, *, as_forms: bool
    ) -> Iterator[_JoinedPage]:
        """The pages behind a place, up to the end or to one that is to be read row by row."""
        pace.place = place
        fetched: _Fetch = functools.partial(self._fetch, joined, place, pace.rows)
        while True:
            page, up_to = fetched()
            if not page.count:
                pace.is_at_end = True
                return
            is_whole = (as_forms and page.near_forms is not None) or page.stored is not None
            if not is_whole or not self._in_order(page):
                pace.failed()
                return
            if pace.place is None and not self._is_as_row_by_row(page):
                self._joined = None
                return
            pace.went_well(page)
            if up_to is None:
                pace.is_at_end = True
                yield page
                return
            pace.place = up_to
            fetched = functools.partial(self._fetch, joined, up_to, pace.rows)
            if as_forms:  # rows are for callers that hold few of them
                fetched = self._ahead.begin(fetched)
            yield page

    def _fetch(
        self, joined: JoinedColumns, place: Row | None, count: int
    ) -> tuple[_JoinedPage, Row | None]:
        """The page of so many rows behind a place, and where it ends; None at the table's end."""
        statements = self._statements
        after = place is not None
        values = () if place is None else statements.place_values(place)
        found = self._query(statements.place_ahead(count, after=after), values, doing=self._doing)
        up_to = found[0] if found else None
        if up_to is not None:
            values += statements.place_values(up_to)
        sql = statements.joined(joined.selected, joined.bytes, after=after, up_to=up_to is not None)
        (selected,) = self._query(sql, values, doing=self._doing)
        return _JoinedPage(joined, selected), up_to

    def _is_as_row_by_row(self, page: _JoinedPage) -> bool:
        """Whether the first page is what comes row by row: another server may write otherwise."""
        rows, _ = self._page(None, page.count)
        expected = self._load([row[: self._width] for row in rows])
        return list(map(repr, expected)) == list(map(repr, self._load(page.rows(0, page.count))))

    def _in_order(self, page: _JoinedPage) -> bool:
        """Whether keys are increasing where they should be: the server promises no order here."""
        if not self._ordered:
            return True
        parts = page.joined.stored(page.found, self._ordered)
        if parts is None:
            return False
        keys = parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))
        return all(map(operator.lt, keys, keys[1:]))

    def _rows_of(self, page: _JoinedPage, start: int, size: int) -> list[Row]:
        return self._load(page.rows(start, size))
