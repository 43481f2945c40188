"""Between stored values and the kinds' own: the functions of a column, and of rows of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from databackup.schema.functions import compile_function

if TYPE_CHECKING:
    from collections.abc import Sequence

    from databackup.schema import Row

Convert = Callable[[Any], Any]
Whole = Callable[[list[Any]], list[Any] | None]


@attrs.frozen
class Form:
    """The functions between a stored value and the kind's; None where they are the same.

    `nulls` says that the functions take NULL, too. With `by_value` a number's storage class does
    not matter: 5 and 5.0 are read as the same. `usual` is a type whose values `read` passes on.
    `read_all` and `write_all` do a whole column at once, or give None where they cannot.
    """

    read: Convert | None = None
    write: Convert | None = None
    nulls: bool = False
    by_value: bool = False
    usual: str = ""
    read_all: Whole | None = None
    write_all: Whole | None = None


def reading(forms: Sequence[Form]) -> Callable[[list[Row]], list[Row]] | None:
    """A function that makes rows of stored rows; None where they are the same."""
    return _conversion([f.read for f in forms], [f.read_all for f in forms], forms)


def writing(forms: Sequence[Form]) -> Callable[[list[Row]], list[Row]] | None:
    """A function that makes rows to store of rows; None where they are the same."""
    return _conversion([f.write for f in forms], [f.write_all for f in forms], forms)


def with_nulls(column: Whole) -> Whole:
    """A function that passes on None, and does the rest as another one does."""

    def convert(values: list[Any]) -> list[Any] | None:
        present = [value for value in values if value is not None]
        done = column(present) if present else []
        if done is None or len(present) == len(values):
            return done
        rest = iter(done)
        return [None if value is None else next(rest) for value in values]

    return convert


def of_types(*types: type[Any]) -> Whole:
    """A function that passes on values of these types, and knows no others."""
    expected = set(types)
    return lambda values: values if expected.issuperset(map(type, values)) else None


def variables(count: int) -> str:
    """The source of so many variables, which unpack a row."""
    return "".join(f"v{place}, " for place in range(count))


def _conversion(
    functions: Sequence[Convert | None], wholes: Sequence[Whole | None], forms: Sequence[Form]
) -> Callable[[list[Row]], list[Row]] | None:
    """A function that converts rows: some columns at once, and the others value by value."""
    if not any(functions):
        return None
    columns = {
        place: (whole, _one_by_one(function, forms[place]))
        for place, (function, whole) in enumerate(zip(functions, wholes, strict=True))
        if function and whole
    }
    rest = [None if place in columns else function for place, function in enumerate(functions)]
    combine = _compile_combination(rest, list(columns), forms)

    def convert(rows: list[Row]) -> list[Row]:
        found = []
        for place, (whole, one_by_one) in columns.items():
            values = [row[place] for row in rows]
            done = whole(values)
            found.append(one_by_one(values) if done is None else done)
        return combine(zip(rows, *found, strict=True))

    return convert


def _one_by_one(function: Convert, form: Form) -> Callable[[list[Any]], list[Any]]:
    if form.nulls:
        return lambda values: list(map(function, values))
    return lambda values: [None if value is None else function(value) for value in values]


def _compile_combination(
    functions: Sequence[Convert | None], columns: list[int], forms: Sequence[Form]
) -> Callable[[Any], list[Row]]:
    """A function of rows, each with its values of `columns`, which are converted already."""
    scope = {f"f{place}": function for place, function in enumerate(functions)}
    members = []
    for place, (function, form) in enumerate(zip(functions, forms, strict=True)):
        value = call = f"w{place}" if place in columns else f"v{place}"
        if function:
            call = f"f{place}({value})"
        if function and form.usual:
            call = f"{value} if type({value}) is {form.usual} else {call}"
        if function and not form.nulls:
            call = f"None if {value} is None else {call}"
        members.append(f"{call}, ")
    done = "".join(f"w{place}, " for place in columns)
    return compile_function(
        "def convert(rows):\n"
        f"    return [({''.join(members)}) for ({variables(len(forms))}), {done} in rows]\n",
        scope,
    )
