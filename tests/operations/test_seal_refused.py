"""What an edit has spoiled is refused, and named; nothing is written."""

from __future__ import annotations

import gzip
import io
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup import Limits, seal_archive
from databackup.errors import (
    ArchiveSwapped,
    InvalidEdit,
    InvalidRecords,
    LimitExceeded,
    NotSealable,
)
from databackup.schema import Collection, Schema
from tests.archive.support import SHOP, archive_of, read_rows, shop
from tests.support.clock import within
from tests.support.layouts import document_of, text_of
from tests.support.sealing import refused, sealed

if TYPE_CHECKING:
    from pathlib import Path


def replaced(*pairs: tuple[str, str]) -> bytes:
    """The shop's archive with texts replaced in its lines."""
    text = shop().decode()
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text.encode()


@pytest.mark.parametrize("layout", [None, {"indent": 2}, {"sort_keys": True}])
def test_problems_of_records(layout: Any) -> None:
    """Each flaw of a record is named, with collection, number, key and field, in every layout."""
    document = document_of(shop())
    document["data"]["buyers"][1]["age"] = "old"
    document["data"]["buyers"].append({"name": "Ana", "age": 1})
    document["data"]["orders"][0]["more"] = 1
    del document["data"]["orders"][1]["weight"]
    document["data"]["log"].append(7)
    if layout is None:
        text = shop()
        for old, new in [
            (b"47}", b'"old"}'),
            (b'"age":5}', b'"age":5},\n{"name":"Ana","age":1}'),
            (b'"weight":1.0', b'"weight":1.0,"more":1'),
            (b',"weight":-0.0', b""),
            (b'{"text":"b"}\n]', b'{"text":"b"},\n{"text":}\n]'),
        ]:
            assert old in text
            text = text.replace(old, new)
    else:
        text = text_of(document, **layout)
    error = refused(text)
    assert isinstance(error, InvalidEdit)
    assert "Correct these values in the edited file, then seal it again" == error.remedy
    found = {(p.collection, p.record, p.field) for p in error.problems}
    expected = {
        ("buyers", 2, "age"),
        ("buyers", 4, "name"),
        ("orders", 1, "more"),
        ("orders", 2, "weight"),
        ("log", 4, "text" if layout is None else None),
    }
    assert expected == found
    assert len(expected) == error.total
    assert all(problem.pointer for problem in error.problems)


# Each is closed by its own brackets, and so its neighbours are known to be records.
FLAWS = [
    '{"i":-}',
    '{"i":"x"}',
    '{"i":1,"j":[[{}]]}',
    '{"i":NaN}',
    '{"i":[1,{"a":"},{"},{}]}',
    '{"i":1,"i":1}',
    '{"j":"\\"},{"}',
    '{"i":{"a":1},}',
    "{'i':1}",
]
ENDS = [",\n", ",\n", ",", " , ", "\n", "\n\n", ",\r\n\t"]
ONE = Schema(collections=[Collection("t", fields={"i": int})])


@given(
    records=st.lists(
        st.tuples(st.sampled_from(['{"i":5}', '{"i":5}', *FLAWS]), st.sampled_from(ENDS)),
        min_size=1,
    ),
    document=st.sampled_from([1, 10**6]),
)
def test_numbers_are_those_of_records(records: list[tuple[str, str]], document: int) -> None:
    """However many records stand on a line, each flaw has its record's number, others have none."""
    flawed = [number for number, (text, _) in enumerate(records, 1) if text in FLAWS]
    lines = "".join(map("".join, records)).rstrip(", \t\r\n").encode()
    text = archive_of(ONE, {"t": [(0,)]}).replace(b'{"i":0}', lines)
    if not flawed:
        assert len(records) == len(read_rows(sealed(text), ONE)["t"])
        return
    error = refused(text, limits=Limits(document=document))
    assert isinstance(error, InvalidEdit)
    assert flawed == sorted({problem.record or 0 for problem in error.problems})
    for problem in error.problems:
        place = f"/data/t/{(problem.record or 0) - 1}"
        assert place == (problem.pointer or "")[: len(place)]


def test_what_is_no_object_has_a_number_too() -> None:
    """A value between the records of a line is counted as a record, and is the one to blame."""
    text = archive_of(ONE, {"t": [(0,)]}).replace(b'{"i":0}', b'{"i":0},7,{"i":-},{"i":1}')
    for document in (1, 10**6):
        error = refused(text, limits=Limits(document=document))
        assert isinstance(error, InvalidEdit)
        assert [2, 3] == [problem.record for problem in error.problems]


def test_records_on_more_than_a_line() -> None:
    """A record that goes on in the next line is not blamed for another that is wrong."""
    text = replaced(
        ('"note":{"b":[1.5,null],"a":"x"},', '"note":[{"b":1},\n{"c":2}],'), ('"age":5', '"age":}')
    )
    for document in (text, text.replace(b'"age":31},', b'"age":31}')):
        error = refused(document)
        assert isinstance(error, NotSealable)
        assert "no JSON at line 9, column" in str(error)
    error = refused(replaced(('"age":31},', '"age":31}'), ('"Zoë"', '"Zoë')))
    assert isinstance(error, NotSealable)
    assert "no JSON at line 9, column" in str(error)


def test_commas_that_lines_may_lack_are_not_blamed() -> None:
    """Where lines may lack a comma, or have one too many, the error is that of what is wrong."""
    text = replaced(('"age":5}', '"age":5},'), ('"text":"b"}', '"text":"b}'))
    error = refused(text)
    assert isinstance(error, NotSealable)
    assert error.line == 1 + text[: text.index(b'"b}')].count(b"\n")
    pretty = text_of(document_of(shop()), indent=1)
    twice = pretty.replace(b"},\n   {", b"}\n   {").replace(b'"age": 5', b'"age": ')
    error = refused(twice)
    assert isinstance(error, NotSealable)
    assert error.line == 2 + twice[: twice.index(b"}\n   {")].count(b"\n")


def test_a_bracket_too_many() -> None:
    """It is named by line and column, and in what is too long for that by the record it ends."""
    lines = b'{"i":1}},{"i":2},{"i":3,"j":[4]},\n{"i":5},{"i":"6"}'
    text = archive_of(ONE, {"t": [(0,)]}).replace(b'{"i":0}', lines)
    error = refused(text)
    assert isinstance(error, NotSealable)
    assert "no JSON at line 7, column 8" in str(error)
    error = refused(text, limits=Limits(document=1))
    assert isinstance(error, InvalidEdit)
    assert [1, 3, 5] == [problem.record for problem in error.problems]


@pytest.mark.parametrize("ending", [b"", b'"i":1'])
def test_a_bomb_is_refused_at_once(ending: bytes) -> None:
    """What expands too far is refused before its records are looked at, in little memory."""
    archive = archive_of(ONE, {"t": [(0,)]})
    cut = archive.index(b'{"i":0}\n')
    file = io.BytesIO()
    with gzip.open(file, "wb") as packed:
        packed.write(archive[:cut])
        for _ in range(140):
            packed.write(b'{"i":0},\n' * (2**20 // 9))
        packed.write(ending + archive[cut:])
    tracemalloc.start()
    start = time.process_time()
    error = refused(file.getvalue())
    seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(error, LimitExceeded)
    assert "expansion" == error.limit
    assert seconds < 2
    assert peak < 2**25


def test_duplicate_keys() -> None:
    """A key that stands twice is refused, next to its twin or far from it; the second is named."""
    for old, new in [
        ('{"name":"Bo","age":47}', '{"name":"Ana","age":47}'),
        ('{"name":"Zoë","age":5}', '{"name":"Ana","age":5}'),
    ]:
        error = refused(replaced((old, new)))
        assert isinstance(error, InvalidRecords)
        (problem,) = error.problems
        assert ("duplicate-key", ("Ana",)) == (problem.code, problem.key)


def test_a_hundred_problems() -> None:
    """A hundred problems are named, and all are counted, whatever the layout."""
    schema = Schema(collections=[Collection("t", key="i", fields={"i": int, "s": str})])
    archive = archive_of(schema, {"t": [(i, "x") for i in range(3000)]})
    wrong = archive.replace(b'"x"', b"null")
    for text in (wrong, text_of(document_of(wrong), indent=1)):
        error = refused(text)
        assert isinstance(error, InvalidRecords)
        assert (100, 3000) == (len(error.problems), error.total)
        assert [*range(1, 101)] == [problem.record for problem in error.problems]


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    """A document that is changed while it is read is refused, and the target stays."""
    path, target = tmp_path / "edited.json", tmp_path / "sealed.json"
    rows = [(f"{i}", i) for i in range(20_000)]
    original = archive_of(SHOP, {"buyers": sorted(rows), "orders": [], "log": []})
    for change in (
        lambda data: data.replace(b'"age":9999}', b'"age":8888}'),
        lambda data: data.replace(b'"log":[', b'"gol":['),
        lambda data: data[: data.index(b'"log":[')],
        lambda data: data.replace(b'"orders":[', b'"orders":{'),
    ):
        path.write_bytes(original)
        done = False

        def swap(_progress: Any, change: Any = change) -> None:
            nonlocal done
            if not done:
                done = True
                with path.open("r+b") as file:
                    file.write(change(original))
                    file.truncate()

        with pytest.raises(ArchiveSwapped):
            seal_archive(path, target, progress=swap)
        assert not target.exists()


def test_the_only_record_is_wrong() -> None:
    """A flaw of a record that is alone is named as others are."""
    schema = Schema(collections=[Collection("t", fields={"i": int})])
    text = archive_of(schema, {"t": [(1,)]}).replace(b'"i":1', b'"i":null')
    for document in (text, text_of(document_of(text), indent=1)):
        error = refused(document)
        assert isinstance(error, InvalidRecords)
        assert [("t", 1, "i")] == [(p.collection, p.record, p.field) for p in error.problems]


@pytest.mark.parametrize("layout", [None, {"indent": 2}])
@pytest.mark.parametrize(
    "limits, limit",
    [
        (Limits(record=20), "record"),
        (Limits(depth=1), "depth"),
        (Limits(header=100), "header"),
        (Limits(size=100), "size"),
    ],
)
def test_limits_bind(layout: Any, limits: Limits, limit: str) -> None:
    """Sealing refuses what its own limits do not let an import take, in any layout."""
    document = shop() if layout is None else text_of(document_of(shop()), **layout)
    with pytest.raises(LimitExceeded) as caught:
        seal_archive(io.BytesIO(document), io.BytesIO(), limits=limits)
    assert limit == caught.value.limit


def test_limits_that_hold() -> None:
    """What stays within limits below the defaults is sealed."""
    limits = Limits(record=200, depth=5, header=10_000, size=100_000)
    assert 9 == seal_archive(io.BytesIO(shop()), io.BytesIO(), limits=limits).records


def test_limits_of_another_type() -> None:
    """What are no limits is refused as such."""
    with pytest.raises(TypeError, match="limits are Limits"):
        seal_archive(io.BytesIO(shop()), io.BytesIO(), limits=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "start, place",
    [
        (b'[{"a":1,"a":2}', "the name str 'a' stands twice in one object, at /data/log/1/text/0"),
        (b"[]" * 1000, "the document is no JSON at line 8, column 11"),
        (b"[" * 800, "JSON deeper than 256 levels"),
    ],
)
def test_brackets_too_many_take_no_time(start: bytes, place: str) -> None:
    """16 MiB of them behind a flaw are no reason to look at each."""
    schema = Schema(collections=[Collection("log", fields={"text": str})])
    archive = archive_of(schema, {"log": [("a",), ("b",)]})
    with within(1.5):
        error = refused(archive.replace(b'"b"', start + b"]" * (16 * 1024 * 1024)))
    assert place in str(error)


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_a_record_that_is_too_deep_is_named(bracket: str) -> None:
    """Its collection, number, key and field, though nothing closes it."""
    text = replaced(('"weight":1.0', f'"weight":{bracket * 100_000}'))
    with pytest.raises(InvalidEdit) as caught:
        sealed(text)
    (problem,) = caught.value.problems
    assert ("orders", 1, "weight") == (problem.collection, problem.record, problem.field)
    assert "deeper than 256 levels" in problem.message


def test_what_is_too_deep_in_a_document_is_named() -> None:
    """By the pointer to its field, where the document is not in lines."""
    text = text_of(document_of(shop()), indent=2)
    deep = text.replace(b'"weight": 1.0', b'"weight": ' + b"[" * 1000 + b"]" * 1000)
    assert text != deep
    error = refused(deep)
    assert isinstance(error, NotSealable)
    assert error.message.endswith("levels, at /data/orders/0/weight")


@pytest.mark.parametrize("before", [0, 2])
def test_a_line_of_the_header_that_is_too_long_is_named(before: int) -> None:
    """By its own number, not that of the line before."""
    start = b"".join(shop().splitlines(keepends=True)[:before])
    error = refused(start + b"{" * 10_000, limits=Limits(header=5_000, document=9_000))
    assert isinstance(error, LimitExceeded)
    assert before + 1 == error.line
    assert f"line {before + 1} is no record" in error.message
