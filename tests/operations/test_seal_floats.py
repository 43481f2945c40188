"""Floats that a program has shortened to integers are sealed as floats, wherever they stand."""

from __future__ import annotations

from typing import Any

import pytest

from databackup.errors import InvalidRecords
from databackup.schema import Collection, Schema
from databackup.schema.composite import Dict, List, Nested, Optional
from databackup.schema.kinds import Float, Int
from databackup.schema.model import Field
from databackup.testing.exact import exact_rows
from tests.archive.support import archive_of, read_rows
from tests.support.layouts import document_of, text_of
from tests.support.sealing import refused, sealed


def test_integral_floats_without_their_fraction() -> None:
    """`2` for `2.0`, as jq and JavaScript write it, is the float that it was, tagged ones too."""
    schema = Schema(
        collections=[
            Collection(
                "t",
                fields=[
                    Field("f", Float(), "keep"),
                    Field("i", Int(), "keep"),
                    Field("plain", Float()),
                ],
            )
        ]
    )
    rows = [(2.0, 3, -0.0), (-0.0, 4.0, 1e16), (5, "x", 7.0), (1e300, 1e22, 1.2345678901234568e20)]
    archive = archive_of(schema, {"t": rows})
    short = archive
    for old, new in [
        (b'"f":2.0', b'"f":2'),
        (b'"f":-0.0', b'"f":-0'),
        (b'{"$float":4.0}', b'{"$float":4}'),
        (b'"f":1e300', b'"f":1' + b"0" * 300),
        (b'{"$float":1e22}', b'{"$float":10000000000000000000000}'),
        (b'"plain":7.0', b'"plain":7'),
        (b'"plain":1.2345678901234568e20', b'"plain":123456789012345680000'),
    ]:
        assert old in short
        short = short.replace(old, new)
    for document in (short, text_of(document_of(short), indent=1)):
        back = read_rows(sealed(document), schema)["t"]
        assert exact_rows(schema["t"], rows) == exact_rows(schema["t"], back)
    for wrong in (b'"f":' + b"9" * 30, b'"f":1' + b"0" * 400, b'"f":true', b'"f":{"$int":1.0}'):
        assert isinstance(refused(short.replace(b'"f":2,', wrong + b",")), InvalidRecords)


E23 = "1" + "0" * 23  # no double has this value, but 1e23 is the text of one
SHORTENED = {
    "list": (List(Float()), [5.0, 1e20, 1e23, -0.0], f"[5,1{'0' * 20},{E23},-0]"),
    "list with null": (List(Optional(Float())), [None, 1e23], f"[null,{E23}]"),
    "dict": (Dict(Float()), {"a": 5.0, "i": 1e23}, f'{{"a":5,"i":{E23}}}'),
    "dict like a tag": (Dict(Float()), {"$float": 1e23}, f'{{"$json":{{"$float":{E23}}}}}'),
    "struct": (
        Nested((("f", Float()), ("i", Int()))),
        {"f": 1e23, "i": 5},
        f'{{"f":{E23},"i":5}}',
    ),
    "deep": (
        Optional(List(Dict(Nested((("f", List(Float())),))))),
        [{"a": {"f": [1e23]}}],
        f'[{{"a":{{"f":[{E23}]}}}}]',
    ),
}


@pytest.mark.parametrize("off_kind", ["refuse", "keep"])
@pytest.mark.parametrize("what", SHORTENED)
def test_shortened_floats_anywhere(what: str, off_kind: Any) -> None:
    """Wherever only a float may stand, in lists, dicts and structs too, an integer is one."""
    kind, value, short = SHORTENED[what]
    schema = Schema(collections=[Collection("t", fields=[Field("v", kind, off_kind)])])
    archive = archive_of(schema, {"t": [(value,)]})
    start = archive.index(b'{"v":', archive.index(b'"t":[')) + 5
    edited = archive[:start] + short.encode() + archive[archive.index(b"}\n]", start) :]
    assert edited != archive
    for document in (edited, text_of(document_of(edited), indent=1)):
        back = read_rows(sealed(document), schema)["t"]
        assert exact_rows(schema["t"], [(value,)]) == exact_rows(schema["t"], back)


@pytest.mark.parametrize(
    "kind, form",
    [
        (List(Int()), "[1" + "0" * 23 + "]"),
        (Dict(Float()), '{"$x":1}'),
        (List(Float()), '[1,"x"]'),
        (List(Float()), "[9007199254740993]"),
        (Nested((("f", Float()),)), '{"f":1,"g":1}'),
        (Nested((("f", Float()),)), "[1]"),
        (Dict(Float()), "5"),
        (List(Float()), '""'),
        (List(Float()), "5"),
    ],
)
def test_no_other_kind_is_mended(kind: Any, form: str) -> None:
    """Integers stay integers where they may stand, and what is no float is no float."""
    schema = Schema(collections=[Collection("t", fields=[Field("v", kind)])])
    rows = {"t": [([],) if isinstance(kind, List) else ({"f": 0.5},)]}
    archive = archive_of(schema, rows)
    old = b'{"v":[]}' if isinstance(kind, List) else b'{"v":{"f":0.5}}'
    assert old in archive
    error = refused(archive.replace(old, b'{"v":' + form.encode() + b"}"))
    assert isinstance(error, InvalidRecords)
    assert [("t", 1, "v")] == [(p.collection, p.record, p.field) for p in error.problems]


def test_tags_beside_a_shortened_float() -> None:
    """An integer under its tag stays one, in a record where a float is restored."""
    fields = [Field("a", Float(), "keep"), Field("b", Float(), "keep")]
    schema = Schema(collections=[Collection("t", fields=fields)])
    archive = archive_of(schema, {"t": [(5, 7.0)]})
    assert b'{"$int":5},"b":7.0' in archive
    back = read_rows(sealed(archive.replace(b"7.0", b"7")), schema)["t"]
    assert exact_rows(schema["t"], [(5, 7.0)]) == exact_rows(schema["t"], back)


def test_what_is_no_record_among_floats() -> None:
    """A record that is no object is named as such where floats may stand, too."""
    schema = Schema(collections=[Collection("t", fields=[Field("a", Float())])])
    archive = archive_of(schema, {"t": [(0.5,), (1.5,)]})
    error = refused(archive.replace(b'{"a":1.5}', b"7"))
    assert isinstance(error, InvalidRecords)
    assert [2] == [problem.record for problem in error.problems]
