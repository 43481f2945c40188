import importlib
import itertools
import sys
import uuid
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner, Result

from databackup.cli.commands import cli
from tests.support.sqlite import dump, run

TABLES = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE orders (
        id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES people (id),
        amount REAL, note TEXT
    )""",
)
ROWS = (
    "INSERT INTO people VALUES (1, 'Ana'), (2, 'Bo')",
    "INSERT INTO orders VALUES (10, 1, 2.5, 'red'), (11, 2, 1e300, NULL), (12, 1, -0.5, 'blue')",
)

HOST = """
from databackup import Collection, Reference, Schema
from databackup.adapters.sqlite import SQLiteRepository

SCHEMA = Schema(
    app={app!r},
    version={version},
    collections=[
        Collection("people", key="id", fields={{"id": int, "name": str}}),
        Collection(
            "orders",
            key="id",
            fields={{"id": int, "person": int, "amount": float | None, "note": str | None}},
            references=[Reference("person", "people")],
        ),
    ],
)

def repository():
    return SQLiteRepository({path!r}, SCHEMA)
"""


@attrs.define
class Workshop:
    """A folder that is the current one, with a database in it and a command line to run."""

    folder: Path
    database: Path
    _numbers: "itertools.count[int]" = attrs.field(factory=itertools.count)

    def run(self, *arguments: str | Path, stdin: bytes = b"") -> Result:
        """Run a command in this process; what is not answered comes out."""
        return CliRunner().invoke(cli, [*map(str, arguments)], input=stdin, catch_exceptions=False)

    def ok(self, *arguments: str | Path, stdin: bytes = b"") -> Result:
        """Run a command that succeeds."""
        result = self.run(*arguments, stdin=stdin)
        assert 0 == result.exit_code, result.output
        return result

    def make(self, name: str, *statements: str) -> Path:
        """A new database of these statements."""
        run(self.folder / name, *statements)
        return self.folder / name

    def module(self, source: str) -> str:
        """The name of a new module that can be imported from the current directory."""
        name = f"host_{uuid.uuid4().hex}"  # no other test's: modules stay loaded
        (self.folder / f"{name}.py").write_text(source, "utf-8")
        importlib.invalidate_caches()
        return name

    def app(self, *, app: str = "shop", version: int = 1, path: Path | None = None) -> str:
        """The target of an app with a schema of its own over a database."""
        source = HOST.format(app=app, version=version, path=str(path or self.database))
        return f"{self.module(source)}:repository"

    def archive(self, target: str | Path | None = None) -> Path:
        """An archive of a target."""
        file = self.folder / f"archive{next(self._numbers)}.json"
        self.ok("export", target or self.database, file)
        return file

    def dump(self) -> dict[str, list[str]]:
        """All that the database holds."""
        return dump(self.database)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A folder to work in, which is the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    made = Workshop(tmp_path, tmp_path / "shop.db")
    made.make("shop.db", *TABLES, *ROWS)
    return made
