"""The profiler: which function of databackup a sample counts for."""

import shutil
import stat
import sys
from pathlib import Path

import pytest

from benchmarks import flames, table
from benchmarks.plan import Step

START = "_run_module_as_main (<frozen runpy>:198);<module> (steps.py:36)"
EXPORT = f"{START};export_all (databackup/operations/export.py:49)"
ENCODE = f"{EXPORT};Codec.encode (databackup/schema/compiled.py:60)"
IMPORT = f"{EXPORT};import_module (<frozen importlib._bootstrap>:1204)"


@pytest.mark.parametrize(
    "stack, function, module",
    [
        (EXPORT, "export_all", "operations/export.py"),
        (f"{EXPORT};Path.replace (pathlib.py:1188)", "export_all", "operations/export.py"),
        (
            f"{ENCODE};convert.<locals>.<listcomp> (<databackup codec>:2)",
            "Codec.encode",
            "schema/compiled.py",
        ),
        (
            f"{EXPORT};Digest.add.<locals>.<listcomp> (databackup/archive/digest.py:29)",
            "Digest.add",
            "archive/digest.py",
        ),
        (
            f"{IMPORT};<module> (databackup/schema/model.py:1)",
            "starting Python, loading modules",
            "",
        ),
        (START, "starting Python, loading modules", ""),
        ("", "starting Python, loading modules", ""),
    ],
)
def test_places(stack: str, function: str, module: str) -> None:
    """A sample counts for the innermost function of databackup, or for the start."""
    row = flames.shares([f"{stack} 7"]).splitlines()[-1]
    assert ["100 %", function, module] == [cell.strip() for cell in row.strip("|").split("|")]


def test_shares() -> None:
    """Samples of one function add up, the largest share stands first, small ones are left out."""
    digest = f"{EXPORT};Digest.add (databackup/archive/digest.py:30) 60"
    found = flames.shares([f"{EXPORT} 300", digest, f"{EXPORT} 639", f"{START} 1"])
    assert ["94 %", "6 %"] == [line.split("|")[1].strip() for line in found.splitlines()[2:]]


def test_graphs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every step is run under py-spy, for its graph and its table; `--write` keeps the tables."""
    spy = tmp_path / "py-spy"
    spy.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != -- ]; do\n'
        '  [ "$1" = --output ] && printf "%s 8\\n" "f (databackup/spill.py:1)" > "$2"\n'
        "  shift\n"
        "done\n"
        "shift\n"
        'exec "$@"\n',
        "utf-8",
    )
    spy.chmod(spy.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(flames, "profiler", lambda: str(spy))
    graphs = tmp_path / "graphs"
    readme = tmp_path / "README.md"
    shutil.copyfile(table.README, readme)
    monkeypatch.setattr(flames, "README", readme)
    options = ["--rows", "20", "--folder", str(tmp_path), "--output", str(graphs)]
    flames.main([*options, "--write"])
    assert {
        "reflected-schema-export.svg",
        "reflected-schema-import-with-read-back.svg",
        "attrs-models-export.svg",
        "attrs-models-import-with-read-back.svg",
        "migrations-import-of-version-1.svg",
    } == {path.name for path in graphs.iterdir()}
    printed = capsys.readouterr().out
    assert printed.count("| 100 % | f        | spill.py |") == 5
    assert "reflected schema: export, 20 rows:\n" in printed
    assert readme.read_text("utf-8").count("| 100 % | f        | spill.py |") == 5
    assert f"\n{graphs}/reflected-schema-export.svg\n" in printed


def test_recorded() -> None:
    """py-spy gets the step's own command, and the step keeps its files."""
    step = Step(group="models", name="import", rows=1, command=("python", "x"), makes=Path("made"))
    spied = flames.recorded(step, "py-spy", "raw", Path("stacks"))
    assert ("--", "python", "x") == spied.command[-3:]
    assert Path("stacks").absolute() == spied.command[spied.command.index("--output") + 1]
    assert spied.makes == step.makes


def test_without_py_spy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without py-spy the command says where to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(SystemExit, match="make profile"):
        flames.profiler()
