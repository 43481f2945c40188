"""The benchmark itself, with a few rows, so that it can be run whenever it is needed."""

import contextlib
import importlib.util
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

import databackup
from benchmarks import __main__ as command
from benchmarks import history, models, plan, steps, table
from benchmarks.child import ROOT, CommandFailed, measure
from benchmarks.data import make_orders
from benchmarks.machine import facts
from benchmarks.plan import GROUPS, PARTS, Dataset, Group, Step
from benchmarks.report import Report
from benchmarks.results import TARGETS
from databackup.adapters.sqlite import SQLiteRepository
from databackup.migrations.way import check_chain
from databackup.schema.versions import FrozenVersion, Versions

pytestmark = pytest.mark.unmeasured

ROWS = 330


def _contents(database: Path) -> list[list[tuple[Any, ...]]]:
    """All rows; JSON by its value, for Django writes it with spaces."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        customers = connection.execute("SELECT * FROM customers ORDER BY id").fetchall()
        orders = connection.execute("SELECT * FROM orders ORDER BY id").fetchall()
    return [customers, [(*order[:-1], json.loads(order[-1])) for order in orders]]


@pytest.mark.slow
def test_every_step(tmp_path: Path) -> None:
    """Each step works, and what peers and databackup have imported is what was exported.

    The steps on servers are tested apart.
    """
    groups = (*PARTS["sqlite"], *PARTS["django"])
    report = command.measured(tmp_path, ROWS, 1, groups)

    have_sqlite3 = shutil.which("sqlite3") is not None
    have_django = importlib.util.find_spec("django") is not None
    targets = [
        target
        for target in TARGETS
        if target.step[0] in groups
        and (have_sqlite3 or "sqlite3" not in target.step + target.peer)
        and (have_django or "django" not in target.step + target.peer)
    ]
    text = report.as_markdown()
    # One in each row of targets, and of memory.
    assert len(targets) + len(report.tenth) == text.count("met |")
    assert all(result.step.title in text for result in report.results.values())

    packed = [".json.gz", ".json.zst", ".json.age", ".json.zst.age"]
    ours = ["export", "import", "import with read-back"]
    ours += ["diff of equal data", "preview of equal data"]
    steps_of: dict[Group, list[str]] = {
        "reflected": [*ours, *(f"export to {suffix}" for suffix in packed)],
        "models": ours,
        "sqlite3": [".dump", "< dump.sql"] if have_sqlite3 else [],
        "django": ["dumpdata", "loaddata"] if have_django else [],
    }
    assert {
        (group, name): ROWS // 10 if group == "django" else ROWS
        for group, names in steps_of.items()
        for name in names
    } == {name: result.step.rows for name, result in report.results.items()}
    begins = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}  # RFC 1952, RFC 8878
    begins |= {".age": b"age-encryption.org/v1\n", ".zst.age": b"age-encryption.org/v1\n"}
    for suffix, magic in begins.items():
        assert (tmp_path / "all" / f"reflected.json{suffix}").read_bytes().startswith(magic)

    expected = {"all": _contents(tmp_path / "all" / "orders.db")}
    expected["tenth"] = _contents(tmp_path / "tenth" / "orders.db")
    assert {"all": ROWS, "tenth": ROWS // 10} == {
        name: sum(map(len, tables)) for name, tables in expected.items()
    }
    imported = {path: path.parent.name for path in tmp_path.glob("*/*.db")}
    imported = {path: name for path, name in imported.items() if path.name != "empty.db"}
    names = {"orders.db", "reflected.db", "models.db"}
    names |= {"dump.db"} if have_sqlite3 else set()
    names |= {"django.db"} if have_django else set()
    assert names == {path.name for path in imported}
    assert {} == {p: _contents(p) for p, name in imported.items() if _contents(p) != expected[name]}


def test_migrations(tmp_path: Path) -> None:
    """An archive of version 1 gives, after its steps, the database that one of version 6 gives."""
    report = command.measured(tmp_path, ROWS, 1, PARTS["migrations"])
    data = Dataset(tmp_path / "all", ROWS)
    imports = [
        f"{step} of version {version}"
        for step in ("import", "import with read-back")
        for version in (6, 1)
    ]
    assert imports == [name for _, name in report.results]
    assert 2 == report.as_markdown().count("≤ 1.6 ×")

    def orders(step: str) -> list[Any]:
        (found,) = (s for s in plan.migrations(data) if s.name == step)
        found.run()
        with contextlib.closing(sqlite3.connect(data.folder / "migrated.db")) as connection:
            return connection.execute("SELECT * FROM orders ORDER BY id").fetchall()

    with contextlib.closing(sqlite3.connect(data.orders)) as connection:
        expected = connection.execute(
            "SELECT id, customer_id, total, ordered_at, note,"
            " CAST(round(weight * 1000) AS INTEGER), details, 'EUR' FROM orders ORDER BY id"
        ).fetchall()
    assert expected == orders("import of version 6") == orders("import of version 1")


def test_versions() -> None:
    """The shop's frozen versions are what they were, and its steps lead from one to the other."""
    check_chain(history.SCHEMA)
    assert Versions(history.VERSIONS)[1].digest == FrozenVersion.of(models.SCHEMA).digest


def test_command(tmp_path: Path) -> None:
    """The command measures what it is asked for, prints its tables, and leaves no file."""
    options = ["--rows", "20", "--rounds", "2", "--only", "reflected", "--folder", str(tmp_path)]
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "| reflected schema: import with read-back " in child.stdout
    assert "Rounds: 2; the best counts." in child.stdout
    assert "attrs models" not in child.stdout
    order = re.findall(r"round 2: reflected schema: (.*), 20 rows", child.stderr)
    assert "import with read-back" == order[-1]
    assert order.index("diff of equal data") < order.index("import")
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("options, kept", [(["--write"], True), ([], False)])
def test_write(
    options: list[str], kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables are kept in the README if that is asked for."""
    readme = tmp_path / "README.md"
    shutil.copyfile(table.README, readme)
    monkeypatch.setattr(command, "README", readme)
    monkeypatch.setattr(command, "measured", lambda *_: Report({}, {}, "what was measured"))
    monkeypatch.setattr(sys, "argv", ["benchmarks", *options])
    command.main()
    assert ("what was measured" in readme.read_text("utf-8")) is kept


@pytest.mark.parametrize("options", [["--rows", "0"], ["--rounds", "0"], ["--only", "memory"]])
def test_wrong_options(options: list[str]) -> None:
    """A number below 1 and an unknown group are refused."""
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 2
    assert options[1] in child.stderr


def test_the_same_rows_give_the_same_data(tmp_path: Path) -> None:
    """Data depends on nothing but the number of rows, a tenth of the orders being customers."""
    first, second = Dataset(tmp_path / "first", 22), Dataset(tmp_path / "second", 22)
    first.make()
    second.make()
    assert _contents(first.orders) == _contents(second.orders)
    assert [2, 20] == list(map(len, _contents(first.orders)))
    assert [[], []] == _contents(first.empty)


@pytest.mark.parametrize(
    "step, expected",
    [
        ("export", [("export_all", {})]),
        ("import", [("import_all", {"read_back": False})]),
        ("import with read-back", [("import_all", {})]),
        ("diff of equal data", [("diff", {})]),
        ("preview of equal data", [("preview_import", {})]),
    ],
)
@pytest.mark.parametrize("group", ["reflected", "models"])
def test_what_is_called(
    step: str,
    expected: list[tuple[str, dict[str, Any]]],
    group: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step is one call of databackup, with its defaults, on the schema that it names."""
    calls = []

    def called(name: str) -> Any:
        def note(*arguments: Any, **options: Any) -> Any:
            (store,) = (given for given in arguments if isinstance(given, SQLiteRepository))
            assert tmp_path / "archive.json" in arguments
            calls.append((name, options))
            kinds.add(store.schema["orders"].field("total").value_kind.name)
            return SimpleNamespace(identical=True)

        return note

    kinds: set[str] = set()
    for name in ("export_all", "import_all", "preview_import", "diff"):
        monkeypatch.setattr(databackup, name, called(name), raising=False)
    make_orders(tmp_path / "orders.db", 2)
    steps.main(step, group, tmp_path / "orders.db", tmp_path / "archive.json")
    assert expected == calls
    assert {{"reflected": "float", "models": "decimal"}[group]} == kinds


def test_a_comparison_that_finds_differences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data that is compared must be equal; and a step that nobody knows is refused."""
    make_orders(tmp_path / "orders.db", 2)
    found = SimpleNamespace(identical=False)
    for name in ("diff", "preview_import"):
        monkeypatch.setattr(databackup, name, lambda _a, _b: found, raising=False)
    for step, message in (
        ("diff of equal data", "differ"),
        ("preview of equal data", "differ"),
        ("fly", "no step is called 'fly'"),
    ):
        with pytest.raises(SystemExit, match=message):
            steps.main(step, "reflected", tmp_path / "orders.db", tmp_path / "archive.json")


def test_before_a_step(tmp_path: Path) -> None:
    """What the last round has made is gone, or a fresh copy of what the step begins with."""
    made, fresh = tmp_path / "made", tmp_path / "fresh"
    making = ("sh", "-c", f"test ! -e {made} && echo new > {made}")
    step = Step(group="sqlite3", name="x", rows=1, command=making, makes=made)
    for _ in range(2):
        step.run()
    assert step.size == 4

    fresh.write_text("fresh ", "utf-8")
    adding = attrs.evolve(step, command=("sh", "-c", f"echo new >> {made}"), begins_as=fresh)
    for _ in range(2):
        adding.run()
    assert made.read_text("utf-8") == "fresh new\n"

    first = ("sh", "-c", f'printf "$BY" > {fresh}')
    prepared = attrs.evolve(adding, before=first, env={"BY": "prepared "})
    prepared.run()
    assert made.read_text("utf-8") == "prepared new\n"


def test_options_are_documented() -> None:
    """The README explains each option, and no other."""
    usage = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    readme = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    documented = re.findall(r"^\| `(--[a-z]+)", readme, re.MULTILINE)
    assert set(re.findall(r"--[a-z]+", usage)) - {"--help"} == set(documented)


def test_parts() -> None:
    """Each group belongs to one part."""
    assert sorted(GROUPS) == sorted(group for groups in PARTS.values() for group in groups)


def test_usage() -> None:
    """Seconds by the clock, seconds of the processors and memory are those of the child."""
    size = measure(["true"]).floor + 100_000_000
    code = (
        "import time; time.sleep(0.3)\n"
        "start = time.process_time()\n"
        "while time.process_time() < start + 0.2: pass\n"
        f"block = b'x' * {size}\n"
    )
    usage = measure([sys.executable, "-c", code])
    assert usage.seconds >= 0.5
    assert 0.2 <= usage.cpu <= usage.seconds
    assert size <= usage.peak <= size + 80_000_000
    assert usage.peak_is_its_own


def test_peaks_that_say_nothing() -> None:
    """A child that needs less memory than this process has no peak of its own."""
    assert not measure(["true"]).peak_is_its_own


def test_input_and_output(tmp_path: Path) -> None:
    """A command reads one file, writes another, and sees what is added to the environment."""
    (tmp_path / "in").write_bytes(b"read ")
    usage = measure(
        ["sh", "-c", 'cat; printf "$ADDED"'],
        reads=tmp_path / "in",
        writes=tmp_path / "out",
        env={"ADDED": "added"},
    )
    assert (tmp_path / "out").read_bytes() == b"read added"
    assert usage.seconds > 0


def test_a_step_that_is_stopped(tmp_path: Path) -> None:
    """A command does not outlive the process that measures it."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from benchmarks.child import measure\n"
        f"measure(['sh', '-c', 'echo $$ > {tmp_path}/pid; exec sleep 60'])"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL) as run:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text("ascii"):
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
    assert not Path("/proc", (tmp_path / "pid").read_text("ascii").strip()).exists()


def test_a_step_that_fails() -> None:
    """A command that fails ends the benchmark with what it said."""
    with pytest.raises(CommandFailed, match=r"(?s)exit status 3: sh -c .*\nno such thing"):
        measure(["sh", "-c", "printf 'no such %s' thing >&2; exit 3"])


def test_peers_that_are_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the command or without Django there are no steps of theirs, and that is said."""
    data = Dataset(tmp_path, 10)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert [] == [*plan.sqlite3(data), *plan.django(data)]
    assert "no command sqlite3, no Django." in facts(1)
