"""The parts of a run: each makes its data, and says which steps work on it."""

import contextlib
import importlib.metadata
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import attrs

from benchmarks import hosted, plan
from benchmarks.hosted import ENGINES
from benchmarks.plan import PARTS, Dataset, Group, Step
from servers.sessions import NotThere


@attrs.frozen
class Part:
    """Steps that run close in time to their peers, and databackup's on a tenth of the rows."""

    steps: tuple[Step, ...]
    tenth: tuple[Step, ...]

    def of(self, groups: Collection[Group]) -> "Part":
        """What of it belongs to some groups."""
        return attrs.evolve(
            self,
            steps=tuple(step for step in self.steps if step.group in groups),
            tenth=tuple(step for step in self.tenth if step.group in groups),
        )


@attrs.frozen
class Parts:
    """Those that were made; and of each with a server its versions, or why it was not made."""

    made: tuple[Part, ...]
    notes: tuple[str, ...]


@contextlib.contextmanager
def parts(folder: Path, rows: int, groups: Collection[Group]) -> Iterator[Parts]:
    """The parts that some groups need; their databases are there until the block ends."""
    made, notes = [], []
    with contextlib.ExitStack() as stack:
        if not set(groups).isdisjoint({*PARTS["sqlite"], *PARTS["migrations"], *PARTS["django"]}):
            say(f"making {rows:,} rows in SQLite")
            versions = "migrations" in groups
            made.append(stack.enter_context(_in_files(folder, rows, versions=versions)))
        for name, engine in ENGINES.items():
            if set(groups).isdisjoint(PARTS[name]):
                continue
            say(f"making {rows:,} rows in {engine.server.title}")
            try:
                made.append(stack.enter_context(_on_a_server(engine, folder / name, rows)))
                notes.append(_versions(engine))
            except NotThere as error:
                notes.append(f"{engine.server.title} is left out: {error}")
                say(notes[-1])
        yield Parts(tuple(part.of(groups) for part in made), tuple(notes))


def say(text: str) -> None:
    """Tell whoever waits for the tables."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _in_files(folder: Path, rows: int, *, versions: bool) -> Iterator[Part]:
    """SQLite, with `versions` of the shop or without, and Django on a tenth of the rows."""
    everything = Dataset(folder / "all", rows)
    tenth = Dataset(folder / "tenth", _tenth(rows))
    for data in (everything, tenth):
        data.make()
        if versions:
            data.make_versions()
    yield Part(
        steps=(
            *plan.sqlite3(everything),
            *plan.databackup(everything, "reflected"),
            *plan.databackup(everything, "models"),
            *plan.compressed(everything),
            *plan.migrations(everything),
            *plan.django(tenth),
        ),
        tenth=(
            *plan.databackup(tenth, "reflected"),
            *plan.databackup(tenth, "models"),
            *plan.migrations(tenth),
        ),
    )


@contextlib.contextmanager
def _on_a_server(engine: hosted.Engine, folder: Path, rows: int) -> Iterator[Part]:
    folder.mkdir()
    with (
        hosted.shop(engine, folder / "all", rows) as everything,
        hosted.shop(engine, folder / "tenth", _tenth(rows)) as tenth,
    ):
        yield Part(
            steps=(
                *engine.peers(everything),
                *hosted.databackup(everything, "reflected"),
                *hosted.databackup(everything, "models"),
                *hosted.compressed(everything),
            ),
            tenth=(*hosted.databackup(tenth, "reflected"), *hosted.databackup(tenth, "models")),
        )


def _versions(engine: hosted.Engine) -> str:
    version = "at a URL that was given" if engine.server.given() else engine.server.version()
    packages = (f"{p} {importlib.metadata.version(p)}" for p in ("SQLAlchemy", engine.driver))
    return f"{engine.server.title} {version}, {', '.join(packages)}"


def _tenth(rows: int) -> int:
    return max(1, rows // 10)
