"""What every kind is: the base class, the base of those with an ISO 8601 text, their errors."""

from __future__ import annotations

import reprlib
from typing import Any, ClassVar, Final

import attrs


@attrs.define(slots=False, eq=False)
class KindError(ValueError):
    """A value that is not of its kind; `path` leads to it from the field's value."""

    expected: str
    found: str
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        return f"expected {self.expected}, found {self.found}"

    def under(self, step: str | int) -> KindError:
        """The same error seen from one level further out."""
        return KindError(self.expected, self.found, (step, *self.path))


@attrs.define(slots=False, eq=False)
class StructuringError(ValueError):
    """The model does not take a row's values; `field` is None where it cannot be told which."""

    message: str
    field: str | None = None

    def __str__(self) -> str:
        return self.message


ALWAYS: Final = "True"
SHOWN: Final = 60
# Bounded in depth and length: the repr of foreign data can recurse, or take a very long time.
_REPR = reprlib.Repr()
_REPR.maxother = _REPR.maxlong = _REPR.maxstring = SHOWN


def shown(value: object) -> str:
    """A value as an error message shows it: its type and the start of what it holds."""
    if value is None:
        return "null"
    try:
        text = repr(value[:SHOWN]) if isinstance(value, str | bytes) else _REPR.repr(value)
    except Exception:  # noqa: BLE001 - a host's repr raises what it likes, and so does int's
        return type(value).__name__
    if len(text) > SHOWN:
        text = text[: SHOWN - 1] + "…"
    return f"{type(value).__name__} {text}"


@attrs.frozen
class Kind:
    """The base of all kinds.

    `wire` is the type by which msgspec reads the form, `narrow_wire` that of the forms which it
    reads as the value itself, None where each has to be looked at. `encodes_itself` and
    `decodes_itself` are Python expressions over `{v}`: the one is true where msgspec writes the
    value as its form, the other where what it has read is the value. Compiled functions put them
    inline and call the method otherwise, always for an empty one and never for `ALWAYS`.
    """

    name: ClassVar[str]
    expected: ClassVar[str]
    wire: ClassVar[Any] = Any
    encodes_itself: ClassVar[str] = ""
    decodes_itself: ClassVar[str] = ""
    can_be_key: ClassVar[bool] = True

    @property
    def narrow_wire(self) -> Any:
        return self.wire if self.decodes_itself == ALWAYS else None

    @property
    def canonical_is_form(self) -> bool:
        """Whether `canonical` gives what `encode` gives, for every value."""
        return True

    def encode(self, value: Any, /) -> Any:
        """The JSON form of a value. Raises `KindError`."""
        raise self.refused(value)

    def decode(self, form: Any, /) -> Any:
        """The value of a JSON form. Raises `KindError`."""
        raise self.refused(form)

    def canonical(self, value: Any, /) -> Any:
        """The JSON form that digests are taken over. Raises `KindError`."""
        return self.encode(value)

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema (draft-07) of the form."""
        return {"type": "string"}

    def describe(self) -> dict[str, Any]:
        """The kind as an archive's header and a frozen version describe it."""
        return {"kind": self.name}

    def refused(self, value: object) -> KindError:
        """The error for a value that is not of this kind."""
        return KindError(self.expected, shown(value))


@attrs.frozen
class IsoKind(Kind):
    """A kind with an ISO 8601 text, which is read only if it is what would be written."""

    pattern: ClassVar[str]

    def parse(self, text: str) -> Any:
        raise self.refused(text)

    def decode(self, form: Any) -> Any:
        if type(form) is not str:
            raise self.refused(form)
        try:
            value = self.parse(form)
            same = self.encode(value) == form
        except (ValueError, OverflowError):
            same = False
        if not same:
            raise self.refused(form)
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{self.pattern}$"}
