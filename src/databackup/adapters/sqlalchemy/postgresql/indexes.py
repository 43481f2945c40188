"""Indexes of an empty table, which are dropped while many records are put in, and then made anew.

To sort all keys at once takes a fraction of the time that an index takes for one after another.
What is made anew must be what it was, to the letter: an index is dropped only where its definition
says all about it and nothing rests on it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import attrs
import psycopg

from databackup.adapters.sqlalchemy.postgresql.catalogue import quoted
from databackup.errors import RecordsRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

WORTH: Final = 1000
"""So many records are worth the while: dropping and making an index takes milliseconds."""

_INDEXES: Final = """
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(x.relname),
  pg_catalog.pg_get_indexdef(i.indexrelid), k.conname, pg_catalog.pg_get_constraintdef(k.oid)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
LEFT JOIN pg_catalog.pg_constraint k
  ON k.conrelid = i.indrelid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
WHERE i.indrelid = %(table)s
  AND c.relkind = 'r' AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE c.oid IN (h.inhrelid, h.inhparent))
  AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
  AND pg_catalog.has_schema_privilege(c.relnamespace, 'CREATE')
  AND i.indisvalid AND i.indisready AND i.indislive
  AND NOT (i.indisclustered OR i.indisreplident OR i.indisexclusion)
  AND i.indexprs IS NULL AND i.indpred IS NULL
  AND x.reltablespace = 0 AND x.reloptions IS NULL
  AND (k.oid IS NULL OR (k.contype IN ('p', 'u') AND k.conname = x.relname))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_description d WHERE d.objoid IN (x.oid, k.oid)
    AND d.classoid IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_constraint'::regclass))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = x.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_constraint'::regclass AND d.refobjid = k.oid
    AND NOT (d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = x.oid))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_constraint'::regclass)
    AND d.objid IN (x.oid, k.oid) AND d.deptype IN ('e', 'x'))
ORDER BY k.contype = 'p' DESC NULLS LAST, i.indexrelid
"""
_FINGERPRINT: Final = """
SELECT 'constraint', k.conname::text, k.contype::text, pg_catalog.pg_get_constraintdef(k.oid),
  ARRAY[k.convalidated, k.condeferrable, k.condeferred, k.conislocal, k.connoinherit]::text
FROM pg_catalog.pg_constraint k WHERE k.conrelid = %(table)s
UNION ALL
SELECT 'index', x.relname::text, '', pg_catalog.pg_get_indexdef(i.indexrelid),
  ARRAY[i.indisprimary, i.indisunique, i.indimmediate, i.indisclustered, i.indisreplident]::text
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
WHERE i.indrelid = %(table)s
UNION ALL
SELECT 'column', a.attname::text, '', '', a.attnotnull::text
FROM pg_catalog.pg_attribute a WHERE a.attrelid = %(table)s AND a.attnum > 0
ORDER BY 1, 2
"""


@attrs.frozen
class _Index:
    """An index as it is to be made anew, by its constraint where it has one."""

    name: str
    definition: str
    constraint: str | None
    constraint_definition: str | None

    def drop(self, table: str) -> str:
        """The statement that drops it."""
        if self.constraint is None:
            return f"DROP INDEX {self.name}"
        return f"ALTER TABLE {table} DROP CONSTRAINT {quoted(self.constraint)}"

    def make(self, table: str) -> str:
        """The statement that makes it."""
        if self.constraint is None:
            return self.definition
        name = quoted(self.constraint)
        return f"ALTER TABLE {table} ADD CONSTRAINT {name} {self.constraint_definition}"


class DroppedIndexes:
    """The indexes of a table that are dropped while records are put in."""

    def __init__(self, driver: psycopg.Connection[Any], table: str, oid: int) -> None:
        self._driver = driver
        self._table = table
        self._oid = oid
        self._dropped: list[_Index] = []
        self._before: list[Any] = []

    def drop(self) -> None:
        """Drop what can be dropped, unless somebody is reading the table."""
        found = [_Index(*row) for row in self._all(_INDEXES)]
        if not found or not self._lock():
            return
        self._before = self._all(_FINGERPRINT)
        for index in found:
            self._driver.execute(index.drop(self._table).encode())
        self._dropped = found

    def make(self) -> None:
        """Make them anew. Raises the driver's errors, `RecordsRefused` where they differ."""
        for index in self._dropped:
            self._driver.execute(index.make(self._table).encode())
        if self._dropped and self._all(_FINGERPRINT) != self._before:
            raise RecordsRefused("the indexes cannot be made anew as they were")

    def _lock(self) -> bool:
        """Keep readers out, too, if there are none."""
        with contextlib.suppress(psycopg.errors.LockNotAvailable), _savepoint(self._driver):
            self._driver.execute(f"LOCK TABLE {self._table} IN ACCESS EXCLUSIVE MODE NOWAIT")
            return True
        return False

    def _all(self, sql: str) -> list[Any]:
        return self._driver.execute(sql, {"table": self._oid}).fetchall()


@contextlib.contextmanager
def _savepoint(driver: psycopg.Connection[Any]) -> Iterator[None]:
    driver.execute("SAVEPOINT databackup_lock")
    try:
        yield
    except psycopg.Error:
        driver.execute("ROLLBACK TO SAVEPOINT databackup_lock")
        raise
    finally:
        driver.execute("RELEASE SAVEPOINT databackup_lock")
