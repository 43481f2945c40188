"""Which step of a migration a record that is not valid in the end comes from."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from databackup.migrations.running import Numbered, Runner

if TYPE_CHECKING:
    from databackup.migrations.running import Read
    from databackup.migrations.way import Way
    from databackup.schema import Collection, Row


class Blame:
    """Carries records of one collection step by step; what it needs is made for the first one."""

    def __init__(self, way: Way, name: str, read: Read) -> None:
        self._way = way
        self._names = way.names_of(name)
        self._read = read
        self._parts: list[tuple[Runner, Collection]] = []
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._opened.close()

    def step(self, start: Row, number: int) -> str:
        """The first step whose outcome for a record is not valid."""
        for step, (runner, collection) in zip(self._way.steps, self._made(), strict=True):
            made = runner.run(Numbered([start], [number]))
            if collection.codec.explain_rows(made.rows):
                return f"the migration {step}"
        return f"the migration {self._way.steps[-1]}"

    def _made(self) -> list[tuple[Runner, Collection]]:
        if not self._parts:
            for count, name in enumerate(self._names, 1):
                part = self._way.up_to(count)
                runner = Runner(part.flows()[name], self._read, lambda _problem: None)
                self._parts.append((self._opened.enter_context(runner), part.after[name]))
        return self._parts
