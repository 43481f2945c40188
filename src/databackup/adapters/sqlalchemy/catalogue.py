"""What a database says about itself, in the terms that all engines have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@attrs.frozen(kw_only=True)
class Column:
    """A column that can be read and written.

    `declared` is its type in the engine's own words; `details` what a dialect needs to know beyond
    that. `counted` says that the engine itself can give out numbers for it.
    """

    name: str
    declared: str
    nullable: bool = True
    counted: bool = False
    details: Any = None


@attrs.frozen(kw_only=True)
class ForeignKey:
    """A foreign key; tables are named as in `Catalogue.tables`.

    `details` holds what a dialect needs to know beyond the rest.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    parent: str
    to: tuple[str, ...]
    on_delete: str = "NO ACTION"
    details: Any = None


@attrs.frozen(kw_only=True)
class TableInfo:
    """A table; generated columns are left out.

    `sql` is its name as it stands in a statement with parameters. `problem` says why it cannot be
    backed up, and `details` holds what a dialect needs to know beyond the rest.
    """

    name: str
    sql: str
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    problem: str | None = None
    details: Any = None

    def is_unique(self, columns: Iterable[str]) -> bool:
        """Whether rows differ in these columns, by the table's primary key or another one."""
        wanted = set(columns)
        return any(set(key) == wanted for key in (self.primary_key, *self.unique) if key)


@attrs.frozen(kw_only=True)
class Catalogue:
    """All that a database says about itself.

    `tables` are by name, those of another than the default schema as `schema.table`; `housekeeping`
    has what is no app's data, each with the reason.
    """

    tables: Mapping[str, TableInfo]
    foreign_keys: tuple[ForeignKey, ...] = ()
    housekeeping: Mapping[str, str] = attrs.field(factory=dict)
