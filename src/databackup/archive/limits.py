"""What a reader takes in at most, so that no file can use up its memory or its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from databackup.archive.compression import EXPANSION, Compression
from databackup.errors import LimitExceeded
from databackup.schema.jsontext import (
    deeper_than,
    more_values_than,
    values_in,
)
from databackup.schema.jsonvalues import MAX_DEPTH
from databackup.schema.writtenout import length_written_out, longer_written_out, may_be_longer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MIB: Final = 1024 * 1024


def _positive(_limits: Any, field: Any, value: object) -> None:
    if value is None:
        return
    if type(value) is not int:
        raise TypeError(f"the limit {field.name} is an integer or None, not {value!r}")
    if value < 1:
        raise ValueError(f"the limit {field.name} is 1 or more, or None, not {value!r}")


def _ratio(limits: Any, field: Any, value: object) -> None:
    if value != "auto":
        _positive(limits, field, value)


def _levels(limits: Any, field: Any, value: Any) -> None:
    _positive(limits, field, value)
    if value is not None and value > MAX_DEPTH:
        raise ValueError(
            f"the limit {field.name} is at most {MAX_DEPTH}, which is the format's own, "
            f"not {value!r}"
        )


@attrs.frozen
class Limits:
    """What a reader accepts at most; None is no limit.

    record
        Bytes of a line of the data: one record. Also with its numbers written out, `1e300` as 301
        digits, as they are in the canonical form that digests are made of; decimals as well.
    header
        Bytes of a line of the header, or of the totals at the end.
    size
        Bytes of the archive, expanded where it is compressed. No limit unless one is set.
    expansion
        How many times its size a compressed file may expand to, counted once 128 MiB have come out.
        "auto" is 200 for gzip and 2,500 for zstd, which packs repetition tighter.
    depth
        How many arrays and objects may stand in each other in a record, itself not counted. The
        format allows 256 in a value of JSON; only a lower limit is looked for.
    values
        JSON values in a record, in the header, or in the totals: what stands in an array or object
        at any level, arrays and objects as well, and the names of members. A number of more than
        17 digits counts once for each 17 of them.
    document
        Bytes of an edited document, to be sealed anew, that has not one record on each line.
    passphrase
        Bytes of what a passphrase has encrypted, compressed or not: it is held in memory. An export
        encrypts no more than the default.
    work
        How often the work of trying a passphrase, and its memory, may be doubled: 22, as the
        command age allows, is 4 GiB and a minute; 18 is usual. A file to recipients takes none.

    Raises TypeError or ValueError for another value.
    """

    record: int | None = attrs.field(default=64 * _MIB, validator=_positive)
    header: int | None = attrs.field(default=8 * _MIB, validator=_positive)
    size: int | None = attrs.field(default=None, validator=_positive)
    expansion: int | Literal["auto"] | None = attrs.field(default="auto", validator=_ratio)
    depth: int | None = attrs.field(default=MAX_DEPTH, validator=_levels)
    values: int | None = attrs.field(default=1_000_000, validator=_positive)
    document: int | None = attrs.field(default=64 * _MIB, validator=_positive)
    passphrase: int | None = attrs.field(default=128 * _MIB, validator=_positive)
    work: int | None = attrs.field(default=22, validator=_positive)

    def expansion_of(self, compression: Compression | None) -> int | None:
        """The limit `expansion` for a file that is compressed in one way."""
        if compression is None:
            return None
        return EXPANSION[compression] if self.expansion == "auto" else self.expansion

    @property
    def _depth(self) -> int | None:
        """The limit `depth` where it is lower than the format's own, to which kinds hold values."""
        return None if self.depth == MAX_DEPTH else self.depth

    def may_be_exceeded(self, lines: bytes, *, decimals: bool = False) -> bool:
        """Whether lines of records, which may have decimals, have to be looked at one by one."""
        return (
            self._depth is not None
            or self.may_exceed_values(lines)
            or self._may_be_longer(lines, decimals=decimals)
        )

    def _may_be_longer(self, lines: bytes, *, decimals: bool) -> bool:
        return self.record is not None and may_be_longer(self.record, lines, decimals=decimals)

    def require_record(
        self, text: bytes, what: str, line: int | None = None, *, decimals: bool = False
    ) -> None:
        """See that a record's JSON text, not parsed yet, is within all limits.

        `decimals` says whether there may be some in it. Raises `LimitExceeded`.
        """
        self.require_values(text, what, line)
        if self._depth is not None and deeper_than(self._depth + 1, text.decode("latin-1")):
            raise LimitExceeded.of("depth", self._depth, f"{what} is deeper", line)
        if self.record is not None and longer_written_out(self.record, text, decimals=decimals):
            what = f"{what}, its numbers written out, is longer"
            raise LimitExceeded.of("record", self.record, what, line)

    def may_exceed_values(self, text: bytes) -> bool:
        """Whether JSON text is long enough to have more values."""
        return self.values is not None and len(text) > 2 * self.values

    def has_more_values(self, text: bytes) -> bool:
        """Whether JSON text, not parsed yet, has more values."""
        return self.values is not None and more_values_than(self.values, text)

    def require_values(self, text: bytes, what: str, line: int | None = None) -> None:
        """See that JSON text, not parsed yet, has no more values. Raises `LimitExceeded`."""
        if self.values is not None and self.has_more_values(text):
            raise LimitExceeded.of("values", self.values, f"{what} has more values", line)


DEFAULTS: Final = Limits()


def required_limits(limits: object) -> Limits:
    """The limits that an operation was given, or the defaults. Raises TypeError."""
    if limits is None:
        return DEFAULTS
    if not isinstance(limits, Limits):
        raise TypeError(f"limits are Limits, not {limits!r}")
    return limits


def values_needed(records: Sequence[bytes]) -> int | None:
    """The limit `values` that records need, None where the default is enough."""
    limit = DEFAULTS.values
    # One look at their lengths is all that nearly all records take.
    if limit is None or max(map(len, records), default=0) <= 2 * limit:
        return None
    return max((values_in(r) for r in records if more_values_than(limit, r)), default=None)


def length_needed(lines: bytes, *, decimals: bool) -> int | None:
    """The limit `record` that records need for numbers written out; None for the default.

    `decimals` says whether there may be decimals in them.
    """
    limit = DEFAULTS.record
    if limit is None or not may_be_longer(limit, lines, decimals=decimals):
        return None
    lengths = (length_written_out(line, decimals=decimals) for line in lines.split(b"\n"))
    return max((length for length in lengths if length > limit), default=None)


def needed(limits: Mapping[str, int]) -> tuple[str, ...]:
    """A warning for each limit that an import of a new archive has to raise, and how far."""
    return tuple(
        f"an import of this archive has to raise the limit {limit!r}: Limits({limit}={value}) in "
        f"Python, --limit {limit}={value} on the command line"
        for limit, value in limits.items()
    )
