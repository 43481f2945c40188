"""What was measured of a step, and what ratios are asked of it."""

from collections.abc import Iterator
from typing import Final

import attrs

from benchmarks.child import Usage
from benchmarks.hosted import ENGINES
from benchmarks.plan import Group, Id, Step

LARGEST_PEAK: Final = 80_000_000
LARGEST_PEAK_ON_SERVERS: Final = 120_000_000


def largest_peak(step: Step) -> int:
    """The bytes of memory that a step of databackup may take, whatever the rows."""
    return LARGEST_PEAK_ON_SERVERS if step.is_on_a_server else LARGEST_PEAK


@attrs.frozen
class Result:
    """A step, and what it used in each round.

    The best of all rounds counts: whatever else runs on a machine only makes a process slower. Of
    memory it is the largest peak.
    """

    step: Step
    usages: tuple[Usage, ...]
    size: int | None

    @property
    def seconds(self) -> float:
        """By the clock."""
        return min(usage.seconds for usage in self.usages)

    @property
    def cpu(self) -> float:
        """Seconds of the processors."""
        return min(usage.cpu for usage in self.usages)

    @property
    def peak(self) -> Usage:
        """The round that took most memory."""
        return max(self.usages, key=lambda usage: usage.peak)

    def ratio_to(self, peer: "Result") -> float:
        """How many times as long as the peer it took for each row."""
        return (self.seconds / self.step.rows) / (peer.seconds / peer.step.rows)

    def cpu_ratio_to(self, peer: "Result") -> float:
        """The same by the time of the processors."""
        return (self.cpu / self.step.rows) / (peer.cpu / peer.step.rows)


@attrs.frozen
class Target:
    """For each row `step` takes at most, or at least, so many times as long as `peer`.

    Without a limit the two are compared, and that is all.
    """

    step: Id
    peer: Id
    at_most: float | None = None
    at_least: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is a limit."""
        return bool(self.at_most or self.at_least)

    @property
    def words(self) -> str:
        """The limit as it stands in the table."""
        if not self.is_set:
            return "none"
        return f"≤ {self.at_most:g} ×" if self.at_most else f"≥ {self.at_least:g} ×"

    def is_met(self, ratio: float) -> bool:
        """Whether a ratio is within the limit."""
        return ratio <= self.at_most if self.at_most else ratio >= (self.at_least or 0)


def _targets() -> Iterator[Target]:
    groups: tuple[tuple[Group, float], ...] = (("reflected", 1), ("models", 2))
    for group, allowance in groups:
        export, load = (group, "export"), (group, "import")
        load_and_read = (group, "import with read-back")
        yield Target(export, ("sqlite3", ".dump"), at_most=1.8 * allowance)
        yield Target(load, ("sqlite3", "< dump.sql"), at_most=1.0 * allowance)
        yield Target(load_and_read, ("sqlite3", "< dump.sql"), at_most=1.5 * allowance)
        yield Target((group, "preview of equal data"), load, at_most=1.2)
        yield Target(("django", "dumpdata"), export, at_least=14 / allowance)
        yield Target(("django", "loaddata"), load_and_read, at_least=35 / allowance)


def _targets_of_encryption() -> Iterator[Target]:
    for plain, encrypted in (("export", ".json.age"), ("export to .json.zst", ".json.zst.age")):
        step: Id = ("reflected", f"export to {encrypted}")
        yield Target(step, ("reflected", plain), at_most=1.3)


def _targets_of_migrations() -> Iterator[Target]:
    for step in ("import", "import with read-back"):
        old: Id = ("migrations", f"{step} of version 1")
        new: Id = ("migrations", f"{step} of version 6")
        yield Target(old, new, at_most=1.6)


def _targets_on_servers() -> Iterator[Target]:
    dump: Id = ("pg_dump", "pg_dump -Fc")
    restore: Id = ("pg_dump", "pg_restore")
    for group in ENGINES["postgresql"].groups.values():
        yield Target((group, "export to .json.zst"), dump, at_most=1.3)
        yield Target((group, "import"), restore, at_most=1.3)
        yield Target((group, "import with read-back"), restore, at_most=1.9)
    dump = ("mariadb-dump", "mariadb-dump")
    replay: Id = ("mariadb-dump", "mariadb < dump.sql")
    for group in ENGINES["mariadb"].groups.values():
        yield Target((group, "export"), dump, at_most=2.5)
        yield Target((group, "import"), replay, at_most=1.5)
        yield Target((group, "import with read-back"), replay)


TARGETS: Final = (
    *_targets(),
    *_targets_of_encryption(),
    *_targets_of_migrations(),
    *_targets_on_servers(),
)
