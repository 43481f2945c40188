"""The limit `values`: how many JSON values and names a record, the header or the end may have."""

from __future__ import annotations

import decimal
import io
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup import Limits, diff, export_all, import_all, seal_archive, verify_archive
from databackup.adapters.memory import MemoryRepository
from databackup.archive import limits as limits_module
from databackup.archive import text as text_module
from databackup.errors import LimitExceeded
from databackup.schema import Collection, Json, Schema, writtenout
from databackup.schema.jsontext import more_values_than, values_in
from tests.archive.support import archive_of, resealed, with_header
from tests.support.clock import within

NOTES = Schema(collections=[Collection("notes", key="id", fields={"id": int, "value": Json})])
DEFAULT = Limits().values or 0
TEXTS = st.text(st.sampled_from('ab"\\,[]{}: \nä'), max_size=5)
DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.integers(), TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
SHAPES = pytest.mark.parametrize("item", ["[]", "{}", '{"a":0}', "0", '""', "[[]]", " [ ] "])


def _count(value: Any) -> int:
    """What counts in a value, itself not; the digits of an integer do beyond 17."""
    if type(value) is int:
        return (len(str(abs(value))) - 1) // 17
    if type(value) is dict:
        return sum(2 + _count(item) for item in value.values())
    return sum(1 + _count(item) for item in value) if type(value) is list else 0


@given(DOCUMENTS, st.booleans(), st.sampled_from([(",", ":"), (" ,\t", " : ")]))
def test_values_are_counted(value: Any, ascii_only: bool, separators: tuple[str, str]) -> None:
    """What stands in arrays and objects counts, names too, at all levels, whatever texts hold."""
    text = json.dumps(value, ensure_ascii=ascii_only, separators=separators).encode()
    count = _count(value)
    assert count == values_in(text)
    for limit in (*range(1, count + 3), 10 * count + 1):
        assert (count > limit) == more_values_than(limit, text)


@given(st.lists(st.sampled_from([b'"', b"\\", b",", b"[", b"]", b"{", b"}", b"\xff", b"a", b" "])))
def test_unsound_text_is_counted_too(parts: list[bytes]) -> None:
    """Nothing raises, and the answer for a higher limit is never stricter."""
    text = b"".join(parts)
    answers = [more_values_than(limit, text) for limit in range(1, len(text) + 2)]
    assert sorted(answers, reverse=True) == answers


@given(st.lists(DOCUMENTS, min_size=1), st.sampled_from([b"", b" ", b"\t "]))
def test_objects_without_commas_are_counted(values: list[Any], between: bytes) -> None:
    """Objects that follow each other in a line are values: a parser for lines builds them all."""
    objects = [value if type(value) is dict else {"v": value} for value in values]
    text = between.join(json.dumps(value).encode() for value in objects)
    count = _count(objects)
    assert objects == msgspec.json.Decoder(dict).decode_lines(text)
    assert count - 1 == values_in(text)  # the outermost is not counted
    for limit in range(1, count + 2):
        assert (count - 1 > limit) == more_values_than(limit, text)


@pytest.mark.parametrize("item", [b"{}", b"{} ", b'{"a":0}', b'{"a":{}}\t'])
def test_objects_without_commas_take_no_time(item: bytes) -> None:
    """16 MiB of objects on one line are refused before they are built."""
    archive = archive_of(NOTES, {"notes": [(1, None), (2, "x")]})
    line = b'{"id":2,"value":"x"}'
    archive = resealed(archive.replace(line, line + item * (16 * 1024 * 1024 // len(item))))
    for read in (_seal, _import):
        with within(1), pytest.raises(LimitExceeded, match="record 2 of notes has more values"):
            read(archive)


def test_too_many_texts_are_too_many_values() -> None:
    """A text is a value or a name, so that no more of them are cut out."""
    assert more_values_than(4, b'",,,,,,,,,,"' + b'""' * 20)
    assert not more_values_than(4, b'{",,,,,,,,,,":",,,,,,,,,,"}')


def _with_value(value: str) -> bytes:
    """An archive whose second record has this text as its value; only its digest is wrong."""
    archive = archive_of(NOTES, {"notes": [(1, None), (2, "x")]})
    return resealed(archive.replace(b'"x"', value.encode()))


def _seal(archive: bytes, limits: Limits | None = None) -> None:
    seal_archive(io.BytesIO(archive), io.BytesIO(), limits=limits)


def _import(archive: bytes, limits: Limits | None = None) -> None:
    import_all(MemoryRepository(NOTES, {"notes": []}), io.BytesIO(archive), limits=limits)


def _verify(archive: bytes, limits: Limits | None = None) -> None:
    verify_archive(io.BytesIO(archive), limits=limits)


def _diff(archive: bytes, limits: Limits | None = None) -> None:
    diff(io.BytesIO(archive), io.BytesIO(archive), limits=limits)


READERS = pytest.mark.parametrize("read", [_import, _verify, _diff, _seal])


@READERS
def test_records_at_the_limit(read: Any) -> None:
    """A record with as many values as the limit is read, with one more it is refused by name."""
    archive = archive_of(NOTES, {"notes": [(1, None), (2, [{"a,b": "[,"}, [], [1]])]})
    header = json.loads(archive)
    del header["data"], header["end"]
    count = max(_count({"id": 2, "value": [{"a,b": "[,"}, [], [1]]}), _count(header | {"data": {}}))
    read(archive, Limits(values=count + 20))  # the sealed one's header says where it comes from
    many = archive_of(NOTES, {"notes": [(1, None), (2, [[]] * (count + 16))]})
    read(many, Limits(values=count + 20))
    more = archive_of(NOTES, {"notes": [(1, None), (2, [[]] * (count + 17))]})
    with pytest.raises(LimitExceeded, match="record 2 of notes has more values than") as caught:
        read(more, Limits(values=count + 20))
    assert ("values", count + 20, 8) == (
        caught.value.limit,
        caught.value.allowed,
        caught.value.line,
    )
    read(more, Limits(values=None))


@READERS
@SHAPES
def test_a_bomb_of_values_takes_no_time(read: Any, item: str) -> None:
    """8 MiB of the smallest values in one record are refused before they are parsed."""
    archive = _with_value("[" + ",".join([item] * (8 * 1024 * 1024 // (len(item) + 1))) + "]")
    with within(2), pytest.raises(LimitExceeded, match="record 2 of notes has more values"):
        read(archive)


@READERS
@pytest.mark.parametrize("place", ["header", "end"])
def test_a_bomb_in_the_header_or_the_end(read: Any, place: str) -> None:
    """The header as a whole and the totals have the same limit."""
    bomb = "[" + ",".join(["[]"] * 2_500_000) + "]"
    archive = archive_of(NOTES, {})
    before, after = {
        "header": ('"extensions":{', '"extensions":{"x":%s'),
        "end": ('"count":0', '"count":%s'),
    }[place]
    archive = resealed(archive.replace(before.encode(), (after % bomb).encode()))
    with within(2), pytest.raises(LimitExceeded, match=f"the {place} has more values"):
        read(archive)


def test_long_texts_are_no_values() -> None:
    """Whatever is written in a text, and however long it is, it is one value."""
    rows = [(1, ",[" * DEFAULT), (2, ['"' * DEFAULT, {"[,\\" * DEFAULT: None}])]
    archive = archive_of(NOTES, {"notes": rows})
    for read in (_import, _verify, _seal):
        read(archive)


def test_an_export_warns() -> None:
    """The report names the limit that an import needs, and with that it passes."""
    value = [0] * (DEFAULT + 10)
    notes = [{"id": 1, "value": value}]
    repository = MemoryRepository(NOTES, {"notes": notes})
    file = io.BytesIO()
    (warning,) = export_all(repository, file).warnings
    assert f"Limits(values={DEFAULT + 14})" in warning
    with pytest.raises(LimitExceeded):
        _verify(file.getvalue())
    _import(file.getvalue(), Limits(values=DEFAULT + 14))
    sealed = io.BytesIO()
    file.seek(0)
    report = seal_archive(file, sealed, limits=Limits(values=DEFAULT + 14))
    assert (warning,) == report.warnings
    notes[0]["value"] = value[14:]
    assert () == export_all(repository, io.BytesIO()).warnings


def test_an_export_warns_of_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header of many values needs a higher limit, too."""
    monkeypatch.setattr(limits_module, "DEFAULTS", Limits(values=20))
    file = io.BytesIO()
    (warning,) = export_all(MemoryRepository(NOTES, {"notes": []}), file).warnings
    header = json.loads(file.getvalue())
    del header["end"]
    count = _count(header | {"data": {}})
    assert f"Limits(values={count})" in warning


def test_a_document_as_a_whole() -> None:
    """In any layout a record of too many values is refused, once it has been read."""
    archive = archive_of(NOTES, {"notes": [(1, None), (2, [[]] * 200)]})
    laid_out = json.dumps(json.loads(archive), indent=1).encode()
    _seal(laid_out, Limits(values=204))
    with pytest.raises(LimitExceeded, match="record 2 of notes has more values"):
        _seal(laid_out, Limits(values=203))


def test_a_sealed_header_at_the_limit() -> None:
    """What sealing adds to a header counts, too."""
    archive = with_header(archive_of(NOTES, {}), lambda h: h["extensions"].update(x=[0] * 1000))
    header = json.loads(archive)
    del header["end"]
    count = _count(header | {"data": {}})
    _verify(archive, Limits(values=count))
    with pytest.raises(LimitExceeded, match="the header has more values"):
        _verify(archive, Limits(values=count - 1))
    with pytest.raises(LimitExceeded, match="the header has more values"):
        _seal(archive, Limits(values=count))
    _seal(archive, Limits(values=count + 10))


# -- numbers written out -----------------------------------------------------------------------


def _with_exponents(count: int) -> bytes:
    return archive_of(NOTES, {"notes": [(1, None), (2, [1e300] * count)]})


@READERS
def test_numbers_written_out_are_bounded(read: Any) -> None:
    """A record whose numbers would have too many digits is refused before they are written out."""
    archive = _with_value("[" + ",".join(["1e300"] * 300_000) + "]")
    for document in (archive, archive.replace(b'"value"', b' "value"')):  # for both lanes
        with within(1), pytest.raises(LimitExceeded, match="numbers written out, is") as caught:
            read(resealed(document))
        assert ("record", 8) == (caught.value.limit, caught.value.line)


@READERS
@pytest.mark.parametrize("text", ['"1e300"', "1e-300", "100", '"e300"'])
def test_what_is_no_large_number_is_not_written_out(read: Any, text: str) -> None:
    """Exponents in texts, small ones, and digits that stand there already count for nothing."""
    rows = [(1, None), (2, [json.loads(text)] * 10)]
    read(archive_of(NOTES, {"notes": rows}), Limits(record=300))


@READERS
def test_numbers_written_out_at_the_limit(read: Any) -> None:
    """The record's length and the exponents, to the byte."""
    archive = _with_exponents(3)
    length = len(b'{"id":2,"value":[1e300,1e300,1e300]}') + 900
    read(archive, Limits(record=length))
    with pytest.raises(LimitExceeded, match="numbers written out"):
        read(archive, Limits(record=length - 1))


def test_an_export_warns_of_numbers() -> None:
    """The report names the limit that an import needs, and with that it passes."""
    notes = [{"id": 1, "value": [1e300] * 300_000}]
    file = io.BytesIO()
    (warning,) = export_all(MemoryRepository(NOTES, {"notes": notes}), file).warnings
    needed = len(b'{"id":1,"value":[]}') + 300_000 * 306 - 1
    assert f"Limits(record={needed})" in warning
    with pytest.raises(LimitExceeded):
        _verify(file.getvalue())
    _verify(file.getvalue(), Limits(record=needed))


# -- decimals written out ----------------------------------------------------------------------

BIG = decimal.Decimal("1E+5000")
DECIMALS: list[tuple[Any, Any, str]] = [
    (decimal.Decimal | None, BIG, '"1E+5000"'),
    (list[decimal.Decimal], [BIG], '["1E+5000"]'),
    (dict[str, list[decimal.Decimal]], {"a": [BIG]}, '{"a":["1E+5000"]}'),
]


def _schema_of(kind: Any) -> Schema:
    return Schema(collections=[Collection("notes", key="id", fields={"id": int, "value": kind})])


def _layouts(archive: bytes) -> list[bytes]:
    """As it was written, for the strict lane, and as a whole, the last one for seal alone."""
    spaced = resealed(archive.replace(b'"value":', b'"value": '))
    return [archive, spaced, json.dumps(json.loads(archive), indent=1).encode()]


@pytest.mark.parametrize("kind, value, text", DECIMALS)
def test_decimals_written_out_at_the_limit(kind: Any, value: Any, text: str) -> None:
    """The record's length and the exponents, to the byte, in each reader and lane."""
    schema = _schema_of(kind)
    archive = archive_of(schema, {"notes": [(1, value)]})
    length = len(f'{{"id":1,"value": {text}}}') + 5000
    as_written, spaced, whole = _layouts(archive)
    for read, document in (
        (_verify, spaced),
        (_seal, spaced),
        (lambda d, limits: _import_into(schema, d, limits), spaced),
    ):
        read(document, Limits(record=length))
        with pytest.raises(LimitExceeded, match="record 1 of notes, its numbers written out"):
            read(document, Limits(record=length - 1))
    for read in (_verify, _seal):
        with pytest.raises(LimitExceeded, match="numbers written out"):
            read(as_written, Limits(record=length - 2))
    _seal(whole, Limits(record=5100))
    with pytest.raises(LimitExceeded, match="record 1 of notes, its numbers written out"):
        _seal(whole, Limits(record=5020))


def _import_into(schema: Schema, document: bytes, limits: Limits) -> None:
    import_all(MemoryRepository(schema, {"notes": []}), io.BytesIO(document), limits=limits)


def test_texts_are_no_decimals() -> None:
    """What only looks like one counts for nothing where no decimals can stand."""
    for kind, value in ((str, "1E+5000"), (Json, ["1E+5000"])):
        archive = archive_of(_schema_of(kind), {"notes": [(1, value)]})
        for read in (_verify, _seal):
            read(archive, Limits(record=100))


@pytest.mark.parametrize("kind_value_text", DECIMALS)
def test_decimals_are_not_held_all_at_once(
    kind_value_text: tuple[Any, Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Canonical forms are made of so many records as may be held; the archive is the same."""
    kind, value, _text = kind_value_text
    schema = _schema_of(kind)
    notes = [{"id": n, "value": value} for n in range(40)]
    archive = archive_of(schema, {"notes": [(n, value) for n in range(40)]})
    held: list[int] = []
    dump_sorted = text_module.dump_sorted

    def noted(values: list[Any]) -> list[bytes]:
        found = dump_sorted(values)
        held.append(sum(map(len, found)))
        return found

    monkeypatch.setattr(text_module, "dump_sorted", noted)
    monkeypatch.setattr(writtenout, "_HELD", 20_500)
    store: dict[str, Any] = {"notes": []}
    for document in _layouts(archive):
        _seal(document, Limits())
    for document in _layouts(archive)[:2]:
        _verify(document, Limits())
        store["notes"] = []
        import_all(MemoryRepository(schema, store), io.BytesIO(document))
        assert notes == store["notes"]
    file = io.BytesIO()
    export_all(MemoryRepository(schema, store), file)
    assert diff(io.BytesIO(archive), MemoryRepository(schema, store)).identical
    verify_archive(io.BytesIO(file.getvalue()), schema)
    assert 5000 < max(held) <= 20_500


def test_an_export_warns_of_decimals() -> None:
    """The report names the limit that an import needs, and with that it passes."""
    schema = _schema_of(list[decimal.Decimal])
    notes = [{"id": 1, "value": [decimal.Decimal("1E+131072")] * 520}]
    file = io.BytesIO()
    (warning,) = export_all(MemoryRepository(schema, {"notes": notes}), file).warnings
    needed = len(b'{"id":1,"value":[]}') + 520 * (len(b'"1E+131072",') + 131_072) - 1
    assert f"Limits(record={needed})" in warning
    with pytest.raises(LimitExceeded):
        _verify(file.getvalue())
    _verify(file.getvalue(), Limits(record=needed))


# -- numbers of more digits than a double has --------------------------------------------------


@pytest.mark.parametrize(
    "text, count",
    [
        ("0.12345678901234567", 1),
        ("0.123456789012345678", 2),
        ("-0.00000123456789012345678", 2),
        ("0.0000012345678901234567", 1),
        ("12.345678901234567", 1),
        ("12.3456789012345678", 2),
        ("1.23456789012345678e5", 2),
        ("123456789012345678e-5", 2),
        ("12345678901234567", 1),
        ("-1234567890123456789012", 2),
        ("7" * 999, 59),
        ('"0.123456789012345678"', 1),
        ("0." + "1" * 130, 8),
    ],
)
def test_long_numbers_count_more(text: str, count: int) -> None:
    """Once for each 17 digits; digits in texts do not count."""
    array = f"[{text}{',[]' * 50}]".encode()
    assert count + 50 == values_in(array)
    assert more_values_than(count + 49, array)
    assert not more_values_than(count + 50, array)


@pytest.mark.parametrize("item", [1e300, 10.0**18])
def test_written_out_floats_count_once(item: float) -> None:
    """Canonical forms have all their digits; what is read and written has not."""
    count = DEFAULT // 2
    repository = MemoryRepository(NOTES, {"notes": [{"id": 1, "value": [item] * count}]})
    file = io.BytesIO()
    limits = Limits(record=2**30)
    warnings = export_all(repository, file).warnings
    assert not any("values" in warning for warning in warnings)
    _verify(file.getvalue(), limits)
    _seal(file.getvalue(), limits)
