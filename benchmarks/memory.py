"""Time and peak memory of an export and an import, each in a process of its own.

python -m benchmarks.memory --rows 1000000
"""

import argparse
import contextlib
import cProfile
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal, get_args

from benchmarks.make_orders import make_orders

_MIB_OF_RSS = 1024 * 1024 if sys.platform == "darwin" else 1024
Types = Literal["storage", "declared"]


def measure(step: str, types: Types, folder: Path) -> None:
    """Run one step in this process, and print its seconds and its peak memory in MiB."""
    from databackup import export_all, import_all  # noqa: PLC0415 - its memory counts, too
    from databackup.adapters.sqlite import SQLiteRepository  # noqa: PLC0415 - the same

    archive = folder / "orders.json"
    start = time.perf_counter()
    if step == "export":
        export_all(SQLiteRepository.reflect(folder / "orders.db", types=types), archive)
    else:
        import_all(SQLiteRepository.reflect(folder / "target.db", types=types), archive)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB_OF_RSS
    print(seconds, peak)


def run(rows: int, types: Types, folder: Path) -> None:
    """Make the data, then export it, import it into an emptied copy, and into an equal one."""
    make_orders(folder / "orders.db", rows)
    shutil.copyfile(folder / "orders.db", folder / "target.db")
    with contextlib.closing(sqlite3.connect(folder / "target.db")) as connection:
        connection.executescript("DELETE FROM orders; DELETE FROM customers; VACUUM")
    total = rows + max(1, rows // 10)
    for step in ("export", "import", "import again"):
        child = subprocess.run(
            [
                sys.executable,
                "-m",
                "benchmarks.memory",
                "--step",
                step,
                "--types",
                types,
                "--folder",
                str(folder),
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seconds, peak = map(float, child.stdout.split())
        print(
            f"{rows:>10,} orders  {types:8}  {step:12}  {seconds:7.1f} s  "
            f"{total / seconds:>10,.0f} records/s  {peak:6.0f} MiB"
        )


def main() -> None:
    """Read the arguments; without --step, run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--types", choices=get_args(Types), default="storage")
    parser.add_argument("--step", help="run one step in this process")
    parser.add_argument("--folder", type=Path, help="where the files of a step are")
    parser.add_argument("--profile", type=Path, help="where to write the step's profile")
    arguments = parser.parse_args()
    if arguments.step:
        profile = cProfile.Profile()
        if arguments.profile:
            profile.enable()
        measure(arguments.step, arguments.types, arguments.folder)
        if arguments.profile:
            profile.dump_stats(arguments.profile)
        return
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            run(rows, arguments.types, Path(folder))


if __name__ == "__main__":
    main()
