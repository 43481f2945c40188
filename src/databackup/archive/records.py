"""Batches of rows to record lines, and record lines to batches of rows."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import msgspec

from databackup.archive import text
from databackup.archive.compression import CHUNK
from databackup.errors import InvalidRecords, Problem
from databackup.schema import Row
from databackup.schema.columns import Forms
from databackup.schema.compiled import Codec, json_pointer
from databackup.schema.jsonplace import Place, place_of_flaw
from databackup.schema.jsonshort import is_refused
from databackup.schema.jsontext import JsonTextError
from databackup.schema.kind import KindError
from databackup.schema.secrets import MASK, has_secrets, may_be_shown
from databackup.schema.writtenout import (
    digits_may_be_held,
    digits_of_decimals,
    has_many_exponents,
    length_written_out,
    may_be_held,
    parts_held,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from databackup.schema import Collection

_Rows = TypeVar("_Rows", Forms, list[Row], Forms | list[Row])


@attrs.frozen(slots=False)
class Batch:
    """Records read from an archive: rows, the canonical form of each, and what was wrong.

    `numbers` are the records' numbers in their collection, from 1; records with a problem are not
    among the rows. Rows and canonical forms are made when they are asked for; `forms` are at hand
    for most batches of a codec that was asked for them.
    """

    _rows: list[Row] | Callable[[], list[Row]]
    numbers: Sequence[int]
    problems: list[Problem] = attrs.field(factory=list)
    forms: Forms | None = attrs.field(default=None, kw_only=True, repr=False)
    _make_canonical: Callable[[], list[bytes]] = attrs.field(default=list, kw_only=True, repr=False)

    def __len__(self) -> int:
        return len(self.numbers)

    @functools.cached_property
    def rows(self) -> list[Row]:
        """The rows, in the order of the archive."""
        return self._rows() if callable(self._rows) else self._rows

    @functools.cached_property
    def canonical(self) -> list[bytes]:
        """The canonical form of each row."""
        return self._make_canonical()


class RecordCodec:
    """Between the rows and the lines of one collection.

    `forms` is for readers that hand batches on as forms: others are better off with rows.
    """

    def __init__(
        self, collection: Collection, codec: Codec | None = None, *, forms: bool = False
    ) -> None:
        self.collection = collection
        self.codec = codec or collection.codec
        self._as_forms = forms
        self._is_narrow = True  # as long as all records were

    @functools.cached_property
    def _wide(self) -> text.BlockDecoder:
        return text.BlockDecoder(self.codec.record_type or Any)

    @functools.cached_property
    def _members(self) -> list[Callable[[Any], Any]]:
        return [operator.attrgetter(name) for name in self.codec.members]

    @functools.cached_property
    def _narrow(self) -> text.BlockDecoder | None:
        narrow = self.codec.narrow_type
        return None if narrow is None else text.BlockDecoder(narrow)

    def lines(self, rows: list[Row] | Forms, first: int = 1) -> tuple[bytes, list[bytes]]:
        """The lines of rows, each ended by a line feed, and the canonical form of each row.

        Raises `InvalidRecords` for values that are not of their kind; `first` is the number of the
        first row.
        """
        if isinstance(rows, Forms):
            records = self._records(rows.columns)
            lines = text.dump_lines(records)
            return lines, self._canonical_of(rows, records, lines)
        try:
            plain = self.codec.are_plain(rows)
            records = self.codec.encode(rows, plain=plain)
            lines = text.dump_lines(records)
            return lines, self._canonical(rows, records, lines, plain=plain)
        except (KindError, UnicodeEncodeError) as error:
            raise self._refused(rows, first) from self._told(error)

    def canonical(self, rows: list[Row] | Forms) -> list[bytes]:
        """The canonical form of each row. Raises `InvalidRecords`."""
        if isinstance(rows, Forms):
            return self._canonical_of(rows)
        try:
            plain = self.codec.are_plain(rows)
            return text.dump_sorted(self.codec.canonical(rows, plain=plain))
        except (KindError, UnicodeEncodeError) as error:
            raise self._refused(rows, 1) from self._told(error)

    def parts_held(self, rows: _Rows) -> Iterable[_Rows]:
        """Rows, as many at a time as there can be canonical forms of in memory.

        Forms have all of their digits already.
        """
        decimals = self.codec.decimals
        if not decimals or isinstance(rows, Forms):
            return (rows,)
        if digits_may_be_held([row[at] for at in decimals for row in rows]):
            return (rows,)
        lengths = [sum([digits_of_decimals(row[at]) for at in decimals]) for row in rows]
        return parts_held(rows, lengths)

    @property
    def block_size(self) -> int | None:
        """As many bytes of lines as are best read at once; None is all at hand."""
        # Records that are kept for their forms wake the garbage collector by what they hold. It is
        # a little more than an equal part of a chunk.
        return CHUNK * 9 // 16 if self._as_forms and self.codec.weight > 1 else None

    def may_be_held(self, lines: bytes) -> bool:
        """Whether the canonical forms of lines can be held all at once."""
        return not self.codec.decimals or may_be_held(lines)

    def lines_held(self, lines: Sequence[bytes]) -> Iterator[list[bytes]]:
        """Lines without commas, as many at a time as there can be canonical forms of in memory."""
        return parts_held(lines, [length_written_out(line, decimals=True) for line in lines])

    def _records(self, columns: Sequence[Sequence[Any]]) -> list[Any]:
        return list(map(self.codec.make, *columns))

    def _canonical_of(
        self, forms: Forms, records: list[Any] | None = None, lines: bytes | None = None
    ) -> list[bytes]:
        """The canonical form of each record; its own records and lines may be at hand."""
        if self.codec.line_is_canonical(plain=True):
            if lines is None:
                lines = text.dump_lines(records or self._records(forms.columns))
            return lines.split(b"\n")[:-1]
        records = self.codec.make_sorted(self.codec.columns.canonical(forms))
        if self.codec.has_json:
            return text.dump_sorted(records)
        return text.dump_lines(records).split(b"\n")[:-1]

    def _canonical(
        self, rows: list[Row], records: list[Any], lines: bytes, *, plain: bool
    ) -> list[bytes]:
        """As `canonical`, for rows whose records and lines are at hand."""
        if self.codec.line_is_canonical(plain=plain):
            return lines.split(b"\n")[:-1]
        if self.codec.canonical_is_form(plain=plain):
            return text.dump_sorted(records)
        return text.dump_sorted(self.codec.canonical(rows, plain=plain))

    def _told(self, error: Exception) -> Exception | None:
        """An error as the cause of another, which tracebacks show; none that may show a secret."""
        return None if has_secrets(self.collection) else error

    def _refused(self, rows: list[Row], first: int) -> InvalidRecords:
        problems = self.codec.explain_rows(rows, first)
        name = self.collection.name
        return InvalidRecords.of(f"{name} holds values that its schema does not allow", problems)

    def batch(self, block: bytes, first: int) -> Batch | None:
        """The records of a block of lines in the fast lane, None where the strict lane decides.

        Between the lines stand commas and line feeds; `first` is the first record's number.
        """
        if not self.codec.pays(block) or has_many_exponents(block) or is_refused(block):
            return None
        loaded = self._load(block)
        if loaded is None:
            return None
        records, lines = loaded
        try:
            if self.codec.record_type is None:
                rows = self.codec.decode(records)
                canonical = functools.partial(self.canonical, rows)
            else:
                narrow = self._is_narrow
                if self._as_forms:
                    batch = self._batch_of_forms(records, lines, first, narrow=narrow)
                    if batch is not None:
                        return batch
                values = list(map(msgspec.structs.astuple, records))
                plain = self.codec.are_plain(values)
                rows = self.codec.read(values, plain=plain, narrow=narrow)
                canonical = functools.partial(self._canonical, rows, records, lines, plain=plain)
        except KindError:
            return None
        numbers = range(first, first + len(rows))
        return Batch(rows, numbers, make_canonical=canonical)

    def _batch_of_forms(
        self, records: list[Any], lines: bytes, first: int, *, narrow: bool
    ) -> Batch | None:
        """The batch of records whose forms are all as usual: nothing needs to be made of them."""

        def read() -> list[Row]:
            values = list(map(msgspec.structs.astuple, records))
            return self.codec.read(values, plain=True, narrow=narrow)

        forms = Forms([list(map(get, records)) for get in self._members], read)
        if not self.codec.columns.are_sound(forms.columns, narrow=narrow):
            return None
        return Batch(
            read,
            range(first, first + len(records)),
            forms=forms,
            make_canonical=functools.partial(self._canonical_of, forms, records, lines),
        )

    def _load(self, block: bytes) -> tuple[list[Any], bytes] | None:
        """The records of a block, and their lines; once one does not fit, all are read widely."""
        if self._is_narrow and self._narrow is not None:
            loaded = self._narrow.load(block)
            if loaded is not None:
                return loaded
        self._is_narrow = False
        return self._wide.load(block)

    def strict_batch(self, lines: Iterable[bytes], first: int) -> Batch:
        """The records of lines without their commas, in the strict lane.

        What is wrong with a record is a `Problem` of the batch, never an exception.
        """
        rows: list[Row] = []
        numbers: list[int] = []
        problems: list[Problem] = []
        for number, line in enumerate(lines, first):
            try:
                record = text.load(line)
                found = self.codec.explain_records([record], number)
                if found:
                    problems += found
                else:
                    rows += self.codec.decode([record])
                    numbers.append(number)
            except (JsonTextError, KindError) as error:
                problems.append(unreadable(self.collection, number, error, line))
        make_canonical = functools.partial(self.canonical, rows)
        return Batch(rows, numbers, problems, make_canonical=make_canonical)


def unreadable(
    collection: Collection, number: int, error: Exception, line: bytes | None = None
) -> Problem:
    """The problem of a record whose line is no JSON object that can be read.

    `line` tells the place within the record, and its key.
    """
    place = Place((), None)
    if line is not None and isinstance(error, JsonTextError):
        place = place_of_flaw(line, error, collection.key)
    field = next(iter(place.steps), None)
    message = str(error)
    if not may_be_shown(collection, field):
        message = f"no JSON that can be read {MASK}"
        place = Place(place.steps[:1], place.key)
    return Problem(
        code="invalid-json",
        message=message,
        collection=collection.name,
        record=number,
        key=place.key,
        field=field if type(field) is str else None,
        pointer=json_pointer(("data", collection.name, number - 1, *place.steps)),
        expected="a JSON object on one line",
    )
