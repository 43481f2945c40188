"""Which foreign keys can be satisfied one statement after another, and which only at once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from databackup.adapters.sqlalchemy.postgresql.constraints import Constraint


def is_immediate(constraint: Constraint) -> bool:
    """Whether it is checked, or acts, at the end of each statement, whatever is deferred."""
    return not constraint.is_deferrable or constraint.on_delete != "a"


def can_be_empty(constraint: Constraint) -> bool:
    """Whether a record may point nowhere: NULL in one column, with MATCH FULL in all of them."""
    if constraint.matches_full:
        return set(constraint.nullable) == set(constraint.columns)
    return bool(constraint.nullable)


def in_cycles(constraints: Iterable[Constraint]) -> list[Constraint]:
    """Those that lie on a cycle of tables none of which can be written before the others.

    A table that refers to itself is none: one statement writes all of its records.
    """
    rigid = [
        c
        for c in constraints
        if not c.is_deferrable and not can_be_empty(c) and c.child != c.parent
    ]
    parents: dict[int, set[int]] = defaultdict(set)
    for constraint in rigid:
        parents[constraint.child].add(constraint.parent)
    return [c for c in rigid if c.child in _reached(parents, c.parent)]


def _reached(parents: Mapping[int, set[int]], start: int) -> set[int]:
    found, todo = {start}, [start]
    while todo:
        for parent in parents.get(todo.pop(), ()):
            if parent not in found:
                found.add(parent)
                todo.append(parent)
    return found
