"""Migrations as the host writes them: a function for each step, whose calls are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, overload

import attrs

from databackup.errors import SchemaError
from databackup.schema import classes
from databackup.schema.across import MoveField, SplitCollection
from databackup.schema.arguments import (
    fields_of,
    names_of,
    references_of,
    require_bool,
    require_callable,
    require_names,
    returned_by,
)
from databackup.schema.evolution import (
    NO_DEFAULT,
    AddCollection,
    AddField,
    CannotApply,
    ChangeKind,
    MapRecords,
    Operation,
    RemoveCollection,
    RemoveField,
    RenameApp,
    RenameCollection,
    RenameField,
)
from databackup.schema.kind import shown
from databackup.schema.linking import AddReference, ChangeKey, RemoveReference
from databackup.schema.model import Collection, Field, Reference
from databackup.schema.requirements import require_of_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from databackup.schema.evolution import Collections
    from databackup.schema.model import OffKind


@attrs.frozen
class Migration:
    """One step of an app's schema, from a version to the next: its operations, in order."""

    source: int
    target: int
    name: str
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        return f"{self.source} to {self.target} ({self.name})"

    def apply(self, before: Collections) -> Collections:
        """The collections after all operations. Raises `SchemaError`."""
        return [before, *self.states(before)][-1]

    def states(self, before: Collections) -> list[Collections]:
        """The collections after each operation. Raises `SchemaError`."""
        found = []
        for operation in self.operations:
            try:
                before = operation.apply(before)
            except (CannotApply, SchemaError) as error:
                raise SchemaError.of(f"the migration {self}", [f"{operation}: {error}"]) from error
            found.append(before)
        return found

    def app_after(self, before: str | None) -> str | None:
        """The app's name after all operations, by that before them. Raises `SchemaError`."""
        for operation in self.operations:
            if isinstance(operation, RenameApp):
                if operation.old != before:
                    found = "the app has no name" if before is None else f"the app is {before!r}"
                    raise SchemaError.of(f"the migration {self}", [f"{operation}: {found} there"])
                before = operation.new
        return before

    def inverse(self, before: Collections) -> Migration | Operation:
        """What undoes this step, or the first of its operations, from its end, that nothing undoes.

        `before` is what it is applied to.
        """
        befores = [before, *self.states(before)]
        undone = []
        for operation, state in reversed(list(zip(self.operations, befores, strict=False))):
            inverse = operation.inverse(state)
            if inverse is None:
                return operation
            undone.append(inverse)
        return Migration(self.target, self.source, self.name, tuple(undone))


class Recorder:
    """Records the operations of one migration, each method one; they are carried out later.

    Methods raise `SchemaError` for arguments that no operation can have; whether the operations fit
    the schema is seen when they are applied to it.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def rename_app(self, old: str | None, new: str | None) -> None:
        """Give the app another name; None is for no name.

        Archives of older versions go on bearing the old one, and those of newer versions the new.
        """
        what = f"rename_app {old or 'no name'} to {new or 'no name'}"
        if old == new:
            raise SchemaError.of(what, ["both are the same"])
        if "" in (old, new):
            raise SchemaError.of(what, ["a name is text that is not empty; None is for no name"])
        self.operations.append(RenameApp(old, new))

    def rename_collection(self, old: str, new: str) -> None:
        """Give a collection another name; references to it follow."""
        require_names("rename_collection", old=old, new=new)
        self.operations.append(RenameCollection(old, new))

    def rename_field(self, collection: str, old: str, new: str) -> None:
        """Give a field another name; the key and the references that it is part of follow."""
        require_names("rename_field", collection=collection, old=old, new=new)
        self.operations.append(RenameField(collection, old, new))

    def add_field(
        self,
        collection: str,
        name: str,
        kind: Any,
        *,
        default: Any = NO_DEFAULT,
        position: int | None = None,
        off_kind: OffKind = "refuse",
    ) -> None:
        """Add a field of a type or kind; the records that are there get `default`, or null.

        `position` is its place among the fields, by default behind the last. `off_kind` is that of
        a `Field`.
        """
        require_names("add_field", collection=collection, name=name)
        what = f"add_field {collection}.{name}"
        field = _field(what, collection, name, kind, off_kind)
        if default is NO_DEFAULT and not field.nullable:
            raise SchemaError.of(what, ["a field that may not be null needs a default"])
        if not (position is None or type(position) is int):
            raise SchemaError.of(what, [f"position is an integer, not {shown(position)}"])
        _require_default(what, collection, field, default)
        self.operations.append(AddField(collection, field, default, position))

    def remove_field(self, collection: str, name: str, *, default: Any = NO_DEFAULT) -> None:
        """Remove a field and its values.

        On the way back the field gets `default`, or null where it may be; without either there is
        no way back.
        """
        require_names("remove_field", collection=collection, name=name)
        self.operations.append(RemoveField(collection, name, default))

    def change_kind(
        self,
        collection: str,
        name: str,
        kind: Any,
        *,
        using: Callable[[Any], Any] | None = None,
        inverse: Callable[[Any], Any] | None = None,
        default: Any = NO_DEFAULT,
        off_kind: OffKind | None = None,
    ) -> None:
        """Give a field another type or kind.

        `using` makes the new value of the old one, `inverse` the old of the new; without `using` a
        value stays what it is, 1 as 1.0 where that is the kind's type. Nulls are not handed to
        them: they stay null, or become `default`; the JSON value null is no null. `off_kind` is
        that of a `Field`, None leaves it.
        """
        require_names("change_kind", collection=collection, name=name)
        what = f"change_kind {collection}.{name}"
        field = _field(what, collection, name, kind, off_kind or "refuse")
        _require_default(what, collection, field, default)
        require_callable(what, using=using, inverse=inverse)
        self.operations.append(
            ChangeKind(collection, name, field.kind, using, inverse, default, off_kind)
        )

    def map_records(
        self,
        collection: str,
        function: Callable[[dict[str, Any]], dict[str, Any]],
        *,
        inverse: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        changes_key: bool = False,
    ) -> None:
        """Make each record anew: `function` takes a dict of all fields, and returns one.

        It leaves the key as it is, so that records stay in its order; a record whose key it changes
        is a Problem. With `changes_key` it may, and keys go through an index on disk.
        """
        require_names("map_records", collection=collection)
        what = f"map_records {collection}"
        if function is None:
            raise SchemaError.of(what, ["it needs a function"])
        require_callable(what, function=function, inverse=inverse)
        require_bool(what, changes_key=changes_key)
        self.operations.append(MapRecords(collection, function, inverse, changes_key))

    def add_collection(
        self,
        name: str,
        *,
        fields: Mapping[str, Any] | Iterable[Field],
        key: str | Iterable[str] = (),
        references: Iterable[Reference] = (),
    ) -> None:
        """Add a collection without records, described as in `Collection`."""
        require_names("add_collection", name=name)
        what = f"add_collection {name}"
        collection = Collection(
            name,
            fields=fields_of(what, fields),
            key=names_of(what, "key", key),
            references=references_of(what, references),
        )
        self.operations.append(AddCollection(collection))

    def remove_collection(self, name: str) -> None:
        """Remove a collection with all of its records."""
        require_names("remove_collection", name=name)
        self.operations.append(RemoveCollection(name))

    def change_key(self, collection: str, key: str | Iterable[str]) -> None:
        """Make other fields the key; references to the collection go on naming the old ones."""
        require_names("change_key", collection=collection)
        names = names_of(f"change_key {collection}", "key", key)
        self.operations.append(ChangeKey(collection, names))

    def add_reference(
        self,
        collection: str,
        fields: str | Iterable[str],
        to: str,
        to_fields: str | Iterable[str] = (),
    ) -> None:
        """Let fields refer to the key of another collection, or to fields of it that are unique."""
        found = _link("add_reference", collection, fields, to, to_fields)
        self.operations.append(AddReference(collection, Reference(*found)))

    def remove_reference(
        self,
        collection: str,
        fields: str | Iterable[str],
        to: str,
        to_fields: str | Iterable[str] = (),
    ) -> None:
        """Let fields refer to another collection no more.

        `to_fields` says which reference is meant where several lead there.
        """
        found = _link("remove_reference", collection, fields, to, to_fields)
        self.operations.append(RemoveReference(collection, *found))

    def split_collection(self, collection: str, into: str, *, fields: str | Iterable[str]) -> None:
        """Move fields to a new collection of the same key, a record for each record."""
        require_names("split_collection", collection=collection, into=into)
        names = names_of(f"split_collection {collection} into {into}", "fields", fields)
        self.operations.append(SplitCollection(collection, into, names))

    def move_field(
        self,
        source: str,
        field: str,
        target: str,
        *,
        via: str | Iterable[str],
        default: Any = NO_DEFAULT,
    ) -> None:
        """Move a field to another collection, along a reference between the two.

        `via` are the fields of the reference, which either collection may have. Where the target
        refers to the source, each of its records gets the value of the one it refers to. Where the
        source refers to the target, the records that refer to one must agree on the value.
        A record without a partner gets `default`, or null, on the way back as well; a field that
        may not be null has no way back without one.
        """
        require_names("move_field", source=source, field=field, target=target)
        names = names_of(f"move_field {source}.{field} to {target}", "via", via)
        self.operations.append(MoveField(source, field, target, names, default=default))


@overload
def migration(source: int, target: int, /) -> Callable[[Callable[[Recorder], None]], Migration]: ...


@overload
def migration(source: int, target: int, function: Callable[[Recorder], None], /) -> Migration: ...


def migration(
    source: int, target: int, function: Callable[[Recorder], None] | None = None, /
) -> Any:
    """Make a function the migration from one version of the schema to the next.

    The function gets a recorder, calls the operations on it, and returns nothing. It is run once,
    here. Raises `SchemaError`.
    """
    if type(source) is not int or type(target) is not int:
        raise SchemaError.of(
            "a migration", [f"versions are integers, not {source!r} and {target!r}"]
        )

    def record(recorded: Callable[[Recorder], None]) -> Migration:
        given: object = recorded
        if not callable(given):
            said = f"it is made of a function, not {shown(given)}"
            raise SchemaError.of(f"the migration {source} to {target}", [said])
        name = str(getattr(recorded, "__name__", None) or type(recorded).__name__)
        return Migration(source, target, name, _recorded(source, target, name, recorded))

    return record if function is None else record(function)


def _recorded(
    source: int, target: int, name: str, function: Callable[[Recorder], None]
) -> tuple[Operation, ...]:
    """The operations that a function calls. Raises `SchemaError`, which names the step."""
    what = f"the migration {source} to {target} ({name})"
    recorder = Recorder()
    try:
        returned = returned_by(function, recorder)
    except SchemaError as error:
        raise SchemaError.of(what, [error.message]) from error
    except Exception as error:
        error.add_note(f"in {what}")
        raise
    if returned is not None:
        said = f"its function calls operations and returns nothing, not {shown(returned)}"
        raise SchemaError.of(what, [said])
    return tuple(recorder.operations)


_OLDEST: Final = 1


def chain_problems(migrations: Sequence[Any], version: int) -> list[str]:
    """What is wrong with the steps that lead to a version: gaps, doubles, cycles."""
    problems = [
        f"{shown(step)} is no migration: make it one with @migration(1, 2)"
        for step in migrations
        if not isinstance(step, Migration)
    ]
    if problems:
        return problems
    for step in migrations:
        if step.target <= step.source:
            problems.append(f"the migration {step} leads back: each leads to the next version")
        elif step.target != step.source + 1:
            problems.append(f"the migration {step} leaves out a version: each leads to the next")
        elif step.source < _OLDEST:
            problems.append(f"the migration {step}: versions are counted from {_OLDEST}")
        elif step.target > version:
            problems.append(f"the migration {step} leads beyond the schema's version {version}")
    by_source: dict[int, Migration] = {}
    for step in migrations:
        if step.source in by_source:
            problems.append(
                f"two migrations lead from version {step.source}: "
                f"{by_source[step.source].name} and {step.name}"
            )
        by_source.setdefault(step.source, step)
    if not problems and by_source:
        missing = [n for n in range(min(by_source), version) if n not in by_source]
        problems += [f"no migration leads from version {n} to {n + 1}" for n in missing]
    return problems


def _field(operation: str, collection: str, name: str, kind: Any, off_kind: OffKind) -> Field:
    try:
        kinds = classes.kinds_of_mapping(collection, {name: kind})
        return Field(name, kinds[name], off_kind)
    except SchemaError as error:
        raise SchemaError.of(operation, [error.message]) from error


def _link(
    operation: str, collection: str, fields: object, to: str, to_fields: object
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    require_names(operation, collection=collection, to=to)
    what = f"{operation} {collection} to {to}"
    return names_of(what, "fields", fields), to, names_of(what, "to_fields", to_fields)


def _require_default(operation: str, collection: str, field: Field, default: Any) -> None:
    if default is NO_DEFAULT:
        return
    try:
        require_of_kind(collection, field, default)
    except CannotApply as error:
        raise SchemaError.of(operation, [str(error)]) from None
