"""The entry point, before there is a command."""

import builtins
from typing import Any

import pytest

from databackup.cli import main


def test_ctrl_c_while_the_modules_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during the first moments ends with the code of Ctrl-C, and no traceback."""
    real = builtins.__import__

    def interrupted(name: str, *rest: Any, **options: Any) -> Any:
        if name == "databackup.cli.commands":
            raise KeyboardInterrupt
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", interrupted)
    assert 130 == main()
