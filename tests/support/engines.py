"""New databases of real servers, and what a test asks of any of them in the same words."""

import contextlib
import secrets
import time
from collections.abc import Iterator
from typing import Any

import attrs
import sqlalchemy
from sqlalchemy.pool import NullPool

from tests.support import databases, sql

NAMES = ("postgresql", "mysql")
_PATIENCE = 10.0  # seconds that a server may take to end a session
_OWN_SESSION = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
_KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


@attrs.frozen
class Database:
    """A new, empty database of the server `name`; its engine keeps no connections."""

    name: str
    url: str
    engine: sqlalchemy.Engine

    def run(self, *statements: str) -> None:
        """Run statements in one transaction."""
        sql.run(self.engine, *statements)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a query through a new connection."""
        return sql.query(self.engine, statement)

    def kill_all(self) -> None:
        """End all other sessions of this database."""
        self.run(*(_KILL[self.name].format(number) for number in databases.others(self.url)))

    @contextlib.contextmanager
    def user(self, *rights: str, password: str = "") -> Iterator[sqlalchemy.Engine]:
        """An engine of a new user who has rights such as `SELECT ON t`.

        On a server that was started for the tests, PostgreSQL asks for no password.
        """
        name = f"databackup_{secrets.token_hex(6)}"
        if self.name == "postgresql":
            self.run(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        else:
            self.run(f"CREATE USER {name} IDENTIFIED BY '{password}'")
        try:
            self.run(*(f"GRANT {right} TO {name}" for right in rights))
            yield self.engine_with(username=name, password=password or None)
        finally:
            if self.name == "postgresql":
                self.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")
            else:
                self.run(f"DROP USER {name}")

    def kill(self, connection: sqlalchemy.Connection) -> None:
        """End the session of another connection."""
        number = connection.exec_driver_sql(_OWN_SESSION[self.name]).scalar_one()
        self.run(_KILL[self.name].format(number))

    def sessions(self) -> int:
        """How many there are, once those that end have had the time to."""
        end = time.monotonic() + _PATIENCE
        while (found := databases.connections(self.url)) and time.monotonic() < end:
            time.sleep(0.05)
        return found

    def engine_with(self, **changes: Any) -> sqlalchemy.Engine:
        """An engine of the same database, whose URL is changed so."""
        return sqlalchemy.create_engine(self.engine.url.set(**changes), poolclass=NullPool)


@contextlib.contextmanager
def database(name: str) -> Iterator[Database]:
    """A new database; without its server the test is skipped."""
    with getattr(databases, name)() as url:
        engine = sqlalchemy.create_engine(url, poolclass=NullPool)
        yield Database(name, url, engine)
        engine.dispose()
