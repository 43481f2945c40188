"""Names and values that would steer a terminal, or look like markup, are shown, never obeyed."""

import json
import sqlite3
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.cli.text import counted, size, visible
from tests.cli.conftest import Workshop
from tests.support.sqlite import quoted, run

EVIL = "[bold red]x[/] \x1b[2J\x1b]0;owned\x07 \r\n\t\u202egpj.exe \x9b31m :smile: {task} \x7f \\"
SHOWN = EVIL.encode("unicode_escape").decode().replace("\\\\", "\\")


@given(st.text())
def test_visible_is_printable(text: str) -> None:
    """Whatever a text holds, what is shown of it has no control, format or surrogate character."""
    shown = visible(text)
    assert shown.isprintable()
    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(char) for char in shown}
    assert (shown == text) is text.isprintable()


@pytest.fixture
def evil(workshop: Workshop) -> Workshop:
    """A database whose names and values are hostile."""
    table, column = quoted(EVIL), quoted(EVIL + "c")
    workshop.make(
        "evil.db",
        f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {column} TEXT NOT NULL, "
        f"up INTEGER REFERENCES {table} (id))",
    )
    with sqlite3.connect("evil.db") as connection:
        connection.execute(f"INSERT INTO {table} VALUES (1, ?, NULL)", [EVIL])
    connection.close()
    return workshop


def _check(text: str) -> None:
    assert SHOWN in text
    assert all(line.isprintable() for line in text.split("\n"))


def test_reports(evil: Workshop) -> None:
    """The reports of all commands show hostile names escaped."""
    _check(evil.ok("export", "evil.db", "evil.json").stderr)
    _check(evil.ok("import", "evil.json", "evil.db", "--yes").stderr)
    _check(evil.run("import", "evil.json", "evil.db").stderr)
    for command in ("inspect", "verify"):
        _check(evil.ok(command, "evil.json").stdout)
    _check(evil.ok("schema", "show", "evil.db").stdout)


def test_errors(evil: Workshop) -> None:
    """Errors show hostile names and values escaped, differences and problems too."""
    archive = evil.archive("evil.db")
    _check(evil.run("import", archive, "shop.db", "--yes").stderr)
    run(
        evil.folder / "evil.db",
        "PRAGMA ignore_check_constraints = 1",
        f"UPDATE {quoted(EVIL)} SET up = 7",
    )
    dangling = evil.archive("evil.db")
    _check(evil.run("verify", dangling).stderr)
    _check(evil.ok("verify", dangling, "--dangling", "keep").stdout)


def test_arguments(evil: Workshop) -> None:
    """File names and targets are shown escaped, too."""
    name = EVIL.replace("/", "")
    for arguments in (["inspect", name], ["export", name, "x"], ["export", f"{name}://", "x"]):
        text = evil.run(*arguments).stderr
        assert r"\x1b[2J\x1b]0;owned\x07" in text
        assert all(line.isprintable() for line in text.split("\n"))
    Path(name).write_text("no archive")
    _check(evil.run("inspect", name).stderr.replace("[]", "[/]"))


def test_json(evil: Workshop) -> None:
    """JSON is ASCII without control characters, and reads back as what the names are."""
    evil.ok("export", "evil.db", "evil.json")
    for arguments in (
        ["inspect", "evil.json", "--json"],
        ["verify", "evil.json", "--json"],
        ["schema", "show", "evil.db", "--json"],
        ["import", "evil.json", "evil.db", "--yes", "--json"],
    ):
        text = evil.ok(*arguments).stdout
        assert text.isascii()
        assert text.removesuffix("\n").isprintable()
        assert [EVIL] == list(json.loads(text)["collections"])


@pytest.mark.parametrize(
    "number, expected",
    [(0, "0 records"), (1, "1 record"), (1234567, "1,234,567 records")],
)
def test_counted(number: int, expected: str) -> None:
    """Numbers have separators, and nouns their plural."""
    assert expected == counted(number, "record")


@pytest.mark.parametrize(
    "number, expected",
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (172_160, "172.2 kB"),
        (5_000_000, "5.0 MB"),
        (3 * 10**16, "30000.0 TB"),
    ],
)
def test_size(number: int, expected: str) -> None:
    """Sizes are given in the unit that fits them."""
    assert expected == size(number)
