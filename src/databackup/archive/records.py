"""Batches of rows to record lines, and record lines to batches of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from databackup.archive import text
from databackup.errors import InvalidRecords, Problem
from databackup.schema import Row
from databackup.schema.compiled import Codec, json_pointer
from databackup.schema.composite import List
from databackup.schema.jsontext import JsonTextError
from databackup.schema.kind import KindError
from databackup.schema.kinds import Float

if TYPE_CHECKING:
    from databackup.schema import Collection, Field


@attrs.frozen
class Batch:
    """Records read from an archive: rows, the canonical form of each, and what was wrong.

    `numbers` are the records' numbers in their collection, from 1; records with a problem are not
    among the rows.
    """

    rows: list[Row]
    canonical: list[bytes]
    numbers: list[int] | range
    problems: list[Problem] = attrs.field(factory=list)


class RecordCodec:
    """Between the rows and the lines of one collection."""

    def __init__(self, collection: Collection, codec: Codec | None = None) -> None:
        self.collection = collection
        self.codec = codec or collection.codec
        self._lines_tell = self.codec.form_is_canonical and not any(
            map(_has_values_of_two_forms, collection.fields)
        )

    def lines(self, rows: list[Row], first: int = 1) -> bytes:
        """The lines of rows, each ended by a line feed.

        Raises `InvalidRecords` for values that are not of their kind; `first` is the number of the
        first row.
        """
        try:
            return text.dump_lines(self.codec.encode(rows))
        except (KindError, UnicodeEncodeError) as error:
            raise self._refused(rows, first) from error

    def canonical(self, rows: list[Row]) -> list[bytes]:
        """The canonical form of each row. Raises `InvalidRecords`."""
        try:
            return text.dump_lines(self.codec.canonical(rows)).split(b"\n")[:-1]
        except (KindError, UnicodeEncodeError) as error:
            raise self._refused(rows, 1) from error

    def canonical_of_lines(self, rows: list[Row], lines: bytes) -> list[bytes]:
        """As `canonical`, for rows whose lines are at hand."""
        if self.codec.form_is_canonical:
            return lines.split(b"\n")[:-1]
        return self.canonical(rows)

    def _refused(self, rows: list[Row], first: int) -> InvalidRecords:
        problems = self.codec.explain_rows(rows, first)
        name = self.collection.name
        return InvalidRecords.of(f"{name} holds values that its schema does not allow", problems)

    def batch(self, block: bytes, first: int) -> Batch:
        """The records of a block of lines, each ended by a line feed.

        What is wrong with a record is a `Problem` of the batch, never an exception.
        """
        records = text.load_lines(block)
        if records is not None:
            try:
                rows = self.codec.decode(records)
                if self._lines_tell and self._in_field_order(records):
                    canonical = self.canonical_of_lines(rows, block)
                else:
                    canonical = self.canonical(rows)
                return Batch(rows, canonical, range(first, first + len(rows)))
            except (KindError, InvalidRecords):
                pass
        return self._batch_line_by_line(block, first)

    def _in_field_order(self, records: list[dict[str, Any]]) -> bool:
        names = self.collection.field_names
        return all(map(names.__eq__, map(tuple, records)))

    def _batch_line_by_line(self, block: bytes, first: int) -> Batch:
        rows: list[Row] = []
        numbers: list[int] = []
        problems: list[Problem] = []
        for number, line in enumerate(block.split(b"\n")[:-1], first):
            try:
                record = text.load(line)
                found = self.codec.explain_records([record], number)
                if found:
                    problems += found
                else:
                    rows += self.codec.decode([record])
                    numbers.append(number)
            except (JsonTextError, KindError) as error:
                problems.append(self._unreadable(number, error))
        return Batch(rows, self.canonical(rows), numbers, problems)

    def _unreadable(self, number: int, error: Exception) -> Problem:
        name = self.collection.name
        return Problem(
            code="invalid-json",
            message=str(error),
            collection=name,
            record=number,
            pointer=json_pointer(("data", name, number - 1)),
            expected="a JSON object on one line",
        )


def _has_values_of_two_forms(field: Field) -> bool:
    """Whether a double may also be read from an integer's form, which is then not canonical."""
    kind = field.value_kind
    return isinstance(kind, List) or (isinstance(kind, Float) and field.off_kind != "keep")
