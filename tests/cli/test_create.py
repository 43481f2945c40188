"""New tables from the command line: `import --create`, and `copy` from any engine to any other."""

import contextlib
import itertools
import json
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from databackup.adapters.registry import is_same_target
from tests.cli.conftest import Workshop
from tests.support import databases
from tests.support.sqlite import dump, query, run


def test_import_makes_a_file_and_its_tables(workshop: Workshop) -> None:
    """The new file is its owner's only, holds what the archive holds, and is told of."""
    archive = workshop.archive()
    result = workshop.ok("import", archive, "new.db", "--create", "--yes")
    assert "made 2 new tables" in result.output
    new = workshop.folder / "new.db"
    assert 0o600 == stat.S_IMODE(new.stat().st_mode)
    workshop.ok("diff", archive, "new.db")
    workshop.ok("diff", "shop.db", "sqlite:///new.db")
    again = workshop.ok("import", archive, "new.db", "--create", "--yes", "--json")
    assert [] == json.loads(again.stdout)["created"]


def test_into_an_empty_file(workshop: Workshop) -> None:
    """An empty file is an empty database, and stays one where the import is refused."""
    empty = workshop.folder / "empty.db"
    empty.touch()
    target = workshop.app(app="other", path=empty)
    assert 1 == workshop.run("import", workshop.archive(), "empty.db", "--yes").exit_code
    archive = workshop.archive(workshop.app())
    assert 1 == workshop.run("import", archive, target, "--yes", "--create").exit_code
    assert b"" == empty.read_bytes()
    workshop.ok("import", archive, target, "--yes", "--create", "--wrong-app", "allow")
    assert dump(workshop.database)["people"] == dump(empty)["people"]


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}"])
def test_a_refused_import_leaves_no_file(workshop: Workshop, form: str) -> None:
    """Nor does a question that nobody answers, or an archive that is none."""
    run(workshop.database, "UPDATE orders SET person = 77 WHERE id = 10")
    archive = workshop.archive()
    target = form.format("new.db")
    for file, options in ((archive, ["--yes"]), (archive, []), (workshop.database, ["--yes"])):
        assert 1 == workshop.run("import", "--create", file, target, *options).exit_code
        assert not (workshop.folder / "new.db").exists()


def test_no_file_is_made_unasked(workshop: Workshop) -> None:
    """Without --create a file that is not there is an error."""
    result = workshop.run("import", workshop.archive(), "new.db", "--yes")
    assert (1, False) == (result.exit_code, (workshop.folder / "new.db").exists())
    assert "does not exist" in result.output


def test_a_file_that_cannot_be_made(workshop: Workshop) -> None:
    """The error says why."""
    result = workshop.run("import", workshop.archive(), "nowhere/new.db", "--yes", "--create")
    assert 1 == result.exit_code
    assert "nowhere/new.db cannot be made: No such file or directory" in result.output


def test_what_will_be_made_is_told(workshop: Workshop) -> None:
    """All of it, or what is missing beside what is there."""
    archive = workshop.archive()
    said = workshop.run("import", archive, "new.db", "--create").output
    assert "New tables would be made in new.db: people, orders." in said
    assert "would hold" not in said
    workshop.make("half.db", "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    said = workshop.run("import", archive, "half.db", "--create").output
    assert "New tables would be made in half.db: orders." in said
    assert "half.db would hold what it held then" in said


def test_a_store_without_tables(workshop: Workshop) -> None:
    """--create is refused where there is nothing to make."""
    module = workshop.module(
        "from databackup import Collection, Schema\n"
        "from databackup.adapters.memory import MemoryRepository\n"
        "schema = Schema(collections=[Collection('t', fields={'x': int})])\n"
        "store = MemoryRepository(schema, {'t': []})\n"
    )
    result = workshop.run("import", workshop.archive(), f"{module}:store", "--create", "--yes")
    assert 1 == result.exit_code
    assert "no tables that could be made" in result.output


# -- copy ------------------------------------------------------------------------------------------


def test_copy_into_a_new_file(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is told as an import tells it; no temporary file is left."""
    temporary = workshop.folder / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    result = workshop.ok("copy", "shop.db", "new.db", "--create", "--yes")
    assert "imported 5 records of 2 collections from shop.db into new.db" in result.output
    workshop.ok("diff", "shop.db", "new.db")
    assert {"shop.db", "new.db", "temporary"} == {p.name for p in workshop.folder.iterdir()}
    assert [] == list(temporary.iterdir())
    report = json.loads(workshop.ok("copy", "shop.db", "new.db", "--yes", "--json").stdout)
    assert (5, []) == (report["unchanged"], report["created"])


def test_copy_over_what_is_there(workshop: Workshop) -> None:
    """As an import in each mode; what is left out of the source is not copied."""
    shutil.copyfile(workshop.database, workshop.folder / "other.db")
    run(workshop.folder / "other.db", "DELETE FROM orders", "INSERT INTO people VALUES (9, 'Zoe')")
    assert 1 == workshop.run("copy", "shop.db", "other.db").exit_code
    workshop.ok("copy", "shop.db", "other.db", "--yes", "--mode", "merge")
    assert [(9,)] == query(workshop.folder / "other.db", "SELECT max(id) FROM people")
    workshop.ok("copy", "shop.db", "other.db", "--yes", "--no-read-back")
    assert workshop.dump() == dump(workshop.folder / "other.db")
    workshop.ok("copy", "shop.db", "n.db", "--yes", "--create", "--exclude", "orders=not wanted")
    assert {"people"} == dump(workshop.folder / "n.db").keys() - {"sqlite_master"}


def test_copy_onto_itself_is_refused(workshop: Workshop) -> None:
    """However the file is called."""
    for other in ("./shop.db", "sqlite:///shop.db", f"sqlite+pysqlite:///{workshop.database}"):
        result = workshop.run("copy", "shop.db", other, "--yes")
        assert 1 == result.exit_code
        assert "are the same" in result.output


@pytest.mark.parametrize(
    "one,other",
    [
        ("postgresql://a:b@host/x", "postgresql+psycopg://c@HOST:5432/x?sslmode=require"),
        ("mysql://h/x", "mariadb+pymysql://u:p@h:3306/x?charset=utf8mb4"),
        ("postgresql:///x?host=/run", "postgresql://u@/x?host=/run"),
        ("app:repository", "app:repository"),
        ("postgresql://u:a@b@h/x", "postgresql://h/x"),
    ],
)
def test_the_same_by_other_words(one: str, other: str) -> None:
    """User, password, driver and options do not make another database."""
    assert is_same_target(one, other)


@pytest.mark.parametrize(
    "one,other",
    [
        ("postgresql://h/x", "postgresql://h/y"),
        ("postgresql://h/x", "postgresql://h:5433/x"),
        ("postgresql://h/x", "mysql://h/x"),
        ("postgresql:///x?host=/run", "postgresql:///x?host=/tmp"),
        ("app:one", "app:other"),
        ("app.db", "postgresql://h/app.db"),
        ("a.db", "b.db"),
    ],
)
def test_different_ones(one: str, other: str) -> None:
    """Another engine, host, port or name is."""
    assert not is_same_target(one, other)


def test_which_side_failed(workshop: Workshop) -> None:
    """An error of the source does not name the target, and leaves no new file."""
    result = workshop.run("copy", "nowhere.db", "new.db", "--create", "--yes")
    assert "nowhere.db does not exist" in result.output
    assert not (workshop.folder / "new.db").exists()


@pytest.mark.parametrize("types", ["storage", "declared"])
def test_chinook_from_engine_to_engine(
    shared_data: Path, tmp_path: Path, types: str, workshop: Workshop
) -> None:
    """SQLite to PostgreSQL to MariaDB to SQLite: the same digests everywhere."""
    source = shared_data / "chinook.sqlite"
    if not source.is_file():
        pytest.skip(f"{source} is not here")
    shutil.copyfile(source, tmp_path / "chinook.db")
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(databases.postgresql()), stack.enter_context(databases.mysql())]
        stations = ["chinook.db", *urls, "back.db"]
        for one, other in itertools.pairwise(stations):
            workshop.ok("copy", one, other, "--create", "--yes", "--types", types)
        for number, station in enumerate(stations):
            workshop.ok("export", station, f"{number}.json", "--types", types)
            workshop.ok("diff", "0.json", station, "--types", types)
    digests = [
        {
            name: found["digest"]
            for name, found in json.loads(
                workshop.ok("inspect", f"{number}.json", "--json").stdout
            )["collections"].items()
        }
        for number in range(4)
    ]
    assert 11 == len(digests[0])
    assert [digests[0]] * 4 == digests
