import json
import signal
import threading
from pathlib import Path

import pytest

import databackup
from databackup import inspect_archive
from databackup.archive import files
from databackup.cli import commands
from tests.cli.conftest import Workshop
from tests.support.sqlite import run


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["export", "shop.db"],
        ["import", "backup.json", "shop.db", "--mode", "sync"],
        ["import", "backup.json", "shop.db", "--wait", "-1"],
        ["import", "backup.json", "shop.db", "--wait", "nan"],
        ["import", "backup.json", "shop.db", "--wait", "inf"],
        ["import", "backup.json", "shop.db", "--wait", "1e300"],
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


def test_interrupted_before_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C before a command has begun has the exit code 130, too, and says so."""

    def press(**_options: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(commands.cli, "main", press)
    assert 130 == commands.run()
    assert "cancelled; nothing was changed\n" == capsys.readouterr().err


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


@pytest.mark.parametrize("command", ["import", "inspect"])
def test_ctrl_c_while_the_process_ends(
    workshop: Workshop, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done stays done to the end of the process: Ctrl-C is not listened to any more."""
    archive = str(workshop.archive())
    arguments = [archive, "shop.db", "--yes"] if command == "import" else [archive]
    monkeypatch.setattr("sys.argv", ["databackup", command, *arguments])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert 0 == commands.run()
        ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert (command == "import") == ignored


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
