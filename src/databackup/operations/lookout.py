"""What an import does to one collection, looked at as it is done."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.archive.format import CollectionEnd
from databackup.operations import readback
from databackup.operations.collection import Watch
from databackup.operations.compare import Difference
from databackup.operations.matching import Match
from databackup.operations.samples import Sampler
from databackup.operations.tally import Tally
from databackup.schema.kinds import DateTime, DateTimeTz

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from databackup.archive.records import Batch
    from databackup.operations.differences import RecordDiff
    from databackup.operations.readable import Total
    from databackup.operations.rehearsal import Rehearsal
    from databackup.repository import Row
    from databackup.schema import Collection

_AHEAD: Final = datetime.timedelta(days=1)  # what is later was planned, and not done


class Lookout(Watch):
    """Keeps a sample of what is done, and what is needed to know what the store held before."""

    def __init__(self, collection: Collection, sample: int) -> None:
        self._collection = collection
        match = Match(old=collection, new=collection, either=collection, structure=())
        self._sampler = Sampler(match, sample)
        self._left_to_show = sample
        self._written, self._gone = Tally(collection), Tally(collection)
        self._was_empty = self._is_cleared = False
        self._times = [
            position
            for position, field in enumerate(collection.fields)
            if isinstance(field.value_kind, DateTime | DateTimeTz) and not field.secret
        ]
        self._latest: dict[int, datetime.datetime] = {}

    @property
    def sample(self) -> tuple[RecordDiff, ...]:
        """Some of the records that are added, changed and deleted."""
        return tuple(
            attrs.evolve(found, what="deleted") if found.what == "removed" else found
            for found in self._sampler.sample
        )

    def differ(self, found: Sequence[Difference]) -> None:
        """Records are added, changed or deleted."""
        for difference in found:
            self._sampler.note(difference)
        self._written.add([d.new for d in found if d.new is not None])
        old = [d.old for d in found if d.old is not None]
        self._gone.add(old)
        self._note_times(old)

    def insert(self, batch: Batch) -> None:
        """Records are put into a collection that is empty."""
        self._was_empty = True
        if self._left_to_show > 0:
            for row in batch.rows[: self._left_to_show]:
                self._sampler.note(Difference(row, None))
            self._left_to_show -= len(batch)

    def clear(self, stored: Iterator[list[Row]]) -> None:
        """All records of the store are deleted."""
        self._is_cleared = True
        for rows in stored:
            for row in rows:
                self._sampler.note(Difference(None, row))
            self._note_times(rows)

    def before(self, after: Total, store: Rehearsal) -> CollectionEnd:
        """What the store holds, which after the import would hold `after`."""
        if self._is_cleared:
            return readback.digest_of(store, self._collection)
        if self._was_empty:
            return Tally(self._collection).end
        return self._written.end_before(after, self._gone)

    # -- times ---------------------------------------------------------------------------------

    def _note_times(self, rows: Sequence[Row]) -> None:
        soon = datetime.datetime.now(datetime.UTC) + _AHEAD
        for position in self._times:
            values = [_in_utc(row[position]) for row in rows]
            times = [value for value in values if value is not None and value < soon]
            if times:
                latest = self._latest.get(position)
                self._latest[position] = max(times if latest is None else [*times, latest])

    def later_than(self, moment: str) -> Iterator[str]:
        """What says that records which are changed or deleted are of later than a moment."""
        then = _moment(moment)
        for position, latest in self._latest.items():
            if latest > then:
                field = self._collection.fields[position]
                yield (
                    f"{self._collection}.{field.name} is up to {latest:%Y-%m-%d %H:%M} in records "
                    f"that would be changed or deleted, and the archive was made "
                    f"{then:%Y-%m-%d %H:%M}: what came later would be lost"
                )


def _in_utc(value: Any) -> datetime.datetime | None:
    """A time as one in UTC, which a naive one is taken for."""
    if type(value) is not datetime.datetime:
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
