import gzip
import io
import json
import signal
import threading
from pathlib import Path

import pytest

import databackup
from databackup import inspect_archive
from databackup.archive import files
from databackup.cli import commands
from tests.cli.conftest import TABLES, Workshop
from tests.support.archives import data_of
from tests.support.sqlite import dump, run

# -- export ------------------------------------------------------------------------------------


def test_export_writes_an_archive(workshop: Workshop) -> None:
    """`export` writes the archive, tells people on standard error, and prints nothing else."""
    result = workshop.ok("export", "shop.db", "backup.json")
    info = inspect_archive("backup.json")
    assert {"people": 2, "orders": 3} == {n: c.records for n, c in info.collections.items()}
    assert "" == result.stdout
    assert "exported 5 records of 2 collections to backup.json" in result.stderr
    assert info.seal in result.stderr


def test_export_as_json(workshop: Workshop) -> None:
    """`export --json` prints the report as one JSON object, and nothing for people."""
    result = workshop.ok("export", "shop.db", "backup.json", "--json")
    report = json.loads(result.stdout)
    assert {"people": 2, "orders": 3} == report["collections"]
    assert inspect_archive("backup.json").seal == report["seal"]
    assert 1 == result.stdout.count("\n")
    assert "" == result.stderr


def test_export_to_standard_output(workshop: Workshop) -> None:
    """`export TARGET -` puts the archive on standard output, and nothing but it."""
    result = workshop.ok("export", "shop.db", "-")
    assert 5 == inspect_archive(io.BytesIO(result.stdout_bytes)).records
    assert "exported 5 records of 2 collections to standard output" in result.stderr


def test_export_to_standard_output_as_json(workshop: Workshop) -> None:
    """With `-` and `--json` the report is one JSON object on standard error."""
    result = workshop.ok("export", "shop.db", "-", "--json")
    info = inspect_archive(io.BytesIO(result.stdout_bytes))
    assert info.seal == json.loads(result.stderr)["seal"]


def test_failed_export_to_standard_output_as_json(workshop: Workshop) -> None:
    """With `-` and `--json` an error is one JSON object on standard error, too."""
    result = workshop.run("export", "none.db", "-", "--json")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "file" == json.loads(result.stderr)["error"]["code"]


def test_export_compresses_by_suffix(workshop: Workshop) -> None:
    """A FILE that ends in .gz is gzip."""
    workshop.ok("export", "shop.db", "backup.json.gz")
    assert b"\x1f\x8b" == Path("backup.json.gz").read_bytes()[:2]
    assert "as gzip" in workshop.ok("inspect", "backup.json.gz").stdout


@pytest.mark.parametrize("name", ["backup.json", "backup.json.gz", "backup.json.zst"])
def test_export_replaces_an_archive(workshop: Workshop, name: str) -> None:
    """A FILE that is an archive is replaced by the new one."""
    workshop.ok("export", "shop.db", name)
    run(workshop.database, "DELETE FROM orders")
    workshop.ok("export", "shop.db", name)
    assert 2 == inspect_archive(name).records


def test_export_fills_an_empty_file(workshop: Workshop) -> None:
    """An empty FILE, as `mktemp` makes it, is replaced."""
    Path("backup.json").touch()
    workshop.ok("export", "shop.db", "backup.json")
    assert 5 == inspect_archive("backup.json").records


@pytest.mark.parametrize("content", [b"notes", b"{}", gzip.compress(b"notes"), b"\x1f\x8b broken"])
def test_export_replaces_nothing_else(workshop: Workshop, content: bytes) -> None:
    """A FILE that exists and is no archive is refused, and stays."""
    Path("notes").write_bytes(content)
    result = workshop.run("export", "shop.db", "notes")
    assert 1 == result.exit_code
    assert "notes exists and is no archive" in result.stderr
    assert content == Path("notes").read_bytes()


def test_export_over_its_own_database(workshop: Workshop) -> None:
    """`export app.db app.db` does not replace the database by its archive."""
    before = workshop.dump()
    assert 1 == workshop.run("export", "shop.db", "shop.db").exit_code
    assert before == workshop.dump()


def test_failed_export_keeps_the_old_file(workshop: Workshop) -> None:
    """An export that fails leaves the FILE as it was, and nothing beside it."""
    old = workshop.archive().rename("backup.json").read_bytes()
    Path("text.db").write_bytes(b"no database at all, and long enough not to be an empty one" * 9)
    result = workshop.run("export", "text.db", "backup.json")
    assert 1 == result.exit_code
    assert old == Path("backup.json").read_bytes()
    assert ["backup.json", "shop.db", "text.db"] == sorted(p.name for p in Path().iterdir())


def test_types_and_exclusions(workshop: Workshop) -> None:
    """`--types` and `--exclude` reach the schema that is read from the file."""
    run(workshop.database, "CREATE TABLE sessions (token TEXT)", "ALTER TABLE people ADD born DATE")
    options = ("--types", "declared", "--exclude", "sessions=of no use later", "--json")
    shown = json.loads(workshop.ok("schema", "show", "shop.db", *options).stdout)
    assert "date" == shown["collections"]["people"]["fields"]["born"]["kind"]
    assert ["orders", "people"] == sorted(shown["collections"])
    assert {"name": "sessions", "reason": "of no use later"} in shown["excluded"]
    stored = json.loads(workshop.ok("schema", "show", "shop.db", "--json").stdout)
    assert "str" == stored["collections"]["people"]["fields"]["born"]["kind"]
    assert "sessions" in stored["collections"]


# -- import ------------------------------------------------------------------------------------


def test_import_restores(workshop: Workshop) -> None:
    """`import --yes` makes the target what the archive says, and reports the changes."""
    before = workshop.dump()
    workshop.ok("export", "shop.db", "backup.json")
    run(
        workshop.database,
        "DELETE FROM orders WHERE id > 10",
        "UPDATE people SET name = 'Al' WHERE id = 1",
        "INSERT INTO people VALUES (3, 'Cy')",
    )
    result = workshop.ok("import", "backup.json", "shop.db", "--yes")
    assert before == workshop.dump()
    assert "" == result.stdout
    assert "imported 5 records of 2 collections from backup.json into shop.db" in result.stderr
    cells = [line.split() for line in result.stderr.splitlines()]
    assert ["people", "0", "1", "1", "1", "2"] in cells
    assert ["orders", "2", "0", "0", "1", "3"] in cells
    assert "read back and compared, then committed" in result.stderr


def test_import_as_json(workshop: Workshop) -> None:
    """`import --json` prints the report with the changes of each collection."""
    archive = workshop.archive()
    run(workshop.database, "DELETE FROM orders WHERE id > 10")
    result = workshop.ok("import", archive, "shop.db", "--yes", "--json")
    report = json.loads(result.stdout)
    expected = {"added": 2, "changed": 0, "deleted": 0, "unchanged": 1}
    assert expected == report["collections"]["orders"]
    assert "" == result.stderr


def test_import_from_standard_input(workshop: Workshop) -> None:
    """`import -` reads the archive from standard input."""
    before = workshop.dump()
    archive = workshop.archive().read_bytes()
    run(workshop.database, "DELETE FROM orders")
    result = workshop.ok("import", "-", "shop.db", "--yes", stdin=archive)
    assert before == workshop.dump()
    assert "from - into shop.db" in result.stderr


def test_import_without_a_terminal(workshop: Workshop) -> None:
    """Without a terminal and without --yes, `import` says what it would do, and refuses."""
    archive = workshop.archive(workshop.app())
    run(workshop.database, "DELETE FROM orders WHERE id > 10")
    before = workshop.dump()
    result = workshop.run("import", archive, workshop.app(), stdin=b"y\n")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "from the app shop, schema version 1" in result.stderr
    assert ["orders", "1", "3"] in [line.split() for line in result.stderr.splitlines()]
    assert "--yes" in result.stderr
    assert before == workshop.dump()


def test_import_without_a_terminal_as_json(workshop: Workshop) -> None:
    """The refusal has a code of its own in JSON."""
    result = workshop.run("import", workshop.archive(), "shop.db", "--json")
    assert 1 == result.exit_code
    assert "not-confirmed" == json.loads(result.stdout)["error"]["code"]


def test_import_from_standard_input_asks_nothing(workshop: Workshop) -> None:
    """`import -` needs --yes: the archive is where the answer would come from."""
    result = workshop.run("import", "-", "shop.db", stdin=workshop.archive().read_bytes())
    assert 1 == result.exit_code
    assert "--yes" in result.stderr


def test_nobody_is_asked_about_what_would_be_refused(workshop: Workshop) -> None:
    """Without --yes, what is wrong with archive and target together is told at once."""
    archive = workshop.archive(workshop.app(app="other"))
    result = workshop.run("import", archive, workshop.app())
    assert 1 == result.exit_code
    assert "the archive belongs to the app 'other'" in result.stderr
    assert "records now" not in result.stderr


def test_wrong_app_allowed(workshop: Workshop) -> None:
    """`--wrong-app allow` imports the archive of another app."""
    archive = workshop.archive(workshop.app(app="other"))
    workshop.ok("import", archive, workshop.app(), "--yes", "--wrong-app", "allow")


def test_no_read_back(workshop: Workshop) -> None:
    """`--no-read-back` leaves the comparison out, and the report says so."""
    archive = workshop.archive()
    result = workshop.ok("import", archive, "shop.db", "--yes", "--no-read-back")
    assert "committed, not read back" in result.stderr
    report = workshop.ok("import", archive, "shop.db", "--yes", "--no-read-back", "--json").stdout
    assert json.loads(report)["read_back"] is False


def test_dangling_kept(workshop: Workshop) -> None:
    """`--dangling keep` makes references that point nowhere warnings, in verify and in import."""
    loose = workshop.make(
        "loose.db",
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, person INTEGER NOT NULL, amount REAL, "
        "note TEXT)",
        "INSERT INTO orders VALUES (10, 7, 2.5, 'red')",
    )
    target = workshop.app(path=loose)
    archive = workshop.archive(target)
    run(loose, "DELETE FROM orders")
    assert 1 == workshop.run("verify", archive).exit_code
    assert 1 == workshop.run("import", archive, target, "--yes").exit_code
    warning = "points at people int 7, which is not there"
    assert warning in workshop.ok("verify", archive, "--dangling", "keep").stdout
    kept = workshop.ok("import", archive, target, "--yes", "--dangling", "keep")
    assert warning in kept.stderr
    assert ["(10, 7, 2.5, b'red')"] == dump(loose)["orders"]


def test_allow_cascade(workshop: Workshop) -> None:
    """`--allow-cascade` lets a delete carry off records of a table that is left out."""
    archive = workshop.archive()
    run(
        workshop.database,
        "CREATE TABLE logins (person INTEGER REFERENCES people (id) ON DELETE CASCADE)",
        "INSERT INTO people VALUES (3, 'Cy')",
        "INSERT INTO logins VALUES (1), (3)",
    )
    command = ("import", archive, "shop.db", "--yes", "--exclude", "logins=short-lived")
    refused = workshop.run(*command)
    assert 1 == refused.exit_code
    assert "logins" in refused.stderr
    workshop.ok(*command, "--allow-cascade")
    assert ["(1,)"] == workshop.dump()["logins"]


def test_import_into_an_empty_database(workshop: Workshop) -> None:
    """An archive goes into another file with the same tables."""
    workshop.make("new.db", *TABLES)
    archive = workshop.archive()
    workshop.ok("import", archive, "new.db", "--yes")
    assert workshop.dump() == dump(workshop.folder / "new.db")


# -- inspect, verify, schema show --------------------------------------------------------------


def test_inspect(workshop: Workshop) -> None:
    """`inspect` shows app, version, collections with counts, keys and fields, and the seal."""
    archive = workshop.archive(workshop.app())
    lines = workshop.ok("inspect", archive).stdout.splitlines()
    cells = [line.split() for line in lines]
    assert ["app", "shop,", "schema", "version", "1"] in cells
    info = inspect_archive(archive)
    digest = info.collections["orders"].digest[:16]
    assert ["orders", "3", digest, "id", "id,", "person,", "amount,", "note"] in cells
    assert any(info.seal in line for line in lines)


def test_inspect_as_json(workshop: Workshop) -> None:
    """`inspect --json` prints all that an archive says of itself."""
    archive = workshop.archive()
    shown = json.loads(workshop.ok("inspect", archive, "--json").stdout)
    assert inspect_archive(archive).archive_id == shown["archive_id"]
    assert ["id", "name"] == shown["collections"]["people"]["fields"]


def test_inspect_standard_input(workshop: Workshop) -> None:
    """`inspect -` and `verify -` read the archive from standard input."""
    archive = workshop.archive().read_bytes()
    assert "5 records of 2 collections" in workshop.ok("inspect", "-", stdin=archive).stdout
    assert "is sound" in workshop.ok("verify", "-", stdin=archive).stdout


def test_verify(workshop: Workshop) -> None:
    """`verify` says on standard output what it has read and found right."""
    archive = workshop.archive()
    result = workshop.ok("verify", archive)
    assert f"{archive} is sound: 5 records of 2 collections" in result.stdout
    assert "" == result.stderr
    report = json.loads(workshop.ok("verify", archive, "--json").stdout)
    assert {"people": 2, "orders": 3} == report["collections"]


def test_schema_show(workshop: Workshop) -> None:
    """`schema show` lists fields with their kinds, keys and references."""
    lines = workshop.ok("schema", "show", workshop.app()).stdout.splitlines()
    cells = [line.split() for line in lines]
    assert ["app", "shop,", "schema", "version", "1"] in cells
    assert ["id", "int", "key"] in cells
    assert ["amount", "float", "or", "null"] in cells
    assert ["person", "->", "people", "id"] in cells


KINDS = """
import datetime, decimal, enum
import attrs
from databackup import Collection, Json, Schema
from databackup.adapters.memory import MemoryRepository
from databackup.schema.composite import Native

class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

@attrs.frozen
class Size:
    width: int
    depth: float | None

SCHEMA = Schema(
    collections=[Collection("things", fields={
        "sizes": list[Size],
        "colours": dict[str, Colour],
        "range": Native("int4range"),
        "at": datetime.datetime | None,
    })],
    exclude={"sessions": "short-lived", "logs": "too long"},
)
repository = MemoryRepository(SCHEMA, {"things": []})
"""


def test_schema_show_spells_kinds_out(workshop: Workshop) -> None:
    """Kinds are shown in words, down to what lists, dicts and nested classes hold."""
    target = f"{workshop.module(KINDS)}:repository"
    lines = workshop.ok("schema", "show", target).stdout.splitlines()
    assert [
        "app  not named, schema version 1",
        "",
        "things",
        "  sizes    list of (width: int, depth: float or null)",
        "  colours  dict of one of red, blue",
        "  range    native int4range",
        "  at       datetime or null",
        "",
        "left out  sessions: short-lived",
        "          logs: too long",
    ] == lines


def test_schema_show_tells_the_scale(workshop: Workshop) -> None:
    """A decimal of a fixed scale says so."""
    run(workshop.database, "ALTER TABLE orders ADD price NUMERIC(10, 2)")
    text = workshop.ok("schema", "show", "shop.db", "--types", "declared").stdout
    assert "decimal of scale 2 or null" in text


def test_schema_that_cannot_be_built(workshop: Workshop) -> None:
    """What is wrong with a host's schema is listed line by line."""
    source = (
        "from databackup import *\n"
        "Schema(collections=[Collection('a', key='x', fields={'id': int}),\n"
        "                    Collection('a', fields={'id': int})])"
    )
    lines = workshop.run("schema", "show", f"{workshop.module(source)}:x").stderr.splitlines()
    assert "error: the schema is not sound:" == lines[0]
    assert {"  - two collections are named 'a'"} < set(lines)


def test_schema_show_as_json(workshop: Workshop) -> None:
    """`schema show --json` prints the description and the digest that archives carry."""
    target = workshop.app()
    shown = json.loads(workshop.ok("schema", "show", target, "--json").stdout)
    assert inspect_archive(workshop.archive(target)).schema_digest == shown["digest"]
    assert ("shop", 1) == (shown["app"], shown["version"])
    assert {"kind": "int"} == shown["collections"]["people"]["fields"]["id"]


def test_round_trip_is_stable(workshop: Workshop) -> None:
    """Export, import into an emptied file, export: the data lines are the same bytes."""
    first = workshop.archive()
    run(workshop.database, "DELETE FROM orders", "DELETE FROM people")
    workshop.ok("import", first, "shop.db", "--yes")
    assert data_of(first.read_bytes()) == data_of(workshop.archive().read_bytes())


# -- exit codes and usage ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["export", "shop.db"],
        ["import", "backup.json", "shop.db", "--mode", "merge"],
        ["import", "backup.json", "shop.db", "--wait", "-1"],
        ["export", "shop.db", "backup.json", "--types", "guess"],
        ["export", "shop.db", "backup.json", "--exclude", "sessions"],
        ["export", "shop.db", "backup.json", "--exclude", "sessions= "],
        ["schema"],
    ],
    ids=" ".join,
)
def test_wrong_usage(
    workshop: Workshop,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Wrong usage is answered on standard error with exit code 2."""
    monkeypatch.setattr("sys.argv", ["databackup", *arguments])
    assert 2 == commands.run()
    captured = capsys.readouterr()
    assert "" == captured.out
    assert "Usage: databackup" in captured.err


def test_version_and_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--version` and `-h` answer on standard output with exit code 0."""
    for option, expected in (("--version", databackup.__version__), ("-h", "Commands:")):
        monkeypatch.setattr("sys.argv", ["databackup", option])
        assert 0 == commands.run()
        assert expected in capsys.readouterr().out


def test_interrupted_before_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before a command has begun has the exit code 130, too."""

    def press(**_options: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(commands.cli, "main", press)
    assert 130 == commands.run()


def test_commands_run_in_any_thread(workshop: Workshop) -> None:
    """A command works where no signal can be handled: in a thread that is not the main one."""
    results = []
    thread = threading.Thread(
        target=lambda: results.append(workshop.run("export", "shop.db", "backup.json"))
    )
    thread.start()
    thread.join()
    assert [0] == [result.exit_code for result in results]


COMMIT_LOST = """
import contextlib
from databackup.errors import CommitUnknown
from {app} import repository as inner

class Losing:
    def __init__(self):
        self.inner = inner()
        self.schema = self.inner.schema
        self.capabilities = self.inner.capabilities
    def snapshot(self):
        return self.inner.snapshot()
    @contextlib.contextmanager
    def transaction(self, *, wait=5.0):
        with self.inner.transaction(wait=wait) as transaction:
            yield transaction
        raise CommitUnknown("the connection was lost during the commit")

repository = Losing()
"""


def test_unknown_outcome(workshop: Workshop) -> None:
    """A commit whose outcome cannot be known has the exit code 3."""
    app = workshop.app()
    module = workshop.module(COMMIT_LOST.format(app=app.partition(":")[0]))
    result = workshop.run("import", workshop.archive(app), f"{module}:repository", "--yes")
    assert 3 == result.exit_code
    assert "error: the connection was lost during the commit" in result.stderr
    assert "nothing was changed" not in result.stderr


INTERRUPTED = """
import contextlib, signal
from {app} import repository as inner

class Interrupted:
    def __init__(self):
        self.inner = inner()
        self.schema = self.inner.schema
        self.capabilities = self.inner.capabilities
    @contextlib.contextmanager
    def snapshot(self):
        with self.inner.snapshot() as snapshot:
            yield snapshot
            {during}
        {after}
    @contextlib.contextmanager
    def transaction(self, *, wait=5.0):
        with self.inner.transaction(wait=wait) as transaction:
            {during}
            yield transaction
        {after}

repository = Interrupted()
"""
PRESSED = "signal.raise_signal(signal.SIGINT)"


def _interrupted(workshop: Workshop, *, during: str = "pass", after: str = "pass") -> str:
    app = workshop.app().partition(":")[0]
    return f"{workshop.module(INTERRUPTED.format(app=app, during=during, after=after))}:repository"


def test_cancelled_import(workshop: Workshop) -> None:
    """Ctrl-C during an import says that nothing was changed, and that is so."""
    archive = workshop.archive(workshop.app())
    run(workshop.database, "DELETE FROM orders")
    before = workshop.dump()
    target = _interrupted(workshop, during=PRESSED)
    result = workshop.run("import", archive, target, "--yes")
    assert (130, "cancelled; nothing was changed\n") == (result.exit_code, result.stderr)
    assert before == workshop.dump()


def test_cancelled_as_json(workshop: Workshop) -> None:
    """With --json Ctrl-C is an error of the code `cancelled`."""
    archive = workshop.archive(workshop.app())
    result = workshop.run(
        "import", archive, _interrupted(workshop, during=PRESSED), "--yes", "--json"
    )
    assert 130 == result.exit_code
    assert "cancelled" == json.loads(result.stdout)["error"]["code"]


def test_cancelled_export(workshop: Workshop) -> None:
    """Ctrl-C during an export leaves the old file, and no temporary one."""
    old = workshop.archive().rename("backup.json").read_bytes()
    target = _interrupted(workshop, during=PRESSED)
    assert 130 == workshop.run("export", target, "backup.json").exit_code
    assert old == Path("backup.json").read_bytes()
    assert [] == list(Path().glob(".*"))


def test_ctrl_c_after_the_commit_cancels_nothing(workshop: Workshop) -> None:
    """Ctrl-C once the commit has begun is ignored: nobody is told of a change that it was not."""
    before = workshop.dump()
    archive = workshop.archive(workshop.app())
    run(workshop.database, "DELETE FROM orders")
    handler = signal.getsignal(signal.SIGINT)
    workshop.ok("import", archive, _interrupted(workshop, after=PRESSED), "--yes")
    assert before == workshop.dump()
    assert handler == signal.getsignal(signal.SIGINT)


def test_ctrl_c_after_the_rename_cancels_nothing(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C once the archive has its name is ignored: nobody is told that it is not there."""

    def press(_folder: Path) -> tuple[str, ...]:
        signal.raise_signal(signal.SIGINT)
        return ()

    monkeypatch.setattr(files, "_sync_folder", press)
    workshop.ok("export", "shop.db", "backup.json")
    assert 5 == inspect_archive("backup.json").records
