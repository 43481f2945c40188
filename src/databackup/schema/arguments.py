"""What a developer hands to migrations and to the checks of a schema: seen to be of its type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from databackup.errors import SchemaError
from databackup.schema.kind import shown
from databackup.schema.model import Field, Reference, Schema

if TYPE_CHECKING:
    from collections.abc import Callable


def require_schema(schema: object) -> None:
    """See that something is a schema. Raises TypeError."""
    if not isinstance(schema, Schema):
        raise TypeError(f"a schema is a Schema, not {shown(schema)}")


def require_version(version: object) -> None:
    """See that something is a version, or None. Raises TypeError."""
    if not (version is None or type(version) is int):
        raise TypeError(f"a version is an integer, not {shown(version)}")


def require_names(operation: str, **given: object) -> None:
    """See that arguments of an operation are names. Raises `SchemaError`."""
    _refuse(
        operation,
        (f"{n} is a name, not {shown(v)}" for n, v in given.items() if type(v) is not str),
    )


def names_of(operation: str, argument: str, given: object) -> tuple[str, ...]:
    """The names in an argument that is one, or has several. Raises `SchemaError`."""
    if isinstance(given, str):
        found: tuple[Any, ...] = (given,)
    else:
        found = items_of(operation, argument, "a name, or a list of names", given)
    require_names(operation, **{f"{argument}[{n}]": name for n, name in enumerate(found)})
    return found


def items_of(operation: str, argument: str, expected: str, given: object) -> tuple[Any, ...]:
    """What is in an argument that has several. Raises `SchemaError`."""
    if not isinstance(given, Iterable):
        raise SchemaError.of(operation, [f"{argument} is {expected}, not {shown(given)}"])
    return tuple(given)


def require_callable(operation: str, **given: object) -> None:
    """See that arguments are functions, or None. Raises `SchemaError`."""
    _refuse(
        operation,
        (
            f"{name} is a function, not {shown(function)}"
            for name, function in given.items()
            if not (function is None or callable(function))
        ),
    )


def require_bool(operation: str, **given: object) -> None:
    """See that arguments are true or false. Raises `SchemaError`."""
    _refuse(
        operation,
        (f"{n} is true or false, not {shown(v)}" for n, v in given.items() if type(v) is not bool),
    )


def fields_of(operation: str, given: object) -> Mapping[str, Any] | tuple[Field, ...]:
    """The fields of a new collection, as `Collection` takes them. Raises `SchemaError`."""
    if isinstance(given, Mapping):
        return given
    found = items_of(operation, "fields", "types or kinds by name, or a list of Field", given)
    strangers = (item for item in found if not isinstance(item, Field))
    _refuse(operation, (f"fields has {shown(item)}, which is no Field" for item in strangers))
    return found


def references_of(operation: str, given: object) -> tuple[Reference, ...]:
    """The references of a new collection. Raises `SchemaError`."""
    found = items_of(operation, "references", "a list of Reference", given)
    strangers = (item for item in found if not isinstance(item, Reference))
    _refuse(operation, (f"references has {shown(i)}, which is no Reference" for i in strangers))
    return found


def returned_by(function: Callable[..., object], *arguments: object) -> object:
    """What a function returns; a coroutine is closed, since nobody will await it."""
    returned = function(*arguments)
    close = getattr(returned, "close", None)
    if close is not None and hasattr(returned, "send"):
        close()
    return returned


def _refuse(operation: str, problems: Iterable[str]) -> None:
    found = tuple(problems)
    if found:
        raise SchemaError.of(operation, found)
