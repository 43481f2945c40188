"""The steps: databackup's, and those of its peers on the same rows."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, get_args

import attrs

from benchmarks.child import Usage, measure

Group = Literal[
    "reflected",
    "models",
    "sqlite3",
    "migrations",
    "django",
    "postgresql-reflected",
    "postgresql-models",
    "pg_dump",
    "mariadb-reflected",
    "mariadb-models",
    "mariadb-dump",
]
Id = tuple[Group, str]
GROUPS: Final[tuple[Group, ...]] = get_args(Group)
PARTS: Final[Mapping[str, tuple[Group, ...]]] = {
    "sqlite": ("reflected", "models", "sqlite3"),
    "migrations": ("migrations",),
    "django": ("django",),
    "postgresql": ("postgresql-reflected", "postgresql-models", "pg_dump"),
    "mariadb": ("mariadb-reflected", "mariadb-models", "mariadb-dump"),
}
_TITLES: Final[Mapping[Group, str]] = {
    "reflected": "reflected schema: ",
    "models": "attrs models: ",
    "sqlite3": "sqlite3 ",
    "migrations": "migrations: ",
    "django": "Django ",
    "postgresql-reflected": "PostgreSQL, reflected schema: ",
    "postgresql-models": "PostgreSQL, attrs models: ",
    "pg_dump": "",
    "mariadb-reflected": "MariaDB, reflected schema: ",
    "mariadb-models": "MariaDB, attrs models: ",
    "mariadb-dump": "",
}


@attrs.frozen
class Dataset:
    """A folder with the shop's database and an empty one, and room for what the steps make."""

    folder: Path
    rows: int

    @property
    def orders(self) -> Path:
        """The database that is exported."""
        return self.folder / "orders.db"

    @property
    def empty(self) -> Path:
        """Its tables without a row."""
        return self.folder / "empty.db"

    @property
    def old(self) -> Path:
        """An archive of version 1 of the shop."""
        return self.folder / "version-1.json"

    @property
    def new(self) -> Path:
        """An archive of version 6, of the same orders."""
        return self.folder / "version-6.json"

    @property
    def empty_new(self) -> Path:
        """The tables of version 6 without a row."""
        return self.folder / "empty-6.db"

    def make(self) -> None:
        """Make both databases, in processes whose memory does not count."""
        self.folder.mkdir()
        for path, rows in ((self.orders, self.rows), (self.empty, 0)):
            measure((sys.executable, "-m", "benchmarks.data", path, "--rows", str(rows)))

    def make_versions(self) -> None:
        """Make the archives of both versions, and the tables of the later one."""
        files = (self.orders, self.old, self.new, self.empty_new)
        measure((sys.executable, "-m", "benchmarks.history", *files))


@attrs.frozen(kw_only=True)
class Step:
    """One command, and what it works on.

    `makes` is the file that is there afterwards. Before, it is a copy of `begins_as`, or not there.
    `before` is a command that runs first and is not measured. An import fills a database from what
    another step has made.
    """

    group: Group
    name: str
    rows: int
    command: tuple[str | Path, ...]
    is_import: bool = False
    before: tuple[str | Path, ...] = ()
    makes: Path | None = None
    begins_as: Path | None = None
    reads: Path | None = None
    writes: Path | None = None
    env: dict[str, str] = attrs.field(factory=dict)

    @property
    def id(self) -> Id:
        """What it is found by."""
        return self.group, self.name

    @property
    def is_on_a_server(self) -> bool:
        """Whether a server works for it, whose processors and memory are not counted."""
        return self.group in PARTS["postgresql"] + PARTS["mariadb"]

    @property
    def size(self) -> int | None:
        """Bytes of the file that it makes."""
        return self.makes.stat().st_size if self.makes else None

    @property
    def title(self) -> str:
        """What it is called in the tables."""
        return f"{_TITLES[self.group]}{self.name}"

    def run(self) -> Usage:
        """Measure it. Raises `CommandFailed`."""
        if self.before:
            measure(self.before, env=self.env)
        if self.makes:
            self.makes.unlink(missing_ok=True)
        if self.makes and self.begins_as:
            shutil.copyfile(self.begins_as, self.makes)
        os.sync()  # what others have written is not this one's to wait for
        return measure(self.command, reads=self.reads, writes=self.writes, env=self.env)


def databackup(data: Dataset, group: Literal["reflected", "models"]) -> Iterator[Step]:
    """Export, import into empty tables, a comparison and a preview that find no difference."""
    archive = data.folder / f"{group}.json"
    target = data.folder / f"{group}.db"
    yield _export(data, group, archive, "export")
    for name in ("import", "import with read-back"):
        yield Step(
            group=group,
            name=name,
            rows=data.rows,
            command=_child(name, group, target, archive),
            is_import=True,
            makes=target,
            begins_as=data.empty,
        )
    for name in ("diff of equal data", "preview of equal data"):
        command = _child(name, group, data.orders, archive)
        yield Step(group=group, name=name, rows=data.rows, command=command)


def migrations(data: Dataset) -> Iterator[Step]:
    """Imports into version 6: of an archive of that version, and of one five steps older."""
    target = data.folder / "migrated.db"
    for step in ("import", "import with read-back"):
        for version, archive in ((6, data.new), (1, data.old)):
            yield Step(
                group="migrations",
                name=f"{step} of version {version}",
                rows=data.rows,
                command=_child(step, "migrations", target, archive),
                is_import=True,
                makes=target,
                begins_as=data.empty_new,
            )


def compressed(data: Dataset) -> Iterator[Step]:
    """Exports that compress and encrypt as they write."""
    for suffix in (".json.gz", ".json.zst", ".json.age", ".json.zst.age"):
        archive = data.folder / f"reflected{suffix}"
        yield _export(data, "reflected", archive, f"export to {suffix}")


def _export(data: Dataset, group: Group, archive: Path, name: str) -> Step:
    command = _child("export", group, data.orders, archive)
    return Step(group=group, name=name, rows=data.rows, command=command, makes=archive)


def _child(step: str, group: Group, database: Path, archive: Path) -> tuple[str | Path, ...]:
    return (sys.executable, "-m", "benchmarks.steps", step, group, database, archive)


def sqlite3(data: Dataset) -> Iterator[Step]:
    """The command `sqlite3`, where there is one: out as SQL, and in again."""
    if shutil.which("sqlite3") is None:
        return
    dump, target = data.folder / "dump.sql", data.folder / "dump.db"
    yield Step(
        group="sqlite3",
        name=".dump",
        rows=data.rows,
        command=("sqlite3", data.orders, ".dump"),
        makes=dump,
        writes=dump,
    )
    yield Step(
        group="sqlite3",
        name="< dump.sql",
        rows=data.rows,
        command=("sqlite3", target),
        is_import=True,
        makes=target,
        reads=dump,
    )


def django(data: Dataset) -> Iterator[Step]:
    """Django's commands for the same tables, where Django is installed."""
    if importlib.util.find_spec("django") is None:
        return
    fixture, target = data.folder / "dump.json", data.folder / "django.db"
    command = (sys.executable, "-m", "django")

    def settings(database: Path) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "benchmarks.django_shop.settings",
            "BENCHMARK_DATABASE": str(database),
        }

    yield Step(
        group="django",
        name="dumpdata",
        rows=data.rows,
        command=(*command, "dumpdata", "--output", fixture),
        makes=fixture,
        env=settings(data.orders),
    )
    yield Step(
        group="django",
        name="loaddata",
        rows=data.rows,
        command=(*command, "loaddata", fixture),
        is_import=True,
        makes=target,
        begins_as=data.empty,
        env=settings(target),
    )
