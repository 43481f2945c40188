"""Foreign keys that a store does not enforce while an import writes: what dangles in the end.

What dangled before an import may dangle after it; what newly does is refused, or, outside the
schema and where that is allowed, carried off by the foreign key's own action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import attrs

from databackup.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable


class ForeignKey(Protocol):
    """A foreign key of an engine's catalogue."""

    @property
    def table(self) -> str: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def parent(self) -> str: ...
    @property
    def on_delete(self) -> str: ...


_Key = TypeVar("_Key", bound=ForeignKey)


def referrers(keys: Iterable[ForeignKey], covered: Container[str], table: str) -> list[str]:
    """The foreign keys of tables that are not covered, and that refer to a table."""
    return [
        f"{key.table} ({', '.join(key.columns)})"
        for key in keys
        if key.parent == table and key.table not in covered
    ]


@attrs.frozen
class Dangling(Generic[_Key]):
    """Values of a foreign key that refer to nothing, and how many rows have them."""

    key: _Key
    values: tuple[Any, ...]
    rows: int

    @property
    def identity(self) -> tuple[_Key, tuple[Any, ...]]:
        """The values, whatever the number of rows."""
        return self.key, self.values

    def error(self, which: str) -> StoreError:
        """The error of these rows; `which` ends it: that the records do not exist, for one."""
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        verb = "refers" if self.rows == 1 else "refer"
        columns = ", ".join(self.key.columns)
        return StoreError(
            f"{rows} of the table {self.key.table!r} {verb} ({columns}) "
            f"to records of {self.key.parent!r} {which}"
        )


def settle(
    newly: Callable[[], Iterable[Dangling[_Key]]],
    covered: Container[str],
    carry_off: Callable[[Dangling[_Key]], None],
    *,
    actions: Container[str],
    allow_cascade: bool,
) -> None:
    """Carry off what newly dangles outside the schema where that is allowed, until nothing does.

    `covered` are the schema's tables, `actions` those of a foreign key that `carry_off` knows.
    Raises `StoreError` for what may not be carried off, or has no such action.
    """
    while found := list(newly()):
        for dangling in found:
            if dangling.key.table in covered:
                raise dangling.error("that do not exist")
            if not allow_cascade or dangling.key.on_delete not in actions:
                allow = "" if allow_cascade else "; allow_cascade lets the store carry them off"
                raise dangling.error(
                    f"that an import would delete. The schema leaves that table out{allow}"
                )
            carry_off(dangling)
