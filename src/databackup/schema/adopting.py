"""Values of one kind as values of another, where no function says what becomes of them.

A value stays what it is, in the type that the new kind has for it: the integer 1 is the float 1.0.
What the new kind has nothing for is handed on, and refused where all values are looked at.
"""

from __future__ import annotations

import decimal
import functools
from typing import TYPE_CHECKING, Any

from databackup.schema.composite import Dict, Enum, Json, List, Nested, Optional
from databackup.schema.jsonvalues import JSON_NULL, number
from databackup.schema.kind import Kind, KindError
from databackup.schema.kinds import Float, Int

if TYPE_CHECKING:
    from collections.abc import Callable

_FLOAT = Float()
_JSON = Json()


def adopter(old: Kind, new: Kind) -> Callable[[Any], Any] | None:
    """A function that makes values of a new kind of those of an old one.

    None where they are the same.
    """
    if _bare(old).describe() == _bare(new).describe() and not _is_json(old):
        return None
    kind = _bare(new)
    if not (isinstance(kind, Float | Json | List | Dict | Nested) or _is_of_integers(kind)):
        return None
    return functools.partial(adopted, old, new)


def adopted(old: Kind, new: Kind, value: Any) -> Any:
    """A value of an old kind as one of a new kind, or as it is."""
    if value is None:
        return null_of(old, new)
    kind = _bare(new)
    if isinstance(kind, Json):
        return _as_json(old, new, value)
    if isinstance(kind, Float):
        return _as_float(value)
    if _is_of_integers(kind):
        return _as_int(value)
    if type(value) is list and isinstance(kind, List):
        value = [adopted(_part(old, ""), kind.items, item) for item in value]
    elif type(value) is dict and isinstance(kind, Dict | Nested):
        value = {
            name: adopted(_part(old, name), _part(kind, name), member)
            for name, member in value.items()
        }
    return value


def null_of(old: Kind, new: Kind) -> Any:
    """What None of an old kind is as a value of a new one: the JSON value null, or nothing."""
    may_be_absent = _is_json(new) and not null_is_value(new)
    return JSON_NULL if null_is_value(old) and may_be_absent else None


def null_is_value(kind: Kind) -> bool:
    """Whether None of a kind is the JSON value null, and not that there is no value."""
    return isinstance(kind, Json)


def _bare(kind: Kind) -> Kind:
    return kind.inner if isinstance(kind, Optional) else kind


def _is_json(kind: Kind) -> bool:
    return isinstance(_bare(kind), Json)


def _is_of_integers(kind: Kind) -> bool:
    return isinstance(kind, Int) or (isinstance(kind, Enum) and type(kind.values[0]) is int)


def _part(kind: Kind, name: str) -> Kind:
    """The kind of a part of a value: of an item, or of the member of a name."""
    whole = _bare(kind)
    if isinstance(whole, List):
        return whole.items
    if isinstance(whole, Dict):
        return whole.values
    if isinstance(whole, Nested):
        return dict(whole.members).get(name, _JSON)
    return whole


def _as_json(old: Kind, new: Kind, value: Any) -> Any:
    """A value that JSON has numbers and nulls of its own for."""
    if value is JSON_NULL:
        return value if isinstance(new, Optional) else None
    if type(value) is decimal.Decimal and not _is_json(old):
        try:
            return number(str(value))
        except (KindError, ValueError):
            return value  # NaN, and what is too long
    if type(value) is list and not _is_json(old):
        value = [adopted(_part(old, ""), _JSON, item) for item in value]
    elif type(value) is dict and not _is_json(old):
        value = {name: adopted(_part(old, name), _JSON, v) for name, v in value.items()}
    return value


def _as_float(value: Any) -> Any:
    if type(value) is not int:
        return value
    try:
        return _FLOAT.decode(_FLOAT.encode(value))
    except KindError:
        return value


def _as_int(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value
