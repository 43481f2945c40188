"""The way from one version of a schema to another: its steps, what each makes, and its flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from databackup.errors import NoInverse, SchemaError, SchemaMismatch, VersionMismatch
from databackup.migrations.composing import composed
from databackup.schema.evolution import Operation, described
from databackup.schema.versions import FrozenVersion, Versions, collections_of, differences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from databackup.migrations.flows import Flow
    from databackup.schema import Collection, Schema
    from databackup.schema.evolution import Collections
    from databackup.schema.recording import Migration


@attrs.frozen(slots=False)
class Way:
    """Steps, and the collections before the first of them and after each."""

    steps: tuple[Migration, ...]
    states: tuple[Collections, ...]

    @classmethod
    def of(cls, before: Collections, steps: Iterable[Migration]) -> Way:
        """The way that starts at some collections. Raises `SchemaError`."""
        steps = tuple(steps)
        states = [before]
        for step in steps:
            states.append(step.apply(states[-1]))
        return cls(steps, tuple(states))

    @property
    def before(self) -> Collections:
        """The collections at the start."""
        return self.states[0]

    @property
    def after(self) -> Collections:
        """The collections at the end."""
        return self.states[-1]

    def flows(self, collections: Iterable[Collection] | None = None) -> dict[str, Flow]:
        """How the records of each collection at the end come about.

        Their fields are in the order that those of `collections` have.
        """
        ends = self.after.values() if collections is None else collections
        fields = {collection.name: collection.field_names for collection in ends}
        return composed(self.before, self.steps, fields)

    def up_to(self, count: int) -> Way:
        """Its first steps alone."""
        return Way(self.steps[:count], self.states[: count + 1])


def way_to_today(collections: Iterable[Collection], version: int, schema: Schema) -> Way:
    """The way from an older version to a schema.

    `collections` are those of the older version, as an archive describes them. Raises
    `VersionMismatch` where no way leads, `SchemaMismatch` where they are not those of the frozen
    version, `SchemaError` where a step does not make the next version.
    """
    frozen = _frozen(schema, version)
    given = described(collections)
    found = tuple(differences(collections_of(frozen.schema), given))
    if found:
        raise SchemaMismatch(
            f"the archive contradicts the frozen version {version}: " + "; ".join(found), found
        )
    return Way.of(given, _checked_steps(schema, version))


def way_back(schema: Schema, version: int) -> Way:
    """The way from a schema to an older version of it.

    Raises `VersionMismatch`, `SchemaError`, and `NoInverse` where an operation has no inverse.
    """
    up = Way.of(collections_of(_frozen(schema, version).schema), _checked_steps(schema, version))
    undone = []
    for step, before in reversed(list(zip(up.steps, up.states, strict=False))):
        inverse = step.inverse(before)
        if isinstance(inverse, Operation):
            raise NoInverse(
                f"the migration {step} cannot be undone: {inverse} has no inverse",
                str(step),
                str(inverse),
            )
        undone.append(inverse)
    return Way.of(described(schema.collections), undone)


def _checked_steps(schema: Schema, version: int) -> list[Migration]:
    """The steps from a frozen version to a schema, each seen to make the next version."""
    by_source = {step.source: step for step in schema.migrations}
    state = collections_of(_frozen(schema, version).schema)
    steps = []
    for number in range(version, schema.version):
        if number not in by_source:
            raise _no_way(version, schema, f"no migration leads from version {number}")
        step = by_source[number]
        state = step.apply(state)
        expected = _version_after(schema, number + 1)
        if expected is not None and (found := list(differences(expected, state))):
            what = f"the migration {step} does not make version {number + 1}"
            raise SchemaError.of(what, (f"after it, {difference}" for difference in found))
        steps.append(step)
    return steps


def _version_after(schema: Schema, number: int) -> Collections | None:
    """What a step must lead to: today's schema, or a version that was frozen."""
    if number == schema.version:
        return described(schema.collections)
    try:
        return collections_of(_frozen(schema, number).schema)
    except VersionMismatch:
        return None


def _frozen(schema: Schema, version: int) -> FrozenVersion:
    if schema.versions is None:
        raise _no_way(version, schema, "the schema has no folder of frozen versions")
    try:
        return Versions(schema.versions)[version]
    except KeyError:
        raise _no_way(version, schema, f"version {version} was never frozen") from None


def _no_way(version: int, schema: Schema, why: str) -> VersionMismatch:
    return VersionMismatch(
        f"the archive has schema version {version}, older than this app's {schema.version}, and "
        f"cannot be migrated: {why}",
        None,
        version,
        schema.version,
    )
