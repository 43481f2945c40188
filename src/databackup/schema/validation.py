"""Validation with fastjsonschema.

Records are validated as arrays of values in field order, never as objects: names of fields then
stay out of the generated code, and a place in the array is never ambiguous.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from databackup.schema.kind import Kind, KindError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def batch_schema(kinds: Sequence[Kind]) -> dict[str, Any]:
    """The JSON Schema (draft-07) of a batch: an array of records, each an array of forms."""
    record = {
        "type": "array",
        "items": [kind.json_schema() for kind in kinds],
        "minItems": len(kinds),
        "maxItems": len(kinds),
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "array",
        "items": record,
    }


def compile_validator(kinds: Sequence[Kind]) -> Callable[[list[list[Any]]], None]:
    """A function that raises `KindError` for a batch with a form that is not of its kind."""
    return _compile(tuple(kinds))


@functools.lru_cache(maxsize=1024)
def _compile(kinds: tuple[Kind, ...]) -> Callable[[list[list[Any]]], None]:
    import fastjsonschema  # noqa: PLC0415 - slow to import, and not needed before the first batch

    # use_default=False: otherwise validation would write defaults into what it validates.
    validate = fastjsonschema.compile(
        batch_schema(kinds), use_default=False, detailed_exceptions=True
    )

    def check(batch: list[list[Any]]) -> None:
        try:
            validate(batch)
        except fastjsonschema.JsonSchemaValueException as error:
            raise _kind_error(kinds, error) from None

    return check


def _kind_error(kinds: tuple[Kind, ...], error: Any) -> KindError:
    found = shown(error.value)
    path = error.path[1:]
    column = int(path[1]) if len(path) > 1 else 0
    return KindError(kinds[column].expected, found, tuple(path[2:]))
