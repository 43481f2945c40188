"""The root of all errors, and the `Problem` that names one wrong value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

PROBLEM_LIMIT = 100
_LARGEST_PLAIN_INT = 2**53


@attrs.frozen
class MadeOf:
    """The record that a migrated one was made of: where it stands, and its key there."""

    collection: str
    record: int
    key: tuple[Any, ...] | None = None

    def __str__(self) -> str:
        return _place(self.collection, self.record, self.key)

    def as_json(self) -> dict[str, Any]:
        """The record's place as a JSON object; key parts that JSON cannot hold as text."""
        return {field.name: _plain(getattr(self, field.name)) for field in attrs.fields(MadeOf)}


@attrs.frozen(kw_only=True)
class Problem:
    """One thing wrong with one value.

    `record` counts from 1 within the collection; `pointer` is an RFC 6901 JSON pointer into the
    archive. Of a record that was migrated, collection, key and field are today's, and `made_of` has
    those that it has in the archive. What does not apply is None.
    """

    code: str
    message: str
    collection: str | None = None
    record: int | None = None
    key: tuple[Any, ...] | None = None
    field: str | None = None
    pointer: str | None = None
    expected: str | None = None
    made_of: MadeOf | None = None

    @property
    def place(self) -> str:
        """Where it is, in words: collection, record, key and field."""
        place = record = _place(self.collection or "archive", self.record, self.key)
        if self.field is not None:
            place += f", field {self.field}"
        if self.made_of is not None and str(self.made_of) != record:
            place += f" (made of {self.made_of})"
        return place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"

    def as_json(self) -> dict[str, Any]:
        """The problem as a JSON object; key parts that JSON cannot hold as text."""
        return {field.name: _plain(getattr(self, field.name)) for field in attrs.fields(Problem)}


def _place(collection: str, record: int | None, key: tuple[Any, ...] | None) -> str:
    place = collection
    if record is not None:
        place += f", record {record}"
    if key is not None:
        place += f", key {', '.join(_short(part) for part in key)}"
    return place


def _short(value: object, limit: int = 60) -> str:
    text = _text(value, repr)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _text(value: object, form: Callable[[object], str]) -> str:
    try:
        return form(value)
    except ValueError:
        # Python writes no integer of more than 4,300 digits.
        return f"a very long {type(value).__name__}"


def reason_of(error: OSError | ValueError) -> str:
    """Why a file cannot be used, in the system's words and without its name."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else text + "."


@attrs.define(slots=False, eq=False)
class DatabackupError(Exception):
    """The root of all errors of this library."""

    code: ClassVar[str] = "databackup"
    remedy: ClassVar[str] = ""

    message: str

    def __str__(self) -> str:
        return " ".join(_sentence(part) for part in (self.message, self.remedy) if part)

    def as_json(self) -> dict[str, Any]:
        """The error as a JSON object: code, message, remedy, and the attributes of its class."""
        own = {
            field.name: _plain(getattr(self, field.name))
            for field in attrs.fields(type(self))
            if field.name != "message"
        }
        return {"code": self.code, "message": self.message, "remedy": self.remedy, **own}


def _plain(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Problem | MadeOf):
        return value.as_json()
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, int) and abs(value) < _LARGEST_PLAIN_INT:
        return value
    if value is None or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _plain(_text(value, str))
