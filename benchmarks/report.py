"""The tables: every step, the targets, and memory at two sizes."""

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from benchmarks.child import Usage
from benchmarks.plan import Id
from benchmarks.results import TARGETS, Result, largest_peak
from benchmarks.table import markdown

_MEGABYTE: Final = 1_000_000


@attrs.frozen
class Report:
    """All that was measured: on all rows, and of databackup on a tenth of them.

    `notes` has a sentence for each part with a server: its versions, or why it is left out.
    """

    results: Mapping[Id, Result]
    tenth: Mapping[Id, Result]
    facts: str
    notes: Sequence[str] = ()

    def as_markdown(self) -> str:
        """What is printed, and kept in README.md."""
        tables = (self._steps(), self._targets(), self._memory())
        facts = "\n".join((self.facts, *(f"{note}." for note in self.notes)))
        return "\n\n".join(part for part in (facts, *tables) if part)

    def _steps(self) -> str:
        heads = ("step", "rows", "s", "CPU s", "rows/s", "to its peer", "peak MB", "file MB")
        return markdown(heads, [self._step(result) for result in self.results.values()])

    def _step(self, result: Result) -> list[str]:
        return [
            result.step.title,
            f"{result.step.rows:,}",
            f"{result.seconds:.2f}",
            f"{result.cpu:.2f}",
            f"{result.step.rows / result.seconds:,.0f}",
            self._to_its_peer(result),
            _megabytes(result.peak),
            f"{result.size / _MEGABYTE:,.1f}" if result.size is not None else "",
        ]

    def _to_its_peer(self, result: Result) -> str:
        for target in TARGETS:
            peer = self.results.get(target.peer)
            if peer and self.results.get(target.step) is result:
                return f"{result.ratio_to(peer):.2f} × {peer.step.name}"
        return ""

    def _targets(self) -> str:
        rows = [
            [
                f"{step.step.title} / {peer.step.title}",
                f"{step.ratio_to(peer):.2f} ×",
                "" if step.step.is_on_a_server else f"{step.cpu_ratio_to(peer):.2f} ×",
                target.words,
                _verdict(met=target.is_met(step.ratio_to(peer))) if target.is_set else "",
            ]
            for target in TARGETS
            if (step := self.results.get(target.step)) and (peer := self.results.get(target.peer))
        ]
        heads = ("time per row", "ratio", "by CPU time", "target", "")
        return markdown(heads, rows) if rows else ""

    def _memory(self) -> str:
        rows = [
            [
                large.step.title,
                _megabytes(small.peak),
                _megabytes(large.peak),
                f"≤ {largest_peak(large.step) / _MEGABYTE:g}",
                _verdict(met=max(small.peak.peak, large.peak.peak) <= largest_peak(large.step)),
            ]
            for name, small in self.tenth.items()
            if (large := self.results.get(name))
        ]
        sizes = [f"of {_rows(of):,} rows" for of in (self.tenth, self.results) if of]
        return markdown(("peak MB", *sizes, "target", ""), rows) if rows else ""


def _rows(results: Mapping[Id, Result]) -> int:
    return max(result.step.rows for result in results.values())


def _verdict(*, met: bool) -> str:
    return "met" if met else "not met"


def _megabytes(usage: Usage) -> str:
    return ("" if usage.peak_is_its_own else "≤ ") + f"{usage.peak / _MEGABYTE:.1f}"
