"""The way from one version of a schema to another: its steps, what each makes, and its flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from databackup.errors import NoInverse, SchemaError, SchemaMismatch, VersionMismatch
from databackup.migrations.composing import Composition, composed
from databackup.migrations.doubts import doubtful
from databackup.schema import Schema
from databackup.schema.across import SplitCollection
from databackup.schema.evolution import Operation, RenameApp, RenameCollection, described
from databackup.schema.versions import (
    FREEZE,
    Versions,
    check_frozen,
    collections_of,
    differences,
    require_as_frozen,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from databackup.migrations.doubts import Link
    from databackup.migrations.flows import Flow, Origin
    from databackup.schema import Collection
    from databackup.schema.recording import Migration
    from databackup.schema.requirements import Collections


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
        return dict(self.composition(collections).flows)

    def composition(self, collections: Iterable[Collection] | None = None) -> Composition:
        """The flows, and the collections that the steps remove."""
        ends = self.after.values() if collections is None else collections
        fields = {collection.name: collection.field_names for collection in ends}
        return composed(self.before, self.steps, fields)

    def doubts(self) -> dict[Link, Origin]:
        """The references that may not hold at the end though all did at the start."""
        return doubtful(self.before, self.steps)

    def names_of(self, name: str) -> tuple[str, ...]:
        """What the collection of a name at the end was, or was part of, after each step."""
        found = []
        for step in reversed(self.steps):
            found.append(name)
            for operation in reversed(step.operations):
                if isinstance(operation, RenameCollection) and operation.new == name:
                    name = operation.old
                elif isinstance(operation, SplitCollection) and operation.into == name:
                    name = operation.collection
        return tuple(reversed(found))

    def up_to(self, count: int) -> Way:
        """Its first steps alone."""
        return Way(self.steps[:count], self.states[: count + 1])


def way_of(
    schema: Schema,
    source: int,
    target: int,
    given: Iterable[Collection] | None = None,
    *,
    is_selection: bool = False,
) -> Way:
    """The way from one version of a schema to another, up or back.

    `given` are the collections of the source as an archive describes them: with `is_selection` some
    of them, and the way begins with all that there were. Raises `VersionMismatch` where no way
    leads, `SchemaMismatch` where they are not those of the version, `SchemaError` where a step does
    not make the next version, and `NoInverse`.
    """
    before = _version(schema, source).collections
    _require_known(schema, target)
    if given is not None:
        given = tuple(given)
        require_as_frozen(schema, source, given, is_selection=is_selection)
        embedded = described(given)
        others = {n: c for n, c in before.items() if is_selection and n not in embedded}
        expected = {n: c for n, c in before.items() if n not in others}
        found = tuple(differences(expected, embedded))
        if found:  # with today's models alone, which may have changed since
            _require_models_as_frozen(schema)
            raise SchemaMismatch(
                f"the archive contradicts version {source} as today's models have it: "
                + "; ".join(found),
                found,
            )
        before = {**embedded, **others}  # whose fields are in the order of its records
    if target >= source:
        return Way.of(before, _checked_steps(schema, source, target))
    end = _version(schema, target)
    up = Way.of(end.collections, _checked_steps(schema, target, source))
    way = Way.of(before, reversed(list(map(_undone, up.steps, up.states))))
    what = f"what undoes the migrations does not make version {target}"
    _require_same(what, end, attrs.evolve(end, collections=way.after))
    return way


def _undone(step: Migration, before: Collections) -> Migration:
    inverse = step.inverse(before)
    if isinstance(inverse, Operation):
        message = f"the migration {step} cannot be undone: {inverse} has no inverse"
        raise NoInverse(message, str(step), str(inverse))
    return inverse


def _require_models_as_frozen(schema: Schema) -> None:
    """See that it is not today's models that are to blame. Raises `SchemaError`."""
    if schema.versions is not None:
        check_frozen(schema, may_be_new=True)


def check_chain(schema: Schema) -> None:
    """See that each frozen version becomes today's schema by its steps, without any data.

    Raises `SchemaError`, `FileError`; `VersionMismatch` for a version that no way leads from.
    """
    check_frozen(schema)
    for number in Versions(schema.versions or ".").numbers:
        _checked_steps(schema, number, schema.version)


def _checked_steps(schema: Schema, source: int, target: int) -> list[Migration]:
    """The steps from a version to a later one, each seen to make the next version."""
    by_source = {step.source: step for step in schema.migrations}
    state = _version(schema, source)
    steps = []
    for number in range(source, target):
        if number not in by_source:
            raise _no_way(source, schema, f"no migration leads from version {number}")
        step = by_source[number]
        state = _State(step.app_after(state.app), step.apply(state.collections))
        what = f"the migration {step} does not make version {number + 1}"
        try:
            expected = _version(schema, number + 1)
        except VersionMismatch:
            _require_sound(what, state.collections)  # it was never frozen
        else:
            renamed = any(isinstance(operation, RenameApp) for operation in step.operations)
            call = f": m.rename_app({state.app!r}, {expected.app!r}) in it renames the app"
            if number + 1 == schema.version and _differing(expected, state):
                _require_models_as_frozen(schema)
            _require_same(what, expected, state, "" if renamed else call)
        steps.append(step)
    return steps


def _differing(expected: _State, found: _State, advice: str = "") -> list[str]:
    differing = list(differences(expected.collections, found.collections))
    if expected.app != found.app:
        differing.insert(0, f"the app was {expected.app!r}, is {found.app!r}{advice}")
    return differing


def _require_same(what: str, expected: _State, found: _State, advice: str = "") -> None:
    differing = _differing(expected, found, advice)
    if differing:
        raise SchemaError.of(what, (f"after it, {difference}" for difference in differing))


def _require_sound(what: str, found: Collections) -> None:
    try:
        Schema(collections=list(found.values()))
    except SchemaError as error:
        raise SchemaError.of(what, (f"after it, {p}" for p in error.problems)) from error


@attrs.frozen
class _State:
    """What a version is: the name of its app, and its collections."""

    app: str | None
    collections: Collections


def _version(schema: Schema, number: int) -> _State:
    """A version: today's, or one that was frozen."""
    if number == schema.version:
        return _State(schema.app, collections_of(schema))
    _require_known(schema, number)
    if schema.versions is None:
        why = "the schema has no folder of frozen versions: say Schema(…, versions=…)"
        raise _no_way(number, schema, why)
    try:
        frozen = Versions(schema.versions)[number]
    except KeyError:
        why = f"version {number} was never frozen: freeze it with the models it had ({FREEZE})"
        raise _no_way(number, schema, why) from None
    return _State(frozen.app, collections_of(frozen.schema))


def _require_known(schema: Schema, number: int) -> None:
    if number > schema.version:
        raise VersionMismatch(
            f"version {number} is newer than this app's {schema.version}",
            None,
            number,
            schema.version,
        )


def _no_way(version: int, schema: Schema, why: str) -> VersionMismatch:
    return VersionMismatch(
        f"no way leads between schema version {version} and this app's {schema.version}: {why}",
        None,
        version,
        schema.version,
    )
