"""Compiled functions against a naive reading of the same kinds, and what they explain."""

import datetime
import itertools
import math
import uuid
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from databackup.archive import text
from databackup.schema import Collection, Field, KindError, RawText, compiled, functions
from databackup.schema import composite as c
from databackup.schema import kinds as k
from databackup.schema.compiled import Codec, json_pointer
from databackup.schema.kind import Kind
from databackup.schema.validation import batch_schema, compile_validator
from tests.schema.values import all_kinds, known, names, off_kinds, texts, values
from tests.support.clock import within

NAMES = st.one_of(
    names, st.sampled_from(["a'b", 'a"b', "{v}", "a\nb", "a\\", "", "v0", "a b", "$", "%s"])
)

fields = st.dictionaries(NAMES, st.tuples(all_kinds, off_kinds), min_size=1, max_size=5).map(
    lambda found: [Field(name, kind, off) for name, (kind, off) in found.items()]
)


def collection_of(found: list[Field]) -> Collection:
    """A collection of these fields."""
    return Collection("c", fields=found)


@st.composite
def collections_with_rows(draw: st.DrawFn) -> tuple[Collection, list[tuple[Any, ...]]]:
    """A collection, and rows of it."""
    found = draw(fields)
    row = st.tuples(*(values(field.form) for field in found))
    return collection_of(found), draw(st.lists(row, max_size=4))


def dumped(value: Any) -> bytes:
    """Compact JSON."""
    return text.dump(value)


@given(collections_with_rows())
def test_compiled_functions_do_what_the_kinds_do(
    case: tuple[Collection, list[tuple[Any, ...]]],
) -> None:
    """encode, canonical and decode agree with a loop over fields, for names of any sort."""
    collection, rows = case
    codec = collection.codec
    forms = [field.form for field in collection.fields]
    named = list(zip(collection.field_names, forms, strict=True))
    encoded = [
        {name: kind.encode(value) for (name, kind), value in zip(named, row, strict=True)}
        for row in rows
    ]
    canonical = []
    for row in rows:
        members = {n: kind.canonical(v) for (n, kind), v in zip(named, row, strict=True)}
        canonical.append({name: members[name] for name in sorted(members)})

    assert dumped(encoded) == dumped(codec.encode(rows))
    assert list(map(dumped, canonical)) == text.dump_sorted(codec.canonical(rows))
    plain = codec.are_plain(rows)
    if plain:
        assert dumped(encoded) == dumped(codec.encode(rows, plain=True))
        assert list(map(dumped, canonical)) == text.dump_sorted(codec.canonical(rows, plain=True))
    if codec.canonical_is_form(plain=plain):
        assert list(map(dumped, canonical)) == text.dump_sorted(codec.encode(rows))
    if codec.line_is_canonical(plain=plain):
        assert dumped(encoded) == dumped(canonical)

    lines = [text.load(dumped(record)) for record in encoded]
    naive = [tuple(kind.decode(record[name]) for name, kind in named) for record in lines]
    assert known([list(row) for row in naive]) == known([list(r) for r in codec.decode(lines)])
    assert [] == codec.explain_rows(rows)
    assert [] == codec.explain_records(lines)


def test_lines_are_canonical_only_where_the_fields_are_sorted() -> None:
    """A record's line is hashed as it is only if no kind and no order makes it another."""
    assert Collection("c", fields={"a": int, "b": str}).codec.line_is_canonical()
    assert not Collection("c", fields={"b": str, "a": int}).codec.line_is_canonical()
    assert not Collection("c", fields={"a": int, "b": Decimal}).codec.line_is_canonical()


foreign = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.sampled_from([2**53, 10**30, 1.0, 1.5, float("inf"), Decimal("0.1"), "NaN", "1", ""]),
        texts,
        st.sampled_from(["2026-01-01", "PT0S", "open", "AA==", "9007199254740992", "\ud800"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(names, inner, max_size=2)),
    max_leaves=4,
)


@given(fields, st.data(), st.booleans())
def test_decode_and_explain_agree_on_what_is_wrong(
    found: list[Field], data: st.DataObject, validated: bool
) -> None:
    """Records are refused exactly where there is a problem to tell, with or without a schema."""
    collection = collection_of(found)
    codec = Codec(collection, validated=validated)
    record = {
        field.name: data.draw(
            st.one_of(foreign, values(field.form).map(lambda v, f=field: f.form.encode(v)))  # type: ignore[misc]
        )
        for field in found
    }
    assume("Raw" not in repr(record))
    assume("\\ud800" not in repr(record))  # the JSON text is what refuses those
    try:
        rows = codec.decode([record])
    except KindError:
        assert codec.explain_records([record])
    else:
        assert [] == codec.explain_records([record])
        assert dumped(collection.codec.canonical(rows))
        for field, value in zip(found, rows[0], strict=True):
            assert known(field.form.decode(record[field.name])) == known(value)


@given(fields, st.data())
def test_rows_are_refused_where_a_problem_is_told(found: list[Field], data: st.DataObject) -> None:
    """Rows are refused exactly where explain_rows names the value."""
    codec = collection_of(found).codec
    odd = st.one_of(
        foreign, st.sampled_from([b"", datetime.date(2026, 1, 1), uuid.UUID(int=1), ()])
    )
    row = tuple(data.draw(st.one_of(odd, values(field.form))) for field in found)
    try:
        dumped(codec.encode([row]))
    except (KindError, UnicodeEncodeError):
        assert codec.explain_rows([row])
    else:
        assert [] == codec.explain_rows([row])


# -- what is explained -------------------------------------------------------------------------

MENUS = Collection(
    "menus/~daily",
    key=("day", "no"),
    fields={"day": datetime.date, "no": int, "dishes~1/2": list[dict[str, Decimal]], "note": str},
)


def test_a_problem_names_record_key_field_and_pointer() -> None:
    """What is wrong with a record is told with its number, its key, and a JSON pointer."""
    good = {"day": "2026-01-01", "no": 1, "dishes~1/2": [], "note": ""}
    bad = {"day": "2026-01-02", "no": 7, "dishes~1/2": [{}, {"a/b": "x"}], "note": None}
    first, second = MENUS.codec.explain_records([good, bad], first=41)

    assert "invalid-value" == first.code
    assert ("menus/~daily", 42, ("2026-01-02", 7)) == (first.collection, first.record, first.key)
    assert "dishes~1/2" == first.field
    assert "/data/menus~1~0daily/41/dishes~01~12/1/a~1b" == first.pointer
    assert "a decimal number as a string" == first.expected
    assert "expected a decimal number as a string, found str 'x'" == first.message
    assert ("note", "/data/menus~1~0daily/41/note") == (second.field, second.pointer)
    assert "expected text, found null" == second.message


@pytest.mark.parametrize(
    "record, field, message",
    [
        ({"day": "2026-01-01", "no": 1, "dishes~1/2": []}, "note", "no such field"),
        (
            {"day": "2026-01-01", "no": 1, "dishes~1/2": [], "note": "", "x'y": 1},
            "x'y",
            "unknown field",
        ),
        ([1, 2, 3, 4], None, "expected an object, found list"),
        ("note", None, "expected an object, found str"),
        (None, None, "expected an object, found NoneType"),
        (4, None, "expected an object, found int"),
        ({"day": 5, "no": 1, "dishes~1/2": [], "note": ""}, "day", "found int 5"),
    ],
    ids=str,
)
def test_a_record_of_the_wrong_shape_is_explained(record: Any, field: Any, message: str) -> None:
    """Missing and unknown fields and what is no object have one problem each."""
    with pytest.raises(KindError):
        MENUS.codec.decode([record])
    (problem,) = MENUS.codec.explain_records([record])

    assert (field, 1) == (problem.field, problem.record)
    assert message in problem.message


def test_all_that_is_wrong_with_rows_is_told() -> None:
    """Each value of a row that has no form is a problem with the key's values."""
    day = datetime.date(2026, 1, 1)
    rows = [(day, 1, [], ""), (day, "2", [{"a": 1.5}], "\ud800")]
    problems = MENUS.codec.explain_rows(rows, first=10)

    assert ["no", "dishes~1/2", "note"] == [problem.field for problem in problems]
    assert {(day, "2")} == {problem.key for problem in problems}
    assert "/data/menus~1~0daily/10/dishes~01~12/0/a" == problems[1].pointer


def test_json_pointers_are_escaped() -> None:
    """RFC 6901: ~ is ~0 and / is ~1, in that order."""
    assert "/a~1b/~01/0/" == json_pointer(["a/b", "~1", 0, ""])


# -- validation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, form",
    [
        (k.Int(), 1.0),
        (k.Int(), True),
        (k.Int(), 2**53),
        (k.Int(), 10**4299),
        (k.Int(), float("inf")),
        (k.Int(), "9007199254740991"),
        (k.Int(), "9007199254740992\n"),
        (k.Bool(), 1),
        (k.Float(), True),
        (k.Float(), "NaN\n"),
        (k.Date(), "٢٠٢٦-01-01"),
        (k.Date(), "2026-01-01\n"),
        (k.Date(), "2026-02-30"),
        (k.Decimal(), "1.0\n"),
        (k.Decimal(), 1.5),
        (k.Bytes(), "AA=="[:3]),
        (k.UUID(), "00112233-4455-6677-8899-AABBCCDDEEFF"),
        (c.Enum((1, 2)), True),
        (c.Enum((1, 2)), 1.0),
        (c.Enum(("1",)), 1),
        (c.Optional(c.Enum(("a",))), ""),
        (c.Optional(k.Str()), 0),
        (c.List(k.Str()), "text"),
        (c.List(k.Str()), {"0": "text"}),
        (k.Str(), None),
    ],
    ids=str,
)
@pytest.mark.parametrize("validated", [True, False])
def test_forms_that_validators_are_known_to_pass_are_refused(
    kind: Kind, form: Any, validated: bool
) -> None:
    """1.0 is no integer, no digits but ASCII's, no line feed at the end, no true for 1."""
    collection = Collection("c", fields={"v": kind})
    with pytest.raises(KindError):
        Codec(collection, validated=validated).decode([{"v": form}])
    (problem,) = collection.codec.explain_records([{"v": form}])
    assert "v" == problem.field


def test_texts_alone_are_checked_without_a_schema_too() -> None:
    """A collection of nothing but texts gets no shortcut around its kinds."""
    codec = Codec(Collection("c", fields={"a": str, "b": str}), validated=False)
    with pytest.raises(KindError):
        codec.decode([{"a": "x", "b": 1}])


@given(all_kinds, st.data())
def test_the_json_schema_of_a_kind_passes_all_its_forms(kind: Kind, data: st.DataObject) -> None:
    """Validation with fastjsonschema never refuses what a kind writes."""
    form = kind.encode(data.draw(values(kind)))
    assume("Raw" not in repr(form))
    forms = msgspec.json.decode(dumped([[form]]))
    compile_validator([kind])(forms)

    assert dumped(forms) == dumped([[form]])  # and it changes nothing


def test_a_validators_error_says_where() -> None:
    """The error has the kind's words, and the way into the value as text or numbers."""
    with pytest.raises(KindError, match="expected an array, found int 1") as caught:
        compile_validator([k.Str(), c.List(k.Str())])([["a", []], ["b", 1]])
    assert () == caught.value.path
    with pytest.raises(KindError) as caught:
        compile_validator([k.Str(), c.List(k.Str())])([["a", ["", 5]]])
    assert ("1",) == caught.value.path
    with pytest.raises(KindError):
        compile_validator([k.Str()])([["a", "b"]])


def test_names_of_fields_stay_out_of_the_json_schema() -> None:
    """A record is validated as an array, so that no name reaches generated code."""
    schema = batch_schema([k.Int(), k.Str()])

    assert [k.Int().json_schema(), k.Str().json_schema()] == schema["items"]["items"]
    assert (2, 2) == (schema["items"]["minItems"], schema["items"]["maxItems"])


# -- order -------------------------------------------------------------------------------------


def keyed(kind: Kind, *, off_kind: Any = "refuse") -> Collection:
    """A collection with one field, its key."""
    return Collection("c", key="v", fields=[Field("v", kind, off_kind)])


@pytest.mark.parametrize(
    "kind, ordered",
    [
        (k.Bool(), [False, True]),
        (k.Int(), [-(10**30), -1, 0, 9, 10, 2**64]),
        (k.Float(), [-math.inf, -1.5, -0.0, 1e-300, 2.0, 10.0, math.inf, math.nan]),
        (k.Decimal(), [Decimal("-Infinity"), Decimal("-1.1"), Decimal("1.05"), Decimal("1.1"),
                       Decimal("1E+2"), Decimal("Infinity"), Decimal("NaN")]),
        (k.Str(), ["", "A", "B", "a", "ab", "b", "é", "\uff5e", "\U00010000"]),
        (k.Bytes(), [b"", b"\x00", b"a", b"a\x00", b"b", b"\xff"]),
        (k.UUID(), [uuid.UUID(int=1), uuid.UUID(int=2**64), uuid.UUID(int=2**127)]),
        (k.Date(), [datetime.date(1, 1, 1), datetime.date(2026, 1, 1)]),
        (k.DateTimeTz(), [
            datetime.datetime(2026, 1, 1, 10, tzinfo=ZoneInfo("Europe/Helsinki")),
            datetime.datetime(2026, 1, 1, 9, tzinfo=datetime.UTC),
        ]),
        (k.Timedelta(), [datetime.timedelta(-1), datetime.timedelta(0), datetime.timedelta(1)]),
        (c.Enum(("b", "a")), ["a", "b"]),
    ],
    ids=str,
)  # fmt: skip
def test_keys_are_ordered_as_documented(kind: Kind, ordered: list[Any]) -> None:
    """Sort keys are strictly increasing in the order of the format, NaN last."""
    keys = keyed(kind).codec.sort_keys([(value,) for value in ordered])

    assert all(one < two for one, two in itertools.pairwise(keys))


@pytest.mark.parametrize(
    "kind, ordered",
    [
        (k.Int(), [-math.inf, -1, 0.5, 1, 2**64, math.nan, "", "a", RawText(b"\xff"), b"", b"z"]),
        (k.Str(), [1, 1.5, 2, "a", RawText(b"a\xff"), "b", b"a"]),
        (k.Date(), [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2), 0, "2025", b""]),
        (k.Decimal(), [Decimal(9), Decimal("NaN"), 1, 1.5, "a"]),
        (c.Optional(k.Date()), [None, datetime.date(2026, 1, 1), 0, "2025"]),
        (c.Optional(k.Int()), [None, -1, "a"]),
    ],
    ids=str,
)
def test_kept_values_are_ordered_with_the_others(kind: Kind, ordered: list[Any]) -> None:
    """Values of all types in one column compare: own kinds, numbers, text, bytes."""
    keys = keyed(kind, off_kind="keep").codec.sort_keys([(value,) for value in ordered])

    assert all(one < two for one, two in itertools.pairwise(keys))


@pytest.mark.parametrize(
    "kind, one, two",
    [
        (k.Float(), -0.0, 0.0),
        (k.Float(), math.nan, float("nan")),
        (k.Decimal(), Decimal("1.0"), Decimal("1.00")),
        (k.Decimal(), Decimal("NaN"), Decimal("NaN")),
        (k.Int(), 1, 1.0),
    ],
    ids=str,
)
def test_equal_keys_are_found_equal(kind: Kind, one: Any, two: Any) -> None:
    """Two values of one key have equal sort keys, NaN too."""
    keys = keyed(kind, off_kind="keep").codec.sort_keys([(one,), (two,)])
    assert keys[0] == keys[1]
    if kind != k.Int():
        keys = keyed(kind).codec.sort_keys([(one,), (two,)])
        assert keys[0] == keys[1]


def test_composite_keys_compare_part_by_part() -> None:
    """The first part decides, in the order of the key, not of the fields."""
    collection = Collection("c", key=("b", "a"), fields={"a": int, "x": Decimal, "b": str})
    row = (1, Decimal(0), "z")

    assert ("z", 1) == collection.codec.key(row)
    assert [("z", 1)] == collection.codec.sort_keys([row])
    assert [] == Collection("c", fields={"a": int}).codec.sort_keys([(1,)])
    mixed = Collection("c", key=("x", "a"), fields={"a": int, "x": Decimal})
    keys = mixed.codec.sort_keys([(2, Decimal(1)), (1, Decimal("1.0"))])
    assert keys[1] < keys[0]


# -- what does not pay to be compiled ------------------------------------------------------------


def _outcome(codec: Codec, function: str, found: Any, **how: Any) -> Any:
    """The JSON lines, or the rows, that a function gives, or that it refuses."""
    try:
        given_ = getattr(codec, function)(found, **how)
        return repr(given_) if function in {"read", "decode"} else text.dump_lines(given_)
    except (KindError, UnicodeEncodeError) as error:
        return type(error)


@given(collections_with_rows(), st.booleans(), st.data())
def test_loops_do_what_compiled_functions_do(
    case: tuple[Collection, list[tuple[Any, ...]]], validated: bool, data: st.DataObject
) -> None:
    """Narrow or wide, for many rows or few, sound or not: the same lines, rows and refusals."""
    collection, rows = case
    is_spoilt: bool = data.draw(st.booleans())
    if rows and is_spoilt:
        strange = st.sampled_from(["\ud800", object(), 2**70, math.nan, None, b"", []])
        row, place = rows[-1], data.draw(st.integers(0, len(rows[-1]) - 1))
        rows = [*rows[:-1], (*row[:place], data.draw(strange), *row[place + 1 :])]
    compiled_one = Codec(collection)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "WIDE", data.draw(st.sampled_from([0, 1000])))
        patch.setattr(compiled, "PATIENCE", data.draw(st.integers(0, 8)))
        other = Codec(collection, validated=validated)
        plain = compiled_one.are_plain(rows)
        for function in ("encode", "canonical", "encode"):
            for how in ({}, {"plain": True}) if plain else ({},):
                expected = _outcome(compiled_one, function, rows, **how)
                assert expected == _outcome(other, function, rows, **how)
        lines = _outcome(compiled_one, "encode", rows)
        if type(lines) is not bytes:
            return
        records = [text.load(line) for line in lines.split(b"\n")[:-1]]
        for found in (records, [{**record, "?": 1} for record in records]):
            expected = _outcome(compiled_one, "decode", found)
            assert expected == _outcome(other, "decode", found)
        if compiled_one.record_type is not None and other.record_type is not None:
            decoder = msgspec.json.Decoder(compiled_one.record_type)
            values_ = list(map(msgspec.structs.astuple, decoder.decode_lines(lines)))
            assert _outcome(compiled_one, "read", values_) == _outcome(other, "read", values_)


def test_wide_collections_take_no_time() -> None:
    """70,000 fields that a file describes are neither compiled nor made a type; 1,000 are, late."""
    wide = collection_of([Field(f"f{n}", k.Int()) for n in range(70_000)])
    with within(2.5):
        codec = Codec(wide, validated=False)
        rows = [tuple(range(70_000))]
        assert rows == codec.decode(codec.encode(rows))
        assert codec.record_type is None
        narrow = [collection_of([Field(f"f{n}", k.Int()) for n in range(1000)]) for _ in range(20)]
        for one in narrow:
            assert Codec(one, validated=False).record_type is not None


def test_what_is_compiled_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A described collection is compiled behind a hundred rows, and no second time."""
    made = []
    compile_function = functions.compile_function

    def counting(source: str, scope: dict[str, Any]) -> Any:
        made.append(source)
        return compile_function(source, scope)

    codec = Codec(collection_of([Field("a", k.Decimal())]), validated=False)
    monkeypatch.setattr(functions, "compile_function", counting)
    for rows, expected in ((60, 0), (40, 0), (1, 1), (1000, 1)):
        codec.encode([(Decimal(1),)] * rows)
        assert expected == len(made)


def test_wide_collections_are_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The JSON Schema of a wide collection is asked field by field."""
    asked: list[Any] = []
    monkeypatch.setattr(compiled, "WIDE", 1)
    monkeypatch.setattr(
        compiled, "compile_validator", lambda kinds: lambda batch: asked.append((kinds, batch))
    )
    one, other = k.Int(), k.Str()
    Codec(collection_of([Field("a", one), Field("b", other)])).decode([{"a": 1, "b": "x"}])
    assert [([one], [[1]]), ([other], [["x"]])] == asked
