"""Functions between rows and records, made once per collection and run per batch.

A row is a tuple of Python values in field order. A record is what msgspec reads and writes: an
object of a type made for the collection, whose members are the forms of the values, or values that
msgspec itself writes as their forms. Where a value needs nothing done to it, as most do, the
compiled code passes it on without a call.

Compiling takes a tenth of a millisecond a field. Plain loops do the same where that would not pay:
for a collection that is very wide, and for the first rows of one that a file describes.
"""

from __future__ import annotations

import datetime
import functools
import itertools
import operator
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

import msgspec

from databackup.errors import Problem
from databackup.schema import kinds
from databackup.schema.columns import Columns, key_columns
from databackup.schema.composite import Json
from databackup.schema.jsonvalues import is_plain
from databackup.schema.kind import ALWAYS, Kind, KindError
from databackup.schema.offkind import RawText
from databackup.schema.validation import compile_validator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from databackup.schema.columns import Forms
    from databackup.schema.model import Collection, Field

    _Convert = Callable[[list[Any]], list[Any]]
    _Step = Callable[[Any], Any] | None

Row = tuple[Any, ...]
Key = tuple[Any, ...]
_TYPE_RANK = {bool: 1, int: 1, float: 1, str: 2, RawText: 2, bytes: 3}
# What the kinds' expressions speak of.
SCOPE: Final = {
    "date": datetime.date,
    "time": datetime.time,
    "datetime": datetime.datetime,
    "UTC": datetime.UTC,
    "UUID": uuid.UUID,
}
WIDE: Final = 1000  # the most fields that functions and a record type are made for
PATIENCE: Final = 100  # rows of a described collection before functions are compiled for it
_ESCAPED: Final = re.compile(r'[\x00-\x1f"\\]')


class Codec:
    """The compiled functions of one collection.

    `validated=False` leaves out the JSON Schema, for a collection that a file describes: values are
    then held to their kinds alone.
    """

    def __init__(self, collection: Collection, *, validated: bool = True) -> None:
        self._collection = collection
        self._forms = [field.form for field in collection.fields]
        self._json = [
            position
            for position, field in enumerate(collection.fields)
            if isinstance(field.value_kind, Json)
        ]
        names = collection.field_names
        is_wide = len(names) > WIDE
        wires = [form.wire for form in self._forms]
        self.record_type = None if is_wide else _record_type(names, wires)
        """What msgspec reads a record as; None for many fields, and where some name cannot be a
        member of a type.
        """
        self.narrow_type = None if is_wide else _narrow_type(names, self._forms)
        """As `record_type`, for records nearly all of whose values are read as they are."""
        self.make = make = self.record_type or _dict_maker(names)
        """Makes a record of its forms, in the order of fields."""
        self.columns = Columns(self._forms)
        patience = None if is_wide else 0 if validated else PATIENCE
        self._any = _Functions(self._forms, make, patience)
        self._plain = (
            _Functions(self._forms, make, patience, self._json) if self._json else self._any
        )
        self._is_sorted = list(names) == sorted(names)
        self._validator = compile_validator if validated else _accept_all
        self._sort_keys = _compile_sort_keys(collection)

    def are_plain(self, rows: Iterable[Row]) -> bool:
        """Whether nothing needs to be done to any value of a json field: see `is_plain`."""
        return all(is_plain(row[position]) for position in self._json for row in rows)

    def encode(self, rows: list[Row], *, plain: bool = False) -> list[Any]:
        """The records of rows, in field order. Raises `KindError`; `explain_rows` says where.

        Text with lone surrogates passes: writing it as JSON raises UnicodeEncodeError.
        """
        return self._functions(plain).encode(rows)

    def canonical(self, rows: list[Row], *, plain: bool = False) -> list[Any]:
        """The canonical records of rows, to be written sorted by name. Raises `KindError`."""
        return self._functions(plain).canonical(rows)

    def canonical_is_form(self, *, plain: bool = False) -> bool:
        """Whether canonical records differ from records in the order of names alone."""
        return self._functions(plain).canonical_is_form

    def line_is_canonical(self, *, plain: bool = False) -> bool:
        """Whether a record's line in an archive is its canonical form."""
        return self._is_sorted and not self._json and self.canonical_is_form(plain=plain)

    def read(self, values: list[Row], *, plain: bool = False, narrow: bool = False) -> list[Row]:
        """The rows of values as msgspec has read them for `record_type`, or for `narrow_type`.

        Raises `KindError`.
        """
        functions = self._functions(plain)
        return functions.read_narrow(values) if narrow else functions.read(values)

    def _functions(self, plain: bool) -> _Functions:  # noqa: FBT001 - of this class alone
        return self._plain if plain else self._any

    def decode(self, records: list[dict[str, Any]]) -> list[Row]:
        """The rows of objects of JSON forms. Raises `KindError`; `explain_records` says where."""
        names = self._collection.field_names
        known = set(names)
        if any(type(record) is not dict or record.keys() != known for record in records):
            raise KindError("records with all fields and no others", "others")
        arrays = [[record[name] for name in names] for record in records]
        if len(names) > WIDE:
            # One validator for each kind there is, not one for all fields.
            for position, kind in enumerate(self._forms):
                self._validator([kind])([[array[position]] for array in arrays])
        else:
            self._validator(self._forms)(arrays)
        return [
            tuple(kind.decode(form) for kind, form in zip(self._forms, array, strict=True))
            for array in arrays
        ]

    def sort_keys(self, rows: list[Row]) -> list[Any]:
        """What rows are ordered by, comparable with each other: numbers, then text, then bytes."""
        return self._sort_keys(rows)

    def sort_keys_of(self, forms: Forms) -> list[Any]:
        """As `sort_keys`, for records that are had as forms."""
        positions = self._collection.key_positions
        columns = key_columns(
            [self._forms[position] for position in positions],
            [forms.columns[position] for position in positions],
        )
        if any(_needs_rank(self._collection.fields[position]) for position in positions):
            return list(zip(*map(_ranked_column, columns), strict=True))
        return list(zip(*columns, strict=True) if len(columns) > 1 else itertools.chain(*columns))

    def key(self, row: Row) -> Key:
        """The key of a row."""
        return tuple(row[position] for position in self._collection.key_positions)

    def explain_rows(self, rows: Iterable[Row], first: int = 1) -> list[Problem]:
        """A problem for each value of rows that is not of its field's kind."""
        problems = []
        for number, row in enumerate(rows, first):
            values = zip(self._collection.fields, self._forms, row, strict=True)
            for field, form, value in values:
                try:
                    form.encode(value)
                except KindError as error:
                    problems.append(self._problem(error, number, self.key(row), field.name))
        return problems

    def explain_records(self, records: Iterable[Any], first: int = 1) -> list[Problem]:
        """A problem for each thing that is wrong with records."""
        problems: list[Problem] = []
        for number, record in enumerate(records, first):
            problems += self._explain_record(record, number)
        return problems

    def _explain_record(self, record: Any, number: int) -> list[Problem]:
        if type(record) is not dict:
            error = KindError("an object", type(record).__name__)
            return [self._problem(error, number, None, None)]
        key = tuple(record.get(name) for name in self._collection.key) or None
        problems = [
            self._problem(KindError("only known fields", "unknown field"), number, key, name)
            for name in record
            if not self._collection.has_field(name)
        ]
        for field, form in zip(self._collection.fields, self._forms, strict=True):
            if field.name not in record:
                error = KindError(form.expected, "no such field")
                problems.append(self._problem(error, number, key, field.name))
                continue
            value = record[field.name]
            try:
                form.decode(value)
                self._validator([form])([[value]])
            except KindError as error:
                problems.append(self._problem(error, number, key, field.name))
        return problems

    def _problem(
        self, error: KindError, number: int, key: Key | None, field: str | None
    ) -> Problem:
        name = self._collection.name
        steps = ("data", name, number - 1, *([] if field is None else [field]), *error.path)
        return Problem(
            code="invalid-value",
            message=str(error),
            collection=name,
            record=number,
            key=key or None,
            field=field,
            pointer=json_pointer(steps),
            expected=error.expected,
        )


class _Functions:
    """The functions of one collection, where the values at `plain` need nothing done to them."""

    def __init__(
        self,
        forms: list[Kind],
        make: Callable[..., Any],
        patience: int | None,
        plain: Sequence[int] = (),
    ) -> None:
        are_plain = frozenset(plain)
        encoded, decoded = (
            [ALWAYS if n in are_plain else itself for n, itself in enumerate(conditions)]
            for conditions in (
                [kind.encodes_itself for kind in forms],
                [kind.decodes_itself for kind in forms],
            )
        )
        self.encode = _converter(patience, encoded, [kind.encode for kind in forms], make)
        self.canonical = _converter(patience, encoded, [kind.canonical for kind in forms], make)
        decode = [kind.decode for kind in forms]
        self.read = _converter(patience, decoded, decode)
        narrow = [
            condition if kind.narrow_wire is None else ALWAYS
            for condition, kind in zip(decoded, forms, strict=True)
        ]
        self.read_narrow = _converter(patience, narrow, decode)
        self.canonical_is_form = all(
            kind.canonical_is_form or n in are_plain for n, kind in enumerate(forms)
        )


def _converter(
    patience: int | None,
    conditions: list[str],
    functions: list[Callable[[Any], Any]],
    make: Callable[..., Any] | None = None,
) -> _Convert:
    """What converts rows to what `make` makes of their values, or to tuples.

    `patience` is for how many rows loops do; None is for all.
    """
    if make is None and all(condition == ALWAYS for condition in conditions):
        return list

    def compiled() -> _Convert:
        if make is None:
            return _compile_to_rows(conditions, functions)
        return _compile_to_records(conditions, functions, make)

    if patience == 0:
        return compiled()
    steps = list(map(_step, conditions, functions))
    loop = functools.partial(_loop, steps, make)
    return loop if patience is None else _Patient(loop, compiled, patience)


class _Patient:
    """Converts rows in a loop, until there were so many that compiling a function pays."""

    def __init__(self, loop: _Convert, compile_: Callable[[], _Convert], patience: int) -> None:
        self._convert = loop
        self._compile: Callable[[], _Convert] | None = compile_
        self._left = patience

    def __call__(self, rows: list[Any]) -> list[Any]:
        if self._compile is not None:
            if self._left < len(rows):
                self._convert = self._compile()
                self._compile = None
            self._left -= len(rows)
        return self._convert(rows)


def _loop(steps: list[_Step], make: Callable[..., Any] | None, rows: Iterable[Row]) -> list[Any]:
    made = []
    for row in rows:
        values = [
            value if step is None else step(value) for step, value in zip(steps, row, strict=True)
        ]
        made.append(tuple(values) if make is None else make(*values))
    return made


def _step(condition: str, function: Callable[[Any], Any]) -> _Step:
    """What is done to one value, None for nothing: the same as in a compiled function."""
    if condition == ALWAYS or not condition:
        return function if not condition else None
    test = _test(condition)
    return lambda value: value if test(value) else function(value)


@functools.lru_cache(maxsize=256)
def _test(condition: str) -> Callable[[Any], bool]:
    """A kind's condition as a function; there are not many of them."""
    return compile_function(f"def convert(v):\n    return {condition.format(v='v')}\n", {**SCOPE})


def _accept_all(_forms: Sequence[Kind]) -> Callable[[list[list[Any]]], None]:
    return lambda _batch: None


def json_pointer(steps: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def compile_function(source: str, scope: dict[str, Any]) -> Callable[[Any], Any]:
    """The function `convert` of a source text that this library wrote itself, never input."""
    exec(compile(source, "<databackup codec>", "exec"), scope)
    function: Callable[[Any], Any] = scope["convert"]
    return function


def _narrow_type(names: tuple[str, ...], forms: list[Kind]) -> type[Any] | None:
    """A record type without the forms that are seldom met; None where there are none of them."""
    wires = [form.wire if form.narrow_wire is None else form.narrow_wire for form in forms]
    if wires == [form.wire for form in forms]:
        return None
    return _record_type(names, wires)


def _record_type(names: tuple[str, ...], wires: list[Any]) -> type[Any] | None:
    """A type whose instances msgspec reads and writes as the records of a collection."""
    if any(_ESCAPED.search(name) for name in names):
        return None
    fields = [(f"v{position}", wire) for position, wire in enumerate(wires)]
    rename = {field: name for (field, _), name in zip(fields, names, strict=True)}
    # Records live for a batch and hold no cycles: the garbage collector need not look at them.
    return msgspec.defstruct(
        "Record", fields, rename=rename, forbid_unknown_fields=True, gc=False, eq=False
    )


def _dict_maker(names: tuple[str, ...]) -> Callable[..., dict[str, Any]]:
    return lambda *values: dict(zip(names, values, strict=True))


def _compile_to_records(
    conditions: list[str], functions: list[Callable[[Any], Any]], make: Callable[..., Any]
) -> Callable[[list[Any]], list[Any]]:
    members, variables, scope = _calls(conditions, functions)
    source = f"return [make({members}) for {variables} in rows]"
    return compile_function(f"def convert(rows):\n    {source}\n", {**scope, "make": make})


def _compile_to_rows(
    conditions: list[str], functions: list[Callable[[Any], Any]]
) -> Callable[[list[Any]], list[Any]]:
    members, variables, scope = _calls(conditions, functions)
    source = f"return [({members}) for {variables} in rows]"
    return compile_function(f"def convert(rows):\n    {source}\n", scope)


def _calls(
    conditions: list[str], functions: list[Callable[[Any], Any]]
) -> tuple[str, str, dict[str, Any]]:
    """The source of a row's values, each passed through its function where it has to be."""
    names = range(len(conditions))
    members = [_inline(condition, f"v{n}", f"c{n}") for n, condition in enumerate(conditions)]
    scope = {**SCOPE, **{f"c{n}": function for n, function in enumerate(functions)}}
    return "".join(f"{m}, " for m in members), "".join(f"v{n}, " for n in names), scope


def _inline(condition: str, value: str, function: str) -> str:
    if condition == ALWAYS:
        return value
    call = f"{function}({value})"
    return f"({value} if {condition.format(v=value)} else {call})" if condition else call


def _compile_sort_keys(collection: Collection) -> Callable[[list[Any]], list[Any]]:
    positions = collection.key_positions
    if not positions:
        return lambda _rows: []
    fields = [collection.fields[position] for position in positions]
    if not any(_needs_rank(field) for field in fields):
        pick = operator.itemgetter(*positions)
        return lambda rows: list(map(pick, rows))

    def ranked(rows: list[Any]) -> list[Any]:
        columns = [_ranked_column([row[position] for row in rows]) for position in positions]
        return list(zip(*columns, strict=True))

    return ranked


def _needs_rank(field: Field) -> bool:
    """Whether values of a field do not all compare with each other: tags, or NaN."""
    return field.off_kind == "keep" or isinstance(field.value_kind, kinds.Float | kinds.Decimal)


def _ranked_column(values: Sequence[Any]) -> list[tuple[int, int, Any]]:
    """What `_ranked` makes of each value."""
    types = set(map(type, values))
    if types == {int}:
        rank = _TYPE_RANK[int]
        return [(rank, 0, value) for value in values]
    if types == {str}:
        rank = _TYPE_RANK[str]
        return [(rank, 0, value.encode()) for value in values]
    return list(map(_ranked, values))


def _ranked(value: Any) -> tuple[int, int, Any]:
    if value is None:
        return -1, 0, 0
    rank = _TYPE_RANK.get(type(value), 0)
    if rank == _TYPE_RANK[str]:
        return rank, 0, value.data if type(value) is RawText else value.encode()
    if value != value:  # noqa: PLR0124 - NaN alone differs from itself; it follows all numbers
        return rank, 1, 0
    return rank, 0, value
