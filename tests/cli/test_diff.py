"""The command `diff`: what it compares, what it prints, its exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from rich.text import Text

from databackup import cli as package
from databackup.cli import output
from databackup.cli.output import console_of
from databackup.cli.render_diff import compared
from databackup.operations import diff as operation
from databackup.operations.differences import CollectionDiff, Diff, RecordDiff
from tests.cli.conftest import Workshop
from tests.cli.test_hostile import EVIL
from tests.support.sqlite import quoted, run

CHANGES = (
    "DELETE FROM orders WHERE id = 12",
    "UPDATE orders SET note = NULL WHERE id = 10",
    "INSERT INTO people VALUES (3, 'Cy')",
)


@pytest.fixture
def two(workshop: Workshop) -> Workshop:
    """A database that has changed since its archive `old.json` was made."""
    workshop.archive().rename("old.json")
    run(workshop.database, *CHANGES)
    return workshop


def test_text(two: Workshop) -> None:
    """The numbers of each collection, then its records, field by field; exit code 1."""
    result = two.run("diff", "old.json", "shop.db")
    assert (1, "") == (result.exit_code, result.stderr)
    assert [
        "old.json and shop.db differ",
        "  collection  added  changed  removed  unchanged",
        "  people          1        0        0          2",
        "  orders          0        1        1          1",
        "",
        "people",
        '  + id 3  name "Cy"',
        "",
        "orders",
        "  ~ id 10",
        '      note  "red" -> null',
        '  - id 12  person 1  amount -0.5  note "blue"',
    ] == result.stdout.splitlines()


def test_the_same(workshop: Workshop) -> None:
    """Two sides that are the same say so, with exit code 0."""
    result = workshop.ok("diff", workshop.archive(), "shop.db")
    assert "hold the same: 5 records of 2 collections" in result.stdout.splitlines()[0]
    assert 4 == len(result.stdout.splitlines())


def test_kinds_of_sides(two: Workshop) -> None:
    """Archives, SQLite files, URLs and apps in any pair; a path's first bytes say what it is."""
    new = two.archive()
    Path("no_suffix").write_bytes(new.read_bytes())
    Path("looks_like.json").write_bytes(two.database.read_bytes())
    expected = None
    for b in ("shop.db", "looks_like.json", "no_suffix", "./shop.db", "sqlite:///shop.db"):
        report = json.loads(two.run("diff", "old.json", b, "--json").stdout)
        assert ("old.json", b) == (report.pop("a"), report.pop("b"))
        expected = expected or report
        assert expected == report
    assert two.run("diff", "shop.db", "sqlite:///shop.db").exit_code == 0
    app = two.app()
    two.archive(app).rename("app.json")
    assert 0 == two.run("diff", "app.json", app).exit_code
    assert 0 == two.run("diff", app, app).exit_code


def test_standard_input(two: Workshop) -> None:
    """`-` is an archive on standard input, on one side."""
    archive = Path("old.json").read_bytes()
    assert "old.json and standard input" in two.ok("diff", "old.json", "-", stdin=archive).stdout
    assert "standard input and shop.db" in two.run("diff", "-", "shop.db", stdin=archive).stdout
    result = two.run("diff", "-", "-", stdin=archive)
    assert 2 == result.exit_code
    assert "on one side only" in result.stderr


def test_pipe_of_a_shell(two: Workshop) -> None:
    """A path that is a pipe is read once: what a shell's <(…) gives."""
    os.mkfifo("pipe")
    writer = subprocess.Popen(["sh", "-c", "cat old.json > pipe"])
    assert 0 == two.run("diff", "pipe", "old.json").exit_code
    assert 0 == writer.wait(30)


def test_json(two: Workshop) -> None:
    """--json prints one object on one line: totals, and each collection with its sample."""
    result = two.run("diff", "old.json", "shop.db", "--json")
    assert (1, 1) == (result.exit_code, result.stdout.count("\n"))
    report = json.loads(result.stdout)
    assert (False, 1, 1, 1, 3) == tuple(
        report[name] for name in ("identical", "added", "changed", "removed", "unchanged")
    )
    assert {
        "what": "changed",
        "key": {"id": 10},
        "old": {"note": "red"},
        "new": {"note": None},
    } in (report["collections"]["orders"]["sample"])


def test_numbers_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    """They have the layout of archives; in texts nothing is touched."""
    numbers = [0.00001, 1e16, 5e-7, 1.5, 10, -1e22]
    output.Output(as_json=True).done(Text(""), {"1e-05": numbers, "b": 'a"1e-05\\'})
    expected = '{"1e-05": [0.00001, 1e16, 5e-7, 1.5, 10, -1e22], "b": "a\\"1e-05\\\\"}\n'
    assert expected == capsys.readouterr().out


def test_stat_and_sample(two: Workshop) -> None:
    """--stat only counts, and --sample bounds the records that are shown."""
    result = two.run("diff", "old.json", "shop.db", "--stat")
    assert 1 == result.exit_code
    assert 4 == len(result.stdout.splitlines())
    report = json.loads(two.run("diff", "old.json", "shop.db", "--stat", "--json").stdout)
    assert [] == report["collections"]["orders"]["sample"]
    values = ", ".join(f"({number}, 'p{number}')" for number in range(100, 2100))
    run(two.database, f"INSERT INTO people VALUES {values}")
    lines = two.run("diff", "old.json", "shop.db", "--sample", "2").stdout.splitlines()
    assert ['  + id 3  name "Cy"', '  + id 100  name "p100"', "  and 1,999 more added"] == lines[
        6:9
    ]


def test_collection(two: Workshop) -> None:
    """--collection chooses; a name that is not there is wrong usage, and those there are named."""
    assert "orders" not in two.run("diff", "old.json", "shop.db", "--collection", "people").stdout
    both = ("--collection", "people", "--collection", "orders")
    assert "orders" in two.run("diff", "old.json", "shop.db", *both).stdout
    result = two.run("diff", "old.json", "shop.db", "--collection", "order\x1b")
    assert 2 == result.exit_code
    assert r"there is no collection 'order\x1b'; there are people, orders" in result.stderr


def test_structure(two: Workshop) -> None:
    """What differs in structure is named, and is different even where no record is."""
    run(two.database, "ALTER TABLE people ADD phone TEXT")
    archive = two.archive()
    statements = ("DROP phone", "CREATE TABLE extra (id INTEGER)", "INSERT INTO extra VALUES (1)")
    run(two.database, f"ALTER TABLE people {statements[0]}", *statements[1:])
    result = two.run("diff", archive, "shop.db", "--stat")
    assert 1 == result.exit_code
    lines = result.stdout.splitlines()
    assert f"  ! field phone only in {archive}" in lines
    assert "  ! the collection is only in shop.db" == lines[-1]


def test_options_of_stores(two: Workshop) -> None:
    """--types and --exclude are for those sides whose schema is read from the store."""
    run(two.database, "CREATE TABLE extra (id INTEGER, v DATE)")
    excluded = ("--exclude", "extra=not today")
    assert "extra" in two.run("diff", "old.json", "shop.db", "--stat").stdout
    assert "extra" not in two.run("diff", "old.json", "shop.db", "--stat", *excluded).stdout
    assert "extra" not in two.run("diff", two.app(path=two.database), "shop.db", *excluded).stdout
    declared = two.run("diff", "shop.db", "old.json", "--types", "declared").stdout
    assert "  ! field amount: " in declared or "! " in declared
    for options in (excluded, ("--types", "declared")):
        result = two.run("diff", "old.json", "old.json", *options)
        assert 2 == result.exit_code
        assert "--types and --exclude" in result.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("none.json", "shop.db"), "error: none.json does not exist"),
        (("shop.db", "."), "error: . is a folder, not a file"),
        (("old.json", "notes.txt"), "error: notes.txt: the file is no databackup archive"),
        (("cut.json", "shop.db"), "error: cut.json: the archive"),
        (("old.json", "none:repository"), "error: none:repository: there is no module 'none'"),
        (("old.json", "foo://x"), "error: no adapter is installed for foo://x"),
        (("old.json", "shop.db", "--frobnicate"), "No such option"),
        (("old.json", "shop.db", "--sample", "-1"), "Invalid value for '--sample'"),
        (("old.json",), "Missing argument"),
        (("old.json", "other.db"), "error: the key of people is id (int) in old.json, name (str)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_trouble(two: Workshop, arguments: tuple[str, ...], message: str) -> None:
    """Whatever goes wrong has exit code 2, so that 1 always says "different"."""
    Path("notes.txt").write_text("notes", "utf-8")
    Path("cut.json").write_bytes(Path("old.json").read_bytes()[:-100])
    two.make("other.db", "CREATE TABLE people (id INTEGER, name TEXT PRIMARY KEY NOT NULL)")
    result = two.run("diff", *arguments)
    assert 2 == result.exit_code
    assert message in result.stderr
    assert "" == result.stdout


def test_trouble_as_json(two: Workshop) -> None:
    """With --json an error is an object on standard output, with exit code 2."""
    result = two.run("diff", "none.json", "shop.db", "--json")
    assert 2 == result.exit_code
    assert "file" == json.loads(result.stdout)["error"]["code"]


def test_mistakes(two: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of the library's or the host's has a traceback, and exit code 2, too."""

    def fail(*_sides: Any, **_options: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(operation, "diff", fail)
    result = two.run("diff", "old.json", "shop.db")
    assert 2 == result.exit_code
    assert "ZeroDivisionError" in result.stderr


def test_missing_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without click `diff` fails with exit code 2, not with the one for "different"."""
    monkeypatch.setitem(sys.modules, "click", None)
    monkeypatch.delitem(sys.modules, "databackup.cli.commands", raising=False)
    for name, code in (("diff", 2), ("export", 1)):
        monkeypatch.setattr("sys.argv", ["databackup", name])
        assert code == package.main()
    assert "databackup[cli]" in capsys.readouterr().err


def test_cancelled(two: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C has the exit code 130."""

    def press(*_sides: Any, **_options: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(operation, "diff", press)
    result = two.run("diff", "old.json", "shop.db")
    assert (130, "cancelled; nothing was changed\n") == (result.exit_code, result.stderr)


def test_broken_pipe(two: Workshop) -> None:
    """A reader of the report that goes away is met without a word, and with exit code 2."""
    read, write = os.pipe()
    os.close(read)
    child = subprocess.run(
        [sys.executable, "-m", "databackup", "diff", "old.json", "shop.db"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (2, b"") == (child.returncode, child.stderr)


# -- values as people see them ---------------------------------------------------------------------


def test_hostile_names_and_values(workshop: Workshop) -> None:
    """Names and values are shown escaped, and JSON is ASCII."""
    table, column = quoted(EVIL), quoted(EVIL + "c")
    statements = [f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {column} TEXT)"]
    one = workshop.make("one.db", *statements, f"INSERT INTO {table} VALUES (1, 'x')")
    two = workshop.make(
        "two.db", *statements, f"INSERT INTO {table} VALUES (1, char(27, 8238, 10))"
    )
    result = workshop.run("diff", one, two)
    assert all(line.isprintable() for line in result.stdout.split("\n"))
    assert r'"\u001b\u202e\n"' in result.stdout
    name = "\x1b[31mone.db"
    one.rename(name)
    text = workshop.run("diff", name, two, "--json").stdout
    assert text.isascii()
    assert text.removesuffix("\n").isprintable()
    assert [EVIL] == list(json.loads(text)["collections"])


def test_hostile_structure(workshop: Workshop) -> None:
    """So are the names in what differs in structure, in notes, and in a question for others."""
    made = [f"CREATE TABLE {quoted(EVIL)} (id INTEGER PRIMARY KEY, {quoted(EVIL + 'c')} TEXT)"]
    evil = workshop.make("evil.db", *made)
    for arguments in ((), ("--collection", "t")):
        result = workshop.run("diff", evil, "shop.db", *arguments)
        assert all(line.isprintable() for line in (result.stdout + result.stderr).split("\n"))
        assert EVIL.encode("unicode_escape").decode()[:40] in result.stdout + result.stderr
    found = Diff(
        a="a",
        b="b",
        collections={"t": attrs.evolve(_diff().collections["t"], structure=(f"field {EVIL}",))},
        notes=(f"a is of the app {EVIL}",),
    )
    assert all(line.isprintable() for line in _lines(found, 500))


def _diff(*sample: RecordDiff) -> Diff:
    whats = [record.what for record in sample]
    one = CollectionDiff(
        added=whats.count("added"),
        changed=whats.count("changed"),
        removed=whats.count("removed"),
        unchanged=0,
        sample=sample,
    )
    return Diff(a="a", b="b", collections={"t": one})


def _lines(found: Diff, width: int = 80) -> list[str]:
    console = console_of(None)
    console.width = width
    with console.capture() as capture:
        console.print(compared(found))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_long_values() -> None:
    """Long values are cut to where they differ, and no line is wider than a terminal."""
    lorem = "lorem ipsum " * 80
    old = {"text": f"{lorem}one{lorem}", "n": 1}
    new = {"text": f"{lorem}two{lorem}", "n": None}
    wide = {f"field {number}": lorem for number in range(50)}
    found = _diff(
        RecordDiff(what="changed", key={"id": 1}, old=old, new=new),
        RecordDiff(what="added", key={}, old=None, new=wide),
        RecordDiff(what="changed", key={lorem: lorem}, old=old, new=new),
        RecordDiff(what="removed", key={lorem: lorem}, old={"x": "名前" * 100}, new=None),
    )
    for width in (80, 200):
        lines = _lines(found, width)
        place = lines.index("      text")
        for line, mark, word in ((lines[place + 1], "-", "one"), (lines[place + 2], "+", "two")):
            assert re.fullmatch(rf"        [{mark}] ….{{20}}{word}.{{37}}…", line)
        assert "      n  1 -> null" in lines
        assert max(map(len, lines)) <= min(width, 160)
        assert 1 == sum(line.startswith("  + ") for line in lines)


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "null"),
        ("null", '"null"'),
        (True, "true"),
        (1.5, "1.5"),
        (0.00001, "0.00001"),
        ([1e-6, 1e16], "[1e-6, 1e16]"),
        (10**40, "1" + "0" * 40),
        ({"a": [1, "é"]}, '{"a": [1, "é"]}'),
        ({"$invalid": "str 'x'"}, "not allowed: str 'x'"),
        ({"$shortened": '…"xy'}, '…"xy'),
        ({"$number": "1.50"}, "1.50"),
        ({"$json": {"$shortened": "x"}}, '{"$json": {"$shortened": "x"}}'),
    ],
)
def test_values(value: Any, text: str) -> None:
    """Values are shown as their JSON, and so told apart; marks of the sample in words."""
    found = _diff(RecordDiff(what="changed", key={"id": 1}, old={"v": value}, new={"v": 0}))
    assert f"      v  {text} -> 0" in _lines(found)


def test_colours(two: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal what was added is green, changed yellow, removed red; NO_COLOR is obeyed."""
    pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        master, slave = pty.openpty()
        child = subprocess.Popen(
            [sys.executable, "-m", "databackup", "diff", "old.json", "shop.db"],
            stdout=slave,
            stderr=subprocess.DEVNULL,
            env={**environment, **more},
        )
        os.close(slave)
        assert 1 == child.wait(60)
        text = os.read(master, 65536).decode()
        os.close(master)
        for colour, line in ((32, "+ "), (33, "~ "), (31, "- ")):
            assert coloured is bool(re.search(rf"\x1b\[{colour}m{re.escape(line)}", text))
    plain = two.run("diff", "old.json", "shop.db").stdout
    assert "\x1b" not in plain


def test_help_names_the_exit_codes(two: Workshop) -> None:
    """The help of the command and of the group say what the exit codes of `diff` mean."""
    for arguments in (["diff", "--help"], ["--help"]):
        text = " ".join(two.ok(*arguments).stdout.split())
        assert "0 the same; 1 different; 2 trouble of any kind" in text


def test_nothing_is_written(two: Workshop) -> None:
    """A comparison changes neither side, and leaves no file behind."""
    before = {path.name: path.read_bytes() for path in two.folder.iterdir()}
    two.run("diff", "old.json", "shop.db")
    assert before == {path.name: path.read_bytes() for path in two.folder.iterdir()}
