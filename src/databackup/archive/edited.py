"""Reading an edited document: an archive that an editor or a program has changed or written anew.

Either each record still stands whole on a line, and it is read by lines, at any size. Or it has any
other layout, and is read as a whole. Its totals and its seal are passed over: they are stale.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs
import msgspec

from databackup.archive import compression, decrypting, files, text
from databackup.archive.editedrecords import batch_of_texts, batch_of_values
from databackup.archive.encryption import Decryption
from databackup.archive.format import (
    BYTE_ORDER_MARK,
    FORMAT,
    Header,
    header_of,
    require_json_object,
)
from databackup.archive.limits import Limits, required_limits
from databackup.archive.lines import (
    EditedLines,
    NotInLines,
    are_objects,
    may_hold_several,
    records_of,
    require_end,
    with_commas,
)
from databackup.errors import (
    ArchiveInvalid,
    ArchiveSwapped,
    ArchiveTruncated,
    EncryptionBroken,
    LimitExceeded,
    NotAnArchive,
    NotSealable,
)
from databackup.schema.compiled import json_pointer
from databackup.schema.jsonplace import steps_to_flaw
from databackup.schema.jsonshort import line_and_column, parse_bytes
from databackup.schema.jsontext import JsonTextError, TooDeepError, syntax_error
from databackup.schema.kind import shown
from databackup.schema.writtenout import length_written_out, parts_held

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

    from databackup.archive.records import Batch, RecordCodec

    Expand = Callable[[], Iterator[bytes]]
    Collections = Iterator[tuple[str, Callable[[RecordCodec], Iterator[Batch]]]]

_BATCH: Final = 1000  # records
_HEAD: Final = 256  # bytes that tell what a file is
_Part = TypeVar("_Part")


@attrs.frozen(kw_only=True)
class EditedDocument:
    """An edited document: its header, how many records each collection has, and the records."""

    header: Header
    counts: Mapping[str, int]
    _read: Callable[[], Collections] = attrs.field(repr=False)

    def collections(self) -> Collections:
        """Each collection's name, and a function that reads its records; in the document's order.

        The function takes the codec to read them with; what it has not read when the next
        collection is asked for is passed over. What is wrong with a record is a `Problem` of its
        batch. Raises `ArchiveSwapped` where the file was changed since it was opened.
        """
        return self._read()


@contextlib.contextmanager
def open_edited(
    source: files.PathOrFile,
    limits: Limits | None = None,
    decryption: Decryption | None = None,
) -> Iterator[EditedDocument]:
    """Open an edited document, find out how it is laid out, and check all but its records.

    The source is read from where it stands. Raises `FileError`, `NotAnArchive`, `NewerFormat`,
    `NotSealable`, `NotUtf8`, `LimitExceeded`; of one that is encrypted as `open_archive`.
    """
    limits = required_limits(limits)
    with (
        files.open_source(source, limits.size) as file,
        decrypting.opened(file, limits, decryption) as content,
    ):
        packing = compression.by_content(content.start)

        def expand() -> Iterator[bytes]:
            return _without_mark(_expanded(content.chunks(), packing, limits))

        require_json_object(next(expand(), b""))
        if packing is not None or limits.size is not None:
            for _ in expand():  # what is far too large is refused before its lines are looked at
                pass
        yield _document(expand, limits)


@attrs.frozen
class _InLines:
    """A document in lines, and how sure that is."""

    document: EditedDocument
    is_json: bool
    """Whether each record is JSON."""
    is_closed: bool
    """Whether each record ends on its line; otherwise it may go on, or lack a bracket."""


def _document(expand: Expand, limits: Limits) -> EditedDocument:
    try:
        found = _by_lines(expand, limits)
    except (NotInLines, NotSealable) as error:
        # Its frames would hold the line that it tells of, however long.
        return _otherwise(expand, limits, error.with_traceback(None))
    if found.is_json or found.is_closed:  # or else its flaws are named record by record
        return found.document
    return _otherwise(expand, limits, found)


def _otherwise(
    expand: Expand, limits: Limits, by_lines: _InLines | NotInLines | NotSealable
) -> EditedDocument:
    """The document as a whole where that is possible, or else what came of reading it by lines."""
    data = _at_most(expand(), limits.document)
    if data is not None:
        try:
            return _as_a_whole(data, limits)
        except NotSealable as error:
            if isinstance(by_lines, NotInLines):
                raise _further(error, data, by_lines.line) from None
            # Brackets that are never closed tell nothing of the whole: a record has them.
            if isinstance(by_lines, _InLines) and not isinstance(error.__cause__, TooDeepError):
                raise _further(error, data, None) from None
    elif isinstance(by_lines, NotInLines):
        what = (
            f"line {by_lines.line} is no record, and to be read without one record on each line "
            "the document is longer"
        )
        raise LimitExceeded.of("document", limits.document or 0, what, by_lines.line)
    if isinstance(by_lines, _InLines):
        return by_lines.document  # whose flaws are named record by record
    raise by_lines


def _further(error: NotSealable, data: bytes, line: int | None) -> NotSealable:
    """What is wrong behind the commas that lines may lack, where one of these stopped the parser.

    `line` is as far as the document could be read in lines, None where that was to its end.
    """
    if error.line is not None and (line is None or error.line <= line):
        mended = with_commas(data)
        if mended != data:
            try:
                _parsed(mended)
            except NotSealable as behind:
                return behind
    return error


def _header(members: dict[str, Any]) -> Header:
    if members.get("format") != FORMAT:
        raise NotAnArchive("the file is JSON, but no databackup archive")
    try:
        return header_of(members)
    except ArchiveInvalid as error:
        raise NotSealable(error.message) from error


def _require_collections(header: Header, found: Iterable[str]) -> None:
    found = set(found)
    unknown, missing = found - {*header.collections}, {*header.collections} - found
    if unknown:
        raise NotSealable(f"the data has collections that the schema has not: {_listed(unknown)}")
    if missing:
        raise NotSealable(f"the data has not all collections of the schema: {_listed(missing)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))


# -- line by line ------------------------------------------------------------------------------


def _by_lines(expand: Expand, limits: Limits) -> _InLines:
    lines = EditedLines(expand(), limits)
    header = _header(lines.header())
    counts: dict[str, int] = {}
    is_json = is_closed = True
    for name, blocks in lines.collections():
        if name in counts:
            raise NotSealable(f"the collection {shown(name)} stands twice", lines.number)
        counts[name] = 0
        for block in blocks:
            if are_objects(block):
                counts[name] += len(block)
                continue
            records, closed = records_of(block)
            counts[name] += len(records)
            is_closed = is_closed and closed
            is_json = is_json and are_objects(records)
    lines.end()
    _require_collections(header, counts)

    def read() -> Collections:
        again = EditedLines(expand(), limits)
        yield from _unswapped(_collections(again, counts, limits))
        if again.hex != lines.hex:
            raise _swapped()

    document = EditedDocument(header=header, counts=counts, read=read)
    return _InLines(document, is_json, is_closed)


def _collections(lines: EditedLines, known: Container[str], limits: Limits) -> Collections:
    lines.header()
    for name, blocks in lines.collections():
        if name not in known:
            raise _swapped()
        found = _unswapped(blocks)
        yield name, functools.partial(_batches_of_lines, found, limits)
        for _ in found:
            pass  # records that nobody asked for
    lines.end()


def _unswapped(parts: Iterator[_Part]) -> Iterator[_Part]:
    """The parts of a document that was in lines when it was opened."""
    try:
        yield from parts
    except (NotInLines, NotSealable) as error:
        raise _swapped() from error


def _swapped() -> ArchiveSwapped:
    return ArchiveSwapped("the document was changed while it was read")


def _batches_of_lines(
    blocks: Iterable[list[bytes]], limits: Limits, codec: RecordCodec
) -> Iterator[Batch]:
    number = 1
    for lines in blocks:
        block = b",\n".join(lines)
        may_be_held = codec.may_be_held(block)
        are_within = not codec.codec.decimals or not limits.may_be_exceeded(block, decimals=True)
        batch = codec.batch(block, number) if may_be_held and are_within else None
        if batch is not None:
            yield batch
            number += len(lines)
            continue
        records = records_of(lines)[0] if any(map(may_hold_several, lines)) else lines
        if may_be_held and are_within and records == lines:
            yield batch_of_texts(records, number, codec)
            number += len(records)
            continue
        _require_decimals_within_limits(records, number, limits, codec)
        for part in codec.lines_held(records):
            as_written = codec.batch(b",\n".join(part), number)
            yield batch_of_texts(part, number, codec) if as_written is None else as_written
            number += len(part)


def _require_decimals_within_limits(
    texts: list[bytes], first: int, limits: Limits, codec: RecordCodec
) -> None:
    for number, text_ in enumerate(texts, first):
        what = f"record {number} of {codec.collection.name}"
        limits.require_record(text_, what, decimals=bool(codec.codec.decimals))


# -- as a whole --------------------------------------------------------------------------------


class _Whole(msgspec.Struct):
    """A document whose records are not read yet."""

    data: dict[str, list[msgspec.Raw]]


_WHOLE: Final = msgspec.json.Decoder(_Whole)


def _require_within_limits(data: bytes, limits: Limits) -> None:
    """See that each record of a document is within limits. Raises `LimitExceeded`."""
    if not limits.may_be_exceeded(data):
        return
    try:
        collections = _WHOLE.decode(data).data
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return  # it will be refused
    for name, records in collections.items():
        for number, record in enumerate(records, 1):
            limits.require_record(bytes(record), f"record {number} of {name}")


def _as_a_whole(data: bytes, limits: Limits) -> EditedDocument:
    _require_within_limits(data, limits)
    members = _parsed(data)
    header = _header({name: value for name, value in members.items() if name != "end"})
    collections = members["data"]
    require_end(members)
    _require_collections(header, collections)
    for name, records in collections.items():
        if type(records) is not list:
            raise NotSealable(f"the records of {name} are {shown(records)}, expected an array")

    def read() -> Collections:
        for name, records in collections.items():
            yield name, functools.partial(_batches_of_values, records, limits)

    counts = {name: len(records) for name, records in collections.items()}
    return EditedDocument(header=header, counts=counts, read=read)


def _parsed(document: bytes) -> dict[str, Any]:
    """The members of a document that begins as an object."""
    try:
        members: dict[str, Any] = parse_bytes(document)
    except UnicodeDecodeError as error:
        line = document.count(b"\n", 0, error.start) + 1
        raise NotSealable("the document is not UTF-8", line) from error
    except JsonTextError as error:
        if found := syntax_error(error):
            line, column = line_and_column(error, found)
            error.read = None  # which is long
            message = f"the document is no JSON at line {line}, column {column}: {found.msg}"
            raise NotSealable(message, line) from error
        place = json_pointer(steps_to_flaw(document, error)) or "an unknown place"
        error.read = None  # which is long
        raise NotSealable(f"the document cannot be read: {error}, at {place}") from error
    return members


def _batches_of_values(records: list[Any], limits: Limits, codec: RecordCodec) -> Iterator[Batch]:
    for start in range(0, len(records), _BATCH):
        first = start + 1
        for part in _values_held(records[start : start + _BATCH], first, limits, codec):
            yield batch_of_values(part, range(first, first + len(part)), codec)
            first += len(part)


def _values_held(
    records: list[Any], first: int, limits: Limits, codec: RecordCodec
) -> Iterable[list[Any]]:
    """Parsed records, as many at a time as there can be canonical forms of in memory."""
    if not codec.codec.decimals:
        return (records,)
    texts = list(map(text.dump, records))
    joined = b"\n".join(texts)
    if limits.may_be_exceeded(joined, decimals=True):
        _require_decimals_within_limits(texts, first, limits, codec)
    if codec.may_be_held(joined):
        return (records,)
    return parts_held(records, [length_written_out(t, decimals=True) for t in texts])


# -- bytes -------------------------------------------------------------------------------------


def _at_most(chunks: Iterator[bytes], limit: int | None) -> bytes | None:
    """All bytes, None where they are more than the limit."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if limit is not None and len(held) > limit:
            return None
    return bytes(held)


def _without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes without the byte order mark that some editors put first; enough in one chunk."""
    start = b""
    while len(start) < _HEAD and (chunk := next(chunks, b"")):
        start += chunk
    return itertools.chain([start.removeprefix(BYTE_ORDER_MARK)], chunks)


def _expanded(
    chunks: Iterator[bytes], packing: compression.Compression | None, limits: Limits
) -> Iterator[bytes]:
    size = 0
    expansion = limits.expansion_of(packing)
    try:
        for chunk in compression.decompress(chunks, packing, expansion):
            size += len(chunk)
            if limits.size is not None and size > limits.size:
                raise LimitExceeded.of("size", limits.size, "the document is larger")
            yield chunk
    except EncryptionBroken:
        raise
    except (ArchiveInvalid, ArchiveTruncated) as error:
        raise NotSealable(error.message) from error
