"""Batches of the records of an edited document, parsed one by one or with the whole of it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs

from databackup.archive import text
from databackup.archive.records import Batch, unreadable
from databackup.archive.shortened import with_floats
from databackup.errors import NotSealable
from databackup.schema.jsontext import JsonTextError
from databackup.schema.kind import KindError

if TYPE_CHECKING:
    from databackup.archive.records import RecordCodec
    from databackup.schema import Row


def batch_of_texts(texts: list[bytes], first: int, codec: RecordCodec) -> Batch:
    """The records of texts, and what is wrong with the others; `first` is their first number."""
    records, numbers, problems = [], [], []
    for number, record in enumerate(texts, first):
        try:
            records.append(text.load(record))
            numbers.append(number)
        except JsonTextError as error:
            problems.append(unreadable(codec.collection, number, error, record))
    batch = batch_of_values(records, numbers, codec)
    found = sorted([*batch.problems, *problems], key=lambda problem: problem.record or 0)
    return attrs.evolve(batch, problems=found)


def batch_of_values(records: list[Any], numbers: list[int] | range, codec: RecordCodec) -> Batch:
    """The rows of parsed records, and what is wrong with the others."""
    rows = _rows(records, codec)
    if rows is None:
        rows = _rows(with_floats(records, codec.collection), codec)
    if rows is not None:
        return Batch(rows, numbers, make_canonical=functools.partial(codec.canonical, rows))
    if len(records) > 1:
        return _one_by_one(records, numbers, codec)
    problems = codec.codec.explain_records(records, numbers[0])
    if not problems:  # no record is left out in silence
        raise NotSealable(f"record {numbers[0]} of {codec.collection} cannot be read")
    return Batch([], [], problems)


def _rows(records: list[Any], codec: RecordCodec) -> list[Row] | None:
    try:
        return codec.codec.decode(records)
    except KindError:
        return None


def _one_by_one(records: list[Any], numbers: list[int] | range, codec: RecordCodec) -> Batch:
    parts = [
        batch_of_values([record], [n], codec) for record, n in zip(records, numbers, strict=True)
    ]
    return Batch(
        [row for part in parts for row in part.rows],
        [number for part in parts for number in part.numbers],
        [problem for part in parts for problem in part.problems],
        make_canonical=lambda: [form for part in parts for form in part.canonical],
    )
