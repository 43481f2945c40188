"""`--limit NAME=VALUE`, on every command that reads an archive."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

from databackup import Limits
from databackup.cli.limits import limit_option
from tests.cli.conftest import Workshop
from tests.support.sqlite import run


def _limits(*arguments: str) -> Limits:
    """What a command is given for its arguments."""
    given: list[Limits] = []

    @click.command()
    @limit_option
    def command(limits: Limits) -> None:
        given.append(limits)

    options = [part for argument in arguments for part in ("--limit", argument)]
    command.main(options, standalone_mode=False)
    return given[0]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("record=1000", {"record": 1000}),
        ("record=200MB", {"record": 200_000_000}),
        ("record=200 kB", {"record": 200_000}),
        ("header=64MiB", {"header": 64 * 1024 * 1024}),
        ("size=3GB", {"size": 3_000_000_000}),
        ("size=2TiB", {"size": 2 * 1024**4}),
        ("size=none", {"size": None}),
        ("record=1KiB", {"record": 1024}),
        ("expansion=1000", {"expansion": 1000}),
        ("expansion=none", {"expansion": None}),
        ("depth=10", {"depth": 10}),
        ("depth=none", {"depth": None}),
        ("values=2000000", {"values": 2_000_000}),
        ("values=none", {"values": None}),
    ],
)
def test_values(text: str, expected: dict[str, Any]) -> None:
    """Bytes are taken with the usual units, ratios and levels without, and none is no limit."""
    assert Limits(**expected) == _limits(text)


def test_several() -> None:
    """The option is repeatable, and what it does not name keeps its default."""
    assert Limits() == _limits()
    expected = attrs.evolve(Limits(), record=5, depth=3)
    assert expected == _limits("record=5", "depth=3")


@pytest.mark.parametrize("command", ["import", "inspect", "verify"])
@pytest.mark.parametrize(
    "text, message",
    [
        ("records=5", "with NAME of record, header, size, expansion, depth, values"),
        ("5", "is not NAME=VALUE"),
        ("record", "neither none nor a number, with or without one of kB, MB"),
        ("record=", "neither none nor a number"),
        ("record=-5", "neither none nor a number"),
        ("record=1.5MB", "neither none nor a number"),
        ("record=5mb", "neither none nor a number"),
        ("record=\u0665", "neither none nor a number"),
        ("record=None", "neither none nor a number"),
        ("record=0", "is 1 or more, or None"),
        ("depth=5MB", "depth=5MB is neither none nor a number"),
        ("expansion=1k", "neither none nor a number"),
        ("depth=257", "at most 256"),
        ("values=5MB", "neither none nor a number"),
        ("expansion=auto", "neither none nor a number"),
    ],
)
def test_what_is_no_limit(workshop: Workshop, command: str, text: str, message: str) -> None:
    """What is not understood is wrong usage, and the answer says what would be right."""
    result = workshop.run(command, "no such file", "--limit", text, *_target(command, workshop))
    assert 2 == result.exit_code
    assert message in " ".join(result.output.split())


def _target(command: str, workshop: Workshop) -> list[Path | str]:
    return [workshop.database, "--yes"] if command == "import" else []


def test_given_twice(workshop: Workshop) -> None:
    """A limit that is given twice is wrong usage, since one of the two would be passed over."""
    result = workshop.run("inspect", "x", "--limit", "record=5", "--limit", "record=6")
    assert (2, True) == (result.exit_code, "record is given twice" in result.output)


@pytest.mark.parametrize("command", ["import", "inspect", "verify"])
@pytest.mark.parametrize("name", ["record", "header", "size"])
@pytest.mark.parametrize("piped", [False, True])
def test_limits_hold(workshop: Workshop, command: str, name: str, piped: bool) -> None:
    """Each command refuses what is beyond the limit, names it, and says how to raise it."""
    archive = workshop.archive()
    before = workshop.dump()
    file, stdin = ("-", archive.read_bytes()) if piped else (str(archive), b"")
    target = _target(command, workshop)
    result = workshop.run(command, file, *target, "--limit", f"{name}=20", "--json", stdin=stdin)
    error = json.loads(result.stdout)["error"]
    assert (1, "limit-exceeded", name) == (result.exit_code, error["code"], error["limit"])
    assert "--limit NAME=" in result.stderr
    assert before == workshop.dump()
    workshop.ok(command, file, *target, "--limit", f"{name}=1MB", stdin=stdin)


def test_limits_hold_before_anybody_is_asked(workshop: Workshop) -> None:
    """The look at the archive before the question has the same limits."""
    archive = workshop.archive()
    result = workshop.run("import", archive, workshop.database, "--limit", "record=20")
    assert "limit 'record'" in result.output
    run(workshop.database, "DELETE FROM orders")
    result = workshop.run("import", archive, workshop.database, "--limit", "record=1MB")
    assert "there is no terminal to ask on" in result.output


def test_the_answer_names_the_line(workshop: Workshop) -> None:
    """People are told limit, value and line; none lifts the limit."""
    archive = workshop.archive()
    result = workshop.run("verify", archive, "--limit", "record=20")
    assert "the limit 'record' allows: 20 bytes (line " in result.output
    workshop.ok("verify", archive, "--limit", "record=none", "--limit", "depth=1")


@pytest.mark.parametrize("command", ["import", "inspect", "verify"])
def test_a_pipe_is_copied_up_to_the_limit_of_size(workshop: Workshop, command: str) -> None:
    """Standard input is not copied beyond the limit, whatever it is."""
    arguments = [command, "-", *_target(command, workshop), "--limit", "size=1MB"]
    result = subprocess.run(
        [sys.executable, "-m", "databackup", *arguments],
        input=b"no archive" * 500_000,
        capture_output=True,
        check=False,
    )
    assert 1 == result.returncode
    assert b"the archive is larger than the limit 'size' allows: 1,000,000 bytes" in result.stderr
