"""Functions between rows and JSON forms, compiled once per collection and run per batch.

A row is a tuple of Python values in field order; a record is a dict of JSON forms. Where a value is
its own form, as most are, the compiled code passes it on without a call.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Literal

from databackup.errors import Problem
from databackup.schema import kinds
from databackup.schema.kind import Kind, KindError
from databackup.schema.offkind import RawText
from databackup.schema.validation import compile_validator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from databackup.schema.model import Collection, Field

Row = tuple[Any, ...]
Key = tuple[Any, ...]
_TYPE_RANK = {bool: 1, int: 1, float: 1, str: 2, RawText: 2, bytes: 3}


class Codec:
    """The compiled functions of one collection.

    `validated=False` leaves out the JSON Schema, for a collection that a file describes: values are
    then held to their kinds alone.
    """

    def __init__(self, collection: Collection, *, validated: bool = True) -> None:
        self._collection = collection
        self._forms = [field.form for field in collection.fields]
        names = collection.field_names
        in_order = list(enumerate(zip(names, self._forms, strict=True)))
        by_name = sorted(in_order, key=lambda item: item[1][0])
        self.form_is_canonical = in_order == by_name and all(
            kind.canonical_is_form for kind in self._forms
        )
        """Whether a record's line in an archive is its canonical form."""
        self._encode = _compile_to_dicts(in_order, "encode")
        self._canonical = _compile_to_dicts(by_name, "canonical")
        self._arrays = _compile_to_arrays(names)
        self._decode = _compile_to_rows(self._forms)
        self._validator = compile_validator if validated else _accept_all
        self._validate = self._validator(self._forms)
        self._sort_keys = _compile_sort_keys(collection)

    def encode(self, rows: list[Row]) -> list[dict[str, Any]]:
        """The records of rows, in field order. Raises `KindError`; `explain_rows` says where.

        Text with lone surrogates passes: writing it as JSON raises UnicodeEncodeError.
        """
        return self._encode(rows)

    def canonical(self, rows: list[Row]) -> list[dict[str, Any]]:
        """The canonical records of rows, fields sorted by name. Raises `KindError`."""
        return self._canonical(rows)

    def decode(self, records: list[dict[str, Any]]) -> list[Row]:
        """The rows of records. Raises `KindError`; `explain_records` says where."""
        try:
            arrays = self._arrays(records)
        except (KeyError, TypeError, ValueError):
            raise KindError("records with all fields and no others", "others") from None
        self._validate(arrays)
        return self._decode(arrays)

    def sort_keys(self, rows: list[Row]) -> list[Any]:
        """What rows are ordered by, comparable with each other: numbers, then text, then bytes."""
        return self._sort_keys(rows)

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
            if name not in self._collection.field_names
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


def _accept_all(_forms: Sequence[Kind]) -> Callable[[list[list[Any]]], None]:
    return lambda _batch: None


def json_pointer(steps: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def compile_function(source: str, scope: dict[str, Any]) -> Callable[[list[Any]], list[Any]]:
    """The function `convert` of a source text that this library wrote itself, never input."""
    exec(compile(source, "<databackup codec>", "exec"), scope)
    function: Callable[[list[Any]], list[Any]] = scope["convert"]
    return function


def _compile_to_dicts(
    fields: list[tuple[int, tuple[str, Kind]]], method: Literal["encode", "canonical"]
) -> Callable[[list[Any]], list[Any]]:
    scope: dict[str, Any] = {}
    members = []
    for position, (name, kind) in fields:
        value = f"v{position}"
        scope[f"c{position}"] = getattr(kind, method)
        members.append(f"{name!r}: {_inline(kind.encodes_itself, value, f'c{position}')}")
    values = "".join(f"v{position}, " for position in range(len(fields)))
    return compile_function(
        f"def convert(rows):\n    return [{{{', '.join(members)}}} for {values} in rows]\n", scope
    )


def _compile_to_arrays(names: tuple[str, ...]) -> Callable[[list[Any]], list[Any]]:
    members = "".join(f"record[{name!r}], " for name in names)
    source = (
        "def convert(records):\n"
        f"    if any(len(record) != {len(names)} for record in records): raise ValueError\n"
        f"    return [[{members}] for record in records]\n"
    )
    return compile_function(source, {})


def _compile_to_rows(forms: list[Kind]) -> Callable[[list[Any]], list[Any]]:
    scope: dict[str, Any] = {f"c{i}": kind.decode for i, kind in enumerate(forms)}
    values = "".join(f"v{position}, " for position in range(len(forms)))
    members = "".join(
        _inline(kind.decodes_itself, f"v{i}", f"c{i}") + ", " for i, kind in enumerate(forms)
    )
    return compile_function(
        f"def convert(arrays):\n    return [({members}) for {values} in arrays]\n", scope
    )


def _inline(condition: str, value: str, function: str) -> str:
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

    def ranked(row: Row) -> tuple[Any, ...]:
        return tuple(_ranked(row[position]) for position in positions)

    return lambda rows: list(map(ranked, rows))


def _needs_rank(field: Field) -> bool:
    """Whether values of a field do not all compare with each other: tags, or NaN."""
    return field.off_kind == "keep" or isinstance(field.value_kind, kinds.Float | kinds.Decimal)


def _ranked(value: Any) -> tuple[int, int, Any]:
    if value is None:
        return -1, 0, 0
    rank = _TYPE_RANK.get(type(value), 0)
    if rank == _TYPE_RANK[str]:
        return rank, 0, value.data if type(value) is RawText else value.encode()
    if value != value:  # noqa: PLR0124 - NaN alone differs from itself; it follows all numbers
        return rank, 1, 0
    return rank, 0, value
