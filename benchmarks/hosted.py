"""The shop on a database server, and the steps there: databackup's, and those of its peers."""

import contextlib
import importlib.util
import os
import secrets
import shutil
import sys
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

import attrs

from benchmarks.child import measure
from benchmarks.plan import Group, Step
from servers import postgresql
from servers.sessions import DURABLE, NotThere, Server

Schema = Literal["reflected", "models"]


@attrs.frozen(kw_only=True)
class Engine:
    """A kind of server, and the commands that databackup is held against there.

    `archive` is the suffix of archives that compare with what those commands write.
    """

    server: Server
    driver: str
    groups: Mapping[Schema, Group]
    archive: str
    programs: Callable[[], str | None]
    tools: tuple[str, ...]
    peers: Callable[["Shop"], Iterator[Step]]

    @property
    def search_path(self) -> str:
        """Where its commands are looked for: those of the server that is started come first."""
        path = os.environ.get("PATH", os.defpath)
        own = self.programs() if not self.server.given() else None
        return os.pathsep.join(filter(None, (own, path, self.programs())))

    def require(self) -> None:
        """Raises NotThere, which says what is missing."""
        for package in ("SQLAlchemy", self.driver):
            if importlib.util.find_spec(package.lower()) is None:
                raise NotThere(f"install the package {package}")
        for tool in self.tools:
            if shutil.which(tool, path=self.search_path) is None:
                raise NotThere(f"there is no command {tool}")


@attrs.frozen(kw_only=True)
class Shop:
    """A database with the shop's rows, another one that imports fill, and a folder for files."""

    engine: Engine
    url: str
    name: str
    rows: int
    folder: Path

    @property
    def target(self) -> str:
        """The name of the database that imports fill."""
        return f"{self.name}_target"

    def make(self) -> None:
        """Make folder and database."""
        self.folder.mkdir()
        measure(_stores("create", self.name, "--rows", str(self.rows)), env=self.env(self.name))

    def drop(self) -> None:
        """Drop both databases."""
        measure(_stores("drop", self.name, self.target), env=self.env(self.name))

    def env(self, database: str) -> dict[str, str]:
        """The variables by which a command finds server and database."""
        found = urllib.parse.urlsplit(self.url)
        return {
            "PATH": self.engine.search_path,
            "BENCHMARK_SERVER": self.url,
            "BENCHMARK_DATABASE": found._replace(path=f"/{database}").geturl(),
            "MYSQL_PWD": urllib.parse.unquote(found.password or ""),
        }

    def export(self, group: Group, name: str, makes: Path, *command: str | Path) -> Step:
        """A step that reads the database with the rows."""
        return Step(
            group=group,
            name=name,
            rows=self.rows,
            command=command,
            before=_stores("drop", self.target),
            makes=makes,
            env=self.env(self.name),
        )

    def load(self, group: Group, name: str, *command: str | Path, tables: bool = False) -> Step:
        """A step that fills the other database, in which at most its tables are."""
        empty = ("--rows", "0") if tables else ()
        return Step(
            group=group,
            name=name,
            rows=self.rows,
            command=command,
            is_import=True,
            before=_stores("create", self.target, *empty),
            env=self.env(self.target),
        )


@contextlib.contextmanager
def shop(engine: Engine, folder: Path, rows: int) -> Iterator[Shop]:
    """The shop with its rows. Raises NotThere.

    When the block ends, its databases are dropped from a server that was given; one that the run
    has started goes with them, without waiting until it has rolled an import back.
    """
    engine.require()
    name = f"databackup_bench_{secrets.token_hex(4)}"
    made = Shop(engine=engine, url=engine.server.url(), name=name, rows=rows, folder=folder)
    try:
        made.make()
        yield made
    finally:
        if engine.server.given():
            made.drop()


def databackup(shop: Shop, schema: Schema) -> Iterator[Step]:
    """Export, import into empty tables, and a comparison that finds no difference."""
    group = shop.engine.groups[schema]
    archive = shop.folder / f"{schema}{shop.engine.archive}"
    yield _export(shop, schema, archive)
    for name in ("import", "import with read-back"):
        yield shop.load(group, name, *_child(name, schema, archive), tables=True)
    name = "diff of equal data"
    yield attrs.evolve(
        shop.export(group, name, archive, *_child(name, schema, archive)), makes=None
    )


def compressed(shop: Shop) -> Iterator[Step]:
    """An export that compresses as it writes, where the one that is compared does not."""
    if shop.engine.archive != ".json.zst":
        yield _export(shop, "models", shop.folder / "models.json.zst")


def export_to(suffix: str) -> str:
    """The name of a step that exports to an archive of a suffix."""
    return "export" if suffix == ".json" else f"export to {suffix}"


def _export(shop: Shop, schema: Schema, archive: Path) -> Step:
    name = export_to("".join(archive.suffixes))
    command = _child("export", schema, archive)
    return shop.export(shop.engine.groups[schema], name, archive, *command)


def _child(step: str, schema: Schema, archive: Path) -> tuple[str | Path, ...]:
    module = (sys.executable, "-m", "benchmarks.steps")
    return (*module, step, schema, "$BENCHMARK_DATABASE", archive)


def _stores(action: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "benchmarks.stores", action, *arguments)


def _pg_dump(shop: Shop) -> Iterator[Step]:
    """PostgreSQL's own commands: into a compressed file, and into an empty database."""
    dump = shop.folder / "dump.pgdump"
    # The shell keeps the URL, which may have a password, out of the command that errors show.
    run = ("sh", "-c", 'exec "$0" --dbname="$BENCHMARK_DATABASE" "$@"')
    options = ("--format=custom", "--file", dump)
    yield shop.export("pg_dump", "pg_dump -Fc", dump, *run, "pg_dump", *options)
    yield shop.load("pg_dump", "pg_restore", *run, "pg_restore", dump)


def _mariadb_dump(shop: Shop) -> Iterator[Step]:
    """MariaDB's own commands: out as SQL, and into an empty database."""
    dump = shop.folder / "dump.sql"
    found = urllib.parse.urlsplit(shop.url)
    login = (
        "--no-defaults",
        f"--host={found.hostname}",
        f"--port={found.port or 3306}",
        f"--user={urllib.parse.unquote(found.username or '')}",
    )
    out = ("mariadb-dump", *login, "--single-transaction", shop.name)
    yield attrs.evolve(shop.export("mariadb-dump", "mariadb-dump", dump, *out), writes=dump)
    load = shop.load("mariadb-dump", "mariadb < dump.sql", "mariadb", *login, shop.target)
    yield attrs.evolve(load, reads=dump)


def _bundled() -> str | None:
    found = postgresql.bundled()
    return str(found) if found else None


ENGINES: Final[Mapping[str, Engine]] = {
    "postgresql": Engine(
        server=DURABLE["postgresql-durable"],
        driver="psycopg",
        groups={"reflected": "postgresql-reflected", "models": "postgresql-models"},
        archive=".json.zst",
        programs=_bundled,
        tools=("pg_dump", "pg_restore"),
        peers=_pg_dump,
    ),
    "mariadb": Engine(
        server=DURABLE["mysql-durable"],
        driver="PyMySQL",
        groups={"reflected": "mariadb-reflected", "models": "mariadb-models"},
        archive=".json",
        programs=lambda: None,
        tools=("mariadb-dump", "mariadb"),
        peers=_mariadb_dump,
    ),
}
