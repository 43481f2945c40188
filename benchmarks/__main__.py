"""Measure databackup and its peers on the same rows, and print tables.

python -m benchmarks --rows 1100000
"""

import argparse
import compileall
import signal
import sys
import tempfile
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path

import databackup
from benchmarks.child import Usage
from benchmarks.machine import facts
from benchmarks.parts import parts, say
from benchmarks.plan import GROUPS, PARTS, Group, Id, Step
from benchmarks.report import Report
from benchmarks.results import Result
from benchmarks.table import README, keep
from servers.sessions import session


def main() -> None:
    """Read the arguments, measure, print."""
    arguments = _arguments()
    with session(arguments.folder), tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        report = measured(Path(folder), arguments.rows, arguments.rounds, arguments.only)
    text = report.as_markdown()
    print(text)
    if arguments.write:
        keep(text, README, "results")


def measured(folder: Path, rows: int, rounds: int, groups: Sequence[Group]) -> Report:
    """Make the data in a folder and on servers, and measure the steps of some groups."""
    # An installed package, as the peers are, has its bytecode; one that is edited may have none.
    compileall.compile_dir(Path(databackup.__file__).parent, quiet=2)
    machine = facts(rounds)
    with parts(folder, rows, groups) as found:
        return Report(
            facts=machine,
            notes=found.notes,
            results=_results([part.steps for part in found.made], rounds),
            tenth=_results([part.tenth for part in found.made], 1),
        )


def _results(steps: Sequence[Sequence[Step]], rounds: int) -> dict[Id, Result]:
    """Every step once a round; of each part first what reads the data, then the imports.

    So steps and their peers are close in time, and what else the machine does meets both.
    """
    everything = list(chain.from_iterable(steps))
    usages: dict[Id, list[Usage]] = {step.id: [] for step in everything}
    ordered = [step for part in steps for step in sorted(part, key=attrgetter("is_import"))]
    for number in range(1, rounds + 1):
        for step in ordered:
            usage = step.run()
            usages[step.id].append(usage)
            say(f"round {number}: {step.title}, {step.rows:,} rows, {usage.seconds:.2f} s")
    return {step.id: Result(step, tuple(usages[step.id]), step.size) for step in everything}


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _folder(text: str) -> Path:
    return Path(text).absolute()


def _groups(text: str) -> tuple[Group, ...]:
    """The groups of parts and groups that are named, with commas between them."""
    named = dict[str, tuple[Group, ...]]({group: (group,) for group in GROUPS}) | dict(PARTS)
    names = text.split(",")
    if unknown := [name for name in names if name not in named]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(named)}")
    return tuple(group for name in names for group in named[name])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=_positive, default=1_100_000, help="default: 1,100,000")
    parser.add_argument("--rounds", type=_positive, default=3, help="the best counts; default: 3")
    parser.add_argument(
        "--only",
        nargs="+",
        action="extend",
        type=_groups,
        metavar="PART",
        help=f"{', '.join(PARTS)}; or of them {', '.join(GROUPS)}",
    )
    parser.add_argument("--folder", type=_folder, help="where files are made, and removed again")
    parser.add_argument("--write", action="store_true", help="keep the tables in README.md")
    arguments = parser.parse_args()
    arguments.only = tuple(chain.from_iterable(arguments.only or [GROUPS]))
    return arguments


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers and files are cleaned up
    main()
