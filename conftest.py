"""Runs the Python examples of README.md and docs/ as tests, each document in a folder of its own.

An example that cannot run says so: a line `<!-- skip: next -->` or `% skip: next` above it.
"""

import os
import tempfile
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


def _enter_folder(namespace: dict[str, Any]) -> None:
    namespace["__folders"] = (os.getcwd(), tempfile.TemporaryDirectory())  # noqa: PTH109
    os.chdir(namespace["__folders"][1].name)


def _leave_folder(namespace: dict[str, Any]) -> None:
    before, folder = namespace["__folders"]
    os.chdir(before)
    folder.cleanup()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
    setup=_enter_folder,
    teardown=_leave_folder,
).pytest()


class _ByDocument(LoadScopeScheduling):
    """Keeps a document's examples in one xdist worker, in order: each builds on those before it."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if path.endswith(".md") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Distribute single tests and whole documents; the mark `xdist_group` does nothing here."""
    return _ByDocument(config, log)
