import contextlib
import io
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from databackup import inspect_archive, verify_archive
from databackup.cli.interrupt import InterruptGuard
from databackup.operations.reports import Progress
from tests.cli.conftest import Workshop
from tests.support.sqlite import query


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C is heard, though the tests may run in the background, where a shell turns it off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


COMMAND = "databackup seal EDITED SEALED"


def _laid_out(**options: Any) -> Callable[[bytes], bytes]:
    return lambda archive: json.dumps(json.loads(archive), **options).encode()


def _replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(archive: bytes) -> bytes:
        assert old in archive
        return archive.replace(old, new, 1)

    return change


EDITS: dict[str, Callable[[bytes], bytes]] = {
    # what people and their programs do to an archive
    "indented": _laid_out(indent=2),
    "indented, with a line feed": lambda a: _laid_out(indent=4)(a) + b"\n",
    "sorted and indented": _laid_out(indent=2, sort_keys=True),
    "sorted on one line": lambda a: _laid_out(sort_keys=True)(a) + b"\n",
    "on one line": lambda a: _laid_out(separators=(",", ":"), ensure_ascii=False)(a) + b"\n",
    "on one line, without line feed": _laid_out(separators=(",", ":")),
    "on one line, with spaces": _laid_out(),
    "final line feed lost": lambda a: a[:-1],
    "blank line behind": lambda a: a + b"\n",
    "CRLF": lambda a: a.replace(b"\n", b"\r\n"),
    "byte order mark": lambda a: b"\xef\xbb\xbf" + a,
    "space in front": lambda a: b" " + a,
    "value": _replaced(b'"Ana"', b'"Eva"'),
    "record taken out": _replaced(b'{"id":11,"person":2,"amount":1e300,"note":null},\n', b""),
    "record put in": _replaced(
        b'{"id":2,"name":"Bo"}', b'{"id":2,"name":"Bo"},\n{"id":3,"name":"Cy"}'
    ),
    "comma forgotten": _replaced(b'"note":"red"},', b'"note":"red"}'),
    "header's app": _replaced(b'"app":null', b'"app":"shop"'),
    "header's time": _replaced(b'"created_at":"2', b'"created_at":"1'),
    "header's spaces": _replaced(b'"app":', b'"app": '),
    "header's line": _replaced(b',\n"schema_digest"', b',"schema_digest"'),
    "line between": _replaced(b'"data":{\n', b'"data":{\n\n'),
    "end": _replaced(b'"count":3', b'"count":2'),
    "seal on the line of the end": _replaced(b',\n"seal"', b',"seal"'),
}


@pytest.mark.parametrize("what", EDITS)
@pytest.mark.parametrize("command", ["import", "verify", "inspect"])
def test_edits_are_refused_with_the_command(workshop: Workshop, what: str, command: str) -> None:
    """Whatever an edit ends in, the error names the command that seals, in text and JSON."""
    archive = workshop.archive()
    Path("edited.json").write_bytes(EDITS[what](archive.read_bytes()))
    before = workshop.dump()
    arguments = ["edited.json", "shop.db", "--yes"] if command == "import" else ["edited.json"]
    result = workshop.run(command, *arguments)
    assert 1 == result.exit_code
    assert COMMAND in result.stderr
    error = json.loads(workshop.run(command, *arguments, "--json").stdout)["error"]
    assert COMMAND in error["remedy"]
    assert {"archive-truncated", "seal-broken", "archive-invalid", "not-an-archive"} >= {
        error["code"]
    }
    assert before == workshop.dump()


@pytest.mark.parametrize("what", EDITS)
def test_edits_are_sealed_and_imported(workshop: Workshop, what: str) -> None:
    """The same edits, sealed, are sound, and go back into the store."""
    archive = workshop.archive()
    Path("edited.json").write_bytes(EDITS[what](archive.read_bytes()))
    workshop.ok("seal", "edited.json", "sealed.json")
    verify_archive("sealed.json")
    workshop.ok("import", "sealed.json", "shop.db", "--yes")
    names = [row[0] for row in query(workshop.database, "SELECT name FROM people ORDER BY id")]
    orders = query(workshop.database, "SELECT count(*) FROM orders")[0][0]
    assert (["Eva", "Bo"] if what == "value" else ["Ana", "Bo"]) == names[:2]
    assert (3 if what == "record put in" else 2) == len(names)
    assert (2 if what == "record taken out" else 3) == orders


def test_seal_tells_what_it_did(workshop: Workshop) -> None:
    """`seal` tells people on standard error, prints nothing else, and `inspect` shows the edit."""
    archive = workshop.archive()
    result = workshop.ok("seal", archive, "sealed.json.gz")
    before, after = inspect_archive(archive), inspect_archive("sealed.json.gz")
    assert "" == result.stdout
    assert "sealed 5 records of 2 collections to sealed.json.gz" in result.stderr
    assert before.archive_id in result.stderr
    assert after.seal in result.stderr
    assert after.edited is not None
    shown = workshop.ok("inspect", "sealed.json.gz").stdout
    edited = f"sealed anew {after.edited.sealed_at}, after {before.archive_id} was edited"
    assert edited in shown
    assert "edited" not in workshop.ok("inspect", archive).stdout
    as_json = json.loads(workshop.ok("inspect", "sealed.json.gz", "--json").stdout)
    assert before.archive_id == as_json["edited"]["archive_id"]
    assert json.loads(workshop.ok("inspect", archive, "--json").stdout)["edited"] is None


def test_seal_as_json(workshop: Workshop) -> None:
    """`seal --json` prints the report as one JSON object."""
    result = workshop.ok("seal", workshop.archive(), "sealed.json", "--json")
    report = json.loads(result.stdout)
    assert ({"people": 2, "orders": 3}, 5) == (report["collections"], report["records"])
    assert inspect_archive("sealed.json").archive_id == report["archive_id"]
    assert "" == result.stderr


def test_seal_through_pipes(workshop: Workshop) -> None:
    """With `-` the archive alone is on standard output, and the report on standard error."""
    archive = workshop.archive().read_bytes()
    result = workshop.ok("seal", "-", "-", stdin=archive)
    assert 5 == inspect_archive(io.BytesIO(result.stdout_bytes)).records
    assert "sealed 5 records of 2 collections to standard output" in result.stderr
    result = workshop.ok("seal", "-", "-", "--json", stdin=archive)
    info = inspect_archive(io.BytesIO(result.stdout_bytes))
    assert info.seal == json.loads(result.stderr)["seal"]


def test_seal_names_what_it_refuses(workshop: Workshop) -> None:
    """Errors name EDITED, or standard input, and the line; SEALED stays."""
    text = workshop.archive().rename("edited.json").read_bytes()
    Path("edited.json").write_bytes(text.replace(b'"Bo"}', b'"Bo"'))
    result = workshop.run("seal", "edited.json", "sealed.json")
    assert 1 == result.exit_code
    assert "error: edited.json: the document is no JSON at line 9, column 1: Exp" in result.stderr
    assert "(line" not in result.stderr
    assert not Path("sealed.json").exists()
    result = workshop.run("seal", "-", "-", stdin=b"text")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "error: standard input: the file is no databackup archive" in result.stderr
    result = workshop.run("seal", "none.json", "-", "--json")
    assert "file" == json.loads(result.stderr)["error"]["code"]


def test_seal_replaces_an_archive_alone(workshop: Workshop) -> None:
    """A SEALED that is an archive is replaced, EDITED itself among them; nothing else is."""
    archive = workshop.archive()
    Path("old.json").write_bytes(archive.read_bytes().replace(b'"Ana"', b'"Eva"'))
    workshop.ok("seal", "old.json", "old.json")
    verify_archive("old.json")
    result = workshop.run("seal", archive, "shop.db")
    assert 1 == result.exit_code
    assert "shop.db exists and is no archive" in result.stderr


def test_the_question_tells_of_the_edit(workshop: Workshop) -> None:
    """Before an import asks, it says that the archive was edited, and when it was sealed."""
    archive = workshop.archive()
    workshop.ok("seal", archive, "sealed.json")
    edited = inspect_archive("sealed.json").edited
    assert edited is not None
    told = workshop.run("import", "sealed.json", "shop.db").stderr
    assert f"It was edited, and sealed anew {edited.sealed_at}." in told
    assert "edited" not in workshop.run("import", archive, "shop.db").stderr


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("stage, raises", [("sealing", True), ("finishing", False)])
def test_ctrl_c(stage: str, raises: bool) -> None:
    """Ctrl-C cancels until a sealed archive is about to take its name, and no longer then."""
    seen: list[Progress] = []
    with InterruptGuard() as guard:
        report = guard.progress(seen.append)
        report(Progress(stage=stage, collection="", done=1, total=1))
        with pytest.raises(KeyboardInterrupt) if raises else contextlib.nullcontext():
            signal.raise_signal(signal.SIGINT)
    assert [stage] == [progress.stage for progress in seen]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("ctrl_c")
def test_cancelled_seal(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while records are checked has the exit code 130, and writes nothing."""

    def pressed(*_arguments: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("databackup.operations.seal._Seal._tell", pressed)
    result = workshop.run("seal", workshop.archive(), "sealed.json")
    assert 130 == result.exit_code
    assert "cancelled; nothing was changed" in result.stderr
    assert not Path("sealed.json").exists()


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_as_it_takes_its_name(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C once all is written is ignored: the archive is there, and said to be."""
    replace = Path.replace

    def pressed(path: Path, target: Path) -> Path:
        signal.raise_signal(signal.SIGINT)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", pressed)
    archive = workshop.archive()
    workshop.ok("seal", archive, "sealed.json")
    verify_archive("sealed.json")
