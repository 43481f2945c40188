"""Measure databackup and its peers on the same rows, and print tables.

python -m benchmarks --rows 1100000
"""

import argparse
import compileall
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import databackup
from benchmarks import plan
from benchmarks.child import Usage
from benchmarks.machine import facts
from benchmarks.plan import GROUPS, Dataset, Group, Id, Step
from benchmarks.report import Report
from benchmarks.results import Result
from benchmarks.table import README, keep


def main() -> None:
    """Read the arguments, measure, print."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        report = measured(Path(folder), arguments.rows, arguments.rounds, arguments.only)
    text = report.as_markdown()
    print(text)
    if arguments.write:
        keep(text, README, "results")


def measured(folder: Path, rows: int, rounds: int, groups: Sequence[Group]) -> Report:
    """Make the data in a folder and measure the steps of some groups; Django on a tenth of it."""
    # An installed package, as the peers are, has its bytecode; one that is edited may have none.
    compileall.compile_dir(Path(databackup.__file__).parent, quiet=2)
    everything = Dataset(folder / "all", rows)
    tenth = Dataset(folder / "tenth", max(1, rows // 10))
    for data in (everything, tenth):
        _say(f"making {data.rows:,} rows")
        data.make()
    ours = (*plan.databackup(everything, "reflected"), *plan.databackup(everything, "models"))
    steps = (
        *plan.sqlite3(everything),
        *ours,
        *plan.compressed(everything),
        *plan.django(tenth),
    )
    small = (*plan.databackup(tenth, "reflected"), *plan.databackup(tenth, "models"))
    return Report(
        facts=facts(rounds),
        results=_results(steps, rounds, groups),
        tenth=_results(small, 1, groups),
    )


def _results(steps: Iterable[Step], rounds: int, groups: Sequence[Group]) -> dict[Id, Result]:
    """Every step once a round; first what reads the data, then the imports.

    So steps and their peers are close in time, and what else the machine does meets both.
    """
    chosen = [step for step in steps if step.group in groups]
    usages: dict[Id, list[Usage]] = {step.id: [] for step in chosen}
    for number in range(1, rounds + 1):
        for step in sorted(chosen, key=lambda step: step.is_import):
            usage = step.run()
            usages[step.id].append(usage)
            _say(f"round {number}: {step.title}, {step.rows:,} rows, {usage.seconds:.2f} s")
    return {step.id: Result(step, tuple(usages[step.id]), step.size) for step in chosen}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=_positive, default=1_100_000, help="default: 1,100,000")
    parser.add_argument("--rounds", type=_positive, default=3, help="the best counts; default: 3")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=GROUPS)
    parser.add_argument("--folder", type=Path, help="where the files are made, and removed again")
    parser.add_argument("--write", action="store_true", help="keep the tables in README.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
