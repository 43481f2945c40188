"""A process that is killed at any statement of an import into a server."""

import contextlib
import importlib
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import psycopg
import pytest

from databackup import import_all
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.testing.harness import fill
from tests.failure.test_killed_imports import SPOILED
from tests.support import engines, mysql, pgtables, processes
from tests.support.archives import exported
from tests.support.club import CLUB, Dataset, memory

pytestmark = pytest.mark.unmeasured

ARCHIVE = exported(memory())
_PYMYSQL: Any = importlib.import_module("pymysql.connections").Connection  # it has no types
_PATIENCE = 10.0  # seconds that a server may take to give up what a killed process had locked
# References and triggers, which an import into PostgreSQL takes off, and puts on again.
_DEFINITIONS = (
    "SELECT conname, pg_get_constraintdef(oid), NULL FROM pg_constraint WHERE contype = 'f' "
    "UNION ALL SELECT tgname, tgenabled::text, tgrelid::regclass::text FROM pg_trigger "
    "WHERE NOT tgisinternal ORDER BY 1, 2"
)


_OTHERS = {
    "postgresql": "SELECT pid FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist "
    "WHERE db = database() AND id <> connection_id()",
}


@attrs.define
class _Deadly:
    """Counts the times that a driver is about to ask its server, or has sent what it asks."""

    count: int = 0
    last: int | None = None

    def step(self) -> None:
        """One more; the last one ends the process."""
        self.count += 1
        if self.count == self.last:
            processes.kill_self()

    @contextlib.contextmanager
    def watching(self, name: str) -> Iterator[None]:
        """Count what the driver of a server does within the block."""
        with pytest.MonkeyPatch.context() as patch:
            if name == "mysql":
                kind, method = _PYMYSQL, "_execute_command"
            else:
                kind, method = psycopg.Connection, "wait"
            patch.setattr(kind, method, self._watched(getattr(kind, method), name))
            yield

    def _watched(self, ask: Callable[..., Any], name: str) -> Callable[..., Any]:
        def sent(generator: Any) -> Any:
            """What psycopg does, which is under way at the server when it first waits to read."""
            try:
                waiting = next(generator)
                self.step()
                while True:
                    waiting = generator.send((yield waiting))
            except StopIteration as end:
                return end.value

        def of_psycopg(connection: Any, generator: Any, *rest: Any, **options: Any) -> Any:
            self.step()
            return ask(connection, sent(generator), *rest, **options)

        def of_pymysql(connection: Any, command: int, sql: Any) -> None:
            self.step()
            ask(connection, command, sql)
            if sql.lstrip()[:6].upper() not in ("SELECT", b"SELECT"):  # nothing comes of those
                self.step()

        return of_pymysql if name == "mysql" else of_psycopg


@contextlib.contextmanager
def _database(name: str, dataset: Dataset) -> Iterator[engines.Database]:
    """A new database that holds a dataset; PostgreSQL's has a trigger as well."""
    with engines.database(name) as database:
        if name == "mysql":
            mysql.create(database.engine, CLUB)
        else:
            pgtables.create(database.engine, CLUB)
            database.run(
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'never'; END $$",
                "CREATE TRIGGER guard BEFORE DELETE ON teams FOR EACH ROW EXECUTE FUNCTION f()",
            )
        fill(SQLAlchemyRepository(database.engine, CLUB), dataset)
        yield database


def _dump(database: engines.Database) -> dict[str, list[str]]:
    """All that is there, through a new connection, once no session of a killed process is left."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:

        def query(sql: str) -> list[str]:
            return list(map(repr, connection.exec_driver_sql(sql)))

        end = time.monotonic() + _PATIENCE
        while query(_OTHERS[database.name]):
            assert time.monotonic() < end
            time.sleep(0.005)
        tables = {c.name: sorted(query(f"SELECT * FROM {c.name}")) for c in CLUB.collections}
        if database.name == "postgresql":
            tables["definitions"] = query(_DEFINITIONS)
        return tables


@pytest.mark.slow
@pytest.mark.parametrize("case", ["empty", "spoiled"])
@pytest.mark.parametrize("name", engines.NAMES)
def test_killed_at_every_statement(name: str, case: str) -> None:
    """The server then has the old data or the new, and no lock: the next import goes ahead."""
    dataset = SPOILED if case == "spoiled" else {}
    with _database(name, dataset) as database:
        repository = SQLAlchemyRepository(database.engine, CLUB)
        assert CLUB.collections == repository.schema.collections  # which it remembers
        old = _dump(database)
        found: list[dict[str, list[str]]] = []
        ended = processes.KILLED
        while ended == processes.KILLED:
            deadly = _Deadly(last=len(found) + 1)
            ended = processes.run(lambda deadly=deadly: _import(repository, deadly, name))  # type: ignore[misc]
            found.append(_dump(database))
            if found[-1] != old:
                import_all(repository, io.BytesIO(exported(memory(dataset))))
                assert old == _dump(database)
    new = found[-1]
    assert processes.DONE == ended
    assert old != new
    # Old up to the commit, new from then on.
    committed = found.index(new)
    assert [old] * committed + [new] * (len(found) - committed) == found
    assert 50 < committed < len(found) - 1


def _import(repository: SQLAlchemyRepository, deadly: _Deadly, name: str) -> None:
    with deadly.watching(name):
        import_all(repository, io.BytesIO(ARCHIVE), wait=_PATIENCE)
