"""Edited archives are sealed anew: whatever the layout, what was meant arrives, or is refused."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup import import_all, inspect_archive, seal_archive, verify_archive
from databackup.archive.reader import open_archive
from databackup.errors import InvalidRecords
from databackup.schema import Collection, Reference, Schema
from databackup.testing.exact import exact_rows
from databackup.testing.harness import stored
from databackup.testing.strategies import datasets, schemas
from tests.archive.support import SALES, SHOP, archive_of, packed, read_rows, shop
from tests.support.archives import data_of, exported
from tests.support.club import CLUB, club, memory
from tests.support.layouts import document_of, layouts, shuffled, text_of
from tests.support.sealing import seal, sealed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def digests(archive: bytes) -> dict[str, tuple[int, str]]:
    """Count and digest of each collection of a sound archive."""
    verify_archive(io.BytesIO(archive), dangling="keep")
    with open_archive(io.BytesIO(archive)) as opened:
        return {name: (end.count, end.digest) for name, end in opened.ends.items()}


def orders(archive: bytes) -> dict[str, str]:
    """What an archive says of the order of each collection."""
    info = inspect_archive(io.BytesIO(archive))
    return {name: collection.order for name, collection in info.collections.items()}


def sorted_by_key(schema: Schema, data: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Rows in the order of their keys."""
    found = {}
    for collection in schema.collections:
        rows = data[collection.name]
        keys = collection.codec.sort_keys(rows) or [0] * len(rows)
        found[collection.name] = [rows[i] for i in sorted(range(len(rows)), key=keys.__getitem__)]
    return found


@st.composite
def archives(draw: st.DrawFn) -> tuple[Schema, dict[str, list[Any]], bytes]:
    """A schema of any kinds, rows, and the archive of them."""
    schema = draw(schemas(portable=False))
    data = sorted_by_key(schema, draw(datasets(schema, portable=False)))
    return schema, data, archive_of(schema, data)


# -- layouts -----------------------------------------------------------------------------------


@given(found=archives(), layout=layouts(), mark=st.booleans())
def test_any_layout(found: Any, layout: dict[str, Any], mark: bool) -> None:
    """A document laid out anew, sealed, is an archive of the same data, digest by digest."""
    schema, data, archive = found
    document = text_of(document_of(archive), **layout)
    again = sealed(b"\xef\xbb\xbf" + document if mark else document)
    assert digests(archive) == digests(again)
    verify_archive(io.BytesIO(again), schema)
    back = read_rows(again, schema)
    for collection in schema.collections:
        name = collection.name
        assert exact_rows(collection, data[name]) == exact_rows(collection, back[name])


@given(data=st.data(), found=archives())
def test_lines_in_any_order(data: st.DataObject, found: Any) -> None:
    """Records in any order, with or without commas, blank lines and CR, are the same data."""
    _schema, _rows, archive = found
    again = sealed(shuffled(archive, data.draw))
    assert digests(archive) == digests(again)


@given(found=archives())
def test_an_archive_as_it_is(found: Any) -> None:
    """Sealing what nobody has edited changes nothing but the header and the seal."""
    _schema, _rows, archive = found
    assert data_of(archive) == data_of(sealed(archive))


@given(found=archives(), layout=layouts())
def test_sealing_twice(found: Any, layout: dict[str, Any]) -> None:
    """A sealed archive may be edited and sealed again, and tells of the one before it."""
    _schema, _rows, archive = found
    once, first = seal(archive)
    twice, second = seal(text_of(document_of(once), **layout))
    assert digests(archive) == digests(twice)
    assert first.archive_id == second.edited.archive_id


@given(data=st.data(), layout=layouts())
def test_a_layout_imports(data: st.DataObject, layout: dict[str, Any]) -> None:
    """What was laid out anew and sealed is imported, equal to what was exported."""
    schema = data.draw(schemas())
    source = memory(data.draw(datasets(schema)), schema)
    target = memory({}, schema)
    import_all(target, io.BytesIO(sealed(text_of(document_of(exported(source)), **layout))))
    assert stored(source) == stored(target)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_compressed_documents(packing: Any, tmp_path: Path) -> None:
    """A compressed document is read by its content, an archive is compressed by its suffix."""
    target = tmp_path / "sealed.json.gz"
    report = seal_archive(io.BytesIO(packed(shop(), packing)), target)
    info = inspect_archive(target)
    assert ("gzip", str(target)) == (info.compression, report.path)
    assert target.stat().st_size == report.size


# -- edits -------------------------------------------------------------------------------------


def edit(change: Callable[[Any], object], **layout: Any) -> bytes:
    """The shop's archive after a change of its document, and another layout."""
    document = document_of(shop())
    change(document["data"])
    return text_of(document, **layout)


def replaced(*pairs: tuple[str, str]) -> bytes:
    """The shop's archive with texts replaced in its lines."""
    text = shop().decode()
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text.encode()


@given(data=st.data(), layout=layouts())
def test_edits_arrive(data: st.DataObject, layout: dict[str, Any]) -> None:
    """Values changed, records added and taken out, in any place, are in the archive."""
    ages = data.draw(st.dictionaries(st.text(), st.integers(-9, 9), max_size=5))
    texts = data.draw(st.lists(st.text(), max_size=5))

    def change(found: Any) -> None:
        found["buyers"] = [{"age": age, "name": name} for name, age in ages.items()]
        found["log"] = [{"text": text} for text in texts]
        found["orders"] = [{**order, "buyer": None} for order in found["orders"][1:]]

    rows = read_rows(sealed(edit(change, **layout)), SHOP)
    assert [*ages.items()] == rows["buyers"]
    assert [(text,) for text in texts] == rows["log"]
    assert [(2, None, [], -0.0), (7, None, "…", 1e16)] == rows["orders"]


LINES = {
    "a value": ('"age":31', '"age":32', [("Ana", 32), ("Bo", 47), ("Zoë", 5)]),
    "a record taken out": ('{"name":"Ana","age":31},\n', "", [("Bo", 47), ("Zoë", 5)]),
    "the last one taken out": ('{"name":"Zoë","age":5}\n', "", [("Ana", 31), ("Bo", 47)]),
    "one added, no comma": (
        '"age":5}\n',
        '"age":5}\n{"name":"Ż","age":1}\n',
        [("Ana", 31), ("Bo", 47), ("Zoë", 5), ("Ż", 1)],
    ),
    "one added in front": (
        '{"name":"Ana"',
        '{"age":1,"name":"A"},\n{"name":"Ana"',
        [("A", 1), ("Ana", 31), ("Bo", 47), ("Zoë", 5)],
    ),
    "two on one line": (
        '{"name":"Bo"',
        '{"name":"Al","age":1},{"name":"Bo"',
        [("Ana", 31), ("Al", 1), ("Bo", 47), ("Zoë", 5)],
    ),
    "one on two lines": (
        '"name":"Bo",',
        '\n"name":"Bo",\n',
        [("Ana", 31), ("Bo", 47), ("Zoë", 5)],
    ),
}


@pytest.mark.parametrize("what", LINES)
def test_lines_edited_by_hand(what: str) -> None:
    """What an editor does to lines arrives, with or without the commas that JSON wants."""
    old, new, expected = LINES[what]
    assert expected == read_rows(sealed(replaced((old, new))), SHOP)["buyers"]


def test_order_is_what_it_is() -> None:
    """Records out of key order make the order `none`, records in order make it `key` again."""
    assert {"buyers": "key", "orders": "key", "log": "none"} == orders(sealed(shop()))

    def reverse(found: Any) -> None:
        found["buyers"].reverse()

    turned = sealed(edit(reverse))
    assert {"buyers": "none", "orders": "key", "log": "none"} == orders(turned)
    assert SALES["buyers"][::-1] == read_rows(turned, SHOP)["buyers"]
    document = document_of(turned)
    reverse(document["data"])
    assert "key" == orders(sealed(text_of(document)))["buyers"]
    stated = archive_of(SHOP, SALES, order={"orders": "none", "buyers": "none"})
    assert "key" == orders(sealed(stated))["orders"]


def test_references_that_point_nowhere() -> None:
    """A record that others refer to may be taken out: that is a warning, and refused on import."""

    def change(found: Any) -> None:
        del found["buyers"][0]

    archive, report = seal(edit(change))
    (warning,) = report.warnings
    assert "orders, record 1, key 1, field buyer: points at buyers str 'Ana'" in warning
    with pytest.raises(InvalidRecords, match="points at buyers"):
        verify_archive(io.BytesIO(archive))


def test_many_references_that_point_nowhere() -> None:
    """A hundred warnings, and how many more there are."""
    schema = Schema(
        collections=[
            Collection("a", key="i", fields={"i": int, "b": int}, references=[Reference("b", "a")])
        ]
    )
    archive = archive_of(schema, {"a": [(i, i + 1000) for i in range(250)]})
    report = seal(archive)[1]
    assert 101 == len(report.warnings)
    assert "and 150 more references that point nowhere" == report.warnings[-1]


def test_collections_of_sorted_names_are_put_in_order() -> None:
    """Where sorting has put a collection before what it refers to, dependency order is made anew.

    In a circle the order stays as it is, as do collections that have nothing to do with each other.
    """
    schema = Schema(
        collections=[
            Collection("z", key="i", fields={"i": int}),
            Collection("m", key="i", fields={"i": int}, references=[Reference("i", "z")]),
            Collection("a", key="i", fields={"i": int}, references=[Reference("i", "m")]),
            Collection("b", key="i", fields={"i": int}, references=[Reference("i", "c")]),
            Collection("c", key="i", fields={"i": int}, references=[Reference("i", "b")]),
        ]
    )
    archive = archive_of(schema, {name: [(1,)] for name in "zmabc"})
    assert ["z", "m", "a", "c", "b"] == list(orders(archive)) == list(orders(sealed(archive)))
    again = sealed(text_of(document_of(archive), sort_keys=True))
    assert ["z", "m", "a", "c", "b"] == list(orders(again))
    circle = Schema(
        collections=[
            Collection(name, key="i", fields={"i": int}, references=[Reference("i", to)])
            for name, to in ("xy", "yz", "zx")
        ]
    )
    around = archive_of(circle, {name: [(1,)] for name in "xyz"})
    assert ["z", "y", "x"] == list(orders(around)) == list(orders(sealed(around)))
    document = document_of(archive)
    document["data"] = dict(reversed(document["data"].items()))
    assert data_of(archive) == data_of(sealed(text_of(document)))


# -- header and report -------------------------------------------------------------------------


def test_header_and_report() -> None:
    """The new archive has an id of its own, and says when it was sealed, and from which archive."""
    archive, report = seal(replaced(('"app":"shop"', '"app":"market"'), ('"age":31', '"age":30')))
    before, after = inspect_archive(io.BytesIO(shop())), inspect_archive(io.BytesIO(archive))
    assert after.edited is not None
    assert before.edited is None
    assert before.archive_id == after.edited.archive_id == report.edited.archive_id
    assert before.archive_id != after.archive_id == report.archive_id
    assert (after.created_at, after.producer) == (before.created_at, before.producer)
    assert ("market", 3) == (after.app, after.schema_version)
    assert after.schema_digest == before.schema_digest
    assert after.edited.sealed_at == report.edited.sealed_at > "2026-01-01"
    assert report.edited == after.edited
    assert (report.seal, report.size, report.records) == (after.seal, len(archive), 9)
    assert {"buyers": 3, "orders": 3, "log": 3} == report.collections
    shown = json.loads(json.dumps(report.as_json()))
    assert {"archive_id": before.archive_id, "sealed_at": after.edited.sealed_at} == shown["edited"]
    assert shown["edited"] == after.as_json()["edited"]


def test_other_extensions_stay() -> None:
    """What else stands under `extensions` is kept, to the last digit of a number."""
    own = '"x":[0.1000000000000000055511151231257827,1e-400,12345678901234567890123,{"$y":1}]'
    text = replaced(('"extensions":{}', f'"extensions":{{"counters":{{"orders":9}},{own}}}'))
    with open_archive(io.BytesIO(sealed(text))) as opened:
        header = opened.header
    assert {"orders": 9} == header.counters
    line = header.to_bytes().replace(b"E-400", b"e-400")
    assert f"{own},".encode() in line


def test_importing_what_was_edited() -> None:
    """An edit reaches the store."""
    repository = memory(club(), CLUB)
    archive = exported(repository)
    text = archive.replace(b'"name":"', b'"name":"Dr ')
    report = import_all(repository, io.BytesIO(sealed(text)))
    assert (report.changed, report.added, report.deleted) == (len(club()["members"]), 0, 0)


def test_progress() -> None:
    """Checking, sealing and, once all is written, finishing are told of; raising cancels."""
    seen: list[Any] = []
    sealed(shop(), progress=lambda p: seen.append((p.stage, p.collection, p.done, p.total)))
    assert [
        ("checking", "buyers", 3, 3),
        ("checking", "orders", 3, 3),
        ("checking", "log", 3, 3),
        ("sealing", "buyers", 3, 3),
        ("sealing", "orders", 3, 3),
        ("sealing", "log", 3, 3),
        ("finishing", "", 9, 9),
    ] == seen


@pytest.mark.parametrize("stage", ["checking", "sealing", "finishing"])
def test_cancelling(stage: str, tmp_path: Path) -> None:
    """Raising in any stage leaves the old file, and nothing beside it."""

    class CancelledError(Exception):
        pass

    def cancel(progress: Any) -> None:
        if progress.stage == stage:
            raise CancelledError

    target = tmp_path / "sealed.json"
    target.write_bytes(b"old")
    with pytest.raises(CancelledError):
        seal_archive(io.BytesIO(shop()), target, progress=cancel)
    assert [target] == [*tmp_path.iterdir()]
    assert b"old" == target.read_bytes()


def test_in_place(tmp_path: Path) -> None:
    """An edited file may be replaced by its own archive."""
    path = tmp_path / "backup.json"
    path.write_bytes(replaced(("Ana", "Eva"), ("Ana", "Eva")))
    seal_archive(path, path)
    assert ("Eva", 31) == read_rows(path.read_bytes(), SHOP)["buyers"][0]
