"""Long text is read and refused as short text is, though most of it is cut first."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from databackup.schema import jsonshort
from databackup.schema.jsonplace import place_of_flaw, steps_to_flaw
from databackup.schema.jsonshort import line_and_column, parse_bytes, shortened
from databackup.schema.jsontext import JsonTextError, syntax_error

PARTS = st.sampled_from(
    [b'"', b"\\", b",", b":", b"{", b"}", b"[", b"]", b"1", b"1e400", b"NaN", b" ", b"\n", b"\x01",
     b"a" * 9, "é".encode() * 5, "\N{GRINNING FACE}".encode() * 3, b"\\ud800", b"\\ude00",
     b"\\u0061" * 3, b'\\"', b"\\x", b"\xff", b"\xed\xa0\x80", b'"a":', b'"id":1,', b'"' + b"k" * 9,
     b'"aaaaaaaaaaaa",']
)  # fmt: skip
TEXTS = st.lists(PARTS, max_size=12).map(b"".join)
VALUES = st.recursive(
    st.one_of(st.integers(), st.text(max_size=12), st.text('a\\"é\U0001f600', min_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """JSON with something put in somewhere, or anything."""
    value = {"id": draw(VALUES), "value": draw(VALUES)}
    text = json.dumps(
        value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1]))
    )
    whole = text.encode("utf-8", "surrogatepass")
    place = draw(st.integers(0, len(whole)))
    return whole[:place] + draw(st.one_of(st.just(b""), PARTS, TEXTS)) + whole[place:]


def _answer(whole: bytes) -> Any:
    """The value, or all that is said of the flaw."""
    try:
        return parse_bytes(whole)
    except UnicodeDecodeError as error:
        return error.start, place_of_flaw(whole, _caused_by(error), ["id"])
    except JsonTextError as error:
        found = syntax_error(error)
        place = place_of_flaw(whole, error, ["id"])
        return (
            str(error),
            place,
            line_and_column(error, found) if found else steps_to_flaw(whole, error),
        )


def _caused_by(error: UnicodeDecodeError) -> JsonTextError:
    refused = JsonTextError("not UTF-8")
    refused.__cause__ = error
    return refused


@given(documents() | TEXTS)
@example(b'{"id":"aaaaaaaaaaaaaaaaaaaaaa","value":["aaaaaaaaaaaaaaaaa",{"b":1,"b":2}]}')
@example(b'{"id":"aaaaaaaaaaaaaaaaaaaaaa","value":["\xc3\xa9aaaaaaaaaaaaaaaa",NoN]}')
@example('{"id":1,"aaaaaaaaaaaaaaa":"\N{GRINNING FACE}aaaaaaaaaaaaa\\ud800"}'.encode())
@example(rb'{"id":1,"v":"\ud83daaaaaaaaaaaaaaaa\ude00"}')
@example(b'{"id":0,"value"\\:0,"b":[1,2,3,4,5,6,7,8,9]}')
@example(b'{\n "id": 0,\n "value"\\: 0\n}')
@example(rb'{"id":1,"v":"\ud83daaaaaaaaaaaaaaaaa\ude00aaaaaaaaaaaaaa\u1 2aaaaaaaaaaaaa","id":2}')
@example(rb'{"id":1,"nnnnn\a\a\aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":2,"id":2}')
@example(rb'{"v":"\aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","id":2}')
@example(b'{"v":' + b"7" * 1500 + b',"id":2,"w":"' + b"a" * 9000 + b'"}')
@example(b'{"v":-0.' + b"0" * 1500 + b'e1,"id":2,"w":[' + b"7" * 9000 + b"]}")
@example(b'{"v":' + b"0" * 1500 + b',"id":2,"w":"' + b"7" * 9000 + b'"}')
@example(b'{"id":' + b"7" * 1001 + b',"v":{"b":1,"b":"' + b"7" * 9000 + b'"}}')
@example(rb'{"id":1,"v":"\u12aaaaaaaaaaaaaaaaaaaaa\x\u1 2345678"}')
def test_long_text_is_read_as_short_text(whole: bytes) -> None:
    """The same value, or the same error at the same place, of the same key."""
    short = _answer(whole)
    with (
        mock.patch.object(jsonshort, "LONG", 0),
        mock.patch.object(jsonshort, "_WORTH", 3),
        mock.patch.object(jsonshort, "_LONG_NAME", 3),
        mock.patch.object(jsonshort, "_PIECE", 5),
    ):
        assert repr(short) == repr(_answer(whole))


@pytest.mark.parametrize("text", [b"a", "é".encode(), b"\\u0061", b'\\"', b"a\\n"])
def test_strings_are_cut(text: bytes) -> None:
    """Of a value's text nothing is left that no parser minds; names stay as they are."""
    long = text * 1_000_000
    whole = b'["%s",{"kkk":"\\ud800-%s"}]' % (long, long)
    assert '["",{"kkk":"\\ud800"}]' == shortened(whole).text
    assert len(shortened(b'{"%s" :1}' % long).text) > 1_000_000
