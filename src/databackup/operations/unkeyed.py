"""Records that no key tells apart, compared by how often each is there, in constant memory."""

from __future__ import annotations

import hashlib
import itertools
import pickle
from typing import TYPE_CHECKING

from databackup.operations.compare import Difference, Side, Sides
from databackup.operations.keys import key_bytes_or_none, key_fields
from databackup.spill import KeyIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from databackup.repository import Row
    from databackup.schema import Collection
    from databackup.spill import RowQueue


def by_counting(new: Iterable[Sides], old: Iterable[Sides]) -> Iterator[Difference]:
    """The records that one side has more often than the other. None is the other's, changed."""
    with KeyIndex() as index:
        for side in itertools.chain.from_iterable(old):
            if side.form is None:  # equals no other
                yield Difference(None, side.row)
            else:
                _count(index, side.form, side.row)
        for side in itertools.chain.from_iterable(new):
            if side.form is None or not _count_off(index, side.form):
                yield Difference(side.row, None)
        for _form, left in index.items():  # noqa: PERF102 - not a dict
            number, row = _unpickle(left)
            for _ in range(number):
                yield Difference(None, row)


def _count(index: KeyIndex, form: bytes, row: Row) -> None:
    digest = hashlib.sha256(form).digest()
    if index.add([(digest, pickle.dumps((1, row)))]):
        number, row = _unpickle(index.pop(digest) or b"")
        index.add([(digest, pickle.dumps((number + 1, row)))])


def _count_off(index: KeyIndex, form: bytes) -> bool:
    """Whether one record of this form was left; it is no longer."""
    digest = hashlib.sha256(form).digest()
    found = index.pop(digest)
    if found is None:
        return False
    number, row = _unpickle(found)
    if number > 1:
        index.add([(digest, pickle.dumps((number - 1, row)))])
    return True


def _unpickle(data: bytes) -> tuple[int, Row]:
    found: tuple[int, Row] = pickle.loads(data)  # noqa: S301 - written above, to a private file
    return found


def identified(
    batches: Iterable[Sides], collection: Collection, aside: RowQueue
) -> Iterator[Sides]:
    """The records that have a key; the others are put aside.

    A null in a key identifies nothing, nor does a value that the schema does not allow.
    """
    fields, places = key_fields(collection), collection.key_positions
    may_be_null = any(field.nullable for field in fields)

    def is_identified(side: Side) -> bool:
        key = [side.row[place] for place in places]
        return None not in key and key_bytes_or_none(fields, key) is not None

    for sides in batches:
        if sides.are_sound and not may_be_null:
            yield sides
            continue
        known = [is_identified(side) for side in sides]
        others: list[Row] = [
            side for side, is_known in zip(sides, known, strict=True) if not is_known
        ]
        aside.put(others)
        yield Sides.of(itertools.compress(sides, known)) if others else sides
