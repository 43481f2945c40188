"""Where a record's text is refused, field, key and pointer are named."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup import import_all, verify_archive
from databackup.adapters.memory import MemoryRepository
from databackup.archive.records import RecordCodec
from databackup.errors import InvalidRecords, Problem
from databackup.schema import Collection, Json, Schema
from tests.archive.support import archive_of, resealed
from tests.support.clock import within

NOTES = Schema(collections=[Collection("notes", key="id", fields={"id": int, "value": Json})])
TEXTS = st.text(st.sampled_from('ab"\\,[]{}:/~ ä'), max_size=4)
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(0, 99), TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
STEPS = st.lists(st.one_of(TEXTS, st.integers(0, 2)), max_size=4)
FLAWS = {
    "NaN": b"NaN",
    "range of a double": b"1e400",
    "at most 1000 characters": b"1" * 1001,
    "stands twice": b'{"x":[],"x":1}',
    "surrogate": b'"\\ud800"',
    "no JSON": b"tru",
    "no JSON at": b"}",
    "not UTF-8": b'"\xff"',
    "Invalid control": b'"a\x01"',
}
_HOLE = "\N{REPLACEMENT CHARACTER}hole"


def _problems(line: bytes, number: int = 5) -> list[Problem]:
    return RecordCodec(NOTES["notes"]).strict_batch([line], number).problems


def _around(hole: Any, steps: list[str | int], others: list[Any]) -> Any:
    """A value in which steps lead to the hole, with other values beside it."""
    value = hole
    for position, step in enumerate(reversed(steps)):
        other = others[position % len(others)] if others else None
        if type(step) is int:
            value = [other] * step + [value, other]
        else:
            value = {f"{step}-": other, step: value, f"{step}+": other}
    return value


@given(
    steps=STEPS,
    others=st.lists(VALUES, max_size=3),
    flaw=st.sampled_from(sorted(FLAWS)),
    separators=st.sampled_from([(",", ":"), (" , ", "\t: ")]),
)
def test_the_place_of_a_flaw(
    steps: list[str | int], others: list[Any], flaw: str, separators: tuple[str, str]
) -> None:
    """Whatever stands around it, the first flaw's field and pointer are named, and the key."""
    record = {"id": 7, "value": _around(_HOLE, steps, others)}
    text = json.dumps(record, ensure_ascii=False, separators=separators)
    (problem,) = _problems(text.encode().replace(f'"{_HOLE}"'.encode(), FLAWS[flaw]))
    assert flaw in problem.message
    assert ("invalid-json", 5, (7,), "value") == (
        problem.code,
        problem.record,
        problem.key,
        problem.field,
    )
    escaped = [str(step).replace("~", "~0").replace("/", "~1") for step in steps]
    assert "/".join(["/data/notes/4/value", *escaped]) == problem.pointer


@given(
    steps=STEPS,
    flaw=st.sampled_from(["NaN", "range of a double", "at most 1000 characters", "stands twice"]),
    tail=st.lists(st.sampled_from([b"]", b"}", b",", b":", b"[", b"{", b'"', b"1", b"NaN"])),
)
def test_what_follows_does_not_matter(steps: list[str | int], flaw: str, tail: list[bytes]) -> None:
    """A flaw that is no flaw of syntax is where it is, whatever is wrong further on."""
    record = {"id": 7, "value": _around(_HOLE, steps, ["}", 5, [{}]])}
    text = json.dumps(record).encode()
    sound, behind = text.split(json.dumps(_HOLE).encode())
    (whole,) = _problems(sound + FLAWS[flaw] + behind)
    (torn,) = _problems(sound + FLAWS[flaw] + b"".join(tail))
    if flaw in torn.message:
        assert (whole.pointer, whole.field) == (torn.pointer, torn.field)


@pytest.mark.parametrize(
    "line, key, field, pointer",
    [
        (b'{"value":[NaN],"id":7}', (7,), "value", "/value/0"),
        (b'{"value":[1,},"id":7}', None, "value", "/value/1"),
        (b'{"id":NaN,"value":1}', None, "id", "/id"),
        (b'{"id":12', None, "id", "/id"),
        (b'{"id":1,"id":2,"value":NaN}', None, "value", "/value"),
        (b'{"id":1,"value":1,"id":1}', None, None, ""),
        (b'{"id":"\\ud800","value":1}', None, "id", "/id"),
        (b'{"id":1,"value":{"\\ud800":}}', (1,), "value", '/value/"\\ud800"'),
        (b'{"id":1,"value":["\\ud800",NaN]}', (1,), "value", "/value/1"),
        (b'{"id":1,"value":[1e999,NaN]}', (1,), "value", "/value/0"),
        (b'{"id":1,"value":["a","b,,c" ,"d",NaN]}', (1,), "value", "/value/3"),
        (b'{"id":1,"value":{"a":{"b":NaN,"b":1}}}', (1,), "value", "/value/a/b"),
        (b'{"id":1,"value":[0,{"b":2,"b":[1]},NaN]}', (1,), "value", "/value/1"),
        (b'{"id":1,"value":[NaN,]}', (1,), "value", "/value/0"),
        (b'{"id":1,"value":["NaN",-1.5e3,-Infinity,true],}', (1,), "value", "/value/2"),
        (b'{"id":1,"value":[{},{"}":{"b":1,"b":2}}]},"id":2}', (1,), "value", "/value/1/}"),
        (b'{"id":1,"value":["\\ud800",]}', (1,), "value", "/value/1"),
        (b'{"id":1,"value":NaN},"id":2}', (1,), "value", "/value"),
        (b'{"id":1,"value":::["\xff"]}', (1,), None, ""),
        (b'{"id":1,"value":2} x', (1,), None, ""),
        (b'{"id":1,"value":' + b"[" * 900 + b"]" * 900 + b"}", (1,), "value", "/value"),
        (b'{"id":1,}', (1,), None, ""),
        (b'{"value":{"id":3,"x":NaN}}', None, "value", "/value/x"),
        (b'{"id":1,"value":{"id":3,"x":NaN}}', (1,), "value", "/value/x"),
        (b"[NaN]", None, None, "/0"),
        (b"NaN", None, None, ""),
        (b"", None, None, ""),
    ],
)
def test_places(line: bytes, key: Any, field: str | None, pointer: str) -> None:
    """What cannot be told for sure is not told."""
    (problem,) = _problems(line)
    assert (key, field, "/data/notes/4" + pointer) == (problem.key, problem.field, problem.pointer)


@given(
    st.lists(
        st.sampled_from(
            [
                b'"',
                b"\\",
                b",",
                b":",
                b"[",
                b"]",
                b"{",
                b"}",
                b'"id":',
                b"1",
                b"NaN",
                b"\xff",
                b"\\u",
            ]
        )
    )
)
def test_nothing_raises(parts: list[bytes]) -> None:
    """Whatever a line holds, there is a problem for it, or a row."""
    batch = RecordCodec(NOTES["notes"]).strict_batch([b'{"id":1,' + b"".join(parts)], 1)
    assert batch.rows or batch.problems
    json.dumps([(p.message, p.key, p.field, p.pointer) for p in batch.problems]).encode()


def test_an_import_names_the_place() -> None:
    """So do import and verify."""
    archive = resealed(archive_of(NOTES, {"notes": [(3, ["x"])]}).replace(b'"x"', b"1e400"))
    for read in (
        lambda: verify_archive(io.BytesIO(archive)),
        lambda: import_all(MemoryRepository(NOTES, {"notes": []}), io.BytesIO(archive)),
    ):
        with pytest.raises(InvalidRecords, match="key 3, field value") as caught:
            read()
        assert "/data/notes/0/value/0" == caught.value.problems[0].pointer


@pytest.mark.slow
@pytest.mark.parametrize("item", ["[]", "{}", '{"a":0}', "0", '""'])
@pytest.mark.parametrize("flaw", ["NaN", '{"b":1,"b":2}', "tru"])
def test_a_flaw_behind_many_values(item: str, flaw: str) -> None:
    """It takes no more than a second to find it at the end of half a million values."""
    count = 490_000 // (2 if "0" in item and len(item) > 1 else 1)
    line = '{"id":1,"value":[' + ",".join([*[item] * count, flaw]) + "]}"
    with within(5):
        (problem,) = _problems(line.encode(), 1)
    assert f"/data/notes/0/value/{count}" == problem.pointer


TAILS = {
    "brackets behind a name twice": (b'[{"a":1,"a":2}', b"]"),
    "braces behind a name twice": (b'[{"a":1,"a":2}', b"}"),
    "colons behind a name twice": (b'[{"a":1,"a":2}', b":"),
    "brackets behind a long number": (b"[" + b"1" * 1001, b"]"),
    "brackets behind open ones": (b"[" * 800, b"]"),
    "colons behind open brackets": (b"[" * 800, b":"),
    "brackets behind pairs": (b"[]" * 1000, b"]"),
    "braces behind pairs": (b"{}" * 1000, b"}"),
}


@pytest.mark.parametrize("end", [b"", b"\xff"], ids=["UTF-8", "no UTF-8"])
@pytest.mark.parametrize("name", TAILS)
def test_what_follows_takes_no_time(name: str, end: bytes) -> None:
    """A flaw is explained in good time, though 32 MiB of brackets or colons follow it."""
    start, tail = TAILS[name]
    line = b'{"id":1,"value":' + start + tail * (32 * 1024 * 1024) + end
    with within(1.5):
        (problem,) = _problems(line, 1)
    assert "invalid-json" == problem.code
