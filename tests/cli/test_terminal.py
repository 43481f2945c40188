"""The command line in processes of their own: on a terminal, in a pipe, with nowhere to print."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from databackup import inspect_archive
from databackup.archive.encrypting import encrypt
from databackup.errors import FileError
from tests.cli.conftest import Workshop
from tests.cli.versions import Catering
from tests.support import keys
from tests.support.agefile import with_passphrase
from tests.support.sqlite import run

pty = pytest.importorskip("pty", reason="no pseudo-terminals here")

COMMAND = (sys.executable, "-m", "databackup")
QUESTION = "Overwrite shop.db? [y/N] "
ESCAPE = "\x1b"


@attrs.define
class Terminal:
    """A child process on a pseudo-terminal of its own."""

    process: "subprocess.Popen[bytes]"
    master: int
    text: str = ""

    def read(self, until: str | None = None) -> str:
        """What the child has printed, up to `until` or to its end."""
        deadline = time.monotonic() + 30
        while until is None or until not in self.text:
            ready, _, _ = select.select(
                [self.master], [], [], max(0.0, deadline - time.monotonic())
            )
            assert ready, f"nothing more after: {self.text!r}"
            try:
                chunk = os.read(self.master, 65536)
            except OSError:  # how Linux says that the other end is closed
                chunk = b""
            if not chunk:
                break
            self.text += chunk.decode().replace("\r\n", "\n")
        return self.text

    def answer(self, text: str) -> None:
        """Type at the keyboard."""
        os.write(self.master, text.encode())

    def end(self) -> int:
        """Read what is left, and return the exit code."""
        self.read()
        return self.process.wait(30)


@pytest.fixture
def terminal() -> Iterator[Any]:
    """Starts commands on terminals, and ends those that are left."""
    started: list[Terminal] = []

    def start(*arguments: str, **streams: Any) -> Terminal:
        master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
        environment.pop("NO_COLOR", None)
        places = {"stdin": slave, "stdout": slave, "stderr": slave, **streams}
        process = subprocess.Popen(
            [*COMMAND, *arguments], env=environment, start_new_session=True, **places
        )
        os.close(slave)
        started.append(Terminal(process, master))
        return started[-1]

    yield start
    for found in started:
        if found.process.poll() is None:
            found.process.kill()
        found.process.wait()
        for stream in (found.process.stdin, found.process.stdout, found.process.stderr):
            if stream:
                stream.close()
        os.close(found.master)


@pytest.fixture
def changed(workshop: Workshop) -> Workshop:
    """A database that has changed since its archive `backup.json` was made."""
    workshop.archive().rename("backup.json")
    run(workshop.database, "DELETE FROM orders")
    return workshop


def _child(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        **options,
    )


# -- the question ------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_yes_imports(changed: Workshop, terminal: Any, answer: str) -> None:
    """On a terminal `import` says what it will overwrite, asks, and goes on for a yes."""
    child = terminal("import", "backup.json", "shop.db")
    asked = child.read(QUESTION)
    assert f"  orders      {ESCAPE}[32m    3{ESCAPE}[0m        0 " in asked
    child.answer(answer)
    assert 0 == child.end()
    assert "imported 5 records" in child.text
    assert 3 == len(changed.dump()["orders"])


@pytest.mark.parametrize(
    "mode,question",
    [
        ("merge", "Merge into shop.db, and overwrite records of the same key? [y/N] "),
        ("add", "Add to shop.db, and change nothing that is there? [y/N] "),
    ],
)
def test_question_says_what_the_mode_does(
    changed: Workshop, terminal: Any, mode: str, question: str
) -> None:
    """Nobody has to remember what they asked for: the question says it."""
    child = terminal("import", "backup.json", "shop.db", "--mode", mode)
    child.read(question)
    child.answer("y\n")
    assert 0 == child.end()
    assert 3 == len(changed.dump()["orders"])


def test_question_tells_what_migrations_do(workshop: Workshop, terminal: Any) -> None:
    """What will be dropped is counted, and stands out, before anybody has to answer."""
    catering = Catering.of(workshop).frozen(workshop)
    workshop.ok("export", f"{catering.one}:repository", "old.json")
    child = terminal("import", "old.json", f"{catering.three}:repository")
    asked = child.read("? [y/N] ")
    assert "It would be migrated from schema version 1 to 3\n  1 to 2 (prices)\n" in asked
    assert f"  menus.code           {ESCAPE}[33m      1{ESCAPE}[0m          0\n" in asked
    child.answer("y\n")
    assert 0 == child.end()
    assert "imported 4 records of 2 collections" in child.text


@pytest.mark.parametrize("answer", ["n\n", "\n", "yess\n", "\x04"], ids=repr)
def test_everything_else_does_not(changed: Workshop, terminal: Any, answer: str) -> None:
    """Any other answer, and none at all, refuses with exit code 1 and changes nothing."""
    before = changed.dump()
    child = terminal("import", "backup.json", "shop.db")
    child.read(QUESTION)
    child.answer(answer)
    assert 1 == child.end()
    assert "error: the answer was not yes; nothing was changed" in _plain(child.text)
    assert before == changed.dump()


def test_ctrl_c_at_the_question(changed: Workshop, terminal: Any) -> None:
    """Ctrl-C at the question has the exit code 130 and changes nothing."""
    before = changed.dump()
    child = terminal("import", "backup.json", "shop.db")
    child.read(QUESTION)
    child.process.send_signal(signal.SIGINT)
    assert 130 == child.end()
    assert child.text.endswith("\ncancelled; nothing was changed\n")
    assert "Traceback" not in child.text
    assert before == changed.dump()


def test_nobody_reads_the_question(changed: Workshop, terminal: Any) -> None:
    """Where standard error is no terminal nobody would see the question: `import` refuses."""
    child = terminal("import", "backup.json", "shop.db", stderr=subprocess.PIPE)
    assert 1 == child.end()
    assert b"--yes" in child.process.stderr.read()


def test_question_with_json(changed: Workshop, terminal: Any) -> None:
    """With --json the question is asked too, and standard output holds the report alone."""
    child = terminal("import", "backup.json", "shop.db", "--json", stdout=subprocess.PIPE)
    child.read(QUESTION)
    child.answer("y\n")
    assert 0 == child.end()
    report = child.process.stdout.read()
    assert report.startswith(b'{"archive_id": ')
    assert 1 == report.count(b"\n")


# -- progress ----------------------------------------------------------------------------------


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_progress_on_a_terminal(changed: Workshop, terminal: Any) -> None:
    """On a terminal a bar shows stage, collection and counts, and is wiped away at the end."""
    child = terminal("import", "backup.json", "shop.db", "--yes")
    assert 0 == child.end()
    assert re.search(r"reading back \w+ .* \d+/\d+", _plain(child.text))
    bar, _, report = child.text.rpartition(f"{ESCAPE}[2K")
    assert "reading back" in bar
    assert "reading back" not in report
    assert "imported 5 records" in report


def test_a_hostile_file_name_beside_the_bar(workshop: Workshop, terminal: Any) -> None:
    """What a bar says before the first record shows control characters, and obeys none."""
    name = "b\x1b]0;owned\x07\n.json"
    workshop.archive().rename(name)
    child = terminal("inspect", name)
    assert 0 == child.end()
    assert r"reading b\x1b]0;owned\x07\n.json" in _plain(child.text)
    assert "\x1b]0;" not in child.text


def test_no_progress_in_json_beside_the_archive(workshop: Workshop, terminal: Any) -> None:
    """`export - --json` draws no bar: standard error is the report."""
    child = terminal("export", "shop.db", "-", "--json", stdout=subprocess.DEVNULL)
    assert 0 == child.end()
    assert child.text.startswith("{")
    assert ESCAPE not in child.text


@pytest.mark.parametrize("colour", ["0", "1"])
def test_no_progress_without_a_terminal(workshop: Workshop, colour: str) -> None:
    """Without a terminal there is no bar, even where colours are forced."""
    environment = {**os.environ, "FORCE_COLOR": colour} if colour == "1" else None
    child = _child("export", "shop.db", "backup.json", env=environment)
    assert 0 == child.returncode
    assert child.stderr.startswith("exported 5 records")
    assert "opening" not in child.stderr


def test_plain_text_without_a_terminal(workshop: Workshop) -> None:
    """Without a terminal there are no escape sequences and no wrapped lines."""
    columns = ", ".join(f"a_rather_long_column_{number} INTEGER" for number in range(40))
    run(workshop.database, f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {columns})")
    _child("export", "shop.db", "backup.json")
    child = _child("inspect", "backup.json")
    assert ESCAPE not in child.stdout
    (line,) = [line for line in child.stdout.splitlines() if "a_rather_long_column_0" in line]
    assert line.endswith("a_rather_long_column_39")


def test_no_color(changed: Workshop, terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR turns colours off; without it an error is red on a terminal."""
    red = f"{ESCAPE}[1;31merror"
    child = terminal("inspect", "none.json")
    child.end()
    assert red in child.text
    plain = _child("inspect", "none.json", env={**os.environ, "NO_COLOR": "1", "FORCE_COLOR": "1"})
    assert "31m" not in plain.stderr


# -- nowhere to print --------------------------------------------------------------------------


def test_broken_pipe_of_an_export(workshop: Workshop) -> None:
    """A reader of the archive that goes away ends the export without a word."""
    values = ", ".join(f"({number}, '{'x' * 100}{number}')" for number in range(3, 20_000))
    run(workshop.database, f"INSERT INTO people VALUES {values}")
    child = subprocess.Popen(
        [*COMMAND, "export", "shop.db", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout
    assert child.stderr
    child.stdout.read(10)
    child.stdout.close()
    assert b"" == child.stderr.read()
    child.stderr.close()
    assert 1 == child.wait(30)


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_broken_pipe_of_a_report(workshop: Workshop, command: str) -> None:
    """A reader of a report that goes away is met without a word."""
    archive = workshop.archive()
    read, write = os.pipe()
    os.close(read)
    child = subprocess.run(
        [*COMMAND, command, archive], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (1, b"") == (child.returncode, child.stderr)


def test_broken_pipe_after_an_import(changed: Workshop) -> None:
    """An import whose report nobody reads is done, and says so with exit code 0."""
    read, write = os.pipe()
    os.close(read)
    child = subprocess.run(
        [*COMMAND, "import", "backup.json", "shop.db", "--yes", "--json"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (0, b"") == (child.returncode, child.stderr)
    assert 3 == len(changed.dump()["orders"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_no_space_for_the_report(changed: Workshop) -> None:
    """A report that cannot be written fails a question, but not an import, which is done."""
    with Path("/dev/full").open("wb") as full:
        options: dict[str, Any] = {"stdout": full, "stderr": subprocess.PIPE, "text": True}
        question = subprocess.run([*COMMAND, "inspect", "backup.json"], check=False, **options)
        work = subprocess.run(
            [*COMMAND, "import", "backup.json", "shop.db", "--yes", "--json"],
            check=False,
            **options,
        )
        archive = subprocess.run([*COMMAND, "export", "shop.db", "-"], check=False, **options)
    written = "cannot be written: No space left on device"
    told = [f"error: standard output {written}", FileError.remedy + "."]
    assert (1, told) == (question.returncode, question.stderr.splitlines())
    expected = "warning: all is done, but its report is lost: No space left on device\n"
    assert (0, expected) == (work.returncode, work.stderr)
    told = [f"error: the destination {written}", FileError.remedy + "."]
    assert (1, told) == (archive.returncode, archive.stderr.splitlines())
    assert 3 == len(changed.dump()["orders"])


def test_closed_streams(changed: Workshop) -> None:
    """Streams that whoever started us has closed are no reason to fail, or named as one."""
    command = " ".join(COMMAND)
    script = (
        f"{command} import backup.json shop.db --yes >&- 2>&- && {command} inspect backup.json >&-"
    )
    assert 0 == subprocess.run(["sh", "-c", script], check=False).returncode
    assert 3 == len(changed.dump()["orders"])
    for arguments, message in (
        ("export shop.db - >&-", "standard output is closed"),
        ("inspect - <&-", "standard input is closed"),
    ):
        child = subprocess.run(
            ["sh", "-c", f"{command} {arguments}"], capture_output=True, text=True, check=False
        )
        told = [f"error: {message}", FileError.remedy + "."]
        assert (1, told) == (child.returncode, child.stderr.splitlines())


def test_terminal_that_knows_no_unicode(workshop: Workshop) -> None:
    """A name that the terminal's encoding lacks is escaped."""
    run(workshop.database, "ALTER TABLE people RENAME TO crêpes")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    child = _child("schema", "show", "shop.db", env=environment)
    assert 0 == child.returncode, child.stderr
    assert r"cr\xeapes" in child.stdout


def test_pipe_from_export_to_import(workshop: Workshop) -> None:
    """`export - | import -` copies a store in one line."""
    before = workshop.dump()
    archive = subprocess.run(
        [*COMMAND, "export", "shop.db", "-"], capture_output=True, check=True
    ).stdout
    run(workshop.database, "DELETE FROM orders")
    child = subprocess.run(
        [*COMMAND, "import", "-", "shop.db", "--yes"],
        input=archive,
        capture_output=True,
        check=False,
    )
    assert 0 == child.returncode, child.stderr
    assert before == workshop.dump()


def test_command_in_the_path(workshop: Workshop) -> None:
    """The installed command `databackup` and `python -m databackup` are the same."""
    command = Path(sys.executable).with_name("databackup")
    if not command.exists():
        pytest.skip("databackup is not installed here")
    subprocess.run([command, "export", "shop.db", "backup.json"], capture_output=True, check=True)
    assert 5 == inspect_archive("backup.json").records


def _with_a_word(workshop: Workshop) -> None:
    workshop.archive().rename("backup.json")
    Path("word.json.age").write_bytes(with_passphrase(Path("backup.json").read_bytes(), "s3cr3t"))
    Path("key.json.age").write_bytes(
        b"".join(encrypt([Path("backup.json").read_bytes()], keys.recipients()))
    )


@pytest.mark.parametrize("word, code", [("s3cr3t", 0), ("wrong", 1), ("", 1)])
def test_passphrase_is_asked_for(workshop: Workshop, terminal: Any, word: str, code: int) -> None:
    """Where an archive needs one and no option names it; it is not shown as it is typed."""
    _with_a_word(workshop)
    child = terminal("verify", "word.json.age")
    child.read("Passphrase of word.json.age: ")
    child.answer(word + "\n")
    assert code == child.end()
    said = {"s3cr3t": "is sound", "wrong": "does not open", "": "is empty"}
    assert said[word] in child.text
    assert "s3cr3t" not in child.text


def test_passphrase_is_asked_for_before_the_question(workshop: Workshop, terminal: Any) -> None:
    """An import asks once for it, and then what it always asks."""
    _with_a_word(workshop)
    child = terminal("import", "word.json.age", "shop.db")
    child.read("Passphrase of word.json.age: ")
    child.answer("s3cr3t\n")
    child.read(QUESTION)
    child.answer("y\n")
    assert 0 == child.end()
    assert 1 == child.text.count("Passphrase of")


def test_passphrase_is_not_asked_for(workshop: Workshop, terminal: Any) -> None:
    """Not of what is encrypted to recipients, and not where nobody can answer."""
    _with_a_word(workshop)
    child = terminal("verify", "key.json.age")
    assert 1 == child.end()
    assert "no identity was given" in child.text
    assert "Passphrase of" not in child.text
    for arguments in (("verify", "word.json.age"), ("diff", "word.json.age", "shop.db")):
        found = _child(*arguments)
        assert found.returncode
        assert "the archive is encrypted with a passphrase, and none was given" in found.stderr
