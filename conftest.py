"""Runs the examples of README.md and docs/ as tests, each document in a folder of its own.

Python runs as it is. In blocks marked `console` the lines `$ databackup …` and `$ sqlite3 FILE SQL`
run, and print what follows them, where `…` stands for anything. An example that cannot run says
so: a line `<!-- skip: next -->` or `% skip: next` above it.
"""

import contextlib
import os
import re
import shlex
import sqlite3
import tempfile
from typing import Any

import pytest
from click.testing import CliRunner
from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


def _enter_folder(namespace: dict[str, Any]) -> None:
    namespace["__folders"] = (os.getcwd(), tempfile.TemporaryDirectory())  # noqa: PTH109
    os.chdir(namespace["__folders"][1].name)


def _leave_folder(namespace: dict[str, Any]) -> None:
    before, folder = namespace["__folders"]
    os.chdir(before)
    folder.cleanup()


def _run_console(example: Example) -> None:
    for step in re.split(r"^\$ ", str(example.parsed), flags=re.MULTILINE)[1:]:
        line, _, expected = step.partition("\n")
        pattern = ".*".join(map(re.escape, expected.split("…")))
        printed = _printed(*shlex.split(line))
        assert re.fullmatch(pattern, printed), f"$ {line}\n{printed}"


def _printed(program: str, *arguments: str) -> str:
    if program == "sqlite3":
        file, sql = arguments
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.executescript(sql)
        return ""
    assert program == "databackup"
    # Here, so that coverage is measuring already when the library is imported.
    from databackup.cli.commands import cli  # noqa: PLC0415

    return CliRunner().invoke(cli, arguments, catch_exceptions=False).output


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(),
        CodeBlockParser(language="console", evaluator=_run_console),
        SkipParser(),
    ],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
    setup=_enter_folder,
    teardown=_leave_folder,
).pytest()


_TOGETHER = (".md", "tests/examples/test_catering.py")


class _ByDocument(LoadScopeScheduling):
    """Keeps a document's examples in one xdist worker, in order: each builds on those before it.

    So it does with tests that look at what one run of the demo has printed.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if path.endswith(_TOGETHER) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Distribute single tests and whole documents; the mark `xdist_group` does nothing here."""
    return _ByDocument(config, log)
