"""Random schemas: all kinds, composite keys, references of all sorts, hostile names."""

from __future__ import annotations

import functools
import unicodedata
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from databackup.schema import Collection, Field, Reference, Schema, kinds
from databackup.schema.composite import Dict, Enum, Json, List, Native, Nested, Optional
from databackup.schema.interval import IntervalKind

if TYPE_CHECKING:
    from databackup.schema import Kind

_HOSTILE = (
    "select", "order", "group", "table", "from", "index", "user", "key", "null", "rowid", "_", "0",
    "a b", 'a"b', "a'b", "a`b", "[a]", "a.b", "$text", "$json", "%s", "%(a)s", ":a", "?", "a;--",
    "a/b", "a~1b", "\\", "{}", "{0}", "é", "e\u0301x", "名前", "data", "end", "format", "None",
    "self", "row", "rows", "v0", "__class__", "<b>", "&amp;", "=1+1",
)  # fmt: skip

_SCALARS: tuple[Kind, ...] = (
    kinds.Bool(),
    kinds.Str(),
    kinds.Int(),
    kinds.Float(),
    kinds.Decimal(),
    kinds.Decimal(2),
    kinds.Bytes(),
    kinds.Date(),
    kinds.Time(),
    kinds.DateTime(),
    kinds.DateTimeTz(),
    kinds.Timedelta(),
    kinds.UUID(),
    Enum(("red", "", "grün", "NULL")),
    Enum((0, -1, 2**40)),
)
_KEYS = st.sampled_from(_SCALARS)
_NOT_PORTABLE: tuple[Kind, ...] = (IntervalKind(), Native("tsrange"))


# Made once: a strategy is validated anew each time it is made, and these are made often.
@functools.cache
def names() -> st.SearchStrategy[str]:
    """Names that every store can have once they are quoted, and that nobody would choose."""
    alphabet = st.characters(max_codepoint=0xFFFF, exclude_categories=("Cs", "Cc", "Cn", "Z"))
    named = st.text(alphabet, min_size=1, max_size=15)
    # The one prefix that SQLite keeps for itself, even where a name is quoted.
    return st.sampled_from(_HOSTILE) | named.filter(lambda n: not n.lower().startswith("sqlite_"))


@functools.cache
def all_kinds(*, portable: bool = True) -> st.SearchStrategy[Kind]:
    """Kinds, also of lists, dicts and nested objects, also nullable."""
    scalars = [*_SCALARS, kinds.TimeTz(), Json(), *(() if portable else _NOT_PORTABLE)]
    some = st.recursive(
        st.sampled_from(scalars),
        lambda inner: (
            st.builds(List, _maybe_null(inner))
            | st.builds(Dict, inner)
            | st.lists(st.tuples(names(), inner), min_size=1, max_size=3, unique_by=_folded).map(
                lambda members: Nested(tuple(members))
            )
        ),
        max_leaves=3,
    )
    return _maybe_null(some)


def _maybe_null(some: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    return some | some.map(Optional)


def _folded(item: Any) -> str:
    """What two names must differ in: some stores know no upper case, and no forms of Unicode."""
    name = item if isinstance(item, str) else item[0]
    return unicodedata.normalize("NFKC", name.casefold()).casefold()


def schemas(*, portable: bool = True) -> st.SearchStrategy[Schema]:
    """Schemas of one to four collections.

    With single, composite and missing keys, references to other collections, to the same, in
    circles, to unique fields, nullable or not, and fields that keep values off their kind where
    `portable` is False.
    """
    return _schemas(portable)


@st.composite
def _schemas(draw: st.DrawFn, portable: bool) -> Schema:  # noqa: FBT001 - Hypothesis passes it on
    called = draw(st.lists(names(), min_size=1, max_size=4, unique_by=_folded))
    fields = {name: _fields(draw, portable=portable) for name in called}
    keys = {name: _key(draw, fields[name]) for name in called}
    references: dict[str, list[Reference]] = {name: [] for name in called}
    for name in called:
        for _ in range(draw(st.integers(0, 2))):
            target = draw(st.sampled_from(called))
            found = _reference(draw, fields, keys, name, target)
            if found is not None:
                references[name].append(found)
    return Schema(
        app=draw(st.none() | st.sampled_from(["club", "é \"'<"])),
        version=draw(st.integers(1, 99)),
        collections=[
            Collection(n, fields=fields[n], key=keys[n], references=references[n]) for n in called
        ],
    )


@functools.cache
def _named_kinds(*, portable: bool) -> st.SearchStrategy[list[tuple[str, Kind]]]:
    some = _KEYS | all_kinds(portable=portable)
    return st.lists(st.tuples(names(), some), min_size=1, max_size=5, unique_by=_folded)


def _fields(draw: st.DrawFn, *, portable: bool) -> list[Field]:
    found = []
    for name, kind in draw(_named_kinds(portable=portable)):
        plain = Field(name, kind)
        keeps = not portable and _can_be_off(plain.value_kind) and draw(st.booleans())
        found.append(Field(name, kind, "keep") if keeps else plain)
    return found


def _can_be_off(kind: Kind) -> bool:
    # Of kinds with an object as their form, or with a text of any sort, little would be off.
    return kind in _SCALARS or isinstance(kind, Json)


def _key(draw: st.DrawFn, fields: list[Field]) -> list[str]:
    able = [f.name for f in fields if not f.nullable and f.kind.can_be_key]
    if not able:
        return []
    return draw(st.lists(st.sampled_from(able), max_size=2, unique=True))


def _reference(
    draw: st.DrawFn,
    fields: dict[str, list[Field]],
    keys: dict[str, list[str]],
    source: str,
    target: str,
) -> Reference | None:
    """A reference from fields that are added to the source, or from the source's own key."""
    by_name = {field.name: field for field in fields[target]}
    scalars = [name for name, field in by_name.items() if field.value_kind in _SCALARS]
    to: list[str] = []
    if scalars and draw(st.integers(0, 3)) == 0:
        to = [draw(st.sampled_from(scalars))]
    pointed = to or keys[target]
    if not pointed:
        return None
    own = [by_name[name].value_kind for name in pointed]
    key = [field for field in fields[source] if field.name in keys[source]]
    if len(own) == 1 and key and key[0].kind == own[0] and draw(st.booleans()):
        return Reference(key[0].name, target, to=to)
    taken = {_folded(field.name) for field in fields[source]}
    added = []
    for kind in own:
        name = draw(names().filter(lambda name: _folded(name) not in taken))
        taken.add(_folded(name))
        added.append(Field(name, Optional(kind) if draw(st.booleans()) else kind))
    fields[source].extend(added)
    return Reference([field.name for field in added], target, to=to)
