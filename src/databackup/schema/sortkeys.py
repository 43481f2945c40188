"""What records are ordered by: numbers, then text, then bytes, each comparable with all others."""

from __future__ import annotations

import itertools
import operator
from typing import TYPE_CHECKING, Any, Final

from databackup.schema import kinds
from databackup.schema.columns import values_of
from databackup.schema.offkind import RawText

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from databackup.schema.columns import Forms
    from databackup.schema.model import Collection, Field

_TYPE_RANK: Final = {bool: 1, int: 1, float: 1, str: 2, RawText: 2, bytes: 3}


def compile_sort_keys(collection: Collection) -> Callable[[list[Any]], list[Any]]:
    """A function of rows that gives what each is ordered by."""
    positions = collection.key_positions
    if not positions:
        return lambda _rows: []
    fields = [collection.fields[position] for position in positions]
    if not any(_needs_rank(field) for field in fields):
        pick = operator.itemgetter(*positions)
        return lambda rows: list(map(pick, rows))

    def ranked(rows: list[Any]) -> list[Any]:
        columns = [_ranked_column([row[position] for row in rows]) for position in positions]
        return list(zip(*columns, strict=True))

    return ranked


def sort_keys_of(collection: Collection, forms: Forms) -> list[Any]:
    """What each of some records is ordered by, as `compile_sort_keys` has it of rows."""
    positions = collection.key_positions
    fields = [collection.fields[position] for position in positions]
    columns = [
        values_of(field.form, forms.columns[position])
        for field, position in zip(fields, positions, strict=True)
    ]
    if any(map(_needs_rank, fields)):
        return list(zip(*map(_ranked_column, columns), strict=True))
    return list(zip(*columns, strict=True) if len(columns) > 1 else itertools.chain(*columns))


def _needs_rank(field: Field) -> bool:
    """Whether values of a field do not all compare with each other: tags, or NaN."""
    return field.off_kind == "keep" or isinstance(field.value_kind, kinds.Float | kinds.Decimal)


def _ranked_column(values: Sequence[Any]) -> list[tuple[int, int, Any]]:
    """What `_ranked` makes of each value."""
    types = set(map(type, values))
    if types == {int}:
        rank = _TYPE_RANK[int]
        return [(rank, 0, value) for value in values]
    if types == {str}:
        rank = _TYPE_RANK[str]
        return [(rank, 0, value.encode()) for value in values]
    return list(map(_ranked, values))


def _ranked(value: Any) -> tuple[int, int, Any]:
    if value is None:
        return -1, 0, 0
    rank = _TYPE_RANK.get(type(value), 0)
    if rank == _TYPE_RANK[str]:
        return rank, 0, value.data if type(value) is RawText else value.encode()
    if value != value:  # noqa: PLR0124 - NaN alone differs from itself; it follows all numbers
        return rank, 1, 0
    return rank, 0, value
