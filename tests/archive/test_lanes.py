"""The two lanes by which record lines are read, and the traps that JSON sets them."""

from __future__ import annotations

import decimal
import json
from typing import TYPE_CHECKING, Any
from unittest import mock

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from databackup.archive import text
from databackup.archive.records import RecordCodec
from databackup.errors import DatabackupError
from databackup.schema import Collection, Field, Json
from databackup.schema.jsontext import JsonTextError
from databackup.schema.kinds import Decimal
from tests.archive.support import batch_of
from tests.schema.values import all_kinds, off_kinds, values
from tests.support.clock import within

if TYPE_CHECKING:
    from databackup.archive.records import Batch

MIXED = Collection(
    "mixed",
    key="id",
    fields={
        "id": int,
        "name": str | None,
        "share": float,
        "shares": list[float] | None,
        "more": Json,
        "price": decimal.Decimal,
    },
)
SORTED = Collection("sorted", fields={"a": int, "b": float | None, "c": list[float]})
LISTS = Collection("lists", fields={"a": list[float]})
PLAIN = Collection("plain", key="a", fields={"a": int, "b": str})
ANY = Collection("any", fields={"value": Json})


def both_lanes(collection: Collection, block: bytes) -> tuple[Batch, Batch]:
    """A block as it is read, and as it is read with the fast lane closed."""
    either = batch_of(collection, block)
    with mock.patch.object(text.BlockDecoder, "load", return_value=None):
        strict = batch_of(collection, block)
    return either, strict


def is_fast(collection: Collection, block: bytes) -> bool:
    """Whether the fast lane takes a block."""
    return RecordCodec(collection).batch(b",\n".join(block.split(b"\n")[:-1]), 1) is not None


def assert_lanes_agree(collection: Collection, block: bytes) -> Batch:
    """A block as both lanes read it, the fast one as rows and as forms."""
    either, strict = both_lanes(collection, block)
    for fast in (either, batch_of(collection, block, forms=True)):
        assert repr(strict.rows) == repr(fast.rows)
        assert list(strict.numbers) == list(fast.numbers)
        assert strict.canonical == fast.canonical
        assert strict.problems == fast.problems
    return either


finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
mixed_rows = st.tuples(
    st.integers(),
    st.none() | st.text(max_size=6),
    st.floats(),
    st.none() | st.lists(st.floats(), max_size=3),
    json_values,
    st.decimals(allow_nan=False, places=2),
)
TOKENS = [
    b'"', b"\\", b",", b":", b"{", b"}", b"[", b"]", b"0", b"1", b"-", b".", b"e", b"E+", b" ",
    b"\t", b"\r", b"\n", b"\0", b"\x1f", b"\x7f", b"\x80", b"\xff", b"\xed\xa0\x80",
    b"\xef\xbb\xbf", b"\\ud800", b"\\u0041", b"\\/", b"null", b"true", b"NaN", b"Infinity",
    b"1e400", b"9007199254740993", b'"id":1,', b',"id":1', b'"$int"', b"{},", b"\xc3",
    b"0.10", b"1.0", b"-0", b"100e-2",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, block: bytes) -> bytes:
    """A block with bytes taken out and tokens put in at a few places; it ends in a line feed."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(block)))
        end = draw(st.integers(place, min(len(block), place + 4)))
        block = block[:place] + draw(st.sampled_from([b"", *TOKENS])) + block[end:]
    return block if block.endswith(b"\n") else block + b"\n"


@given(rows=st.lists(mixed_rows, max_size=5))
def test_lanes_agree_on_what_is_written(rows: list[Any]) -> None:
    """Both lanes give the rows that were written, and the fast lane takes them all."""
    block, canonical = RecordCodec(MIXED).lines(rows)
    batch = assert_lanes_agree(MIXED, block)
    assert [] == batch.problems
    assert len(rows) == len(batch.rows)
    assert RecordCodec(MIXED).canonical(rows) == canonical == batch.canonical
    assert is_fast(MIXED, block) or not rows


@given(data=st.data(), rows=st.lists(mixed_rows, min_size=1, max_size=3))
def test_lanes_agree_on_mutated_lines(data: st.DataObject, rows: list[Any]) -> None:
    """Whatever a line was turned into, both lanes read the same rows or find the same problems."""
    block = data.draw(mutated(RecordCodec(MIXED).lines(rows)[0]))
    batch = assert_lanes_agree(MIXED, block)
    assert block.count(b"\n") == len({p.record for p in batch.problems} | set(batch.numbers))


@st.composite
def collections_of_any_kind(draw: st.DrawFn) -> tuple[Collection, bytes]:
    """A collection with fields of any kinds, and a block of records, some with foreign values."""
    kinds = draw(st.lists(all_kinds, min_size=1, max_size=4))
    fields = [Field(f"f{len(kinds) - n}", kind) for n, kind in enumerate(kinds)]
    if draw(st.booleans()):
        fields = [Field(f.name, f.kind, draw(off_kinds)) for f in fields]
    collection = Collection("any", fields=fields)
    rows = draw(st.lists(st.tuples(*(values(f.form) for f in collection.fields)), max_size=3))
    return collection, RecordCodec(collection).lines(rows)[0]


@given(collections_of_any_kind())
def test_lanes_agree_for_every_kind(case: tuple[Collection, bytes]) -> None:
    """What is written of values of any kind is read alike by both lanes, without a problem."""
    assert [] == assert_lanes_agree(*case).problems


@given(collections_of_any_kind(), st.data())
def test_lanes_agree_for_every_kind_on_mutated_lines(
    case: tuple[Collection, bytes], data: st.DataObject
) -> None:
    """A field's form that was changed, or that is another kind's, is read alike by both lanes."""
    collection, block = case
    assert_lanes_agree(collection, data.draw(mutated(block)))
    forms = st.one_of(all_kinds.flatmap(lambda kind: values(kind).map(kind.encode)))
    members = [text.dump({f.name: data.draw(forms)})[1:-1] for f in collection.fields]
    assert_lanes_agree(collection, b"{" + b",".join(members) + b"}\n")


@given(line=st.binary(max_size=12) | st.lists(st.sampled_from(TOKENS)).map(b"".join))
@example(line=b'{"value":1}{"value":2}')
def test_lanes_agree_on_anything(line: bytes) -> None:
    """Any bytes for a value are read alike by both lanes, and never end in another exception."""
    assert_lanes_agree(ANY, line.replace(b"\n", b" ") + b"\n")
    assert_lanes_agree(ANY, b'{"value":%s}\n' % line.replace(b"\n", b" "))


@pytest.mark.parametrize(
    "collection, line, canonical",
    [
        (SORTED, b'{"a":1,"b":2,"c":[]}', b'{"a":1,"b":2.0,"c":[]}'),
        (SORTED, b'{"a":1,"b":2.0,"c":[1]}', b'{"a":1,"b":2.0,"c":[1.0]}'),
        (SORTED, b'{"a":1,"b":null,"c":[1.0]}', b'{"a":1,"b":null,"c":[1.0]}'),
        (LISTS, b'{"a":[1]}', b'{"a":[1.0]}'),
        (PLAIN, b'{"b":"x","a":1}', b'{"a":1,"b":"x"}'),
        (PLAIN, b'{ "a" : 1, "b":"\\u0078" }', b'{"a":1,"b":"x"}'),
        (ANY, b'{"value":1.0}', b'{"value":1}'),
        (ANY, b'{"value":{"b":0,"a":[1.50]}}', b'{"value":{"a":[1.5],"b":0}}'),
    ],
)
def test_canonical_form_is_that_of_the_value(
    collection: Collection, line: bytes, canonical: bytes
) -> None:
    """A record in another layout, or a number in another form, has the digest of its values."""
    for batch in both_lanes(collection, line + b"\n"):
        assert [] == batch.problems
        assert [canonical] == batch.canonical


def problem_of(value: bytes) -> str:
    """The message for a json value in the second of three records, whichever lane reads it."""
    block = b'{"value":1}\n{"value":' + value + b'}\n{"value":3}\n'
    batch = assert_lanes_agree(ANY, block)
    assert [(1,), (3,)] == batch.rows
    assert [1, 3] == list(batch.numbers)
    (problem,) = batch.problems
    assert ("any", 2) == (problem.collection, problem.record)
    assert problem.pointer is not None
    assert problem.pointer.startswith("/data/any/1")
    return problem.message


TRAPS = {
    "duplicate key": (b'{"a":1,"b":2,"a":1}', "the name str 'a' stands twice in one object"),
    "duplicate key, escaped": (b'{"a":1,"\\u0061":2}', "the name str 'a' stands twice"),
    "duplicate field": (b'1,"value":1', "the name str 'value' stands twice"),
    "nan": (b"NaN", "NaN is no JSON"),
    "infinity": (b"[-Infinity]", "-Infinity is no JSON"),
    "overflow": (b"1e400", "expected a number in the range of a double"),
    "huge exponent": (b"1e99999999999999999999", "expected a number in the range of a double"),
    "tiny overflow": (b"-1e309", "expected a number in the range of a double"),
    "lone surrogate": (b'"\\ud800"', "a lone surrogate"),
    "surrogate in a name": (b'{"\\udfff":1}', "a lone surrogate"),
    "swapped surrogates": (b'"\\udc00\\ud800"', "a lone surrogate"),
    "surrogate in UTF-8": (b'"\xed\xa0\x80"', "byte 11 is not UTF-8"),
    "deep": (b"[" * 100_000 + b"]" * 100_000, "JSON deeper than 256 levels"),
    "deep and open": (b"[" * 100_000, "JSON deeper than 256 levels"),
    "deep objects": (b'{"a":' * 100_000, "JSON deeper than 256 levels"),
    "a little too deep": (b"[" * 257 + b"]" * 257, "JSON at most 256 levels deep"),
    "brackets after escapes": (b'"' + b'\\"' * 200_000 + b'",' + b"[]" * 900, "no JSON"),
    "5,000 digits": (b"9" * 5000, "at most 1000 characters"),
    "5,000 digits and a point": (b"1." + b"9" * 5000, "at most 1000 characters"),
    "1,001 digits": (b"9" * 1001, "at most 1000 characters"),
    "byte order mark": (b"\xef\xbb\xbf1", "no JSON at character 10"),
    "UTF-16": ("1".encode("utf-16"), "is not UTF-8"),
    "latin-1": (b'"\xe9"', "byte 11 is not UTF-8"),
    "overlong": (b'"\xc0\x80"', "byte 11 is not UTF-8"),
    "beyond Unicode": (b'"\xf4\x90\x80\x80"', "byte 11 is not UTF-8"),
    "control character": (b'"\x01"', "no JSON at character 11"),
    "leading zero": (b"01", "no JSON"),
    "plus": (b"+1", "no JSON"),
    "bare point": (b".5", "no JSON"),
    "hexadecimal": (b"0x1", "no JSON"),
    "single quotes": (b"'a'", "no JSON"),
    "comment": (b"1/* */", "no JSON"),
    "trailing comma": (b"[1,]", "no JSON"),
    "missing comma": (b"[1 2]", "no JSON"),
    "unclosed": (b'"a', "no JSON"),
    "nothing": (b"", "no JSON"),
    "tag": (b'{"$int":1}', "expected an object"),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_traps(trap: str) -> None:
    """Every trap of JSON is a problem of its record, in good time; no other record suffers."""
    value, message = TRAPS[trap]
    with within(5):
        assert message in problem_of(value)


LINES = {
    "blank": (b"\n", "no JSON"),
    "blank but for spaces": (b"  \n", "no JSON"),
    "two records": (b'{"value":1}{"value":2}\n', "no JSON"),
    "two records with a comma": (b'{"value":1},{"value":2}\n', "no JSON"),
    "a comma in front": (b',{"value":1}\n', "no JSON"),
    "an array": (b"[1]\n", "expected an object, found list"),
    "a text": (b'"value"\n', "expected an object, found str"),
    "null": (b"null\n", "expected an object, found NoneType"),
    "no field": (b"{}\n", "no such field"),
    "an unknown field": (b'{"value":1,"more":2}\n', "unknown field"),
    "another field": (b'{"Value":1}\n', "unknown field"),
}


@pytest.mark.parametrize("name", LINES)
def test_lines_that_are_no_record(name: str) -> None:
    """A line that is anything but one record is a problem of that line alone."""
    line, message = LINES[name]
    batch = assert_lanes_agree(ANY, b'{"value":1}\n' + line + b'{"value":3}\n')
    assert [(1,), (3,)] == batch.rows
    assert {2} == {problem.record for problem in batch.problems}
    assert message in str(batch.problems[0])


def test_a_record_over_two_lines() -> None:
    """Half a record on each of two lines is a problem of both."""
    batch = assert_lanes_agree(ANY, b'{"value":\n1}\n')
    assert [1, 2] == [problem.record for problem in batch.problems]


def test_numbers_keep_their_value() -> None:
    """A number that no double holds is read digit by digit, not rounded to the next double."""
    (row,) = batch_of(ANY, b'{"value":[0.1000000000000000055,18446744073709551617,1e22]}\n').rows
    assert ([decimal.Decimal("0.1000000000000000055"), 2**64 + 1, 1e22],) == row


def test_the_deepest_value_that_is_allowed() -> None:
    """A value 256 levels deep is read, by both lanes, with escapes at every level too."""
    plain = b"[" * 256 + b"]" * 256
    escaped = b'{"$json":{"$a":' * 256 + b"1" + b"}}" * 256
    for value in (plain, escaped):
        batch = assert_lanes_agree(ANY, b'{"value":' + value + b"}\n")
        assert [] == batch.problems


@pytest.mark.parametrize(
    "line",
    [
        b"[" + b'\\"' * 300_000 + b"[]" * 900 + b"\\",
        b'"' * 300_001 + b"[]" * 900 + b"\\",
        b"{" + b",".join(b'"%d":1' % number for number in range(200_000)) + b',"199999":1}',
        b"[]" * 500_000,
        b'["' + b"\\\\" * 500_000 + b'"' + b",[]" * 900,
    ],
    ids=["escaped quotes", "quotes", "a duplicate behind many names", "brackets", "backslashes"],
)
def test_no_input_takes_long(line: bytes) -> None:
    """The strict lane's time grows no faster than its input, whatever stands in it."""
    with within(5), pytest.raises(JsonTextError):
        text.load(line)


def test_messages_stay_short() -> None:
    """A message shows the start of a name, not all of it."""
    with pytest.raises(JsonTextError) as caught:
        text.load(b'{"%s":1,"%s":2}' % (b"x" * 100_000, b"x" * 100_000))
    assert len(str(caught.value)) < 200


def test_brackets_in_strings_are_no_depth() -> None:
    """Only brackets outside strings count as depth."""
    value = {"[" * 2000: "{" * 2000, "\\": '"' + "[" * 2000}
    assert value == text.load(json.dumps(value).encode())


@pytest.mark.parametrize(
    "name, values, what",
    [
        ("_FLOATS", ((1e16,), b"[1e+16]"), "floats"),
        ("_OTHERS", ((b"a",), b'["61"]'), "dates, UUIDs or bytes"),
    ],
)
def test_layout_is_checked(
    monkeypatch: pytest.MonkeyPatch, name: str, values: tuple[Any, bytes], what: str
) -> None:
    """Where msgspec writes values in another layout, no digest is made."""
    monkeypatch.setattr(text, name, values)
    text.check_layout.cache_clear()
    with pytest.raises(DatabackupError, match=f"msgspec {msgspec.__version__} writes {what}"):
        text.check_layout()
    monkeypatch.undo()
    text.check_layout()


def test_decimals_at_any_scale_are_one_record() -> None:
    """The canonical form of a decimal has no trailing zeros, in either lane."""
    collection = Collection("d", fields={"d": Decimal()})
    for batch in both_lanes(collection, b'{"d":"1.10"}\n{"d":"1.1"}\n'):
        assert [b'{"d":"1.1"}', b'{"d":"1.1"}'] == batch.canonical
