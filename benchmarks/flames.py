"""Flame graphs of exports and imports, and the functions of databackup that take the time.

python -m benchmarks.flames --rows 330000
"""

import argparse
import collections
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from benchmarks import plan
from benchmarks.plan import Dataset, Step
from benchmarks.table import README, keep, markdown

_GRAPHS: Final = Path("build/profile")
_FRAME: Final = re.compile(r"(.+) \((.+?)(?::\d+)?\)")
_STARTING: Final = ("starting Python, loading modules", "")
_SHOWN: Final = 0.02


def main(arguments: Sequence[str] | None = None) -> None:
    """Record every step twice, for the graph and for the table."""
    chosen = _parsed(arguments)
    spy = profiler()
    parts = []
    chosen.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        data = Dataset(Path(folder) / "data", chosen.rows)
        data.make()
        data.make_versions()
        for step in _steps(data):
            graph = chosen.output / (re.sub(r"\W+", "-", step.title) + ".svg")
            stacks = Path(folder) / "stacks.txt"
            recorded(step, spy, "flamegraph", graph).run()
            recorded(step, spy, "raw", stacks).run()
            table = shares(stacks.read_text("utf-8").splitlines())
            parts.append(f"{step.title}, {step.rows:,} rows:\n\n{table}")
            print(f"{parts[-1]}\n\n{graph}\n", flush=True)
    if chosen.write:
        keep("\n\n".join(parts), README, "shares")


def _steps(data: Dataset) -> Iterator[Step]:
    for step in (*plan.databackup(data, "reflected"), *plan.databackup(data, "models")):
        if step.name in ("export", "import with read-back"):
            yield step
    yield from (step for step in plan.migrations(data) if step.name == "import of version 1")


def profiler() -> str:
    """The path of py-spy. Raises SystemExit where there is none."""
    beside_python = str(Path(sys.executable).parent)
    path = os.pathsep.join((beside_python, os.environ.get("PATH", os.defpath)))
    return shutil.which("py-spy", path=path) or sys.exit("py-spy is missing; see `make profile`")


def recorded(step: Step, spy: str, form: str, path: Path) -> Step:
    """The step as py-spy runs it, which writes what it saw to a file."""
    options = ("record", "--rate", "200", "--format", form, "--output", path.absolute())
    return attrs.evolve(step, command=(spy, *options, "--", *step.command))


def shares(stacks: Iterable[str]) -> str:
    """A table of functions by their share of the samples; `stacks` are lines "frame;frame 12".

    Code of others, of C and of compiled codecs counts for the function of databackup that called
    it.
    """
    samples: collections.Counter[tuple[str, str]] = collections.Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        samples[_place(stack.split(";"))] += int(count)
    total = samples.total()
    rows = [
        [f"{100 * count / total:.0f} %", function, module]
        for (function, module), count in samples.most_common()
        if count >= _SHOWN * total
    ]
    return markdown(("share", "function", "in"), rows, left={1, 2})


def _place(frames: list[str]) -> tuple[str, str]:
    """The innermost function of databackup, and its module."""
    matches = [found.groups() for found in map(_FRAME.fullmatch, frames) if found]
    if any(file.startswith("<frozen importlib") for _, file in matches):
        return _STARTING
    for function, file in reversed(matches):
        if file.startswith("databackup/"):
            return function.partition(".<locals>")[0], file.removeprefix("databackup/")
    return _STARTING


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flames", description=__doc__)
    parser.add_argument("--rows", type=int, default=330_000, help="default: 330,000")
    parser.add_argument("--folder", type=Path, help="where the data is made, and removed again")
    parser.add_argument("--output", type=Path, default=_GRAPHS, help=f"default: {_GRAPHS}")
    parser.add_argument("--write", action="store_true", help="keep the tables in README.md")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
