"""The history of a schema: its versions, and the steps between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databackup.errors import SchemaError
from databackup.operations.reports import SchemaHistory, SchemaOperation, SchemaStep, SchemaVersion
from databackup.schema.evolution import CannotApply
from databackup.schema.versions import (
    FrozenVersion,
    Versions,
    app_of,
    check_frozen,
    collections_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from databackup.schema import Schema
    from databackup.schema.evolution import Collections, Operation
    from databackup.schema.recording import Migration


def schema_history(schema: Schema) -> SchemaHistory:
    """The versions of a schema that were frozen or that steps lead from or to, and the steps.

    What is wrong with the steps is not said here, but by `check_chain`. Raises `FileError`, and
    `SchemaError` for a frozen version that cannot be read.
    """
    frozen = _frozen(schema)
    steps = sorted(schema.migrations, key=lambda step: step.source)
    states: dict[int, Collections] = {}
    told = []
    for step in steps:
        if step.source in frozen:
            states[step.source] = collections_of(frozen[step.source].schema)
        operations, after = _told(step, states.get(step.source))
        told.append(
            SchemaStep(
                source=step.source, target=step.target, name=step.name, operations=operations
            )
        )
        if after is not None:
            states[step.target] = after
    numbers = {*frozen, schema.version, *(n for s in steps for n in (s.source, s.target))}
    return SchemaHistory(
        app=schema.app,
        version=schema.version,
        folder=None if schema.versions is None else str(schema.versions),
        versions=tuple(_version(schema, n, frozen, states.get(n)) for n in sorted(numbers)),
        steps=tuple(told),
    )


def _frozen(schema: Schema) -> dict[int, FrozenVersion]:
    if schema.versions is None:
        return {}
    versions = Versions(schema.versions)
    return {number: versions[number] for number in versions.numbers}


def _version(
    schema: Schema, number: int, frozen: Mapping[int, FrozenVersion], state: Collections | None
) -> SchemaVersion:
    is_today = number == schema.version
    known = FrozenVersion.of(schema) if is_today else frozen.get(number)
    names = state if known is None else known.description["collections"]
    return SchemaVersion(
        version=number,
        app=app_of(schema, number),
        digest=None if known is None else known.digest,
        collections=None if names is None else tuple(sorted(names)),
        frozen=number in frozen,
        today=is_today,
        changed=is_today and number in frozen and _has_changed(schema),
    )


def _has_changed(schema: Schema) -> bool:
    try:
        check_frozen(schema, may_be_new=True)  # whatever later versions there are
    except SchemaError:
        return True
    return False


def _told(
    step: Migration, before: Collections | None
) -> tuple[tuple[SchemaOperation, ...], Collections | None]:
    """The operations of a step, and the collections after it as far as they can be known."""
    found = []
    for operation in step.operations:
        after = _after(operation, before)
        if before is None or after is None:
            found.append(SchemaOperation(operation=str(operation)))
        else:
            inverse = operation.inverse(before)
            found.append(
                SchemaOperation(
                    operation=str(operation),
                    has_inverse=inverse is not None,
                    inverse=None if inverse is None else str(inverse),
                )
            )
        before = after
    return tuple(found), before


def _after(operation: Operation, before: Collections | None) -> Collections | None:
    if before is None:
        return None
    try:
        return operation.apply(before)
    except (CannotApply, SchemaError):
        return None
