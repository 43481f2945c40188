"""What is known of one column and the kind of its values: how they are read and written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

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


@attrs.frozen(repr=False)
class SqlValue:
    """What a JSON value cannot be told from, so that no kind takes it: NULL, or a number."""

    value: Any

    def __repr__(self) -> str:
        return "NULL" if self.value is None else f"{self.value!r} that is no text"
