"""Progress bars on a terminal: one line, with counts, rate and remaining time, gone at the end."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from databackup.cli.output import console_of, is_terminal
from databackup.cli.text import size, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.operations.reports import Progress, ProgressCallback


class _Counts(ProgressColumn):
    """How many records or bytes of how many, and how many a second."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        shown = _as_size if task.fields.get("unit") == "bytes" else _as_number
        speed = "" if task.speed is None else f"  {shown(task.speed)}/s"
        return Text(f"{shown(task.completed)}/{shown(task.total)}{speed}")


def _as_size(number: float) -> str:
    return size(round(number))


def _as_number(number: float) -> str:
    return f"{number:,.0f}"


@contextlib.contextmanager
def progress_bar(first: str, *, wanted: bool = True) -> Iterator[ProgressCallback]:
    """A callback that draws what it is told on standard error, where that is a terminal.

    `first` says what is done before the first record; it may name a file.
    """
    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        _Counts(),
        TimeRemainingColumn(compact=True),
        console=console_of(sys.stderr),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not (wanted and is_terminal(sys.stderr)),
    )
    task = bars.add_task(visible(first), total=None)
    current = ("", "")

    def show(progress: Progress) -> None:
        nonlocal current
        if current != (progress.stage, progress.collection):
            current = (progress.stage, progress.collection)
            described = f"{progress.stage} {visible(progress.collection)}".rstrip()
            bars.reset(task, total=progress.total, description=described, unit=progress.unit)
        bars.update(task, completed=progress.done)

    with bars:
        yield show
