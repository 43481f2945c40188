"""The records that a comparison shows: some of each change, each value in a bounded JSON form."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Final

from databackup.archive import text
from databackup.operations.compare import Forms
from databackup.operations.differences import CollectionDiff, RecordDiff, What
from databackup.schema import Collection, Field, KindError
from databackup.schema.jsonvalues import number
from databackup.schema.kind import shown

if TYPE_CHECKING:
    from databackup.operations.compare import Difference
    from databackup.operations.matching import Match
    from databackup.repository import Row

LONGEST: Final = 1000  # characters of a value's JSON
_MASK: Final = '{"$secret":true}'


class Sampler:
    """Counts the differences of one collection, and keeps up to `limit` of each kind of change."""

    def __init__(self, match: Match, limit: int) -> None:
        self._match = match
        self._limit = limit
        self._counts: dict[What, int] = {"added": 0, "changed": 0, "removed": 0}
        self._samples: dict[What, list[RecordDiff]] = {what: [] for what in self._counts}

    def note(self, found: Difference) -> None:
        """Count a difference, and keep it where there is room."""
        what = _what(found)
        self._counts[what] += 1
        if len(self._samples[what]) < self._limit:
            self._samples[what].append(_record(self._match, what, found))

    @property
    def sample(self) -> tuple[RecordDiff, ...]:
        """The differences that were kept."""
        return tuple(itertools.chain.from_iterable(self._samples.values()))

    def result(self, old_records: int) -> CollectionDiff:
        """What was found, once all `old_records` of the old side were compared."""
        counts = self._counts
        return CollectionDiff(
            added=counts["added"],
            changed=counts["changed"],
            removed=counts["removed"],
            unchanged=old_records - counts["changed"] - counts["removed"],
            structure=self._match.structure,
            sample=self.sample,
        )


def _what(found: Difference) -> What:
    if found.old is None:
        return "added"
    return "removed" if found.new is None else "changed"


def _record(match: Match, what: What, found: Difference) -> RecordDiff:
    if found.old is None or found.new is None:
        side, row = (match.new, found.new) if found.old is None else (match.old, found.old)
        fields = _forms(side, row or ())
        key = {name: fields.pop(name) for name in match.key}
        old, new = (None, fields) if found.old is None else (fields, None)
        return RecordDiff(what=what, key=key, old=old, new=new)
    forms = _forms(match.new, found.new)
    before, after = _changed(match, found.old, found.new)
    key = {name: forms[name] for name in match.key}
    return RecordDiff(what=what, key=key, old=before, new=after)


def _forms(side: Collection, row: Row) -> dict[str, Any]:
    texts = {f.name: _told(f, value) for f, value in zip(side.fields, row, strict=True)}
    return {name: _bounded(text, text[:LONGEST] + "…") for name, text in texts.items()}


def _changed(match: Match, old: Row, new: Row) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields in which two records differ, as each has them."""
    before, after = {}, {}
    fields = zip(match.old.fields, old, match.new.fields, new, strict=True)
    for old_field, old_value, new_field, new_value in fields:
        form = _form(old_field, old_value)
        if form is None or form != _form(new_field, new_value):
            texts = _told(old_field, old_value), _told(new_field, new_value)
            shortened = excerpts(*texts, LONGEST)
            before[old_field.name], after[new_field.name] = map(_bounded, texts, shortened)
    return before, after


def _form(field: Field, value: Any) -> bytes | None:
    """What a value is compared by, as whole records are; None where it is not of its kind."""
    try:
        canonical = text.dump(field.form.canonical(value))
    except (KindError, UnicodeEncodeError):
        return None
    return Forms(Collection("", fields=[field])).of([(value,)], [canonical])[0]


def _told(field: Field, value: Any) -> str:
    """The JSON text of a value, or what stands for a secret one; null tells of no secret."""
    return _MASK if field.secret and value is not None else _json(field, value)


def _json(field: Field, value: Any) -> str:
    """The JSON text of a value."""
    try:
        return text.dump(field.form.encode(value)).decode()
    except (KindError, UnicodeEncodeError):
        return json.dumps({"$invalid": shown(value)})


def _bounded(json_text: str, shortened: str) -> Any:
    if len(json_text) > LONGEST:
        return {"$shortened": shortened}
    return json.loads(json_text, parse_float=_float)


def _float(digits: str) -> float | dict[str, str]:
    found = number(digits)
    return found if isinstance(found, float) else {"$number": digits}


def excerpts(one: str, other: str, limit: int) -> tuple[str, str]:
    """Two texts, where one is longer than a limit both from a little before they first differ."""
    if max(len(one), len(other)) <= limit:
        return one, other
    start = max(0, _common(one, other) - limit // 3)
    return _excerpt(one, start, limit), _excerpt(other, start, limit)


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike; by bisection, for texts may be very long."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _excerpt(whole: str, start: int, limit: int) -> str:
    part = whole[start : start + limit]
    return ("…" if start else "") + part + ("…" if start + limit < len(whole) else "")
