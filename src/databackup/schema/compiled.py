"""Functions between rows and records, made once per collection and run per batch.

A row is a tuple of Python values in field order. A record is what msgspec reads and writes: an
object of a type made for the collection, whose members are the forms of the values, or values that
msgspec itself writes as their forms.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from databackup.errors import Problem
from databackup.schema.columns import Columns
from databackup.schema.composite import Json, has_decimals
from databackup.schema.functions import PATIENCE, Functions
from databackup.schema.jsonvalues import is_plain
from databackup.schema.kind import Kind, KindError
from databackup.schema.secrets import MASK
from databackup.schema.sortkeys import compile_sort_keys, sort_keys_of
from databackup.schema.validation import compile_validator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from databackup.schema.columns import Forms
    from databackup.schema.model import Collection

Row = tuple[Any, ...]
Key = tuple[Any, ...]
WIDE: Final = 1000  # the most fields that functions and a record type are made for
_LINE: Final = 1000  # bytes that are as much work as a row
_ESCAPED: Final = re.compile(r'[\x00-\x1f"\\]')


class Codec:
    """The compiled functions of one collection.

    `validated=False` leaves out the JSON Schema, for a collection that a file describes: values are
    then held to their kinds alone.
    """

    def __init__(self, collection: Collection, *, validated: bool = True) -> None:
        self._collection = collection
        self._is_validated = validated
        self._left = 0 if validated else PATIENCE
        self._validator = compile_validator if validated else _accept_all

    # Each part is made once it is needed: most of many collections may have no records.

    @functools.cached_property
    def _forms(self) -> list[Kind]:
        return [field.form for field in self._collection.fields]

    @functools.cached_property
    def _secret(self) -> frozenset[str]:
        return frozenset(field.name for field in self._collection.fields if field.secret)

    @functools.cached_property
    def _json(self) -> list[int]:
        fields = enumerate(self._collection.fields)
        return [position for position, field in fields if isinstance(field.value_kind, Json)]

    @functools.cached_property
    def decimals(self) -> tuple[int, ...]:
        """The positions of the fields whose values may have decimals in them."""
        fields = enumerate(self._collection.fields)
        return tuple(position for position, field in fields if has_decimals(field.value_kind))

    @functools.cached_property
    def record_type(self) -> type[Any] | None:
        """What msgspec reads a record as; None for many fields, or a name that no type can have."""
        return self._type([form.wire for form in self._forms])

    @functools.cached_property
    def members(self) -> tuple[str, ...]:
        """The names of a record's members in Python, in the order of fields."""
        return () if self.record_type is None else self.record_type.__struct_fields__

    @functools.cached_property
    def make(self) -> Callable[..., Any]:
        """Makes a record of its forms, in the order of fields."""
        return self._maker(compiled=True)

    @functools.cached_property
    def make_sorted(self) -> Callable[[Sequence[Sequence[Any]]], list[Any]]:
        """Makes records of columns in the order of fields, their members in that of their names.

        To msgspec that is no more work to write, and to sort the members of each is.
        """
        names = self._collection.field_names
        order = sorted(range(len(names)), key=names.__getitem__)
        wires = [self._forms[position].wire for position in order]
        in_order = tuple(names[position] for position in order)
        type_ = None if self.record_type is None else _record_type(in_order, wires)
        make = type_ or _dict_maker(in_order)
        return lambda columns: list(map(make, *(columns[position] for position in order)))

    @functools.cached_property
    def has_json(self) -> bool:
        """Whether values have members of their own, which are sorted as they are written."""
        return bool(self._json)

    @functools.cached_property
    def columns(self) -> Columns:
        """What is done to columns of forms."""
        return Columns(self._forms)

    @property
    def weight(self) -> int:
        """By how much batches are to be smaller: what values hold wakes the garbage collector."""
        return 2 if self._json else 1

    @functools.cached_property
    def narrow_type(self) -> type[Any] | None:
        """As `record_type`, for records nearly all of whose values are read as they are."""
        wires = [form.wire for form in self._forms]
        narrow = [form.narrow_wire or form.wire for form in self._forms]
        return None if narrow == wires else self._type(narrow)

    def _type(self, wires: list[Any]) -> type[Any] | None:
        names = self._collection.field_names
        return None if len(names) > WIDE else _record_type(names, wires)

    @functools.cached_property
    def _any(self) -> Functions:
        return self._made_functions(())

    @functools.cached_property
    def _plain(self) -> Functions:
        return self._made_functions(self._json) if self._json else self._any

    def _made_functions(self, plain: Sequence[int]) -> Functions:
        is_wide = len(self._forms) > WIDE
        patience = None if is_wide else 0 if self._is_validated else PATIENCE
        return Functions(self._forms, self._maker, patience, plain)

    def _maker(self, *, compiled: bool) -> Callable[..., Any]:
        """What makes a record of its values."""
        type_ = self.record_type if compiled else None
        return type_ or _dict_maker(self._collection.field_names)

    @functools.cached_property
    def _sort_keys(self) -> Callable[[list[Any]], list[Any]]:
        return compile_sort_keys(self._collection)

    @functools.cached_property
    def _is_sorted(self) -> bool:
        names = list(self._collection.field_names)
        return names == sorted(names)

    def pays(self, lines: bytes) -> bool:
        """Whether lines are enough, with those asked about before, to make types and functions.

        Always, but for the first ones of a collection that a file describes.
        """
        if self._left > 0:
            self._left -= lines.count(b"\n") + 1 + len(lines) // _LINE
        return self._left <= 0

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

    def _functions(self, plain: bool) -> Functions:  # noqa: FBT001 - of this class alone
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
        return sort_keys_of(self._collection, forms)

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
        if field in self._secret:
            error = KindError(error.expected, MASK)  # and its path may be of the value
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
