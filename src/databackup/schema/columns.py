"""Batches as columns of forms, which go from a store to an archive and back as they are.

A column holds, for each record, what msgspec writes as the form of one field's value: the form
itself, or the value where msgspec writes that as its form (`Kind.wire` names the types). Most
values need no more than a look at their whole column, and none needs to be made Python's own.
"""

from __future__ import annotations

import datetime
import functools
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from databackup.schema import kinds
from databackup.schema.composite import Enum, Json, Native, Optional
from databackup.schema.jsontext import SHORT, have_plain_look
from databackup.schema.jsonvalues import is_plain
from databackup.schema.kind import ALWAYS, Kind
from databackup.schema.offkind import Keep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Column = Sequence[Any]
    Row = tuple[Any, ...]
    Test = Callable[[Column], bool]

_ENCODER: Final = msgspec.json.Encoder()
_NUMBERS: Final = msgspec.json.Decoder(list[float])
_PLAIN_DIGITS: Final = b"-0123456789.,"
_NO_ZERO: Final = frozenset("123456789")
_USUAL: Final = (
    kinds.Bool
    | kinds.Bytes
    | kinds.Date
    | kinds.DateTime
    | kinds.DateTimeTz
    | kinds.Decimal
    | kinds.Float
    | kinds.Int
    | kinds.Str
    | kinds.Time
    | kinds.UUID
    | Enum
    | Json
    | Native
)


@attrs.frozen
class Forms:
    """A batch of records, as a column for each field in the order of fields.

    Whoever makes one answers for it: each form is exactly its kind's, none is a tag, and values of
    a json field are plain (`is_plain`). `len` is the number of records; `rows` are made for those
    who need them after all.
    """

    columns: Sequence[Column]
    _make_rows: Callable[[], list[Row]] = attrs.field(repr=False, eq=False)

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def rows(self) -> list[Row]:
        """The records as rows, made anew each time."""
        return self._make_rows()


class Columns:
    """What is done to the columns of one collection, given the kinds of its fields' forms.

    `are_usual` says that all of them can be handled as columns; other kinds need a look at each
    value, and rows serve them better.
    """

    def __init__(self, kinds_: Sequence[Kind]) -> None:
        self._kinds = tuple(kinds_)
        self.are_usual = all(isinstance(inner_kind(kind), _USUAL) for kind in self._kinds)

    @functools.cached_property
    def _tests(self) -> list[tuple[int, Test]]:
        return [(n, test) for n, kind in enumerate(self._kinds) if (test := _test(kind))]

    @functools.cached_property
    def _narrow_tests(self) -> list[tuple[int, Test]]:
        return [(n, test) for n, test in self._tests if self._kinds[n].narrow_wire is None]

    @functools.cached_property
    def _canonical(self) -> list[tuple[int, Callable[[Column], Column]]]:
        return [(n, convert) for n, kind in enumerate(self._kinds) if (convert := _canonical(kind))]

    def are_sound(self, columns: Sequence[Column], *, narrow: bool = False) -> bool:
        """Whether columns, as msgspec has read them, are those of `Forms`.

        False may also be said of what is sound and out of the usual. `narrow` is for what was read
        as `narrow_type`.
        """
        if not self.are_usual:
            return False
        tests = self._narrow_tests if narrow else self._tests
        return all(test(columns[position]) for position, test in tests)

    def canonical(self, forms: Forms) -> Sequence[Column]:
        """The columns of the canonical forms; those of `forms` themselves where all are alike."""
        changed = {n: convert(forms.columns[n]) for n, convert in self._canonical}
        if all(changed[n] is forms.columns[n] for n in changed):
            return forms.columns
        return [changed.get(n, column) for n, column in enumerate(forms.columns)]


def inner_kind(kind: Kind) -> Kind:
    """The kind of a form's value, without null and tags."""
    while isinstance(kind, Optional | Keep):
        kind = kind.inner
    return kind


def present(column: Column) -> Column:
    """The forms of a column that are not null; the column itself where none is."""
    return [form for form in column if form is not None] if None in column else column


def _canonical(kind: Kind) -> Callable[[Column], Column] | None:
    """What makes the canonical forms of a kind's column, None where they are the forms."""
    inner = inner_kind(kind)
    if kind.canonical_is_form or isinstance(inner, Json):
        return None  # plain JSON is sorted as it is written
    return _with_nulls(_without_zeros)


def _with_nulls(convert: Callable[[Column], Column]) -> Callable[[Column], Column]:
    def whole(column: Column) -> Column:
        given = present(column)
        done = convert(given)
        if done is given:
            return column
        if given is column:
            return done
        rest = iter(done)
        return [None if form is None else next(rest) for form in column]

    return whole


def _without_zeros(texts: Column) -> Column:
    """Decimals in plain notation, without trailing zeros."""
    if _NO_ZERO.issuperset([text[-1] for text in texts]):
        return texts
    return [t if t[-1] in _NO_ZERO else kinds.without_zeros(t) for t in texts]


# -- which columns are sound -------------------------------------------------------------------


def _test(kind: Kind) -> Test | None:
    """The test of a kind's column, None where msgspec's types say it all."""
    if kind.decodes_itself == ALWAYS:
        return None
    inner = inner_kind(kind)
    if inner.decodes_itself == ALWAYS:
        return _have_no_tag
    if isinstance(inner, Enum):
        return functools.partial(_are_among, inner.values)
    return _TESTS[type(inner)]


def _are_of(type_: type[Any], column: Column) -> bool:
    return {type_}.issuperset(map(type, present(column)))


def _have_no_tag(column: Column) -> bool:
    return dict not in set(map(type, column))


def _are_utc(column: Column) -> bool:
    utc = datetime.UTC
    return all(type(v) is datetime.datetime and v.tzinfo is utc for v in present(column))


def _are_among(values: Sequence[Any], column: Column) -> bool:
    given = present(column)
    return _are_of(type(values[0]), given) and set(values).issuperset(given)


def _are_decimals(column: Column) -> bool:
    """Whether all are numbers in plain notation: then JSON's own grammar of numbers is theirs."""
    texts = present(column)
    if not _are_of(str, texts):
        return False
    joined = ",".join(texts).encode()
    if joined.translate(None, _PLAIN_DIGITS):
        return False
    try:
        return len(_NUMBERS.decode(b"[%b]" % joined)) == len(texts)
    except (msgspec.DecodeError, ValueError):
        return False


def _are_plain(column: Column) -> bool:
    try:
        lines = _ENCODER.encode_lines(column)
    except (TypeError, ValueError):
        return False
    return are_plain_lines(lines) or all(map(is_plain, column))


def are_plain_lines(lines: bytes) -> bool:
    """Whether lines of compact JSON can only be those of plain values, as far as a look tells."""
    return have_plain_look(lines) and max(map(len, lines.split(b"\n"))) <= SHORT


_TESTS: Final[dict[type[Kind], Test]] = {
    kinds.Int: functools.partial(_are_of, int),
    kinds.Float: functools.partial(_are_of, float),
    kinds.Decimal: _are_decimals,
    kinds.DateTimeTz: _are_utc,
    Json: _are_plain,
}


def values_of(kind: Kind, column: Column) -> Column:
    """The values of a column of forms."""
    inner = inner_kind(kind)
    if isinstance(inner, kinds.Str):
        return column
    return [kind.decode(form) if type(form) is str else form for form in column]
