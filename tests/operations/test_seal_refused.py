"""What an edit has spoiled is refused, and named; nothing is written."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from databackup import Limits, seal_archive
from databackup.errors import ArchiveSwapped, InvalidRecords, LimitExceeded
from databackup.schema import Collection, Schema
from tests.archive.support import SHOP, archive_of, shop
from tests.support.layouts import document_of, text_of
from tests.support.sealing import refused

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
    assert isinstance(error, InvalidRecords)
    found = {(p.collection, p.record, p.field) for p in error.problems}
    expected = {
        ("buyers", 2, "age"),
        ("buyers", 4, "name"),
        ("orders", 1, "more"),
        ("orders", 2, "weight"),
        ("log", 4, None),
    }
    assert expected == found
    assert len(expected) == error.total
    assert all(problem.pointer for problem in error.problems)


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
